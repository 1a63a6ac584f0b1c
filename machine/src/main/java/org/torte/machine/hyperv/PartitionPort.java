package org.torte.machine.hyperv;

import java.util.Optional;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.hypervisor.VirtualProcessor;

/** What the Hyper-V interface needs of the partition. Safe for several threads. */
public interface PartitionPort {
    /** A processor, counted from 0. */
    VirtualProcessor processor(int index);

    /** Delivers an edge-triggered interrupt to one processor. */
    void interrupt(int processor, int vector);

    /** Tells the back-end of a write to guest memory. */
    void memoryWritten(long address, long length);

    /** See {@link org.torte.hypervisor.Partition#flushTranslations}. */
    void flushTranslations(int caller, long processors);

    /** See {@link org.torte.hypervisor.Partition#doorbell}. */
    Optional<Doorbell> doorbell(int port, int value, Runnable rung);

    /** See {@link org.torte.hypervisor.Partition#setAutomaticEnd}. */
    void setAutomaticEnd(int processor, int vector, boolean automatic);
}
