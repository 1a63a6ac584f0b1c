package org.torte.machine.hyperv;

import java.math.BigInteger;
import org.torte.base.Clock;

/**
 * The partition reference time in units of 100 ns since the last reset, and the factors by which guests get it from the
 * time-stamp counter, which starts at the same moment (TLFS, "Partition Reference Time Enlightenment"). Safe for several
 * threads.
 */
final class ReferenceClock {
    static final long NANOS_PER_UNIT = 100;
    private static final long UNITS_PER_SECOND = 10_000_000;

    private final Clock clock;
    private final long scale;
    private volatile long start;

    ReferenceClock(Clock clock, long tscFrequency) {
        this.clock = clock;
        scale = BigInteger.valueOf(UNITS_PER_SECOND)
                .shiftLeft(Long.SIZE)
                .divide(BigInteger.valueOf(tscFrequency))
                .longValue();
        start = clock.nanos();
    }

    /** The reference time. */
    long now() {
        return (clock.nanos() - start) / NANOS_PER_UNIT;
    }

    /** Units per tick of the time-stamp counter, as a fraction of 2^64. */
    long scale() {
        return scale;
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
