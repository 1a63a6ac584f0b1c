package org.torte.machine.hyperv;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * One synthetic timer (TLFS, "Synthetic Timers"). Counts are in units of 100 ns: a point of the reference time for
 * one-shot timers, a period for periodic ones. Called with the lock of its interrupt controller.
 *
 * <p>A periodic timer that is late catches up by firing at once; a lazy one leaves out what it missed. Both leave out
 * what would come while their last message has not been delivered, and never fire more often than every 20 us.
 */
final class SyntheticTimer {
    private static final long ENABLED = 1, PERIODIC = 1 << 1, LAZY = 1 << 2, ENABLED_BY_COUNT = 1 << 3;
    private static final long DIRECT = 1 << 12;
    private static final long CONFIGURATION_BITS = 0xf_1fff;
    private static final int FIRST_VECTOR = 16;
    private static final int MESSAGE_TYPE = 0x8000_0010;

    /** Messages in line for the same synthetic interrupt beyond which a timer waits. */
    private static final int MOST_WAITING = 8;

    /** In units of the reference time. */
    private static final long SHORTEST_PERIOD = 200, MOST_TO_CATCH_UP = 10_000_000;

    private final int number;
    private final SyntheticInterrupts owner;
    private final Timers.Timer alarm;
    private final ReferenceClock time;

    private long configuration;
    private long count;
    /** When it fires next, in reference time; means something only while it is enabled. */
    private long due;
    /** It has fired, and its message found no room. */
    private boolean held;

    SyntheticTimer(int number, SyntheticInterrupts owner, Timers hostTimers, ReferenceClock time) {
        this.number = number;
        this.owner = owner;
        this.time = time;
        alarm = hostTimers.create(this::ring);
    }

    long configuration() {
        return configuration;
    }

    long count() {
        return count;
    }

    void configure(long value) {
        boolean wasEnabled = enabled();
        configuration = value & CONFIGURATION_BITS;
        if (enabled() && (count == 0 || !hasTarget())) {
            configuration &= ~ENABLED;
        }
        if (!enabled()) {
            stop();
        } else if (!wasEnabled) {
            begin();
        }
    }

    void setCount(long value) {
        count = value;
        if (value == 0) {
            configuration &= ~ENABLED;
            stop();
            return;
        }
        if ((configuration & ENABLED_BY_COUNT) != 0 && hasTarget()) {
            configuration |= ENABLED;
        }
        if (enabled()) {
            begin();
        }
    }

    private boolean enabled() {
        return (configuration & ENABLED) != 0;
    }

    private boolean periodic() {
        return (configuration & PERIODIC) != 0;
    }

    /** Whether it has somewhere to fire: a vector, or a synthetic interrupt other than 0. */
    private boolean hasTarget() {
        return (configuration & DIRECT) != 0 ? vector() >= FIRST_VECTOR : source() != 0;
    }

    private int vector() {
        return (int) (configuration >>> 4) & 0xff;
    }

    private int source() {
        return (int) (configuration >>> 16) & 15;
    }

    private void begin() {
        held = false;
        due = periodic() ? later(time.now(), Math.max(count, SHORTEST_PERIOD)) : count;
        arm(due);
    }

    /** Has the host's timer ring when it is due, but not before {@code earliest}. */
    private void arm(long earliest) {
        long nanos = due < 0 ? Long.MAX_VALUE : time.nanosAt(Math.max(due, earliest));
        if (nanos == Long.MAX_VALUE) {
            alarm.cancel();
        } else {
            alarm.arm(nanos);
        }
    }

    private void stop() {
        held = false;
        alarm.cancel();
    }

    /** The host's timer has run out. */
    private void ring() {
        synchronized (owner) {
            long now = time.now();
            if (enabled() && !held && due >= 0 && due <= now) {
                fire(now);
            }
        }
    }

    private void fire(long now) {
        if ((configuration & DIRECT) != 0) {
            owner.interrupt(vector());
        } else if (owner.room(source()) < SyntheticInterrupts.MAX_WAITING - MOST_WAITING) {
            held = true;
            return;
        } else {
            byte[] payload = new byte[24];
            ByteBuffer.wrap(payload)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(number)
                    .putInt(0)
                    .putLong(due)
                    .putLong(now);
            owner.post(source(), MESSAGE_TYPE, payload);
        }
        if (!periodic()) {
            configuration &= ~ENABLED;
            return;
        }
        long period = Math.max(count, SHORTEST_PERIOD);
        long next = later(due, period);
        boolean skip = (configuration & LAZY) != 0 || now - next > MOST_TO_CATCH_UP;
        if (next <= now && skip) {
            next = later(now, period - (now - due) % period);
        }
        due = next;
        arm(later(now, SHORTEST_PERIOD / 2));
    }

    private static long later(long from, long by) {
        long sum = from + by;
        return by < 0 || sum < 0 ? Long.MAX_VALUE : sum;
    }

    /** The guest has taken messages: what was held back may go. */
    void messagesMoved() {
        if (held && enabled()) {
            held = false;
            fire(time.now());
        }
    }

    void reset() {
        configuration = 0;
        count = 0;
        due = 0;
        stop();
    }

    void save(StateOutput state) {
        state.putLong(configuration).putLong(count).putLong(due).putBoolean(held);
    }

    void restore(StateInput state) {
        configuration = state.getLong() & CONFIGURATION_BITS;
        count = state.getLong();
        due = state.getLong();
        held = state.getBoolean();
        state.check(!enabled() || count != 0 && hasTarget(), "a synthetic timer runs without a target");
        if (enabled()) {
            arm(due);
        } else {
            alarm.cancel();
        }
    }
}
