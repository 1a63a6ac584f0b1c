package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.Cpu.RAX;
import static org.torte.hypervisor.software.Cpu.RBP;
import static org.torte.hypervisor.software.Cpu.RCX;
import static org.torte.hypervisor.software.Cpu.RSP;
import static org.torte.hypervisor.software.Cpu.T0;
import static org.torte.hypervisor.software.Cpu.T1;
import static org.torte.hypervisor.software.Cpu.T2;
import static org.torte.hypervisor.software.Cpu.ZERO;
import static org.torte.hypervisor.software.MicroOp.*;

import java.util.Arrays;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/**
 * Turns decoded instructions into the micro-operations of a block. Frequent forms are taken apart; whatever has no case
 * here becomes {@link MicroOp#COMPLEX} and is executed from its decoded form by {@link Executor}. T0 carries the value
 * of operand 0, T1 that of the other operand, T2 the address.
 */
final class Lowering {
    private static final int ADD = 0, OR = 1, ADC = 2, SBB = 3, AND = 4, SUB = 5, XOR = 6, CMP = 7;

    private int mode;
    private boolean long64;
    private long[] code = new long[256];
    private short[] starts = new short[256];
    private int used;
    private Instruction[] complex = new Instruction[16];
    private int complexUsed;
    private int offset;
    private boolean open;
    private long target;

    // The address of the current memory operand, as micro-operations take it.
    private int addressA;
    private int addressB;
    private int addressScale;
    private long addressDisplacement;

    /** Begins a block. */
    void begin(int blockMode) {
        mode = blockMode;
        long64 = (blockMode & Cpu.MODE_SIZE) == Cpu.MODE_64;
        used = 0;
        complexUsed = 0;
        open = true;
        target = 0;
    }

    /** Adds an instruction that begins {@code at} bytes into the block; returns whether another may follow. */
    boolean add(Instruction in, int at) {
        offset = at;
        int before = used;
        if (in.lock || !lower(in)) {
            used = before;
            boolean ends = endsBlock(in);
            emit(ends ? COMPLEX_END : COMPLEX, 0, 0, 0, 0, 0, complexUsed);
            if (complexUsed == complex.length) {
                complex = Arrays.copyOf(complex, 2 * complexUsed);
            }
            complex[complexUsed++] = in.copy();
            open = !ends;
        }
        return open;
    }

    /** Ends the block. */
    Block finish(int pageOffset, int instructions, int length, long secondPage) {
        if (open) {
            offset = length;
            emit(NEXT, 0, 0, 0, 0, 0, 0);
        }
        return new Block(
                pageOffset,
                mode,
                Arrays.copyOf(code, used),
                Arrays.copyOf(starts, used),
                Arrays.copyOf(complex, complexUsed),
                instructions,
                length,
                target,
                secondPage);
    }

    private void emit(int opcode, int d, int a, int b, int scale, int extra, long immediate) {
        word(MicroOp.of(opcode, d, a, b, scale, extra, immediate));
    }

    private void emit(int opcode, int d, int a, int b) {
        emit(opcode, d, a, b, 0, 0, 0);
    }

    private void word(long word) {
        if (used == code.length) {
            code = Arrays.copyOf(code, 2 * used);
            starts = Arrays.copyOf(starts, 2 * used);
        }
        code[used] = word;
        starts[used++] = (short) offset;
    }

    /** Whether control, mode, privilege or what interrupts may do can be different after this instruction. */
    private static boolean endsBlock(Instruction in) {
        return switch (in.form.operation()) {
            case INVALID,
                    UD0,
                    UD1,
                    UD2,
                    JMP,
                    CALL,
                    RET,
                    JCC,
                    LOOP,
                    LOOPE,
                    LOOPNE,
                    JRCXZ,
                    JMP_FAR,
                    CALL_FAR,
                    RET_FAR,
                    IRET,
                    INT,
                    INT3,
                    INT1,
                    INTO,
                    BOUND,
                    SYSCALL,
                    SYSRET,
                    SYSENTER,
                    SYSEXIT,
                    STI,
                    POPF,
                    HLT,
                    MWAIT,
                    MONITOR,
                    MOV_TO_CR,
                    MOV_TO_DR,
                    LMSW,
                    WRMSR,
                    RDMSR,
                    INVLPG,
                    INVPCID,
                    XSETBV,
                    MOV_TO_SREG,
                    LOAD_FAR,
                    WRPKRU,
                    VMCALL,
                    VMMCALL,
                    PAUSE,
                    IN,
                    OUT,
                    INS,
                    OUTS -> true;
            case POP -> in.form.operand(0).kind() == Operand.Kind.SEGMENT;
            case MOVS, CMPS, STOS, LODS, SCAS -> in.repeat != 0;
            default -> false;
        };
    }

