package org.torte.base;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * The body of one section while it is read, in the order in which {@link StateOutput} wrote it. Everything throws
 * {@link StateException} at the end of the section. For one thread.
 */
public final class StateInput {
    private final String section;
    private final int version;
    private final ByteBuffer bytes;

    StateInput(String section, int version, byte[] bytes) {
        this.section = section;
        this.version = version;
        this.bytes = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The version this section was written with, from 1 to the reader's own. */
    public int version() {
        return version;
    }

    /** Reads one byte as a truth value. */
    public boolean getBoolean() {
        return getByte() != 0;
    }

    /** Reads one byte, zero-extended. */
    public int getByte() {
        need(1);
        return bytes.get() & 0xff;
    }

    /** Reads 4 bytes. */
    public int getInt() {
        need(4);
        return bytes.getInt();
    }

    /** Reads 8 bytes. */
    public long getLong() {
        need(8);
        return bytes.getLong();
    }

    /** Fills the array. */
    public void getLongs(long[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = getLong();
        }
    }

    /** Fills the array. */
    public void getInts(int[] target) {
        for (int i = 0; i < target.length; i++) {
            target[i] = getInt();
        }
    }

    /** Reads a count and that many bytes. */
    public byte[] getBytes() {
        int length = getInt();
        if (length < 0) {
            throw damaged();
        }
        need(length);
        byte[] value = new byte[length];
        bytes.get(value);
        return value;
    }

    /** Reads a string. */
    public String getString() {
        return new String(getBytes(), StandardCharsets.UTF_8);
    }

    /** Throws when the section holds a value that cannot be, with what is wrong about it. */
    public void check(boolean valid, String what) {
        if (!valid) {
            throw new StateException("the saved state cannot be loaded: section " + section + ": " + what
                    + "; take another copy of the saved state");
        }
    }

    private void need(int count) {
        if (bytes.remaining() < count) {
            throw damaged();
        }
    }

    private StateException damaged() {
        return new StateException("the saved state cannot be loaded: section " + section
                + " is shorter than its version " + version + " must be; take another copy of the saved state");
    }
}
