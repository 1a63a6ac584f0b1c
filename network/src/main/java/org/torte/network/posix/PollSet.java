package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A fixed number of descriptors that one thread waits for, by poll(2). */
public final class PollSet {
    private static final int EACH = 8, EVENTS = 4, HAPPENED = 6;

    private final MemorySegment table;
    private final int count;
    private final Posix.Errno errno;

    /** Waits for input on each. */
    public PollSet(Arena arena, int... descriptors) {
        count = descriptors.length;
        table = arena.allocate((long) EACH * count, EACH);
        errno = new Posix.Errno(arena);
        for (int i = 0; i < count; i++) {
            table.set(JAVA_INT, (long) EACH * i, descriptors[i]);
            table.set(JAVA_SHORT, (long) EACH * i + EVENTS, Posix.POLLIN);
        }
    }

    /** Waits for something else on one of them. */
    public void want(int index, short events) {
        table.set(JAVA_SHORT, (long) EACH * index + EVENTS, events);
    }

    /** Waits until one of them has something, at most so many milliseconds, or for ever if that is negative. */
    public void await(int timeoutMillis) {
        if (Posix.poll(errno, table, count, timeoutMillis) <= 0) {
            for (int i = 0; i < count; i++) {
                table.set(JAVA_SHORT, (long) EACH * i + HAPPENED, (short) 0);
            }
        }
    }

    /** Whether one of them had something, or is broken, when {@link #await} returned. */
    public boolean has(int index) {
        return table.get(JAVA_SHORT, (long) EACH * index + HAPPENED) != 0;
    }
}
