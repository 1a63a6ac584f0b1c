package org.torte.machine.chipset;

/** A device with 8-bit registers: wider accesses reach consecutive registers, lowest first, as on an 8-bit bus. */
public interface BytePortDevice extends PortDevice {
    /** IN from one register; the low 8 bits count. */
    int readByte(int offset);

    /** OUT to one register; {@code value} is 0 to 255. */
    void writeByte(int offset, int value);

    @Override
    default int read(int offset, int size) {
        int value = 0;
        for (int i = 0; i < size; i++) {
            value |= (readByte(offset + i) & 0xff) << 8 * i;
        }
        return value;
    }

    @Override
    default void write(int offset, int size, int value) {
        for (int i = 0; i < size; i++) {
            writeByte(offset + i, value >>> 8 * i & 0xff);
        }
    }
}
