package org.torte.network.posix;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A counter of the kernel (eventfd(2)) by which one process wakes a thread of another. Neither end ever blocks. Any thread
 * may ring and close; one thread clears.
 */
public final class Bell implements AutoCloseable {
    private final int fd;
    private final MemorySegment one = Arena.ofAuto().allocate(JAVA_LONG);
    private final MemorySegment count = Arena.ofAuto().allocate(JAVA_LONG);
    private final Posix.Errno ringErrno = new Posix.Errno(Arena.ofAuto());
    private final Posix.Errno clearErrno = new Posix.Errno(Arena.ofAuto());
    private boolean closed;

    /** A new one. */
    public Bell() throws IOException {
        this(Posix.eventfd());
    }

    /** One that has come from another process; it belongs to this object now. */
    public Bell(int fd) {
        this.fd = fd;
        one.set(JAVA_LONG, 0, 1);
    }

    /** What to poll for input. */
    public int fd() {
        return fd;
    }

    /** Wakes; does nothing when it is closed. */
    public synchronized void ring() {
        if (!closed) {
            long ignored = Posix.write(ringErrno, fd, one, Long.BYTES);
        }
    }

    /** From here on rings count again. Call it before looking for what there is to do. */
    public void clear() {
        long ignored = Posix.read(clearErrno, fd, count, Long.BYTES);
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            Posix.close(fd);
        }
    }
}
