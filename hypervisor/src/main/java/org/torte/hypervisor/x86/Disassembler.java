package org.torte.hypervisor.x86;

import java.util.Locale;

/** Writes instructions in Intel's syntax, in the spelling of GNU objdump, all lower case. For people: not fast. */
public final class Disassembler {
    private static final String[] CONDITIONS = {
        "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"
    };
    private static final String[] LEGACY = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    private static final String[] BYTES = {"al", "cl", "dl", "bl", "ah", "ch", "dh", "bh"};
    private static final String[] SEGMENTS = {"es", "cs", "ss", "ds", "fs", "gs", "?", "?"};

    private final Instruction instruction;
    private final int mode;
    private final long next;
    private final StringBuilder out = new StringBuilder();

    private Disassembler(Instruction instruction, int mode, long address) {
        this.instruction = instruction;
        this.mode = mode;
        this.next = address + instruction.length;
    }

    /**
     * The text of a decoded instruction.
     *
     * @param mode the code segment's size with which it was decoded: 16, 32 or 64
     * @param address where it starts, from which branch targets are computed
     */
    public static String text(Instruction instruction, int mode, long address) {
        return new Disassembler(instruction, mode, address).text();
    }

    private String text() {
        Form form = instruction.form;
        if (form.operation() == Operation.INVALID) {
            return "(bad)";
        }
        if (instruction.lock) {
            out.append("lock ");
        }
        if (form.isRepeatable() && instruction.repeat != 0) {
            boolean compares = form.operation() == Operation.CMPS || form.operation() == Operation.SCAS;
            out.append(instruction.repeat == 0xF2 ? "repnz " : compares ? "repz " : "rep ");
        }
        out.append(mnemonic());
        String separator = " ";
        for (int i = 0; i < form.operandCount(); i++) {
            Operand operand = form.operand(i);
            if (i == 0 && implied()) {
                continue;
            }
            out.append(separator);
            separator = ",";
            operand(operand);
        }
        if (form.operation() == Operation.XLAT) {
            out.append(" byte ptr ").append(segment(instruction.segment)).append(":[");
            out.append(gpr(3, instruction.addressSize)).append(']');
        }
        return out.toString();
    }

    /** Whether assemblers leave the first operand out. */
    private boolean implied() {
        return switch (instruction.form.operation()) {
            case LOAD_FAR -> true;
            case NOP -> endbr();
            case FCOM, FCOMP -> operandIs(0, Operand.ST0);
            default -> false;
        };
    }

    private String mnemonic() {
        Form form = instruction.form;
        Operation operation = form.operation();
        int size = instruction.operandSize;
        String name = operation.name().toLowerCase(Locale.ROOT);
        return switch (operation) {
            case JCC -> "j" + CONDITIONS[instruction.opcode & 15];
            case SETCC -> "set" + CONDITIONS[instruction.opcode & 15];
            case CMOVCC -> "cmov" + CONDITIONS[instruction.opcode & 15];
            case IMUL1 -> "imul";
            case CONVERT_A -> bySize("cbw", "cwde", "cdqe");
            case CONVERT_D -> bySize("cwd", "cdq", "cqo");
            case MOV -> movesAbsolute() ? "movabs" : "mov";
            case MOV_TO_SREG, MOV_FROM_SREG, MOV_TO_CR, MOV_FROM_CR, MOV_TO_DR, MOV_FROM_DR -> "mov";
            case LOAD_FAR -> "l" + segment(form.operand(0).register());
            case JMP_FAR -> "jmp";
            case CALL_FAR -> "call";
            case RET_FAR -> "retf";
            case IRET -> bySize("iret", mode == 16 ? "iretd" : "iret", "iretq");
            case JRCXZ ->
                switch (instruction.addressSize) {
                    case 2 -> "jcxz";
                    case 4 -> "jecxz";
                    default -> "jrcxz";
                };
            case XLAT -> "xlat";
            case CMPXCHG8B -> size == 8 ? "cmpxchg16b" : name;
            case XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, FXSAVE, FXRSTOR -> size == 8 ? name + "64" : name;
            case SYSRET, SYSEXIT -> size == 8 ? name + "q" : mode == 64 ? name + "d" : name;
            case MOVD, PINSRD, PEXTRD -> size == 8 ? name.substring(0, name.length() - 1) + "q" : name;
            case MOVSD_SSE -> "movsd";
            case CMPSD_SSE -> "cmpsd";
            case PREFETCH -> prefetch();
            case NOP -> endbr() ? (instruction.rm == 2 ? "endbr64" : "endbr32") : "nop";
            case SALC -> "salc";
            default -> name;
        };
    }

    /** Eight bytes of immediate or address. */
    private boolean movesAbsolute() {
        return instruction.operandSize == 8 && operandIs(1, Operand.IV)
                || instruction.addressSize == 8
                        && (operandIs(0, Operand.OB, Operand.OV) || operandIs(1, Operand.OB, Operand.OV));
    }

    private boolean endbr() {
        return instruction.opcode == 0x1E
                && instruction.repeat == 0xF3
                && !instruction.memory
                && (instruction.reg & 7) == 7
                && (instruction.rm == 2 || instruction.rm == 3);
    }

    private String prefetch() {
        if (instruction.opcode == 0x0D) {
            return switch (instruction.reg & 7) {
                case 1 -> "prefetchw";
                case 2 -> "prefetchwt1";
                default -> "prefetch";
            };
        }
        int hint = instruction.reg & 7;
        return hint == 0 ? "prefetchnta" : "prefetcht" + (hint - 1);
    }

    private String bySize(String two, String four, String eight) {
        return switch (instruction.operandSize) {
            case 2 -> two;
            case 4 -> four;
            default -> eight;
        };
    }

