package org.torte.hypervisor.software.translator;

import java.util.Arrays;
import java.util.function.IntConsumer;

/** Which slots of a table hold something that is to be dropped together. Used by one thread. */
public final class SlotSet {
    private final long[] words;

    /** Which of those are not 0, so that a large set with few members is soon drained. */
    private final long[] used;

    /** An empty set of slots 0 to {@code slots} - 1, a multiple of 64. */
    public SlotSet(int slots) {
        words = new long[slots >> 6];
        used = new long[slots + 4095 >> 12];
    }

    /** Makes a slot a member, or no longer one. */
    public void set(int slot, boolean member) {
        int word = slot >> 6;
        if (member) {
            words[word] |= 1L << slot;
            used[word >> 6] |= 1L << word;
        } else {
            words[word] &= ~(1L << slot);
        }
    }

    public boolean contains(int slot) {
        return (words[slot >> 6] & 1L << slot) != 0;
    }

    public void clear() {
        Arrays.fill(words, 0);
        Arrays.fill(used, 0);
    }

    /** Passes every member on, lowest first, and removes it. */
    public void drain(IntConsumer action) {
        for (int i = 0; i < used.length; i++) {
            for (long some = used[i]; some != 0; some &= some - 1) {
                int at = i << 6 | Long.numberOfTrailingZeros(some);
                for (long word = words[at]; word != 0; word &= word - 1) {
                    action.accept(at << 6 | Long.numberOfTrailingZeros(word));
                }
                words[at] = 0;
            }
            used[i] = 0;
        }
    }
}
