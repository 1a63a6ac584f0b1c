package org.torte.hypervisor.software;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.torte.base.Clock;
import org.torte.base.ManualClock;
import org.torte.base.Timers;

/** Timers that fire on the caller's thread, in order, while {@link #advance} moves the clock. */
final class ManualTimers implements Timers {
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final Clock shown;
    private final List<Armed> timers = new ArrayList<>();

    /** How many times a timer fired. */
    int fired;

    /** How many times a timer was armed. */
    int armings;

    ManualTimers() {
        shown = clock;
    }

    /** What asks for the clock gets this one. */
    ManualTimers(Clock shown) {
        this.shown = shown;
    }

    @Override
    public Timer create(Runnable callback) {
        Armed timer = new Armed(callback);
        timers.add(timer);
        return timer;
    }

    @Override
    public Clock clock() {
        return shown;
    }

    /** Moves the clock, stopping at each deadline on the way. */
    void advance(long nanos) {
        long end = clock.nanos() + nanos;
        while (true) {
            Armed next = timers.stream()
                    .min(Comparator.comparingLong(t -> t.deadline))
                    .orElse(null);
            if (next == null || next.deadline > end) {
                clock.advance(end - clock.nanos());
                return;
            }
            clock.advance(Math.max(0, next.deadline - clock.nanos()));
            next.deadline = Long.MAX_VALUE;
            fired++;
            next.callback.run();
        }
    }

    private final class Armed implements Timer {
        private final Runnable callback;
        private long deadline = Long.MAX_VALUE;

        Armed(Runnable callback) {
            this.callback = callback;
        }

        @Override
        public void arm(long deadlineNanos) {
            armings++;
            deadline = deadlineNanos;
        }

        @Override
        public void cancel() {
            deadline = Long.MAX_VALUE;
        }
    }
}
