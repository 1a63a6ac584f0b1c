package org.torte.hypervisor;

import java.util.Optional;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;

/** A virtual machine as the hypervisor sees it: memory, processors, interrupt controllers. Safe for several threads. */
public interface Partition extends AutoCloseable {
    /** How many processors it has. */
    int processorCount();

    /** A processor, counted from 0. */
    VirtualProcessor processor(int index);

    /**
     * Sets an input of the IOAPIC, counted from 0 to 23, as a device's wire does. Edge-triggered inputs fire on the
     * change from low to high.
     */
    void setInterruptLine(int line, boolean high);

    /**
     * Delivers a message-signalled interrupt.
     *
     * @param address the message address, 0xFEExxxxx (Intel SDM vol. 3, "Message Signalled Interrupts")
     * @param data the message data
     */
    void signalMessage(long address, int data);

    /** What the translator has done; empty where everything is interpreted or executed by the host's processor. */
    default Optional<TranslatorStatistics> translatorStatistics() {
        return Optional.empty();
    }

    /** Why everything is interpreted although a translator was wanted, as the end of a sentence; else nothing. */
    default Optional<String> translatorObstacle() {
        return Optional.empty();
    }

    /** A value of a port that does not stop the processor that writes it; closed it does again. */
    interface Doorbell extends AutoCloseable {
        /** Takes it back. A call for a write before that may still come. */
        @Override
        void close();
    }

    /**
     * Asks that a guest's 32-bit write of one value to a port stop no processor and reach no handler. Several writes may
     * become one call.
     *
     * @param port 0 to 0xffff
     * @param rung called on another thread; takes little time and throws nothing
     * @return empty where the back-end cannot do that, or has no more of them: the writes are exits as ever
     */
    default Optional<Doorbell> doorbell(int port, int value, Runnable rung) {
        return Optional.empty();
    }

    /** Raises the legacy controller's INTR wire (8259 in virtual-wire mode) into LINT0 of the bootstrap processor. */
    void setExternalInterrupt(boolean high, java.util.function.IntSupplier acknowledge);

    /** Delivers a non-maskable interrupt to a processor. */
    void signalNmi(int processor);

    /** Tells the back-end that a device or loader has written {@code length} bytes of RAM at {@code address}. */
    void memoryWritten(long address, long length);

    /**
     * Makes processors forget every translation of addresses that they keep; on return none uses an old one.
     *
     * @param caller the processor on whose thread, inside an exit, this is called; the caller holds no lock
     * @param processors a bit per processor
     */
    void flushTranslations(int caller, long processors);

    /**
     * Says which vectors of a processor need no end of interrupt: they end when they are delivered. To be set again after
     * a restore or reset.
     *
     * @return false, and nothing is changed, where the back-end cannot do that
     */
    boolean setAutomaticEnd(int processor, int vector, boolean automatic);

    /** Starts to record which pages are written; all count as clean at this moment. */
    void startDirtyTracking();

    /** Stops recording. */
    void stopDirtyTracking();

    /**
     * Takes the pages written since the last call or the start, by processors or by {@link #memoryWritten}, and counts
     * them clean again.
     *
     * @return a bit per guest-physical page, lowest page in bit 0 of the first element
     */
    long[] takeDirtyPages();

    /**
     * Ticks per second of the processors' time-stamp counters: what was asked for or, where the back-end cannot scale them,
     * what the host's have.
     */
    long tscFrequency();

    /**
     * Stops the counters and timers of the processors, whose clock stands from now on. Only while no processor runs; no
     * interrupt comes until {@link #resume}.
     */
    void pause();

    /** Lets counters and timers go on, at the moment that the clock does. Partitions begin paused. */
    void resume();

    /**
     * Writes processors and interrupt controllers, but not RAM. Only while no processor runs; what follows is the same
     * for every back-end.
     */
    void save(StateWriter state);

    /**
     * Reads what {@link #save} wrote. Only while no processor runs.
     *
     * @throws org.torte.base.StateException when the state does not fit this partition
     */
    void restore(StateReader state);

    /** Puts every processor and controller into reset state. Only while no processor runs. */
    void reset();

    /** Frees what the back-end holds. Only while no processor runs. */
    @Override
    void close();
}
