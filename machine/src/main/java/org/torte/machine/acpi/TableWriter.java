package org.torte.machine.acpi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Writes one ACPI table: little-endian fields one after the other, behind the common header (ACPI 6.5, 5.2.6). */
final class TableWriter {
    private static final int HEADER = 36;
    private static final int LENGTH_AT = 4;
    private static final int CHECKSUM_AT = 9;
    private static final int MAX_SIZE = 1 << 17;

    private final ByteBuffer out = ByteBuffer.allocate(MAX_SIZE).order(ByteOrder.LITTLE_ENDIAN);

    /** A table without the common header. */
    TableWriter() {}

    /** A table with the common header. */
    TableWriter(String signature, int revision) {
        text(signature, 4);
        int32(0);
        int8(revision);
        int8(0);
        text("TORTE ", 6);
        text("TORTE   ", 8);
        int32(1);
        text("TRTE", 4);
        int32(1);
    }

    TableWriter int8(int value) {
        out.put((byte) value);
        return this;
    }

    TableWriter int16(int value) {
        out.putShort((short) value);
        return this;
    }

    TableWriter int32(long value) {
        out.putInt((int) value);
        return this;
    }

    TableWriter int64(long value) {
        out.putLong(value);
        return this;
    }

    TableWriter bytes(byte[] value) {
        out.put(value);
        return this;
    }

    TableWriter text(String value, int length) {
        byte[] ascii = value.getBytes(StandardCharsets.US_ASCII);
        if (ascii.length != length) {
            throw new IllegalArgumentException(value);
        }
        return bytes(ascii);
    }

    TableWriter zeroes(int count) {
        return bytes(new byte[count]);
    }

    /** A generic address structure that names a port (5.2.3.2); nothing when {@code port} is 0. */
    TableWriter port(int port, int bits, int accessSize) {
        if (port == 0) {
            return zeroes(12);
        }
        return int8(1).int8(bits).int8(0).int8(accessSize).int64(port);
    }

    int position() {
        return out.position();
    }

    /** Replaces a byte so that the first {@code length} bytes add up to zero. */
    TableWriter checksum(int at, int length) {
        out.put(at, (byte) 0);
        byte sum = 0;
        for (int i = 0; i < length; i++) {
            sum += out.get(i);
        }
        out.put(at, (byte) -sum);
        return this;
    }

    /** The table as it is. */
    byte[] raw() {
        byte[] table = new byte[out.position()];
        out.get(0, table);
        return table;
    }

    /** The table with the length and checksum of its header. */
    byte[] finish() {
        if (out.position() < HEADER) {
            throw new IllegalStateException("no header");
        }
        out.putInt(LENGTH_AT, out.position());
        checksum(CHECKSUM_AT, out.position());
        return raw();
    }
}
