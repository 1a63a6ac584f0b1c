package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/**
 * How the MMX and SSE units reach their operands, and whether the guest may use these registers now. The source operand
 * arrives in {@link #lo} and {@link #hi}: two fields instead of an object for each instruction.
 */
final class VectorOperands {
    private static final long CR0_EM = 1 << 2;
    private static final long CR0_TS = 1 << 3;
    private static final long CR4_OSFXSR = 1 << 9;
    private static final int STATUS_ES = 0x80;

    final FpuState fpu;
    final CpuContext cpu;

    /** Bits 63:0 of the source operand. */
    long lo;

    /** Bits 127:64 of the source operand, if it has as many. */
    long hi;

    VectorOperands(FpuState fpu, CpuContext cpu) {
        this.fpu = fpu;
        this.cpu = cpu;
    }

    /** SDM vol. 3, section 14.1 and table 14-1: #UD before #NM. */
    void checkSse() {
        long cr0 = cpu.cr0();
        if ((cr0 & CR0_EM) != 0 || (cpu.cr4() & CR4_OSFXSR) == 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        if ((cr0 & CR0_TS) != 0) {
            throw cpu.fault(GuestFault.NM, 0);
        }
    }

    /** SDM vol. 3, section 13.1 and table 13-1: #UD, then #NM, then pending x87 exceptions. */
    void checkMmx() {
        long cr0 = cpu.cr0();
        if ((cr0 & CR0_EM) != 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        if ((cr0 & CR0_TS) != 0) {
            throw cpu.fault(GuestFault.NM, 0);
        }
        checkPendingX87();
    }

    /**
     * #MF for an unmasked x87 exception. With CR0.NE clear a PC would signal FERR and get interrupt 13 from its
     * interrupt controller; without one the exception is the only way to tell, so it is raised in both cases.
     */
    void checkPendingX87() {
        if ((fpu.status & STATUS_ES) != 0) {
            throw cpu.fault(GuestFault.MF, 0);
        }
    }

    /** What every MMX instruction but EMMS does to the x87 registers (SDM vol. 1, section 9.5.1). */
    void enterMmx() {
        fpu.top = 0;
        fpu.empty = 0;
    }

    long mmx(int register) {
        return fpu.significand[register & 7];
    }

    void setMmx(int register, long value) {
        fpu.significand[register & 7] = value;
        fpu.signExponent[register & 7] = 0xffff;
    }

    void setXmm(int register, long newLo, long newHi) {
        fpu.xmm[2 * register] = newLo;
        fpu.xmm[2 * register + 1] = newHi;
    }

    /** The source, 16 bytes that must be aligned in memory. */
    void source(Instruction in, long address) {
        if (in.memory) {
            checkAligned(address);
        }
        sourceUnaligned(in, address);
    }

    /** The source, 16 bytes at any address. */
    void sourceUnaligned(Instruction in, long address) {
        if (in.memory) {
            cpu.checkAlignment(address, 16);
            lo = cpu.load(address, 8);
            hi = cpu.load(address + 8, 8);
        } else {
            lo = fpu.xmm[2 * in.rm];
            hi = fpu.xmm[2 * in.rm + 1];
        }
    }

    /** The low 8 bytes of an XMM source, or 8 bytes of memory. */
    long source64(Instruction in, long address) {
        return in.memory ? cpu.load(address, 8) : fpu.xmm[2 * in.rm];
    }

    /** The low 4 bytes of an XMM source, or 4 bytes of memory, zero-extended. */
    long source32(Instruction in, long address) {
        return in.memory ? cpu.load(address, 4) : fpu.xmm[2 * in.rm] & 0xffffffffL;
    }

    /** An MMX source, or 8 bytes of memory. */
    long sourceMmx(Instruction in, long address) {
        return in.memory ? cpu.load(address, 8) : mmx(in.rm);
    }

    /** Stores 16 bytes, all or nothing. */
    void store128(long address, long low, long high) {
        cpu.checkAlignment(address, 16);
        cpu.checkStore(address, 16);
        cpu.store(address, 8, low);
        cpu.store(address + 8, 8, high);
    }

    /** Stores those of 8 or 16 bytes whose bit in {@code mask} is set, all or nothing. */
    void storeMasked(long address, int size, long low, long high, int mask) {
        if (mask == 0 && size == 16) {
            return;
        }
        cpu.checkAlignment(address, size);
        if (mask == 0) {
            return;
        }
        int first = Integer.numberOfTrailingZeros(mask);
        int last = 31 - Integer.numberOfLeadingZeros(mask);
        cpu.checkStore(address + first, last - first + 1);
        for (int i = first; i <= last; i++) {
            if ((mask >>> i & 1) != 0) {
                cpu.store(address + i, 1, (i < 8 ? low : high) >>> 8 * (i & 7) & 0xff);
            }
        }
    }

    /** #GP for an address that is not a multiple of 16. */
    void checkAligned(long address) {
        if ((address & 15) != 0) {
            throw cpu.fault(GuestFault.GP, 0);
        }
    }
}
