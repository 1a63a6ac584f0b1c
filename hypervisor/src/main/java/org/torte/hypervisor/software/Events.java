package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * What asks for a processor's attention at the next block boundary. Any thread raises events; the processor's own thread
 * polls {@link #due}, which is one plain load, and waits in {@link #await} while halted.
 */
final class Events {
    /** The local APIC may have an interrupt to deliver; counts only while interrupts are on. */
    static final int INTERRUPT = 1;

    /** A non-maskable interrupt is latched. */
    static final int NMI = 2;

    /** INIT was received. */
    static final int INIT = 4;

    /** SIPI was received. */
    static final int STARTUP = 8;

    /** {@link org.torte.hypervisor.VirtualProcessor#cancel} was called. */
    static final int CANCEL = 16;

    /** Another processor wants this one to stop for a moment, or to drop translations. */
    static final int RENDEZVOUS = 32;

    private static final VarHandle PENDING;
    private static final VarHandle WORD = JAVA_INT.varHandle();

    static {
        try {
            PENDING = MethodHandles.lookup().findVarHandle(Events.class, "pending", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private int pending;
    private int mask = ~INTERRUPT;

    /** The processor's own thread wants out of the interpreter at the next block boundary; it clears this itself. */
    boolean attention;

    private volatile @Nullable Thread waiting;

    /** For translated code: 1 while something may be pending, be it masked or not. */
    private @Nullable MemorySegment word;

    /** Whether an event that counts now is pending. */
    boolean due() {
        return ((int) PENDING.getOpaque(this) & mask) != 0 || attention;
    }

    /** The pending events that count now. */
    int takeable() {
        return (int) PENDING.getVolatile(this) & mask;
    }

    boolean isPending(int events) {
        return ((int) PENDING.getVolatile(this) & events) != 0;
    }

    /** Which of these events are pending. */
    int pending(int events) {
        return (int) PENDING.getVolatile(this) & events;
    }

    void raise(int events) {
        int before = (int) PENDING.getAndBitwiseOr(this, events);
        MemorySegment seen = word;
        if (seen != null) {
            WORD.setRelease(seen, 0L, 1);
        }
        if ((before & events) != events) {
            Thread thread = waiting;
            if (thread != null) {
                LockSupport.unpark(thread);
            }
        }
    }

    /** An int that translated code may look at: 0 while nothing is pending. Before the processor runs. */
    MemorySegment forCode() {
        MemorySegment made = Arena.ofAuto().allocate(4, 64);
        word = made;
        refresh();
        return made;
    }

    /** Lets translated code see what has been withdrawn; by the processor's own thread. */
    void refresh() {
        MemorySegment seen = word;
        if (seen != null && (int) WORD.getOpaque(seen, 0L) != 0) {
            WORD.setOpaque(seen, 0L, 0);
            // Whoever raises an event does that first and then writes here; here it is the other way round.
            VarHandle.fullFence();
            if ((int) PENDING.getOpaque(this) != 0) {
                WORD.setOpaque(seen, 0L, 1);
            }
        }
    }

    /** Withdraws events; returns which of them were pending. */
    int clear(int events) {
        return (int) PENDING.getAndBitwiseAnd(this, ~events) & events;
    }

    /** Tells which events count: interrupts, and NMIs. */
    void setMask(boolean interrupts, boolean nmis) {
        mask = (interrupts ? ~0 : ~INTERRUPT) & (nmis ? ~0 : ~NMI);
    }

    /** Blocks the calling thread, which is the processor's, until one of {@code events} is pending. */
    void await(int events) {
        waiting = Thread.currentThread();
        while (!isPending(events)) {
            LockSupport.park(this);
        }
        waiting = null;
    }
}
