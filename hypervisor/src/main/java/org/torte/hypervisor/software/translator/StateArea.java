package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What translated code works on, outside the heap: the registers of one processor while it executes translated code, its
 * soft TLB and its jump cache, all for one privilege. Register r14 points to it; code that changes the privilege lets it
 * point to another one ({@link Crossings}).
 *
 * <pre>
 *   -808  what RDTSCP brings into RCX (4 bytes)                 -800  ticks that RDTSC is ahead of the clock
 *   -792  ticks per nanosecond ({@link TimeRoutine})
 *   -784  address of what the clock is ahead of the host's in nanoseconds; 0: interpret RDTSC
 *   -776  what IRET pops: RSP, -768 RFLAGS, -760 CS and SS (two bytes each), -752 RIP
 *   -744  address of a segment's descriptor  -736  the last place in the global table for one  -728  address of that table
 *   -720  the area of user mode
 *   -712  how often pages may be found in the soft TLB's second way (4 bytes)
 *   -704  for each chunk of slots 0 while none is used
 *   -640  base of GS that SWAPGS brings      -632  address of an int, 0 while no event is pending
 *   -624  where an STI has led to            -616  area that SYSCALL leads to; 0: interpret it
 *   -608  the same for SYSRET                -600  for STAC                         -592  for CLAC
 *   -584  instruction pointer of SYSCALL     -576  selectors of CS and SS after SYSCALL or SYSRET
 *   -568  system flags that SYSCALL keeps    -564  arithmetic flags that it keeps, as in -88
 *   -560  0 while code that uses the x87 must not execute: its registers are not in the host's
 *   -552  instruction pointer of the x87, -544 its data pointer, as code has left them behind: if the next two are not 0
 *   -536  its opcode, and X87_EXECUTED     -532  the segment of its operand plus 1
 *   -528  the address of the X87Image
 *   -512  XMM0 to XMM15
 *   -256  flags outside the arithmetic ones, and RESTRICTED to NULL_STACK     -248  selectors of ES to GS, two bytes each
 *   -224  RAX to R15
 *    -96  budget        instructions until the code must leave
 *    -88  flags         OF in bit 0, the low byte of RFLAGS above it
 *    -80  base of FS    -72 base of GS
 *    -64  site          where the code was left
 *    -56  scratch       address of a missing access, or whatever one instruction has to keep
 *    -48  entry         where the code is entered
 *    -40  MXCSR         -32 a second word of scratch
 *    -24  0 while code that uses XMM registers must not execute
 *      0  soft TLB      first way ({@link SoftTlb}), 4096 entries of 32 bytes: page for reads, page for writes, host's address
 *                       of the page, and that minus the page
 * 131072  jump cache    65536 entries of 16 bytes: instruction pointer, host's address of its code
 * 1179648 slots         4096 of 32 bytes ({@link PageSlots})
 * 1310720 soft TLB      second way
 * </pre>
 *
 * An empty entry of the jump cache holds an instruction pointer that belongs into another entry. Used by the processor's own thread, except for {@link #revokeWrite}.
 */
public final class StateArea {
    static final int SYSTEM = -256, SELECTORS = -248;
    static final int XMM = -512, GPR = -224, BUDGET = -96, FLAGS = -88, FS_BASE = -80, GS_BASE = -72;
    static final int SITE = -64, SCRATCH = -56, ENTRY = -48, MXCSR = -40, SCRATCH2 = -32, VECTORS = -24;
    static final int KERNEL_GS = -640, EVENTS = -632, SHADOW = -624;
    static final int SYSCALL_TO = -616, SYSRET_TO = -608, STAC_TO = -600, CLAC_TO = -592;
    static final int SYSCALL_TARGET = -584, NEW_SELECTORS = -576, KEPT_SYSTEM = -568, KEPT_FLAGS = -564;
    static final int USED_SLOTS = -704, FINDS_LEFT = -712;
    static final int USER = -720, DESCRIPTORS = -728, DESCRIPTORS_END = -736, DESCRIPTOR = -744;
    static final int RETURN_TO = -752, RETURN_CODE = -760, RETURN_FLAGS = -768, RETURN_STACK = -776;
    static final int CLOCK = -784, TICKS = -792, TICKS_AHEAD = -800, PROCESSOR = -808;
    static final int X87 = -560,
            X87_CODE = -552,
            X87_DATA = -544,
            X87_OPCODE = -536,
            X87_SEGMENT = -532,
            X87_IMAGE = -528;

