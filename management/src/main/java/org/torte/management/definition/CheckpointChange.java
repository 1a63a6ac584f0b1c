package org.torte.management.definition;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.CheckpointTree.Link;
import org.torte.management.definition.CheckpointTree.Pending;
import org.torte.management.definition.Hardware.Disk;

/** How definitions change with the work on checkpoints. Each step leaves one from which the machine can be started. */
public final class CheckpointChange {
    private CheckpointChange() {}

    /** Says that a checkpoint is being made. */
    public static VmDefinition begun(VmDefinition old, Checkpoint checkpoint, List<Link> links, List<String> scratch) {
        return scratched(old.withTree(old.checkpoints().withPending(new Pending(checkpoint, links))), scratch);
    }

    /** Says what is now known of the checkpoint that is being made. */
    public static VmDefinition known(VmDefinition old, Checkpoint.Consistency consistency, long stoodMillis) {
        Pending pending = old.checkpoints().pending();
        return pending == null
                ? old
                : old.withTree(old.checkpoints()
                        .withPending(new Pending(
                                pending.checkpoint().withOutcome(consistency, stoodMillis), pending.links())));
    }

    /**
     * Ends the making of a checkpoint: it is there if everything of it is. Otherwise there is none, and what disks have
     * begun to use is merged away.
     *
     * @param used whether a disk is in the new file
     * @param complete whether what else belongs to it is there
     */
    public static VmDefinition ended(VmDefinition old, Predicate<Link> used, boolean complete) {
        CheckpointTree tree = old.checkpoints();
        Pending pending = tree.pending();
        if (pending == null) {
            return old;
        }
        List<Link> begun = pending.links().stream().filter(used).toList();
        List<Disk> disks = old.disks().stream().map(disk -> moved(disk, begun)).toList();
        CheckpointTree next;
        if (complete && begun.size() == pending.links().size()) {
            List<Checkpoint> items = new ArrayList<>(tree.items());
            items.add(pending.checkpoint());
            next = tree.with(pending.checkpoint().id(), items, tree.merges());
        } else {
            List<Link> merges = new ArrayList<>(tree.merges());
            merges.addAll(begun);
            next = tree.with(tree.current(), tree.items(), merges);
        }
        return old.withDisks(disks).withTree(next.withPending(null));
    }

    private static Disk moved(Disk disk, List<Link> links) {
        for (Link link : links) {
            if (link.parent().equals(disk.path())) {
                return new Disk(link.child(), disk.format(), disk.readOnly());
            }
        }
        return disk;
    }

    /** The machine as a checkpoint has it, in new files. */
    public static VmDefinition applied(VmDefinition old, Checkpoint to, List<Link> links, String savedState) {
        List<Disk> disks = to.disks().stream().map(disk -> moved(disk, links)).toList();
        VmDefinition next = old.withHardware(to.hardware().withDisks(disks), savedState);
        CheckpointTree tree = next.checkpoints();
        return next.withTree(tree.with(to.id(), tree.items(), tree.merges()));
    }

    /** Without a checkpoint that at most one other, or the machine, went on from; what that has is to be merged. */
    public static VmDefinition removed(VmDefinition old, Checkpoint gone) {
        CheckpointTree tree = old.checkpoints();
        UUID id = gone.id();
        List<Link> merges = new ArrayList<>(tree.merges());
        List<Checkpoint> items = new ArrayList<>();
        for (Checkpoint one : tree.items()) {
            if (id.equals(one.parent())) {
                links(one.disks(), gone.disks(), merges);
                items.add(one.withParent(gone.parent()));
            } else if (!id.equals(one.id())) {
                items.add(one);
            }
        }
        boolean wasCurrent = id.equals(tree.current());
        if (wasCurrent) {
            links(old.disks(), gone.disks(), merges);
        }
        return old.withTree(tree.with(wasCurrent ? gone.parent() : tree.current(), items, merges));
    }

    private static void links(List<Disk> children, List<Disk> parents, List<Link> links) {
        for (int i = 0; i < Math.min(children.size(), parents.size()); i++) {
            Disk child = children.get(i);
            if (!child.path().equals(parents.get(i).path())) {
                links.add(new Link(child.path(), parents.get(i).path(), child.format()));
            }
        }
    }

    /** A file has been merged: what was in it is in its parent. */
    public static VmDefinition merged(VmDefinition old, Link link) {
        UnaryOperator<List<Disk>> move = disks -> disks.stream()
                .map(disk -> disk.path().equals(link.child())
                        ? new Disk(link.parent(), disk.format(), disk.readOnly())
                        : disk)
                .toList();
        CheckpointTree tree = old.checkpoints();
        List<Checkpoint> items = tree.items().stream()
                .map(one -> one.withDisks(move.apply(one.disks())))
                .toList();
        List<Link> merges = tree.merges().stream()
                .filter(other -> !other.equals(link))
                .map(other -> other.parent().equals(link.child())
                        ? new Link(other.child(), link.parent(), other.format())
                        : other)
                .toList();
        return old.withDisks(move.apply(old.disks())).withTree(tree.with(tree.current(), items, merges));
    }

    /** With another name of a checkpoint. */
    public static VmDefinition renamed(VmDefinition old, Checkpoint checkpoint, String name) {
        CheckpointTree tree = old.checkpoints();
        List<Checkpoint> items = tree.items().stream()
                .map(one -> one.id().equals(checkpoint.id()) ? one.withName(name) : one)
                .toList();
        return old.withTree(tree.with(tree.current(), items, tree.merges()));
    }

    /** With files that are deleted when nothing names them. */
    public static VmDefinition scratched(VmDefinition old, List<String> files) {
        Set<String> all = new java.util.LinkedHashSet<>(old.checkpoints().scratch());
        all.addAll(files);
        return old.withTree(old.checkpoints().withScratch(List.copyOf(all)));
    }

    /** When what was to be deleted is. */
    public static VmDefinition cleaned(VmDefinition old) {
        return old.withTree(old.checkpoints().withScratch(List.of()));
    }

    /** The files that a definition names as disks or saved state; a disk that is being made is not among them yet. */
    public static Set<String> files(VmDefinition definition) {
        Set<String> files = new HashSet<>();
        CheckpointTree tree = definition.checkpoints();
        files.add(definition.savedState());
        definition.disks().forEach(disk -> files.add(disk.path()));
        tree.items().forEach(one -> add(one, files));
        tree.merges().forEach(link -> {
            files.add(link.child());
            files.add(link.parent());
        });
        Pending pending = tree.pending();
        if (pending != null) {
            add(pending.checkpoint(), files);
            pending.links().forEach(link -> files.add(link.child()));
        }
        return files;
    }

    private static void add(Checkpoint checkpoint, Set<String> files) {
        @Nullable String memory = checkpoint.savedState();
        if (memory != null) {
            files.add(memory);
        }
        checkpoint.disks().forEach(disk -> files.add(disk.path()));
    }
}
