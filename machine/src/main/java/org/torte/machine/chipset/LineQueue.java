package org.torte.machine.chipset;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/** A bounded queue of 16-bit elements. The caller checks for room and for emptiness. */
final class LineQueue {
    private final char[] elements;
    private int first;
    private int size;

    LineQueue(int capacity) {
        elements = new char[capacity];
    }

    boolean isEmpty() {
        return size == 0;
    }

    int size() {
        return size;
    }

    void clear() {
        size = 0;
    }

    void add(int value) {
        elements[(first + size++) % elements.length] = (char) value;
    }

    int peek() {
        return elements[first];
    }

    int take() {
        int value = elements[first];
        first = (first + 1) % elements.length;
        size--;
        return value;
    }

    void save(StateOutput state) {
        state.putInt(size);
        for (int i = 0; i < size; i++) {
            int value = elements[(first + i) % elements.length];
            state.putByte(value).putByte(value >>> 8);
        }
    }

    void restore(StateInput state) {
        int count = state.getInt();
        state.check(count >= 0 && count <= elements.length, "a queue of " + count + " elements");
        first = 0;
        size = 0;
        for (int i = 0; i < count; i++) {
            add(state.getByte() | state.getByte() << 8);
        }
    }
}
