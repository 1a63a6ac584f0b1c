package org.torte.hypervisor.software;

import org.torte.base.Clock;
import org.torte.hypervisor.software.translator.Translator;

/**
 * The time-stamp counter of one processor: the machine's clock scaled to the counter's frequency, plus an offset that
 * writes to IA32_TIME_STAMP_COUNTER and IA32_TSC_ADJUST move (Intel SDM vol. 3, section 19.17). Written by the
 * processor's own thread; may be read by any.
 */
final class TimeStampCounter {
    private static final int SHIFT = Translator.TICKS_SHIFT;
    private static final long NANOS_PER_SECOND = 1_000_000_000L;

    final Clock clock;
    private final long frequency;

    /** Ticks per nanosecond with {@link #SHIFT} fraction bits: 2^46 to 2^63 for 1 MHz to 100 GHz. */
    final long ratio;

    private volatile long offset;
    private volatile long adjust;

    /**
     * A counter that shows 0 when the clock does.
     *
     * @param clock where time comes from
     * @param frequency ticks per second, 1 MHz to 100 GHz
     */
    TimeStampCounter(Clock clock, long frequency) {
        this.clock = clock;
        this.frequency = frequency;
        ratio = ((frequency / NANOS_PER_SECOND) << SHIFT) + fraction(frequency % NANOS_PER_SECOND);
    }

    private static long fraction(long remainder) {
        return java.math.BigInteger.valueOf(remainder)
                .shiftLeft(SHIFT)
                .divide(java.math.BigInteger.valueOf(NANOS_PER_SECOND))
                .longValueExact();
    }

    /** Ticks per second. */
    long frequency() {
        return frequency;
    }

    /** What it is ahead of the clock in ticks. */
    long offset() {
        return offset;
    }

    /** What RDTSC shows now. */
    long read() {
        return ticks(clock.nanos()) + offset;
    }

    /** What RDTSC shows when the clock shows {@code nanos}. */
    long at(long nanos) {
        return ticks(nanos) + offset;
    }

    /**
     * The first moment, in nanoseconds of the clock, at which the counter has reached {@code value}; the end of time when
     * that is centuries ahead. Values are unsigned.
     */
    long nanosAt(long value) {
        long now = clock.nanos();
        long ticks = ticks(now) + offset;
        if (Long.compareUnsigned(value, ticks) <= 0) {
            return now;
        }
        long distance = value - ticks;
        // Nanoseconds for the distance, rounded up so that the counter has got there.
        double estimate = distance * (double) NANOS_PER_SECOND / frequency;
        if (distance < 0 || estimate > Long.MAX_VALUE / 2.0) {
            return Long.MAX_VALUE;
        }
        long nanos = (distance / frequency) * NANOS_PER_SECOND
                + (long) Math.ceil((double) (distance % frequency) * NANOS_PER_SECOND / frequency);
        return now + nanos + 1;
    }

    /** WRMSR to IA32_TIME_STAMP_COUNTER: IA32_TSC_ADJUST changes by the same amount. */
    void write(long value) {
        move(value - read());
    }

    /** IA32_TSC_ADJUST. */
    long adjust() {
        return adjust;
    }

    /** WRMSR to IA32_TSC_ADJUST: the counter moves by the same amount. */
    void writeAdjust(long value) {
        move(value - adjust);
    }

    /** Only the processor's own thread writes. */
    private void move(long by) {
        long newOffset = offset + by;
        long newAdjust = adjust + by;
        offset = newOffset;
        adjust = newAdjust;
    }

    /** Power-up: the counter starts from zero. */
    void reset() {
        offset = -ticks(clock.nanos());
        adjust = 0;
    }

    /** Makes the counter continue from a saved value. */
    void restore(long value, long savedAdjust) {
        offset = value - ticks(clock.nanos());
        adjust = savedAdjust;
    }

    private long ticks(long nanos) {
        return Math.multiplyHigh(nanos, ratio) << (Long.SIZE - SHIFT) | nanos * ratio >>> SHIFT;
    }
}
