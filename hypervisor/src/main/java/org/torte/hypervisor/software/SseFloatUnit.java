package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.x86.Instruction;

/** Arithmetic, comparison and rounding of SSE to SSE4.1 floating-point numbers. */
final class SseFloatUnit {
    private static final long LOW_DWORD = 0xffffffffL;
    private static final int CF = 1, PF = 1 << 2, ZF = 1 << 6;
    private static final int INDEFINITE32 = 0xffc00000;

    private final VectorOperands operands;
    private final SseArithmetic arithmetic;
    private final long[] xmm;
    private final CpuContext cpu;

    SseFloatUnit(VectorOperands operands, SseArithmetic arithmetic) {
        this.operands = operands;
        this.arithmetic = arithmetic;
        xmm = operands.fpu.xmm;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        switch (in.form.operation()) {
            case ADDSD -> scalar64(in, address, SseArithmetic.ADD);
            case SUBSD -> scalar64(in, address, SseArithmetic.SUBTRACT);
            case MULSD -> scalar64(in, address, SseArithmetic.MULTIPLY);
            case DIVSD -> scalar64(in, address, SseArithmetic.DIVIDE);
            case MINSD -> scalar64(in, address, SseArithmetic.MINIMUM);
            case MAXSD -> scalar64(in, address, SseArithmetic.MAXIMUM);
            case ADDSS -> scalar32(in, address, SseArithmetic.ADD);
            case SUBSS -> scalar32(in, address, SseArithmetic.SUBTRACT);
            case MULSS -> scalar32(in, address, SseArithmetic.MULTIPLY);
            case DIVSS -> scalar32(in, address, SseArithmetic.DIVIDE);
            case MINSS -> scalar32(in, address, SseArithmetic.MINIMUM);
            case MAXSS -> scalar32(in, address, SseArithmetic.MAXIMUM);
            case UCOMISD -> flags(arithmetic.compare64(xmm[2 * in.reg], operands.source64(in, address), false));
            case COMISD -> flags(arithmetic.compare64(xmm[2 * in.reg], operands.source64(in, address), true));
            case UCOMISS ->
                flags(arithmetic.compare32((int) xmm[2 * in.reg], (int) operands.source32(in, address), false));
            case COMISS ->
                flags(arithmetic.compare32((int) xmm[2 * in.reg], (int) operands.source32(in, address), true));
            case SQRTSD -> set64(in, arithmetic.squareRoot64(operands.source64(in, address)));
            case SQRTSS -> set32(in, arithmetic.squareRoot32((int) operands.source32(in, address)));
            case CMPSD_SSE -> set64(in, compare64((int) in.immediate, xmm[2 * in.reg], operands.source64(in, address)));
            case CMPSS ->
                set32(in, compare32((int) in.immediate, (int) xmm[2 * in.reg], (int) operands.source32(in, address)));
            case ROUNDSD -> set64(in, arithmetic.roundToIntegral64(operands.source64(in, address), (int) in.immediate));
            case ROUNDSS ->
                set32(in, arithmetic.roundToIntegral32((int) operands.source32(in, address), (int) in.immediate));
            case RCPSS -> setLow32(in, reciprocal((int) operands.source32(in, address)));
            case RSQRTSS -> setLow32(in, reciprocalRoot((int) operands.source32(in, address)));
            default -> packed(in, address);
        }
    }

    private void scalar64(Instruction in, long address, int operation) {
        set64(in, arithmetic.binary64(operation, xmm[2 * in.reg], operands.source64(in, address)));
    }

    private void scalar32(Instruction in, long address, int operation) {
        set32(in, arithmetic.binary32(operation, (int) xmm[2 * in.reg], (int) operands.source32(in, address)));
    }

    private void set64(Instruction in, long value) {
        arithmetic.commit();
        xmm[2 * in.reg] = value;
    }

    private void set32(Instruction in, int value) {
        arithmetic.commit();
        setLow32(in, value);
    }

    private void setLow32(Instruction in, int value) {
        xmm[2 * in.reg] = xmm[2 * in.reg] & ~LOW_DWORD | value & LOW_DWORD;
    }

    private void setFull(Instruction in, long lo, long hi) {
        arithmetic.commit();
        operands.setXmm(in.reg, lo, hi);
    }

    /** ZF, PF and CF by the outcome; OF, SF and AF become 0. */
    private void flags(int order) {
        arithmetic.commit();
        cpu.setArithmeticFlags(
                switch (order) {
                    case -1 -> CF;
                    case 0 -> ZF;
                    case 1 -> 0;
                    default -> ZF | PF | CF;
                });
    }

