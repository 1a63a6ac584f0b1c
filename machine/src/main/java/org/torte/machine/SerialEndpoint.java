package org.torte.machine;

/**
 * The host's end of a serial line. Called with the port's lock held, on processor threads: implementations do not block
 * and do not call the port from inside these methods.
 */
public interface SerialEndpoint {
    /** Takes everything and keeps nothing, for ports that nobody is attached to. */
    SerialEndpoint NONE = value -> true;

    /**
     * Takes a byte that the guest sent.
     *
     * @param value 0 to 255
     * @return whether it was taken; if not, the port keeps it and the guest waits until {@link SerialPort#resumeOutput}
     */
    boolean transmit(int value);

    /** The guest has read all it had been given: {@link SerialPort#receive} takes bytes again. */
    default void readyToReceive() {}
}
