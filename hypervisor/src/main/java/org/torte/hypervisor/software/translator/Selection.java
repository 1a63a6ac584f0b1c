package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.x86.Operation.*;

import java.util.EnumSet;
import java.util.Set;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * How each instruction is translated. Only what stands in these lists is ever emitted: instructions that cannot fault
 * once their memory operand is checked, and that do on the host what they do in the guest. Everything else is
 * interpreted.
 */
final class Selection {
    /** A way to translate. */
    enum Way {
        /** Interpreted. */
        INTERPRETED,
        /** The same instruction, with its registers mapped and its memory operand checked. */
        SAME,
        /** Nothing to do. */
        NOTHING,
        LEA,
        MOVE_CONSTANT,
        BYTE_SWAP,
        EXCHANGE,
        DIVISION,
        PUSH,
        POP,
        LEAVE,
        PUSH_FLAGS,
        CLEAR_FLAG,
        SET_INTERRUPTS,
        SYSTEM_CALL,
        SYSTEM_RETURN,
        INTERRUPT_RETURN,
        USER_ACCESS,
        SWAP_BASES,
        BASE,
        READ_TIME,
        MOVE_SELECTOR,
        BIT_STRING,
        REPEATED_STRING,
        CALL,
        RETURN,
        JUMP,
        CONDITIONAL_JUMP,
        X87
    }

    private static final Set<Operation> INTEGER = EnumSet.of(
            ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT, MUL, IMUL1, IMUL, ROL, ROR, RCL, RCR, SHL,
            SHR, SAR, SHLD, SHRD, BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT, CMPXCHG, CMPXCHG8B, XADD, CRC32,
            MOVBE, ADCX, ADOX, CONVERT_A, CONVERT_D, MOV, MOVZX, MOVSX, MOVSXD, MOVNTI, CMOVCC, SETCC, LAHF, SAHF, CLC,
            STC, CMC, LFENCE, MFENCE, SFENCE);

    /** Instructions with XMM operands that are not translated: results that depend on the maker, several addresses. */
    private static final Set<Operation> NOT_VECTOR = EnumSet.of(RCPPS, RCPSS, RSQRTPS, RSQRTSS, MASKMOVDQU);

    /** Operations that only read the memory operand which is their first. */
    private static final Set<Operation> READ_FIRST = EnumSet.of(CMP, TEST, BT, MUL, IMUL1, DIV, IDIV, PUSH, CALL, JMP);

    private static final Way[] WAYS = new Way[Form.count()];
    private static final boolean[] VECTORS = new boolean[Form.count()];

    static {
        for (int i = 0; i < WAYS.length; i++) {
            WAYS[i] = way(Form.of(i));
            VECTORS[i] = uses(Form.of(i), Operand.Kind.XMM);
        }
    }

    private final HostFeatures host;

    Selection(HostFeatures host) {
        this.host = host;
    }

    private static Way way(Form form) {
        Way system = systemWay(form.operation());
        if (system != Way.INTERPRETED) {
            return system;
        }
        if (form.isVex() || form.isPrivileged() || form.isIoPrivileged()) {
            return Way.INTERPRETED;
        }
        return switch (form.operation()) {
            case NOP, PREFETCH -> Way.NOTHING;
            case LEA -> Way.LEA;
            case BSWAP -> Way.BYTE_SWAP;
            case XCHG -> Way.EXCHANGE;
            case DIV, IDIV -> form.operand(0) == Operand.EB ? Way.INTERPRETED : Way.DIVISION;
            case PUSH, POP ->
                form.operand(0).kind() == Operand.Kind.SEGMENT
                        ? Way.INTERPRETED
                        : form.operation() == PUSH ? Way.PUSH : Way.POP;
            case STOS, MOVS -> Way.REPEATED_STRING;
            case LEAVE -> Way.LEAVE;
            case PUSHF -> Way.PUSH_FLAGS;
            case CLD -> Way.CLEAR_FLAG;
            case MOV_FROM_SREG -> Way.MOVE_SELECTOR;
            case CALL -> Way.CALL;
            case RET -> Way.RETURN;
            case JMP -> Way.JUMP;
            case JCC -> Way.CONDITIONAL_JUMP;
            default -> {
                if (X87Instructions.knows(form.operation())) {
                    yield Way.X87;
                }
                if (form.operation() == MOV && form.operand(0).place() == Operand.Place.OPCODE) {
                    yield Way.MOVE_CONSTANT;
                }
                boolean vector = !NOT_VECTOR.contains(form.operation())
                        && uses(form, Operand.Kind.XMM)
                        && !uses(form, Operand.Kind.MMX);
                boolean absolute = form.operands().stream().anyMatch(o -> o.place() == Operand.Place.OFFSET);
                yield (vector || INTEGER.contains(form.operation())) && !absolute ? Way.SAME : Way.INTERPRETED;
            }
        };
    }

    /** Those that look at privileges themselves. */
    private static Way systemWay(Operation operation) {
        return switch (operation) {
            case CLI -> Way.CLEAR_FLAG;
            case STI -> Way.SET_INTERRUPTS;
            case SYSCALL -> Way.SYSTEM_CALL;
            case SYSRET -> Way.SYSTEM_RETURN;
            case IRET -> Way.INTERRUPT_RETURN;
            case STAC, CLAC -> Way.USER_ACCESS;
            case SWAPGS -> Way.SWAP_BASES;
            case RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE -> Way.BASE;
            case RDTSC, RDTSCP -> Way.READ_TIME;
            default -> Way.INTERPRETED;
        };
    }

