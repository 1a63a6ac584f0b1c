package org.torte.worker;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.LiveCopy;
import org.torte.machine.Machine;

/**
 * Lets each processor of a machine have only a part of one of the host's, whatever the back-end: what its owner allows it,
 * and of that what its memory's copying leaves it ({@link #slow}). A hundred times a second each is given its part of the
 * time that has passed, and stands when it has used up what it has: it is looked at when that should be so, and at the next
 * time. Safe for several threads.
 */
final class ProcessorLimit implements AutoCloseable {
    /** No limit, in percent. */
    static final int NONE = 100;

    private static final int THOUSAND = LiveCopy.FULL_SPEED;
    private static final long TICK = 10_000_000;
    /** So much of the time that has passed without being used stays in hand. */
    private static final long KEPT = 10 * TICK;
    /** How long a processor may need to begin. */
    private static final long SLACK = 100_000;

    private final Machine machine;
    private int percent = NONE;
    private int speed = THOUSAND;
    private @Nullable Thread ticker;
    private boolean closed;

    ProcessorLimit(Machine machine) {
        this.machine = machine;
    }

    /** What its owner allows it, in percent. */
    synchronized int percent() {
        return percent;
    }

    /**
     * Changes what its owner allows it, also while the machine runs.
     *
     * @param newPercent 1 to 100
     * @throws InputException for others
     */
    synchronized void set(int newPercent) {
        if (newPercent < 1 || newPercent > NONE) {
            throw new InputException("the limit of a processor is 1 to 100 percent, not " + newPercent);
        }
        percent = newPercent;
        changed();
    }

    /**
     * Slows the machine down, or no longer, whatever its owner allows it.
     *
     * @param newSpeed 1 to 1000, which is not at all: thousandths of that
     */
    synchronized void slow(int newSpeed) {
        speed = newSpeed;
        changed();
    }

    /** How fast it is with both, in thousandths of a processor of the host. */
    synchronized int effective() {
        return Math.max(1, percent * speed / NONE);
    }

    private void changed() {
        boolean limited = effective() != THOUSAND;
        machine.limitProcessors(limited);
        if (limited && ticker == null && !closed) {
            ticker = Thread.ofPlatform().name("torte-limit").daemon().start(this::run);
        }
        notifyAll();
    }

    private void run() {
        long last = System.nanoTime();
        while (awaitLimit()) {
            long now = System.nanoTime();
            int part = effective();
            long most = KEPT * part / THOUSAND;
            machine.grantProcessorTime((now - last) * part / THOUSAND, most);
            last = now;
            long used = TICK * part / THOUSAND + SLACK;
            if (used < TICK) {
                LockSupport.parkNanos(used);
                machine.grantProcessorTime(0, most);
            }
            LockSupport.parkNanos(TICK - (System.nanoTime() - now));
        }
    }

    /** Waits while there is no limit; false when there will be none any more. */
    private synchronized boolean awaitLimit() {
        try {
            while (effective() == THOUSAND && !closed) {
                wait();
            }
            return !closed;
        } catch (InterruptedException e) {
            return false;
        }
    }

    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }
}
