package org.torte.hypervisor;

/**
 * The architectural registers of one processor that boot protocols, debuggers and crash reports deal with, as plain
 * mutable fields. Saving a machine does not go through here ({@link Partition#save} does that, with everything).
 */
public final class CpuState {
    /** Numbers of {@link #gpr}. */
    public static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;

    /** Numbers of {@link #segments}. */
    public static final int ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;

    /**
     * A segment register with its hidden part.
     *
     * @param selector the 16-bit selector
     * @param base linear base address
     * @param limit highest valid offset in bytes, already scaled by the granularity bit
     * @param attributes bits 8 to 15 and 20 to 23 of a descriptor's upper half, moved down by 8: type 0-3, S 4, DPL 5-6,
     *     P 7, AVL 12, L 13, D/B 14, G 15
     */
    public record Segment(int selector, long base, int limit, int attributes) {}

    /** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15. */
    public final long[] gpr = new long[16];

    /** The instruction pointer (an offset in CS). */
    public long rip;

    /** The flags register; bit 1 always reads as set. */
    public long rflags = 2;

    /** ES, CS, SS, DS, FS, GS, LDTR, TR. */
    public final Segment[] segments = new Segment[8];

    /** Global descriptor table. */
    public long gdtBase;

    /** Limit of the global descriptor table in bytes minus one. */
    public int gdtLimit;

    /** Interrupt descriptor table. */
    public long idtBase;

    /** Limit of the interrupt descriptor table in bytes minus one. */
    public int idtLimit;

    /** Control registers. */
    public long cr0, cr2, cr3, cr4, cr8;

    /** Extended feature enable register. */
    public long efer;
}
