package org.torte.hypervisor.software;

import org.torte.base.Timers;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.shared.Msrs;

/**
 * The architectural state of one processor. Fields are plain: only the processor's own thread touches them while it
 * runs. Whoever changes what decides privilege, code size or paging calls {@link #modeChanged} or {@link #setCpl}, which
 * keep everything derived from it (block key, TLB, event mask) in step.
 */
final class Cpu implements CpuContext {
    /** General-purpose registers by number. */
    static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;

    /** Slots of {@link #r} behind the 16 general-purpose registers: a constant zero and three temporaries. */
    static final int ZERO = 16, T0 = 17, T1 = 18, T2 = 19;

    /** Slot of {@link #r} with the instruction pointer at the start of the executing block. */
    static final int START = 20;

    /** Slot of {@link #r} with the base of segment 0; the others follow in the order of {@link CpuState#segments}. */
    static final int BASE = 24;

    static final int ES = 0, CS = 1, SS = 2, DS = 3, FS = 4, GS = 5, LDTR = 6, TR = 7;
    static final int TF = 0x100, IF = 0x200, DF = 0x400, IOPL = 0x3000, NT = 0x4000, RF = 0x1_0000, VM = 0x2_0000;
    static final int AC = 0x4_0000, VIF = 0x8_0000, VIP = 0x10_0000, ID = 0x20_0000;
    static final long CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 0x10, CR0_NE = 0x20, CR0_WP = 0x1_0000;
    static final long CR0_AM = 0x4_0000, CR0_NW = 0x2000_0000, CR0_CD = 0x4000_0000, CR0_PG = 0x8000_0000L;
    static final long CR4_VME = 1, CR4_PVI = 2, CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 0x10, CR4_PAE = 0x20, CR4_MCE = 0x40;
    static final long CR4_PGE = 0x80, CR4_PCE = 0x100, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400, CR4_UMIP = 0x800;
    static final long CR4_FSGSBASE = 0x1_0000, CR4_PCIDE = 0x2_0000, CR4_OSXSAVE = 0x4_0000, CR4_SMEP = 0x10_0000;
    static final long CR4_SMAP = 0x20_0000, CR4_PKE = 0x40_0000;
    static final long EFER_SCE = 1, EFER_LME = 0x100, EFER_LMA = 0x400, EFER_NXE = 0x800;

    /** Attributes of a segment as in {@link CpuState.Segment}. */
    static final int ATTRIBUTE_P = 0x80, ATTRIBUTE_S = 0x10, ATTRIBUTE_L = 0x2000, ATTRIBUTE_DB = 0x4000;

    // ---- block keys: what else than its bytes decides how code is decoded
    static final int MODE_16 = 0, MODE_32 = 1, MODE_64 = 2, MODE_SIZE = 3;

    /** The stack segment is 32-bit (outside 64-bit mode). */
    static final int MODE_STACK_32 = 4;

    /** Blocks of one instruction: single-stepping and the instruction after STI or MOV SS. */
    static final int MODE_SINGLE = 8;

    /** The code segment's limit is below what its size of code can address, so branches must look at it. */
    static final int MODE_LIMITED = 16;

    /** Registers and the slots behind them. */
    final long[] r = new long[32];

    /** The instruction pointer: the next instruction between blocks, the current one while an instruction executes. */
    long rip;

    /** Where the instruction that {@link Executor} executes begins. */
    long current;

    final Alu alu = new Alu();

    /** TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID at their places; change IF by {@link #setSystemFlags} only. */
    int systemFlags;

    // ---- segments; bases are in r[BASE + n]
    final int[] selector = new int[8];

    /** Limits in bytes, to be compared as unsigned numbers. */
    final int[] limit = new int[8];

    final int[] attributes = new int[8];

    long gdtBase;
    int gdtLimit;
    long idtBase;
    int idtLimit;

    long cr0;
    long cr2;
    long cr3;
    long cr4;
    long efer;
    final long[] dr = {0, 0, 0, 0, 0, 0, 0xffff0ff0L, 0x400};

    /** Current privilege level, 0 to 3. */
    int cpl;

    // ---- model-specific registers that instructions use
    long star;
    long lstar;
    long cstar;
    long sfmask;
    long kernelGsBase;
    long tscAux;
    long sysenterCs;
    long sysenterEsp;
    long sysenterEip;

    /** What decides decoding of the next block: MODE bits. */
    int mode = MODE_16;

    /** Interrupts stay off until one more instruction has executed (STI, MOV SS). */
    boolean interruptShadow;

    /** NMIs are blocked until the next IRET. */
    boolean nmiBlocked;

