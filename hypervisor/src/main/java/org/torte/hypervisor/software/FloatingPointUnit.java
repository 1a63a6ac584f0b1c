package org.torte.hypervisor.software;

import static org.torte.hypervisor.x86.Operation.*;

import java.util.EnumSet;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * The x87, MMX and SSE units of one processor: everything between the decoder and the registers in {@link FpuState}. An
 * instruction either completes or throws a {@link GuestFault} and has changed nothing but exception flags. For the
 * processor's own thread.
 */
final class FloatingPointUnit {
    private static final byte NONE = 0, MOVE = 1, FLOAT = 2, INTEGER = 3, CONVERT = 4, MMX = 5, X87 = 6, STATE = 7;
    private static final byte STRING = 8, CRYPTO = 9, SHA = 10;

    /** Which unit executes a form, by {@link Form#index}. */
    private static final byte[] UNITS = units();

    private final FpuState state;
    private final SseMoveUnit move;
    private final SseFloatUnit floats;
    private final SseIntegerUnit integers;
    private final SseConvertUnit conversions;
    private final MmxUnit mmx;
    private final SseStringUnit strings;
    private final CryptoUnit crypto;
    private final ShaUnit sha;
    private final X87Unit x87;
    private final ExtendedStateUnit extended;
    private final VectorOperands operands;
    private final CpuContext cpu;

    FloatingPointUnit(FpuState state, CpuContext cpu) {
        this.state = state;
        this.cpu = cpu;
        operands = new VectorOperands(state, cpu);
        SseArithmetic arithmetic = new SseArithmetic(state, cpu);
        move = new SseMoveUnit(operands);
        floats = new SseFloatUnit(operands, arithmetic);
        integers = new SseIntegerUnit(operands);
        conversions = new SseConvertUnit(operands, arithmetic);
        mmx = new MmxUnit(operands);
        strings = new SseStringUnit(operands);
        crypto = new CryptoUnit(operands);
        sha = new ShaUnit(operands);
        x87 = new X87Unit(operands);
        extended = new ExtendedStateUnit(operands);
    }

    /** The registers. */
    FpuState state() {
        return state;
    }

    /** Whether {@link #execute} is for this form. */
    static boolean handles(Form form) {
        return UNITS[form.index()] != NONE;
    }

