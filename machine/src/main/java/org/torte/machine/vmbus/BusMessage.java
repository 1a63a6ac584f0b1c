package org.torte.machine.vmbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;

/**
 * Messages of the bus: a type of 4 bytes, 4 bytes of filling, and a body.
 *
 * <pre>
 *  1 offer             interface 16, instance 16, 16, flags 2, MiB 2, user 120, subchannel 2, 2, channel 4, monitor 1,
 *                      monitored 1, own interrupt 2, connection 4
 *  2 rescind           channel
 *  3 request offers
 *  4 all offers delivered
 *  5 open              channel, open id, ring buffer, processor, first page of the second ring, user 120
 *  6 open result       channel, open id, status
 *  7 close             channel
 *  8 buffer            channel, handle, length 2, ranges 2, list
 *  9 buffer, more      number, handle, list
 * 10 buffer created    channel, handle, status
 * 11 buffer teardown   channel, handle
 * 12 buffer torn down  handle
 * 13 channel released  channel
 * 14 initiate contact  version, processor, interrupt 1, 7, monitor pages 16
 * 15 version response  supported 1, state 1, 2, connection 4
 * 16 unload
 * 17 unload response
 * 22 modify channel    channel, processor
 * 24 modify response   channel, status
 * </pre>
 */
final class BusMessage {
    static final int OFFER = 1, RESCIND = 2, REQUEST_OFFERS = 3, ALL_OFFERS = 4, OPEN = 5, OPEN_RESULT = 6, CLOSE = 7;
    static final int GPADL_HEADER = 8, GPADL_BODY = 9, GPADL_CREATED = 10, GPADL_TEARDOWN = 11, GPADL_TORNDOWN = 12;
    static final int RELEASED = 13, INITIATE_CONTACT = 14, VERSION_RESPONSE = 15, UNLOAD = 16, UNLOAD_RESPONSE = 17;
    static final int MODIFY = 22, MODIFY_RESPONSE = 24;
    static final int HEADER = 8, USER_DATA = 120;
    private static final int ENUMERATE = 1, PIPE = 0x10, MESSAGE_PIPE = 4;
    private static final int OWN_INTERRUPT = 1;

    private BusMessage() {}

    /** Writes the header; gives the place of the body. */
    private static ByteBuffer begin(byte[] message, int type) {
        return ByteBuffer.wrap(message)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(type)
                .putInt(0);
    }

    /** A message of 4-byte values. */
    static byte[] of(int type, int... values) {
        byte[] message = new byte[HEADER + values.length * Integer.BYTES];
        ByteBuffer out = begin(message, type);
        for (int value : values) {
            out.putInt(value);
        }
        return message;
    }

    static byte[] offer(ChannelOffer offer, int subchannel, int channel, int connection) {
        byte[] message = new byte[HEADER + 188];
        ByteBuffer out = begin(message, OFFER);
        putGuid(out, offer.interfaceType());
        putGuid(out, offer.instance());
        out.putLong(0).putLong(0);
        out.putShort((short) (ENUMERATE | (offer.pipe() ? PIPE : 0)));
        out.putShort((short) offer.mmioMegabytes());
        int user = out.position();
        out.putInt(offer.pipe() ? MESSAGE_PIPE : 0);
        out.position(user + USER_DATA);
        out.putShort((short) subchannel).putShort((short) 0);
        out.putInt(channel);
        out.put((byte) 0).put((byte) 0).putShort((short) OWN_INTERRUPT);
        out.putInt(connection);
        return message;
    }

    /** With the connection for further messages, where the version has it. */
    static byte[] versionResponse(boolean supported, int connection) {
        byte[] message = new byte[HEADER + 8];
        begin(message, VERSION_RESPONSE)
                .put((byte) (supported ? 1 : 0))
                .position(HEADER + 4)
                .putInt(connection);
        return message;
    }

    /** A GUID as Windows lays it out: the first three fields little-endian, the rest as it is written. */
    static void putGuid(ByteBuffer out, UUID guid) {
        long high = guid.getMostSignificantBits();
        out.putInt((int) (high >>> 32)).putShort((short) (high >>> 16)).putShort((short) high);
        out.putLong(Long.reverseBytes(guid.getLeastSignificantBits()));
    }
}
