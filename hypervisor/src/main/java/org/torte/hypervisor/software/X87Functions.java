package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.FloatFormat;
import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.software.fp.Transcendental;
import org.torte.hypervisor.software.fp.Unpacked;
import org.torte.hypervisor.x86.Operation;

/**
 * Partial remainder, scaling and the transcendental instructions of the x87 (Intel SDM vol. 1, 8.3.7 to 8.3.10, and the
 * tables of their special cases in vol. 2). None of them obeys precision control.
 */
final class X87Functions {
    private static final int C0 = X87Stack.C0, C1 = X87Stack.C1, C2 = X87Stack.C2, C3 = X87Stack.C3;
    private static final int RANGE = 63;
    private static final long TOP = 1L << 63;

    private final X87Stack stack;
    private final SoftFloat soft;
    private final FpuState fpu;
    private final Unpacked a;
    private final Unpacked b;
    private final Unpacked result;
    private final Unpacked second = new Unpacked();
    private final Transcendental functions = new Transcendental();

    X87Functions(X87Stack stack) {
        this.stack = stack;
        soft = stack.soft;
        fpu = stack.fpu;
        a = stack.a;
        b = stack.b;
        result = stack.result;
    }

    void execute(Operation operation) {
        switch (operation) {
            case FSIN, FCOS, FSINCOS, FPTAN, FPREM, FPREM1 -> fpu.status &= ~C2;
            default -> {}
        }
        switch (operation) {
            case FSIN, FCOS, F2XM1 -> unary(operation);
            case FSINCOS, FPTAN -> unaryPushing(operation);
            case FXTRACT -> extract();
            case FPREM, FPREM1, FSCALE -> binary(operation, false);
            default -> binary(operation, true);
        }
    }

    private boolean emptyTop() {
        if (!stack.isEmpty(0)) {
            return false;
        }
        if (stack.underflow()) {
            stack.setIndefinite(0);
        }
        return true;
    }

    private void unary(Operation operation) {
        if (emptyTop()) {
            return;
        }
        stack.get(0, a);
        if (a.kind >= Unpacked.QUIET) {
            soft.propagate(a, a, result);
        } else if (operation == Operation.F2XM1) {
            powerMinusOne();
        } else if (outOfRange()) {
            return;
        } else if (a.kind == Unpacked.INFINITY) {
            soft.invalid(result);
        } else {
            soft.noteDenormals(a, a);
            if (operation == Operation.FSIN) {
                sine(result);
            } else {
                cosine(result);
            }
        }
        if (stack.accept()) {
            stack.set(0, result);
        }
    }

    /** C2 says that the argument is too large to be reduced; it stays where it is. */
    private boolean outOfRange() {
        if (a.kind != Unpacked.FINITE || a.exponent < RANGE) {
            return false;
        }
        fpu.status = fpu.status & ~C1 | C2;
        return true;
    }

    private void sine(Unpacked target) {
        if (a.kind == Unpacked.ZERO) {
            target.set(a);
        } else {
            functions.sine(a, soft, target);
        }
    }

    private void cosine(Unpacked target) {
        if (a.kind == Unpacked.ZERO) {
            target.setInteger(1);
        } else {
            functions.cosine(a, soft, target);
        }
    }

    /** FSINCOS and FPTAN: a result in place of the operand and another one above it. */
    private void unaryPushing(Operation operation) {
        if (stack.isEmpty(0)) {
            if (stack.underflow()) {
                stack.setIndefinite(0);
                fpu.top = fpu.top - 1 & 7;
                stack.setIndefinite(0);
            }
            return;
        }
        if (!stack.isEmpty(7)) {
            if (stack.overflow()) {
                stack.setIndefinite(0);
                fpu.top = fpu.top - 1 & 7;
                stack.setIndefinite(0);
            }
            return;
        }
        stack.get(0, a);
        if (a.kind >= Unpacked.QUIET) {
            soft.propagate(a, a, result);
            second.set(result);
        } else if (outOfRange()) {
            return;
        } else if (a.kind == Unpacked.INFINITY) {
            soft.invalid(result);
            second.set(result);
        } else {
            soft.noteDenormals(a, a);
            if (operation == Operation.FPTAN) {
                if (a.kind == Unpacked.ZERO) {
                    result.set(a);
                } else {
                    functions.tangent(a, soft, result);
                }
                second.setInteger(1);
            } else {
                cosine(second);
                sine(result);
            }
        }
        if (stack.accept()) {
            stack.set(0, result);
            stack.push(second);
        }
    }

    private void powerMinusOne() {
        soft.noteDenormals(a, a);
        if (a.kind == Unpacked.ZERO) {
            result.set(a);
        } else if (a.kind == Unpacked.INFINITY) {
            if (a.negative) {
                result.setInteger(-1);
            } else {
                result.set(a);
            }
        } else if (a.exponent > 0 || a.exponent == 0 && a.significand != TOP) {
            // Undefined beyond -1 to 1; the operand stays.
            result.set(a);
            soft.flags |= SoftFloat.INEXACT;
        } else {
            functions.exponential(a, soft, result);
        }
    }

