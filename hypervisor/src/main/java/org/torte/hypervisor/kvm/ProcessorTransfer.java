package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;
import java.util.HashSet;
import java.util.Set;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.shared.Msrs;
import org.torte.hypervisor.shared.ProcessorImage;

/**
 * Moves a processor's state between KVM's structures and {@link ProcessorImage}. The processor does not run meanwhile; for
 * one thread at a time.
 */
final class ProcessorTransfer {
    /** Offsets in struct kvm_regs by the numbers of {@link CpuState}. */
    private static final int[] GPR = {0, 16, 24, 8, 48, 56, 32, 40, 64, 72, 80, 88, 96, 104, 112, 120};

    private static final int RIP = 128, RFLAGS = 136;

    /** Offsets in struct kvm_sregs of ES, CS, SS, DS, FS, GS, LDTR, TR. */
    private static final int[] SEGMENT = {48, 0, 120, 24, 72, 96, 168, 144};

    private static final int GDT = 192, IDT = 208, CR0 = 224, CR2 = 232, CR3 = 240, CR4 = 248, CR8 = 256, EFER = 264;
    private static final int APIC_BASE = 272, SREGS_SIZE = 312;
    private static final long CR4_PGE = 0x80;

    // ---- struct kvm_vcpu_events
    private static final int INTERRUPT_INJECTED = 8, INTERRUPT_NUMBER = 9, INTERRUPT_SOFT = 10, SHADOW = 11;
    private static final int NMI_INJECTED = 12, NMI_PENDING = 13, NMI_MASKED = 14, SIPI_VECTOR = 16, EVENT_FLAGS = 20;
    private static final int VALID_NMI_PENDING = 1, VALID_SIPI = 2, VALID_SHADOW = 4;
    private static final int EVENTS_SIZE = 64, DEBUG_SIZE = 128, XCRS_SIZE = 392;

    /** The legacy area of XSAVE, and where it says which components it holds. */
    private static final int FCW = 0, FSW = 2, FTW = 4, FOP = 6, FIP = 8, FDP = 16, MXCSR = 24, ST = 32, XMM = 160;

    private static final int XSTATE_BV = 512, XSAVE_SIZE = 4096;

    // ---- the local APIC's page
    private static final int TPR = 0x80, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, TMR = 0x180, IRR = 0x200;
    private static final int ESR = 0x280, ICR = 0x300, ICR_HIGH = 0x310, LVT = 0x320;
    static final int INITIAL_COUNT = 0x380, CURRENT_COUNT = 0x390, DIVIDE = 0x3e0, APIC_SIZE = 1024;
    private static final int TSC = 0x10, TSC_ADJUST = 0x3b, TSC_DEADLINE = 0x6e0;

    /** The registers of {@link ProcessorImage#systemCall}. */
    private static final int[] SYSTEM_CALL = {
        0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102, 0xc000_0103, 0x174, 0x175, 0x176
    };

    private final int fd;
    private final MemorySegment buffer;

    /** Registers whose restored value KVM did not take: they stay what they were, with the partition. */
    private final Set<Integer> refused = new HashSet<>();

    /**
     * For one processor.
     *
     * @param fd its descriptor
     * @param buffer native memory of 4 KiB that is used during calls
     */
    ProcessorTransfer(int fd, MemorySegment buffer) {
        this.fd = fd;
        this.buffer = buffer;
    }

    private void get(long request, String what, int size) {
        buffer.asSlice(0, size).fill((byte) 0);
        Kvm.check(Linux.ioctl(fd, request, buffer), what);
    }

    private void set(long request, String what) {
        Kvm.check(Linux.ioctl(fd, request, buffer), what);
    }

    // ---- registers

