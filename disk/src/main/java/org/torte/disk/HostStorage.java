package org.torte.disk;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException.Kind;

/** Files of the host, each with an open-file-description lock on all of it. */
enum HostStorage implements DiskStorage {
    INSTANCE;

    @Override
    public DiskFile open(Path path, DiskAccess access, AllowedFolders folders) {
        Path real = resolve(path, folders);
        boolean writable = access == DiskAccess.READ_WRITE || access == DiskAccess.UPGRADABLE;
        int fd;
        try {
            // Without O_NONBLOCK a pipe in place of an image would hang.
            int mode = writable ? Posix.O_RDWR : Posix.O_RDONLY;
            fd = Posix.open(real.toString(), mode | Posix.O_CLOEXEC | Posix.O_NONBLOCK, 0);
        } catch (IOException e) {
            throw refused(real, e, "open it");
        }
        try {
            return checked(real, fd, access, folders);
        } catch (RuntimeException | Error e) {
            closeQuietly(fd, e);
            throw e;
        }
    }

    private static DiskFile checked(Path real, int fd, DiskAccess access, AllowedFolders folders) {
        try {
            Posix.Status status = Posix.status(fd);
            if (!status.regularFile() && !status.blockDevice()) {
                throw new DiskException(
                        Kind.UNSUPPORTED, real.toString(), "it is neither a file nor a block device", "name an image");
            }
            if (status.regularFile()) {
                // The folder may have been exchanged for a link between resolving and opening.
                Path opened = Path.of("/proc/self/fd/" + fd).toRealPath();
                folders.check(opened);
            }
            boolean exclusive = access == DiskAccess.READ_WRITE;
            if (access != DiskAccess.INSPECT && !Posix.lock(fd, exclusive ? Posix.LOCK_EXCLUSIVE : Posix.LOCK_SHARED)) {
                throw inUse(real, exclusive);
            }
            return new HostFile(real.toString(), fd, access, status.blockDevice());
        } catch (IOException e) {
            throw refused(real, e, "lock it");
        }
    }

    @Override
    public DiskFile create(Path path, AllowedFolders folders) {
        Path real = resolveNew(path, folders);
        try {
            int flags = Posix.O_RDWR | Posix.O_CREAT | Posix.O_EXCL | Posix.O_CLOEXEC;
            int fd = Posix.open(real.toString(), flags, 0644);
            try {
                if (!Posix.lock(fd, Posix.LOCK_EXCLUSIVE)) {
                    throw inUse(real, true);
                }
                forceFolderOf(real);
                return new HostFile(real.toString(), fd, DiskAccess.READ_WRITE, false);
            } catch (IOException | RuntimeException | Error e) {
                closeQuietly(fd, e);
                delete(real);
                throw e;
            }
        } catch (IOException e) {
            throw refused(real, e, "create it");
        }
    }

