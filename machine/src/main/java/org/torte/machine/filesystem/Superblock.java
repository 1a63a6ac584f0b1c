package org.torte.machine.filesystem;

/**
 * What the superblock says of an ext2, ext3 or ext4 file system (ext4 documentation, "The Super Block").
 *
 * @param blockSize bytes, 1024 to 65536
 * @param blocks how many there are
 * @param firstBlock the block that the first group begins with
 * @param blocksPerGroup blocks of a group
 * @param inodes how many there are
 * @param inodesPerGroup inodes of a group
 * @param inodeSize bytes of one
 * @param descriptorSize bytes of a group's descriptor
 * @param firstMetaGroup the first group of groups whose descriptors lie in it (META_BG), or -1
 * @param journal the inode of the journal, or 0
 * @param needsRecovery whether the journal holds what is not in place yet
 * @param uuid in the form in which Linux shows it
 */
record Superblock(
        int blockSize,
        long blocks,
        long firstBlock,
        long blocksPerGroup,
        long inodes,
        long inodesPerGroup,
        int inodeSize,
        int descriptorSize,
        long firstMetaGroup,
        long journal,
        boolean needsRecovery,
        String uuid) {
    static final int OFFSET = 1024, SIZE = 1024;

    private static final int MAGIC = 0xef53;
    private static final int META_BG = 0x10, WIDE = 0x80, RECOVER = 0x4;
    /**
     * File types in directories, recovery, META_BG, extents, 64 bits, multiple mount protection, flexible groups, values
     * of attributes in inodes, seed of checksums, large directories, inline data, encryption (of other files), case folding.
     */
    private static final long KNOWN = 0x2 | RECOVER | META_BG | 0x40 | WIDE | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000
            | 0x8000 | 0x10000 | 0x20000;

    private static final int HAS_JOURNAL = 0x4;

    /** Whether these bytes are a superblock at all. */
    static boolean matches(byte[] bytes) throws DamagedException {
        return Bytes.u16(bytes, 56) == MAGIC;
    }

    /** Reads it, and checks everything that offsets are computed from. */
    static Superblock parse(byte[] bytes, long volumeSize) throws DamagedException {
        if (!matches(bytes)) {
            throw new DamagedException("no ext2, ext3 or ext4");
        }
        boolean dynamic = Bytes.u32(bytes, 76) != 0;
        long incompatible = dynamic ? Bytes.u32(bytes, 96) : 0;
        if ((incompatible & ~KNOWN) != 0) {
            throw new DamagedException(
                    "an ext4 with features that are not known (0x" + Long.toHexString(incompatible & ~KNOWN) + ")");
        }
        boolean wide = (incompatible & WIDE) != 0;
        long logarithm = Bytes.u32(bytes, 24);
        require(logarithm <= 6, "the block size");
        int blockSize = 1024 << logarithm;
        long blocks = Bytes.u32(bytes, 4) | (wide ? Bytes.u32(bytes, 336) << 32 : 0);
        require(blocks > 0 && blocks <= volumeSize / blockSize, "the size");
        long first = Bytes.u32(bytes, 20);
        // With clusters of blocks it is 0 whatever their size.
        require(first == 0 || first == 1 && blockSize == 1024, "the first block");
        long blocksPerGroup = Bytes.u32(bytes, 32);
        require(blocksPerGroup > 0, "the size of the groups");
        long inodesPerGroup = Bytes.u32(bytes, 40);
        require(inodesPerGroup > 0 && inodesPerGroup <= 8L * blockSize, "the number of inodes");
        int inodeSize = dynamic ? Bytes.u16(bytes, 88) : 128;
        require(
                inodeSize >= 128 && inodeSize <= blockSize && Integer.bitCount(inodeSize) == 1,
                "the size of the inodes");
        int descriptorSize = wide ? Bytes.u16(bytes, 254) : 32;
        require(
                descriptorSize >= 32
                        && descriptorSize <= blockSize
                        && Integer.bitCount(descriptorSize) == 1
                        && (!wide || descriptorSize >= 64),
                "the size of the descriptors");
        boolean hasJournal = (Bytes.u32(bytes, 92) & HAS_JOURNAL) != 0;
        return new Superblock(
                blockSize,
                blocks,
                first,
                blocksPerGroup,
                Bytes.u32(bytes, 0),
                inodesPerGroup,
                inodeSize,
                descriptorSize,
                (incompatible & META_BG) != 0 ? Bytes.u32(bytes, 260) : -1,
                hasJournal ? Bytes.u32(bytes, 224) : 0,
                (incompatible & RECOVER) != 0,
                Bytes.uuid(bytes, 104));
    }

    private static void require(boolean sane, String what) throws DamagedException {
        if (!sane) {
            throw new DamagedException("an ext4 whose superblock is damaged (" + what + ")");
        }
    }

    long groups() {
        return (blocks - firstBlock + blocksPerGroup - 1) / blocksPerGroup;
    }

    /** The block with the descriptor of a group (documentation, "Meta Block Groups"). */
    long descriptorBlock(long group) {
        long perBlock = blockSize / descriptorSize;
        long index = group / perBlock;
        if (firstMetaGroup < 0 || index < firstMetaGroup) {
            return OFFSET / blockSize + 1 + index;
        }
        // The first group of each meta group has it, behind a copy of the superblock if that group has one.
        long holder = index * perBlock;
        return firstBlock + holder * blocksPerGroup + (hasCopy(holder) ? 1 : 0);
    }

    /** Sparse super blocks: copies in groups 0, 1 and powers of 3, 5 and 7. META_BG implies them. */
    private static boolean hasCopy(long group) {
        return group <= 1 || isPower(group, 3) || isPower(group, 5) || isPower(group, 7);
    }

    private static boolean isPower(long value, long base) {
        long rest = value;
        while (rest % base == 0) {
            rest /= base;
        }
        return rest == 1;
    }
}
