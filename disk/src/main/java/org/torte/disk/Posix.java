package org.torte.disk;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * The system calls of Linux that images need and java.nio does not have, or has with an allocation for each request:
 * positional I/O on native memory, holes, locks that belong to the open file rather than to the process (closing another
 * descriptor of the same file does not drop them). The constants are those of x86-64 and AArch64, where they agree.
 */
final class Posix {
    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0x40;
    static final int O_EXCL = 0x80;
    static final int O_NONBLOCK = 0x800;
    static final int O_CLOEXEC = 0x80000;
    static final int SEEK_END = 2;
    static final int SEEK_DATA = 3;
    static final int SEEK_HOLE = 4;
    static final int FALLOC_KEEP_SIZE = 1;
    static final int FALLOC_PUNCH_HOLE = 2;
    static final short LOCK_SHARED = 0;
    static final short LOCK_EXCLUSIVE = 1;
    static final short LOCK_NONE = 2;

    static final int ENOENT = 2;
    static final int EINTR = 4;
    static final int EIO = 5;
    static final int ENXIO = 6;
    static final int EAGAIN = 11;
    static final int EACCES = 13;
    static final int EEXIST = 17;
    static final int EINVAL = 22;
    static final int EFBIG = 27;
    static final int ENOSPC = 28;
    static final int EROFS = 30;
    static final int EPERM = 1;
    static final int EOPNOTSUPP = 95;
    static final int EDQUOT = 122;

