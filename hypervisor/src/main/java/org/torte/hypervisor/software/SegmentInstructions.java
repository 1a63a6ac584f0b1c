package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Instructions that load, store and examine segment registers and their descriptors. */
final class SegmentInstructions {
    /** System descriptor types that LAR and LSL accept: bit n for type n. */
    private static final int LAR_LEGACY = 0b1101_1010_0011_1110 & ~(1 << 6 | 1 << 7);

    private static final int LSL_LEGACY = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11;
    private static final int LAR_LONG = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 12;
    private static final int LSL_LONG = 1 << 2 | 1 << 9 | 1 << 11;

    private final Cpu cpu;
    private final Segmentation segmentation;
    private final Operands operands;

    SegmentInstructions(Cpu cpu, Segmentation segmentation, Operands operands) {
        this.cpu = cpu;
        this.segmentation = segmentation;
        this.operands = operands;
    }

    void execute(Instruction in) {
        switch (in.form.operation()) {
            case MOV_TO_SREG -> {
                int segment = in.reg;
                if (segment == Cpu.CS || segment > Cpu.GS) {
                    throw cpu.fault(GuestFault.UD, 0);
                }
                segmentation.load(segment, (int) operands.read(in, 1) & 0xffff);
                if (segment == Cpu.SS) {
                    cpu.setInterruptShadow(true);
                }
            }
            case MOV_FROM_SREG -> {
                if (in.reg > Cpu.GS) {
                    throw cpu.fault(GuestFault.UD, 0);
                }
                operands.write(in, 0, cpu.selector[in.reg]);
            }
            case LOAD_FAR -> {
                int size = FarTransfers.offsetSize(in);
                long offset = cpu.mmu.load(operands.address(in, size, false), size);
                int selector = operands.farSelector(in, size);
                segmentation.load(in.form.operand(0).register(), selector);
                operands.setRegister(in.reg, size, true, offset);
            }
            case SLDT -> requireProtected(() -> store(in, Cpu.LDTR));
            case STR -> requireProtected(() -> store(in, Cpu.TR));
            case LLDT ->
                requireProtected(() -> {
                    requireSupervisor();
                    segmentation.loadLdt((int) operands.read(in, 0) & 0xffff, GuestFault.GP);
                });
            case LTR ->
                requireProtected(() -> {
                    requireSupervisor();
                    segmentation.loadTask((int) operands.read(in, 0) & 0xffff);
                });
            case ARPL -> requireProtected(() -> adjust(in));
            case LAR, LSL -> requireProtected(() -> examine(in));
            case VERR, VERW -> requireProtected(() -> verify(in));
            case SWAPGS -> {
                if (!cpu.longMode()) {
                    throw cpu.fault(GuestFault.UD, 0);
                }
                requireSupervisor();
                long base = cpu.r[Cpu.BASE + Cpu.GS];
                cpu.r[Cpu.BASE + Cpu.GS] = cpu.kernelGsBase;
                cpu.kernelGsBase = base;
            }
            default -> segmentBase(in);
        }
    }

    /** POP of a segment register. */
    void pop(int segment, int size, Stack stack) {
        int selector = (int) stack.peek(0, size) & 0xffff;
        if (segment == Cpu.SS) {
            // The width of the stack pointer is that of the old stack segment.
            int width = stack.width();
            segmentation.load(segment, selector);
            operands.setRegister(Cpu.RSP, width, true, cpu.r[Cpu.RSP] + size);
            cpu.setInterruptShadow(true);
        } else {
            segmentation.load(segment, selector);
            stack.drop(size);
        }
    }

    private void requireProtected(Runnable action) {
        if (cpu.realSegments()) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        action.run();
    }

    private void requireSupervisor() {
        if (cpu.cpl != 0) {
            throw cpu.gp(0);
        }
    }

    /** CR4.UMIP hides the selectors from user code. */
    private void store(Instruction in, int segment) {
        if ((cpu.cr4 & Cpu.CR4_UMIP) != 0 && cpu.cpl != 0) {
            throw cpu.gp(0);
        }
        operands.write(in, 0, cpu.selector[segment]);
    }

    private void setZero(boolean zero) {
        cpu.alu.setFlags(cpu.alu.flags() & ~Alu.ZF | (zero ? Alu.ZF : 0));
    }

    private void adjust(Instruction in) {
        long address = in.memory ? operands.address(in, 2, false) : 0;
        int destination = (int) (in.memory ? cpu.mmu.load16(address) : operands.read(in, 0));
        int rpl = (int) operands.read(in, 1) & 3;
        boolean raise = (destination & 3) < rpl;
        if (raise) {
            operands.write(in, 0, destination & ~3 | rpl);
        }
        setZero(raise);
    }

    /** The descriptor of a selector, or 0 if LAR, LSL, VERR and VERW may not see it. */
    private long visible(int selector) {
        if ((selector & 0xfffc) == 0) {
            return 0;
        }
        long descriptor;
        try {
            descriptor = segmentation.descriptor(selector);
        } catch (GuestFault f) {
            if (f.vector == GuestFault.GP) {
                return 0;
            }
            throw f;
        }
        boolean conforming = Segmentation.isCode(descriptor) && Segmentation.isConforming(descriptor);
        boolean allowed = conforming || Segmentation.privilege(descriptor) >= Math.max(cpu.cpl, selector & 3);
        return allowed ? descriptor : 0;
    }

    private void examine(Instruction in) {
        boolean rights = in.form.operation() == Operation.LAR;
        int selector = (int) operands.read(in, 1) & 0xffff;
        long descriptor = visible(selector);
        boolean valid = descriptor != 0;
        if (valid && Segmentation.isSystem(descriptor)) {
            int types = cpu.longModeActive() ? (rights ? LAR_LONG : LSL_LONG) : rights ? LAR_LEGACY : LSL_LEGACY;
            valid = (types >> Segmentation.type(descriptor) & 1) != 0;
        }
        if (valid) {
            // With the limit's upper bits, which Intel's manual leaves undefined.
            long value = rights ? descriptor >>> 32 & 0xffff00 : Segmentation.limit(descriptor) & 0xffffffffL;
            operands.write(in, 0, value);
        }
        setZero(valid);
    }

    private void verify(Instruction in) {
        long descriptor = visible((int) operands.read(in, 0) & 0xffff);
        setZero(descriptor != 0
                && (in.form.operation() == Operation.VERR
                        ? Segmentation.isReadable(descriptor)
                        : Segmentation.isWritableData(descriptor)));
    }

    private void segmentBase(Instruction in) {
        if (!cpu.longMode() || (cpu.cr4 & Cpu.CR4_FSGSBASE) == 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        boolean gs = in.form.operation() == Operation.RDGSBASE || in.form.operation() == Operation.WRGSBASE;
        int slot = Cpu.BASE + (gs ? Cpu.GS : Cpu.FS);
        if (in.form.operation() == Operation.RDFSBASE || in.form.operation() == Operation.RDGSBASE) {
            operands.write(in, 0, cpu.r[slot]);
            return;
        }
        long value = operands.read(in, 0);
        if (value << 16 >> 16 != value) {
            throw cpu.gp(0);
        }
        cpu.r[slot] = value;
    }
}
