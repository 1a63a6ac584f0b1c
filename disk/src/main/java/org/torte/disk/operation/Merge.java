package org.torte.disk.operation;

import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.LayeredDisk;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Merges a differencing disk into its parent and deletes it, as Merge-VHD does, or a checkpoint in the middle of a chain
 * while the disk on top of the chain is in use.
 *
 * <p>What the merged disk holds is copied into its parent. It covers that content all the time, so the chain reads the
 * same before, after and at any point in between. A journal beside it says how far the copy is durable; a merge that was
 * interrupted anywhere goes on from there when it is started again, in either way. In the end the disks above are
 * connected to the parent, each in one atomic step, and the file goes.
 *
 * <p>Other children of the parent would change with it, so a parent that has any is refused.
 */
public final class Merge {
    private Merge() {}

    /**
     * What a merge will do.
     *
     * @param parent the disk that receives the content
     * @param bytes bytes to go through
     * @param space bytes of the host's storage that the parent takes in addition, at most
     * @param available bytes that the host has there
     * @param resumed whether an interrupted merge goes on
     */
    public record Plan(Path parent, long bytes, long space, long available, boolean resumed) {}

    /** Says what merging a disk that is not in use would do, and throws what it would throw before it begins. */
    public static Plan plan(Path child, DiskFormat format, DiskOptions options) {
        Path real = real(child, options);
        Optional<Plan> finishing = finishing(real, format, options);
        if (finishing.isPresent()) {
            return finishing.get();
        }
        try (VirtualDisk disk = VirtualDisks.open(real, format, Convert.readOnly(options))) {
            return new MergeCopy(layered(disk), 0, options).plan();
        }
    }

    /** Merges a disk that is not in use, or goes on with a merge that was interrupted. */
    public static Plan run(Path child, DiskFormat format, DiskOptions options, Progress progress) {
        return run(child, format, options, progress, Pace.USUAL);
    }

    /** The same at another pace. */
    static Plan run(Path child, DiskFormat format, DiskOptions options, Progress progress, Pace pace) {
        Path real = real(child, options);
        Optional<Plan> finishing = finishing(real, format, options);
        Plan plan;
        if (finishing.isPresent()) {
            plan = finishing.get();
        } else {
            try (VirtualDisk disk = VirtualDisks.open(real, format, Convert.readOnly(options))) {
                plan = new MergeCopy(layered(disk), 0, options, pace).run(List.of(), progress);
            }
        }
        finish(real, plan.parent(), format, options);
        return plan;
    }

    /** Says what merging a layer of a disk that is in use would do. */
    public static Plan plan(VirtualDisk disk, Path layer, DiskOptions options) {
        LayeredDisk layered = layered(disk);
        return new MergeCopy(layered, index(layered, layer, options), options).plan();
    }

    /**
     * Merges a layer of an open disk, neither the disk itself nor the last of its chain, into the layer below while
     * requests to the disk go on. Other disks that were made from the layer and are not in use are connected to the
     * parent as well.
     *
     * @param disk open for writing; it must stay open, and only one merge may run on it
     * @param layer the file of the layer
     * @param options where the images are; its access is of no meaning
     * @throws DiskException CANCELLED, NO_SPACE, IN_USE, and whatever reading and writing throw; the disk goes on as
     *     before and the merge can be repeated
     */
    public static Plan run(VirtualDisk disk, Path layer, DiskOptions options, Progress progress) {
        return run(disk, layer, options, progress, Pace.USUAL);
    }

    /** The same at another pace. */
    static Plan run(VirtualDisk disk, Path layer, DiskOptions options, Progress progress, Pace pace) {
        LayeredDisk layered = layered(disk);
        int index = index(layered, layer, options);
        DiskFormat format = disk.info().format();
        Path real = layered.layers().get(index);
        Path above = layered.layers().get(index - 1);
        MergeCopy copy = new MergeCopy(layered, index, options, pace);
        Plan plan = copy.run(List.of(above), progress);
        layered.removeLayer(index, options);
        finish(real, plan.parent(), format, options);
        return plan;
    }

    /**
     * Forgets an interrupted merge of a disk that is about to be written to: what was copied of it so far will be out of
     * date.
     */
    public static void forget(Path disk, DiskOptions options) {
        if (options.storage().exists(MergeJournal.file(disk))) {
            MergeJournal.delete(disk, options);
        }
    }

    /** The disk's path with links followed; of one that is gone already, when only its journal is left, as it stands. */
    private static Path real(Path disk, DiskOptions options) {
        boolean gone = !options.storage().exists(disk) && options.storage().exists(MergeJournal.file(disk));
        return gone ? disk : options.storage().resolve(disk, options.folders());
    }

    /** What is left to do when the copy is complete. */
    private static Optional<Plan> finishing(Path disk, DiskFormat format, DiskOptions options) {
        Optional<MergeJournal.Entry> journal = MergeJournal.read(disk, options).filter(MergeJournal.Entry::complete);
        if (journal.isEmpty()) {
            return Optional.empty();
        }
        Path parent = journal.get().parent();
        if (options.storage().exists(disk)) {
            DiskOptions alone = options.withAccess(DiskAccess.READ_ONLY).withOpenParents(false);
            try (VirtualDisk child = VirtualDisks.open(disk, format, alone);
                    VirtualDisk below = VirtualDisks.open(parent, format, alone)) {
                if (!journal.get().describes(child, below, options)) {
                    return Optional.empty();
                }
            }
        }
        return Optional.of(new Plan(parent, 0, 0, Long.MAX_VALUE, true));
    }

    static LayeredDisk layered(VirtualDisk disk) {
        if (disk instanceof LayeredDisk layered && disk.parent().isPresent()) {
            return layered;
        }
        throw new DiskException(
                Kind.INVALID, disk.info().image(), "it has no parent to merge into", "name a differencing disk");
    }

    private static int index(LayeredDisk disk, Path layer, DiskOptions options) {
        Path real = options.storage().resolve(layer, options.folders());
        List<Path> layers = disk.layers();
        int index = layers.indexOf(real);
        if (index <= 0 || index == layers.size() - 1) {
            String problem = index < 0
                    ? "it is not in the chain of " + layers.getFirst()
                    : index == 0 ? "it is being written to" : "it has no parent to merge into";
            throw new DiskException(
                    Kind.INVALID, real.toString(), problem, "name one of " + layers.subList(1, layers.size() - 1));
        }
        if (disk.readOnly()) {
            throw new DiskException(
                    Kind.READ_ONLY, layers.getFirst().toString(), "it is open for reading", "open it for writing");
        }
        return index;
    }

    /** Connects the disks above to the parent and deletes the disk. Each step may be repeated. */
    private static void finish(Path disk, Path parent, DiskFormat format, DiskOptions options) {
        if (options.storage().exists(disk)) {
            Set<Path> above = new LinkedHashSet<>();
            MergeJournal.read(disk, options).ifPresent(entry -> above.addAll(entry.children()));
            above.addAll(Family.children(disk, options));
            for (Path child : above) {
                DiskFormat its = DiskFormat.ofName(child).orElse(format);
                if (options.storage().exists(child) && Family.isChild(child, its, disk, options)) {
                    Reconnect.run(child, its, parent, true, options);
                }
            }
        }
        options.storage().delete(disk);
        MergeJournal.delete(disk, options);
    }
}
