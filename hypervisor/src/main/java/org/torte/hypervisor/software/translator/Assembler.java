package org.torte.hypervisor.software.translator;

import java.util.Arrays;

/**
 * Writes x86-64 machine code into a growing buffer whose place in the code memory is known from the start. Registers are
 * host registers by number; an opcode is its bytes as one number, with the escape bytes (0F, 0F38, 0F3A) in front; a
 * mandatory prefix and REX.W are given apart (Intel SDM vol. 2, chapter 2). Used by one thread.
 */
final class Assembler {
    static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
    static final int R8 = 8, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15;

    /** No index register. */
    static final int NONE = -1;

    /** Condition codes of Jcc. */
    static final int OVERFLOW = 0,
            BELOW = 2,
            ABOVE_EQUAL = 3,
            EQUAL = 4,
            NOT_EQUAL = 5,
            BELOW_EQUAL = 6,
            ABOVE = 7,
            SIGN = 8,
            LESS = 12;

    private static final int FORCE_REX = 0x40;

    private byte[] code = new byte[4096];
    private int length;
    private int origin;

    /** Begins anew at this offset in the code memory. */
    void begin(int offset) {
        origin = offset;
        length = 0;
    }

    /** Where the next byte goes, as an offset in the code memory. */
    int position() {
        return origin + length;
    }

    int length() {
        return length;
    }

    byte[] bytes() {
        return Arrays.copyOf(code, length);
    }

    /** Puts the code where it belongs. */
    void writeTo(CodeMemory memory) {
        memory.write(origin, code, length);
    }

    // ---- bytes

    void bytes(int... values) {
        for (int value : values) {
            one(value);
        }
    }

    void bytes(int first, int second) {
        one(first);
        one(second);
    }

    void one(int value) {
        int at = length;
        if (at == code.length) {
            grow();
        }
        code[at] = (byte) value;
        length = at + 1;
    }

    void four(int value) {
        int at = length;
        if (at + 4 > code.length) {
            grow();
        }
        byte[] to = code;
        to[at] = (byte) value;
        to[at + 1] = (byte) (value >> 8);
        to[at + 2] = (byte) (value >> 16);
        to[at + 3] = (byte) (value >> 24);
        length = at + 4;
    }

    private void grow() {
        code = Arrays.copyOf(code, 2 * code.length);
    }

    void eight(long value) {
        four((int) value);
        four((int) (value >>> 32));
    }

    void copy(byte[] from, int start, int count) {
        for (int i = 0; i < count; i++) {
            one(from[start + i]);
        }
    }

    /** Pads with NOPs until the position plus {@code ahead} is a multiple of a power of two. */
    void align(int alignment, int ahead) {
        pad(-(position() + ahead) & alignment - 1);
    }

    /**
     * Pads with NOPs until the four bytes that begin {@code ahead} of the position lie within eight aligned ones, which can be
     * written at once; {@code first} is the least place in those that they may have.
     */
    void alignWithin8(int ahead, int first) {
        int at = position() + ahead & 7;
        pad(at >= first && at <= 4 ? 0 : first - at & 7);
    }

    private void pad(int bytes) {
        int missing = bytes;
        while (missing > 0) {
            int n = Math.min(missing, 8);
            switch (n) {
                case 1 -> one(0x90);
                case 2 -> bytes(0x66, 0x90);
                case 3 -> bytes(0x0f, 0x1f, 0x00);
                case 4 -> bytes(0x0f, 0x1f, 0x40, 0);
                case 5 -> nop5();
                case 6 -> bytes(0x66, 0x0f, 0x1f, 0x44, 0, 0);
                case 7 -> bytes(0x0f, 0x1f, 0x80, 0, 0, 0, 0);
                default -> bytes(0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0);
            }
            missing -= n;
        }
    }

    void nop5() {
        bytes(0x0f, 0x1f, 0x44, 0, 0);
    }

    /** Writes over four bytes at a position that was given before. */
    void patch(int position, int value) {
        int at = position - origin;
        for (int i = 0; i < 4; i++) {
            code[at + i] = (byte) (value >> 8 * i);
        }
    }

    // ---- the encoding of operands

    private void opcode(int opcode) {
        if (opcode > 0xffff) {
            one(opcode >> 16);
        }
        if (opcode > 0xff) {
            one(opcode >> 8);
        }
        one(opcode);
    }

    private void prefixes(int prefix, boolean w, boolean rex, int reg, int index, int base) {
        if (prefix != 0) {
            one(prefix);
        }
        int bits = (w ? 8 : 0) | reg >> 3 << 2 | index >> 3 << 1 | base >> 3;
        if (bits != 0 || rex) {
            one(FORCE_REX | bits);
        }
    }

