package org.torte.disk.operation;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.LayeredDisk;
import org.torte.disk.VirtualDisk;

/**
 * The copying of one layer of an open chain into the layer below it, up to the journal's word that all is there.
 *
 * <p>While one step is copied, another thread makes the one before durable, first in the parent and then in the journal. So
 * an entry never says more than the parent has durably, and what of a later step is in the parent already is what the
 * layer covers, which is copied again when the merge is interrupted.
 */
final class MergeCopy {
    static final int PIECE = 1 << 20;

    private static final int HOST_PAGE = 4096;
    /** What block tables, bitmaps and footers take, for each new block and once. */
    private static final long BLOCK_METADATA = 8 << 10;

    private static final long METADATA = 1 << 20;

    private final LayeredDisk disk;
    private final int index;
    private final Path child;
    private final Path parent;
    private final DiskOptions options;
    private final Pace pace;

    MergeCopy(LayeredDisk disk, int index, DiskOptions options) {
        this(disk, index, options, Pace.USUAL);
    }

    MergeCopy(LayeredDisk disk, int index, DiskOptions options, Pace pace) {
        this.pace = pace;
        this.disk = disk;
        this.index = index;
        this.options = options;
        this.child = disk.layers().get(index);
        this.parent = disk.layers().get(index + 1);
    }

    private Optional<MergeJournal.Entry> journal() {
        return MergeJournal.read(child, options)
                .filter(entry -> entry.parent().equals(parent)
                        && entry.describes(disk.layer(index), disk.layer(index + 1), options));
    }

    /** What is to be done, and throws what the copy would throw before it begins. */
    Merge.Plan plan() {
        Optional<MergeJournal.Entry> journal = journal();
        if (journal.isPresent() && journal.get().complete()) {
            return new Merge.Plan(parent, 0, 0, Long.MAX_VALUE, true);
        }
        checkOnlyChild();
        VirtualDisk from = disk.layer(index);
        VirtualDisk to = disk.layer(index + 1);
        long bytes = 0;
        Space space = new Space(to);
        for (long at = journal.map(MergeJournal.Entry::copied).orElse(0L); at < from.size(); ) {
            Extent own = from.extent(at, from.size() - at);
            if (own.kind() != Extent.Kind.PARENT) {
                bytes += own.length();
            }
            if (own.kind() == Extent.Kind.MAPPED) {
                space.add(own);
            }
            at = own.end();
        }
        long available = options.storage().usableSpace(parent);
        return new Merge.Plan(parent, bytes, space.bytes(), available, journal.isPresent());
    }

    /** Adds up what the parent's file will take. */
    private static final class Space {
        private final VirtualDisk to;
        private long fresh;
        private long inPlace;
        private long blocks;
        private long lastBlock = -1;

        Space(VirtualDisk to) {
            this.to = to;
        }

        void add(Extent own) {
            for (long at = own.offset(); at < own.end(); ) {
                boolean beyond = at >= to.size();
                Extent there = beyond
                        ? new Extent(at, own.end() - at, Extent.Kind.UNMAPPED)
                        : to.extent(at, Math.min(own.end(), to.size()) - at);
                if (there.kind() == Extent.Kind.MAPPED) {
                    inPlace += there.length();
                } else {
                    fresh += there.length() + 2 * HOST_PAGE;
                    long first = Math.max(at / to.blockSize(), lastBlock + 1);
                    lastBlock = Math.max(lastBlock, (there.end() - 1) / to.blockSize());
                    blocks += lastBlock + 1 - first;
                }
                at = there.end();
            }
        }

        long bytes() {
            DiskInfo info = to.info();
            // Blocks that have their place may still be holes in the file.
            long holes = Math.clamp(info.fileSize() - info.allocated(), 0, inPlace);
            return fresh + holes + blocks * BLOCK_METADATA + METADATA;
        }
    }