    /** Beside the opcode: there has been one. */
    static final int X87_EXECUTED = 0x10000;

    static final int JUMP_CACHE = SoftTlb.WAY, JUMP_KEY = JUMP_CACHE, JUMP_CODE = JUMP_CACHE + 8;

    /** Beside the system flags: CLI and STI fault. */
    public static final int RESTRICTED = 1 << 31;

    /** Beside the system flags: the privilege level is not 0. */
    public static final int UNPRIVILEGED = 1 << 30;

    /** Beside the system flags: the instructions that access the bases of FS and GS do not exist. */
    public static final int NO_BASES = 1 << 29;

    /** Beside the system flags: code has executed SYSCALL, SYSRET or IRET, so that CS and SS are the selectors here, flat. */
    public static final int CROSSED = 1 << 28;

    /** Beside the system flags: code has changed bases of FS or GS. */
    public static final int BASES_CHANGED = 1 << 27;

    /** Beside the system flags: the next IRET lets NMIs through again. */
    public static final int NMI_BLOCKED = 1 << 26;

    /** Beside the system flags: IRET to user mode takes away a data segment. */
    public static final int PRIVILEGED_DATA = 1 << 25;

    /** Beside {@link #CROSSED}: SS is null instead. */
    public static final int NULL_STACK = 1 << 24;

    /** All that is beside the system flags. */
    static final int BESIDE =
            RESTRICTED | UNPRIVILEGED | NO_BASES | CROSSED | BASES_CHANGED | NMI_BLOCKED | PRIVILEGED_DATA | NULL_STACK;

    private static final int RF = 0x1_0000;
    private static final int AREAS = 3;
    private static final int BEFORE = 1024;

    /** No instruction pointer of the guest. */
    private static final long NOWHERE = Long.MIN_VALUE;

    static final int JUMP_ENTRIES = 65536;
    private static final int JUMP_SHIFT = 4;
    private static final int LONGEST_INSTRUCTION = 15;

    static final int SLOTS = JUMP_CACHE + (JUMP_ENTRIES << JUMP_SHIFT);
    private static final long SLOTS_SIZE = (long) PageSlots.COUNT << PageSlots.SHIFT;

    /** Where the soft TLB's second way begins. */
    static final int SECOND_WAY = SLOTS + (PageSlots.COUNT << PageSlots.SHIFT);

    private static final long SIZE = BEFORE + SECOND_WAY + SoftTlb.WAY;

    private final MemorySegment memory = Arena.ofAuto().allocate(SIZE, 4096);
    private final PageSlots slots = new PageSlots(
            memory.asSlice(BEFORE + SLOTS, SLOTS_SIZE), memory.asSlice(BEFORE + USED_SLOTS, PageSlots.CHUNKS));
    private final SoftTlb tlb = new SoftTlb(
            memory.asSlice(BEFORE, SoftTlb.WAY),
            memory.asSlice(BEFORE + SECOND_WAY, SoftTlb.WAY),
            memory.asSlice(BEFORE + FINDS_LEFT, 4));
    private final StateArea[] all;

    /** The x87 registers of the processor, the same for all its areas. */
    public final X87Image x87;

    /** Whether the slots are to be dropped before code executes. */
    private volatile boolean stale;

    private final SlotSet localJumps = new SlotSet(JUMP_ENTRIES);
    private final PageFilter jumpPages = new PageFilter();
    private boolean usedJumps = true;

    private StateArea(StateArea[] all, MemorySegment events, X87Image x87) {
        this.all = all;
        this.x87 = x87;
        put(X87_IMAGE, x87.address());
        put(EVENTS, events.address());
        put(SHADOW, NOWHERE);
        flushJumps();
    }

