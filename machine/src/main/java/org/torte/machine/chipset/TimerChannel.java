package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * One counter of an 8254. Nothing counts: the state is a reload value and the tick at which counting began, and what the
 * counter shows is worked out when somebody looks. Ticks are those of the chip's input clock since machine time zero;
 * the caller passes the present one and holds the lock.
 */
final class TimerChannel {
    /** {@link #nextRise}: the output will not rise by itself. */
    static final long NEVER = Long.MAX_VALUE;

    private static final int LOW_BYTE = 1, HIGH_BYTE = 2, BOTH_BYTES = 3;

    private int mode;
    private boolean decimal;
    private int access = BOTH_BYTES;
    private boolean gate;

    /** Clock ticks until the terminal count or of one period, 1 to 65536; 0 before the first count is written. */
    private int reload;

    /** In modes 2 and 3: what {@link #reload} becomes when the present period ends; 0 for nothing. */
    private int nextReload;

    /** Whether it counts (has a count, the gate lets it, and in modes 1 and 5 it was triggered). */
    private boolean counting;

    /** While it counts: the tick at which it would have begun without pauses. */
    private long start;

    /** While it does not count: ticks it had counted. */
    private long counted;

    /** In modes 1 and 5: the gate has started the present count. */
    private boolean triggered;

    private boolean writeHighNext;
    private int lowWritten;
    private boolean readHighNext;
    /** Bytes of a latched count that are still to be read: 0 to 2. */
    private int latchedBytes;

    private int latchedCount;
    private boolean statusLatched;
    private int latchedStatus;

    void reset(boolean initialGate) {
        mode = 0;
        decimal = false;
        access = BOTH_BYTES;
        gate = initialGate;
        reload = 0;
        nextReload = 0;
        counting = false;
        counted = 0;
        triggered = false;
        writeHighNext = false;
        lowWritten = 0;
        readHighNext = false;
        latchedBytes = 0;
        statusLatched = false;
    }

    /** A control word for this counter, other than a latch command. */
    void writeControl(int value) {
        access = value >>> 4 & 3;
        int number = value >>> 1 & 7;
        mode = number > 5 ? number & 3 : number;
        decimal = (value & 1) != 0;
        reload = 0;
        nextReload = 0;
        counting = false;
        counted = 0;
        triggered = false;
        writeHighNext = false;
        readHighNext = false;
        latchedBytes = 0;
        statusLatched = false;
    }

    void writeCount(long now, int value) {
        switch (access) {
            case LOW_BYTE -> load(now, value);
            case HIGH_BYTE -> load(now, value << 8);
            default -> {
                if (writeHighNext) {
                    writeHighNext = false;
                    load(now, lowWritten | value << 8);
                } else {
                    writeHighNext = true;
                    lowWritten = value;
                    if (mode == 0) {
                        // The first byte stops the count (data sheet, "Mode 0").
                        settle(now);
                        counted = elapsed(now);
                        counting = false;
                    }
                }
            }
        }
    }

    private void load(long now, int written) {
        int count = decimal ? fromDecimal(written) : written;
        if (count == 0) {
            count = decimal ? 10_000 : 0x10000;
        }
        settle(now);
        boolean periodic = mode == 2 || mode == 3;
        if (periodic && counting) {
            nextReload = count;
        } else if (mode == 1 || mode == 5) {
            // Takes effect with the next trigger.
            nextReload = count;
        } else {
            reload = count;
            restart(now, gate);
        }
    }

    private void restart(long now, boolean run) {
        counting = run;
        start = now;
        counted = 0;
    }

    /** Whether the gate is open. */
    boolean gate() {
        return gate;
    }

    void setGate(long now, boolean open) {
        if (open == gate) {
            return;
        }
        settle(now);
        gate = open;
        switch (mode) {
            case 1, 5 -> {
                if (open && (nextReload != 0 || reload != 0)) {
                    reload = nextReload != 0 ? nextReload : reload;
                    nextReload = 0;
                    triggered = true;
                    restart(now, true);
                }
            }
            case 2, 3 -> {
                if (reload != 0) {
                    reload = nextReload != 0 ? nextReload : reload;
                    nextReload = 0;
                    restart(now, open);
                }
            }
            default -> {
                if (reload != 0) {
                    if (open) {
                        start = now - counted;
                    } else {
                        counted = elapsed(now);
                    }
                    counting = open;
                }
            }
        }
    }

    /** Takes over a new period that has begun by now. */
    private void settle(long now) {
        if (nextReload != 0 && counting && (mode == 2 || mode == 3)) {
            long passed = now - start;
            if (passed >= reload) {
                // Writing the count settled what was before, so the period that was under way then is the first one.
                start += reload;
                reload = nextReload;
                nextReload = 0;
            }
        }
        if (counting && (mode == 2 || mode == 3) && nextReload == 0) {
            long passed = now - start;
            start += passed - passed % reload;
        }
    }

