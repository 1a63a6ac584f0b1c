package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;
import org.torte.network.wire.Packets;

/**
 * The gateway as an IPv6 router and neighbour (RFC 4861), and as one that answers pings: what it says to solicitations, and
 * its advertisements with prefix, MTU, name server and domain (RFC 8106).
 */
final class RouterDiscovery {
    static final int ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134;
    static final int NEIGHBOUR_SOLICITATION = 135, NEIGHBOUR_ADVERTISEMENT = 136;
    static final int ECHO_REQUEST = 128, ECHO_REPLY = 129;

    /** How long a router or name server is good for, in seconds; advertised three times in that. */
    static final int LIFETIME = 1800;

    private static final int HOPS = 255;
    private static final byte[] ALL_NODES = new byte[16];
    private static final MacAddress ALL_NODES_MAC = new MacAddress(0x3333_0000_0001L);
    private static final int PREFIX_LIFETIME = 86_400;

    static {
        ALL_NODES[0] = (byte) 0xff;
        ALL_NODES[1] = 2;
        ALL_NODES[15] = 1;
    }

    private final Subnet subnet;
    private final int mtu;

    RouterDiscovery(Subnet subnet, int mtu) {
        this.subnet = subnet;
        this.mtu = mtu;
    }

    /** What it says about the router to everybody; not a router for anything else when there is no way out. */
    byte[] advertisement(boolean wayOut) {
        return advertisement(wayOut, ALL_NODES_MAC, ALL_NODES);
    }

    private byte[] advertisement(boolean wayOut, MacAddress to, byte[] target) {
        byte[] domain = Subnet.DOMAIN.getBytes(StandardCharsets.US_ASCII);
        ByteBuffer message = ByteBuffer.allocate(16 + 8 + 8 + 32 + 24 + 16);
        message.put((byte) ROUTER_ADVERTISEMENT).put((byte) 0).putShort((short) 0);
        message.put((byte) 64)
                .put((byte) 0)
                .putShort((short) (wayOut ? LIFETIME : 0))
                .putInt(0)
                .putInt(0);
        message.put((byte) 1).put((byte) 1).put(subnet.gatewayMac().bytes());
        message.put((byte) 5).put((byte) 1).putShort((short) 0).putInt(mtu);
        message.put((byte) 3).put((byte) 4).put((byte) 64).put((byte) 0xc0); // on the link, and to make addresses from
        message.putInt(PREFIX_LIFETIME)
                .putInt(PREFIX_LIFETIME / 6)
                .putInt(0)
                .putLong(subnet.prefix6())
                .putLong(0);
        message.put((byte) 25)
                .put((byte) 3)
                .putShort((short) 0)
                .putInt(LIFETIME)
                .put(subnet.gateway6());
        message.put((byte) 31).put((byte) 2).putShort((short) 0).putInt(LIFETIME);
        message.put((byte) domain.length).put(domain);
        return Packets.icmpv6(to, subnet.gatewayMac(), target, subnet.linkLocal6(), HOPS, message.array());
    }

    /**
     * Answers an ICMPv6 message.
     *
     * @param frame the whole frame, an IPv6 packet with ICMPv6 right behind its header and a right checksum
     * @return the frame to send, or null
     */
    byte @Nullable [] answer(byte[] frame, boolean wayOut) {
        int ip = Packets.ETHERNET_HEADER;
        int at = ip + Packets.IPV6_HEADER;
        byte[] asking = Arrays.copyOfRange(frame, ip + 8, ip + 24);
        byte[] served = Arrays.copyOfRange(frame, ip + 24, ip + 40);
        MacAddress peer = new MacAddress(ByteBuffer.wrap(frame).getLong(6) >>> 16);
        boolean unspecified = Arrays.equals(asking, new byte[16]);
        boolean local = (frame[ip + 7] & 0xff) == HOPS;
        return switch (frame[at] & 0xff) {
            case ROUTER_SOLICITATION ->
                local
                        ? advertisement(wayOut, unspecified ? ALL_NODES_MAC : peer, unspecified ? ALL_NODES : asking)
                        : null;
            case NEIGHBOUR_SOLICITATION -> local ? neighbour(frame, at, peer, asking, unspecified) : null;
            case ECHO_REQUEST -> {
                if (!isGateway(served) || unspecified) {
                    yield null;
                }
                byte[] reply = Arrays.copyOfRange(frame, at, frame.length);
                reply[0] = (byte) ECHO_REPLY;
                reply[2] = 0;
                reply[3] = 0;
                yield Packets.icmpv6(peer, subnet.gatewayMac(), asking, served, 64, reply);
            }
            default -> null;
        };
    }

    private byte @Nullable [] neighbour(byte[] frame, int at, MacAddress peer, byte[] asking, boolean unspecified) {
        if (frame.length < at + 24) {
            return null;
        }
        byte[] wanted = Arrays.copyOfRange(frame, at + 8, at + 24);
        return isGateway(wanted) ? advertiseNeighbour(wanted, peer, asking, unspecified) : null;
    }

    private byte[] advertiseNeighbour(byte[] wanted, MacAddress peer, byte[] asking, boolean toAll) {
        ByteBuffer message = ByteBuffer.allocate(32)
                .put((byte) NEIGHBOUR_ADVERTISEMENT)
                .put((byte) 0)
                .putShort((short) 0)
                .putInt(toAll ? 0xa000_0000 : 0xe000_0000) // router, solicited, override
                .put(wanted)
                .put((byte) 2)
                .put((byte) 1)
                .put(subnet.gatewayMac().bytes());
        return Packets.icmpv6(
                toAll ? ALL_NODES_MAC : peer,
                subnet.gatewayMac(),
                toAll ? ALL_NODES : asking,
                wanted,
                HOPS,
                message.array());
    }

    private boolean isGateway(byte[] address) {
        return Arrays.equals(address, subnet.gateway6()) || Arrays.equals(address, subnet.linkLocal6());
    }
}
