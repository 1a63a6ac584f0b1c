package org.torte.hypervisor;

/**
 * One virtual processor. {@link #run} is called by one thread at a time; {@link #cancel} may be called by any. Registers
 * may be accessed only while it does not run.
 */
public interface VirtualProcessor {
    /** Why {@link #run} returned. */
    enum Exit {
        /** {@link #cancel} was called. */
        CANCELLED,
        /** A triple fault: the machine must be reset or reported as crashed. */
        SHUTDOWN
    }

    /** Its number in the partition, from 0. */
    int index();

    /**
     * Executes the guest until there is something that the back-end and the exit handler cannot settle between them. A
     * halted or waiting processor blocks in here without using the host's processor.
     */
    Exit run();

    /**
     * Makes {@link #run} return {@link Exit#CANCELLED} soon (well below a millisecond of guest execution), at an
     * instruction boundary; when it does not run, the next call returns at once. Cancellations do not add up.
     */
    void cancel();

    /** Copies the registers out. */
    CpuState state();

    /** Sets the registers, for boot protocols and tests. */
    void setState(CpuState state);

    /**
     * One general register, by its number in {@link CpuState}. Unlike {@link #state} this and the next four are also for
     * the exit handler, on this processor's own thread while it serves one of its exits.
     */
    long register(int number);

    /** Sets one general register. */
    void setRegister(int number, long value);

    /** Half of XMM register {@code number} (0 to 15): 0 for bits 63:0, 1 for bits 127:64. */
    long vectorRegister(int number, int half);

    /** What RDTSC would give the guest now. */
    long timeStamp();

    /**
     * Waits until there is something for this processor to do: an interrupt, even one that its flags hold back, an NMI, a
     * cancellation. It may return early, and does so at once on back-ends that cannot wait here.
     */
    default void awaitInterrupt() {}

    /** What it did last, as far as the back-end keeps that. Only while it does not run. */
    default LastSteps lastSteps() {
        return LastSteps.NONE;
    }

    /**
     * Nanoseconds for which it has had a processor of the host, its exits included, but not while it waits or while the
     * host is busy with others. Counts from its creation, whatever is restored. On its own thread in an exit, or while
     * it does not run.
     */
    long runTime();

    /** How many instructions it has executed, or -1 when the back-end does not count. */
    long instructions();
}
