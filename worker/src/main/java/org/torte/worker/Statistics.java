package org.torte.worker;

import java.time.Duration;

/**
 * What a virtual machine has done so far.
 *
 * @param running how long it has existed since it was started, on the host's clock
 * @param processors how many it has
 * @param instructions executed by all processors, or -1 when the back-end does not count
 * @param portReads IN instructions
 * @param portWrites OUT instructions
 * @param memoryReads reads of device memory
 * @param memoryWrites writes to device memory
 * @param msrReads reads of registers that are the machine's
 * @param msrWrites writes of registers that are the machine's
 * @param memoryBytes RAM of the guest
 * @param committedBytes how much of that RAM occupies memory of the host
 */
public record Statistics(
        Duration running,
        int processors,
        long instructions,
        long portReads,
        long portWrites,
        long memoryReads,
        long memoryWrites,
        long msrReads,
        long msrWrites,
        long memoryBytes,
        long committedBytes) {
    /** Millions of instructions per second of the whole run, idle time included. */
    public double mips() {
        double seconds = running.toNanos() / 1e9;
        return seconds <= 0 || instructions < 0 ? 0 : instructions / seconds / 1e6;
    }
}
