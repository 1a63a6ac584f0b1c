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

    /** How many instructions it has executed, or -1 when the back-end does not count. */
    long instructions();
}
