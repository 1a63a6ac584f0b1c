package org.torte.base;

/**
 * Timers that fire only when told to: for tests and for runs that must be repeatable. For one thread, apart from arming
 * and cancelling, which any thread may do.
 */
public final class ManualTimers implements TimerDriver {
    private final Clock clock;
    private final TimerHeap heap = new TimerHeap();
    private boolean running;
    private boolean closed;

    /** Timers on {@code clock}. */
    public ManualTimers(Clock clock) {
        this.clock = clock;
    }

    @Override
    public Clock clock() {
        return clock;
    }

    @Override
    public Timer create(Runnable callback) {
        return new ManualTimer(callback);
    }

    /**
     * Fires, one after the other and earliest first, what is due now, timers armed by callbacks for now included. Does
     * nothing while paused.
     *
     * @return how many have fired
     */
    public int runDue() {
        int fired = 0;
        while (true) {
            TimerHeap.Entry due;
            synchronized (heap) {
                due = running && !closed ? heap.takeDue(clock.nanos()) : null;
            }
            if (due == null) {
                return fired;
            }
            due.callback.run();
            fired++;
        }
    }

    /** The earliest deadline, or {@link Long#MAX_VALUE} when no timer is armed. */
    public long nextDeadline() {
        synchronized (heap) {
            TimerHeap.Entry first = heap.first();
            return first == null ? Long.MAX_VALUE : first.deadline();
        }
    }

    @Override
    public void resume() {
        running = true;
    }

    @Override
    public void pause() {
        running = false;
    }

    @Override
    public void close() {
        closed = true;
    }

    private final class ManualTimer extends TimerHeap.Entry {
        ManualTimer(Runnable callback) {
            super(callback);
        }

        @Override
        public void arm(long deadlineNanos) {
            synchronized (heap) {
                heap.put(this, deadlineNanos);
            }
        }

        @Override
        public void cancel() {
            synchronized (heap) {
                heap.remove(this);
            }
        }
    }
}
