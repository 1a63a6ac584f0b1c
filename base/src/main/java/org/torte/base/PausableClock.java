package org.torte.base;

import java.time.Instant;

/**
 * The clock of one virtual machine: it follows a host clock while the machine runs, stands still while it does not, and
 * goes on from a saved value after a restore, so that deadlines in saved state stay valid. It starts at zero, standing.
 * The wall clock is the host's at all times. Safe for use by several threads.
 */
public final class PausableClock implements Clock {
    /** Running: machine time is host time minus {@code base}. Standing: machine time is {@code base}. */
    private record Mode(boolean running, long base) {}

    private final Clock host;
    private volatile Mode mode = new Mode(false, 0);

    /** A clock that takes its pace from {@code host}. */
    public PausableClock(Clock host) {
        this.host = host;
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
            mode = new Mode(true, host.nanos() - now.base);
        }
    }

    /** Makes it stand still. Does nothing when it stands already. */
    public synchronized void pause() {
        if (mode.running) {
            mode = new Mode(false, nanos());
        }
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