    /**
     * Executes one instruction.
     *
     * @param in decoded, of a form that {@link #handles} accepts
     * @param address the linear address of its memory operand (DS:rDI for MASKMOVQ and MASKMOVDQU), if it has one
     */
    void execute(Instruction in, long address) {
        switch (UNITS[in.form.index()]) {
            case MOVE -> move.execute(in, address);
            case FLOAT -> floats.execute(in, address);
            case INTEGER -> integers.execute(in, address);
            case CONVERT -> conversions.execute(in, address);
            case MMX -> mmx.execute(in, address);
            case STRING -> strings.execute(in, address);
            case CRYPTO -> crypto.execute(in, address);
            case SHA -> sha.execute(in, address);
            case X87 -> x87.execute(in, address);
            case STATE -> extended.execute(in, address);
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    /** Faults as {@link #execute} would before it touches its operands. */
    void checkAvailable(Instruction in) {
        switch (UNITS[in.form.index()]) {
            case X87 -> x87.checkAvailable(in);
            case MMX -> operands.checkMmx();
            case STATE -> extended.checkAvailable(in);
            default -> operands.checkSse();
        }
    }

    /** How many bytes of memory the instruction accesses, 1 to 576, for the check against the segment's limit. */
    static int memorySize(Instruction in) {
        return switch (in.form.operation()) {
            case FXSAVE, FXRSTOR -> 512;
            case XSAVE, XSAVEOPT, XRSTOR -> 576;
            case FLDENV, FNSTENV -> in.operandSize == 2 ? 14 : 28;
            case FRSTOR, FNSAVE -> in.operandSize == 2 ? 94 : 108;
            default -> {
                for (int i = 0; i < in.form.operandCount(); i++) {
                    if (in.form.operand(i).isRm()) {
                        yield in.form.operand(i).size(in);
                    }
                }
                yield 1;
            }
        };
    }

    /** What the address of the memory operand must be a multiple of before its segment is looked at, or #GP. */
    static int alignment(Form form) {
        return switch (form.operation()) {
            case XSAVE, XSAVEOPT, XRSTOR -> 64;
            default -> form.needsAlignment() ? 16 : 1;
        };
    }

    /** Whether the instruction writes its memory operand. */
    static boolean writesMemory(Form form) {
        return switch (form.operation()) {
            case FST, FSTP, FIST, FISTP, FISTTP, FBSTP, FNSTCW, FNSTSW, FNSTENV, FNSAVE -> true;
            case FXSAVE, XSAVE, XSAVEOPT, STMXCSR -> true;
            default ->
                UNITS[form.index()] != X87
                        && form.operandCount() > 0
                        && form.operand(0).isRm()
                        && UNITS[form.index()] != STATE;
        };
    }

    private static byte[] units() {
        byte[] units = new byte[Form.count()];
        EnumSet<Operation> x87 = EnumSet.range(FLD, FWAIT);
        EnumSet<Operation> moves = EnumSet.range(MOVUPS, SHUFPD);
        moves.addAll(EnumSet.range(MOVD, PUNPCKHQDQ));
        moves.addAll(EnumSet.of(PSHUFD, PSHUFHW, PSHUFLW, PINSRB, PINSRW, PINSRD, PEXTRB, PEXTRW, PEXTRD));
        moves.addAll(EnumSet.of(EXTRACTPS, INSERTPS));
        EnumSet<Operation> floats = EnumSet.range(ADDPS, RCPSS);
        floats.addAll(EnumSet.range(CMPPS, ADDSUBPD));
        floats.addAll(EnumSet.range(ROUNDPS, ROUNDSD));
        floats.addAll(EnumSet.of(DPPS, DPPD));
        EnumSet<Operation> conversions = EnumSet.range(CVTPI2PS, CVTTPD2DQ);
        EnumSet<Operation> state = EnumSet.of(FXSAVE, FXRSTOR, LDMXCSR, STMXCSR);
        state.addAll(EnumSet.of(XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, XGETBV, XSETBV));
        EnumSet<Operation> strings = EnumSet.range(PCMPESTRM, PCMPISTRI);
        EnumSet<Operation> crypto = EnumSet.range(AESIMC, PCLMULQDQ);
        EnumSet<Operation> hashes = EnumSet.range(SHA1NEXTE, SHA256RNDS2);
        EnumSet<Operation> all = EnumSet.range(MOVUPS, SHA256RNDS2);
        for (int i = 0; i < units.length; i++) {
            Form form = Form.of(i);
            Operation operation = form.operation();
            if (x87.contains(operation)) {
                units[i] = X87;
            } else if (state.contains(operation)) {
                units[i] = STATE;
            } else if (conversions.contains(operation)) {
                units[i] = CONVERT;
            } else if (operation == EMMS || usesMmx(form) && operation != MOVQ2DQ && operation != MOVDQ2Q) {
                units[i] = MMX;
            } else if (moves.contains(operation)) {
                units[i] = MOVE;
            } else if (floats.contains(operation)) {
                units[i] = FLOAT;
            } else if (strings.contains(operation)) {
                units[i] = STRING;
            } else if (crypto.contains(operation)) {
                units[i] = CRYPTO;
            } else if (hashes.contains(operation)) {
                units[i] = SHA;
            } else if (all.contains(operation)) {
                units[i] = INTEGER;
            }
        }
        return units;
    }

    private static boolean usesMmx(Form form) {
        for (int i = 0; i < form.operandCount(); i++) {
            if (form.operand(i).kind() == Operand.Kind.MMX) {
                return true;
            }
        }
        return false;
    }
}