    private boolean lower(Instruction in) {
        return switch (in.form.operation()) {
            case ADD -> arithmetic(in, ADD);
            case OR -> arithmetic(in, OR);
            case ADC -> arithmetic(in, ADC);
            case SBB -> arithmetic(in, SBB);
            case AND -> arithmetic(in, AND);
            case SUB -> arithmetic(in, SUB);
            case XOR -> arithmetic(in, XOR);
            case CMP -> arithmetic(in, CMP);
            case TEST -> test(in);
            case INC -> unary(in, 0, INC64, INC32);
            case DEC -> unary(in, 1, DEC64, DEC32);
            case NEG -> unary(in, 2, 0, 0);
            case NOT -> unary(in, 3, NOT64, NOT32);
            case ROL -> shift(in, 0, 0, 0);
            case ROR -> shift(in, 1, 0, 0);
            case RCL -> shift(in, 2, 0, 0);
            case RCR -> shift(in, 3, 0, 0);
            case SHL -> shift(in, 4, SHL64I, SHL32I);
            case SHR -> shift(in, 5, SHR64I, SHR32I);
            case SAR -> shift(in, 7, SAR64I, SAR32I);
            case IMUL -> multiply(in);
            case MOV, MOVNTI -> move(in);
            case MOVZX -> extend(in, false);
            case MOVSX, MOVSXD -> extend(in, true);
            case LEA -> lea(in);
            case XCHG -> exchange(in);
            case CMOVCC -> {
                int size = size(in, 0);
                if (size < 4) {
                    yield false;
                }
                int value = value(in, 1, T1);
                emit(size == 8 ? CMOV64 : CMOV32, in.reg, value, in.reg, 0, in.opcode & 15, 0);
                yield true;
            }
            case SETCC -> {
                if (in.memory) {
                    address(in, 1, true);
                }
                emit(SETCC, T0, 0, 0, 0, in.opcode & 15, 0);
                write(in, 0, T0);
                yield true;
            }
            case CONVERT_A -> {
                switch (in.operandSize) {
                    case 8 -> emit(SX32_64, RAX, RAX, 0);
                    case 4 -> emit(SX16_32, RAX, RAX, 0);
                    default -> {
                        emit(SX8_64, T0, RAX, 0);
                        emit(MERGE16, RAX, T0, 0);
                    }
                }
                yield true;
            }
            case PUSH -> push(in);
            case POP -> {
                if (!long64
                        || in.operandSize != 8
                        || in.memory
                        || in.form.operand(0).kind() != Operand.Kind.GPR) {
                    yield false;
                }
                emit(POP64, in.rm, 0, 0);
                yield true;
            }
            case LEAVE -> {
                if (!long64 || in.operandSize != 8) {
                    yield false;
                }
                emit(LOAD64, T0, RBP, ZERO);
                emit(LEA64, RSP, RBP, ZERO, 0, 0, 8);
                emit(MOV64, RBP, T0, 0);
                yield true;
            }
            case BT -> {
                int size = size(in, 0);
                if (in.memory || size == 2) {
                    yield false;
                }
                int bit = value(in, 1, T1);
                emit(BIT_TEST, 0, in.rm, bit, 0, 8 * size - 1, 0);
                yield true;
            }
            case CLI -> {
                emit(CLI, 0, 0, 0);
                yield true;
            }
            case CLD -> {
                emit(CLD, 0, 0, 0);
                yield true;
            }
            case NOP, PREFETCH, LFENCE, SFENCE -> {
                emit(MOV64, T0, T0, 0);
                yield true;
            }
            case CLFLUSH, CLFLUSHOPT, CLWB -> {
                // They fault where a load of the byte would.
                value(in, 0, T0);
                yield true;
            }
            case JMP, CALL, RET, JCC -> branch(in);
            default -> false;
        };
    }

    // ---- operands

    private static int size(Instruction in, int number) {
        return in.form.operand(number).size(in);
    }

    private static boolean isMemory(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        return operand.isMemory() || operand.place() == Operand.Place.RM && in.memory;
    }

    private static int register(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        return switch (operand.place()) {
            case REG -> in.reg;
            case FIXED -> operand.register();
            case VVVV -> in.vvvv;
            default -> in.rm;
        };
    }

    /** Whether the operand is AH, CH, DH or BH. */
    private static boolean isHigh(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        int register = register(in, number);
        return size(in, number) == 1
                && !in.rex
                && operand.place() != Operand.Place.FIXED
                && operand.kind() == Operand.Kind.GPR
                && register >= 4
                && register < 8;
    }

