package org.torte.hypervisor.shared;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.hypervisor.CpuState;

/**
 * All state of a processor and its local APIC in the form of section {@code hypervisor.processor.N} of a saved machine
 * (docs/state-format.md): what a back-end that keeps state elsewhere fills in before saving, and reads after a restore.
 * For one thread.
 */
public final class ProcessorImage {
    /** The version of the section; version 2 added the selectors of the last x87 instruction. */
    public static final int VERSION = 2;

    /** Bits of {@link #pending}. */
    public static final int NMI = 2, INIT = 4, STARTUP = 8;

    /** Modes of the APIC's timer in bits 17 and 18 of its LVT entry. */
    public static final int ONE_SHOT = 0, PERIODIC = 1, TSC_DEADLINE = 2;

    private static final int X87_REGISTERS = 8;
    private static final long BASE_ENABLED = 0x800, BASE_X2APIC = 0x400;

    /** General registers, segments, tables and control registers. */
    public final CpuState registers = new CpuState();

    /** DR0 to DR7; 4 and 5 do not exist. */
    public final long[] debug = new long[8];

    /** The page directory pointers of PAE paging. */
    public final long[] pdpte = new long[4];

    /** STAR, LSTAR, CSTAR, SFMASK, KERNEL_GS_BASE, TSC_AUX, SYSENTER_CS, SYSENTER_ESP, SYSENTER_EIP. */
    public final long[] systemCall = new long[9];

    /** STI or MOV SS was executed last. */
    public boolean interruptShadow;

    /** An NMI is being served. */
    public boolean nmiBlocked;

    /** In HLT. */
    public boolean halted;

    /** Waits for SIPI. */
    public boolean waitingForStartup;

    /** What has arrived and not been taken. */
    public int pending;

    /** The time-stamp counter, and IA32_TSC_ADJUST. */
    public long timeStamp, timeStampAdjust;

    /** Registers without effect. */
    public final Msrs msrs = new Msrs();

    /** XMM0 to XMM15, low halves first. */
    public final long[] xmm = new long[32];

    /** SSE control and status. */
    public int mxcsr;

    /** The physical x87 registers. */
    public final long[] significand = new long[X87_REGISTERS];

    /** Sign in bit 15, exponent below. */
    public final int[] signExponent = new int[X87_REGISTERS];

    /** x87 control, status with TOP, empty registers, opcode, selectors. */
    public int control, status, empty, opcode, codeSelector, dataSelector;

    /** Offsets of the last x87 instruction and operand. */
    public long instructionPointer, dataPointer;

    /** XCR0. */
    public long xcr0;

    /** IA32_APIC_BASE. */
    public long apicBase;

    /** Registers of the local APIC. */
    public int taskPriority, logicalId, destinationFormat, spurious, errors, errorStatus;

    /** A bit per vector: requested, in service, level-triggered. */
    public final long[] requested = new long[4], inService = new long[4], levelTriggered = new long[4];

    /** The interrupt command register. */
    public long interruptCommand;

    /** Timer, thermal, performance, LINT0, LINT1, error. */
    public final int[] lvt = new int[6];

    /** The page of the last SIPI. */
    public int startupVector;

    /** An interrupt in ExtINT mode was accepted. */
    public boolean externalMessage;

    /** The timer's registers. */
    public int initialCount, divideConfiguration;

    /** IA32_TSC_DEADLINE. */
    public long deadline;

    /** Whether the timer will fire, and for how many nanoseconds the count has run. */
    public boolean timerRuns;

    /** See {@link #timerRuns}. */
    public long timerElapsed;

    /** Instructions executed, as far as they were counted. */
    public long instructions;

    /** Whether an interrupt waits or is in service. */
    public boolean unfinished(int vector) {
        return ((requested[vector >> 6] | inService[vector >> 6]) >>> vector & 1) != 0;
    }

    /** The timer's mode; the reserved one counts as periodic. */
    public int timerMode() {
        int mode = lvt[0] >> 17 & 3;
        return mode > TSC_DEADLINE ? PERIODIC : mode;
    }

    /** By how much the timer's input, one tick a nanosecond, is divided. */
    public long timerDivider() {
        int code = divideConfiguration & 3 | divideConfiguration >> 1 & 4;
        return 1L << (code + 1 & 7);
    }