    /** Whether it has XMM registers as operands. */
    static boolean usesVectors(Form form) {
        return VECTORS[form.index()];
    }

    private static boolean uses(Form form, Operand.Kind kind) {
        return form.operands().stream().anyMatch(operand -> operand.kind() == kind);
    }

    /** How to translate an instruction of 64-bit code. */
    Way of(Instruction in) {
        Way way = WAYS[in.form.index()];
        if (way == Way.SAME && isBitString(in)) {
            way = Way.BIT_STRING;
        }
        boolean possible = switch (way) {
            case INTERPRETED, NOTHING -> true;
            case LEA -> in.addressSize != 2;
            case PUSH -> in.operandSize == 8;
            case POP -> in.operandSize == 8 && !in.memory;
            case LEAVE, PUSH_FLAGS, CALL, RETURN, JUMP, CONDITIONAL_JUMP -> in.operandSize == 8;
            case CLEAR_FLAG, SET_INTERRUPTS, SYSTEM_CALL, USER_ACCESS, SWAP_BASES, READ_TIME -> true;
            case SYSTEM_RETURN, INTERRUPT_RETURN -> in.operandSize == 8;
            case BASE -> !in.memory;
            case MOVE_SELECTOR -> !in.memory && in.reg <= 5;
            case BIT_STRING -> in.addressSize == 8;
            case REPEATED_STRING -> in.repeat != 0 && in.addressSize == 8 && in.segment < 4;
            case MOVE_CONSTANT -> !isHigh(in, 0);
            case X87 -> host.has(in.form.feature()) && !X87Instructions.isAlias(in);
            case BYTE_SWAP -> in.operandSize >= 4;
            case DIVISION -> in.operandSize >= 4;
            default -> host.has(in.form.feature()) && (!in.memory || memorySize(in) != 0) && encodable(in);
        };
        return possible ? way : Way.INTERPRETED;
    }

    /**
     * Whether the host's encoding can have the same registers: AH to BH exclude a REX prefix. Beside memory, which needs one,
     * AL to BL stand for them, unless the instruction looks at AL besides.
     */
    private static boolean encodable(Instruction in) {
        Form form = in.form;
        boolean high = false;
        boolean needsRex = in.memory && form.operation() == CMPXCHG;
        for (int i = 0; i < form.operandCount(); i++) {
            Operand operand = form.operand(i);
            if (operand.kind() != Operand.Kind.GPR || operand.place() == Operand.Place.FIXED || isMemory(in, i)) {
                continue;
            }
            if (isHigh(in, i)) {
                high = true;
            } else {
                needsRex |= register(in, i) == Assembler.RSP;
            }
        }
        return !(high && needsRex);
    }

    /** Whether it is BT, BTS, BTR or BTC on memory with the offset in a register: the bit may lie anywhere around. */
    private static boolean isBitString(Instruction in) {
        return in.memory
                && switch (in.form.operation()) {
                    case BT, BTS, BTR, BTC -> in.form.operand(1).kind() == Operand.Kind.GPR;
                    default -> false;
                };
    }

    /** The guest's register that an operand names, if it names one by ModRM or opcode. */
    static int register(Instruction in, int number) {
        return in.form.operand(number).place() == Operand.Place.REG ? in.reg : in.rm;
    }

    /** Whether the operand is AH, CH, DH or BH. */
    static boolean isHigh(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        int register = register(in, number);
        return operand.kind() == Operand.Kind.GPR
                && operand.place() != Operand.Place.FIXED
                && !isMemory(in, number)
                && operand.size(in) == 1
                && !in.rex
                && register >= 4
                && register < 8;
    }

    static boolean isMemory(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        return operand.isMemory() || operand.isRm() && in.memory;
    }

    /** Which operand is memory; there is one. */
    static int memoryOperand(Instruction in) {
        for (int i = 0; i < in.form.operandCount(); i++) {
            if (isMemory(in, i)) {
                return i;
            }
        }
        throw new AssertionError(in.form);
    }

    /** Whether the memory operand is written. */
    static boolean writesMemory(Instruction in) {
        return memoryOperand(in) == 0 && !READ_FIRST.contains(in.form.operation());
    }

    /** Bytes of an element of a string instruction. */
    static int elementSize(Instruction in) {
        return in.form.operand(memoryOperand(in)).size(in);
    }

    /** Bytes of the memory operand. */
    static int memorySize(Instruction in) {
        if (in.form.operation() == CMPXCHG8B) {
            return 2 * Math.max(in.operandSize, 4);
        }
        return in.form.operand(memoryOperand(in)).size(in);
    }

    /** Whether the guest's register operand may change. */
    static boolean writesRegister(Instruction in, int number) {
        Operation operation = in.form.operation();
        if (number == 0) {
            return !READ_FIRST.contains(operation);
        }
        return number == 1 && (operation == XADD || operation == XCHG);
    }
}
