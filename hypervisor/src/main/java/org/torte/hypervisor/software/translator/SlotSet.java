package org.torte.hypervisor.software.translator;

import java.util.Arrays;
import java.util.function.IntConsumer;

/** Which slots of a table hold something that is to be dropped together. Used by one thread. */
public final class SlotSet {
    private final long[] words;

    /** An empty set of slots 0 to {@code slots} - 1, a multiple of 64. */
    public SlotSet(int slots) {
        words = new long[slots >> 6];
    }

    /** Makes a slot a member, or no longer one. */
    public void set(int slot, boolean member) {
        if (member) {
            words[slot >> 6] |= 1L << slot;
        } else {
            words[slot >> 6] &= ~(1L << slot);
        }
    }

    public boolean contains(int slot) {
        return (words[slot >> 6] & 1L << slot) != 0;
    }

    public void clear() {
        Arrays.fill(words, 0);
    }

    /** Passes every member on, lowest first, and removes it. */
    public void drain(IntConsumer action) {
        for (int i = 0; i < words.length; i++) {
            for (long word = words[i]; word != 0; word &= word - 1) {
                action.accept(i << 6 | Long.numberOfTrailingZeros(word));
            }
            words[i] = 0;
        }
    }
}