    /**
     * The areas of one processor, one for each privilege.
     *
     * @param events an aligned int, which whoever wants something from the processor makes other than 0; stays the caller's
     */
    public static List<StateArea> create(MemorySegment events) {
        StateArea[] all = new StateArea[AREAS];
        X87Image x87 = new X87Image();
        for (int i = 0; i < AREAS; i++) {
            all[i] = new StateArea(all, events, x87);
        }
        return List.of(all);
    }

    /** The one of the same processor that r14 pointed to. */
    StateArea at(long address) {
        for (StateArea area : all) {
            if (area.address() == address) {
                return area;
            }
        }
        throw new AssertionError("r14 was " + address);
    }

    /** What register r14 is. */
    public long address() {
        return memory.address() + BEFORE;
    }

    // ---- registers

    /** Takes the sixteen general registers from the start of an array. */
    public void loadGeneral(long[] registers) {
        MemorySegment.copy(registers, 0, memory, JAVA_LONG, BEFORE + GPR, 16);
    }

    /** Takes the bases of FS and GS, and the one that SWAPGS brings. */
    public void loadBases(long fs, long gs, long kernelGs) {
        put(FS_BASE, fs);
        put(GS_BASE, gs);
        put(KERNEL_GS, kernelGs);
    }

    public long fsBase() {
        return get(FS_BASE);
    }

    public long gsBase() {
        return get(GS_BASE);
    }

    public long kernelGsBase() {
        return get(KERNEL_GS);
    }

    /** Gives the sixteen general registers to the start of an array. */
    public void storeGeneral(long[] registers) {
        MemorySegment.copy(memory, JAVA_LONG, BEFORE + GPR, registers, 0, 16);
    }

    /** Takes the flags outside the arithmetic ones and what is beside them. */
    public void setSystem(int flags) {
        memory.set(JAVA_INT, BEFORE + SYSTEM, flags);
    }

    /** What {@link #setSystem} set, as code has changed it. */
    public int system() {
        return memory.get(JAVA_INT, BEFORE + SYSTEM);
    }

    /** Takes the selectors of ES, CS, SS, DS, FS and GS. */
    public void loadSelectors(int[] selectors) {
        put(
                SELECTORS,
                selectors[0] | (long) selectors[1] << 16 | (long) selectors[2] << 32 | (long) selectors[3] << 48);
        put(SELECTORS + 8, selectors[4] | (long) selectors[5] << 16);
    }

    /** The selector of a segment. */
    public int selector(int segment) {
        return memory.get(JAVA_SHORT, BEFORE + SELECTORS + 2L * segment) & 0xffff;
    }

    /**
     * Lets code execute SYSCALL by itself.
     *
     * @param to where it leads, or null to have it interpreted
     * @param target its instruction pointer
     * @param mask the flags that it clears
     */
    public void setSystemCall(@Nullable StateArea to, long target, int codeSelector, int stackSelector, int mask) {
        put(SYSCALL_TO, to == null ? 0 : to.address());
        put(SYSCALL_TARGET, target);
        put(NEW_SELECTORS, codeSelector | (long) stackSelector << 16);
        memory.set(JAVA_INT, BEFORE + KEPT_SYSTEM, ~(mask & ~BESIDE | RF | RESTRICTED | UNPRIVILEGED));
        memory.set(JAVA_INT, BEFORE + KEPT_FLAGS, word(~mask));
    }

    /** Lets code execute SYSRET by itself; null for {@code to} to have it interpreted. */
    public void setSystemReturn(@Nullable StateArea to, int codeSelector, int stackSelector) {
        put(SYSRET_TO, to == null ? 0 : to.address());
        put(NEW_SELECTORS, codeSelector | (long) stackSelector << 16);
    }

    /** Lets code execute IRET by itself. */
    public void setInterruptReturn(StateArea user, long descriptors, int limit) {
        put(USER, user.address());
        put(DESCRIPTORS, descriptors);
        put(DESCRIPTORS_END, (limit & 0xffff_ffffL) - 7);
    }

    /** Lets code execute STAC and CLAC by itself, and says where they lead, which may be here. */
    public void setUserAccess(StateArea open, StateArea closed) {
        put(STAC_TO, open.address());
        put(CLAC_TO, closed.address());
    }