    private long elapsed(long now) {
        return counting ? now - start : counted;
    }

    /** The level of the output. */
    boolean output(long now) {
        settle(now);
        long passed = elapsed(now);
        return switch (mode) {
            case 0 -> reload != 0 && !writeHighNext && passed >= reload;
            case 1 -> !triggered || passed >= reload;
            case 2 -> !counting || passed % reload != reload - 1;
            case 3 -> !counting || passed % reload < (reload + 1) / 2;
            case 4 -> reload == 0 || passed != reload;
            default -> !triggered || passed != reload;
        };
    }

    /** The first tick after {@code now} at which the output rises, or {@link #NEVER}. */
    long nextRise(long now) {
        settle(now);
        if (!counting) {
            return NEVER;
        }
        long passed = elapsed(now);
        return switch (mode) {
            case 0, 1 -> passed < reload ? start + reload : NEVER;
            case 2, 3 -> start + (passed / reload + 1) * reload;
            default -> passed <= reload ? start + reload + 1 : NEVER;
        };
    }

    private int count(long now) {
        settle(now);
        if (reload == 0) {
            return 0;
        }
        long passed = elapsed(now);
        long wrap = decimal ? 10_000 : 0x10000;
        long value = switch (mode) {
            case 2 -> reload - passed % reload;
            case 3 -> {
                long high = (reload + 1) / 2;
                long within = passed % reload;
                long inHalf = within < high ? within : within - high;
                yield (reload & ~1L) - 2 * inHalf;
            }
            default -> Math.floorMod(reload - passed, wrap);
        };
        int counter = (int) (value % wrap);
        return decimal ? toDecimal(counter) : counter;
    }

    void latchCount(long now) {
        if (latchedBytes == 0) {
            latchedCount = count(now);
            latchedBytes = access == BOTH_BYTES ? 2 : 1;
        }
    }

    void latchStatus(long now) {
        if (!statusLatched) {
            statusLatched = true;
            boolean nullCount = reload == 0 || nextReload != 0;
            latchedStatus =
                    (output(now) ? 0x80 : 0) | (nullCount ? 0x40 : 0) | access << 4 | mode << 1 | (decimal ? 1 : 0);
        }
    }

    int read(long now) {
        if (statusLatched) {
            statusLatched = false;
            return latchedStatus;
        }
        int value = latchedBytes != 0 ? latchedCount : count(now);
        if (latchedBytes != 0) {
            latchedBytes--;
        }
        if (access == BOTH_BYTES) {
            readHighNext = !readHighNext;
            return readHighNext ? value & 0xff : value >>> 8;
        }
        return access == LOW_BYTE ? value & 0xff : value >>> 8;
    }

    private static int fromDecimal(int digits) {
        return (digits >>> 12 & 0xf) * 1000 + (digits >>> 8 & 0xf) * 100 + (digits >>> 4 & 0xf) * 10 + (digits & 0xf);
    }

    private static int toDecimal(int value) {
        return value / 1000 % 10 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
    }

    void save(StateOutput state, long now) {
        settle(now);
        state.putByte(mode)
                .putBoolean(decimal)
                .putByte(access)
                .putBoolean(gate)
                .putInt(reload)
                .putInt(nextReload)
                .putBoolean(counting)
                .putLong(start)
                .putLong(counted)
                .putBoolean(triggered)
                .putBoolean(writeHighNext)
                .putByte(lowWritten)
                .putBoolean(readHighNext)
                .putByte(latchedBytes)
                .putInt(latchedCount)
                .putBoolean(statusLatched)
                .putByte(latchedStatus);
    }

    void restore(StateInput state, long now) {
        mode = state.getByte();
        decimal = state.getBoolean();
        access = state.getByte();
        gate = state.getBoolean();
        reload = state.getInt();
        nextReload = state.getInt();
        counting = state.getBoolean();
        start = state.getLong();
        counted = state.getLong();
        triggered = state.getBoolean();
        writeHighNext = state.getBoolean();
        lowWritten = state.getByte();
        readHighNext = state.getBoolean();
        latchedBytes = state.getByte();
        latchedCount = state.getInt() & 0xffff;
        statusLatched = state.getBoolean();
        latchedStatus = state.getByte();
        state.check(mode <= 5 && access <= BOTH_BYTES && latchedBytes <= 2, "a counter in mode " + mode);
        state.check(validCount(reload) && validCount(nextReload), "a count of " + reload + ", " + nextReload);
        state.check((!counting && !triggered) || reload != 0, "a counter without a count");
        state.check(counted >= 0 && (!counting || start <= now), "a counter that starts in the future");
    }

    private static boolean validCount(int count) {
        return count >= 0 && count <= 0x10000;
    }

    void inspect(String prefix, BiConsumer<String, Object> sink) {
        sink.accept(prefix + ".mode", mode);
        sink.accept(prefix + ".reload", reload);
        sink.accept(prefix + ".counting", counting);
    }
}
