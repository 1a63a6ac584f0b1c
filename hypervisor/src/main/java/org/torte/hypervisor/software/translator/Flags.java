package org.torte.hypervisor.software.translator;

import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Which arithmetic flags an instruction reads, may change, and certainly replaces. */
final class Flags {
    static final int ALL = Form.CF | Form.PF | Form.AF | Form.ZF | Form.SF | Form.OF;

    private Flags() {}

    /** Flags that its result or its course depends on. */
    static int read(Instruction in) {
        return switch (in.form.operation()) {
            case JCC, SETCC, CMOVCC -> condition(in.opcode & 15);
            case PUSHF -> ALL;
            default -> in.form.flagsRead() & ALL;
        };
    }

    /** Flags that a condition looks at. */
    static int condition(int code) {
        return switch (code >> 1) {
            case 0 -> Form.OF;
            case 1 -> Form.CF;
            case 2 -> Form.ZF;
            case 3 -> Form.CF | Form.ZF;
            case 4 -> Form.SF;
            case 5 -> Form.PF;
            case 6 -> Form.SF | Form.OF;
            default -> Form.SF | Form.OF | Form.ZF;
        };
    }

    /** Flags that may be different afterwards. */
    static int written(Instruction in) {
        return in.form.flagsWritten() & ALL;
    }

    /** Flags whose values before cannot matter afterwards: shifts and rotations by zero leave all of them alone. */
    static int replaced(Instruction in) {
        return switch (in.form.operation()) {
            case ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD -> {
                Operand count = in.form.operand(in.form.operandCount() - 1);
                boolean constant = count.kind() == Operand.Kind.IMMEDIATE;
                boolean zero = count != Operand.ONE
                        && (in.immediate & (in.form.operand(0).size(in) == 8 ? 63 : 31)) == 0;
                yield constant && !zero ? written(in) : 0;
            }
            // With an unmasked exception they leave the flags alone.
            case FCOMI, FCOMIP, FUCOMI, FUCOMIP -> 0;
            default -> written(in);
        };
    }
}