    /** FXTRACT: the exponent in place of the operand and the significand above it. */
    private void extract() {
        if (stack.isEmpty(0) || !stack.isEmpty(7)) {
            boolean masked = stack.isEmpty(0) ? stack.underflow() : stack.overflow();
            if (masked) {
                stack.setIndefinite(0);
                fpu.top = fpu.top - 1 & 7;
                stack.setIndefinite(0);
            }
            return;
        }
        stack.get(0, a);
        if (a.kind >= Unpacked.QUIET) {
            soft.propagate(a, a, result);
            second.set(result);
        } else if (a.kind == Unpacked.INFINITY) {
            second.set(a);
            result.set(a);
            result.negative = false;
        } else if (a.kind == Unpacked.ZERO) {
            soft.flags |= SoftFloat.ZERO_DIVIDE;
            second.set(a);
            result.kind = Unpacked.INFINITY;
            result.negative = true;
            result.significand = TOP;
        } else {
            soft.noteDenormals(a, a);
            second.set(a);
            second.exponent = 0;
            result.setInteger(a.exponent);
        }
        if (stack.accept()) {
            stack.set(0, result);
            stack.push(second);
        }
    }

    /** Instructions on ST(0) and ST(1). Those that pop leave their result in what was ST(1). */
    private void binary(Operation operation, boolean pop) {
        int target = pop ? 1 : 0;
        if (stack.isEmpty(0) || stack.isEmpty(1)) {
            if (stack.underflow()) {
                stack.setIndefinite(target);
                if (pop) {
                    stack.pop();
                }
            }
            return;
        }
        stack.get(0, a);
        stack.get(1, b);
        int conditions = -1;
        if (a.kind >= Unpacked.QUIET || b.kind >= Unpacked.QUIET) {
            soft.propagate(a, b, result);
        } else {
            switch (operation) {
                case FPREM -> conditions = remainder(false);
                case FPREM1 -> conditions = remainder(true);
                case FSCALE -> scale();
                case FPATAN -> arctangent();
                case FYL2X -> logarithm();
                default -> logarithmOnePlus();
            }
        }
        if (stack.accept()) {
            stack.set(target, result);
            if (pop) {
                stack.pop();
            }
            if (conditions >= 0) {
                stack.setConditions(conditions);
            }
        }
    }

    /** ST(0) reduced by multiples of ST(1); the condition bits, or -1 without a quotient. */
    private int remainder(boolean nearest) {
        if (a.kind == Unpacked.INFINITY || b.kind == Unpacked.ZERO) {
            soft.invalid(result);
            return -1;
        }
        soft.noteDenormals(a, b);
        if (a.kind == Unpacked.ZERO || b.kind == Unpacked.INFINITY) {
            result.set(a);
            if (a.kind == Unpacked.FINITE) {
                soft.round(a.negative, a.exponent, a.significand, 0, FloatFormat.EXTENDED, result);
            }
            return 0;
        }
        int distance = a.exponent - b.exponent;
        if (distance < -1 || distance < 0 && !nearest) {
            soft.round(a.negative, a.exponent, a.significand, 0, FloatFormat.EXTENDED, result);
            return 0;
        }
        // Far apart, the exponent shrinks by 32 to 63 only: software repeats while C2 is set.
        boolean partial = distance >= 64;
        int steps = partial ? distance & 31 | 32 : distance;
        int exponent = a.exponent - steps;
        long rest = a.significand;
        long quotient = 0;
        boolean negative = a.negative;
        if (distance < 0) {
            exponent = b.exponent - 1;
            // The quotient is 0, and rounds to 1 if 2 |a| > |b|.
            if (Long.compareUnsigned(rest, b.significand) > 0) {
                rest = 2 * b.significand - rest;
                negative = !negative;
                quotient = 1;
            }
        } else {
            for (int i = 0; i <= steps; i++) {
                boolean carry = i > 0 && rest < 0;
                if (i > 0) {
                    rest <<= 1;
                    quotient <<= 1;
                }
                if (carry || Long.compareUnsigned(rest, b.significand) >= 0) {
                    rest -= b.significand;
                    quotient |= 1;
                }
            }
            if (nearest && !partial) {
                long other = b.significand - rest;
                int order = Long.compareUnsigned(rest, other);
                if (order > 0 || order == 0 && (quotient & 1) != 0) {
                    rest = other;
                    negative = !negative;
                    quotient++;
                }
            }
        }
        if (rest == 0) {
            result.setInteger(0);
            result.negative = a.negative;
        } else {
            int shift = Long.numberOfLeadingZeros(rest);
            soft.round(negative, exponent - shift, rest << shift, 0, FloatFormat.EXTENDED, result);
        }
        if (partial) {
            return C2;
        }
        return ((quotient & 4) != 0 ? C0 : 0) | ((quotient & 2) != 0 ? C3 : 0) | ((quotient & 1) != 0 ? C1 : 0);
    }

