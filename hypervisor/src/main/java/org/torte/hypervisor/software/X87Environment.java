package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/** The x87 control instructions: control and status word, environment and whole state (Intel SDM vol. 1, 8.1.10, 8.3.11). */
final class X87Environment {
    private final FpuState fpu;
    private final CpuContext cpu;

    X87Environment(FpuState fpu, CpuContext cpu) {
        this.fpu = fpu;
        this.cpu = cpu;
    }

    void execute(Instruction in, long address) {
        switch (in.form.operation()) {
            case FNINIT -> fpu.initializeX87();
            case FNCLEX -> {
                fpu.status &= ~0x80ff;
                fpu.updateErrorSummary();
            }
            case FNSTCW -> cpu.store(address, 2, fpu.control);
            case FNSTSW -> {
                if (in.memory) {
                    cpu.store(address, 2, fpu.statusWord());
                } else {
                    cpu.setGpr(0, cpu.gpr(0) & ~0xffffL | fpu.statusWord());
                }
            }
            case FLDCW -> {
                fpu.control = (int) cpu.load(address, 2) & 0x1f3f | 0x40;
                fpu.updateErrorSummary();
            }
            case FNSTENV -> {
                int size = environmentSize(in);
                cpu.checkStore(address, size);
                storeEnvironment(in, address);
                // All exceptions become masked after they have been saved.
                fpu.control |= 0x3f;
                fpu.updateErrorSummary();
            }
            case FLDENV -> {
                cpu.load(address + environmentSize(in) - 2, 2);
                loadEnvironment(in, address);
            }
            case FNSAVE -> {
                int size = environmentSize(in);
                cpu.checkStore(address, size + 80);
                storeEnvironment(in, address);
                for (int i = 0; i < 8; i++) {
                    int register = fpu.top + i & 7;
                    long at = address + size + 10L * i;
                    cpu.store(at, 8, fpu.significand[register]);
                    cpu.store(at + 8, 2, fpu.signExponent[register]);
                }
                fpu.initializeX87();
            }
            default -> {
                int size = environmentSize(in);
                cpu.load(address + size + 78, 2);
                loadEnvironment(in, address);
                for (int i = 0; i < 8; i++) {
                    int register = fpu.top + i & 7;
                    long at = address + size + 10L * i;
                    fpu.significand[register] = cpu.load(at, 8);
                    fpu.signExponent[register] = (int) cpu.load(at + 8, 2);
                }
            }
        }
    }

    private static int environmentSize(Instruction in) {
        return in.operandSize == 2 ? 14 : 28;
    }

    private boolean realMode() {
        return (cpu.cr0() & 1) == 0;
    }

    /** Figures 8-9 to 8-12; selectors, which this processor does not keep, are stored as 0. */
    private void storeEnvironment(Instruction in, long address) {
        int step = in.operandSize == 2 ? 2 : 4;
        long upper = step == 4 ? 0xffff0000L : 0;
        cpu.store(address, step, upper | fpu.control);
        cpu.store(address + step, step, upper | fpu.statusWord());
        cpu.store(address + 2L * step, step, upper | fpu.tagWord());
        long ip = fpu.instructionPointer & 0xffffffffL;
        long data = fpu.dataPointer & 0xffffffffL;
        if (step == 4) {
            if (realMode()) {
                cpu.store(address + 12, 4, ip & 0xffff);
                cpu.store(address + 16, 4, ip >>> 16 << 12 | fpu.opcode);
                cpu.store(address + 20, 4, data & 0xffff);
                cpu.store(address + 24, 4, data >>> 16 << 12);
            } else {
                cpu.store(address + 12, 4, ip);
                cpu.store(address + 16, 4, (long) fpu.opcode << 16);
                cpu.store(address + 20, 4, data);
                cpu.store(address + 24, 4, upper);
            }
            return;
        }
        cpu.store(address + 6, 2, ip & 0xffff);
        cpu.store(address + 8, 2, realMode() ? ip >>> 4 & 0xf000 | fpu.opcode : 0);
        cpu.store(address + 10, 2, data & 0xffff);
        cpu.store(address + 12, 2, realMode() ? data >>> 4 & 0xf000 : 0);
    }

    private void loadEnvironment(Instruction in, long address) {
        int step = in.operandSize == 2 ? 2 : 4;
        int control = (int) cpu.load(address, 2);
        int status = (int) cpu.load(address + step, 2);
        int tags = (int) cpu.load(address + 2L * step, 2);
        fpu.control = control & 0x1f3f | 0x40;
        fpu.setStatusWord(status);
        fpu.setTagWord(tags);
        if (step == 4) {
            long ip = cpu.load(address + 12, 4);
            long second = cpu.load(address + 16, 4);
            long data = cpu.load(address + 20, 4);
            if (realMode()) {
                ip = ip & 0xffff | (second & 0xffff000) << 4;
                data = data & 0xffff | (cpu.load(address + 24, 4) & 0xffff000) << 4;
                fpu.opcode = (int) second & 0x7ff;
            } else {
                fpu.opcode = (int) (second >>> 16) & 0x7ff;
            }
            fpu.instructionPointer = ip;
            fpu.dataPointer = data;
            return;
        }
        long ip = cpu.load(address + 6, 2);
        long data = cpu.load(address + 10, 2);
        if (realMode()) {
            long second = cpu.load(address + 8, 2);
            ip |= (second & 0xf000) << 4;
            data |= (cpu.load(address + 12, 2) & 0xf000) << 4;
            fpu.opcode = (int) second & 0x7ff;
        }
        fpu.instructionPointer = ip;
        fpu.dataPointer = data;
    }
}
