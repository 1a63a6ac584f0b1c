package org.torte.hypervisor;

import java.util.Optional;

/** A back-end: something that can run virtual processors. */
public interface Hypervisor {
    /** What users call it: {@code software} or {@code kvm}. */
    String name();

    /**
     * Ticks per second of the time-stamp counter that machines get here unless they bring another: what costs the least.
     *
     * @throws HypervisorException when the back-end cannot be used
     */
    long tscFrequency();

    /**
     * The table that processors can have here: the wanted one without the features that back-end or host lack.
     *
     * @throws HypervisorException when the back-end cannot be used
     */
    CpuidTable restrict(CpuidTable wanted);

    /**
     * Why it cannot translate guest code on this host, as the end of a sentence; empty if it can, or has no need to. Tries it
     * out, which takes some milliseconds.
     */
    default Optional<String> translatorObstacle() {
        return Optional.empty();
    }

    /**
     * Makes a partition with its processors, all in reset state; processor 0 is the bootstrap processor, the others
     * wait for INIT and SIPI.
     *
     * @throws HypervisorException when the back-end cannot offer what the configuration asks for
     */
    Partition createPartition(PartitionConfiguration configuration);
}
