package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;
import org.torte.network.wire.Packets;

/** Answers whoever translates addresses, when it asks where a guest is: all are at one Ethernet address, behind the gateway. */
final class GuestNeighbour {
    private GuestNeighbour() {}

    /** The answer to a request by ARP (RFC 826) or a neighbour solicitation (RFC 4861); null to everything else. */
    static byte @Nullable [] answer(MacAddress guests, MemorySegment frame) {
        long length = frame.byteSize();
        if (length < 42) {
            return null;
        }
        int type = (frame.get(JAVA_BYTE, 12) & 0xff) << 8 | frame.get(JAVA_BYTE, 13) & 0xff;
        if (type == Packets.ARP) {
            return arp(guests, frame);
        }
        boolean solicits = type == Packets.IPV6
                && length >= 78
                && frame.get(JAVA_BYTE, 20) == Packets.ICMPV6
                && (frame.get(JAVA_BYTE, 54) & 0xff) == 135;
        return solicits ? neighbour(guests, frame) : null;
    }

    private static byte @Nullable [] arp(MacAddress guests, MemorySegment frame) {
        if (frame.get(JAVA_BYTE, 21) != 1) {
            return null;
        }
        byte[] request = frame.asSlice(0, 42).toArray(JAVA_BYTE);
        return ByteBuffer.allocate(42)
                .put(request, 6, 6)
                .put(guests.bytes())
                .putShort((short) Packets.ARP)
                .putLong(0x0001_0800_0604_0002L)
                .put(guests.bytes())
                .put(request, 38, 4)
                .put(request, 22, 10)
                .array();
    }

    private static byte[] neighbour(MacAddress guests, MemorySegment frame) {
        byte[] request = frame.asSlice(0, 78).toArray(JAVA_BYTE);
        byte[] asking = Arrays.copyOfRange(request, 22, 38);
        byte[] wanted = Arrays.copyOfRange(request, 62, 78);
        ByteBuffer advertisement = ByteBuffer.allocate(32)
                .putInt(136 << 24)
                .putInt(0x6000_0000) // solicited, override
                .put(wanted)
                .putShort((short) 0x0201)
                .put(guests.bytes());
        return Packets.icmpv6(
                new MacAddress(ByteBuffer.wrap(request).getLong(6) >>> 16),
                guests,
                asking,
                wanted,
                255,
                advertisement.array());
    }
}
