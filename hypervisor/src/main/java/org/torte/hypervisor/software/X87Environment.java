package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/** The x87 control instructions: control and status word, environment and whole state (Intel SDM vol. 1, 8.1.10, 8.3.11). */
final class X87Environment {
    private final FpuState fpu;
    private final CpuContext cpu;

    /** The seven fields of the environment that is being loaded. */
    private final long[] environment = new long[7];

    X87Environment(FpuState fpu, CpuContext cpu) {
        this.fpu = fpu;
        this.cpu = cpu;
    }

    /** Words are what alignment is checked for: the registers follow in ten bytes each. */
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
                cpu.checkAlignment(address, in.operandSize == 2 ? 2 : 4);
                cpu.checkStore(address, environmentSize(in));
                storeEnvironment(in, address);
                // All exceptions become masked after they have been saved.
                fpu.control |= 0x3f;
                fpu.updateErrorSummary();
            }
            case FLDENV -> {
                readEnvironment(in, address);
                setEnvironment(in);
            }
            case FNSAVE -> {
                int size = environmentSize(in);
                cpu.checkAlignment(address, in.operandSize == 2 ? 2 : 4);
                cpu.checkStore(address, size + 80);
                storeEnvironment(in, address);
                for (int i = 0; i < 8; i++) {
                    int register = fpu.top + i & 7;
                    long at = address + size + 10L * i;
                    for (int part = 0; part < 8; part += 2) {
                        cpu.store(at + part, 2, fpu.significand[register] >>> 8 * part & 0xffff);
                    }
                    cpu.store(at + 8, 2, fpu.signExponent[register]);
                }
                fpu.initializeX87();
            }
            default -> {
                readEnvironment(in, address);
                long[] significand = new long[8];
                int[] signExponent = new int[8];
                for (int i = 0; i < 8; i++) {
                    long at = address + environmentSize(in) + 10L * i;
                    for (int part = 0; part < 8; part += 2) {
                        significand[i] |= cpu.load(at + part, 2) << 8 * part;
                    }
                    signExponent[i] = (int) cpu.load(at + 8, 2);
                }
                setEnvironment(in);
                for (int i = 0; i < 8; i++) {
                    int register = fpu.top + i & 7;
                    fpu.significand[register] = significand[i];
                    fpu.signExponent[register] = signExponent[i];
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

    /** Figures 8-9 to 8-12. */
    private void storeEnvironment(Instruction in, long address) {
        int step = in.operandSize == 2 ? 2 : 4;
        long upper = step == 4 ? 0xffff0000L : 0;
        cpu.store(address, step, upper | fpu.control);
        cpu.store(address + step, step, upper | fpu.statusWord());
        cpu.store(address + 2L * step, step, upper | fpu.tagWord());
        long ip = fpu.instructionPointer & 0xffffffffL;
        long data = fpu.dataPointer & 0xffffffffL;
        if (realMode()) {
            // Linear addresses.
            ip = ip + 16L * fpu.codeSelector & 0xffffffffL;
            data = data + 16L * fpu.dataSelector & 0xffffffffL;
        }
        if (step == 4) {
            if (realMode()) {
                cpu.store(address + 12, 4, ip & 0xffff);
                cpu.store(address + 16, 4, ip >>> 16 << 12 | fpu.opcode);
                cpu.store(address + 20, 4, data & 0xffff);
                cpu.store(address + 24, 4, data >>> 16 << 12);
            } else {
                cpu.store(address + 12, 4, ip);
                cpu.store(address + 16, 4, (long) fpu.opcode << 16 | fpu.codeSelector);
                cpu.store(address + 20, 4, data);
                cpu.store(address + 24, 4, upper | fpu.dataSelector);
            }
            return;
        }
        cpu.store(address + 6, 2, ip & 0xffff);
        cpu.store(address + 8, 2, realMode() ? ip >>> 4 & 0xf000 | fpu.opcode : fpu.codeSelector);
        cpu.store(address + 10, 2, data & 0xffff);
        cpu.store(address + 12, 2, realMode() ? data >>> 4 & 0xf000 : fpu.dataSelector);
    }

    /** Reads all of it before anything changes. */
    private void readEnvironment(Instruction in, long address) {
        int step = in.operandSize == 2 ? 2 : 4;
        for (int i = 0; i < 7; i++) {
            environment[i] = cpu.load(address + (long) i * step, step);
        }
    }

    private void setEnvironment(Instruction in) {
        fpu.control = (int) environment[0] & 0x1f3f | 0x40;
        fpu.setStatusWord((int) environment[1]);
        fpu.setTagWord((int) environment[2]);
        long ip = environment[3];
        long second = environment[4];
        long data = environment[5];
        long last = environment[6];
        boolean wide = in.operandSize != 2;
        fpu.codeSelector = 0;
        fpu.dataSelector = 0;
        if (realMode()) {
            ip = ip & 0xffff | (wide ? (second & 0xffff000) << 4 : (second & 0xf000) << 4);
            data = data & 0xffff | (wide ? (last & 0xffff000) << 4 : (last & 0xf000) << 4);
            fpu.opcode = (int) second & 0x7ff;
        } else {
            fpu.codeSelector = (int) second & 0xffff;
            fpu.dataSelector = (int) last & 0xffff;
            fpu.opcode = wide ? (int) (second >>> 16) & 0x7ff : 0;
        }
        fpu.instructionPointer = ip;
        fpu.dataPointer = data;
    }
}
