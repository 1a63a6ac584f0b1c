package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;
import static org.torte.hypervisor.x86.Operation.*;

import java.util.EnumSet;
import java.util.Set;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Instructions of the x87, as they are, in blocks that are entered only while its registers are in the host's ({@link
 * X87Image}). All exceptions are masked then, and an FLDCW that would unmask one is interpreted. The pointers to instruction and
 * operand are kept in the state, since the host's lead into code of its own.
 */
final class X87Instructions {
    private static final int AND = 4, COMPARE = 7, MASKS = 0x3f;
    private static final int MOVZX_WORD = 0x0fb7, FLDCW_OPCODE = 0xd9, FLDCW_REG = 5;

    /** What is the same on all processors, whatever the operands. */
    private static final Set<Operation> KNOWN = EnumSet.of(
            FLD, FILD, FST, FSTP, FIST, FISTP, FISTTP, FXCH, FCMOVB, FCMOVE, FCMOVBE, FCMOVU, FCMOVNB, FCMOVNE,
            FCMOVNBE, FCMOVNU, FADD, FADDP, FIADD, FSUB, FSUBP, FISUB, FSUBR, FSUBRP, FISUBR, FMUL, FMULP, FIMUL, FDIV,
            FDIVP, FIDIV, FDIVR, FDIVRP, FIDIVR, FABS, FCHS, FRNDINT, FSCALE, FSQRT, FXTRACT, FCOM, FCOMP, FCOMPP,
            FUCOM, FUCOMP, FUCOMPP, FICOM, FICOMP, FCOMI, FCOMIP, FUCOMI, FUCOMIP, FTST, FXAM, FLD1, FLDL2T, FLDL2E,
            FLDPI, FLDLG2, FLDLN2, FLDZ, FINCSTP, FDECSTP, FFREE, FNCLEX, FLDCW, FNSTCW, FNSTSW, FWAIT);

    private final BlockCode code;
    private final Assembler hot;

    X87Instructions(BlockCode code) {
        this.code = code;
        hot = code.hot;
    }

    static boolean knows(Operation operation) {
        return KNOWN.contains(operation);
    }

    /** Whether it is one of the codes that the manuals do not mention, for another instruction that has a code there. */
    static boolean isAlias(Instruction in) {
        int group = in.modrm >> 3;
        return !in.memory
                && switch (in.opcode) {
                    case 0xd9 -> group == 0x1b;
                    case 0xdc -> group == 0x1a || group == 0x1b;
                    case 0xdd -> group == 0x19;
                    case 0xde -> group == 0x1a;
                    case 0xdf -> group < 0x1c;
                    default -> false;
                };
    }

    /** Whether it is one whose address is kept for FNSTENV and its relatives. */
    private static boolean isRecorded(Instruction in) {
        return switch (in.form.operation()) {
            case FNCLEX, FLDCW, FNSTCW, FNSTSW, FWAIT -> false;
            default -> true;
        };
    }

    private static boolean writesMemory(Operation operation) {
        return switch (operation) {
            case FST, FSTP, FIST, FISTP, FISTTP, FNSTCW, FNSTSW -> true;
            default -> false;
        };
    }

    void emit(Instruction in, boolean last) {
        Operation operation = in.form.operation();
        if (operation == FWAIT) {
            return; // nothing can be pending
        }
        if (in.memory) {
            code.spillFlags();
            Place place = code.access(
                    code.addressOf(in),
                    Selection.memorySize(in),
                    writesMemory(operation),
                    BlockCode.Alignment.ANY,
                    hot.position(),
                    last);
            if (operation == FLDCW) {
                loadControl(place, last);
            } else {
                place.operand(hot, 0, false, false, in.opcode, in.modrm >> 3 & 7);
            }
        } else {
            if (Flags.read(in) != 0 || Flags.written(in) != 0) {
                code.needFlags(code.live());
            }
            hot.bytes(in.opcode, in.modrm);
            if (Flags.written(in) != 0) {
                code.flagsAreInHost();
            }
        }
        if (isRecorded(in)) {
            record(in);
        }
    }

    /** Looks at a copy that no other processor can change. */
    private void loadControl(Place place, boolean last) {
        place.operand(hot, 0, false, false, MOVZX_WORD, R13);
        hot.store(R14, SCRATCH2, R13);
        hot.immediate(AND, false, R13, MASKS);
        hot.immediate(COMPARE, false, R13, MASKS);
        code.interpretIf(NOT_EQUAL, last);
        hot.memory(0, false, false, FLDCW_OPCODE, FLDCW_REG, R14, NONE, 0, SCRATCH2);
    }

    private void record(Instruction in) {
        GuestBlock block = code.block;
        long rip = block.rip + block.offsets[code.index];
        if (in.memory) {
            Address.of(in, rip + in.length, false).emit(hot);
            hot.store(R14, X87_DATA, R12);
            hot.memory(0, false, false, 0xc7, 0, R14, NONE, 0, X87_SEGMENT);
            hot.four(in.segment + 1);
        }
        if (!replaced()) {
            hot.constant(R12, rip);
            hot.store(R14, X87_CODE, R12);
            hot.memory(0, false, false, 0xc7, 0, R14, NONE, 0, X87_OPCODE);
            hot.four(X87_EXECUTED | (in.opcode & 7) << 8 | in.modrm);
        }
    }

    /** Whether another instruction comes next, without a way out before it, that is recorded in the place of this one. */
    private boolean replaced() {
        GuestBlock block = code.block;
        int next = code.index + 1;
        if (next == block.size()
                || block.ways[next] != Selection.Way.X87
                || !code.isCharged() && block.live[next] == 0) {
            return false;
        }
        Instruction in = block.instructions.get(next);
        return !in.memory && isRecorded(in);
    }
}
