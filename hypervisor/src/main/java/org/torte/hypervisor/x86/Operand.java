package org.torte.hypervisor.x86;

/**
 * An operand of a {@link Form}: where it is encoded, what it names and how large it is. The constants are those of the
 * Intel SDM (vol. 2, appendix A.2) in upper case. First the place: E ModRM.rm, register or memory; G ModRM.reg; R ModRM.rm,
 * register only; M ModRM.rm, memory only; Z the register in the opcode's low bits; B VEX.vvvv; I immediate; J relative
 * target; O absolute offset; A far pointer; X and Y the string at rSI and rDI; P, N and Q the MMX registers of reg, rm
 * and rm or memory; V, U and W the same for XMM registers; S, C and D segment, control and debug registers. Then the
 * size: b, w, d, q, dq for 1, 2, 4, 8, 16 bytes; v the operand size; y 8 if that is 8, otherwise 4; z 2 if that is 2,
 * otherwise 4; t 10 bytes; ss and sd scalar floats of 4 and 8 bytes, ps and pd 16 bytes of them.
 */
public enum Operand {
    EB(Place.RM, Kind.GPR, 1),
    EW(Place.RM, Kind.GPR, 2),
    ED(Place.RM, Kind.GPR, 4),
    EV(Place.RM, Kind.GPR, Operand.V),
    EY(Place.RM, Kind.GPR, Operand.Y),
    EZ(Place.RM, Kind.GPR, Operand.Z),
    RV(Place.RM_REGISTER, Kind.GPR, Operand.V),
    RY(Place.RM_REGISTER, Kind.GPR, Operand.Y),
    /** A register of operand size, or two bytes of memory. */
    RVMW(Place.RM, Kind.GPR, Operand.V_OR_WORD),
    /** A 32-bit register, or one byte of memory. */
    RDMB(Place.RM, Kind.GPR, Operand.DWORD_OR_BYTE),
    /** A 32-bit register, or two bytes of memory. */
    RDMW(Place.RM, Kind.GPR, Operand.DWORD_OR_WORD),
    GB(Place.REG, Kind.GPR, 1),
    GW(Place.REG, Kind.GPR, 2),
    GV(Place.REG, Kind.GPR, Operand.V),
    GY(Place.REG, Kind.GPR, Operand.Y),
    ZB(Place.OPCODE, Kind.GPR, 1),
    ZV(Place.OPCODE, Kind.GPR, Operand.V),
    BY(Place.VVVV, Kind.GPR, Operand.Y),

    /** Memory of a size that the operation knows, or whose address alone matters. */
    M(Place.RM_MEMORY, Kind.MEMORY, 0),
    MB(Place.RM_MEMORY, Kind.MEMORY, 1),
    MW(Place.RM_MEMORY, Kind.MEMORY, 2),
    MD(Place.RM_MEMORY, Kind.MEMORY, 4),
    MQ(Place.RM_MEMORY, Kind.MEMORY, 8),
    MT(Place.RM_MEMORY, Kind.MEMORY, 10),
    MDQ(Place.RM_MEMORY, Kind.MEMORY, 16),
    MV(Place.RM_MEMORY, Kind.MEMORY, Operand.V),
    MY(Place.RM_MEMORY, Kind.MEMORY, Operand.Y),
    /** Far pointer: an offset of operand size, then a selector. */
    MP(Place.RM_MEMORY, Kind.MEMORY, Operand.FAR),
    /** Pseudo-descriptor: a 16-bit limit, then a base of 8 bytes in 64-bit mode, otherwise 4. */
    MS(Place.RM_MEMORY, Kind.MEMORY, Operand.TABLE),
    /** Two bounds of operand size. */
    MA(Place.RM_MEMORY, Kind.MEMORY, Operand.PAIR),
    OB(Place.OFFSET, Kind.MEMORY, 1),
    OV(Place.OFFSET, Kind.MEMORY, Operand.V),
    XB(Place.STRING_SOURCE, Kind.MEMORY, 1),
    XV(Place.STRING_SOURCE, Kind.MEMORY, Operand.V),
    XZ(Place.STRING_SOURCE, Kind.MEMORY, Operand.Z),
    YB(Place.STRING_DESTINATION, Kind.MEMORY, 1),
    YV(Place.STRING_DESTINATION, Kind.MEMORY, Operand.V),
    YZ(Place.STRING_DESTINATION, Kind.MEMORY, Operand.Z),