    /** Reads what {@link CpuState} has. */
    void read(CpuState state) {
        get(Kvm.GET_REGS, "KVM_GET_REGS", 144);
        for (int i = 0; i < GPR.length; i++) {
            state.gpr[i] = buffer.get(JAVA_LONG, GPR[i]);
        }
        state.rip = buffer.get(JAVA_LONG, RIP);
        state.rflags = buffer.get(JAVA_LONG, RFLAGS);
        get(Kvm.GET_SREGS, "KVM_GET_SREGS", SREGS_SIZE);
        for (int i = 0; i < SEGMENT.length; i++) {
            state.segments[i] = segment(SEGMENT[i]);
        }
        state.gdtBase = buffer.get(JAVA_LONG, GDT);
        state.gdtLimit = buffer.get(JAVA_SHORT, GDT + 8) & 0xffff;
        state.idtBase = buffer.get(JAVA_LONG, IDT);
        state.idtLimit = buffer.get(JAVA_SHORT, IDT + 8) & 0xffff;
        state.cr0 = buffer.get(JAVA_LONG, CR0);
        state.cr2 = buffer.get(JAVA_LONG, CR2);
        state.cr3 = buffer.get(JAVA_LONG, CR3);
        state.cr4 = buffer.get(JAVA_LONG, CR4);
        state.cr8 = buffer.get(JAVA_LONG, CR8);
        state.efer = buffer.get(JAVA_LONG, EFER);
    }

    private CpuState.Segment segment(int at) {
        int attributes = bits(at + 14, 0)
                | bits(at + 18, 4)
                | bits(at + 16, 5)
                | bits(at + 15, 7)
                | bits(at + 21, 12)
                | bits(at + 19, 13)
                | bits(at + 17, 14)
                | bits(at + 20, 15);
        if (buffer.get(JAVA_BYTE, at + 22) != 0) {
            attributes &= ~0x80; // unusable
        }
        return new CpuState.Segment(
                buffer.get(JAVA_SHORT, at + 12) & 0xffff,
                buffer.get(JAVA_LONG, at),
                buffer.get(JAVA_INT, at + 8),
                attributes);
    }

    private int bits(int at, int shift) {
        return buffer.get(JAVA_BYTE, at) << shift;
    }

    /** Writes what {@link CpuState} has; the APIC's base stays. */
    void write(CpuState state) {
        get(Kvm.GET_SREGS, "KVM_GET_SREGS", SREGS_SIZE);
        writeSpecial(state, buffer.get(JAVA_LONG, APIC_BASE));
        for (int i = 0; i < GPR.length; i++) {
            buffer.set(JAVA_LONG, GPR[i], state.gpr[i]);
        }
        buffer.set(JAVA_LONG, RIP, state.rip);
        buffer.set(JAVA_LONG, RFLAGS, state.rflags | 2);
        set(Kvm.SET_REGS, "KVM_SET_REGS");
    }

    /** RIP. */
    long instructionPointer() {
        get(Kvm.GET_REGS, "KVM_GET_REGS", 144);
        return buffer.get(JAVA_LONG, RIP);
    }

    /** Neither halted nor waiting for SIPI. */
    void setRunnable() {
        buffer.set(JAVA_INT, 0, Kvm.RUNNABLE);
        set(Kvm.SET_MP_STATE, "KVM_SET_MP_STATE");
    }

    private void writeSpecial(CpuState state, long apicBase) {
        buffer.asSlice(0, SREGS_SIZE).fill((byte) 0);
        for (int i = 0; i < SEGMENT.length; i++) {
            putSegment(SEGMENT[i], state.segments[i]);
        }
        buffer.set(JAVA_LONG, GDT, state.gdtBase);
        buffer.set(JAVA_SHORT, GDT + 8, (short) state.gdtLimit);
        buffer.set(JAVA_LONG, IDT, state.idtBase);
        buffer.set(JAVA_SHORT, IDT + 8, (short) state.idtLimit);
        buffer.set(JAVA_LONG, CR0, state.cr0);
        buffer.set(JAVA_LONG, CR2, state.cr2);
        buffer.set(JAVA_LONG, CR3, state.cr3);
        buffer.set(JAVA_LONG, CR4, state.cr4);
        buffer.set(JAVA_LONG, CR8, state.cr8);
        buffer.set(JAVA_LONG, EFER, state.efer);
        buffer.set(JAVA_LONG, APIC_BASE, apicBase);
        set(Kvm.SET_SREGS, "KVM_SET_SREGS");
    }

