package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * The pages that instructions have accessed last, each in a slot at a place known when the instruction is translated: what
 * the soft TLB would give without the search. In a {@link StateArea}, behind its jump cache:
 *
 * <pre>
 *   0  page     8  one more than the greatest offset in it, 0 while empty     16  host's address minus linear address
 *  24  misses until the slot is worn out (4 bytes, below 0: it is)
 * </pre>
 *
 * Slots with even numbers are for reads, those with odd ones for writes. Only code fills them, from the soft TLB
 * ({@link TlbProbes}), and says so in a byte for each {@value #CHUNK} of them; whatever drops an entry of the soft TLB
 * has all of them dropped before code executes again ({@link StateArea#settle}). Used by the processor's own thread,
 * except for {@link #revokeWrite}.
 */
final class PageSlots {
    static final int PAGE = 0, LIMIT = 8, DISTANCE = 16, MISSES = 24;

    /** Bytes of a slot as a power of 2. */
    static final int SHIFT = 5;

    static final int CHUNK_SHIFT = 6, CHUNK = 1 << CHUNK_SHIFT;
    static final int COUNT = 4096, CHUNKS = COUNT >> CHUNK_SHIFT;

    /** What the limit is for accesses of up to eight bytes, and of 16: no such access goes beyond its page. */
    static final int SMALL_LIMIT = 4096 - 8 + 1, LARGE_LIMIT = 4096 - 16 + 1;

    /** Misses after which it is asked whether a slot pays. */
    static final int PATIENCE = 256;

    /** Instructions that a miss is worth: with fewer from one to the next the ordinary check is cheaper. */
    private static final int WORTH = 1000;

    private static final VarHandle LONG = JAVA_LONG.varHandle();

    private final MemorySegment slots;
    private final MemorySegment used;

    /** When each was found worn out for the last time, in instructions executed. */
    private final long[] since = new long[COUNT];

    PageSlots(MemorySegment slots, MemorySegment used) {
        this.slots = slots;
        this.used = used;
        for (int i = 0; i < COUNT; i++) {
            restart(i);
        }
        Arrays.fill(since, Long.MIN_VALUE / 2);
    }

    private static long at(int slot) {
        return (long) slot << SHIFT;
    }

    private void restart(int slot) {
        slots.set(JAVA_INT, at(slot) + MISSES, PATIENCE);
    }

    /** Forgets all pages. */
    void drop() {
        for (int i = 0; i < CHUNKS; i += 8) {
            if (used.get(JAVA_LONG, i) != 0) {
                for (int chunk = i; chunk < i + 8; chunk++) {
                    drop(chunk);
                }
                used.set(JAVA_LONG, i, 0);
            }
        }
    }

    private void drop(int chunk) {
        if (isUsed(chunk)) {
            for (int slot = chunk << CHUNK_SHIFT; slot < chunk + 1 << CHUNK_SHIFT; slot++) {
                LONG.setOpaque(slots, at(slot) + LIMIT, 0L);
            }
        }
    }

    private boolean isUsed(int chunk) {
        return used.get(java.lang.foreign.ValueLayout.JAVA_BYTE, chunk) != 0;
    }

    /** Withdraws the permission to write the page at this host address; by any thread. Tells whether there was one. */
    boolean revokeWrite(long host) {
        boolean found = false;
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            if (!isUsed(chunk)) {
                continue;
            }
            for (int slot = (chunk << CHUNK_SHIFT) + 1; slot < chunk + 1 << CHUNK_SHIFT; slot += 2) {
                long at = at(slot);
                if ((long) LONG.getOpaque(slots, at + LIMIT) != 0
                        && (long) LONG.getOpaque(slots, at + PAGE) + (long) LONG.getOpaque(slots, at + DISTANCE)
                                == host) {
                    LONG.setOpaque(slots, at + LIMIT, 0L);
                    found = true;
                }
            }
        }
        return found;
    }

    /**
     * Whether a slot has missed so often within so few instructions that the ordinary check would be cheaper.
     *
     * @param slot its offset from the start of the state, as {@link Site} has it
     * @param executed instructions executed so far
     */
    boolean isRestless(int slot, long executed) {
        int number = slot - StateArea.SLOTS >> SHIFT;
        if (slots.get(JAVA_INT, at(number) + MISSES) >= 0) {
            return false;
        }
        restart(number);
        long before = since[number];
        since[number] = executed;
        return executed - before < (long) PATIENCE * WORTH;
    }
}
