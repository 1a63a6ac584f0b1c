package org.torte.hypervisor.software;

/**
 * The micro-operations that blocks consist of. One is a word:
 *
 * <pre>
 *  63            32 31     25 24   23 22  18 17  13 12   8 7       0
 * |    immediate   |  extra  | scale |   b  |   a  |   d  | opcode  |
 * </pre>
 *
 * d, a and b are slots of {@link Cpu#r}. Memory operations access {@code r[a] + (r[b] << scale) + immediate} in linear
 * memory; d is what they load or store. ALU operations compute {@code r[d] = r[a] op r[b]} or {@code r[a] op immediate}.
 * An instruction becomes one to six of them, and everything that can fault comes before everything that changes
 * architectural state.
 */
final class MicroOp {
    /** Leaves the block before this instruction: the code has changed. Zero, and without operands. */
    static final int EXIT = 0;

    // moves
    static final int MOV64 = 1, MOV32 = 2, MOVI = 3, MOVI_WIDE = 4, MERGE8 = 5, MERGE8H = 6, MERGE16 = 7, HIGH8 = 8;
    static final int ZX8 = 9, ZX16 = 10, SX8_32 = 11, SX8_64 = 12, SX16_32 = 13, SX16_64 = 14, SX32_64 = 15;
    static final int LEA64 = 16, LEA32 = 17, LEA16 = 18;

    /** Segment check and base: r[d] = linear address of offset r[a] in segment b, for an access of extra bytes. */
    static final int SEGMENT_READ = 19, SEGMENT_WRITE = 20;

    // memory
    static final int LOAD8 = 21, LOAD16 = 22, LOAD32 = 23, LOAD64 = 24, LOAD_SX8_32 = 25, LOAD_SX8_64 = 26;
    static final int LOAD_SX16_32 = 27, LOAD_SX16_64 = 28, LOAD_SX32_64 = 29;

    /** Like LOAD of extra bytes, but faults as a store would. */
    static final int LOAD_FOR_STORE = 30;

    /** Stores extra bytes where the LOAD_FOR_STORE before it in the same instruction read; cannot fault. */
    static final int STORE_BACK = 37;

    static final int STORE8 = 31, STORE16 = 32, STORE32 = 33, STORE64 = 34;
    static final int PUSH64 = 35, POP64 = 36;

    // ALU, 64 and 32 bits
    static final int ADD64 = 40, ADD32 = 41, ADD64I = 42, ADD32I = 43;
    static final int SUB64 = 44, SUB32 = 45, SUB64I = 46, SUB32I = 47;
    static final int AND64 = 48, AND32 = 49, AND64I = 50, AND32I = 51;
    static final int OR64 = 52, OR32 = 53, OR64I = 54, OR32I = 55;
    static final int XOR64 = 56, XOR32 = 57, XOR64I = 58, XOR32I = 59;
    static final int CMP64 = 60, CMP32 = 61, CMP64I = 62, CMP32I = 63;
    static final int TEST64 = 64, TEST32 = 65, TEST64I = 66, TEST32I = 67;
    static final int ADC64 = 68, SBB64 = 69;
    static final int CMP8 = 70, CMP8I = 71, TEST8 = 72, TEST8I = 73;
    static final int INC64 = 74, INC32 = 75, DEC64 = 76, DEC32 = 77;
    static final int SHL64I = 78, SHL32I = 79, SHR64I = 80, SHR32I = 81, SAR64I = 82, SAR32I = 83;
    static final int IMUL64 = 84, IMUL32 = 85;
    static final int NOT64 = 86, NOT32 = 87;

    /** The eight classic operations at any size: extra = operation | log2(size) << 4. */
    static final int ALU = 90;

    /** Shifts and rotations at any size by r[b]: extra as for ALU. */
    static final int SHIFT = 91;

    /** INC, DEC, NEG, NOT at any size: extra = 0 to 3 | log2(size) << 4. */
    static final int UNARY = 92;

    /** r[d] = condition extra ? 1 : 0. */
    static final int SETCC = 93;

    /** r[d] = condition extra ? r[a] : r[b]. */
    static final int CMOV64 = 94, CMOV32 = 95;

    static final int CLI = 96, CLD = 97;

    /** BT with a register: CF = bit r[b] mod size of r[a]; extra = size in bits minus one. */
    static final int BIT_TEST = 98;

    // ends of blocks
    static final int NEXT = 100, JUMP = 101, JUMP_INDIRECT = 102, RET64 = 103, CALL64 = 104, CALL64_INDIRECT = 105;

    /** 16 operations, one for each condition. */
    static final int JCC = 112;

    /** Executes instruction {@code immediate} of the block; END leaves the block with the processor's new rip. */
    static final int COMPLEX = 128, COMPLEX_END = 129;

    private MicroOp() {}

    static long of(int opcode, int d, int a, int b, int scale, int extra, long immediate) {
        return opcode & 0xffL
                | (long) d << 8
                | (long) a << 13
                | (long) b << 18
                | (long) scale << 23
                | (long) extra << 25
                | immediate << 32;
    }

    /** Whether a micro-operation accesses memory through the stack segment, in 64-bit mode. */
    static boolean usesStack(long u) {
        int opcode = (int) u & 0xff;
        boolean implicit = opcode == PUSH64 || opcode == POP64 || opcode >= RET64 && opcode <= CALL64_INDIRECT;
        boolean overridden = b(u) >= Cpu.BASE + Cpu.FS;
        return implicit || opcode >= LOAD8 && opcode <= STORE64 && (a(u) == Cpu.RSP || a(u) == Cpu.RBP) && !overridden;
    }

    static int d(long u) {
        return (int) (u >>> 8) & 31;
    }

    static int a(long u) {
        return (int) (u >>> 13) & 31;
    }

    static int b(long u) {
        return (int) (u >>> 18) & 31;
    }

    static int scale(long u) {
        return (int) (u >>> 23) & 3;
    }

    static int extra(long u) {
        return (int) (u >>> 25) & 127;
    }
}
