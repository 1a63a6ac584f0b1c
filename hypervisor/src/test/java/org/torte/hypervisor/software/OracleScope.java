package org.torte.hypervisor.software;

import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.x86.Feature;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Which forms can be compared with the host's processor in user mode. */
final class OracleScope {
    private OracleScope() {}

    /** Whether this case's result is not defined by the manual, or differs between makers. */
    static boolean undefined(Instruction in, CaseRecord record) {
        return switch (in.form.operation()) {
            // Counts above the operand size.
            case SHLD, SHRD -> {
                boolean byRegister = in.form.operand(2) == Operand.CL;
                long count = byRegister ? record.register(1) : in.immediate;
                yield in.operandSize == 2 && (count & 31) > 16;
            }
            // A source of zero: whether the upper half of the destination is cleared.
            case BSF, BSR -> (record.flagsAfter() & Form.ZF) != 0;
            // Whether a memory operand or a following SIMD exception leaves the x87 state as it was.
            case CVTPI2PS, CVTPI2PD -> in.memory || record.vector() != 3;
            case CVTPS2PI, CVTPD2PI, CVTTPS2PI, CVTTPD2PI -> record.vector() != 3;
            // How much of a frame is on the stack when a later push faults.
            case ENTER -> record.vector() == 14 || record.vector() == 12;
            // AMD's processors have a bit more in MXCSR.
            case LDMXCSR -> record.mxcsrAfter() >>> 16 != 0;
            // Which comes first, a target that is not canonical or the fault of the push.
            case CALL ->
                record.vector() == GuestFault.SS || record.vector() == GuestFault.PF && (record.errorCode() & 2) != 0;
            // Whether an unmasked underflow is also inexact.
            case FSCALE -> (record.control() & 0x10) == 0;
            // AMD's processors read four bytes for a 16-bit destination.
            case MOVSXD -> in.operandSize == 2;
            // Which of several bytes or operands faults first.
            case MASKMOVQ, MASKMOVDQU, CMPS -> record.vector() == 14;
            default -> false;
        };
    }

    /** Features of the host that the interpreter does not offer to guests: undefined there. */
    private static boolean offered(Feature feature) {
        return switch (feature) {
            case AES, PCLMULQDQ, SHA -> false;
            default -> true;
        };
    }

    static boolean covers(Form form) {
        if (!offered(form.feature())) {
            return false;
        }
        return switch (form.operation()) {
            // Leave the process, reach the host's kernel or hypervisor, or end the case as INT3 does.
            case SYSCALL, SYSENTER, INT, INT3, INT1, INTO, VMCALL, VMMCALL, IRET -> false;
            // Depend on tables, registers and time of the host.
            case MOV_TO_SREG, MOV_FROM_SREG, LOAD_FAR, CALL_FAR, JMP_FAR, RET_FAR, LAR, LSL, VERR, VERW -> false;
            case SGDT, SIDT, SLDT, STR, SMSW, CPUID, RDTSC, RDTSCP, RDPMC, RDRAND, RDSEED, XGETBV -> false;
            case RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, RDPKRU, WRPKRU -> false;
            case FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS -> false;
            // Not offered to guests, or gone in long mode with some makers, and so undefined before privilege is
            // checked.
            case INVPCID, SYSEXIT -> false;
            // Store addresses of instructions and operands, which AMD's processors keep only with a pending exception.
            case FNSAVE, FNSTENV, FLDENV, FRSTOR -> false;
            // Approximations of which processors have their own.
            case RCPPS, RCPSS, RSQRTPS, RSQRTSS -> false;
            case FSIN, FCOS, FSINCOS, FPTAN, FPATAN, F2XM1, FYL2X, FYL2XP1 -> false;
            case POP, PUSH -> form.operands().stream().allMatch(o -> o.kind() != Operand.Kind.SEGMENT);
            default -> true;
        };
    }
}