    /** Makes the entry of a file in its folder durable. */
    private static void forceFolderOf(Path file) throws IOException {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            return;
        }
        int fd = Posix.open(folder.toString(), Posix.O_RDONLY | Posix.O_CLOEXEC, 0);
        try {
            Posix.sync(fd, true);
        } finally {
            Posix.close(fd);
        }
    }

    @Override
    public void rename(Path from, Path to, AllowedFolders folders) {
        Path real = resolve(from, folders);
        Path target = resolveNew(to, folders);
        try {
            renameToFree(real, target);
            forceFolderOf(target);
        } catch (IOException e) {
            throw refused(target, e, "name it");
        }
    }

    private static void renameToFree(Path from, Path to) throws IOException {
        try {
            Posix.renameToFree(from.toString(), to.toString());
        } catch (Posix.CallException e) {
            if (e.errno() != Posix.EINVAL) {
                throw e;
            }
            // Network file systems cannot do it in one step.
            Files.createLink(to, from);
            Files.delete(from);
        }
    }

    @Override
    public Path resolve(Path path, AllowedFolders folders) {
        Path real;
        try {
            real = path.toRealPath();
        } catch (NoSuchFileException e) {
            throw new DiskException(Kind.NOT_FOUND, path.toString(), "there is no such file", "check the path", e);
        } catch (IOException e) {
            throw refused(path, e, "find it");
        }
        folders.check(real);
        return real;
    }

    @Override
    public List<Path> files(Path folder, int depth, int most, AllowedFolders folders) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        Path real = resolve(folder, folders);
        List<Path> found = new ArrayList<>();
        try {
            Files.walkFileTree(real, Set.of(), depth, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                    if (attributes.isRegularFile()) {
                        found.add(file);
                    }
                    return found.size() < most ? FileVisitResult.CONTINUE : FileVisitResult.TERMINATE;
                }

                @Override
                public FileVisitResult visitFileFailed(Path file, IOException e) {
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException e) {
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException e) {
            throw refused(real, e, "look into it");
        }
        found.sort(null);
        return found;
    }

    @Override
    public boolean exists(Path path) {
        return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
    }

    @Override
    public void delete(Path path) {
        try {
            if (Files.deleteIfExists(path)) {
                forceFolderOf(path);
            }
        } catch (IOException e) {
            throw refused(path, e, "delete it");
        }
    }

    @Override
    public long modified(Path path) {
        try {
            return Files.getLastModifiedTime(path).to(TimeUnit.NANOSECONDS);
        } catch (IOException e) {
            throw refused(path, e, "look at it");
        }
    }

    @Override
    public long usableSpace(Path path) {
        try {
            return Files.getFileStore(path).getUsableSpace();
        } catch (IOException e) {
            throw refused(path, e, "tell how much space it has");
        }
    }

    private static void closeQuietly(int fd, Throwable reason) {
        try {
            Posix.close(fd);
        } catch (IOException e) {
            reason.addSuppressed(e);
        }
    }

    private static DiskException refused(Path path, IOException e, String what) {
        int errno = e instanceof Posix.CallException call ? call.errno() : 0;
        String image = path.toString();
        return switch (errno) {
            case Posix.ENOENT -> new DiskException(Kind.NOT_FOUND, image, "there is no such file", "check the path", e);
            case Posix.EEXIST ->
                new DiskException(Kind.EXISTS, image, "the file exists already", "choose another name or delete it", e);
            case Posix.EACCES, Posix.EPERM ->
                new DiskException(
                        Kind.DENIED, image, "the host does not let this user " + what, "change its permissions", e);
            case Posix.EROFS ->
                new DiskException(
                        Kind.DENIED, image, "its file system is mounted read-only", "open it for reading only", e);
            default ->
                e instanceof DiskFile.NoSpaceException
                        ? new DiskException(
                                Kind.NO_SPACE, image, "the host has no space left", "make space and try again", e)
                        : new DiskException(
                                Kind.INPUT_OUTPUT,
                                image,
                                "the host could not " + what + " (" + e.getMessage() + ")",
                                "check the host's storage",
                                e);
        };
    }

    private static DiskException inUse(Path path, boolean exclusive) {
        List<String> holders = holders(path);
        String by = holders.isEmpty() ? "" : " by " + String.join(", ", holders);
        String problem = exclusive ? "it is in use" + by : "it is being written" + by;
        return new DiskException(Kind.IN_USE, path.toString(), problem, "close it there first");
    }

    /** The processes that have this file open, as far as this user may see; only for the message of a refusal. */
    private static List<String> holders(Path path) {
        List<String> found = new ArrayList<>();
        try (Stream<Path> processes = Files.list(Path.of("/proc"))) {
            for (Path process : (Iterable<Path>) processes::iterator) {
                String pid = process.getFileName() == null
                        ? ""
                        : process.getFileName().toString();
                if (!pid.isEmpty() && Character.isDigit(pid.charAt(0)) && hasOpen(process, path)) {
                    boolean own =
                            pid.equals(Long.toString(ProcessHandle.current().pid()));
                    found.add(own ? "this process" : "process " + pid + " (" + command(process) + ")");
                }
            }
        } catch (IOException e) {
            return found;
        }
        // This process has it open at least for this attempt; it is only worth naming when nobody else is.
        if (found.size() > 1) {
            found.remove("this process");
        }
        return found;
    }

    private static boolean hasOpen(Path process, Path path) {
        try (Stream<Path> descriptors = Files.list(process.resolve("fd"))) {
            return descriptors.anyMatch(fd -> {
                try {
                    return Files.readSymbolicLink(fd).equals(path);
                } catch (IOException e) {
                    return false;
                }
            });
        } catch (IOException e) {
            return false;
        }
    }

    private static String command(Path process) {
        try {
            return Files.readString(process.resolve("comm")).strip();
        } catch (IOException e) {
            return "unknown";
        }
    }
}
