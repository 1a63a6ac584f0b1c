package org.torte.base;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A binary heap of timers, the earliest deadline first, ties by age. For one thread at a time. */
final class TimerHeap {
    /** What sits in the heap. */
    abstract static class Entry implements Timers.Timer {
        private static final int OUTSIDE = -1;

        final Runnable callback;
        private int place = OUTSIDE;
        private long deadline;
        private long sequence;

        Entry(Runnable callback) {
            this.callback = callback;
        }

        long deadline() {
            return deadline;
        }
    }

    private Entry[] entries = new Entry[16];
    private int size;
    private long nextSequence;

    /** The earliest entry, if any. */
    @Nullable
    Entry first() {
        return size == 0 ? null : entries[0];
    }

    /** Takes the earliest entry out when its deadline is at or before {@code now}. */
    @Nullable
    Entry takeDue(long now) {
        if (size == 0 || entries[0].deadline > now) {
            return null;
        }
        Entry due = entries[0];
        remove(due);
        return due;
    }

    /** Puts an entry in, or moves it when it is there. */
    void put(Entry entry, long deadline) {
        if (entry.place == Entry.OUTSIDE) {
            if (size == entries.length) {
                entries = Arrays.copyOf(entries, 2 * size);
            }
            entry.place = size++;
            entries[entry.place] = entry;
        }
        entry.deadline = deadline;
        entry.sequence = nextSequence++;
        siftDown(siftUp(entry.place));
    }

    /** Takes an entry out, if it is in. */
    void remove(Entry entry) {
        int hole = entry.place;
        if (hole == Entry.OUTSIDE) {
            return;
        }
        entry.place = Entry.OUTSIDE;
        Entry last = entries[--size];
        if (hole != size) {
            entries[hole] = last;
            last.place = hole;
            siftDown(siftUp(hole));
        }
    }

    private static boolean before(Entry a, Entry b) {
        return a.deadline < b.deadline || a.deadline == b.deadline && a.sequence < b.sequence;
    }

    private int siftUp(int from) {
        int place = from;
        while (place > 0 && before(entries[place], entries[(place - 1) / 2])) {
            swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        return place;
    }

    private void siftDown(int from) {
        int place = from;
        while (true) {
            int child = 2 * place + 1;
            if (child + 1 < size && before(entries[child + 1], entries[child])) {
                child++;
            }
            if (child >= size || !before(entries[child], entries[place])) {
                return;
            }
            swap(place, child);
            place = child;
        }
    }

    private void swap(int a, int b) {
        Entry entry = entries[a];
        entries[a] = entries[b];
        entries[b] = entry;
        entries[a].place = a;
        entries[b].place = b;
    }
}
