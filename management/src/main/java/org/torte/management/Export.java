package org.torte.management;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Family;
import org.torte.disk.operation.Reconnect;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.CheckpointTree;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.store.Reason;

/**
 * A virtual machine in a folder that needs nothing outside of it: its definition, all files of its disks and of those of
 * its checkpoints, parents included, its kernel. Memory is not part of it.
 *
 * @param definition with relative paths
 * @param names of the files in the folder, by where they are now; parents come before their children
 * @param children differencing disks in the folder, and their parents in it
 * @param formats of the disks in the folder
 * @param bytes of all files
 */
record Export(
        VmDefinition definition,
        Map<Path, String> names,
        Map<String, String> children,
        Map<String, DiskFormat> formats,
        long bytes) {
    private static final Set<String> RESERVED = Set.of("definition.json", "run", VmDefinition.SAVED_STATE);

    /**
     * What there is to copy.
     *
     * @param checkpoint the one that is exported, with those that it went on from; without one, the machine as it is with
     *     all its checkpoints
     * @throws Problem when a file is missing or cannot be read
     */
    static Export of(VmFolder folder, VmDefinition source, @Nullable Checkpoint checkpoint) {
        CheckpointTree tree = source.checkpoints();
        List<Checkpoint> items = checkpoint == null ? tree.items() : tree.line(checkpoint.parent());
        Hardware now = checkpoint == null ? source.hardware() : checkpoint.hardware();
        Collector files = new Collector(folder);
        files.add(now);
        items.forEach(one -> files.add(one.hardware()));
        CheckpointTree moved = CheckpointTree.of(
                checkpoint == null ? tree.current() : checkpoint.parent(),
                items.stream()
                        .map(one -> one.moved(one.hardware().moved(files::name)))
                        .toList());
        return new Export(
                source.moved(now.moved(files::name), moved), files.names, files.children, files.formats, files.bytes);
    }

    /** Finds files and gives them names. */
    private static final class Collector {
        private final VmFolder folder;
        private final Map<Path, String> names = new LinkedHashMap<>();
        private final Map<String, String> children = new LinkedHashMap<>();
        private final Map<String, DiskFormat> formats = new LinkedHashMap<>();
        private final Set<String> used = new HashSet<>(RESERVED);
        private long bytes;

        Collector(VmFolder folder) {
            this.folder = folder;
        }

        void add(Hardware hardware) {
            hardware.disks().forEach(this::add);
            hardware.bootFiles().forEach(file -> add(real(folder.resolve(file))));
        }

        private void add(Disk disk) {
            DiskFormat format = Chains.format(disk);
            List<Path> chain = new ArrayList<>();
            try {
                if (format == DiskFormat.RAW) {
                    chain.add(real(folder.resolve(disk.path())));
                } else {
                    DiskOptions looking = DiskOptions.readOnly()
                            .withAccess(DiskAccess.INSPECT)
                            .withOpenParents(false);
                    Family.chain(folder.resolve(disk.path()), format, looking)
                            .forEach(info -> chain.add(real(Path.of(info.image()))));
                }
            } catch (DiskException e) {
                throw CheckpointFiles.problem(e);
            }
            @Nullable String parent = null;
            for (Path file : chain.reversed()) {
                String name = add(file);
                formats.put(name, format);
                if (parent != null) {
                    children.put(name, parent);
                }
                parent = name;
            }
        }

        /** Links are followed once, so that what is copied is what was looked at. */
        private static Path real(Path file) {
            try {
                return file.toRealPath();
            } catch (IOException e) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        "the file " + file + " cannot be read (" + Reason.of(e) + ")",
                        "put it back, or take it out of the virtual machine",
                        e);
            }
        }

        private String add(Path file) {
            String known = names.get(file);
            if (known != null) {
                return known;
            }
            try {
                if (!Files.isRegularFile(file)) {
                    throw new Problem(
                            Problem.Kind.INVALID, file + " is no file", "take it out of the virtual machine first");
                }
                bytes += Files.size(file);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
            String plain = String.valueOf(file.getFileName());
            String name = plain;
            for (int i = 2; !used.add(VmDefinition.key(name)); i++) {
                int dot = plain.lastIndexOf('.');
                name = dot <= 0 ? plain + "-" + i : plain.substring(0, dot) + "-" + i + plain.substring(dot);
            }
            names.put(file, name);
            return name;
        }

        String name(String path) {
            return names.getOrDefault(real(folder.resolve(path)), path);
        }
    }

    /**
     * Makes the folder, which has its name only when it is complete.
     *
     * @param steps told what is going to be done; may throw, as if the process ended there
     */
    void write(Path target, Task task, Consumer<String> steps) {
        FolderCopy.refuseWithoutRoom(target, bytes);
        FolderCopy copy = new FolderCopy(target, task, bytes, steps);
        List<VirtualDisk> held = new ArrayList<>();
        try {
            // Nobody else writes them meanwhile.
            names.forEach((file, name) -> {
                DiskFormat format = formats.get(name);
                if (format != null) {
                    held.add(VirtualDisks.open(
                            file, format, DiskOptions.readOnly().withOpenParents(false)));
                }
            });
            names.forEach(copy::copy);
            DiskOptions inside = DiskOptions.readWrite().withFolders(AllowedFolders.of(copy.folder()));
            children.forEach((child, parent) -> {
                steps.accept("connect " + child);
                Reconnect.run(
                        copy.place(child),
                        formats.getOrDefault(child, DiskFormat.VHDX),
                        copy.place(parent),
                        false,
                        inside);
            });
            steps.accept("write the definition");
            new VmFolder(copy.folder()).write(definition);
            copy.complete();
        } catch (DiskException e) {
            copy.abandon();
            throw CheckpointFiles.problem(e);
        } catch (RuntimeException e) {
            copy.abandon();
            throw e;
        } finally {
            held.forEach(VirtualDisk::close);
        }
    }
}
