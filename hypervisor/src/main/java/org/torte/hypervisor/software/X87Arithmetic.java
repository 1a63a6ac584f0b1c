package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.software.fp.Unpacked;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Arithmetic, comparison and classification of x87 numbers (Intel SDM vol. 1, 8.3.5 and 8.3.6). */
final class X87Arithmetic {
    private static final int ADD = 0,
            SUBTRACT = 1,
            SUBTRACT_REVERSED = 2,
            MULTIPLY = 3,
            DIVIDE = 4,
            DIVIDE_REVERSED = 5;
    private static final int C0 = X87Stack.C0, C1 = X87Stack.C1, C2 = X87Stack.C2, C3 = X87Stack.C3;
    private static final int MEMORY = -1;
    private static final int CF = 1, PF = 1 << 2, ZF = 1 << 6;

    private final X87Stack stack;
    private final FpuState fpu;
    private final CpuContext cpu;
    private final SoftFloat soft;
    private final Unpacked a;
    private final Unpacked b;
    private final Unpacked result;

    X87Arithmetic(X87Stack stack, CpuContext cpu) {
        this.stack = stack;
        this.cpu = cpu;
        fpu = stack.fpu;
        soft = stack.soft;
        a = stack.a;
        b = stack.b;
        result = stack.result;
    }

