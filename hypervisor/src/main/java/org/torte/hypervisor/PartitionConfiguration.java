package org.torte.hypervisor;

import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.base.Timers;

/**
 * What a partition is made of.
 *
 * @param memory its RAM; stays owned by the caller, who closes it after the partition
 * @param processors how many virtual processors, 1 to 64
 * @param cpuid what the CPUID instruction shows
 * @param tscFrequency ticks of the time-stamp counter per second
 * @param timers the clock and timers of the machine
 * @param random where RDRAND and RDSEED get their bits
 * @param handler what the back-end asks for everything that is not its own
 * @param translator whether hot code is translated into host code, by back-ends that execute guest code in software
 */
public record PartitionConfiguration(
        GuestMemory memory,
        int processors,
        CpuidTable cpuid,
        long tscFrequency,
        Timers timers,
        RandomSource random,
        ExitHandler handler,
        TranslatorMode translator) {
    /** Without the translator. */
    public PartitionConfiguration(
            GuestMemory memory,
            int processors,
            CpuidTable cpuid,
            long tscFrequency,
            Timers timers,
            RandomSource random,
            ExitHandler handler) {
        this(memory, processors, cpuid, tscFrequency, timers, random, handler, TranslatorMode.OFF);
    }

    /** The same, but for what answers exits. */
    public PartitionConfiguration withHandler(ExitHandler other) {
        return new PartitionConfiguration(memory, processors, cpuid, tscFrequency, timers, random, other, translator);
    }

    /** The same, but for the translator. */
    public PartitionConfiguration withTranslator(TranslatorMode mode) {
        return new PartitionConfiguration(memory, processors, cpuid, tscFrequency, timers, random, handler, mode);
    }

    /** The most processors of one partition. */
    public static final int MAX_PROCESSORS = 64;

    /** Checks the ranges. */
    public PartitionConfiguration {
        if (processors < 1 || processors > MAX_PROCESSORS) {
            throw new IllegalArgumentException("a partition has 1 to 64 processors, not " + processors);
        }
        if (tscFrequency < 1_000_000 || tscFrequency > 100_000_000_000L) {
            throw new IllegalArgumentException("the TSC runs at 1 MHz to 100 GHz, not at " + tscFrequency + " Hz");
        }
    }
}
