package org.torte.network.host;

import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/**
 * A port of the host that leads to a port of a guest.
 *
 * @param udp whether it is of UDP; else of TCP
 * @param hostAddress where the host listens; IPv6 is for TCP
 * @param hostPort 1 to 65535
 * @param guestPort 1 to 65535
 */
public record PortForward(boolean udp, InetAddress hostAddress, int hostPort, int guestPort) {
    private static final Pattern TEXT = Pattern.compile(
            "(?:(?:(?<v4>(?:[0-9]+\\.){3}[0-9]+)|\\[(?<v6>[0-9a-fA-F:.]+)]):)?(?<host>[0-9]+):(?<guest>[0-9]+)"
                    + "(?:/(?<protocol>udp|tcp))?");
    private static final Inet4Address LOOPBACK = Subnet.address(0x7f00_0001);

    /** Checks the ranges. */
    public PortForward {
        if (hostPort < 1 || hostPort > 65535 || guestPort < 1 || guestPort > 65535) {
            throw new NetworkException("ports are 1 to 65535: " + hostPort + ":" + guestPort);
        }
        if (udp && hostAddress instanceof Inet6Address six) {
            throw new NetworkException("UDP is forwarded at IPv4 addresses only, not at [" + Subnet.text(six) + "]");
        }
    }

    /**
     * Reads {@code [ADDRESS:]HOST-PORT:GUEST-PORT[/udp]}, an IPv6 address in brackets; without an address the host listens on
     * its loopback address of IPv4 only.
     *
     * @throws NetworkException when it is something else
     */
    public static PortForward parse(String text) {
        Matcher parts = TEXT.matcher(text);
        if (!parts.matches()) {
            throw wrong(text, null);
        }
        try {
            return new PortForward(
                    "udp".equals(parts.group("protocol")),
                    address(parts.group("v4"), parts.group("v6")),
                    Integer.parseInt(parts.group("host")),
                    Integer.parseInt(parts.group("guest")));
        } catch (IllegalArgumentException | ClassCastException e) {
            throw wrong(text, e);
        }
    }

    /** Those written as the other kind are none: Java takes ::ffff:1.2.3.4 for an IPv4 address. */
    private static InetAddress address(@Nullable String v4, @Nullable String v6) {
        if (v6 != null) {
            return (Inet6Address) InetAddress.ofLiteral(v6);
        }
        return v4 == null ? LOOPBACK : (Inet4Address) InetAddress.ofLiteral(v4);
    }

    private static NetworkException wrong(String text, @Nullable Throwable cause) {
        String message =
                "a forward is [ADDRESS:]HOST-PORT:GUEST-PORT[/udp], for example 2222:22 or [::1]:2222:22, not " + text;
        return cause == null ? new NetworkException(message) : new NetworkException(message, cause);
    }

    /** Whether the host listens on an IPv6 address. */
    public boolean ipv6() {
        return hostAddress instanceof Inet6Address;
    }

    /** The IPv4 address on which the host listens, as a number. */
    int hostAddress4() {
        return Subnet.number((Inet4Address) hostAddress);
    }

    /** The host's end, for who reads why it cannot be. */
    String where() {
        return "port " + hostPort + " of the host ("
                + (hostAddress instanceof Inet6Address six ? Subnet.text(six) : hostAddress.getHostAddress()) + ")";
    }

    @Override
    public String toString() {
        String at =
                hostAddress instanceof Inet6Address six ? "[" + Subnet.text(six) + "]" : hostAddress.getHostAddress();
        return at + ":" + hostPort + ":" + guestPort + (udp ? "/udp" : "");
    }
}
