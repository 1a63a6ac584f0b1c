package org.torte.network.cable;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import org.jspecify.annotations.Nullable;

/**
 * Where the two ends of a cable meet: a socket, and beside it a lock file ({@code .lock}), whose holder listens. A process
 * that dies gives up its lock, so a socket that is left over harms nobody. For one thread.
 */
final class Meeting implements AutoCloseable {
    /** What the path of a socket may have at most (sun_path of unix(7), and a zero). */
    private static final int LONGEST_PATH = 107;

    private final Path path;
    private @Nullable FileChannel lock;
    private @Nullable ServerSocketChannel listener;

    /**
     * Looks whether the path will do.
     *
     * @throws CableException when it will not
     */
    Meeting(Path path) {
        this.path = path.toAbsolutePath().normalize();
        Path folder = this.path.getParent();
        int length = this.path.toString().getBytes(StandardCharsets.UTF_8).length;
        if (length > LONGEST_PATH) {
            throw new CableException("the path of the cable " + path + " has " + length
                    + " bytes, and sockets have at most " + LONGEST_PATH + "; give a shorter one");
        }
        if (folder == null || !Files.isDirectory(folder)) {
            throw new CableException("there is no folder for the cable " + path + "; make it, or give another path");
        }
        if (!Files.isWritable(folder)) {
            throw new CableException(
                    "no cable can be laid at " + path + ": the folder may not be written; give another path");
        }
        try {
            if (Files.exists(this.path, LinkOption.NOFOLLOW_LINKS)
                    && !Files.readAttributes(this.path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                            .isOther()) {
                throw new CableException("no cable can be laid at " + path + ": there is a file; give another path");
            }
        } catch (IOException e) {
            throw new CableException(
                    "no cable can be laid at " + path + " (" + e.getMessage() + "); give another path");
        }
    }

    /** Listens if nobody else does; null when somebody does. */
    @Nullable
    ServerSocketChannel listen() throws IOException {
        if (listener != null) {
            return listener;
        }
        FileChannel file = FileChannel.open(
                path.resolveSibling(path.getFileName() + ".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        boolean held = false;
        try {
            held = file.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            held = false; // the other end is in this process
        } finally {
            if (!held) {
                file.close();
            }
        }
        if (!held) {
            return null;
        }
        lock = file;
        Files.deleteIfExists(path);
        ServerSocketChannel made = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener = made;
        made.bind(UnixDomainSocketAddress.of(path), 2);
        made.configureBlocking(false);
        return made;
    }

    /** Whether this end listens. */
    boolean listens() {
        return listener != null;
    }

    /** Connects to who listens; throws when nobody does. */
    SocketChannel connect() throws IOException {
        return SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    @Override
    public void close() throws IOException {
        if (listener != null) {
            listener.close();
            Files.deleteIfExists(path);
            listener = null;
        }
        if (lock != null) {
            lock.close();
            lock = null;
        }
    }
}
