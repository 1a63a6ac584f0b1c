package org.torte.machine;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.torte.base.GuestMemory;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.base.Timers;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.machine.chipset.Device;
import org.torte.machine.chipset.ExitPort;
import org.torte.machine.chipset.InterruptController;
import org.torte.machine.chipset.InterruptWire;
import org.torte.machine.chipset.IntervalTimer;
import org.torte.machine.chipset.MemoryBus;
import org.torte.machine.chipset.PortBus;
import org.torte.machine.chipset.PowerControl;
import org.torte.machine.chipset.PowerManagement;
import org.torte.machine.chipset.RealTimeClock;
import org.torte.machine.chipset.ResetPorts;
import org.torte.machine.chipset.SerialDevice;
import org.torte.machine.hyperv.HypervInterface;
import org.torte.machine.hyperv.PartitionPort;
import org.torte.machine.integration.IntegrationServices;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.Vmbus;

/** The devices of a machine, the buses they are on and the wires to the partition, which comes later. */
final class Chipset implements ExitHandler {
    private static final int TIMER = 0, COM2_LINE = 3, COM1_LINE = 4, CLOCK = 8;

    /** Where the IOAPIC has the timer, as the override in the MADT says. */
    private static final int TIMER_INPUT = 2;

    private static final int COM1 = 0x3f8, COM2 = 0x2f8;

    private final PortBus ports = new PortBus();
    private final MemoryBus memoryBus = new MemoryBus();
    private final InterruptController controller;
    private final PowerManagement power;
    private final List<SerialDevice> serialPorts;
    private final HypervInterface hyperv;
    private final Vmbus vmbus;
    private final IntegrationServices integration;

    /** In the order in which they are restored: first those that others reach with their wires. */
    private final List<Device> devices;

    private volatile @org.jspecify.annotations.Nullable Partition partition;

    Chipset(
            MachineConfiguration configuration,
            GuestMemory memory,
            Timers timers,
            PowerControl control,
            Consumer<GuestCrash> crashed,
            Executor executor,
            Consumer<Throwable> failed) {
        controller = new InterruptController((high, acknowledge) -> {
            Partition wired = partition;
            if (wired != null) {
                wired.setExternalInterrupt(high, acknowledge);
            }
        });
        IntervalTimer timer = new IntervalTimer(timers, wire(TIMER, TIMER_INPUT));
        RealTimeClock clock = new RealTimeClock(timers, wire(CLOCK, CLOCK), configuration.memoryBytes());
        serialPorts = List.of(
                new SerialDevice("serial.0", wire(COM1_LINE, COM1_LINE)),
                new SerialDevice("serial.1", wire(COM2_LINE, COM2_LINE)));
        power = new PowerManagement(timers, wire(PowerManagement.INTERRUPT, PowerManagement.INTERRUPT), control);
        ResetPorts resetPorts = new ResetPorts(control);
        hyperv = new HypervInterface(
                memory, new Port(), timers, configuration.tscFrequency(), configuration.processors(), control, crashed);
        vmbus = new Vmbus(new BusHost(memory, this::memoryWritten, executor, failed), hyperv);
        hyperv.connect(vmbus);
        integration = new IntegrationServices(configuration.integration(), vmbus, timers, hyperv::referenceTime);
        devices = List.of(controller, timer, clock, serialPorts.get(0), serialPorts.get(1), power, resetPorts, hyperv);

        controller.connect(ports);
        timer.connect(ports);
        ports.add(RealTimeClock.BASE, RealTimeClock.PORTS, clock);
        ports.add(COM1, SerialDevice.PORTS, serialPorts.get(0));
        ports.add(COM2, SerialDevice.PORTS, serialPorts.get(1));
        ports.add(PowerManagement.BASE, PowerManagement.PORTS, power);
        resetPorts.connect(ports);
        configuration.exitPort().ifPresent(port -> ports.add(port, 1, new ExitPort(control)));
    }

    /** Connects the wires; before the machine runs. */
    void connect(Partition made) {
        partition = made;
        hyperv.setTscFrequency(made.tscFrequency());
    }

    /** An ISA interrupt goes to the 8259s and to the IOAPIC. */
    private InterruptWire wire(int line, int input) {
        return high -> {
            controller.setInput(line, high);
            Partition wired = partition;
            if (wired != null) {
                wired.setInterruptLine(input, high);
            }
        };
    }

    private void memoryWritten(long address, long length) {
        Objects.requireNonNull(partition).memoryWritten(address, length);
    }

    /** The partition as the Hyper-V interface sees it. */
    private final class Port implements PartitionPort {
        private static final long MESSAGE_ADDRESS = 0xfee0_0000L;
        private static final int DESTINATION = 12;

        private Partition partition() {
            return Objects.requireNonNull(partition);
        }

        @Override
        public VirtualProcessor processor(int index) {
            return partition().processor(index);
        }

        @Override
        public void interrupt(int processor, int vector) {
            partition().signalMessage(MESSAGE_ADDRESS | (long) processor << DESTINATION, vector);
        }

        @Override
        public void memoryWritten(long address, long length) {
            Chipset.this.memoryWritten(address, length);
        }

        @Override
        public void flushTranslations(int caller, long processors) {
            partition().flushTranslations(caller, processors);
        }

        @Override
        public Optional<Doorbell> doorbell(int port, int value, Runnable rung) {
            return partition().doorbell(port, value, rung);
        }

        @Override
        public void setAutomaticEnd(int processor, int vector, boolean automatic) {
            partition().setAutomaticEnd(processor, vector, automatic);
        }
    }

    SerialPort serial(int index) {
        return serialPorts.get(index);
    }

    void pressPowerButton() {
        power.pressPowerButton();
    }

    Vmbus vmbus() {
        return vmbus;
    }

    IntegrationServices integration() {
        return integration;
    }

    /** The machine begins to run. */
    void start() {
        devices.forEach(Device::start);
        vmbus.start();
    }

    /** The machine stands: on return no device does anything. */
    void stop() {
        vmbus.stop();
        devices.forEach(Device::stop);
    }

    void reset() {
        devices.forEach(Device::reset);
        vmbus.reset();
    }

    void save(StateWriter state) {
        devices.forEach(device -> save(device, state));
        save(vmbus, state);
        vmbus.devices().forEach(device -> save(device, state));
    }

    private static void save(Device device, StateWriter state) {
        state.section("machine." + device.name(), device.stateVersion(), device::save);
    }

    void restore(StateReader state) {
        devices.forEach(device -> restore(device, state));
        // Machines saved by the first version have no such bus.
        if (!vmbus.devices().isEmpty() || state.has("machine." + vmbus.name())) {
            restore(vmbus, state);
        }
        vmbus.devices().forEach(device -> restore(device, state));
    }

    private static void restore(Device device, StateReader state) {
        device.restore(state.section("machine." + device.name(), device.stateVersion()));
    }

    @Override
    public int readPort(int processor, int port, int size) {
        return ports.read(port, size);
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {
        if (!hyperv.writePort(processor, port, size)) {
            ports.write(port, size, value);
        }
    }

    @Override
    public long readMemory(int processor, long address, int size) {
        return memoryBus.read(address, size);
    }

    @Override
    public void writeMemory(int processor, long address, int size, long value) {
        memoryBus.write(address, size, value);
    }

    @Override
    public boolean readMsr(int processor, int index, MsrValue result) {
        return hyperv.readMsr(processor, index, result);
    }

    @Override
    public boolean writeMsr(int processor, int index, long value) {
        return hyperv.writeMsr(processor, index, value);
    }
}
