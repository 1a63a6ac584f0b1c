package org.torte.hypervisor.x86;

/**
 * Decodes single instructions by the instruction table (Intel SDM vol. 2, chapter 2). Stateless and allocation-free, for
 * use by any thread.
 *
 * <p>Where processors differ, it follows Intel's: 66 does not change near branches in 64-bit mode, LOCK MOV CR0 is not
 * MOV CR8. VEX is decoded for the BMI instructions only; EVEX, XOP and 3DNow! are undefined. Numbers of control and debug
 * registers are not checked, nor is the CPUID feature.
 */
public final class Decoder {
    /** What {@link #decode} returns for more than 15 bytes: #GP(0). */
    public static final int TOO_LONG = 0;

    private static final int MAX_LENGTH = 15;

    // Classes of first bytes; 0 is any opcode that needs no special treatment.
    private static final byte SEGMENT = 1;
    private static final byte OPERAND_SIZE = 2;
    private static final byte ADDRESS_SIZE = 3;
    private static final byte LOCK = 4;
    private static final byte REPEAT = 5;
    private static final byte REX = 6;
    private static final byte ESCAPE = 7;
    private static final byte VEX = 8;
    private static final byte[] FIRST_BYTES = firstBytes();

    /** XCHG r8, rAX: the only encoding of 90 with REX.B. */
    private static final Form XCHG_R8 = Form.of(
            InstructionTable.ROOT[
                    InstructionTable.rootIndex(
                            InstructionTable.MAP_ONE_BYTE, 0x91, InstructionTable.PREFIX_NONE, true)]);

    private Decoder() {}

    private static byte[] firstBytes() {
        byte[] classes = new byte[256];
        for (int b : new int[] {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65}) {
            classes[b] = SEGMENT;
        }
        classes[0x66] = OPERAND_SIZE;
        classes[0x67] = ADDRESS_SIZE;
        classes[0xF0] = LOCK;
        classes[0xF2] = REPEAT;
        classes[0xF3] = REPEAT;
        classes[0x0F] = ESCAPE;
        classes[0xC4] = VEX;
        classes[0xC5] = VEX;
        for (int b = 0x40; b < 0x50; b++) {
            classes[b] = REX;
        }
        return classes;
    }

    /**
     * Decodes the instruction at {@code source}.
     *
     * @param mode the code segment's size: 16, 32 or 64 bits
     * @param out overwritten completely; for undefined instructions its form is {@link Form#INVALID} and its length the
     *     number of bytes that had to be read to know
     * @return the length in bytes, or {@link #TOO_LONG}
     * @throws RuntimeException whatever {@code source} throws
     */
    public static int decode(CodeSource source, int mode, Instruction out) {
        out.form = Form.INVALID;
        out.length = 0;
        prefixes(source, mode, out);
        if (out.length > MAX_LENGTH) {
            out.form = Form.INVALID;
            return TOO_LONG;
        }
        return out.length;
    }

    /** The next byte; 0 for those after the fifteenth, which must not be fetched. */
    private static int next(CodeSource source, Instruction out) {
        int offset = out.length;
        if (offset >= MAX_LENGTH) {
            out.length = MAX_LENGTH + 1;
            return 0;
        }
        out.length = offset + 1;
        return source.fetch(offset);
    }

    private static int word(CodeSource source, Instruction out) {
        int low = next(source, out);
        return low | next(source, out) << 8;
    }

    private static int dword(CodeSource source, Instruction out) {
        int low = word(source, out);
        return low | word(source, out) << 16;
    }

