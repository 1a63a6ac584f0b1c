package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/** Wakes a thread that waits in poll(2). A wake before the thread waits is not lost; several count as one. */
public final class Wakeup {
    private final int fd;
    private final AtomicBoolean signalled = new AtomicBoolean();
    private final MemorySegment one = Arena.ofAuto().allocate(JAVA_LONG);
    private final MemorySegment drain = Arena.ofAuto().allocate(JAVA_LONG);
    private final Posix.Errno drainErrno = new Posix.Errno(Arena.ofAuto());
    private boolean closed;

    /** A new one. */
    public Wakeup() throws IOException {
        fd = Posix.eventfd();
        one.set(JAVA_LONG, 0, 1);
    }

    /** What to poll for input. */
    public int fd() {
        return fd;
    }

    /** Any thread: wakes. */
    public void signal() {
        if (signalled.compareAndSet(false, true)) {
            write();
        }
    }

    private synchronized void write() {
        if (!closed) {
            try (Arena arena = Arena.ofConfined()) {
                long ignored = Posix.write(new Posix.Errno(arena), fd, one, Long.BYTES);
            }
        }
    }

    /** The thread that polled: from here on wakes count again. Call it before looking for what there is to do. */
    public void clear() {
        // Who has said that he signals may not have done so yet: he still will, and that is for a later call to take.
        if (signalled.get() && Posix.read(drainErrno, fd, drain, Long.BYTES) > 0) {
            signalled.set(false);
        }
    }

    /** Gives it up; signals do nothing any more. */
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Posix.close(fd);
        }
    }
}
