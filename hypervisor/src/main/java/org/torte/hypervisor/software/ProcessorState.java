package org.torte.hypervisor.software;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * The section {@code hypervisor.processor.N} of a saved machine: architectural state only, in the order of
 * docs/state-format.md, so that any back-end can load it.
 */
final class ProcessorState {
    /** Version 2 added the selectors of the last x87 instruction and its operand. */
    static final int VERSION = 2;

    private static final int PENDING = Events.NMI | Events.INIT | Events.STARTUP;

    private ProcessorState() {}

    static void save(Cpu cpu, long instructions, StateOutput out) {
        for (int i = 0; i < 16; i++) {
            out.putLong(cpu.r[i]);
        }
        out.putLong(cpu.rip).putInt(cpu.flags());
        for (int i = 0; i < 8; i++) {
            out.putInt(cpu.selector[i])
                    .putLong(cpu.r[Cpu.BASE + i])
                    .putInt(cpu.limit[i])
                    .putInt(cpu.attributes[i]);
        }
        out.putLong(cpu.gdtBase).putInt(cpu.gdtLimit).putLong(cpu.idtBase).putInt(cpu.idtLimit);
        out.putLong(cpu.cr0).putLong(cpu.cr2).putLong(cpu.cr3).putLong(cpu.cr4).putLong(cpu.efer);
        out.putLongs(cpu.dr).putLongs(cpu.pdpte).putByte(cpu.cpl);
        out.putLong(cpu.star).putLong(cpu.lstar).putLong(cpu.cstar).putLong(cpu.sfmask);
        out.putLong(cpu.kernelGsBase).putLong(cpu.tscAux);
        out.putLong(cpu.sysenterCs).putLong(cpu.sysenterEsp).putLong(cpu.sysenterEip);
        out.putBoolean(cpu.interruptShadow).putBoolean(cpu.nmiBlocked);
        out.putBoolean(cpu.halted).putBoolean(cpu.waitingForStartup);
        out.putInt(cpu.events.pending(PENDING));
        out.putLong(cpu.tsc.read()).putLong(cpu.tsc.adjust());
        cpu.msrs.save(out);
        cpu.fpu.save(out);
        cpu.apic.save(out);
        out.putLong(instructions);
    }

    static long restore(Cpu cpu, StateInput in) {
        for (int i = 0; i < 16; i++) {
            cpu.r[i] = in.getLong();
        }
        cpu.rip = in.getLong();
        int flags = in.getInt();
        for (int i = 0; i < 8; i++) {
            cpu.selector[i] = in.getInt();
            cpu.r[Cpu.BASE + i] = in.getLong();
            cpu.limit[i] = in.getInt();
            cpu.attributes[i] = in.getInt();
        }
        cpu.gdtBase = in.getLong();
        cpu.gdtLimit = in.getInt();
        cpu.idtBase = in.getLong();
        cpu.idtLimit = in.getInt();
        cpu.cr0 = in.getLong();
        cpu.cr2 = in.getLong();
        cpu.cr3 = in.getLong();
        cpu.cr4 = in.getLong();
        cpu.efer = in.getLong();
        in.getLongs(cpu.dr);
        in.getLongs(cpu.pdpte);
        int cpl = in.getByte();
        in.check(cpl < 4, "privilege level " + cpl);
        cpu.star = in.getLong();
        cpu.lstar = in.getLong();
        cpu.cstar = in.getLong();
        cpu.sfmask = in.getLong();
        cpu.kernelGsBase = in.getLong();
        cpu.tscAux = in.getLong();
        cpu.sysenterCs = in.getLong();
        cpu.sysenterEsp = in.getLong();
        cpu.sysenterEip = in.getLong();
        cpu.interruptShadow = in.getBoolean();
        cpu.nmiBlocked = in.getBoolean();
        cpu.halted = in.getBoolean();
        cpu.waitingForStartup = in.getBoolean();
        int pending = in.getInt() & PENDING;
        long tsc = in.getLong();
        cpu.tsc.restore(tsc, in.getLong());
        cpu.msrs.restore(in);
        cpu.fpu.restore(in);
        cpu.setFlags(flags);
        cpu.apic.restore(in);
        cpu.stateReplaced();
        cpu.setCpl(cpl);
        cpu.events.raise(pending);
        return in.getLong();
    }
}
