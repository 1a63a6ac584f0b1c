package org.torte.base;

import java.time.Instant;
import java.util.concurrent.atomic.AtomicLong;

/** A clock that moves only when told to: for tests and for runs that must be repeatable. Safe for several threads. */
public final class ManualClock implements Clock {
    private final Instant epoch;
    private final AtomicLong nanos = new AtomicLong();

    /** A clock that shows {@code epoch} as wall time at zero nanoseconds. */
    public ManualClock(Instant epoch) {
        this.epoch = epoch;
    }

    /** Moves the clock ahead by {@code by} nanoseconds, which must not be negative. */
    public void advance(long by) {
        if (by < 0) {
            throw new IllegalArgumentException("time does not go back: " + by + " ns");
        }
        nanos.addAndGet(by);
    }

    @Override
    public long nanos() {
        return nanos.get();
    }

    @Override
    public Instant wallTime() {
        return epoch.plusNanos(nanos.get());
    }
}
