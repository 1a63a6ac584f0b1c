package org.torte.machine.chipset;

import java.util.function.BiConsumer;
import java.util.function.IntSupplier;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The pair of 8259A interrupt controllers of a PC, the second one on input 2 of the first, and their edge/level control
 * registers (ELCR). 8086 mode; special fully nested mode, buffered mode and the 8080's call mode are accepted and have no
 * effect.
 */
public final class InterruptController implements Device {
    /** Where the INTR output goes. */
    public interface Output {
        /**
         * Sets the level of INTR. Called with the controller's lock held.
         *
         * @param acknowledge what the processor calls to take the interrupt: gives its vector. The processor must hold
         *     no lock that this method may need.
         */
        void set(boolean high, IntSupplier acknowledge);
    }

    private static final int CASCADE = 2;
    private static final int SPURIOUS = 7;

    /** Inputs that are edge-triggered in every PC: timer, keyboard, cascade; clock, coprocessor. */
    private static final int MASTER_LEVEL_BITS = 0xf8, SLAVE_LEVEL_BITS = 0xde;

    private final Output output;
    private final Chip master = new Chip();
    private final Chip slave = new Chip();
    private boolean high;

    /** Controllers whose output is {@code output}. */
    public InterruptController(Output output) {
        this.output = output;
    }

    /** Puts its ports on the bus. */
    public void connect(PortBus bus) {
        bus.add(0x20, 2, registers(master));
        bus.add(0xa0, 2, registers(slave));
        bus.add(0x4d0, 1, levelRegister(master, MASTER_LEVEL_BITS));
        bus.add(0x4d1, 1, levelRegister(slave, SLAVE_LEVEL_BITS));
    }

    /** Sets input 0 to 15; 2 is the cascade and does nothing. */
    public synchronized void setInput(int input, boolean level) {
        if (input != CASCADE) {
            (input < 8 ? master : slave).setInput(input & 7, level);
            update();
        }
    }

    /** The processor takes the interrupt. */
    private synchronized int acknowledge() {
        int input = master.acknowledge();
        int vector = master.base | input;
        if (input == CASCADE && master.inService(CASCADE)) {
            vector = slave.base | slave.acknowledge();
            // The output of the second chip drops with the acknowledgement, so that what waits there makes a new edge.
            master.setInput(CASCADE, false);
        }
        update();
        return vector;
    }

    private void update() {
        master.setInput(CASCADE, slave.pending() >= 0);
        boolean now = master.pending() >= 0;
        if (now != high) {
            high = now;
            output.set(now, this::acknowledge);
        }
    }

    private BytePortDevice registers(Chip chip) {
        return new BytePortDevice() {
            @Override
            public int readByte(int offset) {
                synchronized (InterruptController.this) {
                    int value = offset == 0 ? chip.readCommand() : chip.mask;
                    update();
                    return value;
                }
            }

            @Override
            public void writeByte(int offset, int value) {
                synchronized (InterruptController.this) {
                    if (offset == 0) {
                        chip.writeCommand(value);
                    } else {
                        chip.writeData(value);
                    }
                    update();
                }
            }
        };
    }

    private BytePortDevice levelRegister(Chip chip, int writable) {
        return new BytePortDevice() {
            @Override
            public int readByte(int offset) {
                synchronized (InterruptController.this) {
                    return chip.levelTriggered;
                }
            }

            @Override
            public void writeByte(int offset, int value) {
                synchronized (InterruptController.this) {
                    chip.levelTriggered = value & writable;
                    update();
                }
            }
        };
    }

    @Override
    public String name() {
        return "interrupt-controller";
    }

    @Override
    public synchronized void reset() {
        master.reset();
        slave.reset();
        update();
    }

    @Override
    public int stateVersion() {
        return 1;
    }

    @Override
    public synchronized void save(StateOutput state) {
        master.save(state);
        slave.save(state);
    }

    @Override
    public synchronized void restore(StateInput state) {
        master.restore(state);
        slave.restore(state);
        high = master.pending() >= 0;
        output.set(high, this::acknowledge);
    }

    @Override
    public synchronized void inspect(BiConsumer<String, Object> sink) {
        master.inspect("master", sink);
        slave.inspect("slave", sink);
    }

    /** One 8259A. */
    private static final class Chip {
        private static final int ICW1 = 0x10, ICW1_LEVEL = 8, ICW1_SINGLE = 2, ICW1_ICW4 = 1;
        private static final int ICW4_AUTO_END = 2;
        private static final int OCW3 = 8;

        /** The levels of the inputs, and what has been latched from edges. */
        private int inputs, latched;

        private int mask, service, levelTriggered;
        private int base;
        /** The input of the lowest priority. */
        private int lowest = SPURIOUS;
        /** Which initialization word comes next: 0 none, 2, 3 or 4. */
        private int expected;

        private boolean expectFourth, single, autoEnd, rotateOnAutoEnd, specialMask, readService, poll;
        private boolean allLevel;

        void reset() {
            inputs = 0;
            latched = 0;
            levelTriggered = 0;
            base = 0;
            initialize();
            mask = 0xff;
            expected = 0;
            expectFourth = false;
            single = false;
            allLevel = false;
        }

