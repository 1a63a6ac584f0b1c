package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The Internet checksum (RFC 1071), which may be computed in any byte order: sums here are of little-endian words, and so
 * are the results, which are stored little-endian again.
 */
final class InternetChecksum {
    private static final ValueLayout.OfShort SHORT = JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long INT_MASK = 0xffff_ffffL;

    private InternetChecksum() {}

    /** Adds up bytes, less than 2 GiB, beginning at an even position of what is summed. */
    static long sum(MemorySegment bytes, int from, int to) {
        long sum = 0;
        int at = from;
        for (; at + Long.BYTES <= to; at += Long.BYTES) {
            long value = bytes.get(LONG, at);
            sum += (value & INT_MASK) + (value >>> 32);
        }
        if (at + Integer.BYTES <= to) {
            sum += bytes.get(INT, at) & INT_MASK;
            at += Integer.BYTES;
        }
        if (at + Short.BYTES <= to) {
            sum += bytes.get(SHORT, at) & 0xffff;
            at += Short.BYTES;
        }
        return at < to ? sum + (bytes.get(JAVA_BYTE, at) & 0xff) : sum;
    }

    /** What a 16-bit number in network order adds. */
    static int networkShort(int value) {
        return Short.reverseBytes((short) value) & 0xffff;
    }

    /** The checksum of a sum, to be stored with {@link #store}. */
    static int finish(long sum) {
        long folded = (sum & INT_MASK) + (sum >>> 32);
        folded = (folded & 0xffff) + (folded >>> 16);
        folded = (folded & 0xffff) + (folded >>> 16);
        folded = (folded & 0xffff) + (folded >>> 16);
        return (int) ~folded & 0xffff;
    }

    static void store(MemorySegment bytes, int at, int checksum) {
        bytes.set(SHORT, at, (short) checksum);
    }
}
