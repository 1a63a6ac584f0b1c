package org.torte.machine.hyperv;

import java.util.Optional;
import org.torte.hypervisor.Partition.Doorbell;

/**
 * How the host sends messages and events to the guest's synthetic interrupt controllers, and hears of the guest's events.
 * Safe for several threads.
 */
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

    /**
     * Asks that events for a connection with flag 0 stop no processor.
     *
     * @param connection as {@link Connections#signal} would get it
     * @param rung see {@link org.torte.hypervisor.Partition#doorbell}
     * @return empty where that cannot be: {@link Connections#signal} is called
     */
    Optional<Doorbell> doorbell(int connection, Runnable rung);

    /** Drops the messages that wait in line. */
    void discard(int processor, int sint);
}
