package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** The stack in all modes, and the instructions that use nothing else. */
final class Stack {
    private static final int[] ALL = {Cpu.RAX, Cpu.RCX, Cpu.RDX, Cpu.RBX, Cpu.RSP, Cpu.RBP, Cpu.RSI, Cpu.RDI};

    private final Cpu cpu;
    private final long[] r;
    private final Mmu mmu;
    private final Operands operands;

    Stack(Cpu cpu) {
        this.cpu = cpu;
        r = cpu.r;
        mmu = cpu.mmu;
        operands = new Operands(cpu);
    }

    /** Bytes of the stack pointer that count: 8, 4 or 2. */
    int width() {
        if ((cpu.mode & Cpu.MODE_SIZE) == Cpu.MODE_64) {
            return 8;
        }
        return (cpu.mode & Cpu.MODE_STACK_32) != 0 ? 4 : 2;
    }

    private void setPointer(long value) {
        operands.setRegister(Cpu.RSP, width(), true, value);
    }

    private long linear(long offset, int size, boolean write) {
        return operands.linear(Cpu.SS, Alu.zeroExtend(offset, width()), size, write);
    }

    /** Pushes 2, 4 or 8 bytes. */
    void push(long value, int size) {
        mmu.store(linear(r[Cpu.RSP] - size, size, true), size, value);
        setPointer(r[Cpu.RSP] - size);
    }

    /** What lies {@code at} bytes above the stack pointer. */
    long peek(int at, int size) {
        return mmu.load(linear(r[Cpu.RSP] + at, size, false), size);
    }

    /** Moves the stack pointer up. */
    void drop(int bytes) {
        setPointer(r[Cpu.RSP] + bytes);
    }

    void execute(Instruction in, Operands operands) {
        int size = in.operandSize;
        switch (in.form.operation()) {
            case PUSH -> {
                Operand operand = in.form.operand(0);
                push(
                        operand.kind() == Operand.Kind.SEGMENT
                                ? cpu.selector[operand.register()]
                                : operands.read(in, 0),
                        size);
            }
            case POP -> {
                long value = peek(0, size);
                if (in.memory) {
                    // The address is computed with the stack pointer after the pop (Intel SDM, POP).
                    long before = r[Cpu.RSP];
                    drop(size);
                    try {
                        operands.write(in, 0, value);
                    } catch (GuestFault f) {
                        r[Cpu.RSP] = before;
                        throw f;
                    }
                } else {
                    drop(size);
                    operands.write(in, 0, value);
                }
            }
            case PUSHA -> {
                long sp = r[Cpu.RSP];
                for (int i = 0; i < 8; i++) {
                    mmu.store(linear(sp - (i + 1L) * size, size, true), size, r[ALL[i]]);
                }
                setPointer(sp - 8L * size);
            }
            case POPA -> {
                // Those before a fault are loaded; executed again, the instruction loads them again.
                for (int i = 0; i < 8; i++) {
                    long value = peek(i * size, size);
                    if (ALL[7 - i] != Cpu.RSP) {
                        operands.setRegister(ALL[7 - i], size, true, value);
                    }
                }
                drop(8 * size);
            }
            case PUSHF -> {
                requireIoplInVirtual8086();
                push(cpu.flags() & ~(Cpu.VM | Cpu.RF), size);
            }
            case POPF -> popFlags(size);
            case ENTER -> enter(in);
            default -> {
                int width = width();
                long frame = Alu.zeroExtend(r[Cpu.RBP], width);
                long value = mmu.load(linear(frame, size, false), size);
                setPointer(frame + size);
                operands.setRegister(Cpu.RBP, size, true, value);
            }
        }
    }

    private void requireIoplInVirtual8086() {
        if (cpu.virtual8086() && cpu.iopl() < 3) {
            throw cpu.gp(0);
        }
    }

    private void popFlags(int size) {
        requireIoplInVirtual8086();
        int value = (int) peek(0, size);
        int changeable = Cpu.TF | Cpu.DF | Cpu.NT | (size == 2 ? 0 : Cpu.AC | Cpu.ID);
        if (cpu.cpl == 0) {
            changeable |= Cpu.IOPL;
        }
        if (cpu.cpl <= cpu.iopl() || !cpu.protectedMode()) {
            changeable |= Cpu.IF;
        }
        // RF is cleared; VM, VIF and VIP stay.
        int kept = cpu.systemFlags & ~changeable & ~(size == 2 ? 0 : Cpu.RF);
        drop(size);
        cpu.alu.setFlags(value);
        cpu.setSystemFlags(kept | value & changeable);
    }

    private void enter(Instruction in) {
        int size = in.operandSize;
        int level = in.immediate2 & 31;
        long sp = r[Cpu.RSP];
        long frame = sp - size;
        long writeFirst = linear(frame, size, true);
        long bottom = frame - (long) level * size - (in.immediate & 0xffff);
        mmu.checkStore(linear(bottom, size, true), size);
        mmu.store(writeFirst, size, r[Cpu.RBP]);
        for (int i = 1; i < level; i++) {
            long link = mmu.load(linear(r[Cpu.RBP] - (long) i * size, size, false), size);
            mmu.store(linear(frame - (long) i * size, size, true), size, link);
        }
        if (level > 0) {
            mmu.store(linear(frame - (long) level * size, size, true), size, frame);
        }
        setPointer(bottom);
        operands.setRegister(Cpu.RBP, size, true, frame);
    }
}
