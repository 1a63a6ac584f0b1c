package org.torte.disk.crash;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.FutureTask;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.locks.AbstractQueuedSynchronizer;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskFile;

/**
 * Puts what two threads do to files into an order that a seed gives: before each modification and each force of a file a
 * thread goes on, or lets the other go on first. A thread that waits for the other, for a lock or for its end, gives up its
 * turn. No machine's speed changes the order, unless both threads want a lock that is not fair.
 */
public final class Turns {
    private static final long PAUSE = 5_000;

    private final SplittableRandom random;
    private final Thread first = Thread.currentThread();
    private volatile @Nullable Thread second;
    /** Whether the second thread has done what it was made for. */
    private volatile boolean ended = true;

    private volatile Thread turn = first;
    /** The one that has come to a file and waits for its turn. */
    private volatile @Nullable Thread waiting;

    /** For the calling thread and those that {@link #threads} makes, one at a time. */
    public Turns(SplittableRandom random) {
        this.random = random;
    }

    /** Makes the other thread, when the one before has ended. It begins when it has its turn. */
    public ThreadFactory threads() {
        return action -> {
            join();
            Thread thread = new Thread(() -> {
                await(first);
                try {
                    action.run();
                } finally {
                    ended = true;
                    turn = first;
                }
            });
            ended = false;
            second = thread;
            return thread;
        };
    }

    private void join() {
        Thread before = second;
        while (before != null && before.isAlive()) {
            try {
                before.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        second = null;
    }

    /** The same file, whose modifications and forces wait for their turn. */
    public DiskFile around(DiskFile file) {
        return new Waiting(file);
    }

    /** Goes on when the calling thread has its turn, without giving it away; other threads go on at once. */
    public void settle() {
        Thread me = Thread.currentThread();
        Thread other = me == first ? second : first;
        if (other == null || (me != first && me != second)) {
            return;
        }
        await(other);
        // One that has waited for a lock goes on by itself when it gets it, up to its next turn.
        while (!ended && waiting != other && !waits(other)) {
            LockSupport.parkNanos(PAUSE);
        }
    }

    /** The same, and lets the other thread go first as it happens. */
    private void pass() {
        settle();
        Thread other = Thread.currentThread() == first ? second : first;
        if (other != null && !ended && Thread.currentThread() == turn && random.nextInt(3) == 0) {
            turn = other;
            await(other);
        }
    }

    private void await(Thread other) {
        Thread me = Thread.currentThread();
        while (turn != me) {
            waiting = me;
            if (waits(other)) {
                turn = me;
            } else {
                LockSupport.parkNanos(PAUSE);
            }
        }
        if (waiting == me) {
            waiting = null;
        }
    }

    /**
     * Whether a thread waits for a lock or for another's end, and so for the only other thread there is; not when it was
     * let go already and has not noticed yet.
     */
    private static boolean waits(Thread thread) {
        Object blocker = LockSupport.getBlocker(thread);
        return switch (thread.getState()) {
            case BLOCKED -> true;
            case WAITING ->
                switch (blocker) {
                    case StampedLock lock -> lock.isReadLocked() || lock.isWriteLocked();
                    // Only its text tells whether it is free.
                    case AbstractQueuedSynchronizer lock -> !lock.toString().contains("State = 0");
                    case FutureTask<?> task -> !task.isDone();
                    case null, default -> false;
                };
            default -> false;
        };
    }

    private final class Waiting extends ForwardingFile {
        Waiting(DiskFile file) {
            super(file);
        }

        @Override
        public void write(long position, MemorySegment memory, long at, long length) throws IOException {
            pass();
            file.write(position, memory, at, length);
        }

        @Override
        public void truncate(long size) throws IOException {
            pass();
            file.truncate(size);
        }

        @Override
        public boolean punchHole(long position, long length) throws IOException {
            pass();
            return file.punchHole(position, length);
        }

        @Override
        public boolean allocate(long position, long length) throws IOException {
            pass();
            return file.allocate(position, length);
        }

        @Override
        public void force() throws IOException {
            pass();
            file.force();
        }
    }
}
