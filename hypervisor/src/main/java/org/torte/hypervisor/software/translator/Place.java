package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;

/**
 * Where a checked operand lies: [base + index + displacement] in host registers. Holds until r12 is changed, or the guest's
 * register behind {@code base}.
 */
record Place(int base, int index, int displacement) {
    /** At the host's address in r12. */
    static final Place R12_ITSELF = new Place(R12, NONE, 0);

    /** An instruction with this operand in ModRM.rm; as {@link Assembler#memory}. */
    void operand(Assembler code, int prefix, boolean wide, boolean rex, int opcode, int reg) {
        code.memory(prefix, wide, rex, opcode, reg, base, index, 0, displacement);
    }

    /** MOV r64 from it. */
    void load(Assembler code, int to) {
        operand(code, 0, true, false, 0x8b, to);
    }

    /** MOV r64 to it. */
    void store(Assembler code, int from) {
        operand(code, 0, true, false, 0x89, from);
    }

    /** Leaves the host's address of it in r12. */
    void toR12(Assembler code) {
        if (index != NONE) {
            code.address(R12, base, index, 0, displacement);
        }
    }
}
