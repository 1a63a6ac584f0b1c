package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;

/**
 * What a virtual machine is, apart from what it does. Paths are absolute, or relative to the folder of the virtual
 * machine, so that the folder can be moved.
 *
 * @param version of this format; 2, or 1, which has no checkpoints and is upgraded
 * @param id never changes, nor is it used twice
 * @param name what people call it, unique on a host without regard to case
 * @param notes free text
 * @param processors virtual processors, 1 to 64
 * @param memory RAM in bytes, a multiple of 1 MiB, 2 MiB at least
 * @param boot what it starts from
 * @param disks on its SCSI controller, in this order
 * @param hypervisor auto, software or kvm
 * @param automaticStart what happens when the service starts
 * @param savedState the file in its folder that its memory and devices are in while it is saved
 * @param checkpoints as it was before
 */
@JsonPropertyOrder({
    "version",
    "id",
    "name",
    "notes",
    "processors",
    "memory",
    "boot",
    "disks",
    "hypervisor",
    "automaticStart",
    "savedState",
    "checkpoints"
})
public record VmDefinition(
        @JsonProperty(required = true) int version,
        @JsonProperty(required = true) UUID id,
        @JsonProperty(required = true) String name,
        String notes,
        @JsonProperty(required = true) int processors,
        @JsonProperty(required = true) long memory,
        @JsonProperty(required = true) Boot boot,
        List<Disk> disks,
        String hypervisor,
        AutomaticStart automaticStart,
        String savedState,
        CheckpointTree checkpoints) {
    /** The version written. */
    public static final int VERSION = 2;

    /** The oldest version that can be read. */
    public static final int OLDEST = 1;

    /** The file of a machine's memory and devices, until a checkpoint is applied. */
    public static final String SAVED_STATE = "saved.state";

    private static final Pattern FILE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");

    private static final long MIB = 1 << 20;
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
    private static final Set<String> HYPERVISORS = Set.of("auto", "software", "kvm");
    private static final int MAX_DISKS = 64;
    private static final int MAX_NOTES = 4096;

    /** What happens when the service starts. */
    public enum AutomaticStart {
        /** Nothing. */
        @JsonProperty("nothing")
        NOTHING,
        /** It is started if it ran when the host went down. */
        @JsonProperty("if-it-ran")
        IF_IT_RAN,
        /** It is started. */
        @JsonProperty("always")
        ALWAYS
    }

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
                throw invalid("boot.initrds is given without boot.kernel", "name the kernel, or leave it out");
            }
        }
    }

    /**
     * A disk.
     *
     * @param path of its image
     * @param format raw, vhd or vhdx; never guessed from what the image holds, which a guest may have written
     * @param readOnly the guest cannot write it
     */
    public record Disk(
            @JsonProperty(required = true) String path,
            @JsonProperty(required = true) String format,
            boolean readOnly) {
        private static final Set<String> FORMATS = Set.of("raw", "vhd", "vhdx");

        /** Checks it. */
        public Disk {
            checkPath("disks.path", path);
            if (!FORMATS.contains(format)) {
                throw invalid("disks.format is \"" + format + "\"", "give raw, vhd or vhdx");
            }
        }
    }

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public VmDefinition {
        notes = notes == null ? "" : notes;
        disks = disks == null ? List.of() : List.copyOf(disks);
        hypervisor = hypervisor == null ? "auto" : hypervisor;
        automaticStart = automaticStart == null ? AutomaticStart.NOTHING : automaticStart;
        savedState = savedState == null ? SAVED_STATE : savedState;
        checkpoints = checkpoints == null ? CheckpointTree.EMPTY : checkpoints;
        checkName("a virtual machine", name);
        checkFile("savedState", savedState);
        if (notes.length() > MAX_NOTES) {
            throw invalid("notes has " + notes.length() + " characters", "keep it within " + MAX_NOTES);
        }
        if (processors < 1 || processors > 64) {
            throw invalid("processors is " + processors, "give 1 to 64");
        }
        if (memory < 2 * MIB || memory % MIB != 0 || memory > 1L << 40) {
            throw invalid("memory is " + memory + " bytes", "give a multiple of 1 MiB from 2 MiB to 1 TiB");
        }
        if (disks.size() > MAX_DISKS) {
            throw invalid("there are " + disks.size() + " disks", "a controller has room for " + MAX_DISKS);
        }
        if (disks.stream().map(Disk::path).distinct().count() != disks.size()) {
            throw invalid("a disk is named twice in disks", "name each image once");
        }
        if (!HYPERVISORS.contains(hypervisor)) {
            throw invalid("hypervisor is \"" + hypervisor + "\"", "give auto, software or kvm");
        }
    }

    /** Refuses names that cannot be, of a virtual machine or a checkpoint. */
    public static void checkName(String of, String name) {
        if (!NAME.matcher(name).matches()) {
            throw invalid(
                    "\"" + printable(name) + "\" is no name for " + of,
                    "give 1 to 63 letters, digits, dots, dashes and underscores, the first a letter or digit");
        }
    }

    /** Refuses what is no name of a file in the folder itself. */
    static void checkFile(String where, String name) {
        if (!FILE.matcher(name).matches()) {
            throw invalid(where + " is no name of a file", "give letters, digits, dots, dashes and underscores");
        }
    }

    /** What names are compared by. */
    public static String key(String name) {
        return name.toLowerCase(Locale.ROOT);
    }

    /** The same with another name. */
    public VmDefinition withName(String other) {
        return new VmDefinition(
                version,
                id,
                other,
                notes,
                processors,
                memory,
                boot,
                disks,
                hypervisor,
                automaticStart,
                savedState,
                checkpoints);
    }

    /** The same as the version that is written. */
    public VmDefinition upgraded() {
        return new VmDefinition(
                VERSION,
                id,
                name,
                notes,
                processors,
                memory,
                boot,
                disks,
                hypervisor,
                automaticStart,
                savedState,
                checkpoints);
    }

    VmDefinition withDisks(List<Disk> others) {
        return withHardware(processors, memory, boot, others, hypervisor, savedState);
    }

    VmDefinition withHardware(int count, long bytes, Boot from, List<Disk> its, String backend, String saved) {
        return new VmDefinition(
                version, id, name, notes, count, bytes, from, its, backend, automaticStart, saved, checkpoints);
    }

    VmDefinition withTree(CheckpointTree other) {
        return new VmDefinition(
                version,
                id,
                name,
                notes,
                processors,
                memory,
                boot,
                disks,
                hypervisor,
                automaticStart,
                savedState,
                other);
    }

    /** The kernel, unless it starts from its first disk. */
    public Optional<String> kernel() {
        return Optional.ofNullable(boot.kernel());
    }

    private static void checkPath(String where, String path) {
        if (path.isEmpty() || path.length() > 4096 || path.indexOf('\0') >= 0) {
            throw invalid(where + " is no path of a file", "give the path of a file");
        }
    }

    private static String printable(String text) {
        String line = text.length() > 80 ? text.substring(0, 80) + "..." : text;
        return line.replaceAll("\\p{Cntrl}", "?");
    }

    static Problem invalid(String cause, String remedy) {
        return new Problem(Problem.Kind.INVALID, cause, remedy);
    }
}
