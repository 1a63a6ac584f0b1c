package org.torte.hypervisor;

/** A back-end: something that can run virtual processors. */
public interface Hypervisor {
    /** What users call it: {@code software} or {@code kvm}. */
    String name();

    /**
     * Makes a partition with its processors, all in reset state; processor 0 is the bootstrap processor, the others
     * wait for INIT and SIPI.
     *
     * @throws HypervisorException when the back-end cannot offer what the configuration asks for
     */
    Partition createPartition(PartitionConfiguration configuration);
}
