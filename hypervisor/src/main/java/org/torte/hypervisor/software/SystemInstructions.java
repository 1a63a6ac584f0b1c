package org.torte.hypervisor.software;

import java.lang.invoke.VarHandle;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** CPUID, time stamps, control and debug registers, descriptor tables, caches and TLBs, HLT, random numbers. */
final class SystemInstructions {
    private static final long CR0_DEFINED = 0xe005_003fL;
    private static final int OSXSAVE = 1 << 27, OSPKE = 1 << 4, APIC = 1 << 9;
    private static final int INVPCID_FEATURE = 1 << 10;

    /** MOV to CR3 keeps the translations of the new PCID. Here only those of global pages are kept, so the bit is dropped. */
    private static final long CR3_KEEP = 1L << 63;

    private static final long PCID = 0xfff;

    /** What decides translation: a change empties the TLBs. */
    private static final long CR4_TRANSLATION =
            Cpu.CR4_PAE | Cpu.CR4_PGE | Cpu.CR4_PSE | Cpu.CR4_SMEP | Cpu.CR4_SMAP | Cpu.CR4_PCIDE;

    private final Cpu cpu;
    private final CpuidTable cpuid;
    private final RandomSource random;
    private final ModelRegisters registers;

    /** Bits of CR4 that the CPUID policy offers. */
    private final long cr4Offered;

    SystemInstructions(Cpu cpu, PartitionConfiguration configuration) {
        this.cpu = cpu;
        cpuid = configuration.cpuid();
        random = configuration.random();
        registers = new ModelRegisters(cpu, configuration);
        cr4Offered = offered(cpuid);
    }

    private static long offered(CpuidTable cpuid) {
        int ecx1 = cpuid.get(1, 0).ecx();
        int edx1 = cpuid.get(1, 0).edx();
        int ebx7 = cpuid.get(7, 0).ebx();
        int ecx7 = cpuid.get(7, 0).ecx();
        long bits = Cpu.CR4_TSD | Cpu.CR4_DE | Cpu.CR4_PSE | Cpu.CR4_PAE | Cpu.CR4_MCE | Cpu.CR4_PGE | Cpu.CR4_PCE;
        bits |= (edx1 & 1 << 24) != 0 ? Cpu.CR4_OSFXSR : 0;
        bits |= (edx1 & 1 << 25) != 0 ? Cpu.CR4_OSXMMEXCPT : 0;
        bits |= (ecx1 & 1 << 26) != 0 ? Cpu.CR4_OSXSAVE : 0;
        bits |= (ebx7 & 1) != 0 ? Cpu.CR4_FSGSBASE : 0;
        bits |= (ebx7 & 1 << 7) != 0 ? Cpu.CR4_SMEP : 0;
        bits |= (ebx7 & 1 << 20) != 0 ? Cpu.CR4_SMAP : 0;
        bits |= (ecx1 & 1 << 17) != 0 ? Cpu.CR4_PCIDE : 0;
        bits |= (ecx7 & 1 << 2) != 0 ? Cpu.CR4_UMIP : 0;
        return bits;
    }

