package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * One end of a line by which two processes wake each other: a byte on a socket of a pair (socketpair(2)) is one ring. Any
 * thread may ring and close; one thread clears.
 *
 * <p>Neither call ever blocks, whatever the other process does with its end: each call says so itself, and so depends on no
 * flag of a file that both have. (What eventfd(2) makes is one file with one set of flags: whoever is given it can make it
 * blocking for all, and full. A pipe holds a lock while it copies from its writer's memory, for as long as that takes.)
 */
public final class Bell implements AutoCloseable {
    private static final int AF_UNIX = 1, SOCK_STREAM = 1;
    private static final int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
    /** More rings than a socket holds by default: they are all taken at once. */
    private static final int MOST = 4096;

    private static final MethodHandle SOCKETPAIR =
            Posix.downcall("socketpair", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle SEND =
            Posix.downcall("send", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    private static final MethodHandle RECV =
            Posix.downcall("recv", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));

    private final int fd;
    private final MemorySegment one = Arena.ofAuto().allocate(1);
    private final MemorySegment rings = Arena.ofAuto().allocate(MOST);
    private final Posix.Errno ringErrno = new Posix.Errno(Arena.ofAuto());
    private final Posix.Errno clearErrno = new Posix.Errno(Arena.ofAuto());
    private boolean closed;

    /** An end that has come from another process; it belongs to this object now. */
    public Bell(int fd) {
        this.fd = fd;
    }

    /** Both ends of a line. */
    public record Pair(Bell one, Bell other) {}

    /** A new line. */
    public static Pair pair() throws IOException {
        try (Arena call = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(call);
            MemorySegment ends = call.allocate(JAVA_INT, 2);
            int made = (int) SOCKETPAIR.invokeExact(errno.segment(), AF_UNIX, SOCK_STREAM | Posix.O_CLOEXEC, 0, ends);
            if (made < 0) {
                throw new IOException("the host gives no sockets: error " + errno.value());
            }
            return new Pair(new Bell(ends.getAtIndex(JAVA_INT, 0)), new Bell(ends.getAtIndex(JAVA_INT, 1)));
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /** What to poll for input. */
    public int fd() {
        return fd;
    }

    /** Wakes; does nothing when it is closed, the other end has gone, or that has not cleared many rings yet. */
    public synchronized void ring() {
        if (!closed) {
            try {
                long ignored = (long) SEND.invokeExact(ringErrno.segment(), fd, one, 1L, MSG_DONTWAIT | MSG_NOSIGNAL);
            } catch (Throwable e) {
                throw Posix.unexpected(e);
            }
        }
    }

    /**
     * From here on rings count again. Call it before looking for what there is to do.
     *
     * @return false when the other end has gone: nobody will ring any more, and a poll always finds something
     */
    public boolean clear() {
        try {
            long got = (long) RECV.invokeExact(clearErrno.segment(), fd, rings, (long) MOST, MSG_DONTWAIT);
            return got > 0 || (got < 0 && (clearErrno.value() == Posix.EAGAIN || clearErrno.value() == Posix.EINTR));
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Posix.close(fd);
        }
    }
}
