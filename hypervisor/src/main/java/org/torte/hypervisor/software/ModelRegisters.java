package org.torte.hypervisor.software;

import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.shared.Msrs;

/** RDMSR and WRMSR: registers with an effect here, those of {@link Msrs}, and the machine's synthetic ones behind them. */
final class ModelRegisters {
    private static final long EFER_AUTOMATIC_IBRS = 1 << 21;

    /** Registers that exist only with a feature. */
    private static final int TSC_ADJUST = 0x3b, SPEC_CTRL = 0x48, PRED_CMD = 0x49, FLUSH_CMD = 0x10b;

    private static final int TSC_DEADLINE = 0x6e0, TSC_AUX = 0xc000_0103;

    private final Cpu cpu;
    private final ExitHandler handler;
    private final ExitHandler.MsrValue answer = new ExitHandler.MsrValue();
    private final long[] value = new long[1];
    private final int[] absent;
    private final boolean x2apicOffered;
    private final long eferWritable;
    private final long addressMask;

    ModelRegisters(Cpu cpu, PartitionConfiguration configuration) {
        this.cpu = cpu;
        handler = configuration.handler();
        CpuidTable cpuid = configuration.cpuid();
        absent = absent(cpuid);
        x2apicOffered = (cpuid.get(1, 0).ecx() & 1 << 21) != 0;
        boolean automaticIbrs = (cpuid.get(0x8000_0021, 0).eax() & 1 << 8) != 0;
        eferWritable = Cpu.EFER_SCE | Cpu.EFER_LME | Cpu.EFER_NXE | (automaticIbrs ? EFER_AUTOMATIC_IBRS : 0);
        addressMask = (1L << cpu.mmu.physicalBits()) - 1;
    }

    /** Registers whose feature CPUID does not show. */
    private static int[] absent(CpuidTable cpuid) {
        int edx7 = cpuid.get(7, 0).edx();
        int ebx8 = cpuid.get(0x8000_0008, 0).ebx();
        int[] registers = {TSC_ADJUST, SPEC_CTRL, PRED_CMD, FLUSH_CMD, TSC_DEADLINE, TSC_AUX};
        boolean[] offered = {
            (cpuid.get(7, 0).ebx() & 1 << 1) != 0,
            (edx7 & (1 << 26 | 1 << 27 | 1 << 31)) != 0 || (ebx8 & (1 << 14 | 1 << 15 | 1 << 24)) != 0,
            (edx7 & 1 << 26) != 0 || (ebx8 & 1 << 12) != 0,
            (edx7 & 1 << 28) != 0,
            (cpuid.get(1, 0).ecx() & 1 << 24) != 0,
            (cpuid.get(0x8000_0001, 0).edx() & 1 << 27) != 0
        };
        return java.util.stream.IntStream.range(0, registers.length)
                .filter(i -> !offered[i])
                .map(i -> registers[i])
                .toArray();
    }

    private void requireOffered(int index) {
        for (int register : absent) {
            if (register == index) {
                throw cpu.gp(0);
            }
        }
    }

    long read(int index) {
        requireOffered(index);
        switch (index) {
            case 0x10 -> {
                return cpu.tsc.read();
            }
            case 0x1b -> {
                return cpu.apic.baseRegister();
            }
            case TSC_ADJUST -> {
                return cpu.tsc.adjust();
            }
            case 0x174 -> {
                return cpu.sysenterCs;
            }
            case 0x175 -> {
                return cpu.sysenterEsp;
            }
            case 0x176 -> {
                return cpu.sysenterEip;
            }
            case TSC_DEADLINE -> {
                return cpu.apic.timer().tscDeadline();
            }
            case 0xc0000080 -> {
                return cpu.efer;
            }
            case 0xc0000081 -> {
                return cpu.star;
            }
            case 0xc0000082 -> {
                return cpu.lstar;
            }
            case 0xc0000083 -> {
                return cpu.cstar;
            }
            case 0xc0000084 -> {
                return cpu.sfmask;
            }
            case 0xc0000100 -> {
                return cpu.r[Cpu.BASE + Cpu.FS];
            }
            case 0xc0000101 -> {
                return cpu.r[Cpu.BASE + Cpu.GS];
            }
            case 0xc0000102 -> {
                return cpu.kernelGsBase;
            }
            case TSC_AUX -> {
                return cpu.tscAux;
            }
            default -> {
                if (index >= 0x800 && index <= 0x83f) {
                    if (!cpu.apic.x2apic() || !cpu.apic.msrReadable(index - 0x800)) {
                        throw cpu.gp(0);
                    }
                    return cpu.apic.readMsr(index - 0x800);
                }
                if (cpu.msrs.read(index, value)) {
                    return value[0];
                }
                if (handler.readMsr(cpu.index, index, answer)) {
                    return answer.value;
                }
                throw cpu.gp(0);
            }
        }
    }

    void write(int index, long value) {
        requireOffered(index);
        switch (index) {
            case 0x10 -> {
                cpu.tsc.write(value);
                cpu.apic.timer().tscChanged();
            }
            case 0x1b -> {
                if (!cpu.apic.setBaseRegister(value, addressMask, x2apicOffered)) {
                    throw cpu.gp(0);
                }
                cpu.mmu.flush();
            }
            case TSC_ADJUST -> {
                cpu.tsc.writeAdjust(value);
                cpu.apic.timer().tscChanged();
            }
            case 0x174 -> cpu.sysenterCs = value & 0xffff;
            case 0x175 -> cpu.sysenterEsp = canonical(value);
            case 0x176 -> cpu.sysenterEip = canonical(value);
            case TSC_DEADLINE -> cpu.apic.timer().setTscDeadline(value);
            case 0xc0000080 -> setEfer(value);
            case 0xc0000081 -> cpu.star = value;
            case 0xc0000082 -> cpu.lstar = canonical(value);
            case 0xc0000083 -> cpu.cstar = canonical(value);
            case 0xc0000084 -> cpu.sfmask = value & 0xffffffffL;
            case 0xc0000100 -> cpu.r[Cpu.BASE + Cpu.FS] = canonical(value);
            case 0xc0000101 -> cpu.r[Cpu.BASE + Cpu.GS] = canonical(value);
            case 0xc0000102 -> cpu.kernelGsBase = canonical(value);
            case TSC_AUX -> {
                if (value >>> 32 != 0) {
                    throw cpu.gp(0);
                }
                cpu.tscAux = value;
            }
            default -> {
                boolean taken = index >= 0x800 && index <= 0x83f
                        ? cpu.apic.x2apic() && cpu.apic.writeMsr(index - 0x800, value)
                        : cpu.msrs.write(index, value) || handler.writeMsr(cpu.index, index, value);
                if (!taken) {
                    throw cpu.gp(0);
                }
            }
        }
    }

    private long canonical(long value) {
        if (value << 16 >> 16 != value) {
            throw cpu.gp(0);
        }
        return value;
    }

    private void setEfer(long requested) {
        // LMA is read-only; writes of it are ignored.
        long wanted = requested & ~Cpu.EFER_LMA;
        boolean paging = (cpu.cr0 & Cpu.CR0_PG) != 0;
        if ((wanted & ~eferWritable) != 0 || paging && ((wanted ^ cpu.efer) & Cpu.EFER_LME) != 0) {
            throw cpu.gp(0);
        }
        long changed = cpu.efer ^ wanted;
        cpu.efer = wanted | cpu.efer & Cpu.EFER_LMA;
        if ((changed & Cpu.EFER_NXE) != 0) {
            cpu.mmu.flush();
        }
    }
}
