package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;
import org.torte.network.wire.Packets;

/** Gives stations their addresses (RFC 2131). One call at a time. */
final class DhcpServer {
    static final int SERVER_PORT = 67, CLIENT_PORT = 68;

    /** How long a lease lasts. Sticky all the same: a day bounds how long a machine keeps what it must not have. */
    static final int LEASE_SECONDS = 24 * 3600;

    private static final int LEAST_LENGTH = 300;
    private static final int MASK = 1, ROUTER = 3, DNS = 6, DOMAIN = 15, MTU = 26, BROADCAST = 28;
    private static final int LEASE_TIME = 51, RENEWAL = 58, REBINDING = 59, SEARCH = 119;

    private final Subnet subnet;
    private final LeaseTable leases;
    private final int mtu;

    DhcpServer(Subnet subnet, LeaseTable leases, int mtu) {
        this.subnet = subnet;
        this.leases = leases;
        this.mtu = mtu;
    }

    /**
     * Answers a request.
     *
     * @param from the Ethernet address that sent it: nobody asks for others
     * @param body what the datagram carries
     * @return the frame to send, or null when there is nothing to say
     */
    byte @Nullable [] answer(MacAddress from, ByteBuffer body) {
        Optional<DhcpMessage> parsed = DhcpMessage.parse(body);
        if (parsed.isEmpty() || !parsed.get().station().equals(from) || from.isGroup() || from.value() == 0) {
            return null;
        }
        DhcpMessage request = parsed.get();
        return switch (request.type()) {
            case DhcpMessage.DISCOVER ->
                leases.offer(from)
                        .map(lease -> reply(request, DhcpMessage.OFFER, lease.address()))
                        .orElse(null);
            case DhcpMessage.REQUEST -> request(from, request);
            case DhcpMessage.DECLINE -> {
                leases.decline(from, request.requested());
                yield null;
            }
            case DhcpMessage.RELEASE -> {
                leases.release(from, request.clientAddress());
                yield null;
            }
            case DhcpMessage.INFORM ->
                subnet.contains(request.clientAddress()) ? reply(request, DhcpMessage.ACK, 0) : null;
            default -> null;
        };
    }

    /** Section 4.3.2: selecting, after a restart, renewing or rebinding. */
    private byte @Nullable [] request(MacAddress from, DhcpMessage request) {
        if (request.server() != 0 && request.server() != subnet.gateway()) {
            return null; // another server was chosen
        }
        int wanted = request.clientAddress() != 0 ? request.clientAddress() : request.requested();
        return leases.grant(from, wanted, LEASE_SECONDS, request.hostName())
                .map(lease -> reply(request, DhcpMessage.ACK, lease.address()))
                .orElseGet(() -> reply(request, DhcpMessage.NAK, 0));
    }

    private byte[] reply(DhcpMessage request, int type, int address) {
        ByteBuffer body = ByteBuffer.allocate(600);
        body.put((byte) 2).put((byte) 1).put((byte) MacAddress.LENGTH).put((byte) 0);
        body.putInt(request.transaction()).putShort((short) 0).putShort((short) (request.broadcast() ? 0x8000 : 0));
        boolean nak = type == DhcpMessage.NAK;
        body.putInt(nak ? 0 : request.clientAddress())
                .putInt(address)
                .putInt(nak ? 0 : subnet.gateway())
                .putInt(0);
        body.put(request.station().bytes());
        body.position(DhcpMessage.OPTIONS - 4);
        body.putInt(DhcpMessage.MAGIC);
        option(body, DhcpMessage.TYPE, 1).put((byte) type);
        number(body, DhcpMessage.SERVER, subnet.gateway());
        if (!nak) {
            describe(body, request);
        }
        body.put((byte) DhcpMessage.END);
        byte[] bytes = new byte[Math.max(LEAST_LENGTH, body.position())];
        body.get(0, bytes, 0, body.position());

        // Section 4.1: to the address that the client has; before it has one, to its station, unless it asks for a
        // broadcast.
        boolean toAll = nak || (request.clientAddress() == 0 && request.broadcast());
        int target = toAll ? -1 : request.clientAddress() != 0 ? request.clientAddress() : address;
        return Packets.udp(
                toAll ? MacAddress.BROADCAST : request.station(),
                subnet.gatewayMac(),
                bytes(target),
                bytes(subnet.gateway()),
                CLIENT_PORT,
                SERVER_PORT,
                bytes);
    }

    private void describe(ByteBuffer body, DhcpMessage request) {
        number(body, MASK, subnet.mask());
        number(body, ROUTER, subnet.gateway());
        number(body, DNS, subnet.gateway());
        number(body, BROADCAST, subnet.broadcast());
        option(body, MTU, 2).putShort((short) mtu);
        byte[] domain = Subnet.DOMAIN.getBytes(StandardCharsets.US_ASCII);
        option(body, DOMAIN, domain.length).put(domain);
        option(body, SEARCH, domain.length + 2)
                .put((byte) domain.length)
                .put(domain)
                .put((byte) 0);
        if (request.type() != DhcpMessage.INFORM) {
            number(body, LEASE_TIME, LEASE_SECONDS);
            number(body, RENEWAL, LEASE_SECONDS / 2);
            number(body, REBINDING, LEASE_SECONDS / 8 * 7);
        }
    }

    private static ByteBuffer option(ByteBuffer body, int option, int length) {
        return body.put((byte) option).put((byte) length);
    }

    private static void number(ByteBuffer body, int option, int value) {
        option(body, option, 4).putInt(value);
    }

    static byte[] bytes(int address) {
        return ByteBuffer.allocate(4).putInt(address).array();
    }
}
