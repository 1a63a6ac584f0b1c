package org.torte.worker;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Carries a guest's output to a stream that may be slow or stuck, on a thread of its own. A slow stream slows the guest
 * down and loses nothing; a stream that takes nothing at all for {@link #PATIENCE_NANOS} loses output instead, so that
 * a stopped terminal does not stop the guest. How much was lost is told once the stream moves again. Safe for use by
 * several threads.
 */
final class ConsoleOutput implements AutoCloseable {
    static final long PATIENCE_NANOS = 2_000_000_000L;
    /** How long {@link #close} waits for a stream to take what is left. */
    private static final long FLUSH_NANOS = 2_000_000_000L;

    private static final int CAPACITY = 1 << 16;

    private final OutputStream target;
    private final Runnable room;
    private final Thread writer;
    private final Thread watch;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final byte[] ring = new byte[CAPACITY];
    private int start;
    private int count;
    /** The guest has been told to wait. */
    private boolean refused;
    /** When the stream last took something, or was last asked to. */
    private long lastProgress;

    private boolean writing;
    private boolean stuck;
    private boolean broken;
    private boolean closing;
    private long lost;

    /**
     * Starts the thread.
     *
     * @param target the stream; it is flushed but never closed
     * @param room called, on this object's threads, when bytes are taken again after {@link #offer} refused one
     */
    ConsoleOutput(OutputStream target, Runnable room) {
        this.target = target;
        this.room = room;
        writer = Thread.ofPlatform().name("torte-console-output").daemon().unstarted(this::write);
        watch = Thread.ofPlatform().name("torte-console-watch").daemon().unstarted(this::watch);
        writer.start();
        watch.start();
    }

    /** Takes a byte, or refuses it when the guest should wait. Never blocks. */
    boolean offer(int value) {
        lock.lock();
        try {
            if (broken || closing) {
                return true;
            }
            if (count == CAPACITY) {
                if (stuck) {
                    lost++;
                    return true;
                }
                refused = true;
                changed.signalAll();
                return false;
            }
            ring[(start + count) % CAPACITY] = (byte) value;
            if (count++ == 0) {
                changed.signalAll();
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    private void write() {
        byte[] chunk = new byte[8192];
        while (true) {
            int length;
            long missing;
            lock.lock();
            try {
                while (count == 0 && !closing) {
                    changed.awaitUninterruptibly();
                }
                if (count == 0) {
                    return;
                }
                length = Math.min(Math.min(count, chunk.length), CAPACITY - start);
                System.arraycopy(ring, start, chunk, 0, length);
                missing = lost;
                lost = 0;
                writing = true;
                lastProgress = System.nanoTime();
            } finally {
                lock.unlock();
            }
            boolean failed = false;
            try {
                target.write(chunk, 0, length);
                if (missing > 0) {
                    target.write(("\r\n[torte: the terminal was stuck, " + missing + " bytes of output are lost]\r\n")
                            .getBytes(StandardCharsets.UTF_8));
                }
                target.flush();
            } catch (IOException e) {
                failed = true;
            }
            boolean tell;
            lock.lock();
            try {
                writing = false;
                stuck = false;
                start = (start + length) % CAPACITY;
                count -= length;
                if (failed) {
                    // Nobody listens any more: the guest goes on without.
                    broken = true;
                    count = 0;
                }
                tell = refused;
                refused = false;
                changed.signalAll();
            } finally {
                lock.unlock();
            }
            if (tell) {
                room.run();
            }
            if (failed) {
                return;
            }
        }
    }

    /** Waits only while the guest does, and ends its waiting when the stream does not move. */
    private void watch() {
        while (true) {
            lock.lock();
            try {
                while (!refused && !closing && !broken) {
                    changed.awaitUninterruptibly();
                }
                if (closing || broken) {
                    return;
                }
                long left = lastProgress + PATIENCE_NANOS - System.nanoTime();
                if (left > 0 || !writing) {
                    changed.awaitNanos(Math.max(left, 1_000_000));
                    continue;
                }
                stuck = true;
                refused = false;
            } catch (InterruptedException e) {
                // Nobody interrupts this thread; if somebody does, it has no other duty than to end.
                Thread.currentThread().interrupt();
                return;
            } finally {
                lock.unlock();
            }
            room.run();
        }
    }

    /** Writes what is left, as far as the stream takes it in good time, and ends the threads. */
    @Override
    public void close() {
        lock.lock();
        try {
            closing = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        try {
            writer.join(TimeUnit.NANOSECONDS.toMillis(FLUSH_NANOS));
            watch.join(TimeUnit.NANOSECONDS.toMillis(FLUSH_NANOS));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
