package org.torte.disk.operation;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.ThreadFactory;
import org.jspecify.annotations.Nullable;

/**
 * Runs one action at a time in another thread: a merge makes one step durable while it copies the next. For use by one
 * thread, which sees all that an action did once it has waited for it.
 */
final class Behind implements AutoCloseable {
    private final ThreadFactory threads;
    private @Nullable FutureTask<?> running;

    Behind(ThreadFactory threads) {
        this.threads = threads;
    }

    /** Begins an action when the one before has ended; if that one failed, throws what it threw instead. */
    void begin(Runnable action) {
        await();
        FutureTask<?> next = new FutureTask<>(action, null);
        threads.newThread(next).start();
        running = next;
    }

    /** Whether an action could begin without waiting. */
    boolean idle() {
        FutureTask<?> last = running;
        return last == null || last.isDone();
    }

    /**
     * Waits until the action that was begun last has ended; throws what it threw. Being interrupted does not end it: the
     * action uses what the caller is about to close.
     */
    void await() {
        FutureTask<?> last = running;
        running = null;
        boolean interrupted = false;
        while (last != null) {
            try {
                last.get();
                last = null;
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
                if (e.getCause() instanceof Error error) {
                    throw error;
                }
                throw (RuntimeException) e.getCause();
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        await();
    }
}
