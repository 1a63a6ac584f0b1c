package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Hardware.Disk;

/**
 * A virtual machine as it was at one moment: its hardware, its disks, whose files stay as they are as long as the
 * checkpoint is there, and perhaps its memory.
 *
 * @param id never used twice
 * @param name what people call it, unique for a virtual machine without regard to case
 * @param parent the checkpoint that it went on from, unless it is the first
 * @param created when, as ISO 8601 in UTC
 * @param owner whose token asked for it
 * @param kind what was asked for
 * @param consistency what its disks hold
 * @param savedState the file of its memory and devices, in the folder of the virtual machine; with it the machine goes on,
 *     without it starts
 * @param stoodMillis for how long the running machine stood still for it
 * @param hardware what it was made of
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Checkpoint(
        @JsonProperty(required = true) UUID id,
        @JsonProperty(required = true) String name,
        @Nullable UUID parent,
        @JsonProperty(required = true) String created,
        @JsonProperty(required = true) String owner,
        @JsonProperty(required = true) Kind kind,
        @JsonProperty(required = true) Consistency consistency,
        @Nullable String savedState,
        @Nullable Long stoodMillis,
        @JsonProperty(required = true) Hardware hardware) {
    /** What was asked for. */
    public enum Kind {
        /** With the memory of a machine that runs. */
        @JsonProperty("standard")
        STANDARD,
        /** Disks only, which the guest is asked to bring into order first. */
        @JsonProperty("production")
        PRODUCTION
    }

    /** What its disks hold. */
    public enum Consistency {
        /** What belongs to its memory. */
        @JsonProperty("memory")
        MEMORY,
        /** File systems in order: the guest had frozen them. */
        @JsonProperty("file-systems")
        FILE_SYSTEMS,
        /** What is on disks after a power failure. */
        @JsonProperty("crash")
        CRASH,
        /** What the machine left when it ended. */
        @JsonProperty("off")
        OFF
    }

    /** Refuses what cannot be. */
    public Checkpoint {
        VmDefinition.checkName("a checkpoint", name);
        try {
            Instant _ = Instant.parse(created);
        } catch (DateTimeException e) {
            throw VmDefinition.invalid(
                    "checkpoints.created is \"" + created + "\"", "give a time such as 2026-01-31T12:00:00Z");
        }
        if (savedState != null) {
            VmDefinition.checkFile("checkpoints.savedState", savedState);
        }
        if (stoodMillis != null && stoodMillis < 0) {
            throw VmDefinition.invalid("checkpoints.stoodMillis is " + stoodMillis, "give 0 or more, or leave it out");
        }
    }

    /** Its disks. */
    public List<Disk> disks() {
        return hardware.disks();
    }

    Checkpoint withName(String other) {
        return with(other, parent, consistency, stoodMillis, hardware);
    }

    Checkpoint withParent(@Nullable UUID other) {
        return with(name, other, consistency, stoodMillis, hardware);
    }

    /** The same with other disks. */
    Checkpoint withDisks(List<Disk> others) {
        return with(name, parent, consistency, stoodMillis, hardware.withDisks(others));
    }

    /** The same with its files elsewhere, without its memory: its disks are then those of a power failure. */
    public Checkpoint moved(Hardware of) {
        return new Checkpoint(
                id,
                name,
                parent,
                created,
                owner,
                kind,
                savedState == null ? consistency : Consistency.CRASH,
                null,
                stoodMillis,
                of);
    }

    /** The same when it is known what its disks hold, and for how long the machine stood. */
    public Checkpoint withOutcome(Consistency known, long stood) {
        return with(name, parent, known, stood, hardware);
    }

    private Checkpoint with(String its, @Nullable UUID above, Consistency known, @Nullable Long stood, Hardware of) {
        return new Checkpoint(id, its, above, created, owner, kind, known, savedState, stood, of);
    }
}
