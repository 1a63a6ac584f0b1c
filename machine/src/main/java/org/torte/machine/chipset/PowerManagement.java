package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.Clock;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * The fixed ACPI hardware (ACPI 6.5, section 4.8): PM1 event and control blocks with the power button and soft-off, the
 * power management timer, 32 bits wide, and a general-purpose event block without events so far. The machine is in ACPI
 * mode from the start; there is no other.
 *
 * <pre>
 *   0 PM1_STS, 2 PM1_EN, 4 PM1_CNT, 8 PM_TMR, 20h GPE0_STS (4 bytes), 24h GPE0_EN (4 bytes)
 * </pre>
 */
public final class PowerManagement implements BytePortDevice, Device {
    /** The first port. */
    public static final int BASE = 0x400;

    /** How many ports it takes. */
    public static final int PORTS = 0x28;

    /** The places of the registers from {@link #BASE} on. */
    public static final int PM1_EVENT = 0, PM1_CONTROL = 4, TIMER = 8, GPE0 = 0x20;

    /** Bytes of the general-purpose event block, status and enable together. */
    public static final int GPE0_LENGTH = 8;

    /** The value of SLP_TYP that turns the machine off, which \_S5 names. */
    public static final int SOFT_OFF = 5;

    /** The interrupt (SCI), level-triggered. */
    public static final int INTERRUPT = 9;

    /** Ticks of the timer per second. */
    public static final int TIMER_FREQUENCY = 3_579_545;

    private static final int TIMER_STATUS = 1, GLOBAL_STATUS = 0x20, POWER_BUTTON = 0x100, RTC_STATUS = 0x400;
    private static final int WAKE_STATUS = 0x8000;
    private static final int STATUS_BITS = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON | RTC_STATUS | WAKE_STATUS;
    private static final int ENABLE_BITS = TIMER_STATUS | GLOBAL_STATUS | POWER_BUTTON | RTC_STATUS;
    private static final int SCI_ENABLED = 1;
    private static final int SLEEP_ENABLE = 0x2000;
    private static final int CONTROL_BITS = 0x1c02;
    private static final long NANOS = 1_000_000_000L;
    private static final long TIMER_HALF = 1L << 31;

    private final Clock clock;
    private final Timers.Timer halfTurn;
    private final InterruptWire wire;
    private final PowerControl power;

    private int status;
    private int enable;
    private int control;
    private int eventStatus;
    private int eventEnable;
    /** Bits 31 and up of the timer when its status bit was last looked at. */
    private long halfTurns;

    /** Hardware that interrupts by {@code wire} and turns the machine off through {@code power}. */
    public PowerManagement(Timers timers, InterruptWire wire, PowerControl power) {
        clock = timers.clock();
        halfTurn = timers.create(this::timerTurned);
        this.wire = wire;
        this.power = power;
    }

    /** Presses and releases the power button. */
    public synchronized void pressPowerButton() {
        status |= POWER_BUTTON;
        updateInterrupt();
    }

    @Override
    public synchronized int read(int offset, int size) {
        if (offset == TIMER && size == 4) {
            return (int) ticks();
        }
        return BytePortDevice.super.read(offset, size);
    }

    /** A 16-bit write to the control register is one event, so that both halves are there when it takes effect. */
    @Override
    public synchronized void write(int offset, int size, int value) {
        if (offset == PM1_CONTROL && size == 2) {
            writeControl(value);
        } else {
            BytePortDevice.super.write(offset, size, value);
        }
    }

    @Override
    public synchronized int readByte(int offset) {
        catchUp();
        return switch (offset) {
            case 0, 1 -> status >>> 8 * offset;
            case 2, 3 -> enable >>> 8 * (offset - 2);
            case 4, 5 -> (control | SCI_ENABLED) >>> 8 * (offset - 4);
            case 8, 9, 10, 11 -> (int) ticks() >>> 8 * (offset - TIMER);
            case 0x20, 0x21, 0x22, 0x23 -> eventStatus >>> 8 * (offset - 0x20);
            case 0x24, 0x25, 0x26, 0x27 -> eventEnable >>> 8 * (offset - 0x24);
            default -> 0;
        };
    }

    @Override
    public synchronized void writeByte(int offset, int value) {
        catchUp();
        int shift = 8 * (offset & 1);
        switch (offset) {
            case 0, 1 -> status &= ~(value << shift);
            case 2, 3 -> enable = (enable & ~(0xff << shift) | value << shift) & ENABLE_BITS;
            case 4, 5 -> writeControl(control & ~(0xff << shift) | value << shift);
            case 0x20, 0x21, 0x22, 0x23 -> eventStatus &= ~(value << 8 * (offset - 0x20));
            case 0x24, 0x25, 0x26, 0x27 -> {
                int place = 8 * (offset - 0x24);
                eventEnable = eventEnable & ~(0xff << place) | value << place;
            }
            default -> {}
        }
        armTimer();
        updateInterrupt();
    }

    private void writeControl(int value) {
        control = value & CONTROL_BITS;
        if ((value & SLEEP_ENABLE) != 0 && (value >>> 10 & 7) == SOFT_OFF) {
            power.powerOff();
        }
    }

    /** The timer, with more bits than the guest sees. Machine time starts at zero, so nothing overflows for 292 years. */
    private long ticks() {
        long nanos = clock.nanos();
        return nanos / NANOS * TIMER_FREQUENCY + nanos % NANOS * TIMER_FREQUENCY / NANOS;
    }

    /** The status bit is set whenever the timer's highest bit changes. */
    private void catchUp() {
        long now = ticks() / TIMER_HALF;
        if (now != halfTurns) {
            halfTurns = now;
            status |= TIMER_STATUS;
        }
    }

    private void armTimer() {
        if ((enable & TIMER_STATUS) == 0) {
            halfTurn.cancel();
            return;
        }
        long target = (halfTurns + 1) * TIMER_HALF;
        long nanos = target / TIMER_FREQUENCY * NANOS + target % TIMER_FREQUENCY * NANOS / TIMER_FREQUENCY;
        halfTurn.arm(nanos + 1);
    }

    private synchronized void timerTurned() {
        catchUp();
        armTimer();
        updateInterrupt();
    }

    private void updateInterrupt() {
        wire.set((status & enable) != 0 || (eventStatus & eventEnable) != 0);
    }

    @Override
    public String name() {
        return "power-management";
    }

    @Override
    public synchronized void reset() {
        status = 0;
        enable = 0;
        control = 0;
        eventStatus = 0;
        eventEnable = 0;
        halfTurns = ticks() / TIMER_HALF;
        armTimer();
        updateInterrupt();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putInt(status)
                .putInt(enable)
                .putInt(control)
                .putInt(eventStatus)
                .putInt(eventEnable)
                .putLong(halfTurns);
    }

    @Override
    public synchronized void restore(StateInput state) {
        status = state.getInt() & STATUS_BITS;
        enable = state.getInt() & ENABLE_BITS;
        control = state.getInt() & CONTROL_BITS;
        eventStatus = state.getInt();
        eventEnable = state.getInt();
        halfTurns = state.getLong();
        state.check(
                halfTurns >= 0 && halfTurns <= ticks() / TIMER_HALF, "the timer has turned " + halfTurns + " times");
        armTimer();
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("status", status);
        sink.accept("enable", enable);
        sink.accept("control", control);
        sink.accept("timer", ticks() & 0xffff_ffffL);
    }
}
