package org.torte.machine;

import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.VirtualProcessor;

/**
 * What a boot loader works on.
 *
 * @param memory the RAM
 * @param memoryMap what is where, lowest first, without overlaps; the loader hands this to the guest
 * @param rsdp guest-physical address of the ACPI root pointer
 * @param processor the bootstrap processor, in reset state
 */
public record BootTarget(GuestMemory memory, List<MemoryRange> memoryMap, long rsdp, VirtualProcessor processor) {
    /** Copies the list. */
    public BootTarget {
        memoryMap = List.copyOf(memoryMap);
    }
}