    /** Bits of DR6 for a trap that is due before the next instruction. */
    int pendingTrap;

    /** HLT or MWAIT: nothing executes until an event. */
    boolean halted;

    /** An application processor before SIPI, or any processor after INIT. */
    boolean waitingForStartup;

    /** The code segment that the jump caches are filled for, outside 64-bit mode. */
    private long jumpBase;

    private int jumpLimit;

    /** The page directory pointers of PAE paging, loaded with CR3. */
    final long[] pdpte = new long[4];

    final GuestFault fault = new GuestFault();
    final FpuState fpu = new FpuState();
    final Msrs msrs = new Msrs();
    final Events events = new Events();
    final Trail trail = new Trail();
    final Breakpoints breakpoints = new Breakpoints(this);
    final Mmu mmu;
    final TimeStampCounter tsc;
    final LocalApic apic;

    /** Its number in the partition. */
    final int index;

    Cpu(int index, PhysicalMemory memory, InterruptRouter router, Timers timers, long tscFrequency) {
        this.index = index;
        tsc = new TimeStampCounter(timers.clock(), tscFrequency);
        apic = new LocalApic(index, router, events, timers, tsc);
        mmu = new Mmu(this, memory);
        reset(true);
    }

    /**
     * The state after power-up or RESET, or after INIT, which keeps the floating-point unit, cache control, TSC and most
     * MSRs (Intel SDM vol. 3, table 10-1).
     */
    void reset(boolean powerUp) {
        java.util.Arrays.fill(r, 0);
        alu.setFlags(0);
        systemFlags = 0;
        r[RDX] = 0x0A20F12; // the processor's signature, as after its self-test
        rip = 0xfff0;
        for (int s = 0; s < 8; s++) {
            selector[s] = 0;
            limit[s] = 0xffff;
            attributes[s] = s == CS ? 0x9b : s == LDTR ? 0x82 : s == TR ? 0x8b : 0x93;
        }
        selector[CS] = 0xf000;
        r[BASE + CS] = 0xffff0000L;
        gdtBase = 0;
        gdtLimit = 0xffff;
        idtBase = 0;
        idtLimit = 0xffff;
        cr0 = powerUp ? CR0_ET | CR0_NW | CR0_CD : cr0 & (CR0_NW | CR0_CD) | CR0_ET;
        cr2 = 0;
        cr3 = 0;
        cr4 = 0;
        efer = 0;
        java.util.Arrays.fill(dr, 0, 4, 0);
        dr[6] = 0xffff0ff0L;
        dr[7] = 0x400;
        interruptShadow = false;
        nmiBlocked = false;
        pendingTrap = 0;
        halted = false;
        waitingForStartup = index != 0;
        java.util.Arrays.fill(pdpte, 0);
        if (powerUp) {
            star = lstar = cstar = sfmask = kernelGsBase = tscAux = 0;
            sysenterCs = sysenterEsp = sysenterEip = 0;
            tsc.reset();
            msrs.reset();
            fpu.reset();
        }
        if (powerUp) {
            apic.reset();
        } else {
            apic.init();
        }
        setCpl(0);
        mmu.flush();
        modeChanged();
    }

    // ---- what changes together

    /** Recomputes the block key after a change of CS, SS, CR0, EFER or RFLAGS.VM. */
    void modeChanged() {
        int next;
        if ((efer & EFER_LMA) != 0 && (attributes[CS] & ATTRIBUTE_L) != 0) {
            next = MODE_64;
        } else {
            boolean wide = (attributes[CS] & ATTRIBUTE_DB) != 0;
            boolean limited = Integer.compareUnsigned(limit[CS], wide ? -1 : 0xffff) < 0;
            next = (wide ? MODE_32 : MODE_16)
                    | ((attributes[SS] & ATTRIBUTE_DB) != 0 ? MODE_STACK_32 : 0)
                    | (limited ? MODE_LIMITED : 0);
        }
        boolean moved = next != MODE_64 && (r[BASE + CS] != jumpBase || limit[CS] != jumpLimit);
        if (next != mode || moved) {
            mode = next;
            jumpBase = r[BASE + CS];
            jumpLimit = limit[CS];
            mmu.flushJumpCache();
        }
        updateMask();
    }

    /** Makes everything derived follow after registers were replaced from outside. */
    void stateReplaced() {
        // Privilege is that of the stack segment in protected mode (Intel SDM vol. 3, section 5.5).
        setCpl(!protectedMode() ? 0 : virtual8086() ? 3 : attributes[SS] >> 5 & 3);
        updateMask();
        mmu.flush();
        modeChanged();
    }

