package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The messages of NVSP: a type of 4 bytes and a body, filled up to {@value #OLD_LENGTH} bytes, or {@value #LENGTH} from
 * version 6.1 on.
 *
 * <pre>
 *   1 init                     least version 4, most 4
 *   2 init complete            version 4, longest chain of buffers 4, status 4
 * 100 NDIS version             major 4, minor 4
 * 101 receive buffer           handle 4, id 2
 * 102 receive buffer complete  status 4, sections 4, {offset 4, size 4, count 4, end 4}
 * 103 revoke receive buffer    id 2
 * 104 send buffer              handle 4, id 2
 * 105 send buffer complete     status 4, section size 4
 * 106 revoke send buffer       id 2
 * 107 RNDIS message            channel 4 (0 data, 1 control), section of the send buffer 4, bytes in it 4
 * 108 RNDIS message complete   status 4
 * 125 NDIS configuration       largest frame 4, 4, capabilities 8
 * 133 sub-channels             operation 4 (1 allocate), count 4; the answer: status 4, count 4
 * 134 send table               entries 4, offset in the message 4; at it, a channel's number of 4 bytes each
 * </pre>
 *
 * A message of the guest's that is a request is answered in the completion of its packet.
 */
sealed interface Nvsp {
    int OLD_LENGTH = 0x1c, LENGTH = 0x28;
    int INIT = 1, INIT_COMPLETE = 2;
    int NDIS_VERSION = 100, RECEIVE_BUFFER = 101, RECEIVE_BUFFER_COMPLETE = 102, REVOKE_RECEIVE_BUFFER = 103;
    int SEND_BUFFER = 104, SEND_BUFFER_COMPLETE = 105, REVOKE_SEND_BUFFER = 106;
    int RNDIS = 107, RNDIS_COMPLETE = 108, NDIS_CONFIGURATION = 125, SUBCHANNELS = 133, SEND_TABLE = 134;
    int VERSION_1 = 2, VERSION_2 = 0x30002, VERSION_4 = 0x40000, VERSION_5 = 0x50000, VERSION_6 = 0x60000;
    int VERSION_6_1 = 0x60001;

    int SUCCESS = 1, FAILURE = 2, TOO_NEW = 3, TOO_OLD = 4, INVALID_RNDIS = 5;

    /** The channel of an RNDIS message. */
    int DATA = 0, CONTROL = 1;

    /** The only operation on sub-channels. */
    int ALLOCATE = 1;

    /** How many entries the table has by which the guest chooses a channel for what it sends. */
    int SEND_TABLE_ENTRIES = 16;

    /** Stands for the section of a message that is not in the send buffer. */
    int NO_SECTION = -1;

    /** Where the parts of an RNDIS message are, for those who look themselves. */
    int RNDIS_CHANNEL_AT = 4, RNDIS_SECTION_AT = 8, RNDIS_SIZE_AT = 12, RNDIS_LENGTH = 16;

    record Init(int least, int most) implements Nvsp {}

    record NdisVersion(int major, int minor) implements Nvsp {}

    record ReceiveBufferOffer(int handle, int id) implements Nvsp {}

    record ReceiveBufferRevoked(int id) implements Nvsp {}

    record SendBufferOffer(int handle, int id) implements Nvsp {}

    record SendBufferRevoked(int id) implements Nvsp {}

    /** The largest frame has an Ethernet header and no VLAN tag. */
    record NdisConfiguration(int largestFrame, long capabilities) implements Nvsp {}

    record SubchannelRequest(int operation, int count) implements Nvsp {}

    /** Nothing that is known here, or too short. */
    record Unknown(int type) implements Nvsp {}

    /** Reads a message, {@link #RNDIS} excepted, from position 0 to the limit. */
    static Nvsp parse(ByteBuffer data) {
        int type = data.remaining() < 4 ? 0 : data.getInt(0);
        int body = data.remaining() - 4;
        return switch (type) {
            case INIT -> body < 8 ? new Unknown(type) : new Init(data.getInt(4), data.getInt(8));
            case NDIS_VERSION -> body < 8 ? new Unknown(type) : new NdisVersion(data.getInt(4), data.getInt(8));
            case RECEIVE_BUFFER ->
                body < 6 ? new Unknown(type) : new ReceiveBufferOffer(data.getInt(4), data.getShort(8) & 0xffff);
            case REVOKE_RECEIVE_BUFFER ->
                body < 2 ? new Unknown(type) : new ReceiveBufferRevoked(data.getShort(4) & 0xffff);
            case SEND_BUFFER ->
                body < 6 ? new Unknown(type) : new SendBufferOffer(data.getInt(4), data.getShort(8) & 0xffff);
            case REVOKE_SEND_BUFFER -> body < 2 ? new Unknown(type) : new SendBufferRevoked(data.getShort(4) & 0xffff);
            case NDIS_CONFIGURATION ->
                body < 16 ? new Unknown(type) : new NdisConfiguration(data.getInt(4), data.getLong(12));
            case SUBCHANNELS -> body < 8 ? new Unknown(type) : new SubchannelRequest(data.getInt(4), data.getInt(8));
            default -> new Unknown(type);
        };
    }

    /** How many bytes messages of a version have. */
    static int length(int version) {
        return version >= VERSION_6_1 ? LENGTH : OLD_LENGTH;
    }

    private static byte[] message(int length, int... values) {
        byte[] message = new byte[length];
        ByteBuffer out = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
        for (int value : values) {
            out.putInt(value);
        }
        return message;
    }

    /**
     * Answers {@link Init}.
     *
     * @param chain the most pieces of memory of one packet
     */
    static byte[] initComplete(int length, int version, int chain, int status) {
        return message(length, INIT_COMPLETE, version, chain, status);
    }

    /** Answers {@link ReceiveBufferOffer}: one section from the buffer's beginning, or none after a failure. */
    static byte[] receiveBufferComplete(int length, int status, int size, int count) {
        return message(
                length, RECEIVE_BUFFER_COMPLETE, status, status == SUCCESS ? 1 : 0, 0, size, count, size * count);
    }

    /** Answers {@link SendBufferOffer}. */
    static byte[] sendBufferComplete(int length, int status, int sectionSize) {
        return message(length, SEND_BUFFER_COMPLETE, status, sectionSize);
    }

    /** Answers an RNDIS message. */
    static byte[] rndisComplete(int status) {
        return message(8, RNDIS_COMPLETE, status);
    }

    /** Answers {@link SubchannelRequest}. */
    static byte[] subchannelsComplete(int length, int status, int count) {
        return message(length, SUBCHANNELS, status, count);
    }

    /** The table by which the guest spreads what it sends over its channels. */
    static byte[] sendTable(int length, int channels) {
        byte[] message = message(length + SEND_TABLE_ENTRIES * Integer.BYTES, SEND_TABLE, SEND_TABLE_ENTRIES, length);
        ByteBuffer table =
                ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN).position(length);
        for (int i = 0; i < SEND_TABLE_ENTRIES; i++) {
            table.putInt(i % channels);
        }
        return message;
    }

    /** Goes with RNDIS messages for the guest, which lie in its receive buffer. */
    static byte[] rndis(int channel) {
        return message(RNDIS_LENGTH, RNDIS, channel, NO_SECTION, 0);
    }
}
