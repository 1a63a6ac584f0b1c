package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.Partition.Doorbell;

/**
 * Writes to ports that KVM counts in event descriptors (KVM_IOEVENTFD) instead of leaving the guest. A thread, which is
 * there from the first doorbell on, waits for them and calls whom they are for. Safe for several threads.
 */
final class Doorbells implements AutoCloseable {
    /** struct kvm_ioeventfd. */
    private static final int SIZE = 64, VALUE = 0, PORT = 8, LENGTH = 16, DESCRIPTOR = 20, FLAGS = 24;

    private static final int MATCH_VALUE = 1, IS_PORT = 2, TAKE_BACK = 4;

    /** struct pollfd. */
    private static final int POLL_SIZE = 8, RETURNED = 6;

    private static final short READABLE = 1;

    private final int machine;

    /** Those that are there and those whose descriptors the thread has still to close. */
    private final List<Bell> bells = new ArrayList<>();

    private int wake;
    private @Nullable Thread thread;
    private boolean closed;

    /**
     * The doorbells of a machine, none yet.
     *
     * @param machine its descriptor, which stays open until these are closed
     */
    Doorbells(int machine) {
        this.machine = machine;
    }

    private final class Bell implements Doorbell {
        final int port;
        final int value;
        final int descriptor;
        final Runnable rung;
        volatile boolean removed;

        Bell(int port, int value, int descriptor, Runnable rung) {
            this.port = port;
            this.value = value;
            this.descriptor = descriptor;
            this.rung = rung;
        }

        @Override
        public void close() {
            synchronized (Doorbells.this) {
                // When all are closed their descriptors may already be somebody else's.
                if (!removed && !closed) {
                    connect(this, TAKE_BACK);
                    Linux.raiseEvent(wake);
                }
                removed = true;
            }
        }
    }

    /** See {@link org.torte.hypervisor.Partition#doorbell}. */
    synchronized Optional<Doorbell> add(int port, int value, Runnable rung) {
        if (closed || (thread == null && !begin())) {
            return Optional.empty();
        }
        int descriptor = Linux.eventDescriptor();
        if (descriptor < 0) {
            return Optional.empty();
        }
        Bell bell = new Bell(port, value, descriptor, rung);
        if (connect(bell, 0) < 0) {
            Linux.close(descriptor);
            return Optional.empty();
        }
        bells.add(bell);
        Linux.raiseEvent(wake);
        return Optional.of(bell);
    }

    private int connect(Bell bell, int how) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(SIZE, 8);
            request.set(JAVA_LONG, VALUE, Integer.toUnsignedLong(bell.value));
            request.set(JAVA_LONG, PORT, bell.port);
            request.set(JAVA_INT, LENGTH, Integer.BYTES);
            request.set(JAVA_INT, DESCRIPTOR, bell.descriptor);
            request.set(JAVA_INT, FLAGS, MATCH_VALUE | IS_PORT | how);
            return Linux.ioctl(machine, Kvm.IOEVENTFD, request);
        }
    }

    /** Starts the thread; false when the host has no descriptor for it. */
    private boolean begin() {
        int fresh = Linux.eventDescriptor();
        if (fresh < 0) {
            return false;
        }
        wake = fresh;
        thread = Thread.ofPlatform().daemon().name("kvm-doorbells").start(this::serve);
        return true;
    }

    private void serve() {
        boolean ended = false;
        while (!ended) {
            ended = finished();
            List<Bell> waiting = current();
            if (!ended) {
                serve(waiting);
            }
        }
        Linux.close(wake);
    }

    private synchronized boolean finished() {
        return closed;
    }

    /** Those to wait for; the descriptors of the others are closed, by the thread that waits for them and no other. */
    private synchronized List<Bell> current() {
        bells.removeIf(bell -> {
            if (bell.removed || closed) {
                Linux.close(bell.descriptor);
                return true;
            }
            return false;
        });
        return List.copyOf(bells);
    }

    /** Until the list of doorbells changes. */
    private void serve(List<Bell> waiting) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment descriptors = arena.allocate((waiting.size() + 1L) * POLL_SIZE, 8);
            MemorySegment count = arena.allocate(Long.BYTES, 8);
            await(descriptors, 0, wake);
            for (int i = 0; i < waiting.size(); i++) {
                await(descriptors, i + 1, waiting.get(i).descriptor);
            }
            do {
                if (Linux.poll(descriptors, waiting.size() + 1) <= 0) {
                    continue;
                }
                for (int i = 0; i < waiting.size(); i++) {
                    Bell bell = waiting.get(i);
                    if (ready(descriptors, i + 1) && !bell.removed) {
                        Linux.takeEvents(bell.descriptor, count);
                        bell.rung.run();
                    }
                }
            } while (!ready(descriptors, 0));
            Linux.takeEvents(wake, count);
        }
    }

    private static void await(MemorySegment descriptors, int index, int descriptor) {
        descriptors.set(JAVA_INT, (long) index * POLL_SIZE, descriptor);
        descriptors.set(JAVA_SHORT, (long) index * POLL_SIZE + Integer.BYTES, READABLE);
    }

    private static boolean ready(MemorySegment descriptors, int index) {
        return descriptors.get(JAVA_SHORT, (long) index * POLL_SIZE + RETURNED) != 0;
    }

    /** Ends them all; on return nobody is called any more. Not on their thread. */
    @Override
    public void close() {
        Thread ending;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            ending = thread;
            if (ending == null) {
                return;
            }
            Linux.raiseEvent(wake);
        }
        boolean interrupted = false;
        while (ending.isAlive()) {
            try {
                ending.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
