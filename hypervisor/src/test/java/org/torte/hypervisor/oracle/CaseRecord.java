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
 * 000 before: R8-R15 RDI RSI RBP RBX RDX RAX RCX RSP RIP RFLAGS, then two bytes each for CS, -, -, SS
 * 098 DS ES FS GS, two bytes each
 * 0A0 linear address of the code
 * 0C0 code, 64 bytes, to be filled up with INT3
 * 100 FXSAVE image, the first 416 bytes
 * 300 the windows of the data, 1280 bytes
 * 800 after: as before, then error code (8), vector (8), signal mask (8), CR2 (8)
 * 8B8 number of the signal
 * 8C0 DS ES FS GS, two bytes each, base of FS (8), base of GS (8)
 * 900 FXSAVE image
 * B00 windows
 * </pre>
 */
public final class CaseRecord {
    /** Bytes of a record. */
    public static final int SIZE = 0x1000;

    /** Bytes of its first part, the state before. */
    public static final int INPUT_SIZE = 0x800;

    /** Where the code starts, unless a case is about page ends. */
    public static final long CODE = AddressSpace.CODE + 0x800;

    public static final int CODE_SIZE = 64;
    public static final int FX_SIZE = 416;

    /** Segment registers by their numbers in instructions. */
    public static final int ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5;

    static final int IN_SEGMENTS = 0x98;
    static final int IN_CODE_ADDRESS = 0xA0;
    static final int IN_CODE = 0xC0;
    static final int IN_FX = 0x100;
    static final int IN_DATA = 0x300;
    static final int OUT = 0x800;
    static final int OUT_SIGNAL = 0x8B8;
    static final int OUT_SEGMENTS = 0x8C0;
    static final int OUT_FS_BASE = 0x8C8;
    static final int OUT_GS_BASE = 0x8D0;
    static final int OUT_FX = 0x900;
    static final int OUT_DATA = 0xB00;
    static final int REGISTERS = 152;
    static final int CONTEXT = 184;

    /** The virtual timer that ends cases which would run for ever. */
    static final int TIMER_SIGNAL = 26;

    private static final int RIP = 16;
    private static final int RFLAGS = 17;
    private static final int[] SLOTS = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};

    /** Where the selectors of ES, CS, SS, DS, FS, GS are before the case. */
    private static final int[] SELECTORS = {IN_SEGMENTS + 2, 144, 150, IN_SEGMENTS, IN_SEGMENTS + 4, IN_SEGMENTS + 6};

    private final MemorySegment segment;

    CaseRecord(MemorySegment segment) {
        this.segment = segment;
    }

    /** The whole state before. */
    public MemorySegment input() {
        return segment.asSlice(0, INPUT_SIZE);
    }

    /** Sets a general-purpose register, by its number in instructions. */
    public void setRegister(int number, long value) {
        segment.set(JAVA_LONG_UNALIGNED, SLOTS[number] * 8L, value);
    }

    /** A general-purpose register before. */
    public long register(int number) {
        return segment.get(JAVA_LONG_UNALIGNED, SLOTS[number] * 8L);
    }

    /** Sets RFLAGS. */
    public void setFlags(long flags) {
        segment.set(JAVA_LONG_UNALIGNED, RFLAGS * 8L, flags);
    }

    /** RFLAGS before. */
    public long flags() {
        return segment.get(JAVA_LONG_UNALIGNED, RFLAGS * 8L);
    }

    /** Sets a segment register's selector. */
    public void setSelector(int register, int selector) {
        segment.set(JAVA_SHORT_UNALIGNED, SELECTORS[register], (short) selector);
    }

    /** A selector before. */
    public int selector(int register) {
        return segment.get(JAVA_SHORT_UNALIGNED, SELECTORS[register]) & 0xFFFF;
    }

    /** Sets the code at a linear address and lets CS:RIP be its start; what follows becomes INT3. CS must be set. */
    public void setCode(long address, byte[] code) {
        segment.set(JAVA_LONG_UNALIGNED, IN_CODE_ADDRESS, address);
        segment.set(JAVA_LONG_UNALIGNED, RIP * 8L, address - AddressSpace.base(selector(CS)));
        segment.asSlice(IN_CODE, CODE_SIZE).fill((byte) 0xCC);
        MemorySegment.copy(code, 0, segment, JAVA_BYTE, IN_CODE, code.length);
    }

    /** The linear address of the code. */
    public long codeAddress() {
        return segment.get(JAVA_LONG_UNALIGNED, IN_CODE_ADDRESS);
    }

    /** RIP before. */
    public long rip() {
        return segment.get(JAVA_LONG_UNALIGNED, RIP * 8L);
    }

    /** The code with the INT3 behind it. */
    public MemorySegment code() {
        return segment.asSlice(IN_CODE, CODE_SIZE);
    }

    /** The windows before. */
    public MemorySegment data() {
        return segment.asSlice(IN_DATA, AddressSpace.WINDOW_BYTES);
    }

    /** The floating-point state before. */
    public MemorySegment fx() {
        return segment.asSlice(IN_FX, FX_SIZE);
    }

    /** A general-purpose register after. */
    public long registerAfter(int number) {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + SLOTS[number] * 8L);
    }

    /** A selector after. */
    public int selectorAfter(int register) {
        int at = register == CS || register == SS
                ? SELECTORS[register] + OUT
                : SELECTORS[register] - IN_SEGMENTS + OUT_SEGMENTS;
        return segment.get(JAVA_SHORT_UNALIGNED, at) & 0xFFFF;
    }

    /** The base of FS (or GS) after. */
    public long baseAfter(int register) {
        return segment.get(JAVA_LONG_UNALIGNED, register == FS ? OUT_FS_BASE : OUT_GS_BASE);
    }

    /** RIP after; behind the INT3 if the vector is 3. */
    public long ripAfter() {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + RIP * 8L);
    }

    /** RFLAGS after. */
    public long flagsAfter() {
        return segment.get(JAVA_LONG_UNALIGNED, OUT + RFLAGS * 8L);
    }

    /** The vector of the exception that ended the case: 3 if the code reached the INT3 behind it; -1 if it ran too long. */
    public int vector() {
        boolean stopped = segment.get(JAVA_INT_UNALIGNED, OUT_SIGNAL) == TIMER_SIGNAL;
        return stopped ? -1 : segment.get(JAVA_INT_UNALIGNED, OUT + 160);
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

    /** The windows after. */
    public MemorySegment dataAfter() {
        return segment.asSlice(OUT_DATA, AddressSpace.WINDOW_BYTES);
    }

    /** The floating-point state after. */
    public MemorySegment fxAfter() {
        return segment.asSlice(OUT_FX, FX_SIZE);
    }
}