    /** A memory operand is in {@code stack.b}. */
    void execute(Instruction in) {
        switch (in.form.operation()) {
            case FADD, FADDP, FIADD -> binary(in, ADD);
            case FSUB, FSUBP, FISUB -> binary(in, SUBTRACT);
            case FSUBR, FSUBRP, FISUBR -> binary(in, SUBTRACT_REVERSED);
            case FMUL, FMULP, FIMUL -> binary(in, MULTIPLY);
            case FDIV, FDIVP, FIDIV -> binary(in, DIVIDE);
            case FDIVR, FDIVRP, FIDIVR -> binary(in, DIVIDE_REVERSED);
            case FABS, FCHS -> sign(in);
            case FSQRT -> {
                if (operand()) {
                    soft.squareRoot(a, stack.format(), result);
                    finish();
                }
            }
            case FRNDINT -> {
                if (operand()) {
                    if (a.kind < Unpacked.QUIET) {
                        soft.noteDenormals(a, a);
                    }
                    soft.roundToIntegral(a, soft.rounding, result);
                    finish();
                }
            }
            case FCOM, FICOM -> compare(in, true, 0);
            case FCOMP, FICOMP -> compare(in, true, 1);
            case FUCOM -> compare(in, false, 0);
            case FUCOMP -> compare(in, false, 1);
            case FCOMPP -> compareTop(1, true, 2);
            case FUCOMPP -> compareTop(1, false, 2);
            case FCOMI, FCOMIP, FUCOMI, FUCOMIP -> compareToFlags(in);
            case FTST -> {
                b.setInteger(0);
                compareTop(MEMORY, true, 0);
            }
            case FXAM -> examine();
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    /** Takes ST(0) into {@code a}; false if it is empty, and all is done. */
    private boolean operand() {
        if (stack.isEmpty(0)) {
            if (stack.underflow()) {
                stack.setIndefinite(0);
            }
            return false;
        }
        stack.get(0, a);
        return true;
    }

    private void finish() {
        if (stack.accept()) {
            stack.set(0, result);
        }
    }

    /** D8 and the memory forms work on ST(0); DC and DE with a register on ST(i), and DE pops. */
    private void binary(Instruction in, int operation) {
        boolean toTop = in.memory || in.opcode == 0xd8;
        boolean pop = !in.memory && in.opcode == 0xde;
        int i = in.memory ? 0 : in.rm & 7;
        int target = toTop ? 0 : i;
        if (stack.isEmpty(0) || stack.isEmpty(i)) {
            if (stack.underflow()) {
                stack.setIndefinite(target);
                if (pop) {
                    stack.pop();
                }
            }
            return;
        }
        stack.get(target, a);
        if (!in.memory) {
            stack.get(toTop ? i : 0, b);
        }
        switch (operation) {
            case ADD -> soft.add(a, b, false, stack.format(), result);
            case SUBTRACT -> soft.add(a, b, true, stack.format(), result);
            case SUBTRACT_REVERSED -> soft.add(b, a, true, stack.format(), result);
            case MULTIPLY -> soft.multiply(a, b, stack.format(), result);
            case DIVIDE -> soft.divide(a, b, stack.format(), result);
            default -> soft.divide(b, a, stack.format(), result);
        }
        if (stack.accept()) {
            stack.set(target, result);
            if (pop) {
                stack.pop();
            }
        }
    }

    private void sign(Instruction in) {
        if (stack.isEmpty(0)) {
            if (stack.underflow()) {
                stack.setIndefinite(0);
            }
            return;
        }
        stack.clearC1();
        if (in.form.operation() == Operation.FCHS) {
            fpu.signExponent[fpu.top] ^= 0x8000;
        } else {
            fpu.signExponent[fpu.top] &= 0x7fff;
        }
    }

    private void compare(Instruction in, boolean signalling, int pops) {
        if (in.memory) {
            compareTop(MEMORY, signalling, pops);
        } else {
            compareTop(in.rm & 7, signalling, pops);
        }
    }

    /** Compares ST(0) with ST(i), or with what {@code b} holds already. */
    private void compareTop(int i, boolean signalling, int pops) {
        if (stack.isEmpty(0) || i != MEMORY && stack.isEmpty(i)) {
            boolean masked = stack.underflow();
            stack.setConditions(C3 | C2 | C0);
            if (masked) {
                pop(pops);
            }
            return;
        }
        stack.get(0, a);
        if (i != MEMORY) {
            stack.get(i, b);
        }
        int order = soft.compare(a, b, signalling);
        // The outcome is delivered with unmasked exceptions too, but then nothing is popped.
        boolean complete = stack.accept();
        stack.setConditions(
                switch (order) {
                    case -1 -> C0;
                    case 0 -> C3;
                    case 1 -> 0;
                    default -> C3 | C2 | C0;
                });
        if (complete) {
            pop(pops);
        }
    }

    private void pop(int times) {
        for (int i = 0; i < times; i++) {
            stack.pop();
        }
    }

    /** FCOMI and its relatives; DF means popping. */
    private void compareToFlags(Instruction in) {
        int i = in.rm & 7;
        boolean pop = in.opcode == 0xdf;
        boolean signalling = switch (in.form.operation()) {
            case FCOMI, FCOMIP -> true;
            default -> false;
        };
        int flags;
        boolean complete;
        // C1 is for stack faults only here.
        int c1 = fpu.status & C1;
        if (stack.isEmpty(0) || stack.isEmpty(i)) {
            complete = stack.underflow();
            flags = ZF | PF | CF;
        } else {
            stack.get(0, a);
            stack.get(i, b);
            int order = soft.compare(a, b, signalling);
            complete = stack.accept();
            fpu.status |= c1;
            flags = switch (order) {
                case -1 -> CF;
                case 0 -> ZF;
                case 1 -> 0;
                default -> ZF | PF | CF;
            };
        }
        cpu.setArithmeticFlags(flags);
        if (pop && complete) {
            stack.pop();
        }
    }

    private void examine() {
        int sign = (fpu.signExponent[fpu.top] & 0x8000) != 0 ? C1 : 0;
        if (stack.isEmpty(0)) {
            stack.setConditions(sign | C3 | C0);
            return;
        }
        stack.get(0, a);
        int kind = switch (a.kind) {
            case Unpacked.ZERO -> C3;
            case Unpacked.FINITE -> a.denormal ? C3 | C2 : C2;
            case Unpacked.INFINITY -> C2 | C0;
            case Unpacked.UNSUPPORTED -> 0;
            default -> C0;
        };
        stack.setConditions(sign | kind);
    }
}