    /** A slot whose low bytes are the operand; {@code temporary} is used if it is not a register as it stands. */
    private int value(Instruction in, int number, int temporary) {
        Operand operand = in.form.operand(number);
        if (isMemory(in, number)) {
            int size = size(in, number);
            address(in, size, false);
            memory(load(size), temporary, 0);
            return temporary;
        }
        if (operand.kind() == Operand.Kind.IMMEDIATE) {
            immediate(temporary, operand == Operand.ONE ? 1 : in.immediate);
            return temporary;
        }
        if (isHigh(in, number)) {
            emit(HIGH8, temporary, register(in, number) - 4, 0);
            return temporary;
        }
        return register(in, number);
    }

    /** Writes a slot to the operand; for memory the address is the one computed last. */
    private void write(Instruction in, int number, int slot) {
        int size = size(in, number);
        if (isMemory(in, number)) {
            memory(store(size), slot, 0);
            return;
        }
        int register = register(in, number);
        switch (size) {
            case 1 -> {
                if (isHigh(in, number)) {
                    emit(MERGE8H, register - 4, slot, 0);
                } else {
                    emit(MERGE8, register, slot, 0);
                }
            }
            case 2 -> emit(MERGE16, register, slot, 0);
            case 4 -> emit(MOV32, register, slot, 0);
            default -> emit(MOV64, register, slot, 0);
        }
    }

    /** Writes a slot to operand 0, which, if it is memory, was read by LOAD_FOR_STORE. */
    private void writeBack(Instruction in, int slot) {
        if (isMemory(in, 0)) {
            emit(STORE_BACK, slot, 0, 0, 0, size(in, 0), 0);
        } else {
            write(in, 0, slot);
        }
    }

    private void immediate(int slot, long value) {
        if (value == (int) value) {
            emit(MOVI, slot, 0, 0, 0, 0, value);
        } else {
            emit(MOVI_WIDE, slot, 0, 0);
            word(value);
        }
    }

    private static int load(int size) {
        return switch (size) {
            case 1 -> LOAD8;
            case 2 -> LOAD16;
            case 4 -> LOAD32;
            default -> LOAD64;
        };
    }

    private static int store(int size) {
        return switch (size) {
            case 1 -> STORE8;
            case 2 -> STORE16;
            case 4 -> STORE32;
            default -> STORE64;
        };
    }

    private void memory(int opcode, int slot, int extra) {
        emit(opcode, slot, addressA, addressB, addressScale, extra, addressDisplacement);
    }

    /** Prepares the address of the memory operand for {@link #memory}; may use T2. */
    private void address(Instruction in, int size, boolean write) {
        effectiveAddress(in);
        if (long64) {
            if (in.addressSize == 4) {
                emit(LEA32, T2, addressA, addressB, addressScale, 0, addressDisplacement);
                setAddress(T2, ZERO, 0, 0);
            }
            if (in.segment >= Cpu.FS) {
                if (addressB != ZERO) {
                    emit(LEA64, T2, addressA, addressB, addressScale, 0, addressDisplacement);
                    setAddress(T2, ZERO, 0, 0);
                }
                addressB = Cpu.BASE + in.segment;
                addressScale = 0;
            }
            return;
        }
        emit(in.addressSize == 2 ? LEA16 : LEA32, T2, addressA, addressB, addressScale, 0, addressDisplacement);
        emit(write ? SEGMENT_WRITE : SEGMENT_READ, T2, T2, in.segment, 0, size, 0);
        setAddress(T2, ZERO, 0, 0);
    }

    private void effectiveAddress(Instruction in) {
        int a = in.base == Instruction.NONE ? ZERO : in.base;
        int b = in.index == Instruction.NONE ? ZERO : in.index;
        long displacement = in.displacement;
        if (in.base == Instruction.RIP) {
            a = Cpu.START;
            displacement += offset + in.length;
        }
        if (displacement != (int) displacement) {
            // An absolute 64-bit address, or one just behind the reach of 32 bits from here.
            emit(MOVI_WIDE, T2, 0, 0);
            word(displacement);
            emit(LEA64, T2, a, T2);
            a = T2;
            displacement = 0;
        }
        setAddress(a, b, in.scale, displacement);
    }

    private void setAddress(int a, int b, int scale, long displacement) {
        addressA = a;
        addressB = b;
        addressScale = scale;
        addressDisplacement = displacement;
    }

    private static int log2(int size) {
        return Integer.numberOfTrailingZeros(size);
    }

    // ---- instructions

