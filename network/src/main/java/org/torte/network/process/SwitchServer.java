package org.torte.network.process;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.network.NetworkException;
import org.torte.network.posix.PollSet;
import org.torte.network.posix.UnixSocket;
import org.torte.network.posix.Wakeup;

/**
 * The switches of a folder, for machines in other processes. One process at a time has a folder; it begins with what the
 * configuration there says, and needs nobody to tell it. Safe for several threads; has one for itself and one for each who
 * is connected.
 */
public final class SwitchServer implements AutoCloseable {
    /** The most who are connected at a time; others are sent away. */
    public static final int MAX_CONNECTIONS = 2048;

    private static final long LOOK_AGAIN_MILLIS = 250;

    /** How long somebody may be connected, be no port, and say nothing. */
    private static final Duration SILENCE = Duration.ofSeconds(30);

    /** How long a process that listens no more may take to end. */
    private static final Duration LAST_STEPS = Duration.ofSeconds(10);

    private final Path folder;
    private final FileChannel lock;
    private final Path path;
    private final UnixSocket listener;
    private final int owner;
    private final HostSwitches switches;
    private final Consumer<String> log;
    private final Duration silence;
    private final Object reloading = new Object();
    private final Wakeup wakeup;
    private final Thread acceptor;
    private final Set<SwitchConnection> connections = ConcurrentHashMap.newKeySet();
    private volatile boolean closed;

    private SwitchServer(
            Path folder,
            FileChannel lock,
            UnixSocket listener,
            int owner,
            HostSwitches switches,
            Consumer<String> log,
            Duration silence)
            throws IOException {
        this.folder = folder;
        this.lock = lock;
        path = socket(folder);
        this.listener = listener;
        this.owner = owner;
        this.switches = switches;
        this.log = log;
        this.silence = silence;
        wakeup = new Wakeup();
        acceptor = Thread.ofPlatform().name("torte-switch").daemon().unstarted(this::accept);
    }

    /** Where the process of a folder listens. */
    public static Path socket(Path folder) {
        return folder.resolve("switch.sock");
    }

    /** The configuration of a folder. */
    public static Path configuration(Path folder) {
        return folder.resolve("config.json");
    }

    /**
     * Makes the configuration of a folder true, and begins to listen.
     *
     * @param folder of this user's own; nobody else may enter it
     * @param log is told, in a line, what people may want to know
     * @throws NetworkException when another process has the folder, or it cannot be used, or its configuration is wrong
     */
    public static SwitchServer open(Path folder, Timers timers, RandomSource random, Consumer<String> log) {
        return open(folder, timers, random, new LogLimit(log, timers.clock()), SILENCE);
    }

