package org.torte.hypervisor.software.translator;

/**
 * A place where translated code is left: what stands behind the call in its cold stub, copied out.
 *
 * <pre>
 *  0 number of the translation   4 kind          8 where to go on          12 where to go on after the instruction
 * 16 instruction's distance from the block's start in bytes                20 instructions done but not counted yet
 * 24 target of a jump (for LOST and CROSSED only the state knows it); or the size of an access, with 100H for a store and 200H if
 *    it must be aligned, from bit 16 the number of its instruction, from bit 32 its slot's offset in the state or 0; or the
 *    number of the instruction to interpret (8 bytes)
 * </pre>
 *
 * One object for each processor, filled anew at every exit.
 */
public final class Site {
    static final int SIZE = 32;

    /** Why code is left. */
    public static final int MISSING = 0, INTERPRET = 1, BUDGET = 2, CHAIN = 3, JUMP = 4;

    /** Code is left because it uses XMM registers, which it must not: the block has to be interpreted. */
    public static final int VECTORS = 5;

    /** How many kinds there are. */
    public static final int KINDS = 9;

    /** Code is left because the jump cache does not know where an indirect branch goes. */
    public static final int LOST = 6;

    /** Code is left because the jump cache does not know where SYSCALL, SYSRET or IRET has led; only the state knows it. */
    public static final int CROSSED = 7;

    /** Code is left because it uses the x87, whose registers are not in the host's: it goes on when they are. */
    public static final int X87 = 8;

    static final int STORE = 0x100, WHOLE = 0x200, INDEX_SHIFT = 16, SLOT_SHIFT = 32;

    /** The translation's number. */
    int translation;

    /** One of the constants. */
    public int kind;

    /** Where code goes on when what was missing is there; for CHAIN the place of the jump's displacement. */
    public int resume;

    /** Where code goes on after the instruction has been interpreted; 0: it is the block's last. */
    public int next;

    /** The instruction's distance from the start of its block in bytes. */
    public int offset;

    /** Instructions of the block that were executed, minus those that the budget was charged for. */
    public int uncounted;

    /** For CHAIN and JUMP the instruction pointer to go on at. */
    public long target;

    /** For MISSING: bytes of the access. */
    public int accessSize() {
        return (int) target & 0xff;
    }

    /** For MISSING: the number of the instruction in its block. */
    public int instruction() {
        return (int) target >> INDEX_SHIFT;
    }

    /** For MISSING: the slot of the access, for {@link StateArea#isRestless}; 0 if it has none. */
    public int slot() {
        return (int) (target >>> SLOT_SHIFT);
    }

    /** For MISSING: whether it is a store. */
    public boolean isStore() {
        return (target & STORE) != 0;
    }

    /** For MISSING: whether an access at this address has to be interpreted because it must be aligned and is not. */
    public boolean isMisaligned(long address) {
        return (target & WHOLE) != 0 && (address & accessSize() - 1) != 0;
    }

    /** Writes what stands behind the call of an exit. */
    static void write(
            Assembler to, int translation, int kind, int resume, int next, int offset, int uncounted, long target) {
        to.four(translation);
        to.four(kind);
        to.four(resume);
        to.four(next);
        to.four(offset);
        to.four(uncounted);
        to.eight(target);
    }

    void read(CodeMemory memory, int at) {
        long first = memory.readLong(at);
        translation = (int) first;
        kind = (int) (first >>> 32);
        long second = memory.readLong(at + 8);
        resume = (int) second;
        next = (int) (second >>> 32);
        long third = memory.readLong(at + 16);
        offset = (int) third;
        uncounted = (int) (third >>> 32);
        target = memory.readLong(at + 24);
    }
}
