package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * The checkpoints of a virtual machine, and what of work on them is under way, so that whoever comes after a crash can end
 * it. The disks of a checkpoint are the parents, file by file, of those of the checkpoints that go on from it.
 *
 * @param current the checkpoint that the machine goes on from now; there is one as soon as there are checkpoints
 * @param items the checkpoints, the older ones first
 * @param pending the checkpoint that is being made
 * @param merges files that are being merged into their parents, in this order
 * @param scratch files that are being made or thrown away: to be deleted if nothing else names them
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record CheckpointTree(
        @Nullable UUID current,
        List<Checkpoint> items,
        @Nullable Pending pending,
        List<Link> merges,
        List<String> scratch) {
    /** No checkpoints. */
    public static final CheckpointTree EMPTY = new CheckpointTree(null, List.of(), null, List.of(), List.of());

    /** How many there may be: as many images as a chain has at most, with some to spare. */
    public static final int MOST = 50;

    /**
     * A file of a chain and the one below.
     *
     * @param child a differencing disk
     * @param parent its parent
     * @param format vhd or vhdx
     */
    public record Link(
            @JsonProperty(required = true) String child,
            @JsonProperty(required = true) String parent,
            @JsonProperty(required = true) String format) {}

    /**
     * A checkpoint that is being made. It is there when all new files are, that of its memory among them.
     *
     * @param checkpoint what it is going to be
     * @param links the new files, which the disks are in from then on
     */
    public record Pending(
            @JsonProperty(required = true) Checkpoint checkpoint,
            @JsonProperty(required = true) List<Link> links) {}

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public CheckpointTree {
        items = items == null ? List.of() : List.copyOf(items);
        merges = merges == null ? List.of() : List.copyOf(merges);
        scratch = scratch == null ? List.of() : List.copyOf(scratch);
        Set<UUID> known = new HashSet<>();
        Set<String> names = new HashSet<>();
        for (Checkpoint one : items) {
            if (one.parent() == null != known.isEmpty() || one.parent() != null && !known.contains(one.parent())) {
                throw VmDefinition.invalid(
                        "the parent of the checkpoint " + one.name() + " does not come before it in checkpoints.items",
                        "put back the right file");
            }
            if (!known.add(one.id()) || !names.add(VmDefinition.key(one.name()))) {
                throw VmDefinition.invalid(
                        "the checkpoint " + one.name() + " is twice in checkpoints.items", "put back the right file");
            }
        }
        if (known.isEmpty() ? current != null : current == null || !known.contains(current)) {
            throw VmDefinition.invalid("checkpoints.current names no checkpoint", "put back the right file");
        }
    }

    /**
     * The same with other files, when nothing is under way.
     *
     * @param its the checkpoint that the machine goes on from
     * @param all the checkpoints, those that others go on from before them
     */
    public static CheckpointTree of(@Nullable UUID its, List<Checkpoint> all) {
        return new CheckpointTree(its, all, null, List.of(), List.of());
    }

    /** A checkpoint and those that it went on from, the oldest first. */
    public List<Checkpoint> line(@Nullable UUID id) {
        List<Checkpoint> line = new ArrayList<>();
        UUID next = id;
        for (Checkpoint one : items.reversed()) {
            if (one.id().equals(next)) {
                line.add(one);
                next = one.parent();
            }
        }
        return List.copyOf(line.reversed());
    }

    /** Whether there is nothing: no checkpoint, and nothing to be ended. */
    public boolean empty() {
        return equals(EMPTY);
    }

    /** A checkpoint by its name or id. */
    public Optional<Checkpoint> find(String name) {
        return items.stream()
                .filter(one -> VmDefinition.key(one.name()).equals(VmDefinition.key(name))
                        || one.id().toString().equals(name))
                .findFirst();
    }

    /** The checkpoints that went on from one. */
    public List<Checkpoint> children(UUID id) {
        return items.stream().filter(one -> id.equals(one.parent())).toList();
    }

    CheckpointTree with(@Nullable UUID its, List<Checkpoint> all, List<Link> going) {
        return new CheckpointTree(its, all, pending, going, scratch);
    }

    CheckpointTree withPending(@Nullable Pending other) {
        return new CheckpointTree(current, items, other, merges, scratch);
    }

    CheckpointTree withScratch(List<String> other) {
        return new CheckpointTree(current, items, pending, merges, other);
    }
}
