package org.torte.management.process;

/**
 * Why a worker has ended.
 *
 * @param cause of the end
 * @param detail in words, with the end of its log where it failed
 */
public record WorkerEnd(Cause cause, String detail) {
    /** The causes. */
    public enum Cause {
        /** The guest powered off. */
        POWERED_OFF,
        /** The machine was turned off. */
        TURNED_OFF,
        /** It was saved. */
        SAVED,
        /** The guest crashed. */
        CRASHED,
        /** The worker gave up. */
        FAILED,
        /** The worker's process ended without a word. */
        DIED
    }
}
