package org.torte.network.ring;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;

/** What both ends of a ring know of its layout. */
public final class Ring {
    /** How many bytes of records fit, a power of two; any record fits twice. */
    static final int DATA = 1 << 20;

    static final long PRODUCER = 0, CONSUMER = 64, ASLEEP = 128, WAITS = 192, RECORDS = 4096;
    static final int HEAD = 16, ALIGNMENT = 15;
    static final int SKIP = -1;

    /** The bytes of a ring. */
    public static final long SIZE = RECORDS + DATA;

    private static final VarHandle LONGS = JAVA_LONG.varHandle();
    private static final VarHandle INTS = JAVA_INT.varHandle();

    private Ring() {}

    static long read(MemorySegment ring, long at) {
        return (long) LONGS.getAcquire(ring, at);
    }

    /** Shows a position; whatever this thread reads of the other end's flags afterwards is read after it. */
    static void show(MemorySegment ring, long at, long position) {
        LONGS.setVolatile(ring, at, position);
    }

    static void raise(MemorySegment ring, long flag) {
        INTS.setVolatile(ring, flag, 1);
        VarHandle.fullFence();
    }

    static void lower(MemorySegment ring, long flag) {
        INTS.setOpaque(ring, flag, 0);
    }

    /** Whether the other end has raised a flag, which is lowered. */
    static boolean took(MemorySegment ring, long flag) {
        return (int) INTS.getVolatile(ring, flag) == 1 && (int) INTS.getAndSet(ring, flag, 0) == 1;
    }

    static int record(int length) {
        return HEAD + (length + ALIGNMENT & ~ALIGNMENT);
    }
}
