package org.torte.network.host;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.torte.network.NetworkException;

/**
 * What makes an interface the host's way into a network: its addresses and its routes, as {@code ip} shows them and takes
 * them again. What the kernel makes by itself with each address is left out.
 *
 * @param addresses in the order in which they are added
 * @param routes those without a gateway first
 */
record InterfaceState(List<Address> addresses, List<Route> routes) {
    private static final long FOREVER = 0xffff_ffffL;

    private static final Set<String> ROUTE_FIELDS = Set.of(
            "type",
            "dst",
            "tos",
            "gateway",
            "via",
            "dev",
            "table",
            "protocol",
            "scope",
            "prefsrc",
            "metric",
            "flags",
            "metrics",
            "pref",
            "expires");
    private static final Set<String> ROUTE_TYPES = Set.of("unicast", "local", "broadcast", "multicast", "anycast");
    private static final Set<String> METRICS = Set.of(
            "mtu",
            "advmss",
            "window",
            "hoplimit",
            "initcwnd",
            "initrwnd",
            "quickack",
            "reordering",
            "cwnd",
            "ssthresh",
            "congestion");
    /** What the kernel says of a route's state, which nobody has asked for. */
    private static final Set<String> STATES = Set.of("linkdown", "dead", "offload", "trap", "rt_offload", "rt_trap");

    /** An address; {@code shown} is what ip printed of it. */
    record Address(Shown shown) {
        boolean ipv6() {
            return shown.text("family").equals("inet6");
        }

        String local() {
            return shown.text("local");
        }

        /** What distinguishes it. */
        String key() {
            return local() + "/" + shown.text("prefixlen");
        }

        /** Made from a router's advertisement by the kernel itself, which will also renew it. */
        boolean advertised() {
            return ipv6() && (shown.flag("mngtmpaddr") || shown.flag("temporary"));
        }

        /** Whether it ends by itself, unless somebody renews it. */
        boolean ends() {
            return shown.flag("dynamic") || shown.number("valid_life_time") != FOREVER;
        }

        /** The command that gives it to an interface at once, without asking whether another station has it. */
        String add(String device) {
            StringBuilder text = new StringBuilder("addr add ");
            if (shown.has("address")) {
                text.append(local()).append(" peer ").append(shown.text("address"));
                text.append('/').append(shown.text("prefixlen"));
            } else {
                text.append(key());
            }
            text.append(" dev ").append(device);
            option(text, "broadcast");
            option(text, "scope");
            option(text, "metric");
            String label = shown.text("label");
            // Labels begin with the name of their interface: another one's has none.
            if (label.startsWith(device + ":")) {
                text.append(" label ").append(label);
            }
            if (ends()) {
                text.append(" valid_lft ").append(lifetime("valid_life_time"));
                text.append(" preferred_lft ").append(lifetime("preferred_life_time"));
            }
            if (shown.flag("noprefixroute")) {
                text.append(" noprefixroute");
            }
            if (ipv6()) {
                text.append(" nodad");
                if (shown.flag("mngtmpaddr")) {
                    text.append(" mngtmpaddr");
                }
                if (shown.flag("home")) {
                    text.append(" home");
                }
            }
            return text.toString();
        }

        private String lifetime(String name) {
            long seconds = shown.number(name);
            return seconds == FOREVER ? "forever" : Long.toString(seconds);
        }

        private void option(StringBuilder text, String name) {
            if (shown.has(name)) {
                text.append(' ').append(name).append(' ').append(shown.text(name));
            }
        }

        /** The command that takes it from an interface, if it has it. */
        String remove(String device) {
            return "addr flush dev " + device + " to " + local() + (ipv6() ? "/128" : "/32");
        }
    }

    /** A route; {@code shown} is what ip printed of it. */
    record Route(boolean ipv6, Shown shown) {
        /** Checks that all that it has is known, so that nothing is lost on the way. */
        Route {
            Set<String> unknown = new HashSet<>();
            for (Object field : shown.values().keySet()) {
                unknown.add(String.valueOf(field));
            }
            unknown.removeAll(ROUTE_FIELDS);
            for (Shown metrics : shown.list("metrics")) {
                for (Object metric : metrics.values().keySet()) {
                    unknown.add(String.valueOf(metric));
                }
            }
            unknown.removeAll(METRICS);
            for (String flag : shown.texts("flags")) {
                if (!flag.equals("onlink") && !STATES.contains(flag)) {
                    unknown.add(flag);
                }
            }
            if (!unknown.isEmpty()) {
                throw new NetworkException("the route to " + shown.text("dst") + " has " + String.join(", ", unknown)
                        + ", which Torte cannot move to a bridge: make the bridge yourself, and name it as interface");
            }
        }

        private String prefix() {
            String dst = shown.text("dst");
            return dst.equals("default") ? ipv6 ? "::/0" : "0.0.0.0/0" : dst;
        }

        boolean hasGateway() {
            return shown.has("gateway") || shown.has("via");
        }

