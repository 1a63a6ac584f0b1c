package org.torte.machine.chipset;

/** Something on the memory bus. Called by several processors at once. Must not throw, whatever the guest does. */
public interface MemoryDevice {
    /**
     * A load.
     *
     * @param offset from the first address of the range; the access lies within the range
     * @param size 1, 2, 4 or 8 bytes
     * @return the value; bits above {@code size} are ignored
     */
    long read(long offset, int size);

    /** A store; {@code value} is zero-extended. */
    void write(long offset, int size, long value);
}
