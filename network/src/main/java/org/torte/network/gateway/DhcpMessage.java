package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;

/**
 * What a DHCP client says (RFC 2131, section 2; options of RFC 2132).
 *
 * <pre>
 *   0 op 1, htype 1, hlen 6, hops   4 xid   8 secs 10 flags   12 ciaddr 16 yiaddr 20 siaddr 24 giaddr
 *  28 chaddr (16)   44 sname (64)   108 file (128)   236 magic 63 82 53 63   240 options
 * </pre>
 *
 * @param type what it wants, option 53
 * @param transaction the client's number
 * @param broadcast whether it can only be answered by a broadcast
 * @param clientAddress the address that it has, or 0
 * @param station the client's Ethernet address
 * @param requested the address that it wants, option 50, or 0
 * @param server whom it has chosen, option 54, or 0
 * @param hostName what it calls itself, option 12, in lower case
 */
record DhcpMessage(
        int type,
        int transaction,
        boolean broadcast,
        int clientAddress,
        MacAddress station,
        int requested,
        int server,
        @Nullable String hostName) {
    static final int DISCOVER = 1, OFFER = 2, REQUEST = 3, DECLINE = 4, ACK = 5, NAK = 6, RELEASE = 7, INFORM = 8;
    static final int MAGIC = 0x6382_5363;
    static final int OPTIONS = 240;
    static final int PAD = 0, HOST_NAME = 12, REQUESTED = 50, TYPE = 53, SERVER = 54, END = 255;

    /** Reads a request; nothing when it is none, or one through a relay. */
    static Optional<DhcpMessage> parse(ByteBuffer bytes) {
        if (bytes.limit() < OPTIONS
                || bytes.get(0) != 1
                || bytes.get(1) != 1
                || bytes.get(2) != MacAddress.LENGTH
                || bytes.getInt(24) != 0
                || bytes.getInt(236) != MAGIC) {
            return Optional.empty();
        }
        int type = 0;
        int requested = 0;
        int server = 0;
        String hostName = null;
        int at = OPTIONS;
        while (at < bytes.limit()) {
            int option = bytes.get(at++) & 0xff;
            if (option == END) {
                break;
            }
            if (option == PAD) {
                continue;
            }
            if (at == bytes.limit()) {
                return Optional.empty();
            }
            int length = bytes.get(at++) & 0xff;
            if (length > bytes.limit() - at) {
                return Optional.empty();
            }
            switch (option) {
                case TYPE -> type = length == 1 ? bytes.get(at) : 0;
                case REQUESTED -> requested = length == 4 ? bytes.getInt(at) : 0;
                case SERVER -> server = length == 4 ? bytes.getInt(at) : 0;
                case HOST_NAME -> hostName = label(bytes, at, length);
                default -> {}
            }
            at += length;
        }
        long station = bytes.getLong(28) >>> 16;
        return Optional.of(new DhcpMessage(
                type,
                bytes.getInt(4),
                bytes.getShort(10) < 0,
                bytes.getInt(12),
                new MacAddress(station),
                requested,
                server,
                hostName));
    }

    /** The first label of a name, if it can be one. */
    private static @Nullable String label(ByteBuffer bytes, int at, int length) {
        byte[] name = new byte[length];
        bytes.get(at, name);
        String text = new String(name, StandardCharsets.US_ASCII).toLowerCase(Locale.ROOT);
        int dot = text.indexOf('.');
        String label = dot < 0 ? text : text.substring(0, dot);
        return LeaseTable.isLabel(label) ? label : null;
    }
}
