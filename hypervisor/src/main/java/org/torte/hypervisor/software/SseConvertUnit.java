package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.x86.Instruction;

/** Conversions between the floating-point formats of SSE and integers in general, MMX and XMM registers. */
final class SseConvertUnit {
    private static final long LOW_DWORD = 0xffffffffL;

    private final VectorOperands operands;
    private final SseArithmetic arithmetic;
    private final long[] xmm;
    private final CpuContext cpu;

    SseConvertUnit(VectorOperands operands, SseArithmetic arithmetic) {
        this.operands = operands;
        this.arithmetic = arithmetic;
        xmm = operands.fpu.xmm;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        int target = 2 * in.reg;
        switch (in.form.operation()) {
            case CVTSI2SD -> {
                long value = arithmetic.fromInteger64(integer(in, address));
                arithmetic.commit();
                xmm[target] = value;
            }
            case CVTSI2SS -> {
                int value = arithmetic.fromInteger32(integer(in, address));
                arithmetic.commit();
                xmm[target] = xmm[target] & ~LOW_DWORD | value & LOW_DWORD;
            }
            case CVTTSD2SI -> toGeneral64(in, address, SoftFloat.TO_ZERO);
            case CVTSD2SI -> toGeneral64(in, address, arithmetic.rounding());
            case CVTTSS2SI -> toGeneral32(in, address, SoftFloat.TO_ZERO);
            case CVTSS2SI -> toGeneral32(in, address, arithmetic.rounding());
            case CVTSS2SD -> {
                long value = arithmetic.widen((int) operands.source32(in, address));
                arithmetic.commit();
                xmm[target] = value;
            }
            case CVTSD2SS -> {
                int value = arithmetic.narrow(operands.source64(in, address));
                arithmetic.commit();
                xmm[target] = xmm[target] & ~LOW_DWORD | value & LOW_DWORD;
            }
            case CVTPS2PD -> {
                long source = operands.source64(in, address);
                set(in, arithmetic.widen((int) source), arithmetic.widen((int) (source >>> 32)));
            }
            case CVTDQ2PD -> {
                long source = operands.source64(in, address);
                set(in, arithmetic.fromInteger64(source << 32 >> 32), arithmetic.fromInteger64(source >> 32));
            }
            case CVTPI2PS, CVTPI2PD, CVTPS2PI, CVTTPS2PI, CVTPD2PI, CVTTPD2PI -> mmx(in, address);
            default -> packed(in, address);
        }
    }

    private void packed(Instruction in, long address) {
        operands.source(in, address);
        long lo = operands.lo;
        long hi = operands.hi;
        switch (in.form.operation()) {
            case CVTPD2PS -> set(in, joined(arithmetic.narrow(lo), arithmetic.narrow(hi)), 0);
            case CVTPD2DQ -> set(in, doublesToIntegers(lo, hi, arithmetic.rounding()), 0);
            case CVTTPD2DQ -> set(in, doublesToIntegers(lo, hi, SoftFloat.TO_ZERO), 0);
            case CVTPS2DQ -> {
                int mode = arithmetic.rounding();
                set(in, floatsToIntegers(lo, mode), floatsToIntegers(hi, mode));
            }
            case CVTTPS2DQ -> set(in, floatsToIntegers(lo, SoftFloat.TO_ZERO), floatsToIntegers(hi, SoftFloat.TO_ZERO));
            case CVTDQ2PS -> set(in, integersToFloats(lo), integersToFloats(hi));
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private void set(Instruction in, long lo, long hi) {
        arithmetic.commit();
        operands.setXmm(in.reg, lo, hi);
    }

    private static long joined(long low, long high) {
        return low & LOW_DWORD | high << 32;
    }

    /** The general register or memory operand, of 4 or 8 bytes, sign-extended. */
    private long integer(Instruction in, long address) {
        if (in.operandSize == 8) {
            return in.memory ? cpu.load(address, 8) : cpu.gpr(in.rm);
        }
        return (int) (in.memory ? cpu.load(address, 4) : cpu.gpr(in.rm));
    }

    private void toGeneral64(Instruction in, long address, int mode) {
        boolean wide = in.operandSize == 8;
        long value = arithmetic.toInteger64(operands.source64(in, address), wide ? 64 : 32, mode);
        arithmetic.commit();
        cpu.setGpr(in.reg, wide ? value : value & LOW_DWORD);
    }

    private void toGeneral32(Instruction in, long address, int mode) {
        boolean wide = in.operandSize == 8;
        long value = arithmetic.toInteger32((int) operands.source32(in, address), wide ? 64 : 32, mode);
        arithmetic.commit();
        cpu.setGpr(in.reg, wide ? value : value & LOW_DWORD);
    }

    private long doublesToIntegers(long lo, long hi, int mode) {
        return joined(arithmetic.toInteger64(lo, 32, mode), arithmetic.toInteger64(hi, 32, mode));
    }

    private long floatsToIntegers(long x, int mode) {
        return joined(arithmetic.toInteger32((int) x, 32, mode), arithmetic.toInteger32((int) (x >>> 32), 32, mode));
    }

    private long integersToFloats(long x) {
        return joined(arithmetic.fromInteger32(x << 32 >> 32), arithmetic.fromInteger32(x >> 32));
    }

    /** The forms with an MMX register on one side, which leave the x87 registers in MMX state. */
    private void mmx(Instruction in, long address) {
        switch (in.form.operation()) {
            case CVTPI2PS -> {
                operands.checkMmx();
                long value = integersToFloats(operands.sourceMmx(in, address));
                arithmetic.commit();
                operands.enterMmx();
                xmm[2 * in.reg] = value;
            }
            case CVTPI2PD -> {
                // With a memory operand no MMX register takes part.
                if (!in.memory) {
                    operands.checkMmx();
                }
                long source = operands.sourceMmx(in, address);
                if (!in.memory) {
                    operands.enterMmx();
                }
                set(in, arithmetic.fromInteger64(source << 32 >> 32), arithmetic.fromInteger64(source >> 32));
            }
            case CVTPS2PI, CVTTPS2PI -> {
                operands.checkMmx();
                long source = operands.source64(in, address);
                boolean truncate = in.opcode == 0x2c;
                setMmx(in, floatsToIntegers(source, truncate ? SoftFloat.TO_ZERO : arithmetic.rounding()));
            }
            default -> {
                operands.checkMmx();
                operands.source(in, address);
                boolean truncate = in.opcode == 0x2c;
                int mode = truncate ? SoftFloat.TO_ZERO : arithmetic.rounding();
                setMmx(in, doublesToIntegers(operands.lo, operands.hi, mode));
            }
        }
    }

    private void setMmx(Instruction in, long value) {
        arithmetic.commit();
        operands.enterMmx();
        operands.setMmx(in.reg, value);
    }
}
