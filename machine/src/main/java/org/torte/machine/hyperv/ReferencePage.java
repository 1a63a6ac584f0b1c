package org.torte.machine.hyperv;

import java.lang.invoke.VarHandle;
import java.math.BigInteger;
import org.torte.base.GuestMemory;

/**
 * The page from which guests compute the reference time by themselves (TLFS, "Reference Time Stamp Counter (TSC) Page"):
 * sequence, reserved, scale, offset; time = (time stamp * scale >> 64) + offset.
 *
 * <p>Where time stamps are the host's own they run a little faster or slower than its clock, which follows time servers, and
 * timers would fire ever later or earlier than the guest means. So the page is looked at about once a second and its scale
 * changed by what closes the gap in another; the guest's time never steps back. Safe for several threads.
 */
final class ReferencePage {
    private static final long ENABLE = 1;
    private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;
    private static final int SEQUENCE = 0, RESERVED = 4, SCALE = 8, OFFSET = 16, LENGTH = 24;

    /** Units of 100 ns a second. */
    private static final long SECOND = 10_000_000;

    /** A gap that nobody notices, and one that is too large to close slowly, in units of 100 ns. */
    private static final long TOLERANCE = 10, STEP = 10_000;

    private static final long CHECK_NANOS = 1_000_000_000L;

    /** How much of a gap is taken for a lasting difference of the rates. */
    private static final double LEARNING = 0.25;

    private static final double MAX_CORRECTION = 0.001;

    private final GuestMemory memory;
    private final PartitionPort partition;
    private final ReferenceClock time;
    private long register;
    private long nominal;

    /** The scale that would keep the gap as it is, as far as that is known. */
    private double rate;

    private long scale;
    private long offset;
    private volatile long checked;
    private boolean restored;

    ReferencePage(GuestMemory memory, PartitionPort partition, ReferenceClock time, long frequency) {
        this.memory = memory;
        this.partition = partition;
        this.time = time;
        setFrequency(frequency);
    }

    /** Says at which rate time stamps count; before the machine runs. */
    synchronized void setFrequency(long frequency) {
        nominal = BigInteger.valueOf(SECOND)
                .shiftLeft(Long.SIZE)
                .divide(BigInteger.valueOf(frequency))
                .longValue();
        rate = nominal;
    }

    synchronized long register() {
        return register;
    }

    /** WRMSR by a processor; whether the register took the value. */
    synchronized boolean write(int processor, long value) {
        if ((value & ENABLE) != 0) {
            if (!memory.contains(value & PAGE_MASK, GuestMemory.PAGE_SIZE)) {
                return false;
            }
            register = value;
            memory.putInt(page() + RESERVED, 0);
            begin(processor, 1);
        }
        register = value;
        return true;
    }

    /** Whether there is a page to write; a damaged saved state may name one that is no RAM. */
    private boolean usable() {
        return (register & ENABLE) != 0 && memory.contains(page(), GuestMemory.PAGE_SIZE);
    }

    private long page() {
        return register & PAGE_MASK;
    }

    private void begin(int processor, int sequence) {
        scale = nominal;
        long ahead = time.now() - shown(processor, scale, 0);
        offset = Math.abs(ahead) <= TOLERANCE ? 0 : ahead;
        checked = time.nanos();
        publish(sequence);
    }

    private long shown(int processor, long byScale, long byOffset) {
        return Math.unsignedMultiplyHigh(partition.processor(processor).timeStamp(), byScale) + byOffset;
    }

    /** While the sequence is 0 guests ask the register instead. */
    private void publish(int sequence) {
        memory.putIntVolatile(page() + SEQUENCE, 0);
        memory.putLong(page() + SCALE, scale);
        memory.putLong(page() + OFFSET, offset);
        VarHandle.releaseFence();
        memory.putIntVolatile(page() + SEQUENCE, sequence);
        partition.memoryWritten(page(), LENGTH);
    }

    /** Looks at the page if it is time. On the thread of a processor, in an exit. */
    void follow(int processor) {
        if (time.nanos() - checked >= CHECK_NANOS) {
            correct(processor);
        }
    }

    private synchronized void correct(int processor) {
        if (!usable() || time.nanos() - checked < CHECK_NANOS) {
            return;
        }
        double seconds = (time.nanos() - checked) / 1e9;
        checked = time.nanos();
        long stamp = partition.processor(processor).timeStamp();
        long shown = Math.unsignedMultiplyHigh(stamp, scale) + offset;
        long gap = shown - time.now();
        if (Math.abs(gap) <= TOLERANCE) {
            return;
        }
        double drift = gap / (seconds * SECOND);
        if (gap < -STEP) {
            shown = time.now();
        } else {
            rate *= 1 - Math.clamp(drift, -MAX_CORRECTION, MAX_CORRECTION) * LEARNING;
        }
        double close = gap < -STEP ? 0 : Math.clamp((double) gap / SECOND, -MAX_CORRECTION, MAX_CORRECTION);
        scale = (long) (rate * (1 - close));
        offset = shown - Math.unsignedMultiplyHigh(stamp, scale);
        publish(nextSequence());
    }

    private int nextSequence() {
        int next = memory.getInt(page() + SEQUENCE) + 1;
        return next == 0 || next == -1 ? 1 : next;
    }

    synchronized void reset() {
        register = 0;
        rate = nominal;
    }

    /** Takes the register as it was saved; the page waits for {@link #resume}. */
    synchronized void restore(long saved) {
        register = saved;
        rate = nominal;
        restored = true;
    }

    /** Before the first processor of a restored machine runs: leaves the page as it is if it still tells the time here. */
    synchronized void resume() {
        if (!restored) {
            return;
        }
        restored = false;
        if (!usable()) {
            return;
        }
        scale = memory.getLong(page() + SCALE);
        offset = memory.getLong(page() + OFFSET);
        checked = time.nanos();
        boolean near = Math.abs((double) scale / nominal - 1) <= 2 * MAX_CORRECTION;
        if (!near || Math.abs(shown(0, scale, offset) - time.now()) > STEP) {
            begin(0, nextSequence());
        }
    }
}
