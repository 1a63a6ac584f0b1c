package org.torte.management;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.function.Consumer;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/**
 * A folder that is filled with copies of files and has its name only when it is complete: until then it is called {@code
 * NAME.partial}, which the next one of the same name removes. Holes stay holes. Only its owner may read and write what is
 * in it, whatever the umask. For one thread.
 */
final class FolderCopy {
    /** What the name of one that is not complete ends in. */
    static final String PARTIAL = ".partial";

    /** Tells a folder that was begun here from one that only has such a name. */
    private static final String MARK = ".torte-partial";

    private static final int CHUNK = 1 << 20;
    /** What has to be left for other things. */
    private static final long ROOM = 16 << 20;

    private final Path target;
    private final Path partial;
    private final Task task;
    private final long total;
    private final Consumer<String> steps;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
    private long done;

    /**
     * Begins one.
     *
     * @param target what it is to be; nothing is there
     * @param task is told how far it is, and ends it when it is cancelled
     * @param total bytes that are going to be copied
     * @param steps told what is going to be done; may throw, as if the process ended there
     * @throws Problem when it cannot be made
     */
    FolderCopy(Path target, Task task, long total, Consumer<String> steps) {
        this.target = target;
        this.task = task;
        this.total = total;
        this.steps = steps;
        partial = partial(target);
        try {
            if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
                throw taken(target);
            }
            removeLeft(partial);
            steps.accept("make the folder");
            Files.createDirectory(
                    partial, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            steps.accept("mark the folder");
            Files.createFile(partial.resolve(MARK));
        } catch (IOException e) {
            throw unavailable(partial, "made", e);
        }
    }

    /**
     * Refuses what has no room beside the target.
     *
     * @throws Problem UNAVAILABLE, with figures
     */
    static void refuseWithoutRoom(Path target, long bytes) {
        try {
            long free = Files.getFileStore(parent(target)).getUsableSpace();
            if (free < bytes + ROOM) {
                throw new Problem(
                        Problem.Kind.UNAVAILABLE,
                        "there are " + (free >> 20) + " MiB free in " + parent(target) + ", and " + (bytes >> 20)
                                + " MiB are needed",
                        "make room, or choose a folder elsewhere");
            }
        } catch (IOException e) {
            throw unavailable(parent(target), "used", e);
        }
    }

    static Problem taken(Path folder) {
        return new Problem(
                Problem.Kind.EXISTS, "there is " + folder + " already", "name a folder that is not there yet");
    }

    static Path partial(Path target) {
        return target.resolveSibling(target.getFileName() + PARTIAL);
    }

    /**
     * Removes what an earlier one has left that did not come to its end; what only has such a name stays.
     *
     * @throws Problem EXISTS when it is not one of ours
     */
    static void removeLeft(Path partial) {
        if (!Files.exists(partial, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        boolean ours = Files.isRegularFile(partial.resolve(MARK), LinkOption.NOFOLLOW_LINKS)
                && Files.isDirectory(partial, LinkOption.NOFOLLOW_LINKS);
        if (!ours && !isEmptyFolder(partial)) {
            throw taken(partial);
        }
        Removal.deleteQuietly(partial);
    }

    /** One that was ended between its making and its mark. */
    private static boolean isEmptyFolder(Path folder) {
        try (var children = Files.newDirectoryStream(folder)) {
            return Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
                    && !children.iterator().hasNext();
        } catch (IOException e) {
            return false;
        }
    }

    /** Where a file of it lies until it is complete. */
    Path place(String name) {
        return partial.resolve(name);
    }

    /** The folder as it is until it is complete. */
    Path folder() {
        return partial;
    }

    /**
     * Copies a file, which is no symbolic link; the copy is durable.
     *
     * @throws Problem when it cannot be read or written, or the task is cancelled
     */
    void copy(Path source, String name) {
        steps.accept("copy " + name);
        try (FileChannel in = FileChannel.open(source, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS));
                FileChannel out = FileChannel.open(
                        place(name),
                        Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW),
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))) {
            long at = 0;
            while (true) {
                buffer.clear();
                int count = in.read(buffer, at);
                if (count < 0) {
                    break;
                }
                buffer.flip();
                if (!isZero(buffer)) {
                    for (long to = at; buffer.hasRemaining(); ) {
                        to += out.write(buffer, to);
                    }
                }
                at += count;
                advance(count);
            }
            lengthen(out, at);
            out.force(true);
        } catch (IOException e) {
            throw unavailable(place(name), "written from " + source, e);
        }
        steps.accept("copied " + name);
    }

    private static boolean isZero(ByteBuffer bytes) {
        int at = 0;
        for (; at + 8 <= bytes.limit(); at += 8) {
            if (bytes.getLong(at) != 0) {
                return false;
            }
        }
        for (; at < bytes.limit(); at++) {
            if (bytes.get(at) != 0) {
                return false;
            }
        }
        return true;
    }

    /** A file that ends in a hole has its length by its last byte. */
    private static void lengthen(FileChannel out, long length) throws IOException {
        if (out.size() < length) {
            out.write(ByteBuffer.allocate(1), length - 1);
        }
    }

    private void advance(int bytes) {
        done += bytes;
        if (task.cancelled().isDone()) {
            throw new Problem(Problem.Kind.CANCELLED, "cancelled", "start it again; nothing is left of it");
        }
        task.progress((int) Math.min(99, done * 100 / Math.max(total, 1)));
    }

    /** Gives it its name, durably. */
    void complete() {
        try {
            DurableFile.forceFolder(partial);
            steps.accept("name the folder");
            // A rename over an empty folder would succeed: whoever has made one meanwhile keeps it.
            if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
                throw taken(target);
            }
            Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
            DurableFile.forceFolder(parent(target));
            steps.accept("unmark the folder");
            Files.delete(target.resolve(MARK));
        } catch (IOException e) {
            throw unavailable(target, "made", e);
        }
        steps.accept("named the folder");
    }

    private static Path parent(Path path) {
        Path parent = path.toAbsolutePath().getParent();
        return parent == null ? path : parent;
    }

    /** Removes what is there of it. */
    void abandon() {
        Removal.deleteQuietly(partial);
    }

    private static Problem unavailable(Path file, String what, IOException e) {
        return new Problem(
                Problem.Kind.UNAVAILABLE,
                file + " cannot be " + what + " (" + Reason.of(e) + ")",
                "make room, and give the user of the service permission to read and write there",
                e);
    }
}
