package org.torte.network;

import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;

/**
 * A rule of a port: what it lets through and what not. "Local" is who is plugged in, "remote" is everybody else. Of a
 * port's rules the first one that fits a frame decides; a frame that none fits is let through. Rules keep no state.
 *
 * <p>What is absent fits all. With addresses, a protocol or port numbers it fits IP packets only, else all frames. Later
 * fragments have no port numbers: a denying rule takes them for its own, an allowing one does not.
 *
 * @param direction as the one who is plugged in sees it
 * @param allow whether frames that fit are let through
 * @param remoteMac the other station
 * @param local addresses of the one who is plugged in
 * @param remote addresses of the others
 * @param protocol the IP protocol, 0 to 255, or {@link #ANY}
 * @param localPorts of TCP, UDP or SCTP; needs such a protocol
 * @param remotePorts as {@code localPorts}
 */
public record AclRule(
        Direction direction,
        boolean allow,
        @Nullable MacAddress remoteMac,
        @Nullable AddressPrefix local,
        @Nullable AddressPrefix remote,
        int protocol,
        PortRange localPorts,
        PortRange remotePorts) {
    /** Any protocol. */
    public static final int ANY = -1;

    /** The protocols with port numbers. */
    public static final int TCP = 6, UDP = 17, SCTP = 132;

    /** Which way a frame goes. */
    public enum Direction {
        /** To the one who is plugged in. */
        INBOUND,
        /** From the one who is plugged in. */
        OUTBOUND,
        /** Both ways. */
        BOTH
    }

    /**
     * Port numbers, both ends included.
     *
     * @param first 0 to 65535
     * @param last {@code first} to 65535
     */
    public record PortRange(int first, int last) {
        /** All of them. */
        public static final PortRange ALL = new PortRange(0, 65535);

        /** Checks the range. */
        public PortRange {
            if (first < 0 || last < first || last > 65535) {
                throw new IllegalArgumentException("ports " + first + " to " + last);
            }
        }

        String text(String before) {
            return isAll() ? "" : before + (first == last ? "" + first : first + "-" + last);
        }

        boolean isAll() {
            return first == 0 && last == 65535;
        }

        boolean contains(int port) {
            return port >= first && port <= last;
        }
    }

    /** Checks that what the rule says makes sense. */
    public AclRule {
        if (protocol < ANY || protocol > 255) {
            throw new IllegalArgumentException("IP protocol " + protocol);
        }
        if (!(localPorts.isAll() && remotePorts.isAll()) && protocol != TCP && protocol != UDP && protocol != SCTP) {
            throw new IllegalArgumentException("a rule with port numbers is for TCP, UDP or SCTP");
        }
        if (local != null && remote != null && local.ipv6() != remote.ipv6()) {
            throw new IllegalArgumentException("a rule with IPv4 and IPv6 addresses fits nothing");
        }
    }

    /** A rule for all frames of one direction. */
    public static AclRule all(Direction direction, boolean allow) {
        return new AclRule(direction, allow, null, null, null, ANY, PortRange.ALL, PortRange.ALL);
    }

    /** A rule for the packets to or from some addresses. */
    public static AclRule remote(Direction direction, boolean allow, AddressPrefix remote) {
        return new AclRule(direction, allow, null, null, remote, ANY, PortRange.ALL, PortRange.ALL);
    }

    private static final String GRAMMAR =
            "a rule is allow or deny, then in, out or both, then perhaps tcp, udp, sctp, icmp,"
                    + " icmpv6 or a protocol's number, local PREFIX, local-port N[-M], remote PREFIX, remote-port N[-M],"
                    + " remote-mac ADDRESS";

    /**
     * Reads what {@link #text} writes, such as {@code deny out tcp remote 10.0.0.0/8 remote-port 25}.
     *
     * @throws IllegalArgumentException when it is something else
     */
    public static AclRule parse(String text) {
        String[] words = text.strip().toLowerCase(java.util.Locale.ROOT).split("\\s+", -1);
        if (words.length < 2 || !words[0].matches("allow|deny")) {
            throw wrong(text);
        }
        Direction direction = switch (words[1]) {
            case "in" -> Direction.INBOUND;
            case "out" -> Direction.OUTBOUND;
            case "both" -> Direction.BOTH;
            default -> throw wrong(text);
        };
        int at = 2;
        int protocol = at < words.length ? protocol(words[at]) : ANY;
        if (protocol != ANY) {
            at++;
        }
        MacAddress mac = null;
        AddressPrefix local = null;
        AddressPrefix remote = null;
        PortRange localPorts = PortRange.ALL;
        PortRange remotePorts = PortRange.ALL;
        Set<String> said = new HashSet<>();
        for (; at + 1 < words.length; at += 2) {
            String value = words[at + 1];
            if (!said.add(words[at])) {
                throw new IllegalArgumentException(
                        "a rule says " + words[at] + " once: write one rule for each; not \"" + text + "\"");
            }
            switch (words[at]) {
                case "local" -> local = AddressPrefix.parse(value);
                case "remote" -> remote = AddressPrefix.parse(value);
                case "local-port" -> localPorts = ports(value, text);
                case "remote-port" -> remotePorts = ports(value, text);
                case "remote-mac" -> mac = MacAddress.parse(value);
                default -> throw wrong(text);
            }
        }
        if (at != words.length) {
            throw wrong(text);
        }
        return new AclRule(direction, words[0].equals("allow"), mac, local, remote, protocol, localPorts, remotePorts);
    }

    private static int protocol(String word) {
        return switch (word) {
            case "tcp" -> TCP;
            case "udp" -> UDP;
            case "sctp" -> SCTP;
            case "icmp" -> 1;
            case "icmpv6" -> 58;
            default -> word.matches("\\d{1,3}") ? Integer.parseInt(word) : ANY;
        };
    }

    private static PortRange ports(String value, String text) {
        if (!value.matches("\\d{1,5}(-\\d{1,5})?")) {
            throw wrong(text);
        }
        int hyphen = value.indexOf('-');
        int first = Integer.parseInt(hyphen < 0 ? value : value.substring(0, hyphen));
        return new PortRange(first, hyphen < 0 ? first : Integer.parseInt(value.substring(hyphen + 1)));
    }

    private static IllegalArgumentException wrong(String text) {
        return new IllegalArgumentException(GRAMMAR + "; not \"" + text + "\"");
    }

    /** In words that {@link #parse} reads. */
    public String text() {
        StringBuilder text = new StringBuilder(allow ? "allow " : "deny ");
        text.append(
                switch (direction) {
                    case INBOUND -> "in";
                    case OUTBOUND -> "out";
                    case BOTH -> "both";
                });
        if (protocol != ANY) {
            text.append(' ')
                    .append(
                            switch (protocol) {
                                case TCP -> "tcp";
                                case UDP -> "udp";
                                case SCTP -> "sctp";
                                case 1 -> "icmp";
                                case 58 -> "icmpv6";
                                default -> Integer.toString(protocol);
                            });
        }
        if (local != null) {
            text.append(" local ").append(local.text());
        }
        text.append(localPorts.text(" local-port "));
        if (remote != null) {
            text.append(" remote ").append(remote.text());
        }
        text.append(remotePorts.text(" remote-port "));
        if (remoteMac != null) {
            text.append(" remote-mac ").append(remoteMac);
        }
        return text.toString();
    }

    boolean applies(boolean outbound) {
        return direction == Direction.BOTH || (direction == Direction.OUTBOUND) == outbound;
    }

    /** Whether it fits a frame, which {@code packet} has read. */
    boolean fits(Dissector packet, boolean outbound) {
        if (remoteMac != null && remoteMac.value() != (outbound ? packet.destinationMac : packet.sourceMac)) {
            return false;
        }
        if (local == null && remote == null && protocol == ANY) {
            return true;
        }
        if (!packet.isIp()
                || (protocol != ANY && protocol != packet.protocol)
                || !fits(outbound ? remote : local, packet.ipv6, packet.destinationHigh, packet.destinationLow)
                || !fits(outbound ? local : remote, packet.ipv6, packet.sourceHigh, packet.sourceLow)) {
            return false;
        }
        if (localPorts.isAll() && remotePorts.isAll()) {
            return true;
        }
        if (!packet.hasPorts) {
            return !allow;
        }
        return localPorts.contains(outbound ? packet.sourcePort : packet.destinationPort)
                && remotePorts.contains(outbound ? packet.destinationPort : packet.sourcePort);
    }

    private static boolean fits(@Nullable AddressPrefix prefix, boolean ipv6, long high, long low) {
        return prefix == null || prefix.contains(ipv6, high, low);
    }
}
