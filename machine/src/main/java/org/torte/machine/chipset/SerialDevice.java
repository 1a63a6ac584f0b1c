package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.machine.SerialEndpoint;
import org.torte.machine.SerialPort;

/**
 * A 16550A. The line has no bit rate: what the guest sends goes to the endpoint at once, and when that takes no more,
 * the transmitter stays busy. What the host sends waits on the line (a bounded queue) and moves up as the guest reads;
 * an overrun is impossible except in loopback. The character timeout interrupt comes at once.
 */
public final class SerialDevice implements BytePortDevice, Device, SerialPort {
    /** How many ports it takes. */
    public static final int PORTS = 8;

    private static final int FIFO_SIZE = 16;
    private static final int LINE_SIZE = 4096;

    private static final int IER_RECEIVE = 1, IER_TRANSMIT = 2, IER_LINE = 4, IER_MODEM = 8;
    private static final int IIR_NONE = 1, IIR_MODEM = 0, IIR_TRANSMIT = 2, IIR_RECEIVE = 4, IIR_LINE = 6;
    private static final int IIR_TIMEOUT = 0xc, IIR_FIFO = 0xc0;
    private static final int FCR_ENABLE = 1, FCR_CLEAR_RECEIVER = 2, FCR_CLEAR_TRANSMITTER = 4;
    private static final int LCR_DIVISOR = 0x80;
    private static final int MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOPBACK = 0x10, MCR_BITS = 0x1f;
    private static final int LSR_READY = 1, LSR_OVERRUN = 2, LSR_FRAMING = 8, LSR_BREAK = 0x10;
    private static final int LSR_HOLDING_EMPTY = 0x20, LSR_EMPTY = 0x40, LSR_FIFO_ERROR = 0x80;
    private static final int MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80;
    private static final int MSR_DELTA_CTS = 1, MSR_DELTA_DSR = 2, MSR_TRAILING_RI = 4, MSR_DELTA_DCD = 8;

    /** In the receive queue: this is no byte but a break. */
    private static final int BREAK_MARK = 0x100;

    private final String name;
    private final InterruptWire wire;
    private final LineQueue received = new LineQueue(LINE_SIZE);
    private final LineQueue toSend = new LineQueue(FIFO_SIZE);
    private SerialEndpoint endpoint = SerialEndpoint.NONE;

    private int interruptEnable;
    private int fifoControl;
    private int lineControl;
    private int modemControl;
    private int modemStatus;
    private int scratch;
    private int divisor;
    /** Error bits of the line status register, until it is read. */
    private int lineErrors;

    private boolean transmitterInterrupt;
    /** The byte at the head of the queue has been looked at for a break. */
    private boolean headSeen;

    private boolean hostWaits;

    /** A port named {@code name} that interrupts by {@code wire}. */
    public SerialDevice(String name, InterruptWire wire) {
        this.name = name;
        this.wire = wire;
        reset();
    }

    @Override
    public synchronized int readByte(int offset) {
        return switch (offset) {
            case 0 -> divisorAccess() ? divisor & 0xff : readReceiver();
            case 1 -> divisorAccess() ? divisor >>> 8 : interruptEnable;
            case 2 -> readInterruptIdentification();
            case 3 -> lineControl;
            case 4 -> modemControl;
            case 5 -> readLineStatus();
            case 6 -> readModemStatus();
            default -> scratch;
        };
    }

    @Override
    public synchronized void writeByte(int offset, int value) {
        switch (offset) {
            case 0 -> {
                if (divisorAccess()) {
                    divisor = divisor & 0xff00 | value;
                } else {
                    writeTransmitter(value);
                }
            }
            case 1 -> {
                if (divisorAccess()) {
                    divisor = divisor & 0xff | value << 8;
                } else {
                    writeInterruptEnable(value);
                }
            }
            case 2 -> writeFifoControl(value);
            case 3 -> lineControl = value;
            case 4 -> writeModemControl(value);
            case 7 -> scratch = value;
            default -> {}
        }
        updateInterrupt();
    }

    private boolean divisorAccess() {
        return (lineControl & LCR_DIVISOR) != 0;
    }

    private boolean loopback() {
        return (modemControl & MCR_LOOPBACK) != 0;
    }

