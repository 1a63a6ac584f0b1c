package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The ways to reset a PC by a port: the reset control register (0xcf9, which FADT names), system control port A (0x92)
 * and the keyboard controller's pulse command (0x64). The keyboard controller has nothing else and is always ready;
 * address line 20 is always open.
 */
public final class ResetPorts implements Device {
    /** The reset control register, and what to write there. */
    public static final int RESET_PORT = 0xcf9, RESET_VALUE = 6;

    private static final int SYSTEM_CONTROL_A = 0x92;
    private static final int KEYBOARD_DATA = 0x60;
    private static final int KEYBOARD_COMMAND = 0x64;

    /** Pulses output line 0, which is the reset wire, among any of the four. */
    private static final int PULSE_FIRST = 0xf0, PULSE_RESET_BIT = 1;

    private static final int RESET_CPU = 4;
    private static final int FAST_RESET = 1;
    private static final int ADDRESS_LINE_20 = 2;

    private final PowerControl power;
    private int control;
    private int controlA;

    /** Registers that tell {@code power}. */
    public ResetPorts(PowerControl power) {
        this.power = power;
    }

    /** Puts its ports on the bus. */
    public void connect(PortBus bus) {
        bus.add(RESET_PORT, 1, register(() -> control, this::writeControl));
        bus.add(SYSTEM_CONTROL_A, 1, register(() -> controlA | ADDRESS_LINE_20, this::writeControlA));
        bus.add(KEYBOARD_DATA, 1, register(() -> 0, _ -> {}));
        bus.add(KEYBOARD_COMMAND, 1, register(() -> 0, this::writeKeyboardCommand));
    }

    private synchronized void writeControl(int value) {
        boolean rising = (value & ~control & RESET_CPU) != 0;
        control = value & ~RESET_CPU;
        if (rising) {
            power.reset();
        }
    }

    private synchronized void writeControlA(int value) {
        controlA = value & ~FAST_RESET;
        if ((value & FAST_RESET) != 0) {
            power.reset();
        }
    }

    private void writeKeyboardCommand(int value) {
        if (value >= PULSE_FIRST && (value & PULSE_RESET_BIT) == 0) {
            power.reset();
        }
    }

    private BytePortDevice register(java.util.function.IntSupplier read, java.util.function.IntConsumer write) {
        return new BytePortDevice() {
            @Override
            public int readByte(int offset) {
                synchronized (ResetPorts.this) {
                    return read.getAsInt();
                }
            }

            @Override
            public void writeByte(int offset, int value) {
                write.accept(value);
            }
        };
    }

    @Override
    public String name() {
        return "reset-ports";
    }

    @Override
    public synchronized void reset() {
        control = 0;
        controlA = 0;
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putByte(control).putByte(controlA);
    }

    @Override
    public synchronized void restore(StateInput state) {
        control = state.getByte() & ~RESET_CPU;
        controlA = state.getByte() & ~FAST_RESET;
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("control", control);
        sink.accept("control-a", controlA);
    }
}
