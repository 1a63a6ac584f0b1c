package org.torte.machine;

import java.util.List;
import org.torte.hypervisor.CpuState;

/**
 * The processors at the moment of a crash.
 *
 * @param processor the number of the one that crashed
 * @param states the registers of all processors, by number
 */
public record CrashReport(int processor, List<CpuState> states) {
    /** Copies the list. */
    public CrashReport {
        states = List.copyOf(states);
    }
}
