package org.torte.machine;

import java.util.List;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.LastSteps;

/**
 * The processors at the moment of a crash.
 *
 * @param processor the number of the one that crashed
 * @param states the registers of all processors, by number
 * @param lastSteps what the one that crashed had done last
 */
public record CrashReport(int processor, List<CpuState> states, LastSteps lastSteps) {
    /** Copies the list. */
    public CrashReport {
        states = List.copyOf(states);
    }
}