        /** The command that makes it lead through an interface; one of the same kind through another one is replaced. */
        String replace(String device) {
            StringBuilder text = new StringBuilder("route replace ");
            text.append(shown.text("type")).append(' ').append(prefix());
            option(text, "tos");
            if (shown.has("via")) {
                Shown via = shown.object("via");
                text.append(" via ").append(via.text("family")).append(' ').append(via.text("host"));
            } else if (shown.has("gateway")) {
                text.append(" via ").append(shown.text("gateway"));
            }
            text.append(" dev ").append(device);
            option(text, "table");
            if (shown.has("protocol")) {
                text.append(" proto ").append(shown.text("protocol"));
            }
            if (!ipv6) {
                option(text, "scope");
            }
            if (shown.has("prefsrc")) {
                text.append(" src ").append(shown.text("prefsrc"));
            }
            option(text, "metric");
            for (Shown metrics : shown.list("metrics")) {
                metrics.values()
                        .forEach((name, value) ->
                                text.append(' ').append(name).append(' ').append(value));
            }
            if (ipv6) {
                option(text, "pref");
            }
            if (shown.has("expires")) {
                text.append(" expires ").append(shown.text("expires"));
            }
            if (shown.texts("flags").contains("onlink")) {
                text.append(" onlink");
            }
            return text.toString();
        }

        private void option(StringBuilder text, String name) {
            if (shown.has(name)) {
                text.append(' ').append(name).append(' ').append(shown.text(name));
            }
        }

        /** The command that takes what is left of it from an interface; for a batch of its family. */
        String remove(String device) {
            return "route flush exact " + prefix() + " dev " + device + " table " + table() + " proto "
                    + shown.text("protocol");
        }

        private String table() {
            return shown.has("table") ? shown.text("table") : "main";
        }
    }

    /**
     * Reads it from an interface.
     *
     * @throws NetworkException when a route cannot be understood
     */
    static InterfaceState of(IpCommand ip, String device) {
        List<Address> ipv4 = new ArrayList<>();
        List<Address> ipv6 = new ArrayList<>();
        for (Shown one : ip.link(device).map(link -> link.list("addr_info")).orElse(List.of())) {
            // The kernel shows the last one of IPv6 first, and the first one of IPv4, which is the primary one.
            switch (one.text("family")) {
                case "inet" -> ipv4.add(new Address(one));
                case "inet6" -> ipv6.addFirst(new Address(one));
                default -> {}
            }
        }
        ipv4.addAll(ipv6);
        List<Route> routes = new ArrayList<>();
        for (String family : List.of("-4", "-6")) {
            for (Shown one : ip.show(family, "route", "show", "table", "all", "dev", device)) {
                String type = one.text("type");
                boolean own =
                        one.text("protocol").equals("kernel") || !type.equals("unicast") && ROUTE_TYPES.contains(type);
                if (!own) {
                    routes.add(new Route(family.equals("-6"), one));
                }
            }
        }
        routes.sort(Comparator.comparing(Route::hasGateway));
        return new InterfaceState(List.copyOf(ipv4), List.copyOf(routes));
    }

    /** For a journal. */
    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("addresses", addresses.stream().map(one -> one.shown().values()).toList());
        for (boolean ipv6 : new boolean[] {false, true}) {
            map.put(
                    ipv6 ? "routes6" : "routes4",
                    routes.stream()
                            .filter(one -> one.ipv6() == ipv6)
                            .map(one -> one.shown().values())
                            .toList());
        }
        return map;
    }

    /** What {@link #toMap} wrote. */
    static InterfaceState read(Shown from) {
        List<Route> routes = new ArrayList<>();
        from.list("routes4").forEach(one -> routes.add(new Route(false, one)));
        from.list("routes6").forEach(one -> routes.add(new Route(true, one)));
        routes.sort(Comparator.comparing(Route::hasGateway));
        return new InterfaceState(
                from.list("addresses").stream().map(Address::new).toList(), List.copyOf(routes));
    }

    /** The same with the labels that lasting addresses had elsewhere. */
    InterfaceState labelled(InterfaceState other) {
        Map<String, Address> theirs = new HashMap<>();
        other.addresses.forEach(one -> theirs.put(one.key(), one));
        return new InterfaceState(
                addresses.stream()
                        .map(one -> one.ends() ? one : theirs.getOrDefault(one.key(), one))
                        .toList(),
                routes);
    }

    /** The commands that give an interface the addresses that it lacks. */
    List<String> addressesTo(String device, InterfaceState present) {
        Set<String> there = new HashSet<>();
        present.addresses.forEach(one -> there.add(one.key()));
        return addresses.stream()
                .filter(one -> !there.contains(one.key()))
                .map(one -> one.add(device))
                .toList();
    }

    /** The commands that make all routes lead through an interface. */
    List<String> routesTo(String device) {
        return routes.stream().map(one -> one.replace(device)).toList();
    }

    /** The commands that take the addresses from an interface, last ones first: a primary one would take others with it. */
    List<String> addressesFrom(String device) {
        return addresses.reversed().stream().map(one -> one.remove(device)).toList();
    }

    /** The commands that take routes of a family that may be left from an interface. */
    List<String> routesFrom(String device, boolean ipv6) {
        return routes.stream()
                .filter(one -> one.ipv6() == ipv6)
                .map(one -> one.remove(device))
                .toList();
    }

    /** An address that somebody else than the kernel would have to renew, or an empty text. */
    String renewedByOthers(boolean advertisements) {
        return addresses.stream()
                .filter(one -> one.ends() && !(advertisements && one.advertised()))
                .map(Address::key)
                .findFirst()
                .orElse("");
    }
}