    private void putSegment(int at, CpuState.Segment segment) {
        int attributes = segment.attributes();
        buffer.set(JAVA_LONG, at, segment.base());
        buffer.set(JAVA_INT, at + 8, segment.limit());
        buffer.set(JAVA_SHORT, at + 12, (short) segment.selector());
        buffer.set(JAVA_BYTE, at + 14, (byte) (attributes & 15));
        buffer.set(JAVA_BYTE, at + 15, (byte) (attributes >> 7 & 1));
        buffer.set(JAVA_BYTE, at + 16, (byte) (attributes >> 5 & 3));
        buffer.set(JAVA_BYTE, at + 17, (byte) (attributes >> 14 & 1));
        buffer.set(JAVA_BYTE, at + 18, (byte) (attributes >> 4 & 1));
        buffer.set(JAVA_BYTE, at + 19, (byte) (attributes >> 13 & 1));
        buffer.set(JAVA_BYTE, at + 20, (byte) (attributes >> 15 & 1));
        buffer.set(JAVA_BYTE, at + 21, (byte) (attributes >> 12 & 1));
        buffer.set(JAVA_BYTE, at + 22, (byte) (~attributes >> 7 & 1));
    }

    /** KVM loads its page tables anew, and empties the TLB, when CR4 changes; so it is changed and changed back. */
    void flushTranslations() {
        get(Kvm.GET_SREGS, "KVM_GET_SREGS", SREGS_SIZE);
        long cr4 = buffer.get(JAVA_LONG, CR4);
        buffer.set(JAVA_LONG, CR4, cr4 ^ CR4_PGE);
        set(Kvm.SET_SREGS, "KVM_SET_SREGS");
        buffer.set(JAVA_LONG, CR4, cr4);
        set(Kvm.SET_SREGS, "KVM_SET_SREGS");
    }

    // ---- model-specific registers

    /** A register's value, or {@code absent} when KVM does not have it. */
    long msr(int index, long absent) {
        buffer.asSlice(0, 24).fill((byte) 0);
        buffer.set(JAVA_INT, 0, 1);
        buffer.set(JAVA_INT, 8, index);
        return Linux.ioctl(fd, Kvm.GET_MSRS, buffer) == 1 ? buffer.get(JAVA_LONG, 16) : absent;
    }

    /** Whether KVM took the value. */
    boolean setMsr(int index, long value) {
        buffer.asSlice(0, 24).fill((byte) 0);
        buffer.set(JAVA_INT, 0, 1);
        buffer.set(JAVA_INT, 8, index);
        buffer.set(JAVA_LONG, 16, value);
        return Linux.ioctl(fd, Kvm.SET_MSRS, buffer) == 1;
    }

    long timeStamp() {
        return msr(TSC, 0);
    }

    void setTimeStamp(long value) {
        boolean _ = setMsr(TSC, value);
    }

    /** IA32_TSC_DEADLINE, 0 outside that mode. */
    long deadline() {
        return msr(TSC_DEADLINE, 0);
    }

    void setDeadline(long value) {
        boolean _ = setMsr(TSC_DEADLINE, value);
    }

    // ---- the local APIC

    /** Copies the page of registers. */
    void readApic(MemorySegment page) {
        get(Kvm.GET_LAPIC, "KVM_GET_LAPIC", APIC_SIZE);
        MemorySegment.copy(buffer, 0, page, 0, APIC_SIZE);
    }

    /** Replaces the registers; a count goes on from the current one. */
    void writeApic(MemorySegment page) {
        MemorySegment.copy(page, 0, buffer, 0, APIC_SIZE);
        set(Kvm.SET_LAPIC, "KVM_SET_LAPIC");
    }

    // ---- everything

    /** Fills the image with all but time, which the caller has. */
    void save(ProcessorImage image, MemorySegment apic) {
        read(image.registers);
        get(Kvm.GET_SREGS, "KVM_GET_SREGS", SREGS_SIZE);
        image.apicBase = buffer.get(JAVA_LONG, APIC_BASE);
        for (int i = 0; i < SYSTEM_CALL.length; i++) {
            image.systemCall[i] = msr(SYSTEM_CALL[i], 0);
        }
        for (int index : Msrs.saved()) {
            long now = refused.contains(index) ? -1 : msr(index, -1);
            if (now != -1) {
                boolean _ = image.msrs.write(index, now);
            }
        }
        image.timeStampAdjust = msr(TSC_ADJUST, 0);
        get(Kvm.GET_DEBUGREGS, "KVM_GET_DEBUGREGS", DEBUG_SIZE);
        for (int i = 0; i < 4; i++) {
            image.debug[i] = buffer.get(JAVA_LONG, 8L * i);
        }
        image.debug[6] = buffer.get(JAVA_LONG, 32);
        image.debug[7] = buffer.get(JAVA_LONG, 40);
        saveFloatingPoint(image);
        saveApic(image, apic);
        saveEvents(image);
    }

