package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * A message of an integration component, in a packet of its channel (Linux include/linux/hyperv.h, {@code vmbuspipe_hdr}
 * and {@code icmsg_hdr}):
 *
 * <pre>
 *   0 1: data                       4 bytes
 *   4 length of what follows        4
 *   8 version of the framing        4: major 2, minor 2
 *  12 type                          2
 *  14 version of the messages       4
 *  18 length of the body            2
 *  20 status                        4, 0 is success
 *  24 transaction                   1
 *  25 flags: 1 transaction,         1
 *     2 request, 4 answer
 *  26 reserved                      2
 *  28 body
 * </pre>
 *
 * @param framework the version of the framing
 * @param type what the message is about
 * @param version the version of the body
 * @param status an HRESULT, 0 in requests
 * @param transaction 0 to 255, the same in the answer
 * @param flags see above
 * @param body what depends on the type
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record ServiceMessage(
        ServiceVersion framework,
        int type,
        ServiceVersion version,
        int status,
        int transaction,
        int flags,
        byte[] body) {
    static final int PIPE_HEADER = 8, HEADER = 20, OVERHEAD = PIPE_HEADER + HEADER;
    static final int NEGOTIATE = 0, HEARTBEAT = 1, KEY_VALUE = 2, SHUTDOWN = 3, TIME = 4, BACKUP = 5;
    static final int FLAG_TRANSACTION = 1, FLAG_REQUEST = 2, FLAG_ANSWER = 4;

    /** {@code S_OK}, {@code E_FAIL}, and what ends an enumeration. */
    static final int OK = 0, FAILED = 0x8000_4005, NO_MORE = 0x8007_0103;

    private static final int PIPE_DATA = 1;

    /** A request. */
    static ServiceMessage request(
            ServiceVersion framework, int type, ServiceVersion version, int transaction, byte[] body) {
        return new ServiceMessage(framework, type, version, OK, transaction, FLAG_TRANSACTION | FLAG_REQUEST, body);
    }

    /** Its bytes, header and all. */
    byte[] bytes() {
        ByteBuffer out = ByteBuffer.allocate(OVERHEAD + body.length).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(PIPE_DATA).putInt(HEADER + body.length);
        framework.put(out);
        out.putShort((short) type);
        version.put(out);
        out.putShort((short) body.length).putInt(status).put((byte) transaction).put((byte) flags);
        out.putShort((short) 0).put(body);
        return out.array();
    }

    /** Reads what a packet holds; null when it is not a message. */
    static @Nullable ServiceMessage parse(ByteBuffer packet) {
        if (packet.remaining() < OVERHEAD || packet.getInt() != PIPE_DATA) {
            return null;
        }
        int length = packet.getInt();
        if (length < HEADER || length > packet.remaining()) {
            return null;
        }
        ServiceVersion framework = ServiceVersion.parse(packet);
        int type = packet.getShort() & 0xffff;
        ServiceVersion version = ServiceVersion.parse(packet);
        int size = packet.getShort() & 0xffff;
        int status = packet.getInt();
        int transaction = packet.get() & 0xff;
        int flags = packet.get() & 0xff;
        packet.getShort();
        byte[] body = new byte[Math.min(size, length - HEADER)];
        packet.get(body);
        return new ServiceMessage(framework, type, version, status, transaction, flags, body);
    }

    boolean isAnswer() {
        return (flags & FLAG_ANSWER) != 0;
    }

    /** The body to read, little-endian. */
    ByteBuffer view() {
        return ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
    }
}
