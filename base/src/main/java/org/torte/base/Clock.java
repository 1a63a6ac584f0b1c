package org.torte.base;

import java.time.Instant;

/** Where a virtual machine gets its time from. Implementations are safe for use by several threads. */
public interface Clock {
    /**
     * Nanoseconds since an arbitrary origin. It never goes back and does not follow changes of the wall clock.
     */
    long nanos();

    /** The wall-clock time. */
    Instant wallTime();

    /** The host's clocks. */
    static Clock system() {
        return SystemClock.INSTANCE;
    }
}
