package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.FloatFormat;
import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.software.fp.Unpacked;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** The x87 instructions (Intel SDM vol. 1, chapter 8): availability, loads, stores and register moves; the rest by unit. */
final class X87Unit {
    private static final long CR0_MP = 1 << 1;
    private static final long CR0_EM = 1 << 2;
    private static final long CR0_TS = 1 << 3;
    private static final int CF = 1, PF = 1 << 2, ZF = 1 << 6;
    private static final long DECIMAL_LIMIT = 1_000_000_000_000_000_000L;

    private final VectorOperands operands;
    private final FpuState fpu;
    private final CpuContext cpu;
    private final X87Stack stack;
    private final SoftFloat soft;
    private final X87Environment environment;
    private final X87Arithmetic arithmetic;
    private final X87Functions functions;

    X87Unit(VectorOperands operands) {
        this.operands = operands;
        fpu = operands.fpu;
        cpu = operands.cpu;
        stack = new X87Stack(fpu);
        soft = stack.soft;
        environment = new X87Environment(fpu, cpu);
        arithmetic = new X87Arithmetic(stack, cpu);
        functions = new X87Functions(stack);
    }

    /** Faults if the guest may not use the unit now, or if an exception of an earlier instruction is pending. */
    void checkAvailable(Instruction in) {
        long cr0 = cpu.cr0();
        boolean wait = in.form.operation() == Operation.FWAIT;
        if (wait ? (cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS) : (cr0 & (CR0_EM | CR0_TS)) != 0) {
            throw cpu.fault(GuestFault.NM, 0);
        }
        switch (in.form.operation()) {
            case FNINIT, FNCLEX, FNSTCW, FNSTSW, FNSTENV, FNSAVE -> {}
            default -> {
                // FENI, FDISI and FSETPM of the first coprocessors do not even wait.
                if (in.form.operation() != Operation.FNOP || in.opcode != 0xdb) {
                    operands.checkPendingX87();
                }
            }
        }
    }

    void execute(Instruction in, long address) {
        checkAvailable(in);
        switch (in.form.operation()) {
            case FWAIT -> {}
            case FNINIT, FNCLEX, FNSTCW, FNSTSW, FNSTENV, FNSAVE, FLDCW, FLDENV, FRSTOR ->
                environment.execute(in, address);
            default -> {
                if (in.form.operation() == Operation.FNOP && in.opcode == 0xdb) {
                    return;
                }
                stack.begin();
                // Memory first, as a page fault must leave the pointers alone.
                fetch(in, address);
                move(in, address);
                record(in, address);
            }
        }
    }

    /** Leaves behind where the instruction and its operand are (SDM vol. 1, 8.1.8). */
    private void record(Instruction in, long address) {
        fpu.instructionPointer = cpu.instructionPointer();
        fpu.codeSelector = cpu.selector(Cpu.CS);
        fpu.opcode = (in.opcode & 7) << 8 | in.modrm;
        if (in.memory) {
            fpu.dataSelector = cpu.selector(in.segment);
            fpu.dataPointer = address - cpu.segmentBase(in.segment);
        }
    }

    /** Takes a memory source into {@code stack.b}. */
    private void fetch(Instruction in, long address) {
        if (!in.memory) {
            return;
        }
        switch (in.form.operation()) {
            case FLD, FADD, FMUL, FCOM, FCOMP, FSUB, FSUBR, FDIV, FDIVR -> {
                switch (in.form.operand(0).size(in)) {
                    case 4 -> stack.b.set32((int) cpu.load(address, 4), false);
                    case 8 -> stack.b.set64(cpu.load(address, 8), false);
                    default -> {
                        long significand = cpu.load(address, 8);
                        stack.b.set80(significand, (int) cpu.load(address + 8, 2));
                    }
                }
            }
            case FILD, FIADD, FIMUL, FICOM, FICOMP, FISUB, FISUBR, FIDIV, FIDIVR -> {
                int size = in.form.operand(0).size(in);
                long value = cpu.load(address, size);
                stack.b.setInteger(size == 2 ? (short) value : size == 4 ? (int) value : value);
            }
            case FBLD -> {
                long digits = cpu.load(address, 8);
                int last = (int) cpu.load(address + 8, 2);
                stack.b.setInteger(fromDecimal(last & 0xff) * 10_000_000_000_000_000L + fromDecimal(digits));
                stack.b.negative = (last & 0x8000) != 0;
            }
            default -> {}
        }
    }

