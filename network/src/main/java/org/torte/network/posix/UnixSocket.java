package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A Unix-domain socket that keeps messages apart and carries descriptors (unix(7): SOCK_SEQPACKET, SCM_RIGHTS, SO_PEERCRED),
 * which the JDK's sockets do not. It never blocks: whoever waits polls {@link #fd}. For one thread, apart from {@link #close}.
 */
public final class UnixSocket implements AutoCloseable {
    /** The longest message, in bytes. */
    public static final int MAX_MESSAGE = 64 << 10;

    /** The most descriptors of a message. */
    public static final int MAX_DESCRIPTORS = 4;

    /** The longest path, in bytes. */
    public static final int MAX_PATH = 107;

    private static final int AF_UNIX = 1, SOCK_SEQPACKET = 5;
    private static final int SOL_SOCKET = 1, SO_PEERCRED = 17, SCM_RIGHTS = 1;
    private static final int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000;
    private static final int MSG_CTRUNC = 8, MSG_TRUNC = 0x20;
    private static final int BACKLOG = 64;

    // struct msghdr, struct iovec and struct cmsghdr of 64-bit Linux
    private static final long MSGHDR = 56, IOV = 16, IOVLEN = 24, CONTROL = 32, CONTROLLEN = 40, FLAGS = 48;
    private static final long CMSG_LEVEL = 8, CMSG_TYPE = 12, CMSG_DATA = 16;
    private static final long CMSG_SPACE = CMSG_DATA + MAX_DESCRIPTORS * 4L;

