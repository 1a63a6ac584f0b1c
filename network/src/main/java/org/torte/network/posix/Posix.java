package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/** The system calls that networks need. Each thread that calls brings its own {@link Errno}. */
public final class Posix {
    /** Flags of {@link #open}. */
    public static final int O_RDWR = 2, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    /** Error numbers. */
    public static final int EPERM = 1,
            ENOENT = 2,
            EINTR = 4,
            EAGAIN = 11,
            EACCES = 13,
            EBUSY = 16,
            EADDRINUSE = 98,
            ECONNREFUSED = 111;
    /** What {@link #poll} waits for and tells. */
    public static final short POLLIN = 1, POLLPRI = 2, POLLOUT = 4, POLLERR = 8, POLLHUP = 16;
    /** Flags of {@link #eventfd}. */
    public static final int EFD_NONBLOCK = O_NONBLOCK, EFD_CLOEXEC = O_CLOEXEC;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = CAPTURE.varHandle(PathElement.groupElement("errno"));

    private static final MethodHandle OPEN =
            variadic("open", 2, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle CLOSE = downcall("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle READ =
            downcall("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle WRITE =
            downcall("write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle READV =
            downcall("readv", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle WRITEV =
            downcall("writev", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle SOCKET =
            downcall("socket", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle IOCTL =
            variadic("ioctl", 2, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS));
    private static final MethodHandle POLL =
            downcall("poll", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    private static final MethodHandle EVENTFD =
            downcall("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));

    private Posix() {}

    /** Where the error number of a failed call goes. For one thread at a time. */
    public static final class Errno {
        private final MemorySegment state;

        /** In memory of this arena. */
        public Errno(Arena arena) {
            state = arena.allocate(CAPTURE);
        }

        /** The number. */
        public int value() {
            return (int) ERRNO.get(state, 0L);
        }

        /** Where it is. */
        public MemorySegment segment() {
            return state;
        }
    }

    /** The option by which other calls give their error number to an {@link Errno}. */
    public static Linker.Option captureErrno() {
        return Linker.Option.captureCallState("errno");
    }

    /** The file descriptor, or -1. */
    public static int open(Errno errno, String path, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            return (int) OPEN.invokeExact(errno.state, arena.allocateFrom(path), flags, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Closes a descriptor. */
    public static void close(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            int ignored = (int) CLOSE.invokeExact(new Errno(arena).state, fd);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Bytes read, or -1. */
    public static long read(Errno errno, int fd, MemorySegment memory, long length) {
        try {
            return (long) READ.invokeExact(errno.state, fd, memory, length);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Bytes written, or -1. */
    public static long write(Errno errno, int fd, MemorySegment memory, long length) {
        try {
            return (long) WRITE.invokeExact(errno.state, fd, memory, length);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Bytes read into the {@code count} pieces of the {@code struct iovec} array, or -1. */
    public static long readv(Errno errno, int fd, MemorySegment pieces, int count) {
        try {
            return (long) READV.invokeExact(errno.state, fd, pieces, count);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Bytes written from the {@code count} pieces of the {@code struct iovec} array, or -1. */
    public static long writev(Errno errno, int fd, MemorySegment pieces, int count) {
        try {
            return (long) WRITEV.invokeExact(errno.state, fd, pieces, count);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** A datagram socket, only to ask about interfaces; or -1. */
    public static int datagramSocket(Errno errno) {
        try {
            return (int) SOCKET.invokeExact(errno.state, 2, 2 | O_CLOEXEC, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Asks something of a device; -1 when it refuses. */
    public static int ioctl(Errno errno, int fd, long request, MemorySegment argument) {
        try {
            return (int) IOCTL.invokeExact(errno.state, fd, request, argument);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** How many of the {@code struct pollfd} have something, or -1. */
    public static int poll(Errno errno, MemorySegment descriptors, long count, int timeoutMillis) {
        try {
            return (int) POLL.invokeExact(errno.state, descriptors, count, timeoutMillis);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** A counter to wake a thread that polls. */
    public static int eventfd() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            Errno errno = new Errno(arena);
            int fd = (int) EVENTFD.invokeExact(errno.state, 0, EFD_NONBLOCK | EFD_CLOEXEC);
            if (fd < 0) {
                throw new IOException("the host gives no eventfd: error " + errno.value());
            }
            return fd;
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static MethodHandle downcall(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name), type, captureErrno());
    }

    static MethodHandle variadic(String name, int fixed, FunctionDescriptor type) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name), type, captureErrno(), Linker.Option.firstVariadicArg(fixed));
    }

    /** What a call by a method handle has thrown, as an exception that need not be declared. */
    public static RuntimeException unexpected(Throwable e) {
        if (e instanceof Error error) {
            throw error;
        }
        if (e instanceof RuntimeException exception) {
            throw exception;
        }
        throw new IllegalStateException("a system call could not be made", e);
    }
}
