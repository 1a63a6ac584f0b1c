package org.torte.management;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.operation.Family;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.CheckpointTree;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.store.Reason;

/**
 * What would become of a folder that somebody wants to take in as a virtual machine, and what is in the way. The folder
 * comes from elsewhere: nothing that it says may reach a file, a socket or a port of this host outside of it.
 *
 * @param folder where it lies, with links followed
 * @param definition what the machine would be, with the paths of the folder; nothing when the folder has none that can be read
 * @param copy whether it is copied, with an id and addresses of its own
 * @param bytes that are copied
 * @param problems what has to be mended first, each with its repair
 * @param notes what will be otherwise than it was
 */
public record Import(
        Path folder,
        Optional<VmDefinition> definition,
        boolean copy,
        long bytes,
        List<Problem> problems,
        List<String> notes) {
    private static final int MAX_FILES = 10_000;

    /**
     * What is asked for.
     *
     * @param folder the folder
     * @param name what the machine is to be called; as it is if not given
     * @param copy whether it is copied into the data folder instead of being used where it lies
     */
    public record Wish(Path folder, @Nullable String name, boolean copy) {}

    /**
     * Looks at a folder.
     *
     * @param machines where a copy would go
     * @param taken what speaks against a definition on this host
     * @param kvm whether this host has KVM
     */
    static Import check(Wish wish, Path machines, Function<VmDefinition, Optional<Problem>> taken, boolean kvm) {
        return new Check(wish, machines).run(taken, kvm);
    }

    /** Refuses if there are problems. */
    void refuse() {
        if (problems.isEmpty()) {
            return;
        }
        Problem first = problems.getFirst();
        int more = problems.size() - 1;
        throw new Problem(
                first.kind(),
                first.cause(),
                first.remedy()
                        + (more == 0
                                ? ""
                                : "; " + (more == 1 ? "one more problem is" : more + " more problems are")
                                        + " shown by --what-if"));
    }

    /** The look at one folder. */
    private static final class Check {
        private final Wish wish;
        private final List<Problem> problems = new ArrayList<>();
        private final List<String> notes = new ArrayList<>();
        /** Of a copy's adapters, by those of the original. */
        private final Map<String, String> addresses = new HashMap<>();

        private Path root;

        private final Path machines;

        Check(Wish wish, Path machines) {
            this.wish = wish;
            this.machines = machines;
            root = wish.folder();
        }

        private void problem(Problem.Kind kind, String cause, String remedy) {
            problems.add(new Problem(kind, cause, remedy));
        }

        private void wrong(String cause, String remedy) {
            problem(Problem.Kind.INVALID, cause, remedy);
        }

        Import run(Function<VmDefinition, Optional<Problem>> taken, boolean kvm) {
            Optional<VmDefinition> found = Optional.empty();
            long bytes = 0;
            if (isFolder() && holdsOnlyPlainFiles()) {
                found = definition();
            }
            if (found.isPresent()) {
                VmDefinition its = found.get();
                checkMemory(its);
                checkFiles(its);
                if (its.hardware().hypervisor().equals("kvm") && !kvm) {
                    problem(
                            Problem.Kind.UNAVAILABLE,
                            its.name() + " wants KVM, which this host does not offer to this user",
                            "change \"hypervisor\" to \"auto\" in " + root.resolve("definition.json")
                                    + ", or see torte doctor");
                }
                VmDefinition changed = changed(its);
                taken.apply(changed).ifPresent(problems::add);
                if (wish.copy() && problems.isEmpty()) {
                    bytes = copied(its);
                }
                found = Optional.of(changed);
            }
            return new Import(root, found, wish.copy(), bytes, List.copyOf(problems), List.copyOf(notes));
        }

        private boolean isFolder() {
            try {
                root = wish.folder().toRealPath();
                if (!Files.isDirectory(root)) {
                    wrong(root + " is no folder", "give the folder that torte vm export made");
                    return false;
                }
            } catch (IOException e) {
                wrong(
                        "the folder " + wish.folder() + " cannot be read (" + Reason.of(e) + ")",
                        "give the folder that torte vm export made");
                return false;
            }
            if (String.valueOf(root.getFileName()).endsWith(FolderCopy.PARTIAL)) {
                wrong(root + " is an export that did not come to its end", "export the virtual machine again");
                return false;
            }
            if (!wish.copy() && !Files.isWritable(root)) {
                wrong("the service cannot write to the folder " + root, "give --copy");
            }
            return true;
        }

        /** Links lead anywhere, and what others can write may be something else the next moment. */
        private boolean holdsOnlyPlainFiles() {
            int before = problems.size();
            try (Stream<Path> all = Files.walk(root)) {
                List<Path> files = all.limit(MAX_FILES + 1).toList();
                if (files.size() > MAX_FILES) {
                    wrong(root + " has more than " + MAX_FILES + " files", "give the folder that torte vm export made");
                    return false;
                }
                String user = Files.getOwner(machines).getName();
                for (Path file : files) {
                    PosixFileAttributes its =
                            Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
                    if (its.isSymbolicLink()) {
                        wrong(file + " is a symbolic link", "put the file itself there");
                    } else if (!its.isRegularFile() && !its.isDirectory()) {
                        wrong(file + " is neither a file nor a folder", "delete it");
                    } else if (!List.of(user, "root").contains(its.owner().getName())) {
                        wrong(
                                file + " belongs to " + its.owner().getName() + ", who could change it at any time",
                                "make it belong to " + user + ", with chown -R " + user + " " + root);
                    } else if (its.permissions().contains(PosixFilePermission.OTHERS_WRITE)
                            || its.permissions().contains(PosixFilePermission.GROUP_WRITE)) {
                        wrong(file + " can be written by others", "take that away, with chmod -R go-w " + root);
                    }
                }
            } catch (IOException | java.io.UncheckedIOException e) {
                wrong(root + " cannot be read (" + e.getMessage() + ")", "make all that is in it readable");
            }
            if (!wish.copy() && Files.exists(root.resolve("run"))) {
                problem(
                        Problem.Kind.CONFLICT,
                        root + " has been used by a service, which may still do so",
                        "give --copy, or take it in as it is with torte vm register if it was yours");
            }
            return problems.size() == before;
        }

        private Optional<VmDefinition> definition() {
            try {
                return Optional.of(new VmFolder(root).read());
            } catch (Problem e) {
                problems.add(e);
                return Optional.empty();
            }
        }

        /** Saved memory names files, sockets and networks of its host, and work that is under way names files to delete. */
        private void checkMemory(VmDefinition its) {
            CheckpointTree tree = its.checkpoints();
            boolean saved = Files.exists(root.resolve(its.savedState()))
                    || tree.items().stream().anyMatch(one -> one.savedState() != null);
            if (saved) {
                wrong(
                        its.name() + " has saved memory, which is not taken in from elsewhere",
                        "export it with torte vm export, or take it in as it is with torte vm register if it was yours");
            }
            if (tree.pending() != null
                    || !tree.merges().isEmpty()
                    || !tree.scratch().isEmpty()) {
                wrong(
                        "work on the checkpoints of " + its.name() + " has not come to its end",
                        "export it with torte vm export, which ends it");
            }
        }

        private void checkFiles(VmDefinition its) {
            Set<Disk> disks = new LinkedHashSet<>(its.disks());
            Set<String> boot = new LinkedHashSet<>(its.hardware().bootFiles());
            for (Checkpoint one : its.checkpoints().items()) {
                disks.addAll(one.disks());
                boot.addAll(one.hardware().bootFiles());
            }
            boot.forEach(this::isInside);
            for (Disk disk : disks) {
                if (isInside(disk.path()) && Chains.format(disk) != DiskFormat.RAW) {
                    checkChain(disk);
                }
            }
        }

        private boolean isInside(String path) {
            Path file = root.resolve(path).normalize();
            if (path.startsWith("/") || !file.startsWith(root)) {
                wrong(
                        "the definition names " + path + ", which lies outside of its folder",
                        "put the file into " + root + ", and its name into definition.json");
            } else if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                problem(
                        Problem.Kind.NOT_FOUND,
                        "there is no file " + file + ", which the definition names",
                        "put it back, or take it out of definition.json");
            } else {
                return true;
            }
            return false;
        }

        private void checkChain(Disk disk) {
            try {
                DiskOptions looking = DiskOptions.inspect().withFolders(AllowedFolders.of(root));
                Family.chain(root.resolve(disk.path()), Chains.format(disk), looking.withAccess(DiskAccess.INSPECT));
            } catch (DiskException e) {
                Problem told = CheckpointFiles.problem(e);
                boolean outside = e.kind() == DiskException.Kind.DENIED;
                problems.add(new Problem(
                        outside ? Problem.Kind.INVALID : told.kind(),
                        told.cause(),
                        outside
                                ? "copy the parent into " + root + ", and say so with torte vhd reconnect"
                                : told.remedy(),
                        e));
            }
        }

        private VmDefinition changed(VmDefinition its) {
            its.hardware().adapters().forEach(this::noteLoss);
            if (its.automaticStart() != VmDefinition.AutomaticStart.NOTHING) {
                notes.add("it is not started by itself any more (torte vm set --automatic-start gives that again)");
            }
            CheckpointTree tree = its.checkpoints();
            return its.imported(
                    wish.copy() ? UUID.randomUUID() : its.id(),
                    wish.name() == null ? its.name() : wish.name(),
                    changed(its.hardware()),
                    CheckpointTree.of(
                            tree.current(),
                            tree.items().stream()
                                    .map(one -> one.moved(changed(one.hardware())))
                                    .toList()));
        }

        private Hardware changed(Hardware hardware) {
            return hardware.withAdapters(hardware.adapters().stream()
                    .map(one -> one.imported(
                            wish.copy()
                                    ? addresses.computeIfAbsent(one.address(), _ -> Adapter.newAddress())
                                    : one.address()))
                    .toList());
        }

        private void noteLoss(Adapter was) {
            List<String> lost = new ArrayList<>();
            if (was.network().startsWith(Adapter.CABLE)) {
                lost.add(was.network());
            }
            was.forwards().forEach(one -> lost.add("forward=" + one));
            was.services().forEach(one -> lost.add("service=" + one));
            if (!lost.isEmpty()) {
                notes.add("adapter " + was.name() + " loses what belongs to a host: " + String.join(",", lost)
                        + " (torte vm set --network gives it again)");
            }
        }

        private long copied(VmDefinition its) {
            try {
                Export files = Export.of(new VmFolder(root), its, null);
                FolderCopy.refuseWithoutRoom(machines.resolve("new"), files.bytes());
                return files.bytes();
            } catch (Problem e) {
                problems.add(e);
                return 0;
            }
        }
    }
}
