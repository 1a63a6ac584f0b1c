package org.torte.machine.filesystem;

import org.jspecify.annotations.Nullable;

/** The tree of extents of a file (ext4 documentation, "Extent Tree"), walked from its root for each run. */
final class ExtentTree implements BlockMap {
    private static final int MAGIC = 0xf30a, HEADER = 12, ENTRY = 12, MAX_DEPTH = 5;
    /** Longer lengths mean space that was never written. */
    private static final int INITIALISED = 0x8000;

    private static final long END = 1L << 32;

    private final Ext4 fileSystem;
    private final byte[] root;
    private long leafBlock = -1;
    private byte @Nullable [] leaf;

    ExtentTree(Ext4 fileSystem, byte[] root) {
        this.fileSystem = fileSystem;
        this.root = root;
    }

    @Override
    public Run find(long logical) throws DamagedException {
        byte[] node = root;
        // Where the next entry on the way down begins: up to there it is a hole if nothing is found.
        long limit = END;
        int expected = -1;
        while (true) {
            int entries = Bytes.u16(node, 2);
            int depth = Bytes.u16(node, 6);
            boolean sane = Bytes.u16(node, 0) == MAGIC
                    && entries <= (node.length - HEADER) / ENTRY
                    && depth <= MAX_DEPTH
                    && (expected < 0 || depth == expected);
            if (!sane || logical >= END) {
                throw new DamagedException("an ext4 with a damaged tree of extents");
            }
            int found = lastBefore(node, entries, logical);
            if (found + 1 < entries) {
                limit = Math.min(limit, Bytes.u32(node, HEADER + ENTRY * (found + 1)));
            }
            if (limit <= logical) {
                throw new DamagedException("an ext4 whose extents are out of order");
            }
            if (found < 0) {
                return new Run(logical, limit - logical, HOLE);
            }
            int at = HEADER + ENTRY * found;
            if (depth == 0) {
                return run(node, at, logical, limit);
            }
            node = child(Bytes.u32(node, at + 4) | (long) Bytes.u16(node, at + 8) << 32);
            expected = depth - 1;
        }
    }

    private static Run run(byte[] node, int at, long logical, long limit) throws DamagedException {
        long first = Bytes.u32(node, at);
        int stored = Bytes.u16(node, at + 4);
        boolean written = stored <= INITIALISED;
        long length = written ? stored : stored - INITIALISED;
        long physical = Bytes.u32(node, at + 8) | (long) Bytes.u16(node, at + 6) << 32;
        if (logical >= first + length) {
            return new Run(logical, limit - logical, HOLE);
        }
        return new Run(first, length, written ? physical : HOLE);
    }

    /** The last entry that begins at or before a block, or -1. */
    private static int lastBefore(byte[] node, int entries, long logical) throws DamagedException {
        int low = 0;
        int high = entries;
        while (low < high) {
            int middle = (low + high) / 2;
            if (Bytes.u32(node, HEADER + ENTRY * middle) <= logical) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low - 1;
    }

    private byte[] child(long block) throws DamagedException {
        byte[] known = leaf;
        if (known == null || leafBlock != block) {
            known = fileSystem.block(block);
            leaf = known;
            leafBlock = block;
        }
        return known;
    }
}
