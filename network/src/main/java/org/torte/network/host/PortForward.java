package org.torte.network.host;

import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/**
 * A port of the host that leads to a port of a guest.
 *
 * @param udp whether it is of UDP; else of TCP
 * @param hostAddress where the host listens
 * @param hostPort 1 to 65535
 * @param guestPort 1 to 65535
 */
public record PortForward(boolean udp, int hostAddress, int hostPort, int guestPort) {
    /** Checks the ranges. */
    public PortForward {
        if (hostPort < 1 || hostPort > 65535 || guestPort < 1 || guestPort > 65535) {
            throw new NetworkException("ports are 1 to 65535: " + hostPort + ":" + guestPort);
        }
    }

    /**
     * Reads {@code [ADDRESS:]HOST-PORT:GUEST-PORT[/udp]}; without an address the host listens on its loopback address only.
     *
     * @throws NetworkException when it is something else
     */
    public static PortForward parse(String text) {
        boolean isUdp = text.endsWith("/udp");
        String[] parts = text.replaceFirst("/(udp|tcp)$", "").split(":", -1);
        try {
            if (parts.length == 2 || parts.length == 3) {
                int first = parts.length - 2;
                if (first == 1 && !parts[0].matches("([0-9]+\\.){3}[0-9]+")) {
                    throw wrong(text, null); // Java takes 10 for 0.0.0.10
                }
                int address = first == 0
                        ? 0x7f00_0001
                        : Subnet.number((java.net.Inet4Address) java.net.InetAddress.ofLiteral(parts[0]));
                return new PortForward(
                        isUdp, address, Integer.parseInt(parts[first]), Integer.parseInt(parts[first + 1]));
            }
        } catch (IllegalArgumentException | ClassCastException e) {
            throw wrong(text, e);
        }
        throw wrong(text, null);
    }

    private static NetworkException wrong(String text, @org.jspecify.annotations.Nullable Throwable cause) {
        String message = "a forward is [ADDRESS:]HOST-PORT:GUEST-PORT[/udp], for example 2222:22, not " + text;
        return cause == null ? new NetworkException(message) : new NetworkException(message, cause);
    }

    @Override
    public String toString() {
        return Subnet.text(hostAddress) + ":" + hostPort + ":" + guestPort + (udp ? "/udp" : "");
    }
}
