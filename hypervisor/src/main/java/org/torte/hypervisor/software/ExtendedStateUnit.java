package org.torte.hypervisor.software;

import java.util.Arrays;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Instructions that move the whole register state or its control registers: FXSAVE and FXRSTOR (SDM vol. 1, 10.5), the
 * XSAVE family (chapter 13), LDMXCSR and STMXCSR.
 */
final class ExtendedStateUnit {
    private static final long CR0_EM = 1 << 2;
    private static final long CR0_TS = 1 << 3;
    private static final long CR4_OSFXSR = 1 << 9;
    private static final long CR4_OSXSAVE = 1 << 18;
    private static final int X87 = 1, SSE = 2;

    /** In the x87 status word. */
    private static final int ERROR_SUMMARY = 0x80;

    /** Offsets in the legacy area. */
    private static final int MXCSR = 24, REGISTERS = 32, XMM = 160, LEGACY_SIZE = 512;

    /** Offset and size of the XSAVE header. */
    private static final int HEADER = 512, HEADER_SIZE = 64;

    private final VectorOperands operands;
    private final FpuState fpu;
    private final CpuContext cpu;

    ExtendedStateUnit(VectorOperands operands) {
        this.operands = operands;
        fpu = operands.fpu;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        switch (in.form.operation()) {
            case LDMXCSR -> {
                operands.checkSse();
                int value = (int) cpu.load(address, 4);
                checkMxcsr(value);
                fpu.mxcsr = value;
            }
            case STMXCSR -> {
                operands.checkSse();
                cpu.store(address, 4, fpu.mxcsr);
            }
            case FXSAVE -> {
                checkLegacy(address);
                cpu.checkStore(address, LEGACY_SIZE);
                boolean sse = (cpu.cr4() & CR4_OSFXSR) != 0;
                saveX87(address, in.operandSize == 8);
                saveMxcsr(address);
                if (sse) {
                    saveXmm(address);
                }
            }
            case FXRSTOR -> {
                checkLegacy(address);
                restoreLegacy(address, in.operandSize == 8);
            }
            case XSAVE, XSAVEOPT -> {
                checkExtended(address);
                xsave(in, address);
            }
            case XRSTOR -> {
                checkExtended(address);
                xrstor(in, address);
            }
            case XGETBV -> {
                checkOsxsave();
                if ((int) cpu.gpr(1) != 0) {
                    throw cpu.fault(GuestFault.GP, 0);
                }
                cpu.setGpr(0, fpu.xcr0 & 0xffffffffL);
                cpu.setGpr(2, fpu.xcr0 >>> 32);
            }
            case XSETBV -> setXcr();
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    /** Faults if the guest may not use the instruction now. */
    void checkAvailable(Instruction in) {
        switch (in.form.operation()) {
            case LDMXCSR, STMXCSR -> operands.checkSse();
            case FXSAVE, FXRSTOR -> checkLegacyAvailable();
            default -> checkExtendedAvailable();
        }
    }

    private void checkOsxsave() {
        if ((cpu.cr4() & CR4_OSXSAVE) == 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private void setXcr() {
        checkOsxsave();
        long value = cpu.gpr(2) << 32 | cpu.gpr(0) & 0xffffffffL;
        if (cpu.cpl() != 0 || (int) cpu.gpr(1) != 0 || (value & 1) == 0 || (value & ~FpuState.XCR0_SUPPORTED) != 0) {
            throw cpu.fault(GuestFault.GP, 0);
        }
        fpu.xcr0 = value;
    }

    private void checkMxcsr(int value) {
        if ((value & ~FpuState.MXCSR_MASK) != 0) {
            throw cpu.fault(GuestFault.GP, 0);
        }
    }

    /** FXSAVE and FXRSTOR work without CR4.OSFXSR; CR0.EM makes them #NM, unlike the SSE instructions. */
    private void checkLegacyAvailable() {
        if ((cpu.cr0() & (CR0_EM | CR0_TS)) != 0) {
            throw cpu.fault(GuestFault.NM, 0);
        }
    }

    private void checkLegacy(long address) {
        checkLegacyAvailable();
        cpu.checkAlignment(address, 16);
        operands.checkAligned(address);
    }

    private void checkExtendedAvailable() {
        checkOsxsave();
        if ((cpu.cr0() & CR0_TS) != 0) {
            throw cpu.fault(GuestFault.NM, 0);
        }
    }

    private void checkExtended(long address) {
        checkExtendedAvailable();
        if ((address & 63) != 0) {
            throw cpu.fault(GuestFault.GP, 0);
        }
    }

    /** XMM8 to XMM15 exist in 64-bit mode only. */
    private int xmmCount() {
        return cpu.longMode() ? 16 : 8;
    }

    private void saveX87(long address, boolean wide) {
        cpu.store(address, 2, fpu.control);
        cpu.store(address + 2, 2, fpu.statusWord());
        // The abridged tag word has a bit for each register that is not empty.
        cpu.store(address + 4, 2, ~fpu.empty & 0xff);
        // AMD's processors save the pointers for handlers of exceptions, and zeroes if none is pending (AMD64 vol. 2,
        // 11.4.4.3; CPUID 8000_0008 EBX[2]).
        boolean pending = (fpu.status & ERROR_SUMMARY) != 0;
        cpu.store(address + 6, 2, pending ? fpu.opcode : 0);
        cpu.store(address + 8, 8, pending ? pointer(fpu.instructionPointer, fpu.codeSelector, wide) : 0);
        cpu.store(address + 16, 8, pending ? pointer(fpu.dataPointer, fpu.dataSelector, wide) : 0);
        for (int i = 0; i < 8; i++) {
            int register = fpu.top + i & 7;
            cpu.store(address + REGISTERS + 16L * i, 8, fpu.significand[register]);
            cpu.store(address + REGISTERS + 16L * i + 8, 8, fpu.signExponent[register]);
        }
    }

    /** Eight bytes of offset, or with REX.W clear four and a selector. */
    private static long pointer(long offset, int selector, boolean wide) {
        return wide ? offset : offset & 0xffffffffL | (long) selector << 32;
    }

    private void saveMxcsr(long address) {
        cpu.store(address + MXCSR, 4, fpu.mxcsr);
        cpu.store(address + MXCSR + 4, 4, FpuState.MXCSR_MASK);
    }

    private void saveXmm(long address) {
        int count = 2 * xmmCount();
        for (int i = 0; i < count; i++) {
            cpu.store(address + XMM + 8L * i, 8, fpu.xmm[i]);
        }
    }

    private void restoreLegacy(long address, boolean wide) {
        boolean sse = (cpu.cr4() & CR4_OSFXSR) != 0;
        // The last and the first byte decide about page faults; nothing has changed before.
        cpu.load(address + LEGACY_SIZE - 1, 1);
        int mxcsr = (int) cpu.load(address + MXCSR, 4);
        checkMxcsr(mxcsr);
        restoreX87(address, wide);
        fpu.mxcsr = mxcsr;
        if (sse) {
            restoreXmm(address);
        }
    }

    private void restoreX87(long address, boolean wide) {
        fpu.control = (int) cpu.load(address, 2) & 0x1f3f | 0x40;
        fpu.setStatusWord((int) cpu.load(address + 2, 2));
        fpu.empty = ~(int) cpu.load(address + 4, 1) & 0xff;
        fpu.opcode = (int) cpu.load(address + 6, 2) & 0x7ff;
        fpu.instructionPointer = canonical(cpu.load(address + 8, wide ? 8 : 4));
        fpu.codeSelector = wide ? 0 : (int) cpu.load(address + 12, 2);
        fpu.dataPointer = canonical(cpu.load(address + 16, wide ? 8 : 4));
        fpu.dataSelector = wide ? 0 : (int) cpu.load(address + 20, 2);
        for (int i = 0; i < 8; i++) {
            int register = fpu.top + i & 7;
            fpu.significand[register] = cpu.load(address + REGISTERS + 16L * i, 8);
            fpu.signExponent[register] = (int) cpu.load(address + REGISTERS + 16L * i + 8, 2);
        }
    }

    private static long canonical(long address) {
        return address << 16 >> 16;
    }

    private void restoreXmm(long address) {
        int count = 2 * xmmCount();
        for (int i = 0; i < count; i++) {
            fpu.xmm[i] = cpu.load(address + XMM + 8L * i, 8);
        }
    }

    private int requestedComponents() {
        long requested = cpu.gpr(2) << 32 | cpu.gpr(0) & 0xffffffffL;
        return (int) (requested & fpu.xcr0);
    }

    /**
     * XSAVE writes every requested component; XSAVEOPT may leave out those in their initial configuration (their header
     * bits say so), and writes the others: whether memory already holds them is not tracked.
     */
    private void xsave(Instruction in, long address) {
        int requested = requestedComponents();
        cpu.checkStore(address, HEADER + HEADER_SIZE);
        int used = componentsInUse();
        boolean optimize = in.form.operation() == Operation.XSAVEOPT;
        int written = optimize ? requested & used : requested;
        long header = cpu.load(address + HEADER, 8);
        if ((written & X87) != 0) {
            saveX87(address, in.operandSize == 8);
        }
        if ((requested & SSE) != 0) {
            saveMxcsr(address);
        }
        if ((written & SSE) != 0) {
            saveXmm(address);
        }
        cpu.store(address + HEADER, 8, header & ~(long) requested | requested & used);
    }

    /** XINUSE: which components differ from their initial configuration. MXCSR does not count (SDM vol. 1, 13.6). */
    private int componentsInUse() {
        int used = 0;
        for (int i = 0; i < fpu.xmm.length; i++) {
            if (fpu.xmm[i] != 0) {
                used |= SSE;
                break;
            }
        }
        if (fpu.control != 0x37f
                || fpu.statusWord() != 0
                || fpu.empty != 0xff
                || fpu.instructionPointer != 0
                || fpu.dataPointer != 0
                || fpu.opcode != 0) {
            return used | X87;
        }
        for (int i = 0; i < 8; i++) {
            if (fpu.significand[i] != 0 || fpu.signExponent[i] != 0) {
                return used | X87;
            }
        }
        return used;
    }

    private void xrstor(Instruction in, long address) {
        int requested = requestedComponents();
        cpu.load(address, 8);
        long present = cpu.load(address + HEADER, 8);
        long compaction = cpu.load(address + HEADER + 8, 8);
        long reserved = cpu.load(address + HEADER + 16, 8);
        // Only the standard format: the compacted one needs XSAVEC, which is not offered (SDM vol. 1, 13.8.1).
        if ((present & ~fpu.xcr0) != 0 || compaction != 0 || reserved != 0) {
            throw cpu.fault(GuestFault.GP, 0);
        }
        int mxcsr = (int) cpu.load(address + MXCSR, 4);
        if ((requested & SSE) != 0) {
            checkMxcsr(mxcsr);
            fpu.mxcsr = mxcsr;
        }
        if ((requested & X87) != 0) {
            if ((present & X87) != 0) {
                restoreX87(address, in.operandSize == 8);
            } else {
                fpu.initializeX87();
                Arrays.fill(fpu.significand, 0);
                Arrays.fill(fpu.signExponent, 0);
            }
        }
        if ((requested & SSE) != 0) {
            if ((present & SSE) != 0) {
                restoreXmm(address);
            } else {
                Arrays.fill(fpu.xmm, 0, 2 * xmmCount(), 0);
            }
        }
    }
}
