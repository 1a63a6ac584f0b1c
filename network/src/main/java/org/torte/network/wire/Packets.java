package org.torte.network.wire;

import java.nio.ByteBuffer;
import org.torte.base.net.MacAddress;

/** Builds what the gateway sends: Ethernet, IP and UDP around a body, with lengths and checksums. */
public final class Packets {
    /** Numbers of what follows the Ethernet header. */
    public static final int IPV4 = 0x0800, IPV6 = 0x86dd, ARP = 0x0806;
    /** Numbers of what follows the IP header. */
    public static final int ICMP = 1, UDP = 17, TCP = 6, ICMPV6 = 58;
    /** Lengths of headers without options. */
    public static final int ETHERNET_HEADER = 14, IPV4_HEADER = 20, IPV6_HEADER = 40, UDP_HEADER = 8;

    private static final int HOP_LIMIT = 64;

    private Packets() {}

    /** A frame with room for {@code length} bytes behind the header, where the buffer stands. */
    public static ByteBuffer ethernet(MacAddress to, MacAddress from, int type, int length) {
        return ByteBuffer.allocate(ETHERNET_HEADER + length)
                .put(to.bytes())
                .put(from.bytes())
                .putShort((short) type);
    }

    /** A frame with an IP packet; the family is that of the addresses, which have 4 or 16 bytes. */
    @SuppressWarnings("ByteBufferBackingArray") // of a buffer that ethernet has allocated
    public static byte[] ip(
            MacAddress to, MacAddress from, byte[] target, byte[] source, int protocol, int hops, byte[] body) {
        boolean v4 = target.length == 4;
        int length = (v4 ? IPV4_HEADER : IPV6_HEADER) + body.length;
        ByteBuffer frame = ethernet(to, from, v4 ? IPV4 : IPV6, length);
        if (v4) {
            frame.put((byte) 0x45)
                    .put((byte) 0)
                    .putShort((short) length)
                    .putInt(0)
                    .put((byte) hops)
                    .put((byte) protocol)
                    .putShort((short) 0)
                    .put(source)
                    .put(target);
            frame.putShort(ETHERNET_HEADER + 10, (short) finish(sum(frame.array(), ETHERNET_HEADER, IPV4_HEADER, 0)));
        } else {
            frame.putInt(6 << 28)
                    .putShort((short) body.length)
                    .put((byte) protocol)
                    .put((byte) hops)
                    .put(source)
                    .put(target);
        }
        return frame.put(body).array();
    }

    /** A frame with a UDP datagram. */
    public static byte[] udp(
            MacAddress to, MacAddress from, byte[] target, byte[] source, int targetPort, int sourcePort, byte[] body) {
        ByteBuffer datagram = ByteBuffer.allocate(UDP_HEADER + body.length)
                .putShort((short) sourcePort)
                .putShort((short) targetPort)
                .putShort((short) (UDP_HEADER + body.length))
                .putShort((short) 0)
                .put(body);
        int checksum = finish(
                sum(datagram.array(), 0, datagram.capacity(), pseudoHeader(target, source, UDP, datagram.capacity())));
        datagram.putShort(6, (short) (checksum == 0 ? 0xffff : checksum));
        return ip(to, from, target, source, UDP, HOP_LIMIT, datagram.array());
    }

    /** A frame with an ICMPv6 message, whose checksum is filled in. */
    public static byte[] icmpv6(
            MacAddress to, MacAddress from, byte[] target, byte[] source, int hops, byte[] message) {
        int checksum = finish(sum(message, 0, message.length, pseudoHeader(target, source, ICMPV6, message.length)));
        message[2] = (byte) (checksum >>> 8);
        message[3] = (byte) checksum;
        return ip(to, from, target, source, ICMPV6, hops, message);
    }

    /** What RFC 768, RFC 9293 and RFC 8200 (section 8.1) put before the body when they sum it up. */
    public static long pseudoHeader(byte[] target, byte[] source, int protocol, int length) {
        return sum(target, 0, target.length, sum(source, 0, source.length, protocol + (long) length));
    }

    /** The one's complement sum of RFC 1071, not folded. */
    public static long sum(byte[] bytes, int from, int length, long start) {
        long sum = start;
        int i = 0;
        for (; i + 1 < length; i += 2) {
            sum += (bytes[from + i] & 0xff) << 8 | bytes[from + i + 1] & 0xff;
        }
        return i < length ? sum + ((bytes[from + i] & 0xff) << 8) : sum;
    }

    /** Its complement, folded. */
    public static int finish(long sum) {
        long folded = sum;
        while (folded >>> 16 != 0) {
            folded = (folded & 0xffff) + (folded >>> 16);
        }
        return (int) ~folded & 0xffff;
    }
}
