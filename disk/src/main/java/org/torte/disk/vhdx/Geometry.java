package org.torte.disk.vhdx;

/**
 * How the block table is laid out for a disk (section 2.5): after every {@code ratio} payload entries stands the entry
 * of the sector bitmap that covers them.
 *
 * @param size bytes of the disk
 * @param blockSize bytes of a block
 * @param sectorSize logical sector in bytes
 * @param differencing whether there are sector bitmaps
 */
record Geometry(long size, int blockSize, int sectorSize, boolean differencing) {
    /** Payload blocks for one sector bitmap block of 1 MiB, which is 2^23 sectors. */
    long ratio() {
        return (1L << 23) * sectorSize / blockSize;
    }

    /** Payload blocks of the disk. */
    long blocks() {
        return (size + blockSize - 1) / blockSize;
    }

    /** Sector bitmap blocks of a differencing disk. */
    long chunks() {
        return (blocks() + ratio() - 1) / ratio();
    }

    /** Entries of the block table. */
    long entries() {
        return differencing ? chunks() * (ratio() + 1) : blocks() + (blocks() - 1) / ratio();
    }

    /** The block table's length in bytes. */
    long tableLength() {
        return entries() * 8;
    }

    /** The entry of a payload block. */
    long payloadEntry(long block) {
        return block + block / ratio();
    }

    /** The entry of a sector bitmap block. */
    long bitmapEntry(long chunk) {
        return chunk * (ratio() + 1) + ratio();
    }

    /** Whether an entry of the table belongs to a bitmap. */
    boolean isBitmap(long entry) {
        return entry % (ratio() + 1) == ratio();
    }

    /** The payload block of an entry that is none of a bitmap. */
    long blockOf(long entry) {
        return entry - entry / (ratio() + 1);
    }
}
