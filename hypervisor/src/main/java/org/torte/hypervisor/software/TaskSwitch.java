package org.torte.hypervisor.software;

/** Hardware task switches (Intel SDM vol. 3, chapter 9). They do not exist in long mode. */
final class TaskSwitch {
    /** What switches tasks: it decides about busy bits, the NT flag and the back link. */
    enum Cause {
        JUMP,
        CALL,
        RETURN,
        /** An interrupt or exception through a task gate; nests like a call. */
        EVENT
    }

    private static final int LINK = 0;

    /** The type bit of a task state segment in use. */
    private static final int BUSY = 2;

    /** Sizes less one that a task state segment must have at least. */
    private static final int LIMIT_32 = 0x67, LIMIT_16 = 0x2b;

    /** Where a 32-bit task state segment has CR3, EIP, EFLAGS, EAX, ES, LDT and the debug trap flag. */
    private static final int CR3 = 28, EIP = 32, EFLAGS = 36, EAX = 40, ES = 72, LDT = 96, TRAP = 100;

    /** Where a 16-bit one has IP, FLAGS, AX, ES and LDT. */
    private static final int IP_16 = 14, FLAGS_16 = 16, AX_16 = 18, ES_16 = 34, LDT_16 = 42;

    private static final int DR6_TASK = 0x8000;

    private final Cpu cpu;
    private final long[] r;
    private final Mmu mmu;
    private final Segmentation segmentation;
    private final Interrupts interrupts;

    TaskSwitch(Cpu cpu, Segmentation segmentation, Interrupts interrupts) {
        this.cpu = cpu;
        r = cpu.r;
        mmu = cpu.mmu;
        this.segmentation = segmentation;
        this.interrupts = interrupts;
    }

    /** Switches through a task gate, whose own checks are done, for JMP or CALL. */
    void throughGate(long gate, Cause cause) {
        to(gateTarget(gate), cause, GuestFault.GP, cpu.flags(), false, 0);
    }

    /** Switches to a task state segment for JMP or CALL. */
    void direct(int selector, Cause cause) {
        to(selector, cause, GuestFault.GP, cpu.flags(), false, 0);
    }

    /** Delivers an event through a task gate of the IDT. */
    void event(long gate, int savedFlags, boolean hasCode, int code) {
        to(gateTarget(gate), Cause.EVENT, GuestFault.GP, savedFlags, hasCode, code);
    }

    /** IRET with NT set: switches to the task in the back link. */
    void returnToPrevious() {
        int selector = (int) mmu.loadSystem(r[Cpu.BASE + Cpu.TR] + LINK, 2);
        if ((selector & 4) != 0 || (selector & 0xfffc) == 0) {
            throw cpu.fault(GuestFault.TS, selector & 0xfffc);
        }
        to(selector, Cause.RETURN, GuestFault.TS, cpu.flags() & ~Cpu.NT, false, 0);
    }

    private int gateTarget(long gate) {
        int selector = (int) (gate >>> 16) & 0xffff;
        if ((selector & 4) != 0 || (selector & 0xfffc) == 0) {
            throw cpu.gp(selector & 0xfffc);
        }
        return selector;
    }

