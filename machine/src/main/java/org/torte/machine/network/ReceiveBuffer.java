package org.torte.machine.network;

import java.util.Arrays;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The places of the buffer that the guest has given for what comes to it. The places of one packet are a group, which the
 * guest gives back as a whole, by the number of the first one. Not for several threads.
 */
final class ReceiveBuffer {
    /** The most places; a larger buffer is not used to its end. */
    static final int MAX_PLACES = 8192;

    private static final int END = -1, FREE = -2;

    private final int handle;
    private final int id;
    private final int placeSize;
    /** The next place of the group, {@link #END}, or {@link #FREE}. */
    private final int[] next;
    /** How many bytes of a place that is taken are used. */
    private final int[] used;
    /** Of the first place of a group that the guest has: not 0. */
    private final boolean[] first;

    private final int[] free;
    private int freeCount;

    /**
     * All places free.
     *
     * @param handle what the guest calls the memory
     * @param id what packets call it
     */
    ReceiveBuffer(int handle, int id, int placeSize, int count) {
        this.handle = handle;
        this.id = id;
        this.placeSize = placeSize;
        next = new int[count];
        used = new int[count];
        first = new boolean[count];
        free = new int[count];
        Arrays.fill(next, FREE);
        for (int i = 0; i < count; i++) {
            free[i] = count - 1 - i;
        }
        freeCount = count;
    }

    int handle() {
        return handle;
    }

    int id() {
        return id;
    }

    int placeSize() {
        return placeSize;
    }

    int places() {
        return next.length;
    }

    int freePlaces() {
        return freeCount;
    }

    /** Takes a free place, which must be there, as the last of a group whose last place so far is {@code last}, or -1. */
    int take(int last, int bytes) {
        int place = free[--freeCount];
        next[place] = END;
        used[place] = bytes;
        if (last >= 0) {
            next[last] = place;
        }
        return place;
    }

    /** Where a place begins in the buffer. */
    int offset(int place) {
        return place * placeSize;
    }

    int used(int place) {
        return used[place];
    }

    /** The place after this one in its group, or -1. */
    int after(int place) {
        return next[place];
    }

    /** The guest has a group now. */
    void given(int firstPlace) {
        first[firstPlace] = true;
    }

    /** The guest gives a group back; false when it does not have it. */
    boolean giveBack(long number) {
        if (number < 0 || number >= next.length || !first[(int) number]) {
            return false;
        }
        first[(int) number] = false;
        for (int place = (int) number; place != END; ) {
            int after = next[place];
            next[place] = FREE;
            free[freeCount++] = place;
            place = after;
        }
        return true;
    }

    /** Whether a group of at most so many places begins here that the guest does not have. */
    boolean isGroup(int firstPlace, int most) {
        if (firstPlace < 0 || firstPlace >= next.length || next[firstPlace] == FREE || first[firstPlace]) {
            return false;
        }
        int count = 1;
        for (int place = next[firstPlace]; place != END && count <= most; place = next[place]) {
            count++;
        }
        return count <= most;
    }

    void save(StateOutput state) {
        state.putInt(handle)
                .putInt(id)
                .putInt(placeSize)
                .putInt(next.length)
                .putInts(next)
                .putInts(used);
        for (boolean head : first) {
            state.putBoolean(head);
        }
    }

    /** Reads what {@link #save} wrote. */
    static ReceiveBuffer restore(StateInput state) {
        int handle = state.getInt();
        int id = state.getInt();
        int size = state.getInt();
        int count = state.getInt();
        state.check(
                count > 0 && count <= MAX_PLACES && size > 0 && (long) size * count <= Integer.MAX_VALUE,
                "a receive buffer of " + count + " places of " + size + " bytes");
        ReceiveBuffer buffer = new ReceiveBuffer(handle, id, size, count);
        state.getInts(buffer.next);
        state.getInts(buffer.used);
        boolean[] reached = new boolean[count];
        buffer.freeCount = 0;
        for (int i = 0; i < count; i++) {
            int after = buffer.next[i];
            state.check(after >= FREE && after < count, "place " + i + " comes before " + after);
            if (after >= 0) {
                state.check(!reached[after] && buffer.next[after] != FREE, "place " + after + " is taken twice");
                reached[after] = true;
            }
            state.check(buffer.used[i] >= 0 && buffer.used[i] <= size, "place " + i + " is used beyond its end");
            buffer.first[i] = state.getBoolean();
        }
        for (int i = count - 1; i >= 0; i--) {
            state.check(
                    !buffer.first[i] || buffer.next[i] != FREE && !reached[i], "the group of place " + i + " is none");
            if (buffer.next[i] == FREE) {
                buffer.free[buffer.freeCount++] = i;
            }
        }
        return buffer;
    }
}