    /** Writes the section. */
    public void save(StateOutput out) {
        CpuState r = registers;
        out.putLongs(r.gpr).putLong(r.rip).putInt((int) r.rflags);
        for (CpuState.Segment segment : r.segments) {
            out.putInt(segment.selector())
                    .putLong(segment.base())
                    .putInt(segment.limit())
                    .putInt(segment.attributes());
        }
        out.putLong(r.gdtBase).putInt(r.gdtLimit).putLong(r.idtBase).putInt(r.idtLimit);
        out.putLong(r.cr0).putLong(r.cr2).putLong(r.cr3).putLong(r.cr4).putLong(r.efer);
        out.putLongs(debug).putLongs(pdpte).putByte(privilege());
        out.putLongs(systemCall);
        out.putBoolean(interruptShadow)
                .putBoolean(nmiBlocked)
                .putBoolean(halted)
                .putBoolean(waitingForStartup);
        out.putInt(pending).putLong(timeStamp).putLong(timeStampAdjust);
        msrs.save(out);
        out.putLongs(xmm).putInt(mxcsr).putLongs(significand).putInts(signExponent);
        out.putInt(control).putInt(status).putInt(empty);
        out.putLong(instructionPointer).putLong(dataPointer).putInt(opcode);
        out.putInt(codeSelector).putInt(dataSelector).putLong(xcr0);
        out.putLong(apicBase).putInt(taskPriority).putInt(logicalId).putInt(destinationFormat);
        out.putInt(spurious).putLongs(requested).putLongs(inService).putLongs(levelTriggered);
        out.putInt(errors).putInt(errorStatus).putLong(interruptCommand).putInts(lvt);
        out.putInt(startupVector).putBoolean(externalMessage);
        out.putInt(initialCount).putInt(divideConfiguration).putLong(deadline);
        out.putBoolean(timerRuns).putLong(timerElapsed);
        out.putLong(instructions);
    }

    private int privilege() {
        boolean real = (registers.cr0 & 1) == 0;
        boolean virtual = (registers.rflags & 0x2_0000) != 0;
        return real ? 0 : virtual ? 3 : registers.segments[CpuState.SS].attributes() >> 5 & 3;
    }

    /** Reads the section. */
    public void restore(StateInput in) {
        CpuState r = registers;
        in.getLongs(r.gpr);
        r.rip = in.getLong();
        r.rflags = in.getInt() & 0xffff_ffffL;
        for (int i = 0; i < r.segments.length; i++) {
            r.segments[i] = new CpuState.Segment(in.getInt(), in.getLong(), in.getInt(), in.getInt());
        }
        r.gdtBase = in.getLong();
        r.gdtLimit = in.getInt();
        r.idtBase = in.getLong();
        r.idtLimit = in.getInt();
        r.cr0 = in.getLong();
        r.cr2 = in.getLong();
        r.cr3 = in.getLong();
        r.cr4 = in.getLong();
        r.efer = in.getLong();
        in.getLongs(debug);
        in.getLongs(pdpte);
        int level = in.getByte();
        in.check(level < 4, "privilege level " + level);
        in.getLongs(systemCall);
        interruptShadow = in.getBoolean();
        nmiBlocked = in.getBoolean();
        halted = in.getBoolean();
        waitingForStartup = in.getBoolean();
        pending = in.getInt() & (NMI | INIT | STARTUP);
        timeStamp = in.getLong();
        timeStampAdjust = in.getLong();
        msrs.restore(in);
        restoreFloatingPoint(in);
        restoreApic(in);
        instructions = in.getLong();
    }

    private void restoreFloatingPoint(StateInput in) {
        in.getLongs(xmm);
        mxcsr = in.getInt();
        in.check(mxcsr >>> 16 == 0, "MXCSR has reserved bits set");
        in.getLongs(significand);
        in.getInts(signExponent);
        for (int value : signExponent) {
            in.check(value >>> 16 == 0, "an x87 exponent has more than 16 bits");
        }
        control = in.getInt();
        status = in.getInt();
        empty = in.getInt();
        in.check((control | status) >>> 16 == 0 && empty >>> X87_REGISTERS == 0, "an x87 register is too wide");
        instructionPointer = in.getLong();
        dataPointer = in.getLong();
        opcode = in.getInt();
        codeSelector = in.version() >= 2 ? in.getInt() : 0;
        dataSelector = in.version() >= 2 ? in.getInt() : 0;
        xcr0 = in.getLong();
        in.check((xcr0 & 1) != 0 && (xcr0 & ~3) == 0, "XCR0 enables what this processor does not offer");
    }

    private void restoreApic(StateInput in) {
        apicBase = in.getLong();
        in.check((apicBase & (BASE_ENABLED | BASE_X2APIC)) != BASE_X2APIC, "a local APIC is in no valid mode");
        taskPriority = in.getInt() & 0xff;
        registers.cr8 = taskPriority >> 4;
        logicalId = in.getInt();
        destinationFormat = in.getInt();
        spurious = in.getInt();
        in.getLongs(requested);
        in.getLongs(inService);
        in.getLongs(levelTriggered);
        errors = in.getInt();
        errorStatus = in.getInt();
        interruptCommand = in.getLong();
        in.getInts(lvt);
        startupVector = in.getInt() & 0xff;
        externalMessage = in.getBoolean();
        initialCount = in.getInt();
        divideConfiguration = in.getInt() & 0xb;
        deadline = in.getLong();
        timerRuns = in.getBoolean();
        timerElapsed = in.getLong();
        in.check(timerElapsed >= 0, "a timer has run for a negative time");
    }
}
