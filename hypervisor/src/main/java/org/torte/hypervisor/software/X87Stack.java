package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.FloatFormat;
import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.software.fp.Unpacked;

/** The x87 registers as a stack, and the response to exceptions (Intel SDM vol. 1, sections 8.1 and 8.4 to 8.5). */
final class X87Stack {
    /** Bits of the status word. */
    static final int IE = 1, SF = 0x40, C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000;

    /** Exceptions that are found before computing: unmasked ones leave the operands as they are. */
    private static final int BEFORE = SoftFloat.INVALID | SoftFloat.DENORMAL | SoftFloat.ZERO_DIVIDE;

    final FpuState fpu;
    final SoftFloat soft = new SoftFloat();
    final Unpacked a = new Unpacked();
    final Unpacked b = new Unpacked();
    final Unpacked result = new Unpacked();

    X87Stack(FpuState fpu) {
        this.fpu = fpu;
        soft.x87 = true;
    }

    /** Prepares the arithmetic for an instruction. */
    void begin() {
        soft.rounding = fpu.control >>> 10 & 3;
        soft.masks = fpu.control & 0x3f;
        soft.flags = 0;
        soft.roundedUp = false;
    }

    /** What precision control rounds sums, products, quotients and roots to. */
    FloatFormat format() {
        return switch (fpu.control >>> 8 & 3) {
            case 0 -> FloatFormat.EXTENDED_24;
            case 2 -> FloatFormat.EXTENDED_53;
            default -> FloatFormat.EXTENDED;
        };
    }

    boolean isEmpty(int i) {
        return (fpu.empty >>> (fpu.top + i & 7) & 1) != 0;
    }

    void get(int i, Unpacked target) {
        int register = fpu.top + i & 7;
        target.set80(fpu.significand[register], fpu.signExponent[register]);
    }

    void set(int i, Unpacked value) {
        int register = fpu.top + i & 7;
        fpu.significand[register] = value.significand;
        fpu.signExponent[register] = value.signExponent80();
        fpu.empty &= ~(1 << register);
    }

    void push(Unpacked value) {
        fpu.top = fpu.top - 1 & 7;
        set(0, value);
    }

    void pop() {
        fpu.empty |= 1 << fpu.top;
        fpu.top = fpu.top + 1 & 7;
    }

    void setIndefinite(int i) {
        result.kind = Unpacked.QUIET;
        result.negative = true;
        result.significand = 3L << 62;
        set(i, result);
    }

    /** Records the flags that computing has raised, and C1; false if the instruction must leave its operands alone. */
    boolean accept() {
        int flags = soft.flags;
        boolean stopped = (flags & ~fpu.control & BEFORE) != 0;
        if (stopped) {
            flags &= BEFORE;
        }
        fpu.status = fpu.status & ~C1 | flags;
        if (soft.roundedUp && !stopped) {
            fpu.status |= C1;
        }
        if (flags != 0) {
            fpu.updateErrorSummary();
        }
        return !stopped;
    }

    /** Whether a store to memory with the flags raised so far goes ahead: no unmasked exception but inexactness. */
    boolean stores() {
        return (soft.flags & ~fpu.control & ~SoftFloat.INEXACT & 0x3f) == 0;
    }

    /** An instruction used an empty register; whether the exception is masked, so that it continues with a NaN. */
    boolean underflow() {
        return stackFault(0);
    }

    /** An instruction pushes onto a register in use; whether that is masked. */
    boolean overflow() {
        return stackFault(C1);
    }

    private boolean stackFault(int c1) {
        fpu.status = fpu.status & ~C1 | IE | SF | c1;
        fpu.updateErrorSummary();
        return (fpu.control & IE) != 0;
    }

    /** Sets the four condition bits. */
    void setConditions(int bits) {
        fpu.status = fpu.status & ~(C0 | C1 | C2 | C3) | bits;
    }

    void clearC1() {
        fpu.status &= ~C1;
    }
}