    /**
     * Switches to the task of a TSS descriptor in the GDT. {@link Cpu#rip} is where the old task will go on. A fault
     * before the new task's state is loaded leaves everything as it was; a later one belongs to the new task and is
     * delivered in it from here.
     *
     * @param vector the exception for a descriptor that does not fit
     */
    private void to(int selector, Cause cause, int vector, int savedFlags, boolean hasCode, int code) {
        int error = selector & 0xfffc;
        long descriptor = segmentation.descriptor(selector, vector);
        int type = Segmentation.type(descriptor);
        int plain = type & ~BUSY;
        boolean fits = Segmentation.isSystem(descriptor)
                && (plain == Segmentation.TYPE_TSS_AVAILABLE || plain == Segmentation.TYPE_TSS_16_AVAILABLE)
                && (type & BUSY) != 0 == (cause == Cause.RETURN);
        if (!fits) {
            throw cpu.fault(vector, error);
        }
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        boolean wide = plain == Segmentation.TYPE_TSS_AVAILABLE;
        if (Integer.compareUnsigned(Segmentation.limit(descriptor), wide ? LIMIT_32 : LIMIT_16) < 0) {
            throw cpu.fault(GuestFault.TS, error);
        }
        long base = Segmentation.base(descriptor);
        NewTask task = read(base, wide);
        long oldBase = r[Cpu.BASE + Cpu.TR];
        boolean oldWide = segmentation.wideTask();
        mmu.checkStoreAs(oldBase, (oldWide ? LIMIT_32 : LIMIT_16) + 1, Mmu.Privilege.SUPERVISOR);
        mmu.checkStoreAs(base, 2, Mmu.Privilege.SUPERVISOR);
        int oldSelector = cpu.selector[Cpu.TR];
        long oldBusy = segmentation.descriptorAddress(oldSelector, 8, GuestFault.GP) + 5;
        long newBusy = segmentation.descriptorAddress(selector, 8, vector) + 5;
        mmu.checkStoreAs(oldBusy, 1, Mmu.Privilege.SUPERVISOR);
        mmu.checkStoreAs(newBusy, 1, Mmu.Privilege.SUPERVISOR);

        boolean nests = cause == Cause.CALL || cause == Cause.EVENT;
        if (!nests) {
            mmu.storeSystem(oldBusy, 1, mmu.loadSystem(oldBusy, 1) & ~BUSY);
        }
        saveOld(oldBase, oldWide, savedFlags);
        if (nests) {
            mmu.storeSystem(base + LINK, 2, oldSelector);
        }
        mmu.storeSystem(newBusy, 1, mmu.loadSystem(newBusy, 1) | BUSY);
        cpu.selector[Cpu.TR] = selector;
        r[Cpu.BASE + Cpu.TR] = base;
        cpu.limit[Cpu.TR] = Segmentation.limit(descriptor);
        cpu.attributes[Cpu.TR] = Segmentation.attributes(descriptor) | BUSY;
        cpu.cr0 |= Cpu.CR0_TS;
        try {
            load(task, nests);
            if (hasCode) {
                pushErrorCode(code);
            }
            if (task.trap) {
                cpu.dr[6] |= DR6_TASK;
                throw cpu.fault(GuestFault.DB, 0);
            }
        } catch (GuestFault f) {
            cpu.modeChanged();
            if (!interrupts.exception(f.vector, f.errorCode)) {
                throw cpu.fault(GuestFault.DF, 0); // which cannot be delivered either: the processor shuts down
            }
        }
    }

    /** A task's state as its segment holds it. */
    private static final class NewTask {
        private final long[] registers = new long[8];

        /** Numbered as in {@link Cpu}. */
        private final int[] selectors = new int[Cpu.LDTR + 1];

        /** -1 for the 16-bit kind, which has none. */
        private long cr3 = -1;

        private long eip;
        private int eflags;
        private boolean trap;
    }

    private NewTask read(long base, boolean wide) {
        NewTask task = new NewTask();
        int word = wide ? 4 : 2;
        for (int i = 0; i < 8; i++) {
            long value = mmu.loadSystem(base + (wide ? EAX : AX_16) + (long) word * i, word);
            task.registers[i] = wide ? value : value | 0xffff_0000L;
        }
        for (int i = 0; i < (wide ? 6 : 4); i++) {
            task.selectors[i] = (int) mmu.loadSystem(base + (wide ? ES : ES_16) + (long) word * i, 2);
        }
        task.selectors[Cpu.LDTR] = (int) mmu.loadSystem(base + (wide ? LDT : LDT_16), 2);
        task.eip = mmu.loadSystem(base + (wide ? EIP : IP_16), word);
        task.eflags = (int) mmu.loadSystem(base + (wide ? EFLAGS : FLAGS_16), word);
        if (wide) {
            task.cr3 = mmu.loadSystem(base + CR3, 4);
            task.trap = (mmu.loadSystem(base + TRAP, 2) & 1) != 0;
        }
        return task;
    }