    private int readReceiver() {
        if (received.isEmpty()) {
            return 0;
        }
        lookAtHead();
        int value = received.take() & 0xff;
        headSeen = false;
        lookAtHead();
        tellHost();
        updateInterrupt();
        return value;
    }

    /** Wakes a host that has more to send once everything before is read. */
    private void tellHost() {
        if (hostWaits && received.isEmpty()) {
            hostWaits = false;
            endpoint.readyToReceive();
        }
    }

    /** A break condition shows in the line status when it gets to the head of the FIFO. */
    private void lookAtHead() {
        if (!headSeen && !received.isEmpty()) {
            headSeen = true;
            if ((received.peek() & BREAK_MARK) != 0) {
                lineErrors |= LSR_BREAK | LSR_FRAMING;
            }
        }
    }

    private int readLineStatus() {
        int status = lineErrors;
        if (!received.isEmpty()) {
            status |= LSR_READY;
        }
        if (toSend.isEmpty()) {
            status |= LSR_HOLDING_EMPTY | LSR_EMPTY;
        }
        if (fifoEnabled() && (lineErrors & (LSR_BREAK | LSR_FRAMING)) != 0) {
            status |= LSR_FIFO_ERROR;
        }
        lineErrors = 0;
        updateInterrupt();
        return status;
    }

    private int readModemStatus() {
        int status = modemStatus;
        modemStatus &= 0xf0;
        updateInterrupt();
        return status;
    }

    private int readInterruptIdentification() {
        int cause = pendingInterrupt();
        if (cause == IIR_TRANSMIT) {
            transmitterInterrupt = false;
            updateInterrupt();
        }
        return cause | (fifoEnabled() ? IIR_FIFO : 0);
    }

    private void writeTransmitter(int value) {
        transmitterInterrupt = false;
        if (loopback()) {
            if (received.size() < (fifoEnabled() ? FIFO_SIZE : 1)) {
                received.add(value);
                lookAtHead();
            } else {
                lineErrors |= LSR_OVERRUN;
            }
            transmitterInterrupt = true;
        } else if (toSend.isEmpty() && endpoint.transmit(value)) {
            transmitterInterrupt = true;
        } else if (toSend.size() < (fifoEnabled() ? FIFO_SIZE : 1)) {
            toSend.add(value);
        }
    }

    private void writeInterruptEnable(int value) {
        int enabled = value & ~interruptEnable;
        interruptEnable = value & (IER_RECEIVE | IER_TRANSMIT | IER_LINE | IER_MODEM);
        if ((enabled & IER_TRANSMIT) != 0 && toSend.isEmpty()) {
            transmitterInterrupt = true;
        }
    }

    private void writeFifoControl(int value) {
        boolean toggled = ((value ^ fifoControl) & FCR_ENABLE) != 0;
        if (toggled || (value & FCR_CLEAR_RECEIVER) != 0) {
            for (int i = 0; i < FIFO_SIZE && !received.isEmpty(); i++) {
                received.take();
            }
            headSeen = false;
            lookAtHead();
            tellHost();
        }
        if (toggled || (value & FCR_CLEAR_TRANSMITTER) != 0) {
            toSend.clear();
            transmitterInterrupt = true;
        }
        fifoControl = (value & FCR_ENABLE) == 0 ? 0 : value & 0xc1;
    }

    private void writeModemControl(int value) {
        modemControl = value & MCR_BITS;
        updateModemStatus();
    }

    private void updateModemStatus() {
        int lines;
        if (loopback()) {
            lines = ((modemControl & MCR_RTS) != 0 ? MSR_CTS : 0)
                    | ((modemControl & MCR_DTR) != 0 ? MSR_DSR : 0)
                    | ((modemControl & MCR_OUT1) != 0 ? MSR_RI : 0)
                    | ((modemControl & MCR_OUT2) != 0 ? MSR_DCD : 0);
        } else {
            lines = MSR_CTS | MSR_DSR | MSR_DCD;
        }
        int changed = lines ^ modemStatus;
        int deltas = modemStatus & 0xf
                | ((changed & MSR_CTS) != 0 ? MSR_DELTA_CTS : 0)
                | ((changed & MSR_DSR) != 0 ? MSR_DELTA_DSR : 0)
                | ((changed & MSR_DCD) != 0 ? MSR_DELTA_DCD : 0)
                | ((changed & modemStatus & MSR_RI) != 0 ? MSR_TRAILING_RI : 0);
        modemStatus = lines | deltas;
    }

