package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Knows the names of the network, {@code web1.torte}, and asks the host's name servers about all others. Safe for several
 * threads.
 */
final class DnsServer {
    static final int PORT = 53;

    /** How long others may keep an answer of ours, in seconds: short, for machines come and go. */
    private static final int TTL = 10;

    /** What always means the gateway itself, and the address of the host's services. */
    private static final String GATEWAY_NAME = "gateway", HOST_NAME = "host";

    private static final String REVERSE = ".in-addr.arpa";

    private final Subnet subnet;
    private final LeaseTable leases;
    private final Forwarding forwarding;

    /** Asks other name servers. */
    interface Forwarding {
        /**
         * Sends a query on; the answer comes later, on another thread, or never.
         *
         * @return false when too many are under way already, or there is nobody to ask
         */
        boolean ask(ByteBuffer query, Consumer<byte[]> answer);
    }

    DnsServer(Subnet subnet, LeaseTable leases, Forwarding forwarding) {
        this.subnet = subnet;
        this.leases = leases;
        this.forwarding = forwarding;
    }

    /** Answers a query, at once or later, or not at all when it is none. */
    void query(ByteBuffer message, Consumer<byte[]> answer) {
        Optional<DnsMessage> parsed = DnsMessage.parse(message);
        if (parsed.isEmpty()) {
            return;
        }
        DnsMessage query = parsed.get();
        String suffix = "." + Subnet.DOMAIN;
        if (query.name().equals(Subnet.DOMAIN) || query.name().endsWith(suffix)) {
            answer.accept(local(query, message));
        } else if (ours(query.name())) {
            answer.accept(reverse(query, message));
        } else if (!forwarding.ask(message, answer)) {
            answer.accept(query.failure(message, DnsMessage.SERVER_FAILURE));
        }
    }

    private byte[] local(DnsMessage query, ByteBuffer message) {
        if (query.name().equals(Subnet.DOMAIN)) {
            return query.answer(message, DnsMessage.NO_ERROR, true, 0, TTL, List.of());
        }
        String name = query.name().substring(0, query.name().length() - Subnet.DOMAIN.length() - 1);
        boolean wantsA = query.type() == DnsMessage.A || query.type() == DnsMessage.ANY;
        if (name.equals(GATEWAY_NAME)) {
            if (query.type() == DnsMessage.AAAA) {
                return query.answer(
                        message, DnsMessage.NO_ERROR, true, DnsMessage.AAAA, TTL, List.of(subnet.gateway6()));
            }
            List<byte[]> address = wantsA ? List.of(DhcpServer.bytes(subnet.gateway())) : List.of();
            return query.answer(message, DnsMessage.NO_ERROR, true, DnsMessage.A, TTL, address);
        }
        if (name.equals(HOST_NAME)) {
            List<byte[]> address = wantsA ? List.of(DhcpServer.bytes(subnet.host())) : List.of();
            return query.answer(message, DnsMessage.NO_ERROR, true, DnsMessage.A, TTL, address);
        }
        Optional<Lease> lease = leases.named(name);
        if (lease.isEmpty() && !leases.isMachine(name)) {
            return query.answer(message, DnsMessage.NAME_ERROR, true, 0, TTL, List.of());
        }
        List<byte[]> addresses = lease.isPresent() && wantsA
                ? List.of(DhcpServer.bytes(lease.get().address()))
                : List.of();
        return query.answer(message, DnsMessage.NO_ERROR, true, DnsMessage.A, TTL, addresses);
    }

    /** Whether a name stands for an address of the network, backwards (RFC 1035, section 3.5). */
    private boolean ours(String name) {
        return subnet.contains(reversed(name).orElse(0));
    }

    private byte[] reverse(DnsMessage query, ByteBuffer message) {
        int address = reversed(query.name()).orElse(0);
        Optional<String> name = address == subnet.gateway()
                ? Optional.of(GATEWAY_NAME)
                : address == subnet.host() ? Optional.of(HOST_NAME) : leases.nameOf(address);
        if (name.isEmpty()) {
            return query.answer(message, DnsMessage.NAME_ERROR, true, 0, TTL, List.of());
        }
        boolean wanted = query.type() == DnsMessage.PTR || query.type() == DnsMessage.ANY;
        List<byte[]> names = wanted ? List.of(DnsMessage.wireName(name.get() + "." + Subnet.DOMAIN)) : List.of();
        return query.answer(message, DnsMessage.NO_ERROR, true, DnsMessage.PTR, TTL, names);
    }

    private static Optional<Integer> reversed(String name) {
        if (!name.endsWith(REVERSE)) {
            return Optional.empty();
        }
        String[] parts = name.substring(0, name.length() - REVERSE.length()).split("\\.", -1);
        if (parts.length != 4) {
            return Optional.empty();
        }
        int address = 0;
        for (int i = 3; i >= 0; i--) {
            if (!parts[i].matches("[0-9]{1,3}") || Integer.parseInt(parts[i]) > 255) {
                return Optional.empty();
            }
            address = address << 8 | Integer.parseInt(parts[i]);
        }
        return Optional.of(address);
    }
}