    private static void prefixes(CodeSource source, int mode, Instruction out) {
        boolean mode64 = mode == 64;
        int segment = Instruction.NO_SEGMENT;
        int rex = 0;
        int repeat = 0;
        boolean operandSize = false;
        boolean addressSize = false;
        boolean lock = false;
        int map = InstructionTable.MAP_ONE_BYTE;
        int opcode;
        scan:
        while (true) {
            opcode = next(source, out);
            switch (FIRST_BYTES[opcode]) {
                case SEGMENT -> {
                    int number = opcode >= 0x64 ? opcode - 0x60 : opcode >> 3 & 3;
                    if (!mode64 || number >= 4) {
                        segment = number;
                    }
                }
                case OPERAND_SIZE -> operandSize = true;
                case ADDRESS_SIZE -> addressSize = true;
                case LOCK -> lock = true;
                case REPEAT -> repeat = opcode;
                case REX -> {
                    if (!mode64) {
                        break scan;
                    }
                    rex = opcode;
                    continue;
                }
                case ESCAPE -> {
                    opcode = next(source, out);
                    if (opcode == 0x38) {
                        map = InstructionTable.MAP_0F38;
                        opcode = next(source, out);
                    } else if (opcode == 0x3A) {
                        map = InstructionTable.MAP_0F3A;
                        opcode = next(source, out);
                    } else {
                        map = InstructionTable.MAP_0F;
                    }
                    break scan;
                }
                default -> {
                    break scan;
                }
            }
            rex = 0;
        }

        out.lock = lock;
        out.repeat = repeat;
        out.rex = rex != 0;
        out.segment = segment;
        out.vvvv = 0;
        if (mode == 16) {
            out.operandSize = operandSize ? 4 : 2;
            out.addressSize = addressSize ? 4 : 2;
        } else if (mode64) {
            out.operandSize = (rex & 8) != 0 ? 8 : operandSize ? 2 : 4;
            out.addressSize = addressSize ? 4 : 8;
        } else {
            out.operandSize = operandSize ? 2 : 4;
            out.addressSize = addressSize ? 2 : 4;
        }

        int prefix = repeat == 0
                ? operandSize ? InstructionTable.PREFIX_66 : InstructionTable.PREFIX_NONE
                : repeat == 0xF3 ? InstructionTable.PREFIX_F3 : InstructionTable.PREFIX_F2;
        int modrm = -1;
        if (map == InstructionTable.MAP_ONE_BYTE && FIRST_BYTES[opcode] == VEX) {
            modrm = next(source, out);
            if (mode64 || modrm >= 0xC0) {
                if (lock || rex != 0 || prefix != InstructionTable.PREFIX_NONE) {
                    invalid(out);
                    return;
                }
                vex(source, mode64, opcode == 0xC4, modrm, out);
                return;
            }
        }
        int entry = InstructionTable.ROOT[InstructionTable.rootIndex(map, opcode, prefix, mode64)];
        if (opcode == 0x90 && map == InstructionTable.MAP_ONE_BYTE && (rex & 1) != 0) {
            entry = XCHG_R8.index;
        }
        operands(source, mode64, entry, opcode, modrm, rex, operandSize, out);
    }

    /** The two- and three-byte VEX prefixes (SDM vol. 2, 2.3.5), of which {@code first} has already been read. */
    private static void vex(CodeSource source, boolean mode64, boolean threeBytes, int first, Instruction out) {
        int second = threeBytes ? next(source, out) : first & 0x7F;
        int map = threeBytes ? first & 0x1F : InstructionTable.MAP_0F;
        int opcode = next(source, out);
        if (map != InstructionTable.MAP_0F38 && map != InstructionTable.MAP_0F3A || (second & 4) != 0) {
            invalid(out);
            return;
        }
        int rex = ~first >> 5 & 7 | second >> 4 & 8;
        if (!mode64) {
            rex = 0;
        }
        out.operandSize = (rex & 8) != 0 ? 8 : 4;
        out.vvvv = ~second >> 3 & (mode64 ? 15 : 7);
        int vexMap = map + InstructionTable.MAP_VEX_0F38 - InstructionTable.MAP_0F38;
        // VEX.pp counts 66, F3, F2 as the table does.
        int entry = InstructionTable.ROOT[InstructionTable.rootIndex(vexMap, opcode, second & 3, mode64)];
        operands(source, mode64, entry, opcode, -1, rex, false, out);
        if (!out.form.usesVvvv && (second & 0x78) != 0x78) {
            invalid(out);
        }
    }

    private static void invalid(Instruction out) {
        out.form = Form.INVALID;
    }

    /** Everything after the opcode. {@code modrm} is that byte if it has already been read, otherwise -1. */
    private static void operands(
            CodeSource source,
            boolean mode64,
            int entry,
            int opcode,
            int modrm,
            int rex,
            boolean prefix66,
            Instruction out) {
        out.opcode = opcode;
        out.memory = false;
        out.modrm = 0;
        out.reg = 0;
        out.rm = opcode & 7 | (rex & 1) << 3;
        out.base = Instruction.NONE;
        out.index = Instruction.NONE;
        out.scale = 0;
        out.displacement = 0;
        out.immediate = 0;
        out.immediate2 = 0;
        int number = entry;
        if (number < 0) {
            if (modrm < 0) {
                modrm = next(source, out);
            }
            number = InstructionTable.GROUPS[~number + (modrm >= 0xC0 ? 8 : 0) + (modrm >> 3 & 7)];
            if (number < 0) {
                number = InstructionTable.GROUPS[~number + (modrm & 7)];
            }
        }
        Form form = InstructionTable.FORMS[number];
        if (number == 0) {
            return;
        }
        switch (form.sizeRule) {
            case Form.SIZE_F64 -> {
                if (mode64) {
                    out.operandSize = 8;
                }
            }
            case Form.SIZE_D64 -> {
                if (mode64 && out.operandSize == 4) {
                    out.operandSize = 8;
                }
            }
            default -> {
                if (form.mandatory66 && prefix66 && out.operandSize == 2) {
                    out.operandSize = 4;
                }
            }
        }
        if (form.atLeastDword && out.operandSize == 2) {
            out.operandSize = 4;
        }
        if (form.modrm) {
            if (modrm < 0) {
                modrm = next(source, out);
            }
            out.modrm = modrm;
            out.reg = modrm >> 3 & 7 | (form.reg8 ? 0 : (rex & 4) << 1);
            if (modrm >= 0xC0 || form.anyMod) {
                out.rm = modrm & 7 | (form.rm8 ? 0 : (rex & 1) << 3);
                dropSegment(form, out);
            } else {
                out.memory = true;
                if (out.addressSize == 2) {
                    address16(source, modrm, out);
                } else {
                    address(source, mode64, modrm, rex, out);
                }
            }
        } else if (form.immediateRule != Form.IMM_OFFSET) {
            dropSegment(form, out);
        }
        immediate(source, form, out);
        if (!out.lock || form.lock && out.memory) {
            out.form = form;
        }
    }

