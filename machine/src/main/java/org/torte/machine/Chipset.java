package org.torte.machine;

import java.util.List;
import org.torte.hypervisor.ExitHandler;

/** The devices of a machine and the buses they are on. */
final class Chipset implements ExitHandler {
    private final List<SerialPort> serialPorts = List.of();

    SerialPort serial(int index) {
        return serialPorts.get(index);
    }

    void pressPowerButton() {}

    @Override
    public int readPort(int processor, int port, int size) {
        return -1 >>> 32 - 8 * size;
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {}

    @Override
    public long readMemory(int processor, long address, int size) {
        return -1L >>> 64 - 8 * size;
    }

    @Override
    public void writeMemory(int processor, long address, int size, long value) {}

    @Override
    public boolean readMsr(int processor, int index, MsrValue result) {
        return false;
    }

    @Override
    public boolean writeMsr(int processor, int index, long value) {
        return false;
    }
}
