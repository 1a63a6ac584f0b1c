package org.torte.disk;

import java.nio.file.Path;
import java.util.Optional;

/**
 * What a new image is like.
 *
 * @param type fixed, dynamic or differencing
 * @param size bytes, a multiple of the logical sector size; for a differencing disk 0 takes the parent's
 * @param blockSize bytes, or 0 for the format's default (VHDX: 32 MiB dynamic, 2 MiB fixed and differencing; VHD: 2 MiB)
 * @param logicalSectorSize 512 or 4096, or 0 for the default (512, or the parent's)
 * @param physicalSectorSize 512 or 4096, or 0 for the default (4096, or the parent's)
 * @param parent the parent of a differencing disk
 */
public record CreateOptions(
        DiskType type, long size, int blockSize, int logicalSectorSize, int physicalSectorSize, Optional<Path> parent) {
    /** A dynamic disk of {@code size} bytes with the format's defaults. */
    public static CreateOptions dynamic(long size) {
        return new CreateOptions(DiskType.DYNAMIC, size, 0, 0, 0, Optional.empty());
    }

    /** A fixed disk of {@code size} bytes with the format's defaults. */
    public static CreateOptions fixed(long size) {
        return new CreateOptions(DiskType.FIXED, size, 0, 0, 0, Optional.empty());
    }

    /** A differencing disk with the parent's size and sectors. */
    public static CreateOptions differencing(Path parent) {
        return new CreateOptions(DiskType.DIFFERENCING, 0, 0, 0, 0, Optional.of(parent));
    }

    /** The same with blocks of {@code bytes}. */
    public CreateOptions withBlockSize(int bytes) {
        return new CreateOptions(type, size, bytes, logicalSectorSize, physicalSectorSize, parent);
    }

    /** The same with these sector sizes in bytes. */
    public CreateOptions withSectorSizes(int logical, int physical) {
        return new CreateOptions(type, size, blockSize, logical, physical, parent);
    }

    /** The same with {@code bytes} as the size of the disk. */
    public CreateOptions withSize(long bytes) {
        return new CreateOptions(type, bytes, blockSize, logicalSectorSize, physicalSectorSize, parent);
    }
}