    /** A segment override without a memory operand in ModRM: ignored unless there is an implicit one. */
    private static void dropSegment(Form form, Instruction out) {
        if (!form.implicitData) {
            out.segment = Instruction.NO_SEGMENT;
        } else if (out.segment == Instruction.NO_SEGMENT) {
            out.segment = 3;
        }
    }

    /** ModRM with 16-bit addresses (SDM vol. 2, table 2-1). */
    private static void address16(CodeSource source, int modrm, Instruction out) {
        int mod = modrm >> 6;
        int rm = modrm & 7;
        switch (rm) {
            case 0, 1 -> {
                out.base = 3;
                out.index = 6 + rm;
            }
            case 2, 3 -> {
                out.base = 5;
                out.index = 4 + rm;
            }
            case 4 -> out.base = 6;
            case 5 -> out.base = 7;
            case 6 -> out.base = mod == 0 ? Instruction.NONE : 5;
            default -> out.base = 3;
        }
        if (mod == 1) {
            out.displacement = (byte) next(source, out);
        } else if (mod == 2 || out.base == Instruction.NONE) {
            out.displacement = (short) word(source, out);
        }
        if (out.segment == Instruction.NO_SEGMENT) {
            out.segment = out.base == 5 ? 2 : 3;
        }
    }

    /** ModRM and SIB with 32-bit and 64-bit addresses (SDM vol. 2, tables 2-2 and 2-3, 2.2.1). */
    private static void address(CodeSource source, boolean mode64, int modrm, int rex, Instruction out) {
        int mod = modrm >> 6;
        int rm = modrm & 7;
        boolean noBase = false;
        if (rm == 4) {
            int sib = next(source, out);
            int index = sib >> 3 & 7 | (rex & 2) << 2;
            if (index != 4) {
                out.index = index;
                out.scale = sib >> 6;
            }
            noBase = mod == 0 && (sib & 7) == 5;
            if (!noBase) {
                out.base = sib & 7 | (rex & 1) << 3;
            }
        } else if (mod == 0 && rm == 5) {
            noBase = true;
            if (mode64) {
                out.base = Instruction.RIP;
            }
        } else {
            out.base = rm | (rex & 1) << 3;
        }
        if (mod == 1) {
            out.displacement = (byte) next(source, out);
        } else if (mod == 2 || noBase) {
            out.displacement = dword(source, out);
        }
        if (out.segment == Instruction.NO_SEGMENT) {
            out.segment = out.base == 4 || out.base == 5 ? 2 : 3;
        }
    }

    private static void immediate(CodeSource source, Form form, Instruction out) {
        switch (form.immediateRule) {
            case Form.IMM_NONE -> {}
            case Form.IMM_BYTE -> out.immediate = next(source, out);
            case Form.IMM_BYTE_SIGNED -> out.immediate = (byte) next(source, out);
            case Form.IMM_WORD -> out.immediate = word(source, out);
            case Form.IMM_Z -> out.immediate = out.operandSize == 2 ? (short) word(source, out) : dword(source, out);
            case Form.IMM_V -> {
                if (out.operandSize == 8) {
                    long low = dword(source, out) & 0xFFFF_FFFFL;
                    out.immediate = low | (long) dword(source, out) << 32;
                } else {
                    out.immediate = out.operandSize == 2 ? word(source, out) : dword(source, out) & 0xFFFF_FFFFL;
                }
            }
            case Form.IMM_FAR -> {
                out.immediate = out.operandSize == 2 ? word(source, out) : dword(source, out) & 0xFFFF_FFFFL;
                out.immediate2 = word(source, out);
            }
            case Form.IMM_ENTER -> {
                out.immediate = word(source, out);
                out.immediate2 = next(source, out);
            }
            case Form.IMM_OFFSET -> {
                out.displacement = switch (out.addressSize) {
                    case 2 -> word(source, out);
                    case 4 -> dword(source, out) & 0xFFFF_FFFFL;
                    default -> {
                        long low = dword(source, out) & 0xFFFF_FFFFL;
                        yield low | (long) dword(source, out) << 32;
                    }
                };
                out.memory = true;
                if (out.segment == Instruction.NO_SEGMENT) {
                    out.segment = 3;
                }
            }
            default -> throw new AssertionError(form);
        }
    }
}