    /** An instruction with a register in ModRM.rm; {@code rex} demands a REX prefix even if it says nothing. */
    void registers(int prefix, boolean w, boolean rex, int opcode, int reg, int rm) {
        prefixes(prefix, w, rex, reg, 0, rm);
        opcode(opcode);
        one(0xc0 | (reg & 7) << 3 | rm & 7);
    }

    /** An instruction with memory in ModRM.rm. */
    void memory(
            int prefix, boolean w, boolean rex, int opcode, int reg, int base, int index, int scale, int displacement) {
        prefixes(prefix, w, rex, reg, index == NONE ? 0 : index, base == NONE ? 0 : base);
        opcode(opcode);
        int r = (reg & 7) << 3;
        if (base == NONE) {
            bytes(r | 4, scale << 6 | (index == NONE ? 4 : index & 7) << 3 | 5);
            four(displacement);
            return;
        }
        int mod = displacement == 0 && (base & 7) != 5 ? 0 : displacement == (byte) displacement ? 0x40 : 0x80;
        if (index != NONE || (base & 7) == 4) {
            bytes(mod | r | 4, scale << 6 | (index == NONE ? 4 : index & 7) << 3 | base & 7);
        } else {
            one(mod | r | base & 7);
        }
        if (mod == 0x40) {
            one(displacement);
        } else if (mod == 0x80) {
            four(displacement);
        }
    }

    // ---- the instructions that the translator adds to the guest's own

    /** MOV r64, r64. */
    void move(int to, int from) {
        registers(0, true, false, 0x8b, to, from);
    }

    /** MOV r32, r32: zero-extends. */
    void move32(int to, int from) {
        registers(0, false, false, 0x8b, to, from);
    }

    /** MOV r64 from [base + displacement]. */
    void load(int to, int base, int displacement) {
        memory(0, true, false, 0x8b, to, base, NONE, 0, displacement);
    }

    /** MOV [base + displacement] from r64. */
    void store(int base, int displacement, int from) {
        memory(0, true, false, 0x89, from, base, NONE, 0, displacement);
    }

    /** LEA r64. */
    void address(int to, int base, int index, int scale, int displacement) {
        memory(0, true, false, 0x8d, to, base, index, scale, displacement);
    }

    /** The shortest move of a constant that leaves the flags alone. */
    void constant(int to, long value) {
        if (value >>> 32 == 0) {
            prefixes(0, false, false, 0, 0, to);
            one(0xb8 | to & 7);
            four((int) value);
        } else if (value == (int) value) {
            prefixes(0, true, false, 0, 0, to);
            bytes(0xc7, 0xc0 | to & 7);
            four((int) value);
        } else {
            prefixes(0, true, false, 0, 0, to);
            one(0xb8 | to & 7);
            eight(value);
        }
    }

    /** One of the eight classic operations (ModRM.reg of opcode 81) with a 32-bit constant. */
    void immediate(int operation, boolean w, int register, int value) {
        if (value == (byte) value) {
            registers(0, w, false, 0x83, operation, register);
            one(value);
        } else {
            registers(0, w, false, 0x81, operation, register);
            four(value);
        }
    }

    /** The same on eight bytes of memory. */
    void immediateMemory(int operation, int base, int displacement, int value) {
        boolean small = value == (byte) value;
        memory(0, true, false, small ? 0x83 : 0x81, operation, base, NONE, 0, displacement);
        if (small) {
            one(value);
        } else {
            four(value);
        }
    }

    /** The same on four bytes of memory. */
    void immediateMemory32(int operation, int base, int displacement, int value) {
        memory(0, false, false, 0x81, operation, base, NONE, 0, displacement);
        four(value);
    }

    /** SHL (4), SHR (5) or SAR (7) by a constant. */
    void shift(int operation, boolean w, int register, int count) {
        registers(0, w, false, 0xc1, operation, register);
        one(count);
    }

    /** TEST r64, imm32 sign-extended. */
    void test(int register, int value) {
        registers(0, true, false, 0xf7, 0, register);
        four(value);
    }

    /** Jcc to a place not yet known; returns the position of its displacement. */
    int jumpIf(int condition) {
        bytes(0x0f, 0x80 | condition);
        four(0);
        return position() - 4;
    }

    /** JMP to a place not yet known; returns the position of its displacement. */
    int jump() {
        one(0xe9);
        four(0);
        return position() - 4;
    }

    /** JMP to an offset in the code memory. */
    void jump(int target) {
        one(0xe9);
        four(target - position() - 4);
    }

    /** CALL of an offset in the code memory. */
    void call(int target) {
        one(0xe8);
        four(target - position() - 4);
    }

    /** JMP [base + index + displacement]. */
    void jumpMemory(int base, int index, int displacement) {
        memory(0, false, false, 0xff, 4, base, index, 0, displacement);
    }
}