    private void saveOld(long base, boolean wide, int flags) {
        if (wide) {
            mmu.storeSystem(base + EIP, 4, cpu.rip);
            mmu.storeSystem(base + EFLAGS, 4, flags);
            for (int i = 0; i < 8; i++) {
                mmu.storeSystem(base + EAX + 4L * i, 4, r[i]);
            }
            for (int i = 0; i < 6; i++) {
                mmu.storeSystem(base + ES + 4L * i, 2, cpu.selector[i]);
            }
        } else {
            mmu.storeSystem(base + IP_16, 2, cpu.rip);
            mmu.storeSystem(base + FLAGS_16, 2, flags);
            for (int i = 0; i < 8; i++) {
                mmu.storeSystem(base + AX_16 + 2L * i, 2, r[i]);
            }
            for (int i = 0; i < 4; i++) {
                mmu.storeSystem(base + ES_16 + 2L * i, 2, cpu.selector[i]);
            }
        }
    }

    /** From here on faults are the new task's. */
    private void load(NewTask task, boolean nested) {
        if (task.cr3 >= 0 && (cpu.cr0 & Cpu.CR0_PG) != 0) {
            // Physical address bits above 32 do not exist here: 32-bit and PAE paging only.
            cpu.cr3 = task.cr3;
            if ((cpu.cr4 & Cpu.CR4_PAE) != 0) {
                mmu.loadPageDirectoryPointers(cpu.cr3);
            }
            mmu.flush();
        }
        for (int i = 0; i < 8; i++) {
            r[i] = task.registers[i];
        }
        cpu.rip = task.eip;
        cpu.setFlags(task.eflags | (nested ? Cpu.NT : 0));
        cpu.dr[7] &= ~0x155L; // local breakpoints are off
        boolean virtual = cpu.virtual8086();
        int[] selectors = task.selectors;
        // Segments are unusable until their descriptors have been checked.
        for (int segment = Cpu.ES; segment <= Cpu.GS; segment++) {
            if (segment != Cpu.CS && segment != Cpu.SS) {
                segmentation.setNull(segment, selectors[segment]);
            }
        }
        cpu.selector[Cpu.CS] = selectors[Cpu.CS];
        cpu.selector[Cpu.SS] = selectors[Cpu.SS];
        cpu.setCpl(virtual ? 3 : selectors[Cpu.CS] & 3);
        segmentation.setNull(Cpu.LDTR, selectors[Cpu.LDTR]);
        segmentation.loadLdt(selectors[Cpu.LDTR], GuestFault.TS);
        if (virtual) {
            for (int segment = Cpu.ES; segment <= Cpu.GS; segment++) {
                segmentation.setReal(segment, selectors[segment]);
            }
        } else {
            loadCode(selectors[Cpu.CS]);
            loadStack(selectors[Cpu.SS]);
            for (int segment : new int[] {Cpu.ES, Cpu.DS, Cpu.FS, Cpu.GS}) {
                segmentation.loadProtected(segment, selectors[segment], GuestFault.TS);
            }
        }
        cpu.modeChanged();
        if (Long.compareUnsigned(cpu.rip, cpu.limit[Cpu.CS] & 0xffff_ffffL) > 0) {
            throw cpu.gp(0);
        }
    }

    private void loadCode(int selector) {
        int error = selector & 0xfffc;
        if (error == 0) {
            throw cpu.fault(GuestFault.TS, 0);
        }
        long descriptor = segmentation.descriptor(selector, GuestFault.TS);
        int level = selector & 3;
        int privilege = Segmentation.privilege(descriptor);
        boolean fits = Segmentation.isCode(descriptor)
                && (Segmentation.isConforming(descriptor) ? privilege <= level : privilege == level);
        if (!fits) {
            throw cpu.fault(GuestFault.TS, error);
        }
        if (!Segmentation.isPresent(descriptor)) {
            throw cpu.fault(GuestFault.NP, error);
        }
        segmentation.set(Cpu.CS, selector, descriptor);
    }

    private void loadStack(int selector) {
        if ((selector & 0xfffc) == 0) {
            throw cpu.fault(GuestFault.TS, 0);
        }
        long descriptor = segmentation.descriptor(selector, GuestFault.TS);
        segmentation.checkStack(selector, descriptor, cpu.cpl, GuestFault.TS);
        segmentation.set(Cpu.SS, selector, descriptor);
    }

    /** Pushes the error code of the exception that switched tasks onto the new task's stack. */
    private void pushErrorCode(int code) {
        StackFrame frame = StackFrame.current(cpu);
        frame.push(cpu, new long[] {code}, 1, segmentation.wideTask() ? 4 : 2, cpu.pushPrivilege(cpu.cpl));
        frame.store(cpu);
    }
}