    /** One byte, zero-extended. */
    IB(Place.IMMEDIATE, Kind.IMMEDIATE, 1),
    /** One byte, sign-extended to the operand size. */
    SIB(Place.IMMEDIATE, Kind.IMMEDIATE, Operand.V),
    /** Two bytes, zero-extended. */
    IW(Place.IMMEDIATE, Kind.IMMEDIATE, 2),
    /** Two bytes for operand size 2, otherwise four; sign-extended to the operand size. */
    IZ(Place.IMMEDIATE, Kind.IMMEDIATE, Operand.V),
    /** As many bytes as the operand size says. */
    IV(Place.IMMEDIATE, Kind.IMMEDIATE, Operand.V),
    JB(Place.IMMEDIATE, Kind.RELATIVE, Operand.V),
    JZ(Place.IMMEDIATE, Kind.RELATIVE, Operand.V),
    AP(Place.IMMEDIATE, Kind.FAR_POINTER, Operand.FAR),
    /** The constant 1 of the shift forms. */
    ONE(Place.FIXED, Kind.IMMEDIATE, 1),

    AL(Place.FIXED, Kind.GPR, 1),
    CL(Place.FIXED, Kind.GPR, 1, 1),
    AX(Place.FIXED, Kind.GPR, 2),
    DX(Place.FIXED, Kind.GPR, 2, 2),
    /** The accumulator with 2 or 4 bytes. */
    EAX(Place.FIXED, Kind.GPR, Operand.Z),
    /** The accumulator with the operand size. */
    RAX(Place.FIXED, Kind.GPR, Operand.V),
    ES(Place.FIXED, Kind.SEGMENT, 2, 0),
    CS(Place.FIXED, Kind.SEGMENT, 2, 1),
    SS(Place.FIXED, Kind.SEGMENT, 2, 2),
    DS(Place.FIXED, Kind.SEGMENT, 2, 3),
    FS(Place.FIXED, Kind.SEGMENT, 2, 4),
    GS(Place.FIXED, Kind.SEGMENT, 2, 5),

    SW(Place.REG, Kind.SEGMENT, 2),
    CY(Place.REG, Kind.CONTROL, Operand.Y),
    DY(Place.REG, Kind.DEBUG, Operand.Y),

    ST0(Place.FIXED, Kind.X87, 10, 0),
    STI(Place.RM_REGISTER, Kind.X87, 10),

    PQ(Place.REG, Kind.MMX, 8),
    NQ(Place.RM_REGISTER, Kind.MMX, 8),
    QQ(Place.RM, Kind.MMX, 8),
    /** The low half of an MMX register, or four bytes of memory. */
    QD(Place.RM, Kind.MMX, 4),

    VSS(Place.REG, Kind.XMM, 4),
    VSD(Place.REG, Kind.XMM, 8),
    VQ(Place.REG, Kind.XMM, 8),
    VPS(Place.REG, Kind.XMM, 16),
    VPD(Place.REG, Kind.XMM, 16),
    VDQ(Place.REG, Kind.XMM, 16),
    UQ(Place.RM_REGISTER, Kind.XMM, 8),
    UDQ(Place.RM_REGISTER, Kind.XMM, 16),
    WW(Place.RM, Kind.XMM, 2),
    WD(Place.RM, Kind.XMM, 4),
    WQ(Place.RM, Kind.XMM, 8),
    WSS(Place.RM, Kind.XMM, 4),
    WSD(Place.RM, Kind.XMM, 8),
    WPS(Place.RM, Kind.XMM, 16),
    WPD(Place.RM, Kind.XMM, 16),
    WDQ(Place.RM, Kind.XMM, 16),
    XMM0(Place.FIXED, Kind.XMM, 16, 0);