    /**
     * Lets code execute RDTSC and RDTSCP by itself.
     *
     * @param clock how far the clock is ahead of {@link System#nanoTime}, or {@link Long#MIN_VALUE} for not known now; stays the
     *     caller's. Null to have them interpreted
     * @param ticks per nanosecond, with {@link Translator#TICKS_SHIFT} fraction bits
     * @param ahead ticks to be added
     * @param processor what RDTSCP brings into RCX
     */
    public void setTime(@Nullable MemorySegment clock, long ticks, long ahead, int processor) {
        put(CLOCK, clock == null ? 0 : clock.address());
        put(TICKS, ticks);
        put(TICKS_AHEAD, ahead);
        memory.set(JAVA_INT, BEFORE + PROCESSOR, processor);
    }

    /** Whether an STI has just led to this instruction pointer, so that no event may come before the instruction there. */
    public boolean takeShadow(long rip) {
        boolean there = get(SHADOW) == rip;
        if (there) {
            put(SHADOW, NOWHERE);
        }
        return there;
    }

    /** Takes XMM0 to XMM15 and MXCSR. */
    public void loadVectors(long[] xmm, int mxcsr) {
        MemorySegment.copy(xmm, 0, memory, JAVA_LONG, BEFORE + XMM, 32);
        memory.set(JAVA_INT, BEFORE + MXCSR, mxcsr);
    }

    /** Says whether code that uses XMM registers may execute. */
    public void setVectors(boolean usable) {
        put(VECTORS, usable ? 1 : 0);
    }

    /** Says whether code finds its x87 registers in the host's; what it leaves behind about instructions starts anew. */
    void setX87(boolean there) {
        put(X87, there ? 1 : 0);
        memory.set(JAVA_INT, BEFORE + X87_OPCODE, 0);
        memory.set(JAVA_INT, BEFORE + X87_SEGMENT, 0);
    }

    /** The address of the last x87 instruction that is recorded. */
    public long x87CodePointer() {
        return get(X87_CODE);
    }

    /** Its 11 bits of opcode, or -1 if none has been executed since the registers were loaded. */
    public int x87Opcode() {
        int word = memory.get(JAVA_INT, BEFORE + X87_OPCODE);
        return word == 0 ? -1 : word & 0x7ff;
    }

    /** The offset of the last operand in memory. */
    public long x87DataPointer() {
        return get(X87_DATA);
    }

    /** The number of its segment, or -1 if there has been none. */
    public int x87DataSegment() {
        return memory.get(JAVA_INT, BEFORE + X87_SEGMENT) - 1;
    }

    /** Gives XMM0 to XMM15. */
    public void storeVectors(long[] xmm) {
        MemorySegment.copy(memory, JAVA_LONG, BEFORE + XMM, xmm, 0, 32);
    }

    public int mxcsr() {
        return memory.get(JAVA_INT, BEFORE + MXCSR);
    }

    /** Takes CF, PF, AF, ZF, SF and OF from their places in RFLAGS. */
    public void setFlags(int flags) {
        memory.set(JAVA_SHORT, BEFORE + FLAGS, (short) word(flags));
    }

    /** What LAHF and SETO make of flags. */
    private static int word(int flags) {
        return flags >> 11 & 1 | (flags & 0xd5 | 2) << 8;
    }

    /** CF, PF, AF, ZF, SF and OF at their places in RFLAGS. */
    public int flags() {
        int word = memory.get(JAVA_SHORT, BEFORE + FLAGS);
        return (word & 1) << 11 | word >> 8 & 0xd5;
    }

    public long budget() {
        return get(BUDGET);
    }

    public void setBudget(long instructions) {
        put(BUDGET, instructions);
    }

    /** The host's address just behind the call that left the code: the site's data. */
    public long site() {
        return get(SITE);
    }

    /** The linear address of the access that missed. */
    public long missing() {
        return get(SCRATCH);
    }

    private long get(int offset) {
        return memory.get(JAVA_LONG, BEFORE + offset);
    }

    private void put(int offset, long value) {
        memory.set(JAVA_LONG, BEFORE + offset, value);
    }

    // ---- the soft TLB

