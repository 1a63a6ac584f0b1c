package org.torte.network.process;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.torte.network.AclRule;
import org.torte.network.NetworkException;
import org.torte.network.PortSettings;
import org.torte.network.PortVlan;

/**
 * What holds at a machine's port, after Set-VMNetworkAdapter and its relatives.
 *
 * @param vlan its VLANs
 * @param macSpoofing whether frames may come from other addresses than the adapter's
 * @param dhcpGuard drops what DHCP servers send
 * @param routerGuard drops router advertisements and redirections
 * @param rules in the order in which they are asked
 * @param bitsPerSecond how much may be sent on average, 0 for no limit
 * @param mirroring whether it is shown to others, or shows others
 */
public record PortOptions(
        PortVlan vlan,
        boolean macSpoofing,
        boolean dhcpGuard,
        boolean routerGuard,
        List<AclRule> rules,
        long bitsPerSecond,
        Mirroring mirroring) {
    /** What those have who say nothing. */
    public static final PortOptions STANDARD =
            new PortOptions(PortVlan.UNTAGGED, false, false, false, List.of(), 0, Mirroring.NONE);

    /** What goes through each source of a switch is shown to each of its destinations. */
    public enum Mirroring {
        /** Neither. */
        NONE,
        /** It is shown. */
        SOURCE,
        /** It gets what is shown. */
        DESTINATION;

        /** As people and files write it. */
        public String text() {
            return name().toLowerCase(Locale.ROOT);
        }

        /**
         * Reads {@link #text}.
         *
         * @throws NetworkException when it is something else
         */
        public static Mirroring parse(String text) {
            for (Mirroring one : values()) {
                if (one.text().equals(text)) {
                    return one;
                }
            }
            throw new NetworkException("mirroring is none, source or destination, not \"" + text + "\"");
        }
    }

    /** Checks the ranges and copies the list. */
    public PortOptions {
        rules = List.copyOf(rules);
        if (rules.size() > PortSettings.MAX_RULES) {
            throw new NetworkException("a port has at most " + PortSettings.MAX_RULES + " rules");
        }
        if (bitsPerSecond < 0) {
            throw new NetworkException("a bandwidth is in bits a second, 0 for no limit");
        }
    }

    /**
     * Reads the texts of files.
     *
     * @throws NetworkException what is wrong
     */
    public static PortOptions parse(
            String vlan,
            boolean macSpoofing,
            boolean dhcpGuard,
            boolean routerGuard,
            List<String> rules,
            long bitsPerSecond,
            String mirroring) {
        try {
            return new PortOptions(
                    PortVlan.parse(vlan),
                    macSpoofing,
                    dhcpGuard,
                    routerGuard,
                    rules.stream().map(AclRule::parse).toList(),
                    bitsPerSecond,
                    Mirroring.parse(mirroring));
        } catch (IllegalArgumentException e) {
            throw new NetworkException(String.valueOf(e.getMessage()), e);
        }
    }

    static PortOptions read(JsonFields from) {
        return parse(
                from.string("vlan", ""),
                from.flag("macSpoofing"),
                from.flag("dhcpGuard"),
                from.flag("routerGuard"),
                from.strings("rules"),
                from.number("bandwidth", 0),
                from.string("mirroring", Mirroring.NONE.text()));
    }

    void addTo(Map<String, Object> map) {
        map.put("vlan", vlan.text());
        map.put("macSpoofing", macSpoofing);
        map.put("dhcpGuard", dhcpGuard);
        map.put("routerGuard", routerGuard);
        map.put("rules", rules.stream().map(AclRule::text).toList());
        map.put("bandwidth", bitsPerSecond);
        map.put("mirroring", mirroring.text());
    }
}
