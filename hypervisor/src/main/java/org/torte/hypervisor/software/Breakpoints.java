package org.torte.hypervisor.software;

/**
 * Debug registers 0 to 3 as DR7 arms them (Intel SDM vol. 3, section 18.2). While any is armed the processor executes one
 * instruction at a time, and pages with watched bytes stay out of the TLB, so that every access to them comes by here.
 */
final class Breakpoints {
    private static final int EXECUTE = 0, WRITE = 1, PORT = 2;

    private final Cpu cpu;

    /** Bits of DR6 for what the present instruction has touched. */
    private int hits;

    Breakpoints(Cpu cpu) {
        this.cpu = cpu;
    }

    /** Whether any breakpoint is armed. */
    boolean armed() {
        return (cpu.dr[7] & 0xff) != 0;
    }

    private boolean armed(int number) {
        return (cpu.dr[7] >> 2 * number & 3) != 0;
    }

    private int kind(int number) {
        return (int) (cpu.dr[7] >> 16 + 4 * number) & 3;
    }

    /** Bytes less one; the address is aligned to it. */
    private int lengthMask(int number) {
        return switch ((int) (cpu.dr[7] >> 18 + 4 * number) & 3) {
            case 0 -> 0;
            case 1 -> 1;
            case 2 -> 7;
            default -> 3;
        };
    }

    /** The bits of DR6 for breakpoints on an instruction at this linear address. */
    int atInstruction(long address) {
        int found = 0;
        for (int i = 0; i < 4; i++) {
            if (armed(i) && kind(i) == EXECUTE && cpu.dr[i] == address) {
                found |= 1 << i;
            }
        }
        return found;
    }

    /** Whether a page has bytes whose accesses must be noticed. */
    boolean watches(long page) {
        if (!armed()) {
            return false;
        }
        for (int i = 0; i < 4; i++) {
            if (armed(i) && kind(i) != EXECUTE && (cpu.dr[i] & ~0xfffL) == page) {
                return true;
            }
        }
        return false;
    }

    /** An access to memory that was not served from the TLB. */
    void access(long address, int size, boolean write) {
        if (!armed()) {
            return;
        }
        for (int i = 0; i < 4; i++) {
            int kind = kind(i);
            if (armed(i) && (kind == 3 || kind == WRITE && write) && overlaps(i, address, size)) {
                hits |= 1 << i;
            }
        }
    }

    /** An access to a port. */
    void port(int port, int size) {
        if (!armed() || (cpu.cr4 & Cpu.CR4_DE) == 0) {
            return;
        }
        for (int i = 0; i < 4; i++) {
            if (armed(i) && kind(i) == PORT && overlaps(i, port, size)) {
                hits |= 1 << i;
            }
        }
    }

    private boolean overlaps(int number, long address, int size) {
        long mask = lengthMask(number);
        long first = cpu.dr[number] & ~mask;
        return address <= first + mask && address + size - 1 >= first;
    }

    /** What was touched since the last call. */
    int takeHits() {
        int taken = hits;
        hits = 0;
        return taken;
    }
}
