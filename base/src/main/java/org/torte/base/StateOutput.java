package org.torte.base;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** The body of one section while it is written: little-endian values one after the other. For one thread. */
public final class StateOutput {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    StateOutput() {}

    /** Writes one byte, 0 or 1. */
    public StateOutput putBoolean(boolean value) {
        bytes.write(value ? 1 : 0);
        return this;
    }

    /** Writes the low 8 bits. */
    public StateOutput putByte(int value) {
        bytes.write(value);
        return this;
    }

    /** Writes 4 bytes. */
    public StateOutput putInt(int value) {
        return little(value, 4);
    }

    /** Writes 8 bytes. */
    public StateOutput putLong(long value) {
        return little(value, 8);
    }

    /** Writes each element, without a count. */
    public StateOutput putLongs(long[] values) {
        for (long value : values) {
            little(value, 8);
        }
        return this;
    }

    /** Writes each element, without a count. */
    public StateOutput putInts(int[] values) {
        for (int value : values) {
            little(value, 4);
        }
        return this;
    }

    /** Writes a 4-byte count and the bytes. */
    public StateOutput putBytes(byte[] value) {
        putInt(value.length);
        bytes.writeBytes(value);
        return this;
    }

    /** Writes a string as its UTF-8 bytes. */
    public StateOutput putString(String value) {
        return putBytes(value.getBytes(StandardCharsets.UTF_8));
    }

    private StateOutput little(long value, int size) {
        for (int i = 0; i < size; i++) {
            bytes.write((int) (value >>> 8 * i));
        }
        return this;
    }

    byte[] toByteArray() {
        return bytes.toByteArray();
    }
}