    private boolean arithmetic(Instruction in, int operation) {
        int size = size(in, 0);
        boolean toMemory = isMemory(in, 0);
        boolean wide = size >= 4;
        boolean constant = in.form.operand(1).kind() == Operand.Kind.IMMEDIATE;
        int destination;
        if (toMemory) {
            address(in, size, operation != CMP);
            if (operation == CMP) {
                memory(load(size), T0, 0);
            } else {
                memory(LOAD_FOR_STORE, T0, size);
            }
            destination = T0;
        } else {
            destination = isHigh(in, 0) ? value(in, 0, T0) : register(in, 0);
        }
        int opcode = wide ? fastOpcode(operation, size == 8, constant) : -1;
        if (operation == CMP && size == 1) {
            opcode = constant ? CMP8I : CMP8;
        }
        // Wide registers take the result directly; everything else goes through T0.
        int result = toMemory || !wide ? T0 : destination;
        if (opcode >= 0 && constant) {
            emit(opcode, result, destination, 0, 0, 0, in.immediate);
        } else {
            int other = toMemory && !constant && !isHigh(in, 1) ? register(in, 1) : value(in, 1, T1);
            if (opcode >= 0) {
                emit(opcode, result, destination, other);
            } else {
                emit(ALU, result, destination, other, 0, operation | log2(size) << 4, 0);
            }
        }
        if (operation != CMP && result == T0) {
            writeBack(in, T0);
        }
        return true;
    }

    private static int fastOpcode(int operation, boolean quad, boolean constant) {
        int base = switch (operation) {
            case ADD -> ADD64;
            case SUB -> SUB64;
            case AND -> AND64;
            case OR -> OR64;
            case XOR -> XOR64;
            case CMP -> CMP64;
            case ADC -> quad && !constant ? ADC64 : -1;
            default -> quad && !constant ? SBB64 : -1;
        };
        if (base < 0 || base == ADC64 || base == SBB64) {
            return base;
        }
        return base + (quad ? 0 : 1) + (constant ? 2 : 0);
    }

    private boolean test(Instruction in) {
        int size = size(in, 0);
        boolean constant = in.form.operand(1).kind() == Operand.Kind.IMMEDIATE;
        int left = value(in, 0, T0);
        int base = size == 1
                ? (constant ? TEST8I : TEST8)
                : size == 2 ? -1 : TEST64 + (size == 8 ? 0 : 1) + (constant ? 2 : 0);
        if (constant && base >= 0) {
            emit(base, 0, left, 0, 0, 0, in.immediate);
            return true;
        }
        int right = value(in, 1, T1);
        if (base >= 0) {
            emit(base, 0, left, right);
        } else {
            emit(ALU, T0, left, right, 0, AND | log2(size) << 4, 0);
        }
        return true;
    }

    private boolean unary(Instruction in, int operation, int quad, int dword) {
        int size = size(in, 0);
        int source;
        if (in.memory) {
            address(in, size, true);
            memory(LOAD_FOR_STORE, T0, size);
            source = T0;
        } else {
            source = value(in, 0, T0);
        }
        int opcode = size == 8 ? quad : size == 4 ? dword : 0;
        int result = in.memory || size < 4 ? T0 : source;
        if (opcode != 0) {
            emit(opcode, result, source, 0);
        } else {
            emit(UNARY, result, source, 0, 0, operation | log2(size) << 4, 0);
        }
        if (result == T0) {
            writeBack(in, T0);
        }
        return true;
    }

    private boolean shift(Instruction in, int operation, int quad, int dword) {
        int size = size(in, 0);
        Operand amount = in.form.operand(1);
        boolean constant = amount.kind() == Operand.Kind.IMMEDIATE;
        int count = amount == Operand.ONE ? 1 : (int) in.immediate & (size == 8 ? 63 : 31);
        int source;
        if (in.memory) {
            address(in, size, true);
            memory(LOAD_FOR_STORE, T0, size);
            source = T0;
        } else {
            source = value(in, 0, T0);
        }
        int result = in.memory || size < 4 ? T0 : source;
        int opcode = size == 8 ? quad : size == 4 ? dword : 0;
        if (constant && opcode != 0 && count != 0) {
            emit(opcode, result, source, 0, 0, count, 0);
        } else {
            int slot = RCX;
            if (constant) {
                immediate(T1, count);
                slot = T1;
            }
            emit(SHIFT, result, source, slot, 0, operation | log2(size) << 4, 0);
        }
        if (result == T0) {
            writeBack(in, T0);
        }
        return true;
    }

