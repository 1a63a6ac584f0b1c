package org.torte.machine.filesystem;

import java.util.HashMap;
import java.util.Map;

/** The block numbers of a file of ext2 or ext3: twelve in the inode, then one, two and three tables deep. */
final class IndirectBlocks implements BlockMap {
    private static final int DIRECT = 12, LEVELS = 3;
    /** Tables that are kept; one at each level is what reading in order needs. */
    private static final int KEPT = 8;

    private final Ext4 fileSystem;
    private final byte[] root;
    private final long perTable;
    private final Map<Long, byte[]> tables = new HashMap<>();

    IndirectBlocks(Ext4 fileSystem, byte[] root) {
        this.fileSystem = fileSystem;
        this.root = root;
        perTable = fileSystem.superblock().blockSize() / 4;
    }

    @Override
    public Run find(long logical) throws DamagedException {
        if (logical < DIRECT) {
            return run(root, DIRECT, logical, logical);
        }
        long index = logical - DIRECT;
        long reach = perTable;
        for (int level = 1; level <= LEVELS; level++, reach *= perTable) {
            if (index < reach) {
                return descend(Bytes.u32(root, 4 * (DIRECT + level - 1)), level, index, reach, logical);
            }
            index -= reach;
        }
        throw new DamagedException("an ext3 with a file that is too long");
    }

    private Run descend(long table, int level, long index, long reach, long logical) throws DamagedException {
        long block = table;
        long rest = index;
        long size = reach;
        for (int left = level; left > 0; left--) {
            if (block == 0) {
                return new Run(logical, size - rest, HOLE);
            }
            byte[] entries = table(block);
            size /= perTable;
            if (left == 1) {
                return run(entries, perTable, rest, logical);
            }
            block = Bytes.u32(entries, (int) (rest / size) * 4);
            rest %= size;
        }
        throw new IllegalStateException("levels end at 1");
    }

    /** The run at entry {@code index} of a table. */
    private static Run run(byte[] table, long to, long index, long logical) throws DamagedException {
        long first = Bytes.u32(table, (int) index * 4);
        long length = 1;
        while (index + length < to) {
            long next = Bytes.u32(table, (int) (index + length) * 4);
            if (first == 0 ? next != 0 : next != first + length) {
                break;
            }
            length++;
        }
        return new Run(logical, length, first == 0 ? HOLE : first);
    }

    private byte[] table(long block) throws DamagedException {
        byte[] known = tables.get(block);
        if (known == null) {
            if (tables.size() >= KEPT) {
                tables.clear();
            }
            known = fileSystem.block(block);
            tables.put(block, known);
        }
        return known;
    }
}
