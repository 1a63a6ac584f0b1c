package org.torte.base;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Instant;

/** The host's monotonic and wall clocks. */
enum SystemClock implements Clock {
    INSTANCE;

    private static final MemorySegment AHEAD = Arena.global().allocate(8, 8).asReadOnly();

    @Override
    public long nanos() {
        return System.nanoTime();
    }

    @Override
    public Instant wallTime() {
        return Instant.now();
    }

    @Override
    public MemorySegment ahead() {
        return AHEAD;
    }
}
