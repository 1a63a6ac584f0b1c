package org.torte.hypervisor.software;

import java.util.List;
import org.torte.hypervisor.oracle.AddressSpace;
import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/** Which forms can be compared with the host's processor in user mode, and what of their results is defined. */
final class OracleScope {
    /** Components of XCR0 that hosts may have enabled: AVX, MPX, AVX-512. */
    private static final int HOST_COMPONENTS = 0xFC;

    private OracleScope() {}

    /** Whether a form can be compared at all. */
    static boolean covers(Form form) {
        return switch (form.operation()) {
            // Reach the host's kernel or hypervisor, or end the case as INT3 does.
            case SYSCALL, SYSENTER, INT3, INT1, VMCALL, VMMCALL -> false;
            // Depend on tables, registers and time of the host.
            case SGDT, SIDT, SLDT, STR, SMSW, CPUID, RDTSC, RDTSCP, RDPID, RDPMC, XGETBV -> false;
            // The compacted format is not offered to guests. Protection keys are up to the host's kernel.
            case XSAVEC, XSAVES, XRSTORS, RDPKRU, WRPKRU -> false;
            // Up to the host's kernel.
            case INVPCID -> false;
            // Gone in long mode with some makers, and so undefined before privilege is checked.
            case SYSEXIT -> false;
            default -> true;
        };
    }

    /** Whether this form's result is always defined, so that others may follow that use it. */
    static boolean inSequence(Form form) {
        return covers(form)
                && switch (form.operation()) {
                    // Selectors must be those that both sides know.
                    case MOV_TO_SREG, LOAD_FAR, LAR, LSL, VERR, VERW, JMP_FAR, CALL_FAR, RET_FAR -> false;
                    case POP -> form.operand(0).kind() != Operand.Kind.SEGMENT;
                    // May leave out what it knows to be in memory already.
                    case XSAVEOPT -> false;
                    // The mask of XSAVE must stay what it is.
                    case FNSTSW -> form.operand(0) != Operand.AX;
                    case SHLD, SHRD, BSF, BSR, POPF, IRET, RDRAND, RDSEED -> false;
                    // Their results may differ in the last place, and what depends on them by any amount.
                    case RCPPS, RCPSS, RSQRTPS, RSQRTSS -> false;
                    case FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1 -> false;
                    default -> true;
                };
    }

    /** Whether this case's result is not defined by the manual, or differs between makers. */
    static boolean undefined(Instruction in, CaseRecord record) {
        return switch (in.form.operation()) {
            // Counts above the operand size.
            case SHLD, SHRD -> in.operandSize == 2 && (count(in, record) & 31) > 16;
            // A source of zero: whether the upper half of the destination is cleared.
            case BSF, BSR -> (record.flagsAfter() & Form.ZF) != 0;
            // Whether a memory operand or a following SIMD exception leaves the x87 state as it was.
            case CVTPI2PS, CVTPI2PD -> in.memory || record.vector() != 3;
            case CVTPS2PI, CVTPD2PI, CVTTPS2PI, CVTTPD2PI -> record.vector() != 3;
            // How much of a frame is on the stack when a later push faults.
            case ENTER -> record.vector() != 3;
            // Whether the ModRM byte is fetched before the fault.
            case UD0, UD1 -> record.vector() == GuestFault.PF || record.codeAddress() != CaseRecord.CODE;
            // AMD's processors have a bit more in MXCSR.
            case LDMXCSR -> record.mxcsrAfter() >>> 16 != 0;
            case FXRSTOR -> record.mxcsrAfter() >>> 16 != 0 || (record.flags() & Cpu.AC) != 0;
            case XRSTOR -> record.mxcsrAfter() >>> 16 != 0 || (record.register(0) & HOST_COMPONENTS) != 0;
            // Which comes first, a target that is not canonical or the fault of the push.
            case CALL ->
                record.vector() == GuestFault.SS
                        || record.vector() == GuestFault.AC
                        || record.vector() == GuestFault.PF && (record.errorCode() & 2) != 0;
            // Whether an unmasked underflow is also inexact.
            case FSCALE -> (record.control() & 0x10) == 0;
            // AMD's processors read four bytes for a 16-bit destination.
            case MOVSXD -> in.operandSize == 2;
            // Which of several bytes faults first, and how they have to be aligned.
            case MASKMOVQ, MASKMOVDQU -> record.vector() != GuestFault.BP || (record.flags() & Cpu.AC) != 0;
            // Which of two faulting operands is reported.
            case CMPS -> in.repeat != 0 && record.vector() != GuestFault.BP;
            // Whether the first bound's page or the segment's limit comes first.
            case BOUND -> record.vector() != GuestFault.BP && record.vector() != GuestFault.BR;
            // Whether they may touch segments that can only be executed.
            case CLFLUSH, CLFLUSHOPT, CLWB -> in.segment == CaseRecord.CS;
            // Whether misalignment is #AC or #GP, and which of the parts is looked at.
            case FXSAVE, FNSAVE, FRSTOR, FNSTENV, FLDENV -> (record.flags() & Cpu.AC) != 0;
            // Whether an outer stack is looked at before the selector is found to be wrong.
            case RET_FAR, IRET ->
                record.vector() == GuestFault.PF
                        || record.vector() == GuestFault.SS
                        || record.vector() == GuestFault.AC;
            // Components that the host has and the interpreter does not.
            case XSAVE, XSAVEOPT -> (record.register(0) & HOST_COMPONENTS) != 0;
            // A selector in memory may by chance be the one whose limit is the host's processor.
            case LSL ->
                (record.flagsAfter() & Form.ZF) != 0
                        && (record.registerAfter(in.reg) & 0xFFFF) <= AddressSpace.PROCESSOR_NUMBER_LIMIT;
            // How a far pointer has to be aligned.
            case LOAD_FAR, JMP_FAR -> record.vector() == GuestFault.AC;
            // A call from compatibility to 64-bit mode: whether the old or the new mode's stack segment counts.
            case CALL_FAR ->
                record.vector() != GuestFault.BP
                        || record.selectorAfter(CaseRecord.CS) != record.selector(CaseRecord.CS)
                        || AddressSpace.base(record.selector(CaseRecord.SS)) != 0;
            default -> false;
        };
    }

