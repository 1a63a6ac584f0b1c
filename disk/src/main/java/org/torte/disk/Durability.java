package org.torte.disk;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Forces a file only when something was written since the last force, and once for all threads that wait for it. A
 * force of a clean file still costs milliseconds. Safe for use by several threads.
 */
public final class Durability {
    private final DiskFile file;
    private final Faults faults;
    private final AtomicLong written = new AtomicLong();
    private final ReentrantLock lock = new ReentrantLock();
    private volatile long durable;

    /** For one file. */
    public Durability(DiskFile file, Faults faults) {
        this.file = file;
        this.faults = faults;
    }

    /** Says that the file was modified; called after the modification and before the request returns. */
    public void modified() {
        written.incrementAndGet();
    }

    /**
     * Makes durable everything whose {@link #modified()} came before.
     *
     * @throws DiskException FAILED when the force fails now or failed before
     */
    public void force() {
        long wanted = written.get();
        if (durable >= wanted) {
            faults.check();
            return;
        }
        lock.lock();
        try {
            faults.check();
            if (durable >= wanted) {
                return;
            }
            long covered = written.get();
            file.force();
            durable = covered;
        } catch (IOException e) {
            throw faults.poison(e);
        } finally {
            lock.unlock();
        }
    }

    /** Whether something was modified that no force has covered. */
    public boolean dirty() {
        return durable < written.get();
    }
}
