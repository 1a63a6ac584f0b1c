package org.torte.machine;

import java.util.Arrays;

/**
 * How much time of the host each processor of a limited machine has left. What a processor takes beyond that, because
 * nobody stops it in the middle, is a debt, so that over time it has what it was granted and not more. Times in
 * nanoseconds. Guarded by the machine's lock.
 */
final class ProcessorBudget {
    private final long[] left;
    /** What each had used when it was looked at last. */
    private final long[] used;

    private boolean limited;

    ProcessorBudget(int processors) {
        left = new long[processors];
        used = new long[processors];
    }

    /** Whether it holds anybody back at all. */
    boolean limited() {
        return limited;
    }

    /** Holds processors back from now on, or none. */
    void limit(boolean on) {
        if (on && !limited) {
            Arrays.fill(left, 0);
            Arrays.fill(used, Long.MIN_VALUE);
        }
        limited = on;
    }

    /**
     * Gives each some time.
     *
     * @param nanos how much
     * @param most how much one can have in hand, so that one that was idle does not run on for ever
     */
    void grant(long nanos, long most) {
        for (int i = 0; i < left.length; i++) {
            left[i] = Math.min(left[i] + nanos, most);
        }
    }

    /** Whether a processor that stands may run; the time it has used since this was asked last is taken from its budget. */
    boolean mayRun(int processor, long usedSoFar) {
        if (!limited) {
            return true;
        }
        if (used[processor] != Long.MIN_VALUE) {
            left[processor] -= usedSoFar - used[processor];
        }
        used[processor] = usedSoFar;
        return left[processor] > 0;
    }

    /** Whether a processor that stands has to stand on. */
    boolean holds(int processor) {
        return limited && left[processor] <= 0;
    }
}
