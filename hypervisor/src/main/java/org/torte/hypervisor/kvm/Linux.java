package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;

/**
 * The system calls of this back-end. Those that return an {@code int} give the negative error number when they fail. Safe
 * for several threads.
 */
@SuppressWarnings("restricted")
final class Linux {
    static final int ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13, EBUSY = 16, ENODEV = 19, EPERM = 1;
    private static final int O_RDWR = 2, O_CLOEXEC = 0x80000;
    private static final int PROT_READ_WRITE = 3, MAP_SHARED = 1;
    private static final int SIG_BLOCK = 0, SIG_SETMASK = 2;
    private static final int EVENT_NONBLOCKING = 0x800;

    /** Bytes of the C library's signal set, of which the kernel uses the first eight. */
    private static final int SIGNAL_SET = 128;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MemoryLayout CAPTURE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

    private static final MethodHandle OPEN =
            variadic("open", 2, FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT));
    private static final MethodHandle IOCTL =
            variadic("ioctl", 2, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle CLOSE = downcall("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle MMAP = downcall(
            "mmap", FunctionDescriptor.of(JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    private static final MethodHandle MUNMAP = downcall("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle GETTID = downcall("gettid", FunctionDescriptor.of(JAVA_INT));
    private static final MethodHandle TGKILL =
            downcall("tgkill", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle SIGMASK =
            downcall("pthread_sigmask", FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS, ADDRESS));
    private static final MethodHandle SIGTIMEDWAIT =
            downcall("sigtimedwait", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS));
    private static final MethodHandle EVENTFD =
            downcall("eventfd", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    private static final MethodHandle READ =
            downcall("read", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle WRITE =
            downcall("write", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    private static final MethodHandle POLL =
            downcall("poll", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));

    private static final int PROCESS = (int) ProcessHandle.current().pid();

    /** Where errno goes, one for each thread that calls. */
    private static final ThreadLocal<MemorySegment> STATE =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(CAPTURE));

    private Linux() {}

    static int open(String path) {
        MemorySegment state = STATE.get();
        try (Arena arena = Arena.ofConfined()) {
            int fd = (int) OPEN.invokeExact(state, arena.allocateFrom(path), O_RDWR | O_CLOEXEC, 0);
            return result(fd, state);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static int ioctl(int fd, long request, long argument) {
        MemorySegment state = STATE.get();
        try {
            int result = (int) IOCTL.invokeExact(state, fd, request, argument);
            return result < 0 ? -(int) ERRNO.get(state, 0L) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** With the address of native memory that stays alive over the call. */
    static int ioctl(int fd, long request, MemorySegment argument) {
        return ioctl(fd, request, argument.address());
    }

    static void close(int fd) {
        MemorySegment state = STATE.get();
        try {
            // Nothing can be done about an error, and Linux has closed the descriptor even then.
            int _ = (int) CLOSE.invokeExact(state, fd);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Maps the beginning of a file shared; {@link MemorySegment#NULL} when that fails. */
    static MemorySegment map(int fd, long length) {
        MemorySegment state = STATE.get();
        try {
            long address =
                    (long) MMAP.invokeExact(state, MemorySegment.NULL, length, PROT_READ_WRITE, MAP_SHARED, fd, 0L);
            return address == -1
                    ? MemorySegment.NULL
                    : MemorySegment.ofAddress(address).reinterpret(length);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    static void unmap(MemorySegment segment) {
        MemorySegment state = STATE.get();
        try {
            int _ = (int) MUNMAP.invokeExact(state, segment, segment.byteSize());
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** The calling thread's number. */
    static int currentThread() {
        try {
            return (int) GETTID.invokeExact(STATE.get());
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Sends a signal to a thread of this process. */
    static void signal(int thread, int number) {
        try {
            int _ = (int) TGKILL.invokeExact(STATE.get(), PROCESS, thread, number);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Blocks a signal in the calling thread; returns the mask before, of which bit n - 1 is signal n. */
    static long block(int number) {
        return mask(SIG_BLOCK, 1L << number - 1);
    }

    /** Sets the calling thread's signal mask. */
    static void setMask(long mask) {
        long _ = mask(SIG_SETMASK, mask);
    }

    private static long mask(int how, long mask) {
        MemorySegment state = STATE.get();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment set = arena.allocate(SIGNAL_SET, 8);
            MemorySegment old = arena.allocate(SIGNAL_SET, 8);
            set.set(JAVA_LONG, 0, mask);
            int _ = (int) SIGMASK.invokeExact(state, how, set, old);
            return old.get(JAVA_LONG, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Takes what is pending of a signal that the calling thread blocks, without waiting. */
    static void drain(int number) {
        MemorySegment state = STATE.get();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment set = arena.allocate(SIGNAL_SET, 8);
            MemorySegment noTime = arena.allocate(16, 8);
            set.set(JAVA_LONG, 0, 1L << number - 1);
            int taken;
            do {
                taken = (int) SIGTIMEDWAIT.invokeExact(state, set, MemorySegment.NULL, noTime);
            } while (taken >= 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** A descriptor that counts events. */
    static int eventDescriptor() {
        MemorySegment state = STATE.get();
        try {
            int fd = (int) EVENTFD.invokeExact(state, 0, O_CLOEXEC | EVENT_NONBLOCKING);
            return result(fd, state);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Takes the count of an event descriptor into 8 bytes of native memory. */
    static void takeEvents(int fd, MemorySegment count) {
        try {
            long _ = (long) READ.invokeExact(STATE.get(), fd, count, 8L);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Adds one to the count of an event descriptor. */
    static void raiseEvent(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment one = arena.allocate(8, 8);
            one.set(JAVA_LONG, 0, 1L);
            long _ = (long) WRITE.invokeExact(STATE.get(), fd, one, 8L);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Waits until one of {@code count} descriptors of a pollfd array is ready. */
    static int poll(MemorySegment descriptors, int count) {
        MemorySegment state = STATE.get();
        try {
            int ready = (int) POLL.invokeExact(state, descriptors, (long) count, -1);
            return result(ready, state);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private static int result(int value, MemorySegment state) {
        return value < 0 ? -(int) ERRNO.get(state, 0L) : value;
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

    private static RuntimeException unexpected(Throwable e) {
        if (e instanceof Error error) {
            throw error;
        }
        throw new IllegalStateException("a system call could not be made", e);
    }
}
