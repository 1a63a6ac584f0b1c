package org.torte.worker;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.torte.machine.Machine;

/**
 * Lets each processor of a machine have only a part of one of the host's, whatever the back-end. A hundred times a second
 * each is given its part of the time that has passed, and stands when it has used up what it has. Safe for several threads.
 */
final class ProcessorLimit implements AutoCloseable {
    /** No limit, in percent. */
    static final int NONE = 100;

    private static final long TICK = 10_000_000;
    /** So much of the time that has passed without being used stays in hand. */
    private static final long KEPT = 10 * TICK;

    private final Machine machine;
    private int percent = NONE;
    private @Nullable Thread ticker;

    ProcessorLimit(Machine machine) {
        this.machine = machine;
    }

    /** In percent. */
    synchronized int percent() {
        return percent;
    }

    /**
     * Changes it, also while the machine runs.
     *
     * @param newPercent 1 to 100
     * @throws InputException for others
     */
    synchronized void set(int newPercent) {
        if (newPercent < 1 || newPercent > NONE) {
            throw new InputException("the limit of a processor is 1 to 100 percent, not " + newPercent);
        }
        percent = newPercent;
        machine.limitProcessors(newPercent != NONE);
        if (newPercent != NONE && ticker == null) {
            ticker = Thread.ofPlatform().name("torte-limit").daemon().start(this::run);
        }
        notifyAll();
    }

    private void run() {
        long last = System.nanoTime();
        while (awaitLimit()) {
            LockSupport.parkNanos(TICK);
            long now = System.nanoTime();
            int part = percent();
            machine.grantProcessorTime((now - last) * part / NONE, KEPT * part / NONE);
            last = now;
        }
    }

    /** Waits while there is no limit; false when there will be none any more. */
    private synchronized boolean awaitLimit() {
        try {
            while (percent == NONE && ticker != null) {
                wait();
            }
            return ticker != null;
        } catch (InterruptedException e) {
            return false;
        }
    }

    @Override
    public synchronized void close() {
        ticker = null;
        notifyAll();
    }
}