        private void initialize() {
            mask = 0;
            service = 0;
            latched = 0;
            lowest = SPURIOUS;
            autoEnd = false;
            rotateOnAutoEnd = false;
            specialMask = false;
            readService = false;
            poll = false;
        }

        void setInput(int input, boolean level) {
            int bit = 1 << input;
            if (level && (inputs & bit) == 0) {
                latched |= bit;
            } else if (!level) {
                // A request must stay high until it is acknowledged (data sheet, "Edge and level triggered modes").
                latched &= ~bit;
            }
            inputs = level ? inputs | bit : inputs & ~bit;
        }

        private int requests() {
            int level = allLevel ? 0xff : levelTriggered;
            return latched & ~level | inputs & level;
        }

        boolean inService(int input) {
            return (service & 1 << input) != 0;
        }

        /** The request that should interrupt the processor, or -1. */
        int pending() {
            int requests = requests() & ~mask;
            if (requests == 0) {
                return -1;
            }
            for (int i = 1; i <= 8; i++) {
                int input = lowest + i & 7;
                if ((service & 1 << input) != 0) {
                    if (!specialMask || (mask & 1 << input) == 0) {
                        return -1;
                    }
                } else if ((requests & 1 << input) != 0) {
                    return input;
                }
            }
            return -1;
        }

        /** Takes the pending request into service; input 7 without doing so when there is none any more. */
        int acknowledge() {
            int input = pending();
            if (input < 0) {
                return SPURIOUS;
            }
            latched &= ~(1 << input);
            if (!autoEnd) {
                service |= 1 << input;
            } else if (rotateOnAutoEnd) {
                lowest = input;
            }
            return input;
        }

        int readCommand() {
            if (poll) {
                poll = false;
                int input = pending();
                if (input < 0) {
                    return 0;
                }
                acknowledge();
                return 0x80 | input;
            }
            return readService ? service : requests();
        }

        void writeCommand(int value) {
            if ((value & ICW1) != 0) {
                initialize();
                single = (value & ICW1_SINGLE) != 0;
                allLevel = (value & ICW1_LEVEL) != 0;
                expectFourth = (value & ICW1_ICW4) != 0;
                expected = 2;
            } else if ((value & OCW3) != 0) {
                if ((value & 4) != 0) {
                    poll = true;
                }
                if ((value & 2) != 0) {
                    readService = (value & 1) != 0;
                }
                if ((value & 0x40) != 0) {
                    specialMask = (value & 0x20) != 0;
                }
            } else {
                endOfInterrupt(value >>> 5, value & 7);
            }
        }

        private void endOfInterrupt(int command, int input) {
            switch (command) {
                case 0 -> rotateOnAutoEnd = false;
                case 4 -> rotateOnAutoEnd = true;
                case 1, 5 -> {
                    int highest = highestInService();
                    if (highest >= 0) {
                        service &= ~(1 << highest);
                        if (command == 5) {
                            lowest = highest;
                        }
                    }
                }
                case 3, 7 -> {
                    service &= ~(1 << input);
                    if (command == 7) {
                        lowest = input;
                    }
                }
                case 6 -> lowest = input;
                default -> {}
            }
        }

        private int highestInService() {
            for (int i = 1; i <= 8; i++) {
                int input = lowest + i & 7;
                if ((service & 1 << input) != 0 && !(specialMask && (mask & 1 << input) != 0)) {
                    return input;
                }
            }
            return -1;
        }

        void writeData(int value) {
            switch (expected) {
                case 2 -> {
                    base = value & 0xf8;
                    expected = single ? expectFourth ? 4 : 0 : 3;
                }
                case 3 -> expected = expectFourth ? 4 : 0;
                case 4 -> {
                    autoEnd = (value & ICW4_AUTO_END) != 0;
                    expected = 0;
                }
                default -> mask = value;
            }
        }

        void save(StateOutput state) {
            state.putByte(inputs)
                    .putByte(latched)
                    .putByte(mask)
                    .putByte(service)
                    .putByte(levelTriggered)
                    .putByte(base)
                    .putByte(lowest)
                    .putByte(expected)
                    .putBoolean(expectFourth)
                    .putBoolean(single)
                    .putBoolean(autoEnd)
                    .putBoolean(rotateOnAutoEnd)
                    .putBoolean(specialMask)
                    .putBoolean(readService)
                    .putBoolean(poll)
                    .putBoolean(allLevel);
        }

        void restore(StateInput state) {
            inputs = state.getByte();
            latched = state.getByte();
            mask = state.getByte();
            service = state.getByte();
            levelTriggered = state.getByte();
            base = state.getByte() & 0xf8;
            lowest = state.getByte() & 7;
            expected = state.getByte();
            expectFourth = state.getBoolean();
            single = state.getBoolean();
            autoEnd = state.getBoolean();
            rotateOnAutoEnd = state.getBoolean();
            specialMask = state.getBoolean();
            readService = state.getBoolean();
            poll = state.getBoolean();
            allLevel = state.getBoolean();
        }

        void inspect(String prefix, BiConsumer<String, Object> sink) {
            sink.accept(prefix + ".requests", requests());
            sink.accept(prefix + ".mask", mask);
            sink.accept(prefix + ".in-service", service);
            sink.accept(prefix + ".base", base);
        }
    }
}
