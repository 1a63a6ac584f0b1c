package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.regex.Pattern;
import org.torte.management.Problem;
import org.torte.management.definition.Hardware.Disk;

/**
 * What a virtual machine is, apart from what it does. Paths are absolute, or relative to the folder of the virtual
 * machine, so that the folder can be moved.
 *
 * @param version of this format; older ones are upgraded by {@link DefinitionUpgrade}
 * @param id never changes, nor is it used twice
 * @param name what people call it, unique on a host without regard to case
 * @param notes free text
 * @param hardware what it is made of
 * @param processorLimit how much of a processor of the host each of its processors gets at most, in percent, 1 to 100
 * @param translator whether a software processor translates its code, from its next start on
 * @param automaticStart what happens when the service starts
 * @param savedState the file in its folder that its memory and devices are in while it is saved
 * @param checkpoints as it was before
 */
@JsonPropertyOrder({
    "version",
    "id",
    "name",
    "notes",
    "hardware",
    "processorLimit",
    "translator",
    "automaticStart",
    "savedState",
    "checkpoints"
})
public record VmDefinition(
        @JsonProperty(required = true) int version,
        @JsonProperty(required = true) UUID id,
        @JsonProperty(required = true) String name,
        String notes,
        @JsonProperty(required = true) Hardware hardware,
        Integer processorLimit,
        Translator translator,
        AutomaticStart automaticStart,
        String savedState,
        CheckpointTree checkpoints) {
    /** The version written. */
    public static final int VERSION = 8;

    /** The file of a machine's memory and devices, until a checkpoint is applied. */
    public static final String SAVED_STATE = "saved.state";

    private static final Pattern FILE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
    private static final int MAX_NOTES = 4096;
    private static final int NO_LIMIT = 100;

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

    /** Whether a software processor translates code. */
    public enum Translator {
        /** What is executed often is translated, where the host allows it. */
        @JsonProperty("on")
        ON,
        /** All is interpreted. */
        @JsonProperty("off")
        OFF
    }

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public VmDefinition {
        notes = notes == null ? "" : notes;
        processorLimit = processorLimit == null ? NO_LIMIT : processorLimit;
        translator = translator == null ? Translator.ON : translator;
        automaticStart = automaticStart == null ? AutomaticStart.NOTHING : automaticStart;
        savedState = savedState == null ? SAVED_STATE : savedState;
        checkpoints = checkpoints == null ? CheckpointTree.EMPTY : checkpoints;
        checkName("a virtual machine", name);
        checkFile("savedState", savedState);
        if (processorLimit < 1 || processorLimit > NO_LIMIT) {
            throw invalid("processorLimit is " + processorLimit, "give 1 to 100 percent");
        }
        if (notes.length() > MAX_NOTES) {
            throw invalid("notes has " + notes.length() + " characters", "keep it within " + MAX_NOTES);
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
        return with(other, hardware, savedState, checkpoints);
    }

    /** Another machine that is like it, without its checkpoints, and not started by itself. */
    public VmDefinition cloned(UUID itsId, String itsName, Hardware of) {
        return new VmDefinition(
                VERSION,
                itsId,
                itsName,
                notes,
                of,
                processorLimit,
                translator,
                AutomaticStart.NOTHING,
                SAVED_STATE,
                CheckpointTree.EMPTY);
    }

    /**
     * The same with its files elsewhere, without memory: what was saved with it starts from its disks.
     *
     * @param of what it is made of, with files where they are now
     * @param tree checkpoints, with files where they are now
     */
    public VmDefinition moved(Hardware of, CheckpointTree tree) {
        return new VmDefinition(
                VERSION, id, name, notes, of, processorLimit, translator, automaticStart, SAVED_STATE, tree);
    }

    /** The same as it comes to a host: with another name, and not started by itself. */
    public VmDefinition imported(UUID itsId, String itsName, Hardware of, CheckpointTree tree) {
        return new VmDefinition(
                VERSION,
                itsId,
                itsName,
                notes,
                of,
                processorLimit,
                translator,
                AutomaticStart.NOTHING,
                SAVED_STATE,
                tree);
    }

    /** The same made of something else, which has its memory in a file when it is saved. */
    VmDefinition withHardware(Hardware other, String saved) {
        return with(name, other, saved, checkpoints);
    }

    /** The same made of something else. */
    public VmDefinition withHardware(Hardware other) {
        return withHardware(other, savedState);
    }

    VmDefinition withDisks(List<Disk> others) {
        return withHardware(hardware.withDisks(others), savedState);
    }

    VmDefinition withTree(CheckpointTree other) {
        return with(name, hardware, savedState, other);
    }

    private VmDefinition with(String called, Hardware of, String saved, CheckpointTree tree) {
        return new VmDefinition(
                version, id, called, notes, of, processorLimit, translator, automaticStart, saved, tree);
    }

    /** Its disks. */
    public List<Disk> disks() {
        return hardware.disks();
    }

    /** A text of somebody else's in one line of an error. */
    public static String printable(String text) {
        String line = text.length() > 80 ? text.substring(0, 80) + "..." : text;
        return line.replaceAll("\\p{Cntrl}", "?");
    }

    static Problem invalid(String cause, String remedy) {
        return new Problem(Problem.Kind.INVALID, cause, remedy);
    }
}
