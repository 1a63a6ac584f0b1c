package org.torte.hypervisor.software;

/**
 * What the x87 and SIMD units may ask of the processor they are part of. Addresses are linear, with segmentation already
 * done; outside 64-bit code the processor ignores their upper 32 bits. Sizes are 1, 2, 4 or 8 bytes; values are
 * zero-extended. All of it throws {@link GuestFault} where the guest gets an exception.
 */
interface CpuContext {
    /** Reads memory with the current privilege. */
    long load(long address, int size);

    /** Writes memory with the current privilege. */
    void store(long address, int size, long value);

    /** Faults now if a later store to any of these {@code size} bytes (1 to 4096) would. */
    void checkStore(long address, int size);

    /** #AC if accesses with the current privilege must be aligned and this one of 8 or 16 bytes is not. */
    void checkAlignment(long address, int size);

    /** A general-purpose register, all 64 bits. */
    long gpr(int register);

    /** Sets all 64 bits of a general-purpose register. */
    void setGpr(int register, long value);

    /** Sets CF, PF, AF, ZF, SF and OF from their places in {@code flags} and leaves the others alone. */
    void setArithmeticFlags(int flags);

    /** CF, PF, AF, ZF, SF and OF at their places; the others read as 0. */
    int arithmeticFlags();

    long cr0();

    long cr4();

    /** Whether the processor executes 64-bit code. */
    boolean longMode();

    /** The current privilege level, 0 to 3. */
    int cpl();

    /** The offset in CS of the instruction that executes now: x87 instructions leave it for exception handlers. */
    long instructionPointer();

    /** The base address of a segment, numbered as in {@link org.torte.hypervisor.x86.Instruction#segment}. */
    long segmentBase(int segment);

    /** The selector of a segment, by the same numbers. */
    int selector(int segment);

    /** An exception to be thrown by the caller. */
    GuestFault fault(int vector, int errorCode);
}
