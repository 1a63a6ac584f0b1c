package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/**
 * The pages that translated code may access without leaving, in a {@link StateArea}: sets of two entries, chosen by the
 * page's number, so that two pages which fall on the same set do not put each other out. Checks look into the first way
 * themselves; a routine looks into the second ({@link TlbProbes}) and leaves the code now and then, so that a page which
 * is found there often comes into the first.
 *
 * <p>Only Java changes entries. An empty one holds pages that belong into another set: no address leads to this one
 * and equals it, canonical or not. Used by the processor's own thread, except for {@link #revokeWrite}.
 */
final class SoftTlb {
    static final int READ = 0, WRITE = 8, HOST = 16, DISTANCE = 24;

    /** Bytes of an entry, as a power of 2. */
    static final int SHIFT = 5;

    static final int SETS = 4096, WAY = SETS << SHIFT;

    /** The bits of an entry's offset in its way, of an address shifted right by 7. */
    static final int INDEX = WAY - (1 << SHIFT);

    /** How often code finds pages in the second way until it leaves with the next. */
    static final int FOUND = 64;

    private static final VarHandle LONG = JAVA_LONG.varHandle();

    private final MemorySegment first;
    private final MemorySegment second;

    /** How often code may still find pages in the second way. */
    private final MemorySegment left;

    private final SlotSet local = new SlotSet(2 * SETS);

    /** The host's pages once more, where they are found quickly; those of dropped entries stay. */
    private final long[] hosts = new long[2 * SETS];

    /** Those that were ever entered with permission to write since everything was forgotten, and a few more. */
    private final PageFilter writable = new PageFilter();

    private boolean used = true;

    SoftTlb(MemorySegment first, MemorySegment second, MemorySegment left) {
        this.first = first;
        this.second = second;
        this.left = left;
        left.set(JAVA_INT, 0, FOUND);
        flush();
    }

    private MemorySegment way(int slot) {
        return slot < SETS ? first : second;
    }

    private static int set(long address) {
        return (int) (address >>> 12) & SETS - 1;
    }

    private static long at(int slot) {
        return (long) (slot & SETS - 1) << SHIFT;
    }

    private static long emptyPage(int slot) {
        return (slot & SETS - 1) == 0 ? 0x1000 : 0;
    }

    private long get(int slot, int word) {
        return (long) LONG.getOpaque(way(slot), at(slot) + word);
    }

    private void put(int slot, int word, long value) {
        LONG.setOpaque(way(slot), at(slot) + word, value);
    }

    /**
     * Enters a page: linear address, the host's address behind it, whether it may be written, and whether {@link
     * #flushLocal} drops it. What was there goes to the second way.
     */
    synchronized void enter(long page, long host, boolean mayWrite, boolean isLocal) {
        used = true;
        int slot = set(page);
        long there = get(slot, READ);
        if (there != page && there != emptyPage(slot)) {
            write(slot + SETS, there, hosts[slot], get(slot, WRITE) == there, local.contains(slot));
        } else if (get(slot + SETS, READ) == page) {
            drop(slot + SETS);
        }
        write(slot, page, host, mayWrite, isLocal);
    }

    private void write(int slot, long page, long host, boolean mayWrite, boolean isLocal) {
        put(slot, WRITE, emptyPage(slot));
        local.set(slot, isLocal);
        hosts[slot] = host;
        put(slot, READ, page);
        put(slot, HOST, host);
        put(slot, DISTANCE, host - page);
        put(slot, WRITE, mayWrite ? page : emptyPage(slot));
        if (mayWrite) {
            writable.add(host);
        }
    }

    /** Puts a page into the first way that is in the second and allows an access; tells whether it was. */
    synchronized boolean promote(long page, boolean store) {
        left.set(JAVA_INT, 0, FOUND);
        int slot = set(page);
        if (get(slot + SETS, store ? WRITE : READ) != page) {
            return false;
        }
        enter(page, hosts[slot + SETS], get(slot + SETS, WRITE) == page, local.contains(slot + SETS));
        return true;
    }

    private void drop(int slot) {
        put(slot, READ, emptyPage(slot));
        put(slot, WRITE, emptyPage(slot));
    }

    /** Forgets the page of an address, and what is in the same set. */
    void dropPage(long address) {
        drop(set(address));
        drop(set(address) + SETS);
    }

    /** Forgets all pages. */
    synchronized void flush() {
        if (used) {
            first.fill((byte) 0);
            second.fill((byte) 0);
            dropPage(0);
            local.clear();
            writable.clear();
            used = false;
        }
    }

    /** Forgets the pages that were entered as local. */
    void flushLocal() {
        local.drain(this::drop);
    }

    /** Withdraws all permissions to write. */
    void flushWrites() {
        for (int slot = 0; slot < 2 * SETS; slot++) {
            put(slot, WRITE, emptyPage(slot));
        }
    }

    /** Withdraws the permission to write a page at this host address, by any thread; tells whether there was one. */
    synchronized boolean revokeWrite(long host) {
        boolean found = false;
        if (!writable.mayContain(host)) {
            return false;
        }
        for (int slot = 0; slot < 2 * SETS; slot++) {
            if (hosts[slot] == host && get(slot, WRITE) != emptyPage(slot)) {
                put(slot, WRITE, emptyPage(slot));
                found = true;
            }
        }
        return found;
    }
}
