package org.torte.hypervisor.kvm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Gets a thread out of KVM_RUN: a real-time signal that the thread blocks and KVM_RUN alone lets through, so that it is
 * never delivered and needs no handler (without one it would end the JVM). Before it goes out, {@code immediate_exit} is
 * set, for the moment in which the thread is about to enter.
 */
final class Kick {
    /** A real-time signal that neither the C library (32, 33) nor the JVM uses. */
    private static final int SIGNAL = 40;

    private final int processor;
    private final MemorySegment run;
    private int thread;
    private long maskBefore;
    private boolean closed;

    /**
     * For one processor.
     *
     * @param processor its descriptor
     * @param run what it shares with KVM
     */
    Kick(int processor, MemorySegment run) {
        this.processor = processor;
        this.run = run;
    }

    /** The calling thread is going to run the processor. */
    synchronized void enter() {
        maskBefore = Linux.block(SIGNAL);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mask = arena.allocate(16, 8);
            mask.set(ValueLayout.JAVA_INT, 0, Long.BYTES);
            mask.set(ValueLayout.JAVA_LONG_UNALIGNED, 4, maskBefore & ~(1L << SIGNAL - 1));
            Kvm.check(Linux.ioctl(processor, Kvm.SET_SIGNAL_MASK, mask), "KVM_SET_SIGNAL_MASK");
        } catch (RuntimeException e) {
            Linux.setMask(maskBefore);
            throw e;
        }
        thread = Linux.currentThread();
    }

    /** The calling thread runs it no more; nothing is sent to it from here on. */
    void leave() {
        synchronized (this) {
            thread = 0;
        }
        Linux.drain(SIGNAL);
        Linux.setMask(maskBefore);
    }

    /** Takes the signals that have done their work. On the processor's thread. */
    void taken() {
        Linux.drain(SIGNAL);
    }

    /** Ends the KVM_RUN that goes on, or makes the next one return at once. Any thread. */
    synchronized void send() {
        if (!closed) {
            Kvm.setImmediateExit(run, true);
            if (thread != 0) {
                Linux.signal(thread, SIGNAL);
            }
        }
    }

    /** The processor's memory is going to be unmapped. */
    synchronized void close() {
        closed = true;
    }
}
