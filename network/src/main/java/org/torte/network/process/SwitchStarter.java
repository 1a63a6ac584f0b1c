package org.torte.network.process;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.torte.network.NetworkException;

/**
 * Starts the switch process of a folder when nobody listens there. Whoever misses it may do so; one at a time does. Safe for
 * several threads and processes.
 *
 * @param folder of the switches
 * @param command what starts the process; empty when nobody here can
 */
public record SwitchStarter(Path folder, List<String> command) {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final long LOOK_MILLIS = 20;
    private static final int LONGEST_REASON = 2000;
    private static final long LONGEST_LOG = 1 << 20;

    /** Copies the list. */
    public SwitchStarter {
        command = List.copyOf(command);
    }

    /**
     * Whether somebody listens.
     *
     * @throws NetworkException when that is a process of another Torte
     */
    public boolean runs() {
        try (SwitchClient _ = SwitchClient.connect(SwitchServer.socket(folder))) {
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /**
     * Starts it, unless somebody else does so just now, and waits until it listens.
     *
     * @throws NetworkException when it does not come to that
     */
    public void start() {
        if (command.isEmpty() || runs()) {
            return;
        }
        try (FileChannel file =
                FileChannel.open(folder.resolve("start.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            long until = System.nanoTime() + LIMIT.toNanos();
            while (!held(file)) {
                if (runs()) {
                    return;
                }
                pause(until);
            }
            if (!runs()) {
                begin(until);
            }
        } catch (IOException e) {
            throw new NetworkException("the switch process cannot be started: " + e.getMessage(), e);
        }
    }

    private static boolean held(FileChannel file) throws IOException {
        try {
            FileLock lock = file.tryLock();
            return lock != null;
        } catch (OverlappingFileLockException e) {
            return false;
        }
    }

    private void begin(long until) throws IOException {
        Path log = folder.resolve("switch.log");
        long logged = makeRoom(log);
        Process process = new ProcessBuilder(command)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
        while (!runs()) {
            try {
                if (process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS) && !runs()) {
                    throw new NetworkException("the switch process ended at once: " + said(log, logged));
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new NetworkException("interrupted while the switch process starts", e);
            }
            pause(until);
        }
    }

    /** Keeps what was logged before, of which another process may still be writing; tells how much that is. */
    private static long makeRoom(Path log) throws IOException {
        if (Files.exists(log) && Files.size(log) > LONGEST_LOG) {
            Files.move(log, log.resolveSibling(log.getFileName() + ".1"), StandardCopyOption.REPLACE_EXISTING);
        }
        return Files.exists(log) ? Files.size(log) : 0;
    }

    /** The last of what was logged since. */
    private static String said(Path log, long since) throws IOException {
        try (FileChannel file = FileChannel.open(log)) {
            long size = file.size();
            ByteBuffer text = ByteBuffer.allocate(Math.clamp(size - since, 0, LONGEST_REASON));
            int ignored = file.read(text, size - text.capacity());
            return UTF_8.decode(text.flip()).toString().strip().replace('\n', ' ');
        }
    }

    private void pause(long until) {
        if (System.nanoTime() - until > 0) {
            throw new NetworkException("the switch process does not listen " + LIMIT.toSeconds()
                    + " s after its start; look at " + folder.resolve("switch.log"));
        }
        try {
            Thread.sleep(LOOK_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NetworkException("interrupted while the switch process starts", e);
        }
    }
}