    private static final int F_OFD_SETLK = 37;
    private static final int AT_FDCWD = -100;
    private static final int AT_EMPTY_PATH = 0x1000;
    private static final int RENAME_NOREPLACE = 1;
    private static final int STATX_BASIC = 0x7ff;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MemoryLayout CAPTURE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle OPEN =
            variadic("open", 2, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle FCNTL =
            variadic("fcntl", 2, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
    private static final MethodHandle CLOSE = downcall("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle PREAD =
            downcall("pread", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle PWRITE =
            downcall("pwrite", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle FDATASYNC = downcall("fdatasync", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle FSYNC = downcall("fsync", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle FTRUNCATE =
            downcall("ftruncate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle FALLOCATE =
            downcall("fallocate", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle LSEEK =
            downcall("lseek", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_INT));
    private static final MethodHandle STATX =
            downcall("statx", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, ADDRESS));

    private static final MethodHandle RENAMEAT2 =
            downcall("renameat2", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT));

    private Posix() {}

    /** A system call that failed. */
    static final class CallException extends IOException {
        private static final long serialVersionUID = 1L;
        private final int errno;

        CallException(String what, int errno) {
            super(what + ": " + describe(errno));
            this.errno = errno;
        }

        int errno() {
            return errno;
        }
    }

    /** What stat says about an open file. */
    record Status(int mode, long inode, long size, long blocks512) {
        boolean regularFile() {
            return (mode & 0xf000) == 0x8000;
        }

        boolean blockDevice() {
            return (mode & 0xf000) == 0x6000;
        }
    }

    /** Native memory for one call: where errno goes, and a buffer for callers whose memory is on the heap. */
    static final class Scratch {
        static final int BOUNCE = 256 << 10;
        private final MemorySegment state;
        private final Arena arena = Arena.ofAuto();
        private MemorySegment bounce = MemorySegment.NULL;

        Scratch() {
            state = arena.allocate(CAPTURE);
        }

        MemorySegment bounce() {
            if (bounce.byteSize() == 0) {
                bounce = arena.allocate(BOUNCE, 4096);
            }
            return bounce;
        }

        int errno() {
            return (int) ERRNO.get(state, 0L);
        }
    }

    private static final int SLOTS = 64;
    private static final AtomicReferenceArray<Scratch> POOL = new AtomicReferenceArray<>(SLOTS);

    /** A scratch of its own for the calling thread until {@link #release}; pooled, so that requests allocate nothing. */
    @SuppressWarnings("NullAway") // an empty slot of the pool is null
    static Scratch acquire() {
        int slot = (int) Thread.currentThread().threadId() & (SLOTS - 1);
        Scratch scratch = POOL.getAndSet(slot, null);
        return scratch != null ? scratch : new Scratch();
    }

    static void release(Scratch scratch) {
        POOL.set((int) Thread.currentThread().threadId() & (SLOTS - 1), scratch);
    }

    static int open(String path, int flags, int mode) throws IOException {
        Scratch scratch = acquire();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path);
            while (true) {
                int fd = (int) OPEN.invokeExact(scratch.state, name, flags, mode);
                if (fd >= 0) {
                    return fd;
                }
                if (scratch.errno() != EINTR) {
                    throw new CallException("open", scratch.errno());
                }
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    /** Renames a file; fails with EEXIST when there is a file of the new name. */
    static void renameToFree(String from, String to) throws IOException {
        Scratch scratch = acquire();
        try (Arena arena = Arena.ofConfined()) {
            int result = (int) RENAMEAT2.invokeExact(
                    scratch.state,
                    AT_FDCWD,
                    arena.allocateFrom(from),
                    AT_FDCWD,
                    arena.allocateFrom(to),
                    RENAME_NOREPLACE);
            if (result < 0) {
                throw failed("renaming", scratch.errno());
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    static void close(int fd) throws IOException {
        Scratch scratch = acquire();
        try {
            // Not repeated after EINTR: Linux has closed the descriptor by then.
            if ((int) CLOSE.invokeExact(scratch.state, fd) < 0 && scratch.errno() != EINTR) {
                throw new CallException("close", scratch.errno());
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    /**
     * Reads up to {@code length} bytes into native memory; 0 at the end of the file. The slice lives in the call alone, so
     * that the compiler can do without the object.
     */
    static long pread(Scratch scratch, int fd, MemorySegment memory, long at, long length, long position)
            throws IOException {
        try {
            while (true) {
                long done = (long) PREAD.invokeExact(scratch.state, fd, memory.asSlice(at, length), length, position);
                if (done >= 0) {
                    return done;
                }
                if (scratch.errno() != EINTR) {
                    throw new CallException("reading " + length + " bytes at " + position, scratch.errno());
                }
            }
        } catch (Throwable e) {
            throw passed(e);
        }
    }

    /** Writes up to {@code length} bytes of native memory. */
    static long pwrite(Scratch scratch, int fd, MemorySegment memory, long at, long length, long position)
            throws IOException {
        try {
            while (true) {
                long done = (long) PWRITE.invokeExact(scratch.state, fd, memory.asSlice(at, length), length, position);
                if (done >= 0) {
                    return done;
                }
                if (scratch.errno() != EINTR) {
                    throw failed("writing " + length + " bytes at " + position, scratch.errno());
                }
            }
        } catch (Throwable e) {
            throw passed(e);
        }
    }

    /** Makes content durable, and with {@code all} also what only metadata such as times needs. */
    static void sync(int fd, boolean all) throws IOException {
        Scratch scratch = acquire();
        try {
            int result =
                    all ? (int) FSYNC.invokeExact(scratch.state, fd) : (int) FDATASYNC.invokeExact(scratch.state, fd);
            if (result < 0) {
                throw failed("making writes durable", scratch.errno());
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    static void truncate(int fd, long size) throws IOException {
        Scratch scratch = acquire();
        try {
            if ((int) FTRUNCATE.invokeExact(scratch.state, fd, size) < 0) {
                throw failed("setting the size to " + size + " bytes", scratch.errno());
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    /** Whether it was done; false when the file system cannot. */
    static boolean fallocate(int fd, int mode, long position, long length) throws IOException {
        Scratch scratch = acquire();
        try {
            while (true) {
                if ((int) FALLOCATE.invokeExact(scratch.state, fd, mode, position, length) == 0) {
                    return true;
                }
                int errno = scratch.errno();
                if (errno == EOPNOTSUPP) {
                    return false;
                }
                if (errno != EINTR) {
                    throw failed("changing the allocation of " + length + " bytes at " + position, errno);
                }
            }
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    /** The position found, or -1 when there is none (ENXIO). */
    static long seek(int fd, long position, int whence) throws IOException {
        Scratch scratch = acquire();
        try {
            long found = (long) LSEEK.invokeExact(scratch.state, fd, position, whence);
            if (found < 0 && scratch.errno() != ENXIO) {
                throw new CallException("seeking to " + position, scratch.errno());
            }
            return found;
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    static Status status(int fd) throws IOException {
        Scratch scratch = acquire();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(256, 8);
            int result = (int)
                    STATX.invokeExact(scratch.state, fd, arena.allocateFrom(""), AT_EMPTY_PATH, STATX_BASIC, buffer);
            if (result < 0) {
                throw new CallException("reading the file's status", scratch.errno());
            }
            return new Status(
                    buffer.get(JAVA_SHORT, 28) & 0xffff,
                    buffer.get(JAVA_LONG, 32),
                    buffer.get(JAVA_LONG, 40),
                    buffer.get(JAVA_LONG, 48));
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    /** Locks the whole file without waiting; false when somebody else's lock excludes this one. */
    static boolean lock(int fd, short kind) throws IOException {
        Scratch scratch = acquire();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment flock = arena.allocate(32, 8);
            flock.set(JAVA_SHORT, 0, kind);
            flock.set(JAVA_LONG_UNALIGNED, 8, 0L);
            flock.set(JAVA_LONG_UNALIGNED, 16, 0L);
            if ((int) FCNTL.invokeExact(scratch.state, fd, F_OFD_SETLK, flock) == 0) {
                return true;
            }
            int errno = scratch.errno();
            if (errno == EAGAIN || errno == EACCES) {
                return false;
            }
            throw new CallException("locking", errno);
        } catch (Throwable e) {
            throw passed(e);
        } finally {
            release(scratch);
        }
    }

    private static IOException failed(String what, int errno) {
        return errno == ENOSPC || errno == EDQUOT || errno == EFBIG
                ? new DiskFile.NoSpaceException(what + ": " + describe(errno))
                : new CallException(what, errno);
    }

    private static String describe(int errno) {
        return switch (errno) {
            case EPERM -> "operation not permitted";
            case ENOENT -> "no such file";
            case EIO -> "input/output error";
            case EACCES -> "permission denied";
            case EEXIST -> "the file exists";
            case EINVAL -> "invalid argument";
            case EFBIG -> "the file would be too large for its file system";
            case ENOSPC -> "no space left on the device";
            case EROFS -> "read-only file system";
            case EDQUOT -> "disk quota exceeded";
            default -> "error " + errno;
        };
    }

    private static MethodHandle downcall(String name, FunctionDescriptor type) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name), type, Linker.Option.captureCallState("errno"));
    }

    private static MethodHandle variadic(String name, int fixed, FunctionDescriptor type) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name),
                type,
                Linker.Option.captureCallState("errno"),
                Linker.Option.firstVariadicArg(fixed));
    }

    private static IOException passed(Throwable e) {
        return switch (e) {
            case IOException failure -> failure;
            case Error error -> throw error;
            case RuntimeException exception -> throw exception;
            default -> throw new IllegalStateException("a system call could not be made", e);
        };
    }
}
