package org.torte.hypervisor.shared;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * How long a virtual processor has had a processor of the host: the processor time (clock_gettime(2),
 * {@code CLOCK_THREAD_CPUTIME_ID}) that its threads used between {@link #begin} and {@link #end}. For the processor's own
 * thread, but {@link #nanos} may be called by others while it does not run.
 */
@SuppressWarnings("restricted")
public final class RunTime {
    private static final int THREAD_CLOCK = 3;
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private static final MethodHandle GET_TIME = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("clock_gettime"),
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT, ADDRESS));

    /** A {@code struct timespec}. */
    private final MemorySegment time = Arena.ofAuto().allocate(16, 8);

    private volatile long ended;
    private long began;
    private boolean running;

    /** The calling thread is the processor from now on. */
    public void begin() {
        began = threadNanos();
        running = true;
    }

    /** The thread that began does something else from now on. */
    public void end() {
        ended = nanos();
        running = false;
    }

    /** The processor's time in nanoseconds since it was made. */
    public long nanos() {
        return running ? ended + threadNanos() - began : ended;
    }

    private long threadNanos() {
        try {
            int result = (int) GET_TIME.invokeExact(THREAD_CLOCK, time);
            if (result != 0) {
                throw new IllegalStateException("the host has no clock for its threads");
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        return time.get(JAVA_LONG, 0) * NANOS_PER_SECOND + time.get(JAVA_LONG, 8);
    }
}
