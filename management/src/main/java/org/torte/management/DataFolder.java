package org.torte.management;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Json;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/** Where a service keeps everything. At most one service uses it at a time. */
public final class DataFolder implements AutoCloseable {
    private final Path path;
    private final FileChannel lock;

    /**
     * Where a service is, and what opens it.
     *
     * @param url without a path
     * @param token of the service's user
     * @param processId of the service
     */
    public record Address(
            @JsonProperty(required = true) String url,
            @JsonProperty(required = true) String token,
            @JsonProperty(required = true) long processId) {}

    private DataFolder(Path path, FileChannel lock) {
        this.path = path;
        this.lock = lock;
    }

    /**
     * Makes the folder, unless it is there, and locks it.
     *
     * @throws Problem when it cannot be used, or another service does
     */
    public static DataFolder open(Path folder) {
        Path path = folder.toAbsolutePath().normalize();
        try {
            DurableFile.makeFolder(path);
            DurableFile.makeFolder(machines(path));
            Path file = path.resolve("service.lock");
            FileChannel channel = FileChannel.open(
                    file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
            try {
                FileLock held = lock(channel);
                if (held == null) {
                    throw new Problem(
                            Problem.Kind.CONFLICT,
                            "another service (process " + holder(file) + ") uses " + path,
                            "use that one, stop it, or give another folder with --data");
                }
                channel.truncate(0);
                channel.write(ByteBuffer.wrap(
                        Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII)));
                sweep(path);
                return new DataFolder(path, channel);
            } catch (IOException | RuntimeException e) {
                channel.close();
                throw e;
            }
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the folder " + path + " cannot be used (" + Reason.of(e) + ")",
                    "make room and give permission to write, or give another folder with --data",
                    e);
        }
    }

    /** Deletes what a service has left that was killed while it replaced a file. */
    private static void sweep(Path path) throws IOException {
        try (DirectoryStream<Path> left = Files.newDirectoryStream(path, ".{service,tokens,registered}.json*.part")) {
            for (Path file : left) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static @Nullable FileLock lock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null;
        }
    }

    private static String holder(Path file) throws IOException {
        String text = Files.readString(file, StandardCharsets.US_ASCII).strip();
        return text.matches("\\d{1,10}") ? text : "unknown";
    }

    /** The folder itself. */
    public Path path() {
        return path;
    }

    /** The file in which a service says where it is and what opens it; only its user can read it. */
    public static Path address(Path folder) {
        return folder.resolve("service.json");
    }

    /** Says where the service listens, and what opens it. */
    public void announce(Address address) throws IOException {
        DurableFile.replace(address(path), Json.pretty(address));
    }

    /**
     * Where the service of a folder listens, or listened last.
     *
     * @throws java.nio.file.NoSuchFileException when there has been none
     */
    public static Address announced(Path folder) throws IOException {
        Path file = address(folder);
        return Json.read(Files.readAllBytes(file), Address.class, file.toString());
    }

    /** The folders of the virtual machines that are made here. */
    public Path machines() {
        return machines(path);
    }

    private static Path machines(Path path) {
        return path.resolve("machines");
    }

    /** The folders of virtual machines that were removed without their disks. */
    Path removed() {
        return path.resolve("removed");
    }

    /** The database. */
    Path database() {
        return path.resolve("service.db");
    }

    /** The switches. */
    Path switches() {
        return path.resolve("switches.json");
    }

    /** Folders of virtual machines that lie elsewhere. */
    Path registered() {
        return path.resolve("registered.json");
    }

    /** The tokens. */
    public Path tokens() {
        return path.resolve("tokens.json");
    }

    @Override
    public void close() {
        try {
            lock.close();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