    private boolean fifoEnabled() {
        return (fifoControl & FCR_ENABLE) != 0;
    }

    private int trigger() {
        return switch (fifoControl >>> 6) {
            case 0 -> 1;
            case 1 -> 4;
            case 2 -> 8;
            default -> 14;
        };
    }

    /** The interrupt of the highest priority, as the identification register names it. */
    private int pendingInterrupt() {
        if ((interruptEnable & IER_LINE) != 0 && lineErrors != 0) {
            return IIR_LINE;
        }
        if ((interruptEnable & IER_RECEIVE) != 0 && !received.isEmpty()) {
            return fifoEnabled() && received.size() < trigger() ? IIR_TIMEOUT : IIR_RECEIVE;
        }
        if ((interruptEnable & IER_TRANSMIT) != 0 && transmitterInterrupt) {
            return IIR_TRANSMIT;
        }
        if ((interruptEnable & IER_MODEM) != 0 && (modemStatus & 0xf) != 0) {
            return IIR_MODEM;
        }
        return IIR_NONE;
    }

    /** In a PC the output OUT2 lets the interrupt through; loopback disconnects that output. */
    private void updateInterrupt() {
        boolean gate = (modemControl & (MCR_OUT2 | MCR_LOOPBACK)) == MCR_OUT2;
        wire.set(gate && pendingInterrupt() != IIR_NONE);
    }

    @Override
    public synchronized void attach(SerialEndpoint newEndpoint) {
        endpoint = newEndpoint;
        resumeOutput();
    }

    @Override
    public synchronized int receive(byte[] bytes, int offset, int length) {
        int taken = 0;
        while (taken < length && received.size() < LINE_SIZE) {
            received.add(bytes[offset + taken++] & 0xff);
        }
        hostWaits = taken < length;
        lookAtHead();
        updateInterrupt();
        return taken;
    }

    @Override
    public synchronized void resumeOutput() {
        boolean sent = false;
        while (!toSend.isEmpty() && endpoint.transmit(toSend.peek())) {
            toSend.take();
            sent = true;
        }
        if (sent && toSend.isEmpty()) {
            transmitterInterrupt = true;
            updateInterrupt();
        }
    }

    @Override
    public synchronized void sendBreak() {
        if (received.size() < LINE_SIZE) {
            received.add(BREAK_MARK);
            lookAtHead();
            updateInterrupt();
        }
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public synchronized void reset() {
        interruptEnable = 0;
        fifoControl = 0;
        lineControl = 0;
        modemControl = 0;
        modemStatus = MSR_CTS | MSR_DSR | MSR_DCD;
        scratch = 0;
        divisor = 12;
        lineErrors = 0;
        transmitterInterrupt = false;
        toSend.clear();
        received.clear();
        headSeen = false;
        tellHost();
        updateInterrupt();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        state.putByte(interruptEnable)
                .putByte(fifoControl)
                .putByte(lineControl)
                .putByte(modemControl)
                .putByte(modemStatus)
                .putByte(scratch)
                .putInt(divisor)
                .putByte(lineErrors)
                .putBoolean(transmitterInterrupt)
                .putBoolean(headSeen);
        received.save(state);
        toSend.save(state);
    }

    @Override
    public synchronized void restore(StateInput state) {
        interruptEnable = state.getByte() & 0xf;
        fifoControl = state.getByte() & 0xc1;
        lineControl = state.getByte();
        modemControl = state.getByte() & MCR_BITS;
        modemStatus = state.getByte();
        scratch = state.getByte();
        divisor = state.getInt() & 0xffff;
        lineErrors = state.getByte();
        transmitterInterrupt = state.getBoolean();
        headSeen = state.getBoolean();
        received.restore(state);
        toSend.restore(state);
        hostWaits = true;
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        sink.accept("interrupt-enable", interruptEnable);
        sink.accept("fifo-control", fifoControl);
        sink.accept("line-control", lineControl);
        sink.accept("modem-control", modemControl);
        sink.accept("modem-status", modemStatus);
        sink.accept("divisor", divisor);
        sink.accept("waiting-for-guest", received.size());
        sink.accept("waiting-for-host", toSend.size());
    }
}