    static SwitchServer open(Path folder, Timers timers, RandomSource random, Consumer<String> log, Duration silence) {
        FileChannel lock = null;
        HostSwitches switches = null;
        UnixSocket listener = null;
        SwitchServer server = null;
        boolean open = false;
        try {
            lock = lock(folder);
            switches = new HostSwitches(folder.resolve("networks"), timers, random);
            NetworkConfiguration first = NetworkConfiguration.read(configuration(folder));
            tell(log, switches.apply(first));
            Path made = Files.createTempDirectory(folder, ".s");
            try {
                // Nobody else can open it before its permissions are set: its folder is new, and private.
                Path socket = made.resolve("s");
                listener = UnixSocket.listen(socket);
                Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-------"));
                int owner = (Integer) Files.getAttribute(socket, "unix:uid");
                server = new SwitchServer(folder, lock, listener, owner, switches, log, silence);
                lock = null;
                listener = null;
                switches = null;
                server.acceptor.start();
                rehearse(socket);
                Files.move(socket, socket(folder), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
            } finally {
                Files.deleteIfExists(made.resolve("s"));
                Files.deleteIfExists(made);
            }
            server.reloadIfChanged(first);
            open = true;
            return server;
        } catch (IOException e) {
            throw new NetworkException("the folder " + folder + " cannot be used for switches: " + e.getMessage(), e);
        } finally {
            if (server != null && !open) {
                server.close();
            }
            if (listener != null) {
                listener.close();
            }
            if (switches != null) {
                switches.close();
            }
            if (lock != null) {
                unlock(lock);
            }
        }
    }

    /**
     * Talks with itself once, before anybody else can. A class that is needed for the first time when no descriptor is left
     * cannot be loaded, and is missing for ever after: what a conversation needs must be there before.
     */
    private static void rehearse(Path socket) throws IOException {
        try (SwitchClient client = SwitchClient.connect(socket)) {
            Map<?, ?> _ = client.status();
        }
    }

    private static FileChannel lock(Path folder) throws IOException {
        FileChannel file =
                FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        boolean held = false;
        try {
            long until = System.nanoTime() + LAST_STEPS.toNanos();
            held = held(file);
            while (!held && !listens(folder) && System.nanoTime() < until) {
                pause(); // one that listens no more is about to end
                held = held(file);
            }
        } finally {
            if (!held) {
                file.close();
            }
        }
        if (!held) {
            throw new NetworkException("another process has the switches of " + folder);
        }
        return file;
    }

    private static boolean held(FileChannel file) throws IOException {
        try {
            return file.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false; // this process has it already
        }
    }

    private static boolean listens(Path folder) {
        try (UnixSocket _ = UnixSocket.connect(socket(folder))) {
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    private static void unlock(FileChannel lock) {
        try {
            lock.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void tell(Consumer<String> log, List<ConfigurationProblem> problems) {
        problems.forEach(one -> log.accept(
                (one.port().isEmpty() ? "switch " + one.network() : "port " + one.port()) + ": " + one.message()));
    }

    private void accept() {
        try (Arena arena = Arena.ofConfined()) {
            PollSet polls = new PollSet(arena, listener.fd(), wakeup.fd());
            while (!closed) {
                polls.await(-1);
                wakeup.clear();
                try {
                    admit(listener.accept());
                } catch (IOException e) {
                    // No descriptor is left, perhaps: those who are there go on, and one may go.
                    log.accept(String.valueOf(e.getMessage()));
                    pause();
                }
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(LOOK_AGAIN_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void admit(@Nullable UnixSocket client) throws IOException {
        if (client == null) {
            return;
        }
        boolean admitted = false;
        try {
            int user = client.peerUser();
            if (!closed && connections.size() < MAX_CONNECTIONS && (user == owner || user == 0)) {
                begin(new SwitchConnection(client, switches, this::reload, log, silence));
                admitted = true;
            }
        } finally {
            if (!admitted) {
                client.close();
            }
        }
    }

    private void begin(SwitchConnection connection) throws IOException {
        connections.add(connection);
        boolean began = false;
        try {
            connection.start(() -> connections.remove(connection));
            began = true;
        } finally {
            if (!began) {
                connections.remove(connection);
            }
        }
    }

    /** One at a time: what is read last is what holds. */
    private Map<String, Object> reload() {
        synchronized (reloading) {
            NetworkConfiguration wanted = NetworkConfiguration.read(configuration(folder));
            List<ConfigurationProblem> problems = switches.apply(wanted);
            tell(log, problems);
            return Map.of("problems", StatusText.problems(problems));
        }
    }

    /** Who changed the configuration before anybody listened could not say so. */
    private void reloadIfChanged(NetworkConfiguration first) {
        try {
            if (!NetworkConfiguration.read(configuration(folder)).equals(first)) {
                Map<String, Object> _ = reload();
            }
        } catch (NetworkException e) {
            log.accept(String.valueOf(e.getMessage())); // as whoever asks for a reload will be told
        }
    }

    /**
     * Waits until nobody has needed this process for a while.
     *
     * @param howLong there has been no machine and nobody else connected, and no switch that the host has a part in
     */
    public void awaitIdle(Duration howLong) throws InterruptedException {
        long since = System.nanoTime();
        while (!closed && System.nanoTime() - since < howLong.toNanos()) {
            Thread.sleep(LOOK_AGAIN_MILLIS);
            if (!connections.isEmpty() || switches.servesHost()) {
                since = System.nanoTime();
            }
        }
    }

    /** Lets go of everything: machines find their link gone. */
    @Override
    public void close() {
        closed = true;
        wakeup.signal();
        try {
            acceptor.join();
            Files.deleteIfExists(path);
            connections.forEach(SwitchConnection::close);
            switches.close();
            for (SwitchConnection connection : connections) {
                connection.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            listener.close();
            wakeup.close();
            unlock(lock);
        }
    }
}
