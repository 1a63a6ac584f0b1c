package org.torte.hypervisor.x86;

import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * One row of the instruction table (instructions.txt). Immutable; there is one object per row, so forms can be compared
 * by identity.
 */
public final class Form {
    /** Bits of RFLAGS as the flag masks use them. */
    public static final int CF = 1, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7, IF = 1 << 9, DF = 1 << 10;

    /** Overflow flag in the flag masks. */
    public static final int OF = 1 << 11;

    /** What undefined opcodes decode to. */
    public static final Form INVALID = new Form();

    // How the operand size follows from mode and prefixes.
    static final int SIZE_NORMAL = 0;
    static final int SIZE_D64 = 1;
    static final int SIZE_F64 = 2;

    // Which bytes follow the ModRM byte, SIB and displacement.
    static final int IMM_NONE = 0;
    static final int IMM_BYTE = 1;
    static final int IMM_BYTE_SIGNED = 2;
    static final int IMM_WORD = 3;
    static final int IMM_Z = 4;
    static final int IMM_V = 5;
    static final int IMM_FAR = 6;
    static final int IMM_OFFSET = 7;
    static final int IMM_ENTER = 8;

    // What the parser fills in; the decoder reads them directly.
    int index;
    Operation operation = Operation.INVALID;
    Operand[] operands = {};
    Feature feature = Feature.BASE;
    boolean modrm;
    boolean anyMod;
    int sizeRule;
    int immediateRule;
    /** At least 4 bytes of operand size: an operand of kind y. */
    boolean atLeastDword;
    /** The 66 prefix is part of the opcode and does not change the operand size. */
    boolean mandatory66;

    boolean vex;
    boolean usesVvvv;
    /** ModRM.reg or ModRM.rm names one of eight registers, so that REX.R or REX.B is ignored. */
    boolean reg8;

    boolean rm8;
    boolean implicitData;
    boolean lock;
    boolean repeatable;
    boolean privileged;
    boolean ioPrivileged;
    boolean aligned;
    int flagsRead;
    int flagsWritten;
    int flagsUndefined;

    /** The opcode column is made when somebody asks for it: {@link InstructionTable} reads the text at every start. */
    private byte[] text = {};

    private int encodingStart;
    private int encodingEnd;

    Form() {}

    /** Where in the table's text the opcode column is. */
    void setEncoding(byte[] source, int start, int end) {
        text = source;
        encodingStart = start;
        encodingEnd = end;
    }

    /** A dense number from 0 ({@link #INVALID}) to {@link #count()} - 1, for tables indexed by form. */
    public int index() {
        return index;
    }

    /** How many forms there are. */
    public static int count() {
        return InstructionTable.FORMS.length;
    }

    /** The form with this {@link #index}. */
    public static Form of(int index) {
        return InstructionTable.FORMS[index];
    }

    /** What it does. */
    public Operation operation() {
        return operation;
    }

    /** The operands in Intel's order, destination first. */
    public List<Operand> operands() {
        return List.of(operands);
    }

    /** How many operands it has. */
    public int operandCount() {
        return operands.length;
    }

    /** One of its operands, 0 being the destination. */
    public Operand operand(int number) {
        return operands[number];
    }

    /** The CPUID feature that must be there. */
    public Feature feature() {
        return feature;
    }

    /** Whether a ModRM byte follows the opcode. */
    public boolean hasModrm() {
        return modrm;
    }

    /** Whether it is VEX-encoded: undefined in real and virtual-8086 mode, which the decoder does not know. */
    public boolean isVex() {
        return vex;
    }

    /** Whether LOCK is legal (when the destination is memory, which the decoder checks). */
    public boolean allowsLock() {
        return lock;
    }

    /** Whether it is a string instruction that REP, REPE and REPNE repeat. */
    public boolean isRepeatable() {
        return repeatable;
    }

    /** Whether it faults outside ring 0. */
    public boolean isPrivileged() {
        return privileged;
    }

    /** Whether IOPL or the I/O permission bitmap decides if it faults outside ring 0. */
    public boolean isIoPrivileged() {
        return ioPrivileged;
    }

    /** Whether its 16-byte memory operand must be aligned to 16 bytes (#GP otherwise). */
    public boolean needsAlignment() {
        return aligned;
    }

    /** Arithmetic flags, DF and IF that the result depends on. */
    public int flagsRead() {
        return flagsRead;
    }

    /**
     * Flags that it may change, {@link #flagsUndefined} included. Shifts and rotates by zero and some other instructions
     * leave them alone for certain operands.
     */
    public int flagsWritten() {
        return flagsWritten;
    }

    /** Flags that the manual leaves undefined for at least some operands. */
    public int flagsUndefined() {
        return flagsUndefined;
    }

    /** The opcode column of the table. */
    public String encoding() {
        return new String(text, encodingStart, encodingEnd - encodingStart, StandardCharsets.US_ASCII).trim();
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(encoding()).append(": ").append(operation);
        for (int i = 0; i < operands.length; i++) {
            text.append(i == 0 ? " " : ",").append(operands[i]);
        }
        return text.toString();
    }
}