    private static long fromDecimal(long digits) {
        long value = 0;
        for (int i = 60; i >= 0; i -= 4) {
            value = value * 10 + (digits >>> i & 15);
        }
        return value;
    }

    private void move(Instruction in, long address) {
        switch (in.form.operation()) {
            case FLD -> load(in, address);
            case FILD, FBLD -> push(stack.b);
            case FST -> store(in, address, false);
            case FSTP -> store(in, address, true);
            case FIST -> storeInteger(in, address, soft.rounding, false);
            case FISTP -> storeInteger(in, address, soft.rounding, true);
            case FISTTP -> storeInteger(in, address, SoftFloat.TO_ZERO, true);
            case FBSTP -> storeDecimal(address);
            case FXCH -> exchange(in.rm & 7);
            case FCMOVB -> conditionalMove(in, CF, true);
            case FCMOVE -> conditionalMove(in, ZF, true);
            case FCMOVBE -> conditionalMove(in, CF | ZF, true);
            case FCMOVU -> conditionalMove(in, PF, true);
            case FCMOVNB -> conditionalMove(in, CF, false);
            case FCMOVNE -> conditionalMove(in, ZF, false);
            case FCMOVNBE -> conditionalMove(in, CF | ZF, false);
            case FCMOVNU -> conditionalMove(in, PF, false);
            case FLD1 -> constant(0, 1L << 63, 0);
            case FLDL2T -> constant(1, 0xd49a784bcd1b8afeL, 0x492bf6ff4dafdb4cL);
            case FLDL2E -> constant(0, 0xb8aa3b295c17f0bbL, 0xbe87fed0691d3e88L);
            case FLDPI -> constant(1, 0xc90fdaa22168c234L, 0xc4c6628b80dc1cd1L);
            case FLDLG2 -> constant(-2, 0x9a209a84fbcff798L, 0x8f8959ac0b7c9178L);
            case FLDLN2 -> constant(-1, 0xb17217f7d1cf79abL, 0xc9e3b39803f2f6afL);
            case FLDZ -> {
                stack.a.setInteger(0);
                push(stack.a);
            }
            case FINCSTP -> {
                fpu.top = fpu.top + 1 & 7;
                stack.clearC1();
            }
            case FDECSTP -> {
                fpu.top = fpu.top - 1 & 7;
                stack.clearC1();
            }
            case FFREE -> {
                stack.clearC1();
                fpu.empty |= 1 << (fpu.top + in.rm & 7);
            }
            case FFREEP -> {
                stack.clearC1();
                fpu.empty |= 1 << (fpu.top + in.rm & 7);
                stack.pop();
            }
            case FNOP -> {}
            case F2XM1, FYL2X, FPTAN, FPATAN, FXTRACT, FPREM1, FPREM, FYL2XP1, FSINCOS, FSCALE, FSIN, FCOS ->
                functions.execute(in.form.operation());
            default -> arithmetic.execute(in);
        }
    }

    /** FLD m80 moves the bits, whatever they are. */
    private void loadExtended(long address) {
        long significand = cpu.load(address, 8);
        int signExponent = (int) cpu.load(address + 8, 2);
        push(stack.b);
        if ((fpu.status & X87Stack.C1) == 0) {
            fpu.significand[fpu.top] = significand;
            fpu.signExponent[fpu.top] = signExponent;
        }
    }

