package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The decoded blocks of one guest-physical page: an open hash table by offset and mode. */
final class CodePage {
    private static final @Nullable Block[] NONE = new Block[1];

    /** Length is a power of two; slots only go from null to a block, and the whole array is replaced on growth. */
    private volatile @Nullable Block[] table = NONE;

    private int count;

    /** A bit per 64 bytes of the page from which some block was decoded. */
    private long granules;

    /** Pages whose last block ends in this one. */
    private final List<CodePage> straddlers = new ArrayList<>(1);

    private int version;
    private volatile boolean active;

    boolean isActive() {
        return active;
    }

    /** The block that starts at this offset in this mode, or null. */
    @Nullable
    Block find(int offset, int mode) {
        @Nullable Block[] blocks = table;
        int mask = blocks.length - 1;
        for (int i = hash(offset, mode) & mask; ; i = i + 1 & mask) {
            Block block = blocks[i];
            if (block == null) {
                return null;
            }
            if (block.offset == offset && block.mode == mode) {
                return block;
            }
        }
    }

    /** Marks that code is about to be decoded from this page; from now on its writes must be noticed. */
    synchronized boolean activate() {
        boolean before = active;
        active = true;
        return !before;
    }

    /** Changes with every write that was looked at; read before decoding and given to {@link #add}. */
    synchronized int version() {
        return version;
    }

    /**
     * Adds a block that starts in this page and ends with byte {@code last} of it, unless the page was written to since
     * {@code expected} was its version.
     */
    synchronized boolean add(Block block, int last, int expected) {
        if (version != expected) {
            return false;
        }
        claim(block.offset, last);
        @Nullable Block[] blocks = table;
        if (2 * (count + 1) >= blocks.length) {
            @Nullable Block[] larger = new Block[Math.max(8, 2 * blocks.length)];
            for (Block old : blocks) {
                if (old != null) {
                    insert(larger, old);
                }
            }
            insert(larger, block);
            table = larger;
        } else {
            insert(blocks, block);
        }
        count++;
        return true;
    }

    /** Adds a block that starts in the page before and has its last bytes, up to {@code last}, in this one. */
    synchronized void addStraddler(CodePage home, int last) {
        claim(0, last);
        if (!straddlers.contains(home)) {
            straddlers.add(home);
        }
    }

    private void claim(int first, int last) {
        active = true;
        granules |= range(first, last);
    }

    private static long range(int first, int last) {
        return (-1L << (first >> 6)) & (-1L >>> 63 - (last >> 6));
    }

    private static void insert(@Nullable Block[] blocks, Block block) {
        int mask = blocks.length - 1;
        int i = hash(block.offset, block.mode) & mask;
        while (blocks[i] != null) {
            i = i + 1 & mask;
        }
        blocks[i] = block;
    }

    /** Drops everything if bytes {@code first} to {@code last} touch decoded code. */
    void invalidate(int first, int last) {
        List<CodePage> homes;
        synchronized (this) {
            version++;
            if ((granules & range(first, last)) == 0) {
                return;
            }
            homes = List.copyOf(straddlers);
            straddlers.clear();
            @Nullable Block[] blocks = table;
            table = NONE;
            count = 0;
            granules = 0;
            active = false;
            for (Block block : blocks) {
                if (block != null) {
                    block.invalidate();
                }
            }
        }
        for (CodePage home : homes) {
            home.invalidate(0, 0xfff);
        }
    }

    private static int hash(int offset, int mode) {
        int h = offset * 0x9E3779B1 + mode * 0x85EBCA6B;
        return h ^ h >>> 15;
    }
}
