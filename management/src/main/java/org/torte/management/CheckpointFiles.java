package org.torte.management;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.function.Consumer;
import org.torte.disk.AllowedFolders;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskStorage;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.LiveDisk;
import org.torte.disk.operation.Merge;
import org.torte.disk.operation.Progress;
import org.torte.management.definition.CheckpointTree.Link;
import org.torte.management.process.VmFolder;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/** The files of checkpoints of a machine whose disks are not in use. What returns is durable. */
final class CheckpointFiles {
    private final VmFolder folder;
    private final Consumer<String> steps;

    /**
     * Those of one virtual machine.
     *
     * @param steps told what is going to be done; may throw, as if the process ended there
     */
    CheckpointFiles(VmFolder folder, Consumer<String> steps) {
        this.folder = folder;
        this.steps = steps;
    }

    Path path(String file) {
        return folder.resolve(file);
    }

    boolean exists(String file) {
        return Files.exists(path(file));
    }

    /** Bytes of a file; 0 if it is not there. */
    long size(String file) {
        try {
            return Files.size(path(file));
        } catch (IOException e) {
            return 0;
        }
    }

    /** A file's path with links followed, as workers name it; as it stands if it is not there. */
    Path real(String file) {
        try {
            return path(file).toRealPath();
        } catch (IOException e) {
            return path(file);
        }
    }

    /** Makes a differencing disk, which has its name only when it is complete. */
    void child(Link link) {
        Path child = path(link.child());
        Path part = child.resolveSibling(child.getFileName() + LiveDisk.PART);
        try {
            steps.accept("make " + link.child());
            DiskStorage.host().delete(part);
            VirtualDisks.create(
                    part, format(link), CreateOptions.differencing(path(link.parent())), DiskOptions.readWrite());
            steps.accept("name " + link.child());
            DiskStorage.host().rename(part, child, AllowedFolders.everywhere());
            steps.accept("made " + link.child());
        } catch (DiskException e) {
            throw problem(e);
        }
    }

    /** Merges a file into its parent and deletes it. */
    void merge(Link link, Progress progress) {
        try {
            steps.accept("merge " + link.child());
            Merge.run(path(link.child()), format(link), DiskOptions.readWrite(), (done, total) -> {
                steps.accept("merging " + link.child());
                return progress.advanced(done, total);
            });
            steps.accept("merged " + link.child());
        } catch (DiskException e) {
            throw problem(e);
        }
    }

    /** Gives saved state a second name, under which it stays when the first one is deleted. */
    void copyState(String from, String to) {
        steps.accept("keep " + from);
        Path part = path("." + to + ".part");
        try {
            Files.deleteIfExists(part);
            try {
                Files.createLink(part, path(from));
            } catch (UnsupportedOperationException | FileSystemException e) {
                // A file system without links.
                Files.copy(path(from), part);
                try (FileChannel copy = FileChannel.open(part, StandardOpenOption.WRITE)) {
                    copy.force(true);
                }
            }
            Files.move(part, path(to), StandardCopyOption.ATOMIC_MOVE);
            DurableFile.forceFolder(folder.path());
        } catch (IOException e) {
            throw unavailable(path(to), "written", e);
        }
        steps.accept("kept " + from);
    }

    /** Deletes the journal of a merge whose file is gone, if it is there. */
    void forgetMerge(String file) {
        try {
            Merge.forget(path(file), DiskOptions.readWrite());
        } catch (DiskException e) {
            throw problem(e);
        }
    }

    /** Deletes a file and what a merge has noted of it, if they are there. */
    void delete(String file) {
        steps.accept("delete " + file);
        try {
            if (exists(file)) {
                DurableFile.delete(path(file));
            }
        } catch (IOException e) {
            throw unavailable(path(file), "deleted", e);
        }
        forgetMerge(file);
        steps.accept("deleted " + file);
    }

    private static DiskFormat format(Link link) {
        return DiskFormat.valueOf(link.format().toUpperCase(Locale.ROOT));
    }

    private static Problem unavailable(Path file, String what, IOException e) {
        return new Problem(
                Problem.Kind.UNAVAILABLE,
                file + " cannot be " + what + " (" + Reason.of(e) + ")",
                "make room, and give the user of the service permission to write there",
                e);
    }

    /** What users are told of a disk that cannot be used. */
    static Problem problem(DiskException e) {
        String message = String.valueOf(e.getMessage());
        int end = message.lastIndexOf("; ");
        return new Problem(
                switch (e.kind()) {
                    case CANCELLED -> Problem.Kind.CANCELLED;
                    case IN_USE -> Problem.Kind.CONFLICT;
                    case NO_SPACE, DENIED -> Problem.Kind.UNAVAILABLE;
                    default -> Problem.Kind.FAILED;
                },
                end < 0 ? message : message.substring(0, end),
                end < 0 ? "look at it with torte vhd test" : message.substring(end + 2),
                e);
    }
}