    /** Where an operand is encoded. */
    public enum Place {
        /** ModRM.reg: register {@link Instruction#reg}. */
        REG,
        /** ModRM.rm: register {@link Instruction#rm}, or memory if {@link Instruction#memory}. */
        RM,
        /** ModRM.rm, which must name a register. */
        RM_REGISTER,
        /** ModRM.rm, which must name memory. */
        RM_MEMORY,
        /** The opcode's low three bits: register {@link Instruction#rm}. */
        OPCODE,
        /** VEX.vvvv: register {@link Instruction#vvvv}. */
        VVVV,
        /** Part of the form: register {@link Operand#register()}. */
        FIXED,
        /** Bytes after the others: {@link Instruction#immediate}. */
        IMMEDIATE,
        /** An absolute address in {@link Instruction#displacement}. */
        OFFSET,
        /** Memory at {@link Instruction#segment}:rSI. */
        STRING_SOURCE,
        /** Memory at ES:rDI. */
        STRING_DESTINATION
    }

    /** What an operand names. Where it may also name memory, this is the kind of the register. */
    public enum Kind {
        GPR,
        SEGMENT,
        CONTROL,
        DEBUG,
        X87,
        MMX,
        XMM,
        MEMORY,
        IMMEDIATE,
        RELATIVE,
        FAR_POINTER
    }

    // Sizes that depend on the instruction.
    private static final int V = -1;
    private static final int Y = -2;
    private static final int Z = -3;
    private static final int V_OR_WORD = -4;
    private static final int DWORD_OR_BYTE = -5;
    private static final int DWORD_OR_WORD = -6;
    private static final int FAR = -7;
    private static final int TABLE = -8;
    private static final int PAIR = -9;

    private final Place place;
    private final Kind kind;
    private final int size;
    private final int register;

    Operand(Place place, Kind kind, int size) {
        this(place, kind, size, 0);
    }

    Operand(Place place, Kind kind, int size, int register) {
        this.place = place;
        this.kind = kind;
        this.size = size;
        this.register = register;
    }

    /** Where it is encoded. */
    public Place place() {
        return place;
    }

    /** What it names. */
    public Kind kind() {
        return kind;
    }

    /** Its register number if it is part of the form ({@link Place#FIXED}). */
    public int register() {
        return register;
    }

    /** Whether it always is memory. */
    public boolean isMemory() {
        return kind == Kind.MEMORY;
    }

    /** Whether it is ModRM.rm in any of its variants. */
    public boolean isRm() {
        return place == Place.RM || place == Place.RM_REGISTER || place == Place.RM_MEMORY;
    }

    /** Whether it can be 16 bytes of memory. */
    boolean maySize16Memory() {
        return size == 16 && (place == Place.RM || place == Place.RM_MEMORY);
    }

    /** Whether its size is 8 for operand size 8 and otherwise 4. */
    boolean isY() {
        return size == Y;
    }

    /**
     * Bytes it has in this instruction, 1 to 16, or 0 if only the operation knows. For RVMW, RDMB and RDMW it depends on
     * {@link Instruction#memory}; for the others, such as MOVZX from memory, register and memory have the same size.
     */
    public int size(Instruction instruction) {
        if (size >= 0) {
            return size;
        }
        int v = instruction.operandSize;
        return switch (size) {
            case V -> v;
            case Y -> v == 8 ? 8 : 4;
            case Z -> v == 2 ? 2 : 4;
            case V_OR_WORD -> instruction.memory ? 2 : v;
            case DWORD_OR_BYTE -> instruction.memory ? 1 : 4;
            case DWORD_OR_WORD -> instruction.memory ? 2 : 4;
            case FAR -> v + 2;
            case TABLE -> v == 8 ? 10 : 6;
            default -> 2 * v;
        };
    }
}
