package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.torte.base.Clock;

/** The function of the C library that tells the time by which {@link System#nanoTime} goes. */
@SuppressWarnings("restricted") // calls the C library
final class HostClock {
    private static final int MONOTONIC = 1;
    private static final long NANOS_PER_SECOND = 1_000_000_000L;

    private HostClock() {}

    /** The address of clock_gettime, or 0 where there is none, or its CLOCK_MONOTONIC is not what the JVM reads. */
    static long function() {
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find("clock_gettime")
                .filter(function -> tells(linker, function))
                .map(MemorySegment::address)
                .orElse(0L);
    }

    private static boolean tells(Linker linker, MemorySegment function) {
        MethodHandle read = linker.downcallHandle(function, FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment time = arena.allocate(16, 8);
            long before = Clock.system().nanos();
            int error = (int) read.invokeExact(MONOTONIC, time.address());
            long after = Clock.system().nanos();
            long found = time.get(JAVA_LONG, 0) * NANOS_PER_SECOND + time.get(JAVA_LONG, 8);
            return error == 0 && found - before >= 0 && after - found >= 0;
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }
}
