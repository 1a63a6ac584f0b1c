package org.torte.network.host;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/**
 * The rules by which the host's kernel translates a network's addresses: one table of nftables (nft(8)), which is replaced
 * as a whole, so that nobody else's rules are touched and a table that somebody has left is put right.
 */
record NftTable(String name, Subnet subnet, Collection<Forward> rules) {
    /** So many of the network's guests there can be at a time. */
    private static final int MOST_CONNECTIONS = 16_384;

    /** A port of the host, and the guest that it leads to. */
    record Forward(PortForward port, int guest) {}

    /**
     * The program that changes tables.
     *
     * @throws NetworkException with what installs it
     */
    static HostProgram program() {
        return HostProgram.find("nft")
                .orElseThrow(() -> new NetworkException("the kernel's NAT needs the program nft: install nftables,"
                        + " or let the switch translate by itself (--nat user)"));
    }

    /**
     * Tells the kernel, at once and as a whole.
     *
     * @throws NetworkException why it refuses; then its rules are as they were
     */
    void apply() {
        run(text());
    }

    /**
     * Takes a table away, if it is there.
     *
     * @throws NetworkException why it cannot be
     */
    static void remove(String name) {
        run(removal(name));
    }

    /** Adding it first: deleting what is not there would be an error. */
    private static String removal(String name) {
        return "add table inet " + name + "\ndelete table inet " + name + "\n";
    }

    private static void run(String commands) {
        HostProgram.Result result = program().run(List.of("-f", "-"), commands);
        if (result.status() != 0) {
            throw new NetworkException("the kernel's NAT cannot be set up (nft: " + result.reason()
                    + "): let the switch translate by itself (--nat user)");
        }
    }

    /**
     * The chains of others that drop what is forwarded unless they know better, as firewalls and Docker have them.
     *
     * @throws NetworkException when nft does not say
     */
    static List<String> closedForwarding() {
        HostProgram.Result result = program().run(List.of("-j", "list", "chains"), "");
        if (result.status() != 0) {
            throw new NetworkException("nft list chains failed (" + result.reason() + ")");
        }
        List<String> found = new ArrayList<>();
        try {
            if (JSON.std.mapFrom(result.output()).get("nftables") instanceof List<?> all) {
                for (Object one : all) {
                    if (one instanceof Map<?, ?> map
                            && map.get("chain") instanceof Map<?, ?> chain
                            && "forward".equals(chain.get("hook"))
                            && "drop".equals(chain.get("policy"))) {
                        found.add(chain.get("family") + " " + chain.get("table") + " " + chain.get("name"));
                    }
                }
            }
        } catch (IOException e) {
            throw new NetworkException("nft list chains prints what is no JSON: " + e.getMessage(), e);
        }
        return found;
    }

    private String text() {
        String prefix = Subnet.text(subnet.network()) + "/" + subnet.prefixLength();
        String prefix6 = Subnet.text(subnet.network6()) + "/64";
        List<String> lines = new ArrayList<>();
        lines.add(removal(name) + "table inet " + name + " {");
        // What the gateway has let through; the kernel would take a guest at its word otherwise.
        lines.add("chain guard { type filter hook prerouting priority raw;");
        lines.add("iifname \"" + name + "\" ip saddr != " + prefix + " drop");
        lines.add("iifname \"" + name + "\" ip6 saddr != " + prefix6 + " drop");
        lines.add("iifname \"" + name + "\" ip daddr { 0.0.0.0/8, 127.0.0.0/8 } drop");
        lines.add("}");
        // What the kernel keeps of connections is everybody's.
        lines.add("chain bound { type filter hook prerouting priority mangle;");
        lines.add("iifname \"" + name + "\" ct state new ct count over " + MOST_CONNECTIONS + " drop");
        lines.add("}");
        lines.add("chain input { type filter hook input priority filter;");
        lines.add("iifname \"" + name + "\" ct state established,related accept");
        lines.add("iifname \"" + name + "\" ip daddr " + Subnet.text(subnet.gateway()) + " drop");
        lines.add("}");
        lines.add("chain before { type nat hook prerouting priority dstnat;");
        // A neighbour of the host can send what is addressed to 127.0.0.1: that is for the host's own connections only.
        rules.stream()
                .filter(one -> one.port.hostAddress4() >>> 24 != 127)
                .map(NftTable::rule)
                .forEach(lines::add);
        lines.add("}");
        lines.add("chain own { type nat hook output priority -100;");
        rules.stream().map(NftTable::rule).forEach(lines::add);
        lines.add("}");
        lines.add("chain after { type nat hook postrouting priority srcnat;");
        // What comes from the host's loopback address, or from a guest to a port that leads to one: it has to come back
        // here.
        lines.add("oifname \"" + name + "\" ip saddr { 127.0.0.0/8, " + prefix + " } masquerade");
        lines.add("oifname != \"" + name + "\" ip saddr " + prefix + " masquerade");
        lines.add("oifname != \"" + name + "\" ip6 saddr " + prefix6 + " masquerade");
        lines.add("}");
        lines.add("}");
        return String.join("\n", lines) + "\n";
    }

    private static String rule(Forward forward) {
        PortForward port = forward.port;
        int at = port.hostAddress4();
        String where = at == 0 ? "fib daddr type local" : "ip daddr " + Subnet.text(at);
        return "meta nfproto ipv4 " + where + (port.udp() ? " udp" : " tcp") + " dport " + port.hostPort()
                + " dnat ip to " + Subnet.text(forward.guest) + ":" + port.guestPort();
    }
}
