package org.torte.worker.control;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jdk.net.ExtendedSocketOptions;
import org.jspecify.annotations.Nullable;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;

/**
 * Listens on a Unix-domain socket for as long as a machine exists. The socket belongs to the process's user and is open to
 * nobody else; who connects is asked for by the kernel besides.
 */
public final class ControlServer implements AutoCloseable {
    /** The most clients at a time; others are sent away. */
    static final int MAX_CLIENTS = 16;

    /** The longest path of a socket that others can connect to (unix(7)). */
    private static final int MAX_PATH = 107;

    /** How long a client may take to read the last lines. */
    private static final Duration LAST_WORDS = Duration.ofSeconds(1);

    private final Path path;
    private final ServerSocketChannel listener;
    private final String owner;
    private final VirtualMachine machine;
    private final ControlCommands commands;
    private final Set<ControlSession> sessions = ConcurrentHashMap.newKeySet();
    private volatile boolean closed;

    private ControlServer(Path path, ServerSocketChannel listener, String owner, VirtualMachine machine) {
        this.path = path;
        this.listener = listener;
        this.owner = owner;
        this.machine = machine;
        commands = new ControlCommands(machine);
    }

    /**
     * Begins to listen. A socket that nobody listens on any more is replaced.
     *
     * @throws InputException when the path cannot be used
     */
    public static ControlServer open(Path path, VirtualMachine machine) {
        Path target = path.toAbsolutePath();
        Path folder = target.getParent();
        Path made = null;
        if (target.toString().getBytes(StandardCharsets.UTF_8).length > MAX_PATH) {
            throw new InputException("the path of a control socket has at most " + MAX_PATH + " bytes, not " + target
                    + "; give a shorter one");
        }
        try {
            if (folder == null || !Files.isDirectory(folder)) {
                throw new InputException("there is no folder for the control socket " + path + "; make it first");
            }
            refuseUsed(target);
            // Nobody else can open it before its permissions are set: the folder is new, and private.
            made = Files.createTempDirectory(folder, ".t");
            Path socket = made.resolve("s");
            ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
            try {
                listener.bind(UnixDomainSocketAddress.of(socket));
                Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-------"));
                String owner = Files.getOwner(socket).getName();
                Files.move(socket, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                ControlServer server = new ControlServer(target, listener, owner, machine);
                Thread _ = Thread.ofPlatform().name("torte-control").daemon().start(server::accept);
                return server;
            } catch (IOException | RuntimeException e) {
                listener.close();
                throw e;
            }
        } catch (IOException e) {
            throw new InputException("the control socket " + path + " cannot be made (" + e.getMessage()
                    + "); give a short path in a folder where you may write");
        } finally {
            delete(made);
        }
    }

    private static void refuseUsed(Path target) throws IOException {
        if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
            return;
        }
        if (!Files.readAttributes(target, java.nio.file.attribute.BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                .isOther()) {
            throw new InputException(target + " exists and is no socket; give another path for --control");
        }
        try (SocketChannel _ = SocketChannel.open(UnixDomainSocketAddress.of(target))) {
            throw new InputException(
                    "another machine listens on " + target + " already; give another path for --control");
        } catch (IOException e) {
            // Nobody listens: it was left behind, and gives way.
            return;
        }
    }

    private static void delete(@Nullable Path folder) {
        if (folder != null) {
            try {
                Files.deleteIfExists(folder.resolve("s"));
                Files.deleteIfExists(folder);
            } catch (IOException e) {
                // An empty folder left behind harms nobody.
                return;
            }
        }
    }

    private void accept() {
        while (!closed) {
            try {
                SocketChannel client = listener.accept();
                if (sessions.size() >= MAX_CLIENTS || !allowed(client)) {
                    client.close();
                    continue;
                }
                ControlSession session = new ControlSession(client, machine, commands, sessions::remove);
                sessions.add(session);
                session.start();
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                System.getLogger(ControlServer.class.getName())
                        .log(System.Logger.Level.DEBUG, "a client could not be served", e);
            }
        }
    }

    private boolean allowed(SocketChannel client) throws IOException {
        String user = client.getOption(ExtendedSocketOptions.SO_PEERCRED).user().getName();
        return user.equals(owner) || user.equals("root");
    }

    /** Where it listens. */
    public Path path() {
        return path;
    }

    /** Tells the clients how the machine has ended, closes them and removes the socket. */
    @Override
    public void close() {
        closed = true;
        try {
            listener.close();
            Files.deleteIfExists(path);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            sessions.forEach(ControlSession::finish);
            sessions.forEach(session -> session.awaitEnd(LAST_WORDS));
        }
    }
}
