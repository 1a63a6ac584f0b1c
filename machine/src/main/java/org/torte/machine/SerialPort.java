package org.torte.machine;

/** A serial port of a machine, seen from the host. Safe for use by several threads. */
public interface SerialPort {
    /** Connects the host's end; replaces what was connected before. */
    void attach(SerialEndpoint endpoint);

    /**
     * Gives the guest bytes to read.
     *
     * @return how many were taken, from 0 up to the room in the port's buffer; offer the rest again after
     *     {@link SerialEndpoint#readyToReceive}
     */
    int receive(byte[] bytes, int offset, int length);

    /** The endpoint takes bytes again after {@link SerialEndpoint#transmit} returned false. */
    void resumeOutput();

    /** Signals a break condition to the guest (a SysRq key on Linux). */
    void sendBreak();
}