    private boolean operandIs(int number, Operand... candidates) {
        if (number < instruction.form.operandCount()) {
            for (Operand candidate : candidates) {
                if (instruction.form.operand(number) == candidate) {
                    return true;
                }
            }
        }
        return false;
    }

    private void operand(Operand operand) {
        switch (operand.place()) {
            case REG -> register(operand, instruction.reg);
            case RM_REGISTER, OPCODE -> register(operand, instruction.rm);
            case RM, RM_MEMORY -> {
                if (instruction.memory) {
                    memory(operand);
                } else {
                    register(operand, instruction.rm);
                }
            }
            case VVVV -> register(operand, instruction.vvvv);
            case FIXED -> {
                if (operand == Operand.ONE) {
                    out.append('1');
                } else {
                    register(operand, operand.register());
                }
            }
            case IMMEDIATE -> immediate(operand);
            case OFFSET -> {
                if (mode != 64 || instruction.segment >= 4 || instruction.addressSize == 4) {
                    out.append(segment(instruction.segment)).append(':');
                } else {
                    out.append("ds:");
                }
                hex(instruction.displacement);
            }
            case STRING_SOURCE -> string(operand, segment(instruction.segment), 6);
            case STRING_DESTINATION -> string(operand, "es", 7);
        }
    }

    private void string(Operand operand, String segment, int register) {
        out.append(pointer(operand.size(instruction))).append(segment).append(":[");
        out.append(gpr(register, instruction.addressSize)).append(']');
    }

    private void register(Operand operand, int number) {
        out.append(
                switch (operand.kind()) {
                    case GPR -> gpr(number, registerSize(operand));
                    case SEGMENT -> segment(number);
                    case CONTROL -> "cr" + number;
                    case DEBUG -> "dr" + number;
                    case X87 -> operand == Operand.ST0 ? "st" : "st(" + number + ")";
                    case MMX -> "mm" + number;
                    case XMM -> "xmm" + number;
                    case MEMORY, IMMEDIATE, RELATIVE, FAR_POINTER -> throw new AssertionError(operand);
                });
    }

    /** Selectors are written in registers of operand size. */
    private int registerSize(Operand operand) {
        return switch (instruction.form.operation()) {
            case MOV_TO_SREG, LAR, LSL -> instruction.operandSize;
            default -> operand.size(instruction);
        };
    }

    private String gpr(int number, int size) {
        if (number >= 8) {
            return "r" + number
                    + switch (size) {
                        case 1 -> "b";
                        case 2 -> "w";
                        case 4 -> "d";
                        default -> "";
                    };
        }
        return switch (size) {
            case 1 -> number < 4 || !instruction.rex ? BYTES[number] : LEGACY[number] + "l";
            case 2 -> LEGACY[number];
            case 4 -> "e" + LEGACY[number];
            default -> "r" + LEGACY[number];
        };
    }

    private static String segment(int number) {
        return SEGMENTS[number];
    }

    private static String pointer(int size) {
        return switch (size) {
            case 1 -> "byte ptr ";
            case 2 -> "word ptr ";
            case 4 -> "dword ptr ";
            case 6 -> "fword ptr ";
            case 8 -> "qword ptr ";
            case 10 -> "tbyte ptr ";
            case 16 -> "xmmword ptr ";
            default -> "";
        };
    }

    private void memory(Operand operand) {
        out.append(operand == Operand.MS ? "" : pointer(memorySize(operand)));
        int base = instruction.base;
        int index = instruction.index;
        int segment = instruction.segment;
        boolean bare = base == Instruction.NONE && index == Instruction.NONE;
        int usual = base == 4 || base == 5 ? 2 : 3;
        if (segment != usual || bare) {
            out.append(segment(segment)).append(':');
        }
        if (bare) {
            hex(instruction.displacement & mask(instruction.addressSize));
            return;
        }
        out.append('[');
        String plus = "";
        if (base == Instruction.RIP) {
            out.append(instruction.addressSize == 8 ? "rip" : "eip");
            plus = "+";
        } else if (base != Instruction.NONE) {
            out.append(gpr(base, instruction.addressSize));
            plus = "+";
        }
        if (index != Instruction.NONE) {
            out.append(plus).append(gpr(index, instruction.addressSize));
            if (instruction.addressSize != 2) {
                out.append('*').append(1 << instruction.scale);
            }
        }
        long displacement = instruction.displacement;
        if (base == Instruction.RIP) {
            out.append('+');
            hex(displacement);
        } else if (displacement != 0) {
            out.append(displacement < 0 ? '-' : '+');
            hex(Math.abs(displacement));
        }
        out.append(']');
    }

    private int memorySize(Operand operand) {
        return switch (instruction.form.operation()) {
            case CMPXCHG8B -> instruction.operandSize == 8 ? 16 : 8;
            case INVLPG -> 1;
            default -> operand.size(instruction);
        };
    }

    private void immediate(Operand operand) {
        switch (operand.kind()) {
            case RELATIVE -> {
                long target = next + instruction.immediate;
                int size = mode == 64 ? 8 : instruction.operandSize;
                hex(target & mask(size));
            }
            case FAR_POINTER -> {
                hex(instruction.immediate2);
                out.append(':');
                hex(instruction.immediate);
            }
            default -> {
                boolean second = operand == Operand.IB && instruction.form.operation() == Operation.ENTER;
                long value = second ? instruction.immediate2 : instruction.immediate;
                hex(value & mask(operand.size(instruction)));
            }
        }
    }

    private static long mask(int size) {
        return size == 8 ? -1 : (1L << 8 * size) - 1;
    }

    private void hex(long value) {
        out.append("0x").append(Long.toHexString(value));
    }
}
