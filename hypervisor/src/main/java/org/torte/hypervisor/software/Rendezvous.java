package org.torte.hypervisor.software;

import org.jspecify.annotations.Nullable;

/**
 * Stops all other processors of a partition at a block boundary while one does what must be indivisible: LOCK across
 * cache lines, 16-byte exchanges, withdrawal of write permissions. With one processor it costs nothing.
 */
final class Rendezvous {
    private final Object lock = new Object();
    private Cpu[] cpus = {};
    private int executing;
    private boolean exclusive;

    /** Tells which processors there are, before any of them runs. */
    void connect(Cpu[] all) {
        cpus = all.clone();
    }

    /** The calling processor begins to execute guest code; waits while another one must be alone. */
    void enter() {
        synchronized (lock) {
            await(() -> !exclusive);
            executing++;
        }
    }

    /** The calling processor stops executing guest code: it halts, or returns to its caller. */
    void leave() {
        synchronized (lock) {
            executing--;
            lock.notifyAll();
        }
    }

    /** Answers {@link Events#RENDEZVOUS} at a block boundary. */
    void pause() {
        leave();
        enter();
    }

    /**
     * Runs the action while no other processor executes. Called by a processor that does, outside any lock, or by some
     * other thread with null for {@code self}.
     */
    void exclusively(@Nullable Cpu self, Runnable action) {
        if (self != null && cpus.length == 1) {
            action.run();
            return;
        }
        synchronized (lock) {
            if (self != null) {
                executing--;
                lock.notifyAll();
            }
            await(() -> !exclusive);
            exclusive = true;
            for (Cpu cpu : cpus) {
                if (cpu != self) {
                    cpu.events.raise(Events.RENDEZVOUS);
                }
            }
            await(() -> executing == 0);
            try {
                action.run();
            } finally {
                exclusive = false;
                if (self != null) {
                    executing++;
                }
                lock.notifyAll();
            }
        }
    }

    /**
     * Withdraws from every processor the permission to write one page of RAM without asking; returns when it holds.
     *
     * @param others whether others withdraw it too: a processor may still use what they have taken from it
     */
    void revokeWrite(Cpu self, long page, boolean others) {
        boolean held = others;
        for (Cpu cpu : cpus) {
            boolean found = cpu.mmu.revokeWrite(page);
            held |= found && cpu != self;
        }
        if (held) {
            exclusively(self, () -> {});
        }
    }

    private void await(java.util.function.BooleanSupplier condition) {
        boolean interrupted = false;
        while (!condition.getAsBoolean()) {
            try {
                lock.wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
