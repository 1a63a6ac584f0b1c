package org.torte.disk.operation;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** Changes the size of a disk, and refuses to cut off anything that matters. */
public final class Resize {
    private static final int PIECE = 1 << 20;
    private static final long UNIT = 1 << 20;

    private Resize() {}

    /**
     * The smallest size to which a disk can shrink, in bytes: the end of its last partition with what the table's second
     * copy needs, or without a table the end of the last sector that is not zero; rounded up to whole mebibytes.
     */
    public static long minimum(VirtualDisk disk, Progress progress) {
        OptionalLong partitions = Partitions.end(disk);
        long end = partitions.isPresent() ? partitions.getAsLong() : endOfContent(disk, 0, progress);
        return Math.min(disk.size(), Math.max(UNIT, (end + UNIT - 1) / UNIT * UNIT));
    }

    /**
     * Changes the size of an image that is not open.
     *
     * @param newSize bytes
     * @throws DiskException INVALID when something would be lost or the format cannot have this size, IN_USE when the
     *     disk has children
     */
    public static void run(Path path, DiskFormat format, long newSize, DiskOptions options, Progress progress) {
        check(path, format, newSize, options, progress);
        try (VirtualDisk disk = VirtualDisks.open(path, format, options)) {
            disk.resize(newSize);
        }
    }

    /** Throws what {@link #run} would throw before it changes anything. */
    public static void check(Path path, DiskFormat format, long newSize, DiskOptions options, Progress progress) {
        List<Path> children = Family.children(path, options);
        if (!children.isEmpty()) {
            throw new DiskException(
                    Kind.IN_USE,
                    path.toString(),
                    "it is the parent of " + children.getFirst() + ", which would lose its connection",
                    "merge or delete its children first");
        }
        try (VirtualDisk disk = VirtualDisks.open(path, format, Convert.readOnly(options))) {
            if (disk.info().type() == DiskType.DIFFERENCING && newSize < disk.size()) {
                throw new DiskException(
                        Kind.UNSUPPORTED,
                        path.toString(),
                        "a differencing disk does not shrink",
                        "merge it into its parent first");
            }
            if (newSize < disk.size()) {
                checkShrink(disk, path, newSize, progress);
            }
        }
    }

    private static void checkShrink(VirtualDisk disk, Path path, long newSize, Progress progress) {
        OptionalLong partitions = Partitions.end(disk);
        if (partitions.isPresent()) {
            if (newSize < partitions.getAsLong()) {
                throw new DiskException(
                        Kind.INVALID,
                        path.toString(),
                        "a partition lies beyond the new size; the disk needs " + partitions.getAsLong() + " bytes",
                        "shrink the partition in the guest first, or use --minimum");
            }
            return;
        }
        long end = endOfContent(disk, newSize, progress);
        if (end > newSize) {
            throw new DiskException(
                    Kind.INVALID,
                    path.toString(),
                    "there is data beyond the new size, up to byte " + end
                            + ", and no partition table that says it is unused",
                    "trim it in the guest first, or use --minimum");
        }
    }

    /** The end of the last sector at or after {@code from} that is not zero, or {@code from}. */
    private static long endOfContent(VirtualDisk disk, long from, Progress progress) {
        long end = from;
        long start = from - from % disk.logicalSectorSize();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PIECE, 4096);
            for (long at = start; at < disk.size(); ) {
                Extent extent = disk.content(at, disk.size() - at);
                if (!Content.mapped(extent)) {
                    at += extent.length();
                    continue;
                }
                int length = (int) Math.min(PIECE, extent.length());
                disk.read(at, buffer, 0, length);
                if (!Content.zero(buffer, 0, length)) {
                    int sector = disk.logicalSectorSize();
                    int last = length;
                    while (Content.zero(buffer, last - sector, sector)) {
                        last -= sector;
                    }
                    end = at + last;
                }
                at += length;
                progress.step("resize", at, disk.size());
            }
        }
        return end;
    }
}
