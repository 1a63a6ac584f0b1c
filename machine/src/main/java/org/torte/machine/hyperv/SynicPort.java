package org.torte.machine.hyperv;

/** How the host sends messages and events to the guest's synthetic interrupt controllers. Safe for several threads. */
public interface SynicPort {
    /** The most bytes of one message. */
    int MAX_PAYLOAD = 240;

    /** Events of one synthetic interrupt are numbered 0 to 2047. */
    int EVENT_FLAGS = 2048;

    /** How many processors there are. */
    int processors();

    /**
     * Sends a message, which waits in line until the guest has taken those before it.
     *
     * @param processor the processor, counted from 0
     * @param sint the synthetic interrupt, 0 to 15
     * @param type not 0
     * @param payload up to {@link #MAX_PAYLOAD} bytes
     * @return false when the line is too long
     */
    boolean post(int processor, int sint, int type, byte[] payload);

    /**
     * How many more messages {@link #post} takes now for this synthetic interrupt. Only other calls of {@code post} make
     * it less.
     */
    int room(int processor, int sint);

    /** Sets an event flag and interrupts the guest if it was clear. Without an event page, nothing happens. */
    void signal(int processor, int sint, int flag);

    /** Drops the messages that wait in line. */
    void discard(int processor, int sint);
}