    /** ST(0) times 2 to the power of ST(1), truncated to an integer. */
    private void scale() {
        if (b.kind == Unpacked.INFINITY) {
            if (b.negative ? a.kind == Unpacked.INFINITY : a.kind == Unpacked.ZERO) {
                soft.invalid(result);
                return;
            }
            soft.noteDenormals(a, a);
            boolean negative = a.negative;
            result.set(b.negative ? a : b);
            if (b.negative) {
                result.setInteger(0);
            }
            result.negative = negative;
            return;
        }
        soft.noteDenormals(a, b);
        result.set(a);
        if (a.kind != Unpacked.FINITE) {
            return;
        }
        int power = 0;
        if (b.kind == Unpacked.FINITE && b.exponent >= 0) {
            power = b.exponent >= 17 ? 1 << 17 : (int) (b.significand >>> 63 - b.exponent);
        }
        soft.round(
                a.negative, a.exponent + (b.negative ? -power : power), a.significand, 0, FloatFormat.EXTENDED, result);
    }

    /** SDM vol. 2, table 3-30: the angle of the point (ST(0), ST(1)). */
    private void arctangent() {
        soft.noteDenormals(a, b);
        boolean negative = b.negative;
        if (b.kind == Unpacked.INFINITY) {
            int quarters = a.kind != Unpacked.INFINITY ? 2 : a.negative ? 3 : 1;
            functions.quarters(quarters, negative, soft, result);
        } else if (b.kind == Unpacked.ZERO || a.kind == Unpacked.INFINITY) {
            if (a.negative) {
                functions.quarters(4, negative, soft, result);
            } else {
                result.setInteger(0);
                result.negative = negative;
            }
        } else if (a.kind == Unpacked.ZERO) {
            functions.quarters(2, negative, soft, result);
        } else {
            functions.arctangent(b, a, soft, result);
        }
    }

    /** SDM vol. 2, table 3-61: ST(1) times the binary logarithm of ST(0). */
    private void logarithm() {
        if (a.kind == Unpacked.ZERO) {
            if (b.kind == Unpacked.ZERO) {
                soft.invalid(result);
                return;
            }
            if (b.kind == Unpacked.FINITE) {
                soft.flags |= SoftFloat.ZERO_DIVIDE;
            }
            setInfinity(!b.negative);
            return;
        }
        if (a.negative) {
            soft.invalid(result);
            return;
        }
        boolean one = a.kind == Unpacked.FINITE && a.exponent == 0 && a.significand == TOP;
        if (a.kind == Unpacked.INFINITY && b.kind == Unpacked.ZERO || one && b.kind == Unpacked.INFINITY) {
            soft.invalid(result);
            return;
        }
        soft.noteDenormals(a, b);
        boolean below = a.kind == Unpacked.FINITE && a.exponent < 0;
        if (a.kind == Unpacked.INFINITY || b.kind == Unpacked.INFINITY) {
            setInfinity(b.negative ^ below);
        } else if (one || b.kind == Unpacked.ZERO) {
            result.setInteger(0);
            result.negative = b.negative ^ below;
        } else {
            functions.logarithm(b, a, soft, result);
        }
    }

    /** SDM vol. 2, table 3-62: ST(1) times the binary logarithm of ST(0) + 1. */
    private void logarithmOnePlus() {
        if (a.kind == Unpacked.INFINITY) {
            if (a.negative || b.kind == Unpacked.ZERO) {
                soft.invalid(result);
            } else {
                soft.noteDenormals(b, b);
                setInfinity(b.negative);
            }
            return;
        }
        if (a.kind == Unpacked.ZERO && b.kind == Unpacked.INFINITY) {
            soft.invalid(result);
            return;
        }
        if (a.kind == Unpacked.FINITE && a.negative && a.exponent >= 0 && b.kind == Unpacked.FINITE) {
            // -1 and below: undefined, and the operand is the result.
            soft.noteDenormals(a, b);
            result.set(a);
            soft.flags |= SoftFloat.INEXACT;
            return;
        }
        soft.noteDenormals(a, b);
        if (a.kind == Unpacked.ZERO || b.kind == Unpacked.ZERO) {
            result.setInteger(0);
            result.negative = a.negative ^ b.negative;
        } else if (b.kind == Unpacked.INFINITY) {
            setInfinity(a.negative ^ b.negative);
        } else {
            functions.logarithmOnePlus(b, a, soft, result);
        }
    }

    private void setInfinity(boolean negative) {
        result.kind = Unpacked.INFINITY;
        result.negative = negative;
        result.significand = TOP;
    }
}
