package org.torte.disk.operation;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Merges a differencing disk into its parent and deletes it, as Merge-VHD does. What the child holds is copied into the
 * parent; the child covers that content all the time, so the chain reads the same before, after and at any point in
 * between. A merge that was interrupted goes on where it was when it is started again.
 *
 * <p>Other children of the parent would change with it, so a parent that has any is refused; children of the merged
 * disk are connected to the parent before it goes.
 */
public final class Merge {
    private static final int PIECE = 1 << 20;
    private static final long FLUSHED = 256L << 20;

    private Merge() {}

    /**
     * What a merge will do.
     *
     * @param parent the disk that receives the content
     * @param bytes bytes to copy
     * @param space bytes by which the parent's file grows, at most
     * @param available bytes that the host has there
     * @param resumed whether an interrupted merge goes on
     */
    public record Plan(Path parent, long bytes, long space, long available, boolean resumed) {}

    /** Says what a merge would do, and throws what it would throw before it begins. */
    public static Plan plan(Path child, DiskFormat format, DiskOptions options) {
        Path real = options.storage().resolve(child, options.folders());
        Optional<MergeJournal> journal = MergeJournal.read(real);
        if (journal.isPresent() && journal.get().complete()) {
            return new Plan(Path.of(journal.get().parent()), 0, 0, Long.MAX_VALUE, true);
        }
        try (VirtualDisk disk = VirtualDisks.open(real, format, Convert.readOnly(options))) {
            VirtualDisk parent = disk.parent()
                    .orElseThrow(() -> new DiskException(
                            Kind.INVALID,
                            real.toString(),
                            "it has no parent to merge into",
                            "name a differencing disk"));
            Path parentPath = Path.of(parent.info().image());
            checkOnlyChild(real, parentPath, options);
            long bytes = 0;
            long space = 0;
            for (long at = 0; at < disk.size(); ) {
                Extent own = disk.extent(at, disk.size() - at);
                if (own.kind() != Extent.Kind.PARENT) {
                    bytes += own.length();
                    space += own.kind() == Extent.Kind.MAPPED ? unmapped(parent, own) : 0;
                }
                at = own.end();
            }
            return new Plan(parentPath, bytes, space, available(parentPath), journal.isPresent());
        }
    }

    /** Bytes of whole blocks that the parent has no space for. */
    private static long unmapped(VirtualDisk parent, Extent own) {
        int block = parent.blockSize();
        long space = 0;
        for (long at = own.offset() / block * block; at < Math.min(own.end(), parent.size()); at += block) {
            Extent there = parent.extent(at, Math.min(block, parent.size() - at));
            space += there.kind() == Extent.Kind.MAPPED ? 0 : block;
        }
        return space;
    }

    private static long available(Path file) {
        try {
            return Files.getFileStore(file).getUsableSpace();
        } catch (IOException e) {
            return Long.MAX_VALUE;
        }
    }

    private static void checkOnlyChild(Path child, Path parent, DiskOptions options) {
        for (Path other : Family.children(parent, options)) {
            if (!other.equals(child)) {
                throw new DiskException(
                        Kind.IN_USE,
                        parent.toString(),
                        "it is also the parent of " + other + ", whose content would change",
                        "merge or delete that disk first");
            }
        }
    }

    /** Merges, or goes on with a merge that was interrupted. */
    public static Plan run(Path child, DiskFormat format, DiskOptions options, Progress progress) {
        Path real = options.storage().resolve(child, options.folders());
        Plan plan = plan(real, format, options);
        if (plan.space() > plan.available()) {
            throw new DiskException(
                    Kind.NO_SPACE,
                    plan.parent().toString(),
                    "the merge needs up to " + plan.space() + " bytes and the host has " + plan.available(),
                    "make space first");
        }
        Optional<MergeJournal> journal = MergeJournal.read(real);
        if (journal.isEmpty() || !journal.get().complete()) {
            copy(real, plan, format, options, journal, progress);
        }
        finish(real, plan.parent(), format, options);
        return plan;
    }

    private static void copy(
            Path child,
            Plan plan,
            DiskFormat format,
            DiskOptions options,
            Optional<MergeJournal> journal,
            Progress progress) {
        DiskOptions alone = options.withOpenParents(false);
        String before = MergeJournal.state(child);
        long start = journal.filter(j -> j.child().equals(before))
                .map(MergeJournal::copied)
                .orElse(0L);
        // First the parent: telling the child about it changes the child's file.
        try (VirtualDisk to = ParentIdentity.openParent(child, plan.parent(), format, options);
                VirtualDisk from = VirtualDisks.open(child, format, Convert.readOnly(alone));
                Arena arena = Arena.ofConfined()) {
            String state = MergeJournal.state(child);
            new MergeJournal(plan.parent().toString(), state, start, false).write(child);
            if (from.size() > to.size()) {
                to.resize(from.size());
            }
            MemorySegment buffer = arena.allocate(PIECE, 4096);
            long size = from.size();
            long unflushed = 0;
            for (long at = start; at < size; ) {
                Extent own = from.extent(at, size - at);
                if (own.kind() == Extent.Kind.PARENT) {
                    at = own.end();
                    continue;
                }
                long length = Math.min(PIECE, own.length());
                if (own.kind() == Extent.Kind.MAPPED) {
                    from.read(at, buffer, 0, length);
                    to.write(at, buffer, 0, length);
                } else {
                    length = own.length();
                    to.writeZeroes(at, length);
                }
                at += length;
                unflushed += length;
                if (unflushed >= FLUSHED) {
                    to.flush();
                    new MergeJournal(plan.parent().toString(), state, at, false).write(child);
                    unflushed = 0;
                }
                progress.step(child.toString(), at, size);
            }
            to.flush();
        }
        new MergeJournal(plan.parent().toString(), MergeJournal.state(child), Long.MAX_VALUE, true).write(child);
    }

    /** Connects the grandchildren to the parent and deletes the child. Each step may be repeated. */
    private static void finish(Path child, Path parent, DiskFormat format, DiskOptions options) {
        List<Path> grandchildren = new ArrayList<>();
        if (options.storage().exists(child)) {
            grandchildren.addAll(Family.children(child, options));
        }
        for (Path grandchild : grandchildren) {
            DiskFormat its = DiskFormat.ofName(grandchild).orElse(format);
            Reconnect.run(grandchild, its, parent, true, options);
        }
        options.storage().delete(child);
        MergeJournal.delete(child);
    }
}
