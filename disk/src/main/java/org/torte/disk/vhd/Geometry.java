package org.torte.disk.vhd;

/**
 * Cylinders, heads and sectors per track as a VHD footer holds them.
 *
 * @param cylinders 0 to 65535
 * @param heads 0 to 255
 * @param sectors sectors per track, 0 to 255
 */
record Geometry(int cylinders, int heads, int sectors) {
    private static final long LARGEST = 65535L * 16 * 255;

    /** The geometry of a disk of {@code bytes}: "CHS Calculation" in the appendix of the specification. */
    static Geometry of(long bytes) {
        long total = Math.min(bytes / VhdFooter.SECTOR, LARGEST);
        int sectors;
        int heads;
        long cylinderHeads;
        if (total >= 65535L * 16 * 63) {
            sectors = 255;
            heads = 16;
            cylinderHeads = total / sectors;
        } else {
            sectors = 17;
            cylinderHeads = total / sectors;
            heads = Math.max(4, (int) ((cylinderHeads + 1023) / 1024));
            if (cylinderHeads >= heads * 1024L || heads > 16) {
                sectors = 31;
                heads = 16;
                cylinderHeads = total / sectors;
            }
            if (cylinderHeads >= heads * 1024L) {
                sectors = 63;
                heads = 16;
                cylinderHeads = total / sectors;
            }
        }
        return new Geometry((int) (cylinderHeads / heads), heads, sectors);
    }

    /** The bytes that this geometry can address. */
    long bytes() {
        return (long) cylinders * heads * sectors * VhdFooter.SECTOR;
    }

    /** Whether it is the largest there is, so that it says nothing about the size. */
    boolean saturated() {
        return bytes() >= LARGEST * VhdFooter.SECTOR;
    }

    int encoded() {
        return cylinders << 16 | heads << 8 | sectors;
    }

    static Geometry decoded(int value) {
        return new Geometry(value >>> 16, value >>> 8 & 0xff, value & 0xff);
    }
}
