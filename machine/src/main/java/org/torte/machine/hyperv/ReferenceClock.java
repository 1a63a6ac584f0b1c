package org.torte.machine.hyperv;

import org.torte.base.Clock;

/**
 * The partition reference time in units of 100 ns since the last reset (TLFS, "Partition Reference Time Enlightenment"). Safe for several
 * threads.
 */
final class ReferenceClock {
    static final long NANOS_PER_UNIT = 100;

    private final Clock clock;
    private volatile long start;

    ReferenceClock(Clock clock) {
        this.clock = clock;
        start = clock.nanos();
    }

    /** The reference time. */
    long now() {
        return (clock.nanos() - start) / NANOS_PER_UNIT;
    }

    /** The machine's clock, in nanoseconds. */
    long nanos() {
        return clock.nanos();
    }

    /** When the machine's clock will show this reference time, in its nanoseconds; the end of time if it never will. */
    long nanosAt(long units) {
        return units < 0 || units > (Long.MAX_VALUE - start) / NANOS_PER_UNIT
                ? Long.MAX_VALUE
                : start + units * NANOS_PER_UNIT;
    }

    void restart() {
        start = clock.nanos();
    }

    long start() {
        return start;
    }

    void restore(long saved) {
        start = saved;
    }
}
