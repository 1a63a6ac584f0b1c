package org.torte.management.rest;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.VmDefinition;

/** What somebody changes of a definition; what is not given stays. */
record VmChange(
        @Nullable String name,
        @Nullable String notes,
        @Nullable Integer processors,
        @Nullable Long memory,
        DynamicMemory.@Nullable Wish dynamicMemory,
        Hardware.@Nullable Boot boot,
        @Nullable List<Hardware.Disk> disks,
        @Nullable String hypervisor,
        @Nullable Integer processorLimit,
        VmDefinition.@Nullable Translator translator,
        VmDefinition.@Nullable AutomaticStart automaticStart,
        @Nullable List<Adapter.Wish> adapters) {
    VmDefinition apply(VmDefinition old) {
        Hardware was = old.hardware();
        long ram = memory == null ? was.memory() : memory;
        Hardware hardware = new Hardware(
                processors == null ? was.processors() : processors,
                ram,
                dynamicMemory == null ? was.dynamicMemory() : dynamicMemory.apply(was.dynamicMemory(), ram),
                boot == null ? was.boot() : boot,
                disks == null ? was.disks() : disks,
                hypervisor == null ? was.hypervisor() : hypervisor,
                adapters == null ? was.adapters() : Adapter.of(adapters, was.adapters()));
        return new VmDefinition(
                old.version(),
                old.id(),
                name == null ? old.name() : name,
                notes == null ? old.notes() : notes,
                hardware,
                processorLimit == null ? old.processorLimit() : processorLimit,
                translator == null ? old.translator() : translator,
                automaticStart == null ? old.automaticStart() : automaticStart,
                old.savedState(),
                old.checkpoints());
    }
}
