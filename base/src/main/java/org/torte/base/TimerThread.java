package org.torte.base;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Timers fired by one daemon thread, which sleeps until the earliest deadline. An exception from a callback is passed to
 * the thread's uncaught-exception handler and leaves the other timers working.
 */
public final class TimerThread implements TimerDriver {
    private final Clock clock;
    private final Thread thread;
    private final TimerHeap heap = new TimerHeap();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private final Condition idle = lock.newCondition();
    private boolean running;
    private boolean firing;
    private boolean closed;

    /** Starts the thread. */
    public TimerThread(Clock clock, String threadName) {
        this.clock = clock;
        thread = Thread.ofPlatform().name(threadName).daemon().unstarted(this::fireTimers);
        thread.start();
    }

    @Override
    public Clock clock() {
        return clock;
    }

    @Override
    public Timer create(Runnable callback) {
        return new ThreadTimer(callback);
    }

    @Override
    public void resume() {
        lock.lock();
        try {
            running = true;
            changed.signal();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void pause() {
        lock.lock();
        try {
            running = false;
            while (firing && Thread.currentThread() != thread) {
                idle.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            changed.signal();
        } finally {
            lock.unlock();
        }
        if (Thread.currentThread() != thread) {
            joinUninterruptibly();
        }
    }

    private void joinUninterruptibly() {
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void fireTimers() {
        lock.lock();
        try {
            while (!closed) {
                TimerHeap.Entry due = running ? heap.takeDue(clock.nanos()) : null;
                if (due == null) {
                    sleep();
                } else {
                    fire(due);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    @SuppressWarnings("WaitNotInLoop") // the caller is the loop
    private void sleep() {
        TimerHeap.Entry first = heap.first();
        if (!running || first == null) {
            changed.awaitUninterruptibly();
            return;
        }
        try {
            var _ = changed.awaitNanos(first.deadline() - clock.nanos());
        } catch (InterruptedException e) {
            // Nobody has a reason to interrupt this thread; it goes on until it is closed.
        }
    }

    private void fire(TimerHeap.Entry due) {
        firing = true;
        lock.unlock();
        try {
            due.callback.run();
        } catch (RuntimeException | Error e) {
            thread.getUncaughtExceptionHandler().uncaughtException(thread, e);
        } finally {
            lock.lock();
            firing = false;
            idle.signalAll();
        }
    }

    private final class ThreadTimer extends TimerHeap.Entry {
        ThreadTimer(Runnable callback) {
            super(callback);
        }

        @Override
        public void arm(long deadlineNanos) {
            lock.lock();
            try {
                heap.put(this, deadlineNanos);
                if (heap.first() == this) {
                    changed.signal();
                }
            } finally {
                lock.unlock();
            }
        }

        @Override
        public void cancel() {
            lock.lock();
            try {
                heap.remove(this);
            } finally {
                lock.unlock();
            }
        }
    }
}
