package org.torte.network.process;

import java.net.InetAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.torte.base.net.MacAddress;
import org.torte.base.net.PortStatistics;
import org.torte.network.DropReason;
import org.torte.network.NatNetwork;
import org.torte.network.SwitchPort;
import org.torte.network.gateway.GuestClock;
import org.torte.network.gateway.Subnet;
import org.torte.network.host.HostEnd;
import org.torte.network.host.KernelNat;
import org.torte.network.host.Nat;

/** What the switch process says of itself. */
final class StatusText {
    private StatusText() {}

    static Map<String, Object> of(
            Collection<LiveSwitch> switches,
            Collection<HostSwitches.LivePort> ports,
            Map<String, PortSession> sessions,
            List<ConfigurationProblem> problems) {
        Map<String, Object> status = new LinkedHashMap<>();
        status.put("switches", switches.stream().map(StatusText::network).toList());
        status.put(
                "ports",
                ports.stream()
                        .map(one -> port(one, sessions.containsKey(one.definition.id())))
                        .toList());
        status.put("problems", problems(problems));
        return status;
    }

    static List<Map<String, Object>> problems(List<ConfigurationProblem> problems) {
        return problems.stream()
                .map(one ->
                        Map.<String, Object>of("switch", one.network(), "port", one.port(), "message", one.message()))
                .toList();
    }

    private static Map<String, Object> network(LiveSwitch one) {
        Map<String, Object> shown = new LinkedHashMap<>(one.definition().toMap());
        HostEnd host = one.host();
        if (host != null) {
            host.bridge().ifPresent(bridge -> shown.put("bridge", bridge));
            shown.put("refused", host.tap().refused());
        }
        NatNetwork nat = one.nat();
        if (nat != null) {
            Subnet subnet = nat.gateway().subnet();
            shown.put("subnet", Subnet.text(subnet.network()) + "/" + subnet.prefixLength());
            shown.put("gateway", Subnet.text(subnet.gateway()));
            shown.put("domain", Subnet.DOMAIN);
            shown.put("names", one.names());
            shown.put("translation", (nat.nat() instanceof KernelNat ? Nat.Kind.KERNEL : Nat.Kind.USER).text());
        }
        return shown;
    }

    private static Map<String, Object> port(HostSwitches.LivePort one, boolean connected) {
        SwitchPort port = one.port;
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("id", one.definition.id());
        shown.put("switch", one.network.definition().name());
        shown.put("connected", connected);
        PortStatistics statistics = port.statistics();
        shown.put("framesSent", statistics.framesSent());
        shown.put("bytesSent", statistics.bytesSent());
        shown.put("framesReceived", statistics.framesReceived());
        shown.put("bytesReceived", statistics.bytesReceived());
        shown.put("sentDropped", drops(port.drops(true)));
        shown.put("receivedDropped", drops(port.drops(false)));
        shown.put("addresses", addresses(one));
        NatNetwork nat = one.network.nat();
        if (nat != null) {
            nat.gateway().clockOf(one.definition.address()).ifPresent(clock -> shown.put("clock", clock(clock)));
        }
        return shown;
    }

    private static Map<String, Object> clock(GuestClock clock) {
        return Map.of(
                "skewMillis", clock.skewMillis(),
                "uncertainMillis", clock.uncertainMillis(),
                "measured", clock.measured().toString());
    }

    private static Map<String, Long> drops(Map<DropReason, Long> drops) {
        Map<String, Long> named = new LinkedHashMap<>();
        drops.forEach((reason, count) ->
                named.put(reason.name().toLowerCase(Locale.ROOT).replace('_', '-'), count));
        return named;
    }

    /** The addresses of its machine, those of its lease first. */
    private static List<Map<String, String>> addresses(HostSwitches.LivePort one) {
        NatNetwork nat = one.network.nat();
        if (nat == null) {
            return one.port.seen().stream()
                    .map(seen -> Map.of("address", seen.getHostAddress(), "from", "neighbour"))
                    .toList();
        }
        MacAddress station = one.definition.address();
        long now = Instant.now().getEpochSecond();
        List<String> leased = nat.gateway().leases().stream()
                .filter(lease -> lease.station().equals(station) && lease.expires() > now)
                .map(lease -> Subnet.text(lease.address()))
                .toList();
        Stream<String> seen = nat.gateway().seen(station).stream()
                .map(InetAddress::getHostAddress)
                .filter(text -> !leased.contains(text));
        List<Map<String, String>> all = new ArrayList<>();
        leased.forEach(text -> all.add(Map.of("address", text, "from", "dhcp")));
        seen.forEach(text -> all.add(Map.of("address", text, "from", "neighbour")));
        return all;
    }
}
