package org.torte.machine.chipset;

/** Something on the port bus. Called by several processors at once. Must not throw, whatever the guest does. */
public interface PortDevice {
    /**
     * IN.
     *
     * @param offset from the first port of the range; the access lies within the range
     * @param size 1, 2 or 4 bytes
     * @return the value; bits above {@code size} are ignored
     */
    int read(int offset, int size);

    /** OUT; {@code value} is zero-extended. */
    void write(int offset, int size, int value);
}
