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

    private volatile int version;
    private volatile boolean active;

    /** Whether, since it became active, every processor has stopped writing without asking. */
    private boolean guarded;

    /** How many processors are about to see to that. */
    private int guarding;

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

    /**
     * Marks that code is about to be decoded from this page; from now on its writes must be noticed.
     *
     * @return its version, which changes with every write that was looked at; to be given to {@link #add}
     */
    synchronized int activate() {
        active = true;
        return version;
    }

    /** Changes with every write that was looked at. */
    synchronized int version() {
        return version;
    }

    /**
     * Whether what {@link #version} gave is its version still. Takes no lock: who drops blocks has this page's and asks for the
     * translator's, and who asks here has that.
     */
    boolean isStill(int since) {
        return version == since;
    }

    /** Whether all writes since this version have been noticed. */
    synchronized boolean isGuarded(int since) {
        return guarded && version == since;
    }

    /**
     * Begins to withdraw all permissions to write the page; tells whether others have begun that too and not ended it: then
     * a processor from which they have taken one may use it still.
     */
    synchronized boolean beginGuard() {
        return guarding++ > 0;
    }

    /** Ends that. It holds unless the page has been written to since {@code since} was its version. */
    synchronized void endGuard(int since) {
        guarding--;
        guarded |= version == since;
    }

    /** The version if all writes are noticed, or -1: bytes that are read now may be others by now. */
    synchronized int guardedVersion() {
        return guarded ? version : -1;
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

    /**
     * Adds a block that starts in the page before and has its last bytes, up to {@code last}, in this one, unless the page
     * was written to since {@code expected} was its {@link #guardedVersion}.
     */
    synchronized boolean addStraddler(CodePage home, int last, int expected) {
        if (version != expected) {
            return false;
        }
        claim(0, last);
        if (!straddlers.contains(home)) {
            straddlers.add(home);
        }
        return true;
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
            guarded = false;
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