    private void saveFloatingPoint(ProcessorImage image) {
        get(Kvm.GET_XCRS, "KVM_GET_XCRS", XCRS_SIZE);
        image.xcr0 = buffer.get(JAVA_INT, 0) > 0 ? buffer.get(JAVA_LONG, 16) : 1;
        get(Kvm.GET_XSAVE, "KVM_GET_XSAVE", XSAVE_SIZE);
        image.control = buffer.get(JAVA_SHORT, FCW) & 0xffff;
        image.status = buffer.get(JAVA_SHORT, FSW) & 0xffff;
        image.empty = ~buffer.get(JAVA_BYTE, FTW) & 0xff;
        image.opcode = buffer.get(JAVA_SHORT, FOP) & 0x7ff;
        image.instructionPointer = buffer.get(JAVA_LONG, FIP);
        image.dataPointer = buffer.get(JAVA_LONG, FDP);
        image.mxcsr = buffer.get(JAVA_INT, MXCSR) & 0xffff;
        int top = image.status >> 11 & 7;
        for (int i = 0; i < 8; i++) {
            int physical = top + i & 7;
            image.significand[physical] = buffer.get(JAVA_LONG, ST + 16L * i);
            image.signExponent[physical] = buffer.get(JAVA_SHORT, ST + 16L * i + 8) & 0xffff;
        }
        for (int i = 0; i < image.xmm.length; i++) {
            image.xmm[i] = buffer.get(JAVA_LONG, XMM + 8L * i);
        }
    }

    private void saveApic(ProcessorImage image, MemorySegment apic) {
        image.taskPriority = apic.get(JAVA_INT, TPR) & 0xff;
        boolean x2apic = (image.apicBase & 0x400) != 0;
        image.logicalId = apic.get(JAVA_INT, LDR);
        image.destinationFormat = x2apic ? -1 : apic.get(JAVA_INT, DFR);
        image.spurious = apic.get(JAVA_INT, SVR) & 0x3ff;
        image.errorStatus = apic.get(JAVA_INT, ESR);
        image.interruptCommand = apic.get(JAVA_INT, ICR) & 0xffff_efffL | (long) apic.get(JAVA_INT, ICR_HIGH) << 32;
        for (int i = 0; i < 4; i++) {
            image.requested[i] = vectors(apic, IRR, i);
            image.inService[i] = vectors(apic, ISR, i);
            image.levelTriggered[i] = vectors(apic, TMR, i);
        }
        for (int i = 0; i < image.lvt.length; i++) {
            image.lvt[i] = apic.get(JAVA_INT, LVT + 16L * i) & ~0x5000;
        }
        image.initialCount = apic.get(JAVA_INT, INITIAL_COUNT);
        image.divideConfiguration = apic.get(JAVA_INT, DIVIDE) & 0xb;
        long remaining = apic.get(JAVA_INT, CURRENT_COUNT) & 0xffff_ffffL;
        long initial = image.initialCount & 0xffff_ffffL;
        if (image.timerMode() == ProcessorImage.TSC_DEADLINE) {
            image.timerRuns = image.deadline != 0;
        } else {
            image.timerRuns = remaining != 0;
            image.timerElapsed = remaining == 0 ? 0 : Math.max(0, initial - remaining) * image.timerDivider();
        }
    }

    private static long vectors(MemorySegment apic, int base, int word) {
        return apic.get(JAVA_INT, base + 32L * word) & 0xffff_ffffL
                | (long) apic.get(JAVA_INT, base + 32L * word + 16) << 32;
    }

