package org.torte.management.rest;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.VmDefinition;

/** What somebody changes of a definition; what is not given stays. */
record VmChange(
        @Nullable String name,
        @Nullable String notes,
        @Nullable Integer processors,
        @Nullable Long memory,
        VmDefinition.@Nullable Boot boot,
        @Nullable List<VmDefinition.Disk> disks,
        @Nullable String hypervisor,
        VmDefinition.@Nullable AutomaticStart automaticStart) {
    VmDefinition apply(VmDefinition old) {
        return new VmDefinition(
                old.version(),
                old.id(),
                name == null ? old.name() : name,
                notes == null ? old.notes() : notes,
                processors == null ? old.processors() : processors,
                memory == null ? old.memory() : memory,
                boot == null ? old.boot() : boot,
                disks == null ? old.disks() : disks,
                hypervisor == null ? old.hypervisor() : hypervisor,
                automaticStart == null ? old.automaticStart() : automaticStart,
                old.savedState(),
                old.checkpoints());
    }
}