    private void load(Instruction in, long address) {
        if (!in.memory) {
            int i = in.rm & 7;
            if (stack.isEmpty(i)) {
                if (stack.underflow()) {
                    fpu.top = fpu.top - 1 & 7;
                    stack.setIndefinite(0);
                }
            } else if (!stack.isEmpty(7)) {
                push(stack.b);
            } else {
                int register = fpu.top + i & 7;
                long significand = fpu.significand[register];
                int signExponent = fpu.signExponent[register];
                fpu.top = fpu.top - 1 & 7;
                fpu.significand[fpu.top] = significand;
                fpu.signExponent[fpu.top] = signExponent;
                fpu.empty &= ~(1 << fpu.top);
                stack.clearC1();
            }
        } else if (in.form.operand(0).size(in) == 10) {
            loadExtended(address);
        } else if (!stack.isEmpty(7)) {
            push(stack.b);
        } else {
            soft.convert(stack.b, true, FloatFormat.EXTENDED, stack.result);
            // A denormal operand is pushed even when that exception is unmasked; a signalling NaN is not.
            boolean denormal = (soft.flags & SoftFloat.DENORMAL) != 0;
            if (stack.accept() || denormal) {
                stack.push(stack.result);
            }
        }
    }

    /** Pushes a number that needs no rounding; a full stack is an exception, which leaves C1 set. */
    private void push(Unpacked value) {
        if (!stack.isEmpty(7)) {
            if (stack.overflow()) {
                fpu.top = fpu.top - 1 & 7;
                stack.setIndefinite(0);
            }
            return;
        }
        stack.push(value);
        stack.clearC1();
    }

    /** Constants are rounded like results, but raise no flag (SDM vol. 2, FLD1 and its relatives). */
    private void constant(int exponent, long significand, long extra) {
        soft.round(false, exponent, significand, extra, FloatFormat.EXTENDED, stack.result);
        push(stack.result);
    }

    private void store(Instruction in, long address, boolean pop) {
        if (!in.memory) {
            // D9 D8+i does not notice an empty ST(0).
            if (in.opcode == 0xd9 && stack.isEmpty(0)) {
                stack.clearC1();
                stack.pop();
                return;
            }
            storeRegister(in.rm & 7, pop);
            return;
        }
        int size = in.form.operand(0).size(in);
        // Faults of the address come before those of the number, even if nothing would be stored.
        if (size == 10) {
            cpu.checkAlignment(address, 8);
        }
        cpu.checkStore(address, size);
        boolean empty = stack.isEmpty(0);
        if (empty) {
            stack.result.kind = Unpacked.QUIET;
            stack.result.negative = true;
            stack.result.significand = 3L << 62;
            if ((fpu.control & X87Stack.IE) == 0) {
                stack.underflow();
                return;
            }
        } else if (size == 10) {
            cpu.store(address, 8, fpu.significand[fpu.top]);
            cpu.store(address + 8, 2, fpu.signExponent[fpu.top]);
            stack.clearC1();
            if (pop) {
                stack.pop();
            }
            return;
        } else {
            stack.get(0, stack.a);
            soft.convert(stack.a, false, size == 4 ? FloatFormat.SINGLE : FloatFormat.DOUBLE, stack.result);
            if (!stack.stores()) {
                // Nothing was stored, so nothing was rounded.
                soft.flags &= ~SoftFloat.INEXACT;
                soft.roundedUp = false;
                stack.accept();
                return;
            }
        }
        switch (size) {
            case 4 -> cpu.store(address, 4, stack.result.get32());
            case 8 -> cpu.store(address, 8, stack.result.get64());
            default -> {
                cpu.store(address, 8, stack.result.significand);
                cpu.store(address + 8, 2, 0xffff);
            }
        }
        if (empty) {
            stack.underflow();
        } else {
            stack.accept();
        }
        if (pop) {
            stack.pop();
        }
    }

