package org.torte.machine.chipset;

/** A port through which a guest ends its machine: writing {@code v} gives exit status {@code v << 1 | 1}, 8 bits. */
public final class ExitPort implements BytePortDevice {
    private final PowerControl power;

    /** A port that tells {@code power}. */
    public ExitPort(PowerControl power) {
        this.power = power;
    }

    @Override
    public int readByte(int offset) {
        return 0xff;
    }

    @Override
    public void write(int offset, int size, int value) {
        writeByte(offset, value & 0xff);
    }

    @Override
    public void writeByte(int offset, int value) {
        power.exit((value << 1 | 1) & 0xff);
    }
}