    private void packed(Instruction in, long address) {
        operands.source(in, address);
        switch (in.form.operation()) {
            case ADDPD -> packed64(in, SseArithmetic.ADD, SseArithmetic.ADD);
            case SUBPD -> packed64(in, SseArithmetic.SUBTRACT, SseArithmetic.SUBTRACT);
            case MULPD -> packed64(in, SseArithmetic.MULTIPLY, SseArithmetic.MULTIPLY);
            case DIVPD -> packed64(in, SseArithmetic.DIVIDE, SseArithmetic.DIVIDE);
            case MINPD -> packed64(in, SseArithmetic.MINIMUM, SseArithmetic.MINIMUM);
            case MAXPD -> packed64(in, SseArithmetic.MAXIMUM, SseArithmetic.MAXIMUM);
            case ADDSUBPD -> packed64(in, SseArithmetic.SUBTRACT, SseArithmetic.ADD);
            case ADDPS -> packed32(in, SseArithmetic.ADD, SseArithmetic.ADD);
            case SUBPS -> packed32(in, SseArithmetic.SUBTRACT, SseArithmetic.SUBTRACT);
            case MULPS -> packed32(in, SseArithmetic.MULTIPLY, SseArithmetic.MULTIPLY);
            case DIVPS -> packed32(in, SseArithmetic.DIVIDE, SseArithmetic.DIVIDE);
            case MINPS -> packed32(in, SseArithmetic.MINIMUM, SseArithmetic.MINIMUM);
            case MAXPS -> packed32(in, SseArithmetic.MAXIMUM, SseArithmetic.MAXIMUM);
            case ADDSUBPS -> packed32(in, SseArithmetic.SUBTRACT, SseArithmetic.ADD);
            case HADDPD -> horizontal64(in, SseArithmetic.ADD);
            case HSUBPD -> horizontal64(in, SseArithmetic.SUBTRACT);
            case HADDPS -> horizontal32(in, SseArithmetic.ADD);
            case HSUBPS -> horizontal32(in, SseArithmetic.SUBTRACT);
            case SQRTPD -> setFull(in, arithmetic.squareRoot64(operands.lo), arithmetic.squareRoot64(operands.hi));
            case SQRTPS -> setFull(in, squareRoots(operands.lo), squareRoots(operands.hi));
            case CMPPD -> {
                int predicate = (int) in.immediate;
                setFull(
                        in,
                        compare64(predicate, xmm[2 * in.reg], operands.lo),
                        compare64(predicate, xmm[2 * in.reg + 1], operands.hi));
            }
            case CMPPS -> {
                int predicate = (int) in.immediate;
                setFull(
                        in,
                        compareTwo(predicate, xmm[2 * in.reg], operands.lo),
                        compareTwo(predicate, xmm[2 * in.reg + 1], operands.hi));
            }
            case ROUNDPD -> {
                int control = (int) in.immediate;
                setFull(
                        in,
                        arithmetic.roundToIntegral64(operands.lo, control),
                        arithmetic.roundToIntegral64(operands.hi, control));
            }
            case ROUNDPS -> {
                int control = (int) in.immediate;
                setFull(in, roundTwo(operands.lo, control), roundTwo(operands.hi, control));
            }
            case RCPPS -> setFull(in, reciprocals(operands.lo), reciprocals(operands.hi));
            case RSQRTPS -> setFull(in, reciprocalRoots(operands.lo), reciprocalRoots(operands.hi));
            case DPPD -> dotProduct64(in);
            case DPPS -> dotProduct32(in);
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private static long joined(int low, int high) {
        return low & LOW_DWORD | (long) high << 32;
    }

    private void packed64(Instruction in, int operationLow, int operationHigh) {
        long lo = arithmetic.binary64(operationLow, xmm[2 * in.reg], operands.lo);
        long hi = arithmetic.binary64(operationHigh, xmm[2 * in.reg + 1], operands.hi);
        setFull(in, lo, hi);
    }

    private void packed32(Instruction in, int operationEven, int operationOdd) {
        long lo = two(operationEven, operationOdd, xmm[2 * in.reg], operands.lo);
        long hi = two(operationEven, operationOdd, xmm[2 * in.reg + 1], operands.hi);
        setFull(in, lo, hi);
    }

    private long two(int operationEven, int operationOdd, long a, long b) {
        int low = arithmetic.binary32(operationEven, (int) a, (int) b);
        int high = arithmetic.binary32(operationOdd, (int) (a >>> 32), (int) (b >>> 32));
        return joined(low, high);
    }

    private void horizontal64(Instruction in, int operation) {
        long lo = arithmetic.binary64(operation, xmm[2 * in.reg], xmm[2 * in.reg + 1]);
        long hi = arithmetic.binary64(operation, operands.lo, operands.hi);
        setFull(in, lo, hi);
    }

    private void horizontal32(Instruction in, int operation) {
        long lo = joined(adjacent(operation, xmm[2 * in.reg]), adjacent(operation, xmm[2 * in.reg + 1]));
        long hi = joined(adjacent(operation, operands.lo), adjacent(operation, operands.hi));
        setFull(in, lo, hi);
    }

    private int adjacent(int operation, long x) {
        return arithmetic.binary32(operation, (int) x, (int) (x >>> 32));
    }

    private long squareRoots(long x) {
        return joined(arithmetic.squareRoot32((int) x), arithmetic.squareRoot32((int) (x >>> 32)));
    }

    private long roundTwo(long x, int control) {
        return joined(
                arithmetic.roundToIntegral32((int) x, control),
                arithmetic.roundToIntegral32((int) (x >>> 32), control));
    }

    private long compareTwo(int predicate, long a, long b) {
        return joined(compare32(predicate, (int) a, (int) b), compare32(predicate, (int) (a >>> 32), (int) (b >>> 32)));
    }

    private long compare64(int predicate, long a, long b) {
        return holds(predicate, arithmetic.compare64(a, b, signals(predicate))) ? -1 : 0;
    }

    private int compare32(int predicate, int a, int b) {
        return holds(predicate, arithmetic.compare32(a, b, signals(predicate))) ? -1 : 0;
    }

    /** LT, LE, NLT and NLE are invalid for quiet NaNs too. */
    private static boolean signals(int predicate) {
        return (predicate & 3) == 1 || (predicate & 3) == 2;
    }

    /** EQ, LT, LE, UNORD and their negations. */
    private static boolean holds(int predicate, int order) {
        boolean positive = switch (predicate & 3) {
            case 0 -> order == 0;
            case 1 -> order == -1;
            case 2 -> order == -1 || order == 0;
            default -> order == SoftFloat.UNORDERED;
        };
        return positive ^ (predicate & 4) != 0;
    }

    private void dotProduct64(Instruction in) {
        int control = (int) in.immediate;
        long p0 = (control & 0x10) == 0 ? 0 : arithmetic.binary64(SseArithmetic.MULTIPLY, xmm[2 * in.reg], operands.lo);
        long p1 = (control & 0x20) == 0
                ? 0
                : arithmetic.binary64(SseArithmetic.MULTIPLY, xmm[2 * in.reg + 1], operands.hi);
        // An unmasked exception of the products keeps the sum from being computed (SDM vol. 2, DPPD).
        arithmetic.commit();
        long sum = arithmetic.binary64(SseArithmetic.ADD, p0, p1);
        setFull(in, (control & 1) == 0 ? 0 : sum, (control & 2) == 0 ? 0 : sum);
    }

    private void dotProduct32(Instruction in) {
        int control = (int) in.immediate;
        long a0 = xmm[2 * in.reg];
        long a1 = xmm[2 * in.reg + 1];
        int p0 = product(control & 0x10, a0, operands.lo);
        int p1 = product(control & 0x20, a0 >>> 32, operands.lo >>> 32);
        int p2 = product(control & 0x40, a1, operands.hi);
        int p3 = product(control & 0x80, a1 >>> 32, operands.hi >>> 32);
        arithmetic.commit();
        int low = arithmetic.binary32(SseArithmetic.ADD, p0, p1);
        int high = arithmetic.binary32(SseArithmetic.ADD, p2, p3);
        arithmetic.commit();
        int sum = arithmetic.binary32(SseArithmetic.ADD, low, high);
        setFull(
                in,
                joined((control & 1) == 0 ? 0 : sum, (control & 2) == 0 ? 0 : sum),
                joined((control & 4) == 0 ? 0 : sum, (control & 8) == 0 ? 0 : sum));
    }

    private int product(int selected, long a, long b) {
        return selected == 0 ? 0 : arithmetic.binary32(SseArithmetic.MULTIPLY, (int) a, (int) b);
    }

    private static long reciprocals(long x) {
        return joined(reciprocal((int) x), reciprocal((int) (x >>> 32)));
    }

    private static long reciprocalRoots(long x) {
        return joined(reciprocalRoot((int) x), reciprocalRoot((int) (x >>> 32)));
    }

    /**
     * RCPSS: the manuals allow a relative error of 1.5 * 2^-12, and every processor has its own table; this gives the
     * nearest number with 12 bits. Denormal operands count as zero, tiny results become zero, nothing is flagged. Whether
     * the reciprocal of 2^126, the smallest normal number, is tiny is up to the processor: with AMD's it is.
     */
    private static int reciprocal(int x) {
        int sign = x & Integer.MIN_VALUE;
        int magnitude = x & Integer.MAX_VALUE;
        if (magnitude > 0x7f800000) {
            return x | 0x400000;
        }
        if (magnitude == 0x7f800000) {
            return sign;
        }
        if (magnitude < 0x800000) {
            return sign | 0x7f800000;
        }
        return magnitude >= 0x7e800000 ? sign : sign | roundedTo12Bits(1 / Float.intBitsToFloat(magnitude));
    }

    private static int reciprocalRoot(int x) {
        int magnitude = x & Integer.MAX_VALUE;
        if (magnitude > 0x7f800000) {
            return x | 0x400000;
        }
        if (magnitude < 0x800000) {
            return x & Integer.MIN_VALUE | 0x7f800000;
        }
        if (x < 0) {
            return INDEFINITE32;
        }
        if (magnitude == 0x7f800000) {
            return 0;
        }
        return roundedTo12Bits((float) (1 / Math.sqrt(Float.intBitsToFloat(x))));
    }

    private static int roundedTo12Bits(float r) {
        return Float.floatToRawIntBits(r) + 0x800 & ~0xfff;
    }
}
