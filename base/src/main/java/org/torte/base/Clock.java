package org.torte.base;

import java.lang.foreign.MemorySegment;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** Where a virtual machine gets its time from. Implementations are safe for use by several threads. */
public interface Clock {
    /** In {@link #ahead}: it cannot be told now; ask {@link #nanos}. */
    long NOT_NOW = Long.MIN_VALUE;

    /**
     * Nanoseconds since an arbitrary origin. It never goes back and does not follow changes of the wall clock.
     */
    long nanos();

    /** The wall-clock time. */
    Instant wallTime();

    /**
     * For machine code that reads the time by itself: an aligned long outside the heap, there as long as the clock is, which
     * says how far {@link #nanos} is ahead of {@link System#nanoTime}, or {@link #NOT_NOW}. Whoever finds it the same before
     * and after having read the latter has read this clock. Null for a clock that does not follow that one.
     */
    default @Nullable MemorySegment ahead() {
        return null;
    }

    /** The host's clocks. */
    static Clock system() {
        return SystemClock.INSTANCE;
    }
}