    private static final MethodHandle SOCKET =
            Posix.downcall("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle BIND =
            Posix.downcall("bind", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle CONNECT =
            Posix.downcall("connect", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle LISTEN =
            Posix.downcall("listen", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle ACCEPT4 =
            Posix.downcall("accept4", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
    private static final MethodHandle GETSOCKOPT = Posix.downcall(
            "getsockopt", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SENDMSG =
            Posix.downcall("sendmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle RECVMSG =
            Posix.downcall("recvmsg", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));

    private final int fd;
    private final Arena arena = Arena.ofAuto();
    private final Posix.Errno errno = new Posix.Errno(arena);
    private final MemorySegment header = arena.allocate(MSGHDR, 8);
    private final MemorySegment vector = arena.allocate(16, 8);
    private final MemorySegment control = arena.allocate(CMSG_SPACE, 8);
    private @Nullable MemorySegment buffer;
    private boolean closed;

    /**
     * A message.
     *
     * @param bytes 1 to {@link #MAX_MESSAGE}
     * @param descriptors they belong to the receiver, who closes them
     */
    @SuppressWarnings("ArrayRecordComponent") // handed on once, never compared
    public record Message(byte[] bytes, int[] descriptors) {
        /** Closes the descriptors. */
        public void discard() {
            for (int descriptor : descriptors) {
                Posix.close(descriptor);
            }
        }
    }

    private UnixSocket(int fd) {
        this.fd = fd;
    }

    private static UnixSocket open() throws IOException {
        try (Arena call = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(call);
            int fd = (int) SOCKET.invokeExact(
                    errno.segment(), AF_UNIX, SOCK_SEQPACKET | Posix.O_CLOEXEC | Posix.O_NONBLOCK, 0);
            if (fd < 0) {
                throw new IOException("the host gives no socket: error " + errno.value());
            }
            return new UnixSocket(fd);
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** Listens at a path, where nothing may be yet. Who may connect is up to the permissions of its folder. */
    public static UnixSocket listen(Path path) throws IOException {
        return prepared(path, (socket, address) -> {
            int bound = (int) BIND.invokeExact(socket.errno.segment(), socket.fd, address, (int) address.byteSize());
            return bound < 0 ? bound : (int) LISTEN.invokeExact(socket.errno.segment(), socket.fd, BACKLOG);
        });
    }

    /**
     * Connects to who listens at a path.
     *
     * @throws ConnectException when nobody does
     */
    public static UnixSocket connect(Path path) throws IOException {
        return prepared(path, (socket, address) ->
                (int) CONNECT.invokeExact(socket.errno.segment(), socket.fd, address, (int) address.byteSize()));
    }

    private interface Step {
        int take(UnixSocket socket, MemorySegment address) throws Throwable;
    }

    private static UnixSocket prepared(Path path, Step step) throws IOException {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length > MAX_PATH) {
            throw new IOException("the path " + path + " is longer than " + MAX_PATH + " bytes");
        }
        UnixSocket socket = open();
        boolean done = false;
        try (Arena call = Arena.ofConfined()) {
            MemorySegment address = call.allocate(2 + name.length + 1L, 2);
            address.set(JAVA_SHORT, 0, (short) AF_UNIX);
            MemorySegment.copy(name, 0, address, JAVA_BYTE, 2, name.length);
            if (step.take(socket, address) < 0) {
                int error = socket.errno.value();
                String message = path + ": " + reason(error);
                throw error == Posix.ENOENT || error == Posix.ECONNREFUSED
                        ? new ConnectException(message)
                        : new IOException(message);
            }
            done = true;
            return socket;
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        } finally {
            if (!done) {
                socket.close();
            }
        }
    }

    private static String reason(int error) {
        return switch (error) {
            case Posix.ENOENT -> "there is no socket";
            case Posix.EACCES, Posix.EPERM -> "this user may not";
            case Posix.EADDRINUSE -> "there is something already";
            case Posix.ECONNREFUSED -> "nobody listens";
            case Posix.EAGAIN -> "too many wait there";
            default -> "error " + error;
        };
    }

    /** What to poll. */
    public int fd() {
        return fd;
    }

    /** Takes the next one who has connected; null when there is none. */
    public @Nullable UnixSocket accept() throws IOException {
        try {
            int accepted = (int) ACCEPT4.invokeExact(
                    errno.segment(), fd, MemorySegment.NULL, MemorySegment.NULL, Posix.O_CLOEXEC | Posix.O_NONBLOCK);
            if (accepted < 0) {
                if (errno.value() == Posix.EAGAIN || errno.value() == Posix.EINTR || errno.value() == 103) {
                    return null;
                }
                throw new IOException("accepting a connection: error " + errno.value());
            }
            return new UnixSocket(accepted);
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** The number of the user whose process is at the other end, as the kernel knows it. */
    public int peerUser() throws IOException {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment credentials = call.allocate(12, 4);
            MemorySegment size = call.allocate(JAVA_INT);
            size.set(JAVA_INT, 0, 12);
            if ((int) GETSOCKOPT.invokeExact(errno.segment(), fd, SOL_SOCKET, SO_PEERCRED, credentials, size) < 0) {
                throw new IOException("who connects cannot be found out: error " + errno.value());
            }
            return credentials.get(JAVA_INT, 4);
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    private MemorySegment prepare(long length, int descriptors) {
        MemorySegment bytes = buffer;
        if (bytes == null) {
            bytes = arena.allocate(MAX_MESSAGE, 8);
            buffer = bytes;
        }
        vector.set(ADDRESS, 0, bytes);
        vector.set(JAVA_LONG, 8, length);
        header.fill((byte) 0);
        header.set(ADDRESS, IOV, vector);
        header.set(JAVA_LONG, IOVLEN, 1);
        if (descriptors > 0) {
            header.set(ADDRESS, CONTROL, control);
            header.set(JAVA_LONG, CONTROLLEN, CMSG_DATA + (descriptors * 4L + 7 & ~7L));
        }
        return bytes;
    }

    /**
     * Sends a message.
     *
     * @return false when the other end does not read what was sent before
     * @throws IOException when it has gone
     */
    public boolean send(byte[] bytes, int... descriptors) throws IOException {
        if (bytes.length == 0 || bytes.length > MAX_MESSAGE || descriptors.length > MAX_DESCRIPTORS) {
            throw new IllegalArgumentException(bytes.length + " bytes, " + descriptors.length + " descriptors");
        }
        MemorySegment to = prepare(bytes.length, descriptors.length);
        MemorySegment.copy(bytes, 0, to, JAVA_BYTE, 0, bytes.length);
        if (descriptors.length > 0) {
            control.fill((byte) 0);
            control.set(JAVA_LONG, 0, CMSG_DATA + descriptors.length * 4L);
            control.set(JAVA_INT, CMSG_LEVEL, SOL_SOCKET);
            control.set(JAVA_INT, CMSG_TYPE, SCM_RIGHTS);
            MemorySegment.copy(descriptors, 0, control, JAVA_INT, CMSG_DATA, descriptors.length);
        }
        try {
            long sent = (long) SENDMSG.invokeExact(errno.segment(), fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0 && errno.value() == Posix.EAGAIN) {
                return false;
            }
            if (sent != bytes.length) {
                throw new IOException("the other end has gone: error " + errno.value());
            }
            return true;
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /**
     * Takes the next message.
     *
     * @return null when there is none yet
     * @throws IOException when the other end has gone, or its message is too long
     */
    public @Nullable Message receive() throws IOException {
        MemorySegment from = prepare(MAX_MESSAGE, MAX_DESCRIPTORS);
        try {
            long got = (long) RECVMSG.invokeExact(errno.segment(), fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (got < 0 && (errno.value() == Posix.EAGAIN || errno.value() == Posix.EINTR)) {
                return null;
            }
            if (got < 0) {
                throw new IOException("the other end has gone: error " + errno.value());
            }
            Message message = new Message(from.asSlice(0, got).toArray(JAVA_BYTE), descriptors());
            if (got == 0 || (header.get(JAVA_INT, FLAGS) & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
                message.discard();
                throw new IOException(got == 0 ? "the other end has gone" : "a message is too long");
            }
            return message;
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    private int[] descriptors() {
        if (header.get(JAVA_LONG, CONTROLLEN) < CMSG_DATA
                || control.get(JAVA_INT, CMSG_LEVEL) != SOL_SOCKET
                || control.get(JAVA_INT, CMSG_TYPE) != SCM_RIGHTS) {
            return new int[0];
        }
        long count = Math.clamp((control.get(JAVA_LONG, 0) - CMSG_DATA) / 4, 0, MAX_DESCRIPTORS);
        return control.asSlice(CMSG_DATA, count * 4).toArray(JAVA_INT);
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Posix.close(fd);
        }
    }
}
