package org.torte.disk.operation;

import java.util.concurrent.ThreadFactory;

/**
 * How a merge goes on: what was copied is made durable by another thread, a step at a time, while the next step is copied.
 *
 * @param least bytes that a step has at least
 * @param most bytes after which copying waits for the step before; a step ends between the two as soon as that is durable,
 *     so that neither waits for the other
 * @param recorded bytes after which the journal is told with the next step: what is copied in vain at most when a merge is
 *     interrupted, besides two steps
 * @param threads gives the threads that make steps durable, one for each; they wait for the host's disk most of the time
 */
record Pace(long least, long most, long recorded, ThreadFactory threads) {
    /** For merges of real disks. */
    static final Pace USUAL = new Pace(
            32L << 20,
            128L << 20,
            128L << 20,
            Thread.ofPlatform().daemon().name("merge-flush").factory());

    /** Whether a step of this many bytes is at its end. */
    boolean ends(long copied, Behind durable) {
        return copied >= most || (copied >= least && durable.idle());
    }
}
