package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;

import org.torte.hypervisor.x86.Instruction;

/**
 * The linear address of a memory operand in the guest's terms, and the code that computes it into r12. That code needs
 * r13 too and leaves the flags alone unless there is a segment base or a bit offset to add.
 *
 * @param segment FS = 4, GS = 5, or anything else for those whose base is 0
 * @param base general register, {@link Assembler#NONE}, or {@link #STATE} for what the word of the state says to which the
 *     displacement leads
 * @param index likewise
 * @param narrow whether it has 32 bits
 * @param bits a general register whose bit offset is added in whole operands (BT and its like), or NONE
 * @param bitSize bytes of such an operand
 */
record Address(int segment, int base, int index, int scale, long displacement, boolean narrow, int bits, int bitSize) {
    private static final int FS = 4, GS = 5, STATE = -2;

    Address(int segment, int base, int index, int scale, long displacement, boolean narrow) {
        this(segment, base, index, scale, displacement, narrow, NONE, 0);
    }

    /** The operand of that size which holds the bit whose offset from this address a register has. */
    Address ofBit(int register, int size) {
        return new Address(segment, base, index, scale, displacement, narrow, register, size);
    }

    /** Of an instruction's ModRM operand; {@code next} is the address of the next instruction. */
    static Address of(Instruction in, long next, boolean withSegment) {
        int segment = withSegment ? in.segment : Instruction.NO_SEGMENT;
        boolean narrow = in.addressSize == 4;
        if (in.base == Instruction.RIP) {
            return new Address(segment, NONE, in.index, in.scale, in.displacement + next, narrow);
        }
        return new Address(segment, in.base, in.index, in.scale, in.displacement, narrow);
    }

    /** Of something on the stack. */
    static Address stack(int displacement) {
        return new Address(Instruction.NO_SEGMENT, RSP, NONE, 0, displacement, false);
    }

    /** What a word of the state says. */
    static Address inState(int word) {
        return new Address(Instruction.NO_SEGMENT, STATE, NONE, 0, word, false);
    }

    /** Whether it is a register that the host has too, and perhaps a displacement. */
    boolean isPlain() {
        return base >= 0
                && !Registers.inMemory(base)
                && index == NONE
                && !narrow
                && bits == NONE
                && segment != FS
                && segment != GS;
    }

    boolean isConstant() {
        return base == NONE && index == NONE;
    }

    /** The displacement of an address without registers. */
    long constant() {
        return narrow ? displacement & 0xffffffffL : displacement;
    }

    /** Writes code that leaves it in r12. */
    void emit(Assembler code) {
        if (isConstant()) {
            code.constant(R12, constant());
        } else if (base == STATE) {
            code.load(R12, R14, (int) displacement);
        } else {
            emitInto(code, R12);
        }
        if (segment == FS || segment == GS) {
            code.memory(0, true, false, 0x03, R12, R14, NONE, 0, segment == FS ? StateArea.FS_BASE : StateArea.GS_BASE);
        }
        if (bits != NONE) {
            int offset = in(code, bits, R13);
            int scale = Integer.numberOfTrailingZeros(bitSize);
            // MOVSX, MOVSXD or MOV
            code.registers(0, true, false, bitSize == 2 ? 0x0fbf : bitSize == 4 ? 0x63 : 0x8b, R13, offset);
            code.shift(7, true, R13, scale + 3);
            code.address(R12, R12, R13, scale, 0);
        }
    }

    /** LEA into a register, without the segment's base, of an address that is not constant. */
    void emitInto(Assembler code, int register) {
        if (isPlain() && displacement == 0) {
            code.move(register, Registers.host(base));
            return;
        }
        int b = base == NONE ? NONE : in(code, base, R12);
        int i = index == NONE ? NONE : in(code, index, R13);
        code.memory(0, !narrow, false, 0x8d, register, b, i, scale, (int) displacement);
    }

    private static int in(Assembler code, int guest, int scratch) {
        if (!Registers.inMemory(guest)) {
            return Registers.host(guest);
        }
        code.load(scratch, R14, Trampolines.gpr(guest));
        return scratch;
    }
}
