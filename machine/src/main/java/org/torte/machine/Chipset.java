package org.torte.machine;

import java.util.List;
import java.util.function.Consumer;
import org.torte.base.GuestMemory;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.base.Timers;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Partition;
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

    /** In the order in which they are restored: first those that others reach with their wires. */
    private final List<Device> devices;

    private volatile @org.jspecify.annotations.Nullable Partition partition;

    Chipset(
            MachineConfiguration configuration,
            GuestMemory memory,
            Timers timers,
            PowerControl control,
            Consumer<GuestCrash> crashed) {
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
                memory,
                this::memoryWritten,
                timers.clock(),
                configuration.tscFrequency(),
                configuration.processors(),
                control,
                crashed);
        devices = List.of(controller, timer, clock, serialPorts.get(0), serialPorts.get(1), power, resetPorts, hyperv);

        controller.connect(ports);
        timer.connect(ports);
        ports.add(RealTimeClock.BASE, RealTimeClock.PORTS, clock);
        ports.add(COM1, SerialDevice.PORTS, serialPorts.get(0));
        ports.add(COM2, SerialDevice.PORTS, serialPorts.get(1));
        ports.add(PowerManagement.BASE, PowerManagement.PORTS, power);
        resetPorts.connect(ports);
        hyperv.connect(ports);
        configuration.exitPort().ifPresent(port -> ports.add(port, 1, new ExitPort(control)));
    }

    /** Connects the wires; before the machine runs. */
    void connect(Partition made) {
        partition = made;
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
        Partition wired = partition;
        if (wired != null) {
            wired.memoryWritten(address, length);
        }
    }

    SerialPort serial(int index) {
        return serialPorts.get(index);
    }

    void pressPowerButton() {
        power.pressPowerButton();
    }

    List<Device> devices() {
        return devices;
    }

    void reset() {
        devices.forEach(Device::reset);
    }

    void save(StateWriter state) {
        for (Device device : devices) {
            state.section("machine." + device.name(), device.stateVersion(), device::save);
        }
    }

    void restore(StateReader state) {
        for (Device device : devices) {
            device.restore(state.section("machine." + device.name(), device.stateVersion()));
        }
    }

    @Override
    public int readPort(int processor, int port, int size) {
        return ports.read(port, size);
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {
        ports.write(port, size, value);
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
