package org.torte.hypervisor.software;

import java.util.Arrays;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The x87, MMX and SSE registers of one processor (Intel SDM vol. 1, chapters 8 to 10 and 13). Plain fields for the units
 * and for translated code; used by the processor's own thread only.
 */
final class FpuState {
    /** Bits of {@link #mxcsr} that can be set; others make LDMXCSR and FXRSTOR fault. */
    static final int MXCSR_MASK = 0xffff;

    /** MXCSR after power-up, INIT leaves it alone: all exceptions masked, round to nearest. */
    static final int MXCSR_RESET = 0x1f80;

    /** State components of XCR0 that this processor offers: x87 and SSE. */
    static final long XCR0_SUPPORTED = 3;

    private static final int REGISTERS = 8;

    /** XMM0 to XMM15: bits 63:0 of register n at 2n, bits 127:64 at 2n + 1. */
    final long[] xmm = new long[32];

    /** SSE control and status. */
    int mxcsr;

    /** Physical x87 register n: the significand with its explicit integer bit. MMX register n is this same field. */
    final long[] significand = new long[REGISTERS];

    /** Physical x87 register n: sign in bit 15, biased exponent below. */
    final int[] signExponent = new int[REGISTERS];

    /** Number of the physical register that is ST(0), 0 to 7. */
    int top;

    /** x87 control word. */
    int control;

    /** x87 status word without the TOP field, which reads as 0 here. */
    int status;

    /** Bit n is set when physical register n is empty. */
    int empty;

    /** Offset in CS of the last x87 instruction that was not a control instruction. */
    long instructionPointer;

    /** Offset in its segment of the last x87 memory operand. */
    long dataPointer;

    /** Selectors of those two. */
    int codeSelector;

    int dataSelector;

    /** Low 3 bits of the first opcode byte above the ModRM byte of the last x87 instruction: 11 bits. */
    int opcode;

    /** Which state components XSAVE handles; bit 0 is always set. */
    long xcr0;

    FpuState() {
        reset();
    }

    /** Power-up and reset (SDM vol. 3, table 9-1): all registers +0.0, the x87 control word 0040H, tags valid. */
    void reset() {
        Arrays.fill(xmm, 0);
        mxcsr = MXCSR_RESET;
        Arrays.fill(significand, 0);
        Arrays.fill(signExponent, 0);
        top = 0;
        control = 0x40;
        status = 0;
        empty = 0;
        instructionPointer = 0;
        dataPointer = 0;
        codeSelector = 0;
        dataSelector = 0;
        opcode = 0;
        xcr0 = 1;
    }

    /** FNINIT: everything empty, all exceptions masked, 64-bit precision; the registers keep their bits. */
    void initializeX87() {
        top = 0;
        control = 0x37f;
        status = 0;
        empty = 0xff;
        instructionPointer = 0;
        dataPointer = 0;
        codeSelector = 0;
        dataSelector = 0;
        opcode = 0;
    }

    /** The status word as software reads it. */
    int statusWord() {
        return status | top << 11;
    }

    /** Sets the status word and TOP; B and ES follow from the flags and masks. */
    void setStatusWord(int word) {
        top = word >>> 11 & 7;
        status = word & 0x477f;
        updateErrorSummary();
    }

    /** Makes ES and B say whether an unmasked exception is pending; after any change of masks or flags. */
    void updateErrorSummary() {
        if ((status & ~control & 0x3f) != 0) {
            status |= 0x8080;
        } else {
            status &= ~0x8080;
        }
    }

    /** Two bits for each physical register, computed from its contents: 0 valid, 1 zero, 2 special, 3 empty. */
    int tagWord() {
        int word = 0;
        for (int i = 0; i < REGISTERS; i++) {
            word |= tag(i) << 2 * i;
        }
        return word;
    }

    private int tag(int i) {
        if ((empty >>> i & 1) != 0) {
            return 3;
        }
        int exponent = signExponent[i] & 0x7fff;
        if (exponent == 0) {
            return significand[i] == 0 ? 1 : 2;
        }
        return exponent == 0x7fff || significand[i] >= 0 ? 2 : 0;
    }

    /** Takes which registers are empty from a full tag word. */
    void setTagWord(int word) {
        empty = 0;
        for (int i = 0; i < REGISTERS; i++) {
            if ((word >>> 2 * i & 3) == 3) {
                empty |= 1 << i;
            }
        }
    }

    /** Writes the state; layout version 2. */
    void save(StateOutput out) {
        out.putLongs(xmm).putInt(mxcsr);
        out.putLongs(significand).putInts(signExponent);
        out.putInt(control).putInt(statusWord()).putInt(empty);
        out.putLong(instructionPointer).putLong(dataPointer).putInt(opcode);
        out.putInt(codeSelector).putInt(dataSelector);
        out.putLong(xcr0);
    }

    /** Reads what {@link #save} wrote. */
    void restore(StateInput in) {
        in.getLongs(xmm);
        mxcsr = in.getInt();
        in.check((mxcsr & ~MXCSR_MASK) == 0, "MXCSR has reserved bits set");
        in.getLongs(significand);
        in.getInts(signExponent);
        for (int value : signExponent) {
            in.check(value >>> 16 == 0, "an x87 exponent has more than 16 bits");
        }
        control = in.getInt();
        in.check((control & ~0x1f7f) == 0, "the x87 control word has reserved bits set");
        int word = in.getInt();
        in.check(word >>> 16 == 0, "the x87 status word has more than 16 bits");
        empty = in.getInt();
        in.check(empty >>> REGISTERS == 0, "there are eight x87 tags");
        instructionPointer = in.getLong();
        dataPointer = in.getLong();
        opcode = in.getInt();
        codeSelector = in.version() >= 2 ? in.getInt() : 0;
        dataSelector = in.version() >= 2 ? in.getInt() : 0;
        in.check((codeSelector | dataSelector) >>> 16 == 0, "a selector has more than 16 bits");
        xcr0 = in.getLong();
        in.check((xcr0 & 1) != 0 && (xcr0 & ~XCR0_SUPPORTED) == 0, "XCR0 enables what this processor does not offer");
        setStatusWord(word);
    }
}
