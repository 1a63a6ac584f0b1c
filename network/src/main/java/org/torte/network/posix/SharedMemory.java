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
 * Memory that two processes share (memfd_create(2)). Its size is sealed: neither can take a page away under the other one.
 * After {@link #close} an access throws {@link IllegalStateException}, and does not reach what is there then.
 */
public final class SharedMemory implements AutoCloseable {
    private static final int MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2;
    private static final int F_ADD_SEALS = 1033, F_GET_SEALS = 1034;
    private static final int F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;
    private static final int SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
    private static final int PROT_READ_WRITE = 3, MAP_SHARED = 1;
    private static final int SEEK_END = 2;

    private static final MethodHandle MEMFD_CREATE =
            Posix.downcall("memfd_create", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
    private static final MethodHandle FTRUNCATE =
            Posix.downcall("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle FCNTL =
            Posix.variadic("fcntl", 2, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle LSEEK =
            Posix.downcall("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
    private static final MethodHandle MMAP = Posix.downcall(
            "mmap", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP =
            Posix.downcall("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));

    private final int fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    private SharedMemory(int fd, long address, long size) {
        this.fd = fd;
        segment = MemorySegment.ofAddress(address).reinterpret(size, arena, whole -> unmap(whole.address(), size));
    }

    /**
     * New memory, all zero.
     *
     * @param name for those who look at the process from outside
     * @param size in bytes
     */
    public static SharedMemory create(String name, long size) throws IOException {
        try (Arena call = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(call);
            int fd = (int)
                    MEMFD_CREATE.invokeExact(errno.segment(), call.allocateFrom(name), MFD_CLOEXEC | MFD_ALLOW_SEALING);
            check(fd, errno, "making shared memory");
            boolean done = false;
            try {
                check((int) FTRUNCATE.invokeExact(errno.segment(), fd, size), errno, "sizing shared memory");
                check((int) FCNTL.invokeExact(errno.segment(), fd, F_ADD_SEALS, SEALS), errno, "sealing shared memory");
                SharedMemory memory = map(fd, size, errno);
                done = true;
                return memory;
            } finally {
                if (!done) {
                    Posix.close(fd);
                }
            }
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    /**
     * Memory that has come from another process. The descriptor belongs to the result.
     *
     * @throws IOException when it is not of that size, or its size is not sealed
     */
    public static SharedMemory open(int fd, long size) throws IOException {
        try (Arena call = Arena.ofConfined()) {
            Posix.Errno errno = new Posix.Errno(call);
            int seals = (int) FCNTL.invokeExact(errno.segment(), fd, F_GET_SEALS, 0);
            long is = (long) LSEEK.invokeExact(errno.segment(), fd, 0L, SEEK_END);
            if (is != size || (seals & SEALS) != SEALS) {
                throw new IOException("the shared memory is not as it should be");
            }
            return map(fd, size, errno);
        } catch (IOException e) {
            throw e;
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    private static SharedMemory map(int fd, long size, Posix.Errno errno) throws Throwable {
        long address =
                (long) MMAP.invokeExact(errno.segment(), MemorySegment.NULL, size, PROT_READ_WRITE, MAP_SHARED, fd, 0L);
        check(address == -1 ? -1 : 0, errno, "mapping shared memory");
        return new SharedMemory(fd, address, size);
    }

    private static void unmap(long address, long size) {
        try (Arena call = Arena.ofConfined()) {
            int ignored =
                    (int) MUNMAP.invokeExact(new Posix.Errno(call).segment(), MemorySegment.ofAddress(address), size);
        } catch (Throwable e) {
            throw Posix.unexpected(e);
        }
    }

    private static void check(int result, Posix.Errno errno, String what) throws IOException {
        if (result < 0) {
            throw new IOException(what + ": error " + errno.value());
        }
    }

    /** What to send to the other process. */
    public int fd() {
        return fd;
    }

    /** The memory. */
    public MemorySegment segment() {
        return segment;
    }

    /** Gives it up; nobody may be accessing it. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
            Posix.close(fd);
        }
    }
}
