package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The messages of RNDIS ([MS-RNDIS], section 2.2): a type and a length of 4 bytes each, the length including them, and a
 * body. Offsets in bodies count from the end of this header, except that those in answers to queries and of statuses do, too.
 *
 * <pre>
 * 1 packet      data offset 4, data length 4, 12, per-packet information offset 4, its length 4, 8, ...
 * 2 initialize  request 4, major 4, minor 4, longest message 4
 * 3 halt        request 4
 * 4 query       request 4, object 4, length 4, offset 4, 4, ...
 * 5 set         request 4, object 4, length 4, offset 4, 4, ...
 * 6 reset       4
 * 7 status      status 4, length 4, offset 4, ...
 * 8 keep alive  request 4
 * </pre>
 *
 * An answer has the type with the highest bit set, the request and a status.
 */
sealed interface Rndis {
    int HEADER = 8;
    int PACKET = 1, INITIALIZE = 2, HALT = 3, QUERY = 4, SET = 5, RESET = 6, STATUS = 7, KEEP_ALIVE = 8;
    int ANSWER = 0x8000_0000;

    int SUCCESS = 0, FAILURE = 0xc000_0001, NOT_SUPPORTED = 0xc000_00bb;
    int INVALID_LENGTH = 0xc001_0014, INVALID_DATA = 0xc001_0015;
    int MEDIA_CONNECT = 0x4001_000b, MEDIA_DISCONNECT = 0x4001_000c;

    /** The length of a packet's header, and the places of its parts. */
    int PACKET_HEADER = 44;

    int DATA_OFFSET_AT = 8, DATA_LENGTH_AT = 12, INFORMATION_OFFSET_AT = 28, INFORMATION_LENGTH_AT = 32;

    /** Per-packet information: length 4, type 4, offset of the value 4, value. */
    int INFORMATION = 16, INFORMATION_HEADER = 12;

    int CHECKSUM_INFORMATION = 0, LARGE_SEND_INFORMATION = 2, VLAN_INFORMATION = 6;

    /** Information between the two ends; its only kind says how a frame lies in several places. */
    int PIECE_INFORMATION = 0x8000_0001;

    /** How many messages the guest may send in one packet, and the alignment of those after the first, as a power of 2. */
    int MAX_MESSAGES = 8, ALIGNMENT = 3;

    record Initialize(int request, int major, int minor) implements Rndis {}

    record Halt(int request) implements Rndis {}

    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Query(int request, int object, byte[] information) implements Rndis {}

    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Set(int request, int object, byte[] information) implements Rndis {}

    record Reset() implements Rndis {}

    record KeepAlive(int request) implements Rndis {}

    /** Nothing that is known here, or whose parts do not lie in it. */
    record Malformed() implements Rndis {}

    /** Reads a control message, from position 0 to the limit. */
    static Rndis parse(ByteBuffer message) {
        if (message.remaining() < HEADER + 4) {
            return new Malformed();
        }
        int length = message.getInt(4);
        if (length < HEADER + 4 || length > message.remaining()) {
            return new Malformed();
        }
        int type = message.getInt(0);
        int request = message.getInt(HEADER);
        return switch (type) {
            case INITIALIZE ->
                length < HEADER + 12
                        ? new Malformed()
                        : new Initialize(request, message.getInt(HEADER + 4), message.getInt(HEADER + 8));
            case HALT -> new Halt(request);
            case QUERY, SET -> {
                if (length < HEADER + 20) {
                    yield new Malformed();
                }
                int size = message.getInt(HEADER + 8);
                int offset = message.getInt(HEADER + 12);
                int room = length - HEADER;
                if (size < 0 || size > 0 && (offset < 20 || offset > room || size > room - offset)) {
                    yield new Malformed();
                }
                byte[] information = new byte[size];
                if (size > 0) {
                    message.get(HEADER + offset, information);
                }
                int object = message.getInt(HEADER + 4);
                yield type == QUERY ? new Query(request, object, information) : new Set(request, object, information);
            }
            case RESET -> new Reset();
            case KEEP_ALIVE -> new KeepAlive(request);
            default -> new Malformed();
        };
    }

    private static ByteBuffer begin(int type, int length) {
        return ByteBuffer.allocate(length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .putInt(length);
    }

    /** Answers {@link Initialize}. */
    static byte[] initializeComplete(int request, int status, int longest) {
        int version = 1;
        int connectionless = 1;
        int ethernet = 0;
        return begin(INITIALIZE | ANSWER, 52)
                .putInt(request)
                .putInt(status)
                .putInt(version)
                .putInt(0)
                .putInt(connectionless)
                .putInt(ethernet)
                .putInt(MAX_MESSAGES)
                .putInt(longest)
                .putInt(ALIGNMENT)
                .array();
    }

    /** Answers {@link Query}. */
    static byte[] queryComplete(int request, int status, byte[] information) {
        return begin(QUERY | ANSWER, 24 + information.length)
                .putInt(request)
                .putInt(status)
                .putInt(information.length)
                .putInt(information.length == 0 ? 0 : 16)
                .put(information)
                .array();
    }

    /** Answers {@link Set}. */
    static byte[] setComplete(int request, int status) {
        return begin(SET | ANSWER, 16).putInt(request).putInt(status).array();
    }

    /** Answers {@link Reset}. */
    static byte[] resetComplete() {
        return begin(RESET | ANSWER, 16).putInt(SUCCESS).putInt(1).array();
    }

    /** Answers {@link KeepAlive}. */
    static byte[] keepAliveComplete(int request) {
        return begin(KEEP_ALIVE | ANSWER, 16).putInt(request).putInt(SUCCESS).array();
    }

    /** Tells of something that needs no values. */
    static byte[] status(int status) {
        return begin(STATUS, 20).putInt(status).putInt(0).putInt(0).array();
    }
}