    private void checkOnlyChild() {
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

    /**
     * Copies, or goes on with a copy that was interrupted.
     *
     * @param children the disks above that are to be connected to the parent, as far as the caller knows them
     */
    Merge.Plan run(List<Path> children, Progress progress) {
        Merge.Plan plan = plan();
        checkSpace(plan);
        Optional<MergeJournal.Entry> found = journal();
        if (found.isPresent() && found.get().complete()) {
            return plan;
        }
        try (MergeJournal journal = MergeJournal.of(child, options)) {
            if (found.isEmpty() && journal.exists()) {
                // It is of another merge, whose progress must not count for this one.
                journal.write(entry(children, 0, false));
            }
            copy(journal, children, found.map(MergeJournal.Entry::copied).orElse(0L), progress);
            journal.write(entry(children, Long.MAX_VALUE, true));
        }
        return plan;
    }

    /** Refuses a merge for which the host has no room. */
    static void checkSpace(Merge.Plan plan) {
        if (plan.space() > plan.available()) {
            throw new DiskException(
                    Kind.NO_SPACE,
                    plan.parent().toString(),
                    "the merge needs up to " + plan.space() + " bytes and the host has " + plan.available(),
                    "make space first");
        }
    }

    private MergeJournal.Entry entry(List<Path> children, long copied, boolean complete) {
        return MergeJournal.Entry.of(
                parent, disk.layer(index), disk.layer(index + 1), children, copied, complete, options);
    }

    private void copy(MergeJournal journal, List<Path> children, long start, Progress progress) {
        try (Behind durable = new Behind(pace.threads())) {
            durable.begin(journal::open);
            copy(journal, children, start, progress, durable);
        }
    }

    private void copy(MergeJournal journal, List<Path> children, long start, Progress progress, Behind durable) {
        VirtualDisk to = disk.beginMerge(index, options);
        try {
            durable.begin(() -> disk.settle(index, options));
            copy(to, journal, children, start, progress, durable);
        } catch (RuntimeException | Error e) {
            suppressing(e, durable::await);
            suppressing(e, () -> disk.endMerge(index, options));
            throw e;
        }
        disk.endMerge(index, options);
    }

    private static void suppressing(Throwable failure, Runnable end) {
        try {
            end.run();
        } catch (RuntimeException | Error e) {
            failure.addSuppressed(e);
        }
    }

    private void copy(
            VirtualDisk to, MergeJournal journal, List<Path> children, long start, Progress progress, Behind durable) {
        VirtualDisk from = disk.layer(index);
        long size = from.size();
        long copied = 0;
        long unrecorded = 0;
        boolean goOn = true;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PIECE, HOST_PAGE);
            for (long at = start; at < size && goOn; ) {
                Extent own = from.extent(at, size - at);
                if (own.kind() == Extent.Kind.PARENT) {
                    at = own.end();
                    continue;
                }
                long length = copyPart(from, to, own, buffer);
                at += length;
                copied += length;
                unrecorded += length;
                goOn = progress.advanced(at, size);
                if (pace.ends(copied, durable) || !goOn) {
                    long through = at;
                    boolean record = unrecorded >= pace.recorded() || !goOn;
                    durable.begin(() -> {
                        to.flush();
                        if (record) {
                            journal.write(entry(children, through, false));
                        }
                    });
                    copied = 0;
                    unrecorded = record ? 0 : unrecorded;
                }
            }
        }
        durable.await();
        if (!goOn) {
            throw Progress.cancelled(child.toString());
        }
        to.flush();
    }

    /** Copies the start of a run, at most a piece of content; returns how much that was. */
    static long copyPart(VirtualDisk from, VirtualDisk to, Extent own, MemorySegment buffer) {
        if (own.kind() != Extent.Kind.MAPPED) {
            to.writeZeroes(own.offset(), own.length());
            return own.length();
        }
        long length = Math.min(PIECE - own.offset() % PIECE, own.length());
        from.read(own.offset(), buffer, 0, length);
        if (Content.zero(buffer, 0, length)) {
            to.writeZeroes(own.offset(), length);
        } else {
            to.write(own.offset(), buffer, 0, length);
        }
        return length;
    }
}
