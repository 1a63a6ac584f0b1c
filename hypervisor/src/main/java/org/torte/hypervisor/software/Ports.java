package org.torte.hypervisor.software;

import org.torte.hypervisor.ExitHandler;

/** I/O ports of one processor: the permission check (Intel SDM vol. 1, chapter 19) and the machine behind it. */
final class Ports {
    private final Cpu cpu;
    private final ExitHandler handler;

    /** How often the guest has used a port. */
    long accesses;

    Ports(Cpu cpu, ExitHandler handler) {
        this.cpu = cpu;
        this.handler = handler;
    }

    /** Faults unless the current privilege may use these ports. */
    void check(int port, int size) {
        if (!cpu.protectedMode() || cpu.cpl <= cpu.iopl() && !cpu.virtual8086()) {
            return;
        }
        long limit = cpu.limit[Cpu.TR] & 0xffffffffL;
        int type = cpu.attributes[Cpu.TR] & 15;
        long base = cpu.r[Cpu.BASE + Cpu.TR];
        if ((type == 9 || type == 11) && limit >= 103) {
            long map = cpu.mmu.loadSystem(base + 102, 2);
            long at = map + (port >> 3);
            if (at + 1 <= limit) {
                long bits = cpu.mmu.loadSystem(base + at, 2) >>> (port & 7);
                if ((bits & (1 << size) - 1) == 0) {
                    return;
                }
            }
        }
        throw cpu.gp(0);
    }

    long read(int port, int size) {
        accesses++;
        cpu.breakpoints.port(port, size);
        return Alu.zeroExtend(handler.readPort(cpu.index, port, size), size);
    }

    void write(int port, int size, long value) {
        accesses++;
        cpu.breakpoints.port(port, size);
        handler.writePort(cpu.index, port, size, (int) Alu.zeroExtend(value, size));
    }
}
