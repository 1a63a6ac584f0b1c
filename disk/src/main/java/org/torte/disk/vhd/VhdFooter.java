package org.torte.disk.vhd;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Optional;
import java.util.UUID;

/**
 * The footer of a VHD, all fields big-endian. Every image ends with it; all but fixed ones begin with a copy.
 *
 * <pre>
 *    0 cookie "conectix"          36 creator's host       64 checksum
 *    8 features                   40 original size        68 identifier
 *   12 version 1.0                48 current size         84 saved state
 *   16 offset of the header       56 geometry             85 reserved; at 88 of a fixed image
 *   24 seconds since 2000         60 type                    that grows: {@link #pendingZero}
 *   28 creator, 32 its version
 * </pre>
 *
 * @param dataOffset where the dynamic header is, or -1 for fixed
 * @param timestamp seconds since 2000-01-01 00:00 UTC
 * @param creator four characters
 * @param originalSize bytes at creation
 * @param currentSize bytes
 * @param geometry cylinders, heads and sectors
 * @param type 2 fixed, 3 dynamic, 4 differencing
 * @param identifier identifies the disk
 * @param pendingZero offset of a sector of a fixed image that still holds an old footer and is to read as zeros, or 0:
 *     the footer that growth left behind. Other software ignores the field
 */
record VhdFooter(
        long dataOffset,
        int timestamp,
        String creator,
        long originalSize,
        long currentSize,
        Geometry geometry,
        int type,
        UUID identifier,
        long pendingZero) {
    static final int SECTOR = 512;
    static final int SIZE = 512;
    /** The largest VHD, in bytes. */
    static final long LARGEST = 2040L << 30;

    static final int FIXED = 2;
    static final int DYNAMIC = 3;
    static final int DIFFERENCING = 4;
    static final long NO_HEADER = -1;

    private static final long COOKIE = 0x636f6e6563746978L;
    private static final int CHECKSUM = 64;
    private static final int PENDING_ZERO = 88;
    private static final long EPOCH_2000 = Instant.parse("2000-01-01T00:00:00Z").getEpochSecond();
    private static final int HOST_WINDOWS = 0x5769326b;
    private static final int CREATOR_VERSION = 0x000a0000;

    static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    /**
     * A new footer. The creator is Windows': other software takes the current size for the disk's size only when it
     * knows the creator, and rounds to the geometry otherwise.
     */
    static VhdFooter create(int type, long size, UUID identifier, Instant now) {
        return new VhdFooter(
                type == FIXED ? NO_HEADER : SIZE,
                (int) (now.getEpochSecond() - EPOCH_2000),
                "win ",
                size,
                size,
                Geometry.of(size),
                type,
                identifier,
                0);
    }

    VhdFooter withSize(long bytes) {
        return new VhdFooter(
                dataOffset, timestamp, "win ", originalSize, bytes, Geometry.of(bytes), type, identifier, 0);
    }

    VhdFooter withDataOffset(long offset) {
        return new VhdFooter(
                offset, timestamp, creator, originalSize, currentSize, geometry, type, identifier, pendingZero);
    }

    VhdFooter withIdentifier(UUID other) {
        return new VhdFooter(
                dataOffset, timestamp, creator, originalSize, currentSize, geometry, type, other, pendingZero);
    }

    VhdFooter withPendingZero(long offset) {
        return new VhdFooter(
                dataOffset, timestamp, creator, originalSize, currentSize, geometry, type, identifier, offset);
    }

    /** The size that the guest sees: the current size, or the geometry's for the two creators that mean it. */
    long diskSize() {
        boolean geometric = creator.equals("vpc ") || creator.equals("qemu");
        if (geometric && !geometry.saturated() && geometry.bytes() > 0 && geometry.bytes() < currentSize) {
            return geometry.bytes();
        }
        return currentSize;
    }

    byte[] encode() {
        byte[] bytes = new byte[SIZE];
        MemorySegment m = MemorySegment.ofArray(bytes);
        m.set(LONG, 0, COOKIE);
        m.set(INT, 8, 2);
        m.set(INT, 12, 0x10000);
        m.set(LONG, 16, dataOffset);
        m.set(INT, 24, timestamp);
        MemorySegment.copy(creator.getBytes(StandardCharsets.ISO_8859_1), 0, m, ValueLayout.JAVA_BYTE, 28, 4);
        m.set(INT, 32, CREATOR_VERSION);
        m.set(INT, 36, HOST_WINDOWS);
        m.set(LONG, 40, originalSize);
        m.set(LONG, 48, currentSize);
        m.set(INT, 56, geometry.encoded());
        m.set(INT, 60, type);
        m.set(LONG, 68, identifier.getMostSignificantBits());
        m.set(LONG, 76, identifier.getLeastSignificantBits());
        m.set(LONG, PENDING_ZERO, pendingZero);
        m.set(INT, CHECKSUM, checksum(bytes, CHECKSUM));
        return bytes;
    }

    /** The footer in these 512 bytes, if they are one with a right checksum. */
    static Optional<VhdFooter> decode(byte[] bytes) {
        MemorySegment m = MemorySegment.ofArray(bytes);
        if (m.get(LONG, 0) != COOKIE || m.get(INT, CHECKSUM) != checksum(bytes, CHECKSUM)) {
            return Optional.empty();
        }
        return Optional.of(new VhdFooter(
                m.get(LONG, 16),
                m.get(INT, 24),
                new String(bytes, 28, 4, StandardCharsets.ISO_8859_1),
                m.get(LONG, 40),
                m.get(LONG, 48),
                Geometry.decoded(m.get(INT, 56)),
                m.get(INT, 60),
                new UUID(m.get(LONG, 68), m.get(LONG, 76)),
                m.get(LONG, PENDING_ZERO)));
    }

    /** Whether these bytes begin like a footer, right or wrong. */
    static boolean hasCookie(byte[] bytes) {
        return MemorySegment.ofArray(bytes).get(LONG, 0) == COOKIE;
    }

    /** The one's complement of the sum of all bytes but the four at {@code field}. */
    static int checksum(byte[] bytes, int field) {
        int sum = 0;
        for (int i = 0; i < bytes.length; i++) {
            if (i < field || i >= field + 4) {
                sum += bytes[i] & 0xff;
            }
        }
        return ~sum;
    }
}
