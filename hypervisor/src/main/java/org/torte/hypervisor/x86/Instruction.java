package org.torte.hypervisor.x86;

/**
 * One decoded instruction. Mutable so that a decoder can be used without allocating; whoever keeps one keeps a copy.
 * Register numbers already include the REX extension bits.
 */
public final class Instruction {
    /** {@link #segment}: no memory operand. */
    public static final int NO_SEGMENT = -1;

    /** {@link #base} or {@link #index}: none. */
    public static final int NONE = -1;

    /** {@link #base}: relative to the address of the next instruction. */
    public static final int RIP = 16;

    /** The row of the instruction table, with the operation, the operands and their kinds. */
    public Form form = Form.INVALID;

    /** Length in bytes, 1 to 15. */
    public int length;

    /** Effective operand size in bytes: 2, 4 or 8 (after prefixes, mode, REX.W and the form's own rules). */
    public int operandSize;

    /** Effective address size in bytes: 2, 4 or 8. */
    public int addressSize;

    /** The last opcode byte, for forms that cover several (condition codes, register numbers). */
    public int opcode;

    /** LOCK prefix (F0) present. */
    public boolean lock;

    /** Repeat prefix as it affects string instructions: 0, 0xF2 (REPNE) or 0xF3 (REP, REPE). */
    public int repeat;

    /** A REX prefix was in effect (so that register numbers 4 to 7 of byte size mean SPL, BPL, SIL, DIL). */
    public boolean rex;

    /** The ModRM byte as it stands, or 0 for forms without. */
    public int modrm;

    /** ModRM.reg with REX.R; for forms without ModRM 0. */
    public int reg;

    /** ModRM.rm with REX.B when it names a register, or the register number in the opcode with REX.B. */
    public int rm;

    /** Whether ModRM names memory. */
    public boolean memory;

    /** The segment of the memory operand (or of the string source), ES=0 CS=1 SS=2 DS=3 FS=4 GS=5, or none. */
    public int segment = NO_SEGMENT;

    /** Base register number, {@link #RIP} or {@link #NONE}. */
    public int base = NONE;

    /** Index register number or {@link #NONE}. */
    public int index = NONE;

    /** How far the index is shifted left: 0 to 3. */
    public int scale;

    /** Displacement, sign-extended; the absolute address of moffs forms. */
    public long displacement;

    /** Immediate as the form extends it (sign-extended for Iz and sIb, relative branches too); far pointer offset. */
    public long immediate;

    /** Second immediate: ENTER's nesting level, a far pointer's selector, EXTRQ-like byte pairs. */
    public int immediate2;

    /** VEX.vvvv of VEX-encoded forms (the BMI group); otherwise 0. */
    public int vvvv;

    /** Copies every field. */
    public Instruction copy() {
        Instruction i = new Instruction();
        i.form = form;
        i.length = length;
        i.operandSize = operandSize;
        i.addressSize = addressSize;
        i.opcode = opcode;
        i.lock = lock;
        i.repeat = repeat;
        i.rex = rex;
        i.modrm = modrm;
        i.reg = reg;
        i.rm = rm;
        i.memory = memory;
        i.segment = segment;
        i.base = base;
        i.index = index;
        i.scale = scale;
        i.displacement = displacement;
        i.immediate = immediate;
        i.immediate2 = immediate2;
        i.vvvv = vvvv;
        return i;
    }
}