    void execute(Instruction in, Operands operands) {
        switch (in.form.operation()) {
            case CPUID -> {
                VarHandle.fullFence(); // serialises, as everything here does that says so in SDM vol. 3, section 9.3
                identify();
            }
            case RDTSC, RDTSCP -> {
                if ((cpu.cr4 & Cpu.CR4_TSD) != 0 && cpu.cpl != 0) {
                    throw cpu.gp(0);
                }
                setPair(cpu.tsc.read());
                if (in.form.operation() == Operation.RDTSCP) {
                    cpu.r[Cpu.RCX] = cpu.tscAux & 0xffffffffL;
                }
            }
            case RDPID -> operands.write(in, 0, cpu.tscAux & 0xffffffffL);
            case RDPMC -> throw cpu.gp(0); // there are no counters
            case RDMSR -> {
                requireSupervisor();
                setPair(registers.read((int) cpu.r[Cpu.RCX]));
            }
            case WRMSR -> {
                requireSupervisor();
                VarHandle.fullFence();
                long value = cpu.r[Cpu.RDX] << 32 | cpu.r[Cpu.RAX] & 0xffffffffL;
                registers.write((int) cpu.r[Cpu.RCX], value);
            }
            case HLT -> {
                requireSupervisor();
                cpu.halted = true;
                cpu.events.attention = true;
            }
            case MOV_FROM_CR -> {
                requireControlRegister(in.reg);
                requireSupervisor();
                long value = switch (in.reg) {
                    case 0 -> cpu.cr0;
                    case 2 -> cpu.cr2;
                    case 3 -> cpu.cr3;
                    case 4 -> cpu.cr4;
                    case 8 -> cpu.apic.cr8();
                    default -> throw cpu.fault(GuestFault.UD, 0);
                };
                operands.setRegister(in.rm, cpu.longMode() ? 8 : 4, true, value);
            }
            case MOV_TO_CR -> {
                requireControlRegister(in.reg);
                requireSupervisor();
                VarHandle.fullFence();
                setControl(in.reg, cpu.longMode() ? cpu.r[in.rm] : cpu.r[in.rm] & 0xffffffffL);
            }
            case MOV_FROM_DR -> {
                checkDebug(in.reg);
                operands.setRegister(in.rm, cpu.longMode() ? 8 : 4, true, cpu.dr[debug(in.reg)]);
            }
            case MOV_TO_DR -> {
                checkDebug(in.reg);
                VarHandle.fullFence();
                setDebug(debug(in.reg), cpu.longMode() ? cpu.r[in.rm] : cpu.r[in.rm] & 0xffffffffL);
            }
            case LMSW -> {
                requireSupervisor();
                long value = operands.read(in, 0);
                // PE can be set but not cleared.
                setCr0(cpu.cr0 & ~0xeL | value & 0xf);
            }
            case SMSW -> {
                requireUnrestricted();
                operands.write(in, 0, cpu.cr0);
            }
            case CLTS -> {
                requireSupervisor();
                cpu.cr0 &= ~Cpu.CR0_TS;
            }
            case LGDT, LIDT -> loadTable(in, operands);
            case SGDT, SIDT -> storeTable(in, operands);
            case INVD, WBINVD -> {
                requireSupervisor();
                VarHandle.fullFence();
            }
            case INVLPG -> {
                requireSupervisor();
                VarHandle.fullFence();
                long offset = operands.offset(in);
                cpu.mmu.flushPage(
                        cpu.longMode()
                                ? offset + (in.segment >= Cpu.FS ? cpu.r[Cpu.BASE + in.segment] : 0)
                                : offset + cpu.r[Cpu.BASE + in.segment] & 0xffffffffL);
            }
            case RDRAND, RDSEED -> {
                operands.write(in, 0, random.nextLong());
                cpu.alu.setFlags(Alu.CF);
            }
            case STAC, CLAC -> {
                if ((cr4Offered & Cpu.CR4_SMAP) == 0 || cpu.cpl != 0) {
                    throw cpu.fault(GuestFault.UD, 0);
                }
                cpu.setAlignmentCheck(in.form.operation() == Operation.STAC);
            }
            case INVPCID -> invalidate(in, operands);
            case MONITOR, MWAIT, RDPKRU, WRPKRU, VMCALL, VMMCALL ->
                // Not in any CPU model.
                throw cpu.fault(GuestFault.UD, 0);
            default -> throw new AssertionError(in.form.operation());
        }
    }