    /**
     * Enters a page: linear address, the host's address behind it, whether it may be written, and whether {@link
     * #flushLocal} drops it.
     */
    public void enter(long page, long host, boolean writable, boolean local) {
        tlb.enter(page, host, writable, local);
    }

    /** Makes a page found faster that code may access like this already; tells whether there is one. */
    public boolean promote(long page, boolean store) {
        return tlb.promote(page, store);
    }

    /** Forgets one page, and the jumps to it. */
    public void flushPage(long address) {
        stale = true;
        tlb.dropPage(address);
        if (jumpPages.mayContain(address)) {
            dropJumps(address);
        }
    }

    /** Forgets all pages and all of the jump cache. */
    public void flush() {
        stale = true;
        tlb.flush();
        flushJumps();
    }

    /** Forgets the pages and the jumps that were entered as local. */
    public void flushLocal() {
        stale = true;
        tlb.flushLocal();
        localJumps.drain(this::dropJump);
    }

    /** Withdraws all permissions to write. */
    public void flushWrites() {
        stale = true;
        tlb.flushWrites();
    }

    /**
     * Withdraws the permission to write a page at this host address; by any thread. Tells whether there was one, in which case
     * code may be about to use it, and to put it into a slot, until it leaves for the next time.
     */
    public boolean revokeWrite(long host) {
        boolean found = tlb.revokeWrite(host);
        // Slots are filled from entries: who no longer finds one in the soft TLB finds the slots that it was taken
        // into.
        VarHandle.fullFence();
        if (slots.revokeWrite(host) || found) {
            found = true;
            stale = true;
        }
        return found;
    }

    /** To be called before code executes: drops the slots of all privileges if anything has been dropped since. */
    void settle() {
        for (StateArea area : all) {
            if (area.stale) {
                area.stale = false;
                area.slots.drop();
            }
        }
    }

    /** Whether an access at a slot ({@link Site#slot}) misses so often that it should not use one; {@code executed} so far. */
    public boolean isRestless(int slot, long executed) {
        return slots.isRestless(slot, executed);
    }

    // ---- the jump cache

    static int jumpEntry(long rip) {
        return (int) ((rip ^ (rip & 0xffffffffL) >>> 5) & JUMP_ENTRIES - 1) << JUMP_SHIFT;
    }

    /** Enters the host's address of the code at an instruction pointer, whose first instruction may go on into the next page. */
    void putJump(long rip, long code, boolean local) {
        usedJumps = true;
        localJumps.set(jumpEntry(rip) >> JUMP_SHIFT, local);
        jumpPages.add(rip);
        jumpPages.add(rip + LONGEST_INSTRUCTION - 1);
        int entry = BEFORE + jumpEntry(rip);
        memory.set(JAVA_LONG, entry + JUMP_KEY, rip);
        memory.set(JAVA_LONG, entry + JUMP_CODE, code);
    }

    private void dropJump(int slot) {
        memory.set(JAVA_LONG, BEFORE + JUMP_KEY + ((long) slot << JUMP_SHIFT), slot == 0 ? 1 : 0);
    }

    /** Drops the jumps to all code that may have bytes in the page of an address. */
    private void dropJumps(long address) {
        long page = address & -4096;
        for (long rip = page - (LONGEST_INSTRUCTION - 1); rip != page + 4096; rip++) {
            int entry = jumpEntry(rip);
            if (memory.get(JAVA_LONG, BEFORE + JUMP_KEY + entry) == rip) {
                dropJump(entry >> JUMP_SHIFT);
            }
        }
    }

    /** Empties the jump cache. */
    public void flushJumps() {
        if (usedJumps) {
            memory.asSlice(BEFORE + JUMP_CACHE, (long) JUMP_ENTRIES << JUMP_SHIFT)
                    .fill((byte) 0);
            memory.set(JAVA_LONG, BEFORE + JUMP_KEY, 1);
            localJumps.clear();
            jumpPages.clear();
            usedJumps = false;
        }
    }

    static {
        // Slot 0 is where instruction pointer 0 belongs, and 1 does not.
        assert jumpEntry(0) == 0 && jumpEntry(1) != 0;
    }
}
