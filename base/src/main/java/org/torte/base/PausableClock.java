package org.torte.base;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * The clock of one virtual machine: it follows a host clock while the machine runs, stands still while it does not, and
 * goes on from a saved value after a restore, so that deadlines in saved state stay valid. It starts at zero, standing.
 * The wall clock is the host's at all times. Safe for use by several threads.
 */
public final class PausableClock implements Clock {
    /** Running: machine time is host time minus {@code base}. Standing: machine time is {@code base}. */
    private record Mode(boolean running, long base) {}

    private static final VarHandle AHEAD = JAVA_LONG.varHandle();

    private final Clock host;
    private final MemorySegment ahead = Arena.ofAuto().allocate(8, 8);
    private volatile Mode mode = new Mode(false, 0);

    /** A clock that takes its pace from {@code host}. */
    public PausableClock(Clock host) {
        this.host = host;
        setAhead(NOT_NOW);
    }

    @Override
    public long nanos() {
        Mode now = mode;
        return now.running ? host.nanos() - now.base : now.base;
    }

    @Override
    public Instant wallTime() {
        return host.wallTime();
    }

    /** Lets it run. Does nothing when it runs already. */
    public synchronized void resume() {
        Mode now = mode;
        if (!now.running) {
            long base = host.nanos() - now.base;
            mode = new Mode(true, base);
            setAhead(-base);
        }
    }

    /** Makes it stand still. Does nothing when it stands already. */
    public synchronized void pause() {
        if (mode.running) {
            // First, so that nobody reads by it what is later than the time at which the clock stands.
            setAhead(NOT_NOW);
            mode = new Mode(false, nanos());
        }
    }

    private void setAhead(long nanos) {
        AHEAD.setVolatile(ahead, 0L, nanos);
    }

    @Override
    public @Nullable MemorySegment ahead() {
        return host == SystemClock.INSTANCE ? ahead : null;
    }

    /**
     * Sets the time of a standing clock.
     *
     * @throws IllegalStateException while it runs
     */
    public synchronized void set(long nanos) {
        if (mode.running) {
            throw new IllegalStateException("a running clock cannot be set");
        }
        mode = new Mode(false, nanos);
    }
}