    private void saveEvents(ProcessorImage image) {
        get(Kvm.GET_MP_STATE, "KVM_GET_MP_STATE", 4);
        int state = buffer.get(JAVA_INT, 0);
        image.halted = state == Kvm.HALTED;
        image.waitingForStartup =
                state == Kvm.UNINITIALIZED || state == Kvm.INIT_RECEIVED || state == Kvm.SIPI_RECEIVED;
        get(Kvm.GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", EVENTS_SIZE);
        image.startupVector = buffer.get(JAVA_INT, SIPI_VECTOR) & 0xff;
        image.pending = state == Kvm.SIPI_RECEIVED ? ProcessorImage.STARTUP : 0;
        boolean nmi = buffer.get(JAVA_BYTE, NMI_INJECTED) != 0;
        if (nmi || buffer.get(JAVA_BYTE, NMI_PENDING) != 0) {
            image.pending |= ProcessorImage.NMI;
        }
        image.nmiBlocked = buffer.get(JAVA_BYTE, NMI_MASKED) != 0 && !nmi;
        image.interruptShadow = buffer.get(JAVA_BYTE, SHADOW) != 0;
        if (buffer.get(JAVA_BYTE, INTERRUPT_INJECTED) != 0 && buffer.get(JAVA_BYTE, INTERRUPT_SOFT) == 0) {
            // On its way to the guest, and not there: as if it still waited. Faults and INT n are simply executed
            // again.
            int vector = buffer.get(JAVA_BYTE, INTERRUPT_NUMBER) & 0xff;
            long bit = 1L << vector;
            if ((image.inService[vector >> 6] & bit) != 0) {
                image.inService[vector >> 6] &= ~bit;
                image.requested[vector >> 6] |= bit;
            }
        }
    }

    /** Gives the processor all that the image has but time, which the caller sets. */
    void restore(ProcessorImage image, MemorySegment apic) {
        image.registers.cr8 = image.taskPriority >> 4;
        setRunnable();
        writeSpecial(image.registers, image.apicBase);
        write(image.registers);
        for (int i = 0; i < SYSTEM_CALL.length; i++) {
            boolean _ = setMsr(SYSTEM_CALL[i], image.systemCall[i]);
        }
        long[] value = new long[1];
        for (int index : Msrs.saved()) {
            if (image.msrs.read(index, value)) {
                // What KVM does not have, or has without all bits, stays with the partition's own registers.
                if (setMsr(index, value[0])) {
                    refused.remove(index);
                } else {
                    refused.add(index);
                }
            }
        }
        boolean _ = setMsr(TSC_ADJUST, image.timeStampAdjust);
        buffer.asSlice(0, DEBUG_SIZE).fill((byte) 0);
        for (int i = 0; i < 4; i++) {
            buffer.set(JAVA_LONG, 8L * i, image.debug[i]);
        }
        buffer.set(JAVA_LONG, 32, image.debug[6]);
        buffer.set(JAVA_LONG, 40, image.debug[7]);
        set(Kvm.SET_DEBUGREGS, "KVM_SET_DEBUGREGS");
        restoreFloatingPoint(image);
        restoreApic(image, apic);
        restoreEvents(image);
    }

    private void restoreFloatingPoint(ProcessorImage image) {
        get(Kvm.GET_XCRS, "KVM_GET_XCRS", XCRS_SIZE);
        if (buffer.get(JAVA_INT, 0) > 0) {
            buffer.set(JAVA_LONG, 16, image.xcr0);
            set(Kvm.SET_XCRS, "KVM_SET_XCRS");
        }
        get(Kvm.GET_XSAVE, "KVM_GET_XSAVE", XSAVE_SIZE);
        buffer.set(JAVA_SHORT, FCW, (short) image.control);
        buffer.set(JAVA_SHORT, FSW, (short) image.status);
        buffer.set(JAVA_BYTE, FTW, (byte) ~image.empty);
        buffer.set(JAVA_SHORT, FOP, (short) image.opcode);
        buffer.set(JAVA_LONG, FIP, image.instructionPointer);
        buffer.set(JAVA_LONG, FDP, image.dataPointer);
        buffer.set(JAVA_INT, MXCSR, image.mxcsr);
        int top = image.status >> 11 & 7;
        for (int i = 0; i < 8; i++) {
            int physical = top + i & 7;
            buffer.set(JAVA_LONG, ST + 16L * i, image.significand[physical]);
            buffer.set(JAVA_LONG, ST + 16L * i + 8, image.signExponent[physical]);
        }
        for (int i = 0; i < image.xmm.length; i++) {
            buffer.set(JAVA_LONG, XMM + 8L * i, image.xmm[i]);
        }
        buffer.set(JAVA_LONG, XSTATE_BV, buffer.get(JAVA_LONG, XSTATE_BV) | 3);
        set(Kvm.SET_XSAVE, "KVM_SET_XSAVE");
    }

    private void restoreApic(ProcessorImage image, MemorySegment apic) {
        readApic(apic); // its identity and version
        apic.set(JAVA_INT, TPR, image.taskPriority);
        boolean x2apic = (image.apicBase & 0x400) != 0;
        if (!x2apic) {
            apic.set(JAVA_INT, LDR, image.logicalId);
            apic.set(JAVA_INT, DFR, image.destinationFormat);
        }
        apic.set(JAVA_INT, SVR, image.spurious);
        apic.set(JAVA_INT, ESR, image.errorStatus);
        apic.set(JAVA_INT, ICR, (int) image.interruptCommand);
        apic.set(JAVA_INT, ICR_HIGH, (int) (image.interruptCommand >>> 32));
        for (int i = 0; i < 4; i++) {
            putVectors(apic, IRR, i, image.requested[i]);
            putVectors(apic, ISR, i, image.inService[i]);
            putVectors(apic, TMR, i, image.levelTriggered[i]);
        }
        for (int i = 0; i < image.lvt.length; i++) {
            apic.set(JAVA_INT, LVT + 16L * i, image.lvt[i]);
        }
        apic.set(JAVA_INT, DIVIDE, image.divideConfiguration);
        apic.set(JAVA_INT, INITIAL_COUNT, 0);
        apic.set(JAVA_INT, CURRENT_COUNT, 0);
        writeApic(apic);
        apic.set(JAVA_INT, INITIAL_COUNT, image.initialCount);
        apic.set(JAVA_INT, CURRENT_COUNT, remainingCount(image));
    }

    private static int remainingCount(ProcessorImage image) {
        long initial = image.initialCount & 0xffff_ffffL;
        int mode = image.timerMode();
        if (!image.timerRuns || initial == 0 || mode == ProcessorImage.TSC_DEADLINE) {
            return 0;
        }
        long ticks = image.timerElapsed / image.timerDivider();
        long left = mode == ProcessorImage.PERIODIC ? initial - ticks % initial : initial - ticks;
        return (int) Math.max(1, left);
    }

    private static void putVectors(MemorySegment apic, int base, int word, long value) {
        apic.set(JAVA_INT, base + 32L * word, (int) value);
        apic.set(JAVA_INT, base + 32L * word + 16, (int) (value >>> 32));
    }

    private void restoreEvents(ProcessorImage image) {
        buffer.asSlice(0, EVENTS_SIZE).fill((byte) 0);
        buffer.set(JAVA_BYTE, SHADOW, (byte) (image.interruptShadow ? 1 : 0));
        buffer.set(JAVA_BYTE, NMI_PENDING, (byte) ((image.pending & ProcessorImage.NMI) != 0 ? 1 : 0));
        buffer.set(JAVA_BYTE, NMI_MASKED, (byte) (image.nmiBlocked ? 1 : 0));
        buffer.set(JAVA_INT, SIPI_VECTOR, image.startupVector);
        buffer.set(JAVA_INT, EVENT_FLAGS, VALID_NMI_PENDING | VALID_SIPI | VALID_SHADOW);
        set(Kvm.SET_VCPU_EVENTS, "KVM_SET_VCPU_EVENTS");
        boolean waits = image.waitingForStartup || (image.pending & ProcessorImage.INIT) != 0;
        int state = !waits
                ? image.halted ? Kvm.HALTED : Kvm.RUNNABLE
                : (image.pending & ProcessorImage.STARTUP) != 0 ? Kvm.SIPI_RECEIVED : Kvm.INIT_RECEIVED;
        buffer.set(JAVA_INT_UNALIGNED, 0, state);
        set(Kvm.SET_MP_STATE, "KVM_SET_MP_STATE");
    }

    /** One general register. The caller knows that this processor's exit is being served or that it does not run. */
    void readGeneral(MemorySegment registers) {
        Kvm.check(Linux.ioctl(fd, Kvm.GET_REGS, registers), "KVM_GET_REGS");
    }

    void writeGeneral(MemorySegment registers) {
        Kvm.check(Linux.ioctl(fd, Kvm.SET_REGS, registers), "KVM_SET_REGS");
    }

    static int offsetOf(int register) {
        return GPR[register];
    }

    /** Half of an XMM register. */
    long vector(int number, int half) {
        get(Kvm.GET_XSAVE, "KVM_GET_XSAVE", XSAVE_SIZE);
        return buffer.get(JAVA_LONG_UNALIGNED, XMM + 16L * number + 8L * half);
    }
}
