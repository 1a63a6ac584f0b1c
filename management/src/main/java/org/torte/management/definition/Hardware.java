package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * What a virtual machine is made of, which checkpoints keep, and of which only {@link #dynamicMemory} and ports of switches
 * change while it runs. Paths are absolute, or relative to the folder of the virtual machine.
 *
 * @param processors virtual processors, 1 to 64
 * @param memory RAM in bytes, a multiple of 1 MiB, 2 MiB to 1 TiB
 * @param dynamicMemory how much of it the guest has; all of it if this is nothing
 * @param boot what it starts from
 * @param disks on its SCSI controller, in this order, 64 at most
 * @param hypervisor auto, software or kvm
 * @param adapters to networks, in this order, 8 at most
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Hardware(
        @JsonProperty(required = true) int processors,
        @JsonProperty(required = true) long memory,
        @Nullable DynamicMemory dynamicMemory,
        @JsonProperty(required = true) Boot boot,
        List<Disk> disks,
        String hypervisor,
        List<Adapter> adapters) {
    private static final long MIB = 1 << 20;
    private static final Set<String> HYPERVISORS = Set.of("auto", "software", "kvm");
    private static final int MAX_DISKS = 64;

    /**
     * What it starts from: a kernel with its initial RAM disks, or, without one, its first disk.
     *
     * @param kernel a Linux bzImage, an ELF file with a PVH note, or a multiboot 1 image
     * @param initrds initial RAM disks, or multiboot modules
     * @param commandLine of the kernel
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Boot(@Nullable String kernel, List<String> initrds, String commandLine) {
        /** Fills in what a file leaves out. */
        @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
        public Boot {
            initrds = initrds == null ? List.of() : List.copyOf(initrds);
            commandLine = commandLine == null ? "" : commandLine;
            for (String initrd : initrds) {
                checkPath("boot.initrds", initrd);
            }
            if (kernel != null) {
                checkPath("boot.kernel", kernel);
            } else if (!initrds.isEmpty()) {
                throw VmDefinition.invalid(
                        "boot.initrds is given without boot.kernel", "name the kernel, or leave it out");
            }
        }
    }

    /**
     * A disk.
     *
     * @param path of its image
     * @param format raw, vhd or vhdx; never guessed from what the image holds, which a guest may have written
     * @param readOnly the guest cannot write it; false if not given
     */
    public record Disk(
            @JsonProperty(required = true) String path,
            @JsonProperty(required = true) String format,
            Boolean readOnly) {
        private static final Set<String> FORMATS = Set.of("raw", "vhd", "vhdx");

        /** Fills in what a file leaves out, and refuses what cannot be. */
        @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
        public Disk {
            readOnly = readOnly != null && readOnly;
            checkPath("disks.path", path);
            if (!FORMATS.contains(format)) {
                throw VmDefinition.invalid("disks.format is \"" + format + "\"", "give raw, vhd or vhdx");
            }
        }
    }

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public Hardware {
        disks = disks == null ? List.of() : List.copyOf(disks);
        hypervisor = hypervisor == null ? "auto" : hypervisor;
        adapters = adapters == null ? List.of() : Adapter.checked(adapters);
        if (processors < 1 || processors > 64) {
            throw VmDefinition.invalid("processors is " + processors, "give 1 to 64");
        }
        if (memory < 2 * MIB || memory % MIB != 0 || memory > 1L << 40) {
            throw VmDefinition.invalid(
                    "memory is " + memory + " bytes", "give a multiple of 1 MiB from 2 MiB to 1 TiB");
        }
        dynamicMemory = dynamicMemory == null ? null : dynamicMemory.within(memory);
        if (disks.size() > MAX_DISKS) {
            throw VmDefinition.invalid(
                    "there are " + disks.size() + " disks", "a controller has room for " + MAX_DISKS);
        }
        if (disks.stream().map(Disk::path).distinct().count() != disks.size()) {
            throw VmDefinition.invalid("a disk is named twice in disks", "name each image once");
        }
        if (!HYPERVISORS.contains(hypervisor)) {
            throw VmDefinition.invalid("hypervisor is \"" + hypervisor + "\"", "give auto, software or kvm");
        }
    }

    /** The same with other disks. */
    public Hardware withDisks(List<Disk> others) {
        return new Hardware(processors, memory, dynamicMemory, boot, others, hypervisor, adapters);
    }

    /**
     * The same for another machine, elsewhere.
     *
     * @param others its disks
     * @param place the absolute path that a path means
     */
    public Hardware cloned(List<Disk> others, UnaryOperator<String> place) {
        String kernel = boot.kernel();
        Boot same = new Boot(
                kernel == null ? null : place.apply(kernel),
                boot.initrds().stream().map(place).toList(),
                boot.commandLine());
        return new Hardware(
                processors,
                memory,
                dynamicMemory,
                same,
                others,
                hypervisor,
                adapters.stream().map(Adapter::copied).toList());
    }

    /**
     * The same with its files elsewhere.
     *
     * @param place where the file of a path is now
     */
    public Hardware moved(UnaryOperator<String> place) {
        String kernel = boot.kernel();
        return new Hardware(
                processors,
                memory,
                dynamicMemory,
                new Boot(
                        kernel == null ? null : place.apply(kernel),
                        boot.initrds().stream().map(place).toList(),
                        boot.commandLine()),
                disks.stream()
                        .map(disk -> new Disk(place.apply(disk.path()), disk.format(), disk.readOnly()))
                        .toList(),
                hypervisor,
                adapters);
    }

    /** The same with all of its memory all the time. */
    public Hardware fixed() {
        return new Hardware(processors, memory, null, boot, disks, hypervisor, adapters);
    }

    /** The same with other adapters. */
    public Hardware withAdapters(List<Adapter> others) {
        return new Hardware(processors, memory, dynamicMemory, boot, disks, hypervisor, others);
    }

    /** Whether a machine that runs with another one can have this instead: only what can change meanwhile differs. */
    public boolean replaces(Hardware running) {
        boolean same = fixed().withAdapters(List.of()).equals(running.fixed().withAdapters(List.of()));
        if (!same || adapters.size() != running.adapters.size()) {
            return false;
        }
        for (int i = 0; i < adapters.size(); i++) {
            if (!adapters.get(i).replaces(running.adapters.get(i))) {
                return false;
            }
        }
        return true;
    }

    /** The files of its kernel and initial RAM disks. */
    public List<String> bootFiles() {
        List<String> files = new ArrayList<>(kernel().stream().toList());
        files.addAll(boot.initrds());
        return files;
    }

    /** The kernel, unless it starts from its first disk. */
    public Optional<String> kernel() {
        return Optional.ofNullable(boot.kernel());
    }

    private static void checkPath(String where, String path) {
        if (path.isEmpty() || path.length() > 4096 || path.indexOf('\0') >= 0) {
            throw VmDefinition.invalid(where + " is no path of a file", "give the path of a file");
        }
    }
}
