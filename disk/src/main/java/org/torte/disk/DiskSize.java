package org.torte.disk;

import org.torte.disk.DiskException.Kind;

/** Whether a disk can have a size: which of its limits the size violates, and a size that it could have. */
public final class DiskSize {
    private DiskSize() {}

    /**
     * Checks a size that a disk is to get.
     *
     * @param image the image, for the message
     * @param size bytes
     * @param sectorSize bytes of a logical sector
     * @throws DiskException INVALID when the size is not positive or no multiple of the sector size
     */
    public static void check(String image, long size, int sectorSize) {
        if (size <= 0) {
            throw new DiskException(
                    Kind.INVALID, image, "a disk of " + size + " bytes cannot be", "choose a positive size");
        }
        if (size % sectorSize != 0) {
            long below = size - size % sectorSize;
            throw new DiskException(
                    Kind.INVALID,
                    image,
                    "its size must be a multiple of its sectors of " + sectorSize + " bytes, which " + size + " is not",
                    "choose " + (below == 0 ? "" : below + " or ") + (below + sectorSize));
        }
    }

    /**
     * Checks a size that a disk is to get against the most that its format allows, too.
     *
     * @param largest bytes
     * @param limit the sentence that names this limit
     * @param remedy what else can be done
     * @throws DiskException INVALID
     */
    public static void check(String image, long size, int sectorSize, long largest, String limit, String remedy) {
        if (size > largest) {
            throw new DiskException(Kind.INVALID, image, limit + "; this would be " + size + " bytes", remedy);
        }
        check(image, size, sectorSize);
    }
}
