package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

final class FloatingPoint {
    private final Cpu cpu;

    FloatingPoint(Cpu cpu, FpuState fpu) {
        this.cpu = cpu;
    }

    void execute(Instruction in, long address) {
        throw cpu.fault(GuestFault.UD, 0);
    }
}
