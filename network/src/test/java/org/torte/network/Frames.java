package org.torte.network;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import org.torte.base.net.MacAddress;

/** Frames for tests, written out by hand from the RFCs, not by the code under test. */
public final class Frames {
    private Frames() {}

    public static byte[] ethernet(MacAddress to, MacAddress from, int type, byte[] body) {
        return ByteBuffer.allocate(14 + body.length)
                .put(to.bytes())
                .put(from.bytes())
                .putShort((short) type)
                .put(body)
                .array();
    }

    public static byte[] tagged(byte[] frame, int tag) {
        return ByteBuffer.allocate(frame.length + 4)
                .put(frame, 0, 12)
                .putShort((short) 0x8100)
                .putShort((short) tag)
                .put(frame, 12, frame.length - 12)
                .array();
    }

    public static byte[] address(String text) {
        try {
            return InetAddress.getByName(text).getAddress();
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** An IPv4 packet; {@code fragment} is the field of flags and offset. */
    public static byte[] ipv4(String from, String to, int protocol, int fragment, byte[] body) {
        ByteBuffer packet = ByteBuffer.allocate(20 + body.length)
                .put((byte) 0x45)
                .put((byte) 0)
                .putShort((short) (20 + body.length))
                .putShort((short) 7)
                .putShort((short) fragment)
                .put((byte) 64)
                .put((byte) protocol)
                .putShort((short) 0)
                .put(address(from))
                .put(address(to));
        packet.putShort(10, (short) checksum(packet.array(), 0, 20, 0));
        return packet.put(body).array();
    }

    public static byte[] ipv6(String from, String to, int next, byte[] body) {
        return ByteBuffer.allocate(40 + body.length)
                .putInt(6 << 28)
                .putShort((short) body.length)
                .put((byte) next)
                .put((byte) 255)
                .put(address(from))
                .put(address(to))
                .put(body)
                .array();
    }

    /** The first 8 bytes of TCP or UDP, with as many bytes behind. */
    public static byte[] ports(int from, int to, int more) {
        return ByteBuffer.allocate(8 + more)
                .putShort((short) from)
                .putShort((short) to)
                .putShort((short) (8 + more))
                .array();
    }

    /** RFC 1071. */
    public static int checksum(byte[] bytes, int from, int length, long start) {
        long sum = start;
        for (int i = 0; i < length; i++) {
            sum += (i & 1) == 0 ? (bytes[from + i] & 0xff) << 8 : bytes[from + i] & 0xff;
        }
        while (sum >>> 16 != 0) {
            sum = (sum & 0xffff) + (sum >>> 16);
        }
        return (int) ~sum & 0xffff;
    }
}
