package org.torte.hypervisor.software;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * The timer of a local APIC (Intel SDM vol. 3, section 12.5.4): counts down once or periodically at
 * {@link #FREQUENCY} divided, or fires when the time-stamp counter reaches a deadline. The count is computed when read.
 * Registers are accessed by the processor's thread, expiry runs on the timer thread; one short lock keeps them apart.
 */
final class ApicTimer {
    /** Input of the divider in Hz, the same as KVM's, so that a machine may move between back-ends. */
    static final long FREQUENCY = 1_000_000_000L;

    /**
     * Periodic expiries closer together than this come late, in nanoseconds: a guest must not keep the machine's timer
     * thread busy. The count that a guest reads is exact nevertheless.
     */
    static final long MIN_PERIOD = 50_000;

    /** Modes, as in bits 17 and 18 of the timer's LVT entry. */
    static final int ONE_SHOT = 0, PERIODIC = 1, TSC_DEADLINE = 2;

    private static final long NEVER = Long.MAX_VALUE;

    private final Timers timers;
    private final TimeStampCounter tsc;
    private final Runnable expired;
    private final Timers.Timer timer;

    private int mode;
    private int initialCount;
    private int divideConfiguration;

    /** When the count that runs now began, in nanoseconds. */
    private long start;

    /** IA32_TSC_DEADLINE, 0 when not armed. */
    private long tscDeadline;

    /** When the guest is owed the next expiry, in nanoseconds, or {@link #NEVER}. */
    private long due = NEVER;

    /** What the host timer is armed for; it is left alone when it fires early enough anyway. */
    private long armed = NEVER;

    /**
     * A stopped timer.
     *
     * @param expired what expiry does, called on the timer thread or on that of the processor, without locks
     */
    ApicTimer(Timers timers, TimeStampCounter tsc, Runnable expired) {
        this.timers = timers;
        this.tsc = tsc;
        this.expired = expired;
        timer = timers.create(this::fired);
    }

    /** The mode as it is written to the LVT entry. Switching to or from TSC-deadline mode disarms. */
    synchronized void setMode(int newMode) {
        if (newMode == mode) {
            return;
        }
        boolean deadlineInvolved = newMode == TSC_DEADLINE || mode == TSC_DEADLINE;
        long remaining = deadlineInvolved ? 0 : currentCount();
        mode = newMode;
        if (deadlineInvolved) {
            stop();
        } else if (remaining == 0) {
            due = NEVER;
        }
    }

    synchronized int initialCount() {
        return initialCount;
    }

    /** Starts the count; 0 stops it. Ignored in TSC-deadline mode. */
    synchronized void setInitialCount(int count) {
        if (mode == TSC_DEADLINE) {
            return;
        }
        initialCount = count;
        start = timers.clock().nanos();
        schedule(count == 0 ? NEVER : start + duration());
    }

    /** The count now, 0 when stopped, expired or in TSC-deadline mode. */
    synchronized int currentCount() {
        if (mode == TSC_DEADLINE || initialCount == 0) {
            return 0;
        }
        long elapsed = timers.clock().nanos() - start;
        long total = duration();
        if (elapsed >= total) {
            if (mode == ONE_SHOT || due == NEVER) {
                return 0;
            }
            elapsed %= total;
        }
        return (int) ((total - elapsed + divider() - 1) / divider());
    }

    synchronized int divideConfiguration() {
        return divideConfiguration;
    }

    /** Bits 0, 1 and 3 choose the divider; a running count goes on from its present value. */
    synchronized void setDivideConfiguration(int value) {
        int remaining = currentCount();
        boolean running = due != NEVER && mode != TSC_DEADLINE;
        divideConfiguration = value & 0xb;
        if (running) {
            long left = Integer.toUnsignedLong(remaining) * divider();
            long now = timers.clock().nanos();
            start = now + left - duration();
            schedule(now + left);
        }
    }

    synchronized long tscDeadline() {
        return mode == TSC_DEADLINE ? tscDeadline : 0;
    }

    /** Arms for a value of the time-stamp counter; 0 disarms. Ignored outside TSC-deadline mode. */
    void setTscDeadline(long deadline) {
        synchronized (this) {
            if (mode != TSC_DEADLINE) {
                return;
            }
            tscDeadline = deadline;
            if (deadline == 0) {
                due = NEVER;
                return;
            }
            if (Long.compareUnsigned(deadline, tsc.read()) > 0) {
                schedule(tsc.nanosAt(deadline));
                return;
            }
            tscDeadline = 0;
            due = NEVER;
        }
        expired.run();
    }

    /** Recomputes the deadline after the time-stamp counter was written. */
    void tscChanged() {
        long deadline = tscDeadline();
        if (deadline != 0) {
            setTscDeadline(deadline);
        }
    }

    synchronized void reset() {
        mode = ONE_SHOT;
        divideConfiguration = 0;
        stop();
    }

    private void stop() {
        initialCount = 0;
        tscDeadline = 0;
        due = NEVER;
    }

    private long divider() {
        int code = divideConfiguration & 3 | divideConfiguration >> 1 & 4;
        return 1L << (code + 1 & 7);
    }

    private long duration() {
        return Integer.toUnsignedLong(initialCount) * divider();
    }

    /** A host timer that fires too early is cheaper than one that is moved on every tick of the guest. */
    private void schedule(long deadline) {
        due = deadline;
        if (deadline < armed) {
            armed = deadline;
            timer.arm(deadline);
        }
    }

    private void fired() {
        synchronized (this) {
            armed = NEVER;
            if (due == NEVER) {
                return;
            }
            long now = timers.clock().nanos();
            if (mode == TSC_DEADLINE ? Long.compareUnsigned(tsc.at(now), tscDeadline) < 0 : now < due) {
                schedule(mode == TSC_DEADLINE ? tsc.nanosAt(tscDeadline) : due);
                return;
            }
            due = NEVER;
            if (mode == PERIODIC) {
                long period = duration();
                start += (now - start) / period * period;
                schedule(Math.max(start + period, now + MIN_PERIOD));
            } else if (mode == TSC_DEADLINE) {
                tscDeadline = 0;
            }
        }
        expired.run();
    }

    /** Writes the registers; how far a count has come is written in nanoseconds. */
    synchronized void save(StateOutput out) {
        out.putInt(initialCount).putInt(divideConfiguration).putLong(tscDeadline);
        out.putBoolean(due != NEVER).putLong(due == NEVER ? 0 : timers.clock().nanos() - start);
    }

    /** Reads what {@link #save} wrote; the time-stamp counter must have been restored before. */
    synchronized void restore(StateInput in, int savedMode) {
        reset();
        mode = savedMode;
        initialCount = in.getInt();
        divideConfiguration = in.getInt() & 0xb;
        tscDeadline = in.getLong();
        boolean running = in.getBoolean();
        long elapsed = in.getLong();
        in.check(elapsed >= 0, "a timer has run for a negative time");
        long now = timers.clock().nanos();
        start = now - elapsed;
        if (mode == TSC_DEADLINE) {
            schedule(tscDeadline == 0 ? NEVER : tsc.nanosAt(tscDeadline));
        } else if (running && initialCount != 0) {
            long total = duration();
            schedule(mode == PERIODIC ? start + (elapsed / total + 1) * total : start + total);
        }
    }
}
