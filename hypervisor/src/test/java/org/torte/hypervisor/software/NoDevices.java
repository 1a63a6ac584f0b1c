package org.torte.hypervisor.software;

import org.torte.hypervisor.ExitHandler;

/** A machine without any: reads give all ones, writes go nowhere, and there are no registers. */
class NoDevices implements ExitHandler {
    @Override
    public int readPort(int processor, int port, int size) {
        return -1;
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {}

    @Override
    public long readMemory(int processor, long address, int size) {
        return -1;
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
