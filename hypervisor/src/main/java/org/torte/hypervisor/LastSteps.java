package org.torte.hypervisor;

import java.util.List;

/**
 * What a processor did last, for crash reports.
 *
 * @param runs instructions that were executed in a row, oldest first
 * @param exceptions if it shut down: the vectors that led there, each raised by delivering the one before
 */
public record LastSteps(List<Run> runs, List<Integer> exceptions) {
    /** Nothing is known. */
    public static final LastSteps NONE = new LastSteps(List.of(), List.of());

    /** Copies the lists. */
    public LastSteps {
        runs = List.copyOf(runs);
        exceptions = List.copyOf(exceptions);
    }

    /**
     * Instructions that were executed one after the other; those of translated code perhaps not all, and others since the run
     * before.
     *
     * @param address the first one's offset in the code segment
     * @param length the number of bytes in which they begin
     * @param mode 16, 32 or 64
     * @param translated whether it is where translated code was left
     */
    public record Run(long address, int length, int mode, boolean translated) {}
}