    /** Sets the current privilege level. */
    void setCpl(int level) {
        cpl = level;
        mmu.setPrivilege(privilege(level), (systemFlags & AC) != 0 && (cr0 & CR0_AM) != 0);
    }

    /** Begins or ends the time in which supervisors may access user pages (STAC, CLAC). */
    void setAlignmentCheck(boolean on) {
        systemFlags = on ? systemFlags | AC : systemFlags & ~AC;
        setCpl(cpl);
    }

    /**
     * On whose behalf a frame is pushed on a stack of level {@code level}: AC counts only while a supervisor already
     * executes.
     */
    Mmu.Privilege pushPrivilege(int level) {
        return level == 3 || cpl < 3 ? privilege(level) : Mmu.Privilege.SUPERVISOR;
    }

    private Mmu.Privilege privilege(int level) {
        if (level == 3) {
            return Mmu.Privilege.USER;
        }
        boolean open = (systemFlags & AC) != 0 && (cr4 & CR4_SMAP) != 0;
        return open ? Mmu.Privilege.SUPERVISOR_OPEN : Mmu.Privilege.SUPERVISOR;
    }

    /** Sets all flags outside the arithmetic ones. */
    void setSystemFlags(int flags) {
        boolean alignment = ((flags ^ systemFlags) & AC) != 0;
        systemFlags = flags & (TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID);
        if (alignment) {
            setCpl(cpl);
        }
        if ((flags & TF) != 0) {
            events.attention = true; // from the next instruction on, one at a time
        }
        updateMask();
    }

    private void updateMask() {
        events.setMask((systemFlags & IF) != 0 && !interruptShadow, !interruptShadow && !nmiBlocked);
    }

    /** Begins or ends the time in which NMIs wait: from the delivery of one to the next IRET. */
    void setNmiBlocked(boolean on) {
        nmiBlocked = on;
        updateMask();
    }

    /** The debug registers have changed. */
    void breakpointsChanged() {
        mmu.flush();
        events.attention = true;
    }

    /** Begins or ends the one instruction after STI or MOV SS in which interrupts stay off. */
    void setInterruptShadow(boolean on) {
        interruptShadow = on;
        events.attention |= on; // that instruction is executed alone
        updateMask();
    }

    // ---- questions

    boolean protectedMode() {
        return (cr0 & CR0_PE) != 0;
    }

    boolean virtual8086() {
        return (systemFlags & VM) != 0;
    }

    /** Real-address mode or virtual-8086 mode: selectors are paragraphs. */
    boolean realSegments() {
        return !protectedMode() || virtual8086();
    }

    /** EFER.LMA: long mode is active (64-bit or compatibility mode). */
    boolean longModeActive() {
        return (efer & EFER_LMA) != 0;
    }

    int iopl() {
        return systemFlags >> 12 & 3;
    }

    /** RFLAGS with the bit that always reads as one. */
    int flags() {
        return alu.flags() | systemFlags | 2;
    }

    /** Sets all of RFLAGS without any checks. */
    void setFlags(int flags) {
        alu.setFlags(flags);
        setSystemFlags(flags);
    }

    // ---- CpuContext

    @Override
    public boolean longMode() {
        return (mode & MODE_SIZE) == MODE_64;
    }

    @Override
    public long load(long address, int size) {
        return mmu.load(address, size);
    }

    @Override
    public void store(long address, int size, long value) {
        mmu.store(address, size, value);
    }

    @Override
    public void checkStore(long address, int size) {
        mmu.checkStore(address, size);
    }

    @Override
    public void checkAlignment(long address, int size) {
        mmu.checkAlignment(address, size);
    }

    @Override
    public int selector(int segment) {
        return selector[segment];
    }

    @Override
    public long gpr(int register) {
        return r[register];
    }

    @Override
    public void setGpr(int register, long value) {
        r[register] = value;
    }

    @Override
    public void setArithmeticFlags(int flags) {
        alu.setFlags(flags);
    }

    @Override
    public int arithmeticFlags() {
        return alu.flags();
    }

    @Override
    public long cr0() {
        return cr0;
    }

    @Override
    public long cr4() {
        return cr4;
    }

    @Override
    public long segmentBase(int segment) {
        return longMode() && segment < FS ? 0 : r[BASE + segment];
    }

    @Override
    public int cpl() {
        return cpl;
    }

    @Override
    public long instructionPointer() {
        return current;
    }

    @Override
    public GuestFault fault(int vector, int errorCode) {
        return fault.with(vector, errorCode);
    }

    /** A general-protection fault with an error code, to be thrown. */
    GuestFault gp(int errorCode) {
        return fault.with(GuestFault.GP, errorCode);
    }
}
