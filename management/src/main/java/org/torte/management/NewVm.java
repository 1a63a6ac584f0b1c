package org.torte.management;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Boot;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.definition.VmDefinition.AutomaticStart;
import org.torte.management.definition.VmDefinition.Translator;

/**
 * What somebody asks for who wants a virtual machine.
 *
 * @param name what it is to be called
 * @param notes free text
 * @param processors 1 if not given
 * @param memory in bytes, 512 MiB if not given
 * @param dynamicMemory how much of it the guest has; all of it if not given
 * @param boot what it starts from; its first disk if not given
 * @param disks that are there already
 * @param image a disk image that stays as it is: the first disk becomes a differencing disk of it, in the folder of the
 *     virtual machine
 * @param hypervisor auto if not given
 * @param processorLimit in percent; none if not given
 * @param translator on if not given
 * @param automaticStart nothing if not given
 * @param adapters to networks; none if not given
 */
public record NewVm(
        @JsonProperty(required = true) String name,
        @Nullable String notes,
        @Nullable Integer processors,
        @Nullable Long memory,
        DynamicMemory.@Nullable Wish dynamicMemory,
        @Nullable Boot boot,
        @Nullable List<Disk> disks,
        @Nullable Disk image,
        @Nullable String hypervisor,
        @Nullable Integer processorLimit,
        @Nullable Translator translator,
        @Nullable AutomaticStart automaticStart,
        @Nullable List<Adapter.Wish> adapters) {
    private static final long DEFAULT_MEMORY = 512L << 20;

    /** The definition, with the disks given. */
    @SuppressWarnings("NullAway") // The definition fills in what is not given.
    VmDefinition definition(UUID id, List<Disk> all) {
        long ram = memory == null ? DEFAULT_MEMORY : memory;
        return new VmDefinition(
                VmDefinition.VERSION,
                id,
                name,
                notes,
                new Hardware(
                        processors == null ? 1 : processors,
                        ram,
                        dynamicMemory == null ? null : dynamicMemory.apply(null, ram),
                        boot == null ? new Boot(null, List.of(), "") : boot,
                        all,
                        hypervisor,
                        adapters == null ? List.of() : Adapter.of(adapters, List.of())),
                processorLimit,
                translator,
                automaticStart,
                null,
                null);
    }
}
