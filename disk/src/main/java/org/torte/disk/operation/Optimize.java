package org.torte.disk.operation;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.function.LongConsumer;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.vhd.VhdImages;
import org.torte.disk.vhdx.VhdxCompact;
import org.torte.disk.vhdx.VhdxDisk;

/** Makes the file of an image smaller: blocks that hold only zeros give up their space, and gaps are closed. */
public final class Optimize {
    private static final int PIECE = 1 << 20;

    private Optimize() {}

    /**
     * What an optimization did.
     *
     * @param before bytes of the host's storage that the file took
     * @param after bytes that it takes now
     * @param lengthBefore bytes of the file
     * @param lengthAfter bytes of the file now
     * @param zeroBlocks blocks that held only zeros
     */
    public record Result(long before, long after, long lengthBefore, long lengthAfter, long zeroBlocks) {}

    /** Optimizes an image that is not open. Wherever it is interrupted the disk reads as before. */
    public static Result run(Path path, DiskFormat format, DiskOptions options, Progress progress) {
        DiskInfo start;
        long zeroBlocks = 0;
        try (VirtualDisk disk = VirtualDisks.open(path, format, options)) {
            start = disk.info();
            if (start.type() == DiskType.DYNAMIC) {
                if (disk instanceof VhdxDisk vhdx) {
                    // The content stays the same, so the children may keep their connection.
                    vhdx.keepContentIdentifier();
                }
                zeroBlocks = releaseZeroBlocks(disk, progress);
                disk.flush();
            }
        }
        LongConsumer watch =
                moved -> progress.step(path.toString(), Math.min(moved, start.fileSize()), start.fileSize());
        switch (format) {
            case VHD -> VhdImages.compact(path, options, watch);
            case VHDX -> VhdxCompact.run(path, options, watch);
            case RAW -> {
                // Its zero ranges are holes by now.
            }
        }
        try (VirtualDisk disk = VirtualDisks.open(path, format, options)) {
            return new Result(
                    start.allocated(),
                    disk.info().allocated(),
                    start.fileSize(),
                    disk.info().fileSize(),
                    zeroBlocks);
        }
    }

    private static long releaseZeroBlocks(VirtualDisk disk, Progress progress) {
        long blocks = 0;
        int block = disk.blockSize();
        long size = disk.size();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Math.min(PIECE, block), 4096);
            for (long at = 0; at < size; ) {
                Extent extent = disk.extent(at, size - at);
                if (!Content.mapped(extent)) {
                    at = Math.min(size, (extent.end() + block - 1) / block * block);
                    continue;
                }
                long length = Math.min(block, size - at);
                if (zero(disk, at, length, buffer)) {
                    disk.writeZeroes(at, length);
                    blocks++;
                }
                at += length;
                progress.step(disk.info().image(), at, size);
            }
        }
        return blocks;
    }

    private static boolean zero(VirtualDisk disk, long at, long length, MemorySegment buffer) {
        for (long done = 0; done < length; ) {
            long part = Math.min(buffer.byteSize(), length - done);
            disk.read(at + done, buffer, 0, part);
            if (!Content.zero(buffer, 0, part)) {
                return false;
            }
            done += part;
        }
        return true;
    }
}
