package org.torte.management.process;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;
import org.torte.management.definition.Json;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;

/**
 * What a worker leaves in the folder of its virtual machine: a lock for as long as it lives, who it is, and at its end why.
 * Written by the worker, read by services that come and go.
 */
public final class WorkerRecord implements AutoCloseable {
    private static final int LOCK_TRIES = 100;

    private final Path run;
    private final FileChannel lock;

    /**
     * Who a worker is.
     *
     * @param processId its process
     * @param boot the boot of the host that it belongs to
     * @param control its control socket
     * @param start which start it is of, if a service has started it
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Identity(
            @JsonProperty(required = true) long processId,
            @JsonProperty(required = true) String boot,
            @JsonProperty(required = true) String control,
            @Nullable String start) {}

    /** The file that says which start counts. */
    private static final String START = "start";

    private static final int IDENTITY_TRIES = 500;

    private WorkerRecord(Path run, FileChannel lock) {
        this.run = run;
        this.lock = lock;
    }

    /**
     * For the worker: begins its record.
     *
     * @param start which start it is of, if a service has started it
     * @throws Problem CONFLICT when there is a worker already, or nobody wants it any more
     */
    public static WorkerRecord begin(VmFolder folder, Path control, @Nullable String start) throws IOException {
        Path run = folder.run();
        DurableFile.makeFolder(run);
        FileChannel channel = FileChannel.open(
                run.resolve("worker.lock"),
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE);
        try {
            // A service that looks holds the lock for a moment.
            for (int i = 0; tryLock(channel) == null; i++) {
                if (i == LOCK_TRIES) {
                    throw new Problem(
                            Problem.Kind.CONFLICT, "a worker runs for " + folder.path() + " already", "use that one");
                }
                Thread.sleep(10);
            }
            if (start != null && !start.equals(wanted(run))) {
                throw new Problem(
                        Problem.Kind.CONFLICT,
                        "the service that started this worker has gone, and the next one does not know of it",
                        "start the machine again");
            }
            Files.deleteIfExists(run.resolve("end.json"));
            DurableFile.replace(
                    run.resolve("worker.json"),
                    Json.pretty(new Identity(ProcessHandle.current().pid(), boot(), control.toString(), start)));
            return new WorkerRecord(run, channel);
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        } catch (InterruptedException e) {
            channel.close();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** For the worker: notes why it ends. */
    public void end(WorkerEnd end) throws IOException {
        DurableFile.replace(run.resolve("end.json"), Json.pretty(end));
    }

    @Override
    public void close() throws IOException {
        lock.close();
    }

    /**
     * For a service: says which start is the one that counts, before it starts the worker. A worker that comes to its lock
     * later than a next service has looked is not wanted any more: that service has said that none runs.
     */
    static void want(VmFolder folder, String start) throws IOException {
        DurableFile.replace(folder.run().resolve(START), start.getBytes(StandardCharsets.US_ASCII));
    }

    private static @Nullable String wanted(Path run) throws IOException {
        try {
            return Files.readString(run.resolve(START), StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException e) {
            return null;
        }
    }

    /** For a service that begins: who the worker of a folder is, if one runs; otherwise none that is on its way will. */
    static Optional<Identity> adopt(VmFolder folder) {
        Path run = folder.run();
        if (!Files.isDirectory(run)) {
            return Optional.empty();
        }
        try (FileChannel channel = FileChannel.open(
                run.resolve("worker.lock"),
                StandardOpenOption.CREATE,
                StandardOpenOption.READ,
                StandardOpenOption.WRITE)) {
            if (tryLock(channel) != null) {
                DurableFile.delete(run.resolve(START));
                return Optional.empty();
            }
            // Who has just got the lock writes who it is a moment later.
            for (int i = 0; i < IDENTITY_TRIES; i++) {
                Optional<Identity> found = identity(folder);
                String start = wanted(run);
                if (found.isPresent()
                        && (start == null || start.equals(found.get().start()))) {
                    return found;
                }
                Thread.sleep(10);
            }
            return identity(folder);
        } catch (IOException e) {
            throw unreadable(run, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return identity(folder);
        }
    }

    /** For those who ask: who the worker of a folder is, if one runs. */
    static Optional<Identity> running(VmFolder folder) {
        Path run = folder.run();
        if (!Files.exists(run.resolve("worker.lock"))) {
            return Optional.empty();
        }
        try (FileChannel channel =
                FileChannel.open(run.resolve("worker.lock"), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            // Closing the channel gives the lock back at once.
            return tryLock(channel) == null ? identity(folder) : Optional.empty();
        } catch (IOException e) {
            throw unreadable(run, e);
        }
    }

    /** For those who want its console: the control socket of the worker of a folder, if one runs. */
    public static Optional<Path> control(VmFolder folder) {
        return running(folder).map(identity -> Path.of(identity.control()));
    }

    /** For a service: who wrote the record last, whether it runs or not; nothing after an end that was told. */
    static Optional<Identity> identity(VmFolder folder) {
        Path file = folder.run().resolve("worker.json");
        try {
            return Optional.of(Json.read(Files.readAllBytes(file), Identity.class, file.toString()));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /** For a service: why the last worker ended, if it could say so. */
    static Optional<WorkerEnd> end(VmFolder folder) {
        Path file = folder.run().resolve("end.json");
        try {
            return Optional.of(Json.read(Files.readAllBytes(file), WorkerEnd.class, file.toString()));
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw unreadable(file, e);
        }
    }

    /** For a service: forgets the last worker, whose end it has told. */
    static void forget(VmFolder folder) {
        try {
            Files.deleteIfExists(folder.run().resolve("worker.json"));
        } catch (IOException e) {
            throw unreadable(folder.run(), e);
        }
    }

    private static Problem unreadable(Path file, IOException e) {
        return new Problem(
                Problem.Kind.UNAVAILABLE,
                file + " cannot be used (" + Reason.of(e) + ")",
                "give the user of the service permission to read and write there",
                e);
    }

    private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null;
        }
    }

    private static String boot() throws IOException {
        return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
    }
}
