package org.torte.hypervisor.software.translator;

/**
 * Where the guest's general registers are while translated code executes: in the host's registers of the same names,
 * RSP in r15; R11 to R15 stay in memory, because r11 is the budget, r12 and r13 are scratch, and r14 points to the {@link
 * StateArea}.
 */
final class Registers {
    private Registers() {}

    /** Whether a guest's register stays in memory. */
    static boolean inMemory(int guest) {
        return guest >= Assembler.R11;
    }

    /** The host's register for one that does not. */
    static int host(int guest) {
        return guest == Assembler.RSP ? Assembler.R15 : guest;
    }
}
