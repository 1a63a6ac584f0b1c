package org.torte.management.definition;

import java.util.List;
import org.torte.network.NetworkException;
import org.torte.network.process.PortOptions;

/**
 * What holds at the port of a switch that an adapter is connected to, after Set-VMNetworkAdapter and its relatives.
 *
 * @param disconnected pulls the cable
 * @param vlan empty for none, a number from 1 to 4094, or {@code trunk 10,20-29}, perhaps with {@code untagged 5} after it
 * @param macSpoofing whether frames may come from other addresses than the adapter's
 * @param dhcpGuard drops what DHCP servers send
 * @param routerGuard drops router advertisements and redirections
 * @param rules in the order in which they are asked, such as {@code deny out tcp remote 10.0.0.0/8 remote-port 25}
 * @param bandwidth how many bits a second may be sent on average, 0 for no limit
 * @param mirroring none, source (it is shown) or destination (it gets what is shown)
 */
public record Port(
        boolean disconnected,
        String vlan,
        boolean macSpoofing,
        boolean dhcpGuard,
        boolean routerGuard,
        List<String> rules,
        long bandwidth,
        String mirroring) {
    /** Connected, and nothing else said. */
    public static final Port STANDARD = new Port(false, "", false, false, false, List.of(), 0, "none");

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public Port {
        vlan = vlan == null ? "" : vlan;
        rules = rules == null ? List.of() : List.copyOf(rules);
        mirroring = mirroring == null ? "none" : mirroring;
        try {
            PortOptions options =
                    PortOptions.parse(vlan, macSpoofing, dhcpGuard, routerGuard, rules, bandwidth, mirroring);
            vlan = options.vlan().text();
            rules = options.rules().stream()
                    .map(org.torte.network.AclRule::text)
                    .toList();
        } catch (NetworkException e) {
            throw VmDefinition.invalid("port: " + e.getMessage(), "correct it");
        }
    }

    /** As the switch process takes it. */
    public PortOptions options() {
        return PortOptions.parse(vlan, macSpoofing, dhcpGuard, routerGuard, rules, bandwidth, mirroring);
    }
}
