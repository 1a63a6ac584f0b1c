package org.torte.network.process;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.PortSettings;
import org.torte.network.host.PortForward;

/**
 * A machine's port, as an administrator wants it.
 *
 * @param id who connects to it: unique, and says nothing to people
 * @param network the name of the switch
 * @param machine what the machine is called: a label of the domain of a NAT network, unique there
 * @param address the adapter's own
 * @param options what holds there
 * @param forwards ports of the host that lead to it; on a NAT switch only
 */
public record PortDefinition(
        String id,
        String network,
        String machine,
        MacAddress address,
        PortOptions options,
        List<PortForward> forwards) {
    private static final int MAX_ID = 200;
    private static final String LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

    /** Checks it and copies the list. */
    public PortDefinition {
        forwards = List.copyOf(forwards);
        checkId(id);
        if (!machine.matches(LABEL)) {
            throw new NetworkException(
                    "a machine's name in a network is of letters in lower case, digits and hyphens, 63 at most, not \""
                            + machine + "\"");
        }
    }

    static void checkId(String id) {
        if (id.isEmpty() || id.length() > MAX_ID || id.chars().anyMatch(Character::isISOControl)) {
            throw new NetworkException("the id of a port has 1 to " + MAX_ID + " characters, and none that control");
        }
    }

    /**
     * As the switch wants it.
     *
     * @param mtu of the switch
     * @param guarded whether no machine may be a DHCP server or router, whatever the options say
     */
    PortSettings settings(int mtu, boolean guarded) {
        return PortSettings.named(machine)
                .withMtu(mtu)
                .withVlan(options.vlan())
                .withMacSpoofing(options.macSpoofing())
                .withGuards(options.dhcpGuard() || guarded, options.routerGuard() || guarded)
                .withRules(options.rules())
                .withBandwidth(options.bitsPerSecond());
    }

    static PortDefinition read(JsonFields from) {
        return new PortDefinition(
                from.string("id"),
                from.string("switch"),
                from.string("machine"),
                MacAddress.parse(from.string("address")),
                PortOptions.read(from),
                from.strings("forwards").stream().map(PortForward::parse).toList());
    }

    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("id", id);
        map.put("switch", network);
        map.put("machine", machine);
        map.put("address", address.toString());
        options.addTo(map);
        map.put("forwards", forwards.stream().map(PortForward::toString).toList());
        return map;
    }
}
