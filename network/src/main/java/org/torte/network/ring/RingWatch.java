package org.torte.network.ring;

/**
 * What a ring's reader does before it goes to sleep: it looks for a little while whether something comes, if that would have
 * been worth it the last time. A wake-up from another process costs more than most answers take. The processor is offered to
 * others all the while. For the reader's thread.
 */
public final class RingWatch {
    /** As long as an answer takes that comes through two more processes. */
    private static final long LONGEST_NANOS = 100_000;

    private long began;
    private boolean worthIt;

    /**
     * Looks. The reader calls {@link #woken} when it has slept after all.
     *
     * @return whether something is there to read; else the reader is to ask for it, and to sleep
     */
    @SuppressWarnings("ThreadPriorityCheck") // Who waits for a processor gets this one; nothing depends on it.
    public boolean sees(RingReader ring) {
        began = System.nanoTime();
        if (worthIt) {
            do {
                if (ring.hasFrames()) {
                    return true;
                }
                Thread.yield();
            } while (System.nanoTime() - began < LONGEST_NANOS);
        }
        return false;
    }

    /** It was asked for, and slept until now. */
    public void woken() {
        worthIt = System.nanoTime() - began < LONGEST_NANOS;
    }
}
