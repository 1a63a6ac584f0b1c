package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * The messages of dynamic memory (Linux drivers/hv/hv_balloon.c). Each begins with
 *
 * <pre>
 *   0 type                     2 bytes
 *   2 length, header included  2
 *   4 transaction              4
 * </pre>
 *
 * and goes on by type: version request {version 4, last one 4}; its answer {accepted 8}; capabilities {bits 8, least pages
 * 8, most pages 8}; their answer {accepted 8}; status {available 8, committed 8, page files 8, zeroed 8, writes 4, reads
 * 4}, in pages; balloon request {pages 4, reserved 4}; its answer {reserved 4, bit 0 more follow, ranges from bit 1 on 4,
 * ranges 8 each}; return {bit 0 more follow 4, ranges 4, ranges 8 each}; its answer {}. A range is the number of its first
 * page in bits 0 to 39 and of its pages in bits 40 to 63.
 */
final class MemoryMessage {
    static final int VERSION_REQUEST = 1, VERSION_ANSWER = 2, CAPABILITIES = 3, CAPABILITIES_ANSWER = 4, STATUS = 5;
    static final int BALLOON = 6, BALLOON_ANSWER = 7, RETURN = 8, RETURN_ANSWER = 9;

    static final int HEADER = 8;
    static final int VERSION_REQUEST_LENGTH = 16, CAPABILITIES_LENGTH = 32, STATUS_LENGTH = 48;
    static final int BALLOON_LENGTH = 16, BALLOON_ANSWER_LENGTH = 16, RETURN_LENGTH = 16;

    /** Linux takes no longer messages. */
    static final int MAX_LENGTH = 4096;

    static final int MAX_RANGES = (MAX_LENGTH - RETURN_LENGTH) / Long.BYTES;

    static final long CAN_BALLOON = 1, CAN_ADD = 2;

    private static final int COUNT_SHIFT = 40;
    private static final long FIRST_MASK = (1L << COUNT_SHIFT) - 1;

    /**
     * Pages of the guest, one after the other.
     *
     * @param first number of the first page, below 2^40
     * @param count how many, below 2^24
     */
    record Range(long first, int count) {
        static final int MAX_COUNT = (1 << 24) - 1;

        static Range parse(long bits) {
            return new Range(bits & FIRST_MASK, (int) (bits >>> COUNT_SHIFT));
        }

        long bits() {
            return first | (long) count << COUNT_SHIFT;
        }
    }

    private MemoryMessage() {}

    private static ByteBuffer begin(int type, int length, int transaction) {
        return ByteBuffer.allocate(length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) type)
                .putShort((short) length)
                .putInt(transaction);
    }

    /** The answer to a version or to capabilities. */
    static byte[] answer(int type, int transaction, boolean accepted) {
        return begin(type, HEADER + Long.BYTES, transaction)
                .putLong(accepted ? 1 : 0)
                .array();
    }

    static byte[] balloon(int transaction, int pages) {
        return begin(BALLOON, BALLOON_LENGTH, transaction).putInt(pages).array();
    }

    /** Gives pages back, in one message. */
    static byte[] giveBack(int transaction, List<Range> ranges) {
        ByteBuffer out = begin(RETURN, RETURN_LENGTH + Long.BYTES * ranges.size(), transaction);
        out.putInt(0).putInt(ranges.size());
        ranges.forEach(range -> out.putLong(range.bits()));
        byte[] bytes = new byte[out.position()];
        out.get(0, bytes);
        return bytes;
    }
}
