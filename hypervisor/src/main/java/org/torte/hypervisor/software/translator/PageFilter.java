package org.torte.hypervisor.software.translator;

/** Pages that were added, and a few that were not: it may say too often that it has one. Not safe for several threads. */
public final class PageFilter {
    private static final long GOLDEN_RATIO = 0x9e37_79b9_7f4a_7c15L;
    private static final int BITS = 16;

    private final SlotSet slots = new SlotSet(1 << BITS);
    private boolean used;

    private static int slot(long address) {
        return (int) ((address >>> 12) * GOLDEN_RATIO >>> Long.SIZE - BITS);
    }

    /** Adds the page of an address. */
    public void add(long address) {
        used = true;
        slots.set(slot(address), true);
    }

    /** Whether the page of an address may have been added since everything was cleared. */
    public boolean mayContain(long address) {
        return slots.contains(slot(address));
    }

    /** Forgets all pages. */
    public void clear() {
        if (used) {
            slots.clear();
            used = false;
        }
    }
}