    private void storeRegister(int i, boolean pop) {
        if (stack.isEmpty(0)) {
            if (!stack.underflow()) {
                return;
            }
            stack.setIndefinite(i);
        } else {
            int register = fpu.top + i & 7;
            fpu.significand[register] = fpu.significand[fpu.top];
            fpu.signExponent[register] = fpu.signExponent[fpu.top];
            fpu.empty &= ~(1 << register);
            stack.clearC1();
        }
        if (pop) {
            stack.pop();
        }
    }

    private void storeInteger(Instruction in, long address, int mode, boolean pop) {
        int size = in.form.operand(0).size(in);
        cpu.checkStore(address, size);
        boolean empty = stack.isEmpty(0);
        long value;
        if (empty) {
            value = -1L << 8 * size - 1;
            if ((fpu.control & X87Stack.IE) == 0) {
                stack.underflow();
                return;
            }
        } else {
            stack.get(0, stack.a);
            value = soft.toInteger(stack.a, 8 * size, mode);
            if (!stack.stores()) {
                stack.accept();
                return;
            }
        }
        cpu.store(address, size, size == 8 ? value : value & (1L << 8 * size) - 1);
        if (empty) {
            stack.underflow();
        } else {
            stack.accept();
        }
        if (pop) {
            stack.pop();
        }
    }

    /** FBSTP: 18 decimal digits and a sign. */
    private void storeDecimal(long address) {
        boolean empty = stack.isEmpty(0);
        long digits = 0xc000000000000000L;
        int last = 0xffff;
        cpu.checkAlignment(address, 8);
        cpu.checkStore(address, 10);
        if (empty) {
            if ((fpu.control & X87Stack.IE) == 0) {
                stack.underflow();
                return;
            }
        } else {
            stack.get(0, stack.a);
            long value = soft.toInteger(stack.a, 64, soft.rounding);
            if (value <= -DECIMAL_LIMIT || value >= DECIMAL_LIMIT) {
                soft.flags = SoftFloat.INVALID;
                soft.roundedUp = false;
            } else {
                long magnitude = Math.abs(value);
                digits = toDecimal(magnitude % 10_000_000_000_000_000L);
                last = (int) toDecimal(magnitude / 10_000_000_000_000_000L) | (stack.a.negative ? 0x8000 : 0);
            }
            if (!stack.stores()) {
                stack.accept();
                return;
            }
        }
        cpu.store(address, 8, digits);
        cpu.store(address + 8, 2, last);
        if (empty) {
            stack.underflow();
        } else {
            stack.accept();
        }
        stack.pop();
    }

    private static long toDecimal(long value) {
        long digits = 0;
        long rest = value;
        for (int i = 0; i < 64; i += 4) {
            digits |= rest % 10 << i;
            rest /= 10;
        }
        return digits;
    }

    private void exchange(int i) {
        if (stack.isEmpty(0) || stack.isEmpty(i)) {
            if (!stack.underflow()) {
                return;
            }
            if (stack.isEmpty(0)) {
                stack.setIndefinite(0);
            }
            if (stack.isEmpty(i)) {
                stack.setIndefinite(i);
            }
        } else {
            stack.clearC1();
        }
        int register = fpu.top + i & 7;
        long significand = fpu.significand[register];
        int signExponent = fpu.signExponent[register];
        fpu.significand[register] = fpu.significand[fpu.top];
        fpu.signExponent[register] = fpu.signExponent[fpu.top];
        fpu.significand[fpu.top] = significand;
        fpu.signExponent[fpu.top] = signExponent;
    }

    private void conditionalMove(Instruction in, int flags, boolean whenSet) {
        int i = in.rm & 7;
        if (stack.isEmpty(0) || stack.isEmpty(i)) {
            if (stack.underflow()) {
                stack.setIndefinite(0);
            }
            return;
        }
        if ((cpu.arithmeticFlags() & flags) != 0 == whenSet) {
            int register = fpu.top + i & 7;
            fpu.significand[fpu.top] = fpu.significand[register];
            fpu.signExponent[fpu.top] = fpu.signExponent[register];
        }
    }
}