    private boolean multiply(Instruction in) {
        int size = size(in, 0);
        if (size < 4) {
            return false;
        }
        int last = in.form.operandCount() - 1;
        int a = last == 2 ? value(in, 1, T0) : in.reg;
        int b = value(in, last, T1);
        emit(size == 8 ? IMUL64 : IMUL32, in.reg, a, b);
        return true;
    }

    private boolean move(Instruction in) {
        int size = size(in, 0);
        Operand source = in.form.operand(1);
        if (isMemory(in, 0)) {
            int slot = value(in, 1, T1);
            address(in, size, true);
            memory(store(size), slot, 0);
            return true;
        }
        int register = register(in, 0);
        if (isMemory(in, 1)) {
            address(in, size, false);
            if (size >= 4) {
                memory(load(size), register, 0);
            } else {
                memory(load(size), T0, 0);
                write(in, 0, T0);
            }
            return true;
        }
        if (source.kind() == Operand.Kind.IMMEDIATE && size >= 4) {
            immediate(register, size == 4 ? in.immediate & 0xffffffffL : in.immediate);
            return true;
        }
        write(in, 0, value(in, 1, T1));
        return true;
    }

    private boolean extend(Instruction in, boolean signed) {
        int to = size(in, 0);
        int from = size(in, 1);
        if (from >= to || from == 4 && to != 8) {
            return false;
        }
        int d = to == 2 ? T0 : in.reg;
        boolean memory = isMemory(in, 1);
        int opcode;
        if (signed) {
            boolean quad = to == 8 || to == 2;
            opcode = switch (from) {
                case 1 -> memory ? (quad ? LOAD_SX8_64 : LOAD_SX8_32) : quad ? SX8_64 : SX8_32;
                case 2 -> memory ? (quad ? LOAD_SX16_64 : LOAD_SX16_32) : quad ? SX16_64 : SX16_32;
                default -> memory ? LOAD_SX32_64 : SX32_64;
            };
        } else {
            opcode = memory ? load(from) : from == 1 ? ZX8 : ZX16;
        }
        if (memory) {
            address(in, from, false);
            memory(opcode, d, 0);
        } else {
            emit(opcode, d, value(in, 1, T1), 0);
        }
        if (to == 2) {
            emit(MERGE16, in.reg, T0, 0);
        }
        return true;
    }

    private boolean lea(Instruction in) {
        int size = size(in, 0);
        if (size == 2 || in.addressSize == 2) {
            return false;
        }
        effectiveAddress(in);
        boolean full = size == 8 && in.addressSize == 8;
        emit(full ? LEA64 : LEA32, in.reg, addressA, addressB, addressScale, 0, addressDisplacement);
        return true;
    }

    private boolean exchange(Instruction in) {
        int size = size(in, 0);
        if (in.memory || size < 4) {
            return false;
        }
        int a = register(in, 0);
        int b = register(in, 1);
        int opcode = size == 8 ? MOV64 : MOV32;
        emit(opcode, T0, a, 0);
        emit(opcode, a, b, 0);
        emit(opcode, b, T0, 0);
        return true;
    }

    private boolean push(Instruction in) {
        if (!long64 || in.operandSize != 8 || in.form.operand(0).kind() == Operand.Kind.SEGMENT) {
            return false;
        }
        emit(PUSH64, 0, value(in, 0, T0), 0);
        return true;
    }

    private boolean branch(Instruction in) {
        boolean relative = in.form.operandCount() > 0 && in.form.operand(0).kind() == Operand.Kind.RELATIVE;
        int natural = long64 ? 8 : (mode & Cpu.MODE_SIZE) == Cpu.MODE_32 ? 4 : 2;
        if (in.operandSize != natural || (mode & Cpu.MODE_LIMITED) != 0) {
            return false;
        }
        switch (in.form.operation()) {
            case JCC -> end(JCC + (in.opcode & 15), 0, in);
            case JMP -> {
                if (relative) {
                    end(JUMP, 0, in);
                } else if (long64) {
                    end(JUMP_INDIRECT, value(in, 0, T0), in);
                } else {
                    return false;
                }
            }
            case CALL -> {
                if (!long64) {
                    return false;
                }
                if (relative) {
                    end(CALL64, 0, in);
                } else {
                    end(CALL64_INDIRECT, value(in, 0, T0), in);
                }
            }
            default -> {
                if (!long64) {
                    return false;
                }
                emit(RET64, 0, 0, 0, 0, 0, in.form.operandCount() == 0 ? 0 : in.immediate & 0xffff);
                open = false;
            }
        }
        return true;
    }

    private void end(int opcode, int slot, Instruction in) {
        emit(opcode, 0, slot, 0);
        target = offset + in.length + in.immediate;
        open = false;
    }
}
