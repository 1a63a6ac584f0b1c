package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/** The x87 instructions that deal with control and status only (Intel SDM vol. 1, section 8.1). */
final class X87Control {
    private final FpuState state;
    private final CpuContext cpu;

    X87Control(FpuState state, CpuContext cpu) {
        this.state = state;
        this.cpu = cpu;
    }

    void execute(Instruction in, long address) {
        switch (in.form.operation()) {
            case FNINIT -> state.initializeX87();
            case FNCLEX -> {
                state.status &= 0x7f00;
                state.updateErrorSummary();
            }
            case FLDCW -> {
                state.control = (int) cpu.load(address, 2) & 0x1f3f | 0x40;
                state.updateErrorSummary();
            }
            case FNSTCW -> cpu.store(address, 2, state.control);
            case FNSTSW -> {
                if (in.memory) {
                    cpu.store(address, 2, state.statusWord());
                } else {
                    cpu.setGpr(0, cpu.gpr(0) & ~0xffffL | state.statusWord());
                }
            }
            case FWAIT, FNOP -> {}
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }
}
