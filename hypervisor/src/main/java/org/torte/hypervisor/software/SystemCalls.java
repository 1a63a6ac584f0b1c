package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/**
 * SYSCALL, SYSRET, SYSENTER and SYSEXIT as AMD's processors have them (AMD64 manual vol. 3): SYSCALL in every mode with
 * EFER.SCE, SYSENTER only outside long mode.
 */
final class SystemCalls {
    private static final int CODE_64 = 0xa09b, CODE_32 = 0xc09b, DATA = 0xc093;

    private final Cpu cpu;

    /** Segments and privilege level of 64-bit code as SYSCALL and SYSRET leave them, and IRET where they are flat. */
    static void cross(Cpu cpu, int codeSelector, int stackSelector, int level) {
        set(cpu, Cpu.CS, codeSelector, CODE_64, level);
        set(cpu, Cpu.SS, stackSelector, DATA, level);
        cpu.setCpl(level);
    }

    /** The selector of CS after SYSCALL; that of SS follows 8 behind it. */
    static int callSelector(Cpu cpu) {
        return (int) (cpu.star >>> 32) & 0xfffc;
    }

    /** The selector of CS after a SYSRET to 64-bit code. */
    static int returnSelector(Cpu cpu) {
        return (int) (cpu.star >>> 48) + 16 & 0xfffc | 3;
    }

    /** The selector of SS after SYSRET. */
    static int returnStackSelector(Cpu cpu) {
        return (int) (cpu.star >>> 48) + 8 & 0xfffc | 3;
    }

    SystemCalls(Cpu cpu) {
        this.cpu = cpu;
    }

    void execute(Instruction in) {
        switch (in.form.operation()) {
            case SYSCALL -> systemCall();
            case SYSRET -> systemReturn(in.operandSize == 8);
            case SYSENTER -> enter();
            default -> exit();
        }
    }

    /** A flat segment: these instructions do not read descriptors. */
    private void set(int segment, int selector, int attributes, int level) {
        set(cpu, segment, selector, attributes, level);
    }

    private static void set(Cpu cpu, int segment, int selector, int attributes, int level) {
        cpu.selector[segment] = selector;
        cpu.r[Cpu.BASE + segment] = 0;
        cpu.limit[segment] = -1;
        cpu.attributes[segment] = attributes | level << 5;
    }

    private void requireEnabled() {
        if ((cpu.efer & Cpu.EFER_SCE) == 0) {
            throw cpu.fault(GuestFault.UD, 0);
        }
    }

    private void systemCall() {
        requireEnabled();
        int selector = (int) (cpu.star >>> 32) & 0xfffc;
        if (cpu.longModeActive()) {
            boolean long64 = cpu.longMode();
            cpu.r[Cpu.RCX] = cpu.rip;
            cpu.r[11] = cpu.flags() & ~Cpu.RF;
            cpu.rip = long64 ? cpu.lstar : cpu.cstar;
            cpu.setFlags((int) (cpu.flags() & ~cpu.sfmask) & ~Cpu.RF);
            set(Cpu.CS, selector, CODE_64, 0);
        } else {
            if (!cpu.protectedMode() || cpu.virtual8086()) {
                throw cpu.fault(GuestFault.UD, 0);
            }
            cpu.r[Cpu.RCX] = cpu.rip & 0xffffffffL;
            cpu.rip = cpu.star & 0xffffffffL;
            cpu.setSystemFlags(cpu.systemFlags & ~(Cpu.IF | Cpu.RF));
            set(Cpu.CS, selector, CODE_32, 0);
        }
        set(Cpu.SS, selector + 8, DATA, 0);
        cpu.setCpl(0);
        cpu.modeChanged();
    }

    private void systemReturn(boolean to64) {
        requireEnabled();
        if (!cpu.protectedMode() || cpu.cpl != 0) {
            throw cpu.gp(0);
        }
        int selector = (int) (cpu.star >>> 48) & 0xffff;
        if (cpu.longMode()) {
            int kept = Cpu.VM | Cpu.VIF | Cpu.VIP;
            cpu.setFlags((int) cpu.r[11] & ~(kept | Cpu.RF) | cpu.systemFlags & kept);
            cpu.rip = to64 ? cpu.r[Cpu.RCX] : cpu.r[Cpu.RCX] & 0xffffffffL;
            set(Cpu.CS, (to64 ? selector + 16 : selector) & 0xfffc | 3, to64 ? CODE_64 : CODE_32, 3);
        } else {
            cpu.rip = cpu.r[Cpu.RCX] & 0xffffffffL;
            cpu.setSystemFlags(cpu.systemFlags | Cpu.IF);
            set(Cpu.CS, selector & 0xfffc | 3, CODE_32, 3);
        }
        set(Cpu.SS, selector + 8 & 0xfffc | 3, DATA, 3);
        cpu.setCpl(3);
        cpu.modeChanged();
        if ((cpu.systemFlags & Cpu.TF) != 0) {
            cpu.pendingTrap = SoftwareProcessor.DR6_SINGLE_STEP; // SYSRET traps with the flag it loads
        }
    }

    private void enter() {
        if (cpu.longModeActive()) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        if (!cpu.protectedMode() || (cpu.sysenterCs & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        cpu.setSystemFlags(cpu.systemFlags & ~(Cpu.VM | Cpu.IF | Cpu.RF));
        cpu.r[Cpu.RSP] = cpu.sysenterEsp & 0xffffffffL;
        cpu.rip = cpu.sysenterEip & 0xffffffffL;
        int selector = (int) cpu.sysenterCs & 0xfffc;
        set(Cpu.CS, selector, CODE_32, 0);
        set(Cpu.SS, selector + 8, DATA, 0);
        cpu.setCpl(0);
        cpu.modeChanged();
    }

    private void exit() {
        if (cpu.longModeActive()) {
            throw cpu.fault(GuestFault.UD, 0);
        }
        if (!cpu.protectedMode() || cpu.cpl != 0 || (cpu.sysenterCs & 0xfffc) == 0) {
            throw cpu.gp(0);
        }
        int selector = (int) cpu.sysenterCs & 0xfffc;
        cpu.r[Cpu.RSP] = cpu.r[Cpu.RCX] & 0xffffffffL;
        cpu.rip = cpu.r[Cpu.RDX] & 0xffffffffL;
        set(Cpu.CS, selector + 16 | 3, CODE_32, 3);
        set(Cpu.SS, selector + 24 | 3, DATA, 3);
        cpu.setCpl(3);
        cpu.modeChanged();
    }
}
