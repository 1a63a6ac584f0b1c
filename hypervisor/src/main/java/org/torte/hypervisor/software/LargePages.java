package org.torte.hypervisor.software;

import org.torte.hypervisor.software.translator.SlotSet;

/**
 * Where one processor has met pages larger than 4 KiB since its TLBs were last emptied. The TLBs hold pieces of 4 KiB only,
 * and INVLPG anywhere in a large page must drop all of its pieces (SDM vol. 3, section 4.10.4.1). Elsewhere, which is
 * nearly always, one piece is enough. Used by the processor's thread alone.
 */
final class LargePages {
    private static final int SLOTS = 4096;
    private static final int SMALLEST = 21, LARGEST = 30;

    // By linear address; different pages may share a slot, which then answers for all of them.
    private final SlotSet smallest = new SlotSet(SLOTS);
    private final SlotSet largest = new SlotSet(SLOTS);
    private boolean empty = true;

    /** A translation of this linear address came from a page of 2^{@code shift} bytes: 21, 22 or 30. */
    void saw(long address, int shift) {
        empty = false;
        if (shift == LARGEST) {
            largest.set(slot(address, LARGEST), true);
        } else {
            long page = address & -1L << shift;
            smallest.set(slot(page, SMALLEST), true);
            smallest.set(slot(page + (1L << shift) - 1, SMALLEST), true);
        }
    }

    /** Whether a large page may be there. */
    boolean at(long address) {
        return !empty && (smallest.contains(slot(address, SMALLEST)) || largest.contains(slot(address, LARGEST)));
    }

    /** The TLBs have been emptied. */
    void clear() {
        if (!empty) {
            smallest.clear();
            largest.clear();
            empty = true;
        }
    }

    private static int slot(long address, int shift) {
        return (int) (address >>> shift) & SLOTS - 1;
    }
}