    /** #UD for a register that does not exist comes before any check of privilege. */
    private void requireControlRegister(int number) {
        if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8) {
            throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private void requireSupervisor() {
        if (cpu.cpl != 0) {
            throw cpu.gp(0);
        }
    }

    /** CR4.UMIP hides system registers from user code. */
    private void requireUnrestricted() {
        if ((cpu.cr4 & Cpu.CR4_UMIP) != 0 && cpu.cpl != 0) {
            throw cpu.gp(0);
        }
    }

    private void setPair(long value) {
        cpu.r[Cpu.RAX] = value & 0xffffffffL;
        cpu.r[Cpu.RDX] = value >>> 32;
    }

    // ---- CPUID

    private void identify() {
        int leaf = (int) cpu.r[Cpu.RAX];
        int subleaf = (int) cpu.r[Cpu.RCX];
        CpuidTable.Registers found = cpuid.get(leaf, subleaf);
        int ebx = found.ebx();
        int ecx = found.ecx();
        int edx = found.edx();
        switch (leaf) {
            case 1 -> {
                ebx = ebx & 0xffffff | cpu.index << 24;
                ecx = ecx & ~OSXSAVE | ((cpu.cr4 & Cpu.CR4_OSXSAVE) != 0 ? OSXSAVE : 0);
                edx = cpu.apic.enabled() ? edx : edx & ~APIC;
            }
            case 7 -> ecx = subleaf == 0 ? ecx & ~OSPKE | ((cpu.cr4 & Cpu.CR4_PKE) != 0 ? OSPKE : 0) : ecx;
            case 0xb -> {
                edx = cpu.index;
                ecx = ecx & ~0xff | subleaf & 0xff;
            }
            case 0x8000_0001 -> edx = cpu.apic.enabled() ? edx : edx & ~APIC;
            case 0x8000_001e -> ebx = ebx & ~0xff | cpu.index;
            case 0xd -> ebx = subleaf == 0 ? 512 + 64 : ebx;
            default -> {}
        }
        int eax = leaf == 0x8000_001e ? cpu.index : found.eax();
        cpu.r[Cpu.RAX] = eax & 0xffffffffL;
        cpu.r[Cpu.RBX] = ebx & 0xffffffffL;
        cpu.r[Cpu.RCX] = ecx & 0xffffffffL;
        cpu.r[Cpu.RDX] = edx & 0xffffffffL;
    }

    // ---- control registers

    private void setControl(int number, long value) {
        switch (number) {
            case 0 -> setCr0(value);
            case 2 -> cpu.cr2 = value;
            case 3 -> setCr3(value);
            case 4 -> setCr4(value);
            case 8 -> {
                if (value >>> 4 != 0) {
                    throw cpu.gp(0);
                }
                cpu.apic.setCr8((int) value);
            }
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private void setCr0(long requested) {
        if (requested >>> 32 != 0) {
            throw cpu.gp(0);
        }
        long value = requested & CR0_DEFINED | Cpu.CR0_ET;
        boolean paging = (value & Cpu.CR0_PG) != 0;
        if (paging && (value & Cpu.CR0_PE) == 0 || (value & Cpu.CR0_NW) != 0 && (value & Cpu.CR0_CD) == 0) {
            throw cpu.gp(0);
        }
        boolean wasPaging = (cpu.cr0 & Cpu.CR0_PG) != 0;
        long efer = cpu.efer;
        if (paging && !wasPaging) {
            if ((efer & Cpu.EFER_LME) != 0) {
                if ((cpu.cr4 & Cpu.CR4_PAE) == 0 || (cpu.attributes[Cpu.CS] & Cpu.ATTRIBUTE_L) != 0) {
                    throw cpu.gp(0);
                }
                efer |= Cpu.EFER_LMA;
            } else if ((cpu.cr4 & Cpu.CR4_PAE) != 0) {
                cpu.mmu.loadPageDirectoryPointers(cpu.cr3);
            }
        } else if (!paging && wasPaging) {
            if (cpu.longMode()) {
                throw cpu.gp(0);
            }
            efer &= ~Cpu.EFER_LMA;
        }
        if (!paging && (cpu.cr4 & Cpu.CR4_PCIDE) != 0) {
            throw cpu.gp(0);
        }
        long changed = cpu.cr0 ^ value;
        cpu.cr0 = value;
        cpu.efer = efer;
        if ((changed & (Cpu.CR0_PG | Cpu.CR0_WP | Cpu.CR0_PE)) != 0) {
            cpu.mmu.flush();
        }
        cpu.modeChanged();
    }

    private void setCr3(long requested) {
        long value = (cpu.cr4 & Cpu.CR4_PCIDE) != 0 ? requested & ~CR3_KEEP : requested;
        if (cpu.longModeActive()) {
            if (value >>> cpu.mmu.physicalBits() != 0) {
                throw cpu.gp(0);
            }
        } else if ((cpu.cr0 & Cpu.CR0_PG) != 0 && (cpu.cr4 & Cpu.CR4_PAE) != 0) {
            cpu.mmu.loadPageDirectoryPointers(value);
        }
        cpu.cr3 = value;
        cpu.mmu.flushLocal();
    }

    private void setCr4(long value) {
        if ((value & ~cr4Offered) != 0 || cpu.longModeActive() && (value & Cpu.CR4_PAE) == 0) {
            throw cpu.gp(0);
        }
        long changed = cpu.cr4 ^ value;
        if ((changed & value & Cpu.CR4_PCIDE) != 0 && (!cpu.longModeActive() || (cpu.cr3 & PCID) != 0)) {
            throw cpu.gp(0);
        }
        boolean pae = (value & Cpu.CR4_PAE) != 0 && (cpu.cr0 & Cpu.CR0_PG) != 0 && !cpu.longModeActive();
        if (pae && (changed & (Cpu.CR4_PAE | Cpu.CR4_PGE | Cpu.CR4_PSE | Cpu.CR4_SMEP)) != 0) {
            cpu.mmu.loadPageDirectoryPointers(cpu.cr3);
        }
        cpu.cr4 = value;
        if ((changed & CR4_TRANSLATION) != 0) {
            cpu.mmu.flush();
            cpu.setCpl(cpu.cpl);
        }
    }

    /**
     * INVPCID (Intel SDM vol. 2). A processor may always forget more than it is asked to: here the TLBs hold the
     * translations of one PCID only, and every kind drops all of them; those of global pages go with kind 2 alone.
     */
    private void invalidate(Instruction in, Operands operands) {
        if ((cpuid.get(7, 0).ebx() & INVPCID_FEATURE) == 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        requireSupervisor();
        long kind = operands.read(in, 0);
        long address = operands.address(in, 16, false);
        long pcid = cpu.mmu.load64(address);
        long linear = cpu.mmu.load64(address + 8);
        boolean named = kind <= 1; // one PCID, or an address in it
        boolean valid = kind >>> 2 == 0
                && (pcid & ~PCID) == 0
                && (kind != 0 || linear << 16 >> 16 == linear)
                && (!named || pcid == 0 || (cpu.cr4 & Cpu.CR4_PCIDE) != 0);
        if (!valid) {
            throw cpu.gp(0);
        }
        VarHandle.fullFence();
        if (kind == 2) {
            cpu.mmu.flush();
        } else {
            cpu.mmu.flushLocal();
        }
    }

    // ---- debug registers

    private int debug(int number) {
        return number == 4 || number == 5 ? number + 2 : number;
    }

    private void checkDebug(int number) {
        if (number > 7 || (number == 4 || number == 5) && (cpu.cr4 & Cpu.CR4_DE) != 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        requireSupervisor();
        if ((cpu.dr[7] & 0x2000) != 0) {
            // General detect: an access to a debug register while DR7.GD is set.
            cpu.dr[6] |= 0x2000;
            cpu.dr[7] &= ~0x2000L;
            throw cpu.fault(GuestFault.DB, 0);
        }
    }

    private void setDebug(int number, long value) {
        switch (number) {
            case 6, 7 -> {
                if (value >>> 32 != 0) {
                    throw cpu.gp(0);
                }
                cpu.dr[number] = number == 6 ? value & 0xe00f | 0xffff0ff0L : value & 0xffff23ffL | 0x400;
            }
            default -> cpu.dr[number] = value;
        }
        if (number != 6) {
            cpu.breakpointsChanged();
        }
    }

    // ---- descriptor tables

    private void loadTable(Instruction in, Operands operands) {
        requireSupervisor();
        int size = cpu.longMode() ? 8 : 4;
        long address = operands.address(in, size + 2, false);
        int limit = (int) cpu.mmu.load16(address);
        long base = cpu.mmu.load(address + 2, size);
        VarHandle.fullFence();
        if (size == 8) {
            if (base << 16 >> 16 != base) {
                throw cpu.gp(0);
            }
        } else if (in.operandSize == 2) {
            base &= 0xffffff;
        }
        if (in.form.operation() == Operation.LGDT) {
            cpu.gdtBase = base;
            cpu.gdtLimit = limit;
        } else {
            cpu.idtBase = base;
            cpu.idtLimit = limit;
        }
    }

    private void storeTable(Instruction in, Operands operands) {
        requireUnrestricted();
        boolean global = in.form.operation() == Operation.SGDT;
        int size = cpu.longMode() ? 8 : 4;
        long address = operands.address(in, size + 2, true);
        cpu.mmu.checkStore(address, size + 2);
        cpu.mmu.store16(address, global ? cpu.gdtLimit : cpu.idtLimit);
        cpu.mmu.store(address + 2, size, global ? cpu.gdtBase : cpu.idtBase);
    }
}
