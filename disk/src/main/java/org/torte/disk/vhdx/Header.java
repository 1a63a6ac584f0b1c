package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;

/**
 * A header (section 2.2.2).
 *
 * <pre>
 *  0 "head"   4 checksum   8 sequence number
 * 16 file write GUID      32 data write GUID      48 log GUID
 * 64 log version  66 version  68 log length       72 log offset
 * </pre>
 *
 * @param sequence the valid header with the larger one is current; unsigned
 * @param fileWrite changes before the first modification of the file by each opening
 * @param dataWrite changes before the first change that a guest can see
 * @param log entries of the log count when they carry this; nil: the log is empty
 * @param logVersion 0
 * @param version 1
 * @param logLength bytes, unsigned 32 bits
 * @param logOffset bytes
 */
record Header(
        long sequence,
        UUID fileWrite,
        UUID dataWrite,
        UUID log,
        int logVersion,
        int version,
        long logLength,
        long logOffset) {
    private static final int SIGNATURE = 0x64616568;

    /** The header in these 4096 bytes, if signature and checksum are right. */
    static Optional<Header> decode(byte[] bytes) {
        ByteBuffer in = Layout.buffer(bytes);
        if (in.getInt(0) != SIGNATURE || in.getInt(4) != Layout.checksum(bytes, 4)) {
            return Optional.empty();
        }
        return Optional.of(new Header(
                in.getLong(8),
                Layout.guid(in, 16),
                Layout.guid(in, 32),
                Layout.guid(in, 48),
                in.getShort(64) & 0xffff,
                in.getShort(66) & 0xffff,
                in.getInt(68) & 0xffffffffL,
                in.getLong(72)));
    }

    byte[] encode() {
        byte[] bytes = new byte[Layout.HEADER_SIZE];
        ByteBuffer out = Layout.buffer(bytes);
        out.putInt(0, SIGNATURE);
        out.putLong(8, sequence);
        Layout.putGuid(out, 16, fileWrite);
        Layout.putGuid(out, 32, dataWrite);
        Layout.putGuid(out, 48, log);
        out.putShort(64, (short) logVersion);
        out.putShort(66, (short) version);
        out.putInt(68, (int) logLength);
        out.putLong(72, logOffset);
        out.putInt(4, Layout.checksum(bytes, 4));
        return bytes;
    }

    boolean logIsEmpty() {
        return log.equals(Layout.NIL);
    }

    Header withSequence(long other) {
        return new Header(other, fileWrite, dataWrite, log, logVersion, version, logLength, logOffset);
    }

    Header withFileWrite(UUID other) {
        return new Header(sequence, other, dataWrite, log, logVersion, version, logLength, logOffset);
    }

    Header withDataWrite(UUID other) {
        return new Header(sequence, fileWrite, other, log, logVersion, version, logLength, logOffset);
    }

    Header withLog(UUID other) {
        return new Header(sequence, fileWrite, dataWrite, other, logVersion, version, logLength, logOffset);
    }
}
