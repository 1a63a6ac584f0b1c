package org.torte.hypervisor.oracle;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;

/**
 * One case in the memory shared with the {@link HostProcessor}: the state before, which the test fills in, and the state
 * after. Registers stand in the order of Linux' struct sigcontext, floating-point state as an FXSAVE image.
 *
 * <pre>
 * 000 before: R8-R15 RDI RSI RBP RBX RDX RAX RCX RSP RIP RFLAGS
 * 0C0 code, 64 bytes, to be filled up with INT3
 * 100 data, 256 bytes
 * 200 FXSAVE image, the first 416 bytes
 * 400 after: the registers, segments (8), error code (8), vector (8), signal mask (8), CR2 (8)
 * 500 data
 * 600 FXSAVE image
 * </pre>
 */
public final class CaseRecord {
    /** Bytes of a record. */
    public static final int SIZE = 0x800;

    /** Where the code starts: in the middle of an executable page that is filled with INT3. */
    public static final long CODE = 0x2000_0800L;

    /** The page that {@link #CODE} lies in. */
    public static final long CODE_PAGE = 0x2000_0000L;

    /** The only writable page; nothing is mapped around it, and its first 3840 bytes are zero. */
    public static final long DATA_PAGE = 0x3000_0000L;

    /** Where the data bytes are: at the end of their page. */
    public static final long DATA = DATA_PAGE + 0xF00;

    public static final int CODE_SIZE = 64;
    public static final int DATA_SIZE = 256;
    public static final int FX_SIZE = 416;

    static final int IN_CODE = 0xC0;
    static final int IN_DATA = 0x100;
    static final int IN_FX = 0x200;
    static final int OUT = 0x400;
    static final int OUT_DATA = 0x500;
    static final int OUT_FX = 0x600;
    static final int REGISTERS = 144;
    static final int CONTEXT = 184;

    private static final int RIP = 16;
    private static final int RFLAGS = 17;
    private static final int[] SLOTS = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};

    private final MemorySegment segment;

    CaseRecord(MemorySegment segment) {
        this.segment = segment;
    }

    /** Sets a general-purpose register, by its number in instructions. */
    public void setRegister(int number, long value) {
        segment.set(JAVA_LONG_UNALIGNED, SLOTS[number] * 8L, value);
    }

    /** A general-purpose register before. */
    public long register(int number) {
        return segment.get(JAVA_LONG_UNALIGNED, SLOTS[number] * 8L);
    }

    /** Sets RFLAGS and lets RIP be {@link #CODE}. */
    public void setFlags(long flags) {
        segment.set(JAVA_LONG_UNALIGNED, RIP * 8L, CODE);
        segment.set(JAVA_LONG_UNALIGNED, RFLAGS * 8L, flags);
    }

    /** RFLAGS before. */
    public long flags() {
        return segment.get(JAVA_LONG_UNALIGNED, RFLAGS * 8L);
    }

    /** Sets the code; the rest of it becomes INT3. */
    public void setCode(byte[] code) {
        segment.asSlice(IN_CODE, CODE_SIZE).fill((byte) 0xCC);
        MemorySegment.copy(code, 0, segment, JAVA_BYTE, IN_CODE, code.length);
    }

    /** The code with the INT3 behind it. */
    public MemorySegment code() {
        return segment.asSlice(IN_CODE, CODE_SIZE);
    }

    /** The data bytes before. */
    public MemorySegment data() {
        return segment.asSlice(IN_DATA, DATA_SIZE);
    }

    /** The floating-point state before. */
    public MemorySegment fx() {
        return segment.asSlice(IN_FX, FX_SIZE);
    }

    /** A general-purpose register after. */
    public long registerAfter(int number) {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + SLOTS[number] * 8L);
    }

    /** RIP after; behind the INT3 if the vector is 3. */
    public long ripAfter() {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + RIP * 8L);
    }

    /** RFLAGS after. */
    public long flagsAfter() {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + RFLAGS * 8L);
    }

    /** The vector of the exception that ended the case: 3 if the code reached the INT3 behind it. */
    public int vector() {
        return segment.get(JAVA_INT_UNALIGNED, OUT + 160);
    }

    /** The exception's error code. */
    public int errorCode() {
        return segment.get(JAVA_SHORT_UNALIGNED, OUT + 152) & 0xFFFF;
    }

    /** CR2, meaningful for vector 14. */
    public long cr2() {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + 176);
    }

    /** The x87 control word before. */
    public int control() {
        return segment.get(JAVA_SHORT_UNALIGNED, IN_FX) & 0xFFFF;
    }

    /** MXCSR after. */
    public int mxcsrAfter() {
        return segment.get(JAVA_INT_UNALIGNED, OUT_FX + 24);
    }

    /** The data bytes after. */
    public MemorySegment dataAfter() {
        return segment.asSlice(OUT_DATA, DATA_SIZE);
    }

    /** The floating-point state after. */
    public MemorySegment fxAfter() {
        return segment.asSlice(OUT_FX, FX_SIZE);
    }
}
