package org.torte.machine.hyperv;

import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.PartitionConfiguration;

/** The CPUID leaves of the Hyper-V interface (TLFS, "Feature and Interface Discovery"). */
public final class HypervCpuid {
    private static final int BASE = 0x4000_0000;
    private static final int LAST = BASE + 6;

    /** The version that guests print: that of Windows Server 2022, whose interface this is a part of. */
    private static final int BUILD = 20348, MAJOR = 10;

    private static final int RUN_TIME = 1;
    private static final int REFERENCE_COUNTER = 1 << 1, INTERRUPT_CONTROLLER = 1 << 2, TIMERS = 1 << 3;
    private static final int HYPERCALL_REGISTERS = 1 << 5, PROCESSOR_INDEX = 1 << 6, RESET_REGISTER = 1 << 7;
    private static final int REFERENCE_PAGE = 1 << 9, IDLE_REGISTER = 1 << 10, FREQUENCIES = 1 << 11;
    private static final int POST_MESSAGES = 1 << 4, SIGNAL_EVENTS = 1 << 5, PROCESSOR_REGISTERS = 1 << 17;
    private static final int EXTENDED_HYPERCALLS = 1 << 20;
    private static final int VECTOR_INPUT = 1 << 4, IDLE_STATE = 1 << 5, FREQUENCY_REGISTERS = 1 << 8;
    private static final int CRASH_REGISTERS = 1 << 10, DIRECT_TIMERS = 1 << 19;
    private static final int RELAXED_TIMING = 1 << 5, NO_AUTOMATIC_END = 1 << 9;
    private static final int NEVER_NOTIFY_SPINNING = -1;

    private HypervCpuid() {}

    /** Adds the leaves. */
    public static void addTo(CpuidTable.Builder table) {
        table.leaf(BASE, LAST, ascii("Micr"), ascii("osof"), ascii("t Hv"));
        table.leaf(BASE + 1, ascii("Hv#1"), 0, 0, 0);
        table.leaf(BASE + 2, BUILD, MAJOR << 16, 0, 0);
        table.leaf(
                BASE + 3,
                RUN_TIME
                        | REFERENCE_COUNTER
                        | INTERRUPT_CONTROLLER
                        | TIMERS
                        | HYPERCALL_REGISTERS
                        | PROCESSOR_INDEX
                        | RESET_REGISTER
                        | REFERENCE_PAGE
                        | IDLE_REGISTER
                        | FREQUENCIES,
                POST_MESSAGES | SIGNAL_EVENTS | PROCESSOR_REGISTERS | EXTENDED_HYPERCALLS,
                0,
                VECTOR_INPUT | IDLE_STATE | FREQUENCY_REGISTERS | CRASH_REGISTERS | DIRECT_TIMERS);
        // Hypercalls for flushes and interrupts are there but not recommended: an exit costs more than what it
        // replaces.
        table.leaf(BASE + 4, RELAXED_TIMING | NO_AUTOMATIC_END, NEVER_NOTIFY_SPINNING, 0, 0);
        table.leaf(BASE + 5, PartitionConfiguration.MAX_PROCESSORS, PartitionConfiguration.MAX_PROCESSORS, 0, 0);
        table.leaf(LAST, 0, 0, 0, 0);
    }

    private static int ascii(String four) {
        return four.charAt(0) | four.charAt(1) << 8 | four.charAt(2) << 16 | four.charAt(3) << 24;
    }
}
