package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.Clock;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * The 8254 of a PC: channel 0 makes interrupt 0, channel 1 nothing any more, channel 2 the tone of the speaker, whose
 * gate and output are at port 0x61. Interrupts that are late are left out, not made up for.
 */
public final class IntervalTimer implements BytePortDevice, Device {
    /** The first of its four ports. */
    public static final int BASE = 0x40;

    /** How many ports it takes. */
    public static final int PORTS = 4;

    /** Ticks per second. */
    static final int FREQUENCY = 1_193_182;

    private static final int SYSTEM_CONTROL_B = 0x61;
    private static final int GATE_2 = 1, WRITABLE = 0xf, REFRESH = 0x10, OUTPUT_2 = 0x20;
    private static final long REFRESH_NANOS = 15_085;
    private static final long NANOS = 1_000_000_000L;

    private final Clock clock;
    private final Timers.Timer rise;
    private final InterruptWire wire;
    private final TimerChannel[] channels = {new TimerChannel(), new TimerChannel(), new TimerChannel()};
    private int systemControl;

    /** A timer whose channel 0 interrupts by {@code wire}. */
    public IntervalTimer(Timers timers, InterruptWire wire) {
        clock = timers.clock();
        rise = timers.create(this::channelRose);
        this.wire = wire;
        reset();
    }

    /** Puts its ports on the bus. */
    public void connect(PortBus bus) {
        bus.add(BASE, PORTS, this);
        bus.add(SYSTEM_CONTROL_B, 1, new SystemControl());
    }

    private long now() {
        return ticks(clock.nanos());
    }

    private static long ticks(long nanos) {
        return nanos / NANOS * FREQUENCY + nanos % NANOS * FREQUENCY / NANOS;
    }

    /** The first nanosecond at which the tick has begun. */
    private static long nanos(long ticks) {
        return ticks / FREQUENCY * NANOS + (ticks % FREQUENCY * NANOS + FREQUENCY - 1) / FREQUENCY;
    }

    @Override
    public synchronized int readByte(int offset) {
        return offset == 3 ? 0xff : channels[offset].read(now());
    }

    @Override
    public synchronized void writeByte(int offset, int value) {
        if (offset == 3) {
            writeControl(value);
        } else {
            channels[offset].writeCount(now(), value);
            if (offset == 0) {
                arm();
            }
        }
    }

    private void writeControl(int value) {
        int number = value >>> 6;
        if (number == 3) {
            readBack(value);
        } else if ((value & 0x30) == 0) {
            channels[number].latchCount(now());
        } else {
            channels[number].writeControl(value);
            if (number == 0) {
                arm();
            }
        }
    }

    private void readBack(int value) {
        for (int i = 0; i < channels.length; i++) {
            if ((value & 2 << i) != 0) {
                if ((value & 0x20) == 0) {
                    channels[i].latchCount(now());
                }
                if ((value & 0x10) == 0) {
                    channels[i].latchStatus(now());
                }
            }
        }
    }

    private void arm() {
        long now = now();
        wire.set(channels[0].output(now));
        armTimer(now);
    }

    private void armTimer(long now) {
        long next = channels[0].nextRise(now);
        if (next == TimerChannel.NEVER) {
            rise.cancel();
        } else {
            rise.arm(nanos(next));
        }
    }

    private synchronized void channelRose() {
        wire.set(false);
        arm();
    }

    private final class SystemControl implements BytePortDevice {
        @Override
        public int readByte(int offset) {
            synchronized (IntervalTimer.this) {
                return systemControl
                        | (clock.nanos() / REFRESH_NANOS % 2 != 0 ? REFRESH : 0)
                        | (channels[2].output(now()) ? OUTPUT_2 : 0);
            }
        }

        @Override
        public void writeByte(int offset, int value) {
            synchronized (IntervalTimer.this) {
                systemControl = value & WRITABLE;
                channels[2].setGate(now(), (value & GATE_2) != 0);
            }
        }
    }

    @Override
    public String name() {
        return "interval-timer";
    }

    @Override
    public synchronized void reset() {
        channels[0].reset(true);
        channels[1].reset(true);
        channels[2].reset(false);
        systemControl = 0;
        arm();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putByte(systemControl);
        for (TimerChannel channel : channels) {
            channel.save(state, now());
        }
    }

    @Override
    public synchronized void restore(StateInput state) {
        systemControl = state.getByte() & WRITABLE;
        long now = now();
        for (TimerChannel channel : channels) {
            channel.restore(state, now);
        }
        armTimer(now);
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("system-control", systemControl);
        for (int i = 0; i < channels.length; i++) {
            channels[i].inspect("channel-" + i, sink);
        }
    }
}