    private static int count(Instruction in, CaseRecord record) {
        int last = in.form.operandCount() - 1;
        Operand operand = in.form.operand(last);
        if (operand == Operand.CL) {
            return (int) record.register(1) & 0xFF;
        }
        return operand == Operand.ONE ? 1 : (int) in.immediate & 0xFF;
    }

    /** Flags that an instruction leaves undefined in this case, of those that its form may. */
    static int undefinedFlags(Instruction in, CaseRecord before) {
        int possible = in.form.flagsUndefined();
        switch (in.form.operation()) {
            case SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD -> {
                int size = in.form.operand(0).size(in);
                int count = count(in, before) & (size == 8 ? 63 : 31);
                if (count == 0) {
                    return 0;
                }
                if (count == 1) {
                    possible &= ~Form.OF;
                }
                if (count <= 8 * size) {
                    // Only AF, and OF for more than one.
                    possible &= Form.AF | Form.OF;
                }
                boolean logical = in.form.operation() == Operation.SHL || in.form.operation() == Operation.SHR;
                if (logical && count == 8 * size) {
                    possible |= Form.CF;
                }
                return possible;
            }
            default -> {
                return possible;
            }
        }
    }

    /** Whether none of these forms, in this order, uses a flag that one before it leaves undefined. */
    static boolean usesDefinedFlags(List<Form> forms) {
        int undefined = 0;
        boolean branched = false;
        for (Form form : forms) {
            if ((form.flagsRead() & undefined) != 0) {
                return false;
            }
            branched |= branches(form);
            int defined = branched || mayKeepFlags(form) ? 0 : form.flagsWritten();
            undefined = undefined & ~defined | form.flagsUndefined();
        }
        return true;
    }

    /** Whether control may not reach the next instruction. */
    static boolean branches(Form form) {
        return switch (form.operation()) {
            case JMP, JCC, CALL, RET, LOOP, LOOPE, LOOPNE, JRCXZ, JMP_FAR, CALL_FAR, RET_FAR, IRET -> true;
            default -> false;
        };
    }

    /** Whether a count of zero leaves the flags as they are. */
    static boolean mayKeepFlags(Form form) {
        return form.isRepeatable()
                || switch (form.operation()) {
                    case SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD -> true;
                    default -> false;
                };
    }

    /** Whether it is up to the processor which part of a large operand it touches first. */
    static boolean touchesManyParts(Instruction in) {
        return switch (in.form.operation()) {
            case FNSAVE, FNSTENV, FRSTOR, FLDENV, FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR -> true;
            default -> in.form.operandCount() > 0 && in.form.operand(0) == Operand.MT;
        };
    }

    /** Whether it stores what MXCSR can hold, in which AMD's processors have a bit more. */
    static boolean storesMxcsrMask(Form form) {
        return switch (form.operation()) {
            case FXSAVE, XSAVE, XSAVEOPT -> true;
            default -> false;
        };
    }

    /** Whether it may only end a sequence, for its result depends on that bit. */
    static boolean onlyLast(Form form) {
        return storesMxcsrMask(form) || form.operation() == Operation.LDMXCSR;
    }

    /**
     * Whether these instructions may be a sequence in this order, or its beginning. One at most may load MXCSR, for only
     * its last value can be looked at: AMD's processors take a bit there that no model here has.
     */
    static boolean inOrder(List<Form> forms, boolean whole) {
        return usesDefinedFlags(forms)
                && forms.stream().filter(OracleScope::loadsMxcsr).count() <= 1
                && (whole || !onlyLast(forms.getLast()));
    }

    private static boolean loadsMxcsr(Form form) {
        return switch (form.operation()) {
            case LDMXCSR, FXRSTOR, XRSTOR -> true;
            default -> false;
        };
    }

    /** Registers whose value only chance decides: bit n for register n. */
    static int randomRegisters(Instruction in) {
        return switch (in.form.operation()) {
            case RDRAND, RDSEED -> 1 << in.rm;
            default -> 0;
        };
    }

    /** Whether the results are approximations, and of which kind. */
    static Approximation approximation(Form form) {
        return switch (form.operation()) {
            case RCPPS, RCPSS, RSQRTPS, RSQRTSS -> Approximation.RECIPROCAL;
            case FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1 -> Approximation.TRANSCENDENTAL;
            default -> Approximation.NONE;
        };
    }
}
