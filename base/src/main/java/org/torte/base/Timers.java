package org.torte.base;

/**
 * One-shot timers on a {@link Clock}. A callback runs on the timer thread of its machine, must be short and must not
 * block; it may arm timers, its own included.
 */
public interface Timers {
    /** Makes a timer, not armed. */
    Timer create(Runnable callback);

    /** The clock whose nanoseconds deadlines are given in. */
    Clock clock();

    /** A timer that fires at most once per arming. Safe for use by several threads. */
    interface Timer {
        /**
         * Fires the callback when {@link Clock#nanos()} reaches {@code deadlineNanos} (at once when it has passed),
         * instead of any earlier arming.
         */
        void arm(long deadlineNanos);

        /** Disarms. A callback that has just begun may still be running on return. */
        void cancel();
    }
}
