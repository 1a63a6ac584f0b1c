package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.network.process.SwitchDefinition;

/**
 * A network adapter.
 *
 * @param name what people call it, unique for the virtual machine
 * @param address its Ethernet address, which is made once and stays
 * @param network what it is plugged into: {@code nat} (a network of its own that reaches what the host reaches), {@code
 *     switch:NAME} (a switch of this host), {@code cable:PATH} (another machine of this host, which names the same absolute
 *     path) or {@code none}
 * @param forwards ports of the host that lead to the guest, as {@code [ADDRESS:]HOST-PORT:GUEST-PORT[/udp]}; with nat, or a
 *     switch of that type
 * @param services what the host offers to the guest at host.torte, as {@code PORT:SOCKET}, a Unix-domain socket; with nat only
 * @param port what holds at the port of a switch
 */
public record Adapter(
        @JsonProperty(required = true) String name,
        @JsonProperty(required = true) String address,
        @JsonProperty(required = true) String network,
        List<String> forwards,
        List<String> services,
        Port port) {
    /** The network that translates addresses, and no network. */
    public static final String NAT = "nat", NONE = "none";

    /** Before the path of a cable. */
    public static final String CABLE = "cable:";

    /** Before the name of a switch. */
    public static final String SWITCH = "switch:";

    /** As many as a machine can have. */
    static final int MOST = 8;

    private static final int MAX_FORWARDS = 256;
    private static final SecureRandom RANDOM = new SecureRandom();

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public Adapter {
        forwards = forwards == null ? List.of() : List.copyOf(forwards);
        services = services == null ? List.of() : List.copyOf(services);
        port = port == null ? Port.STANDARD : port;
        VmDefinition.checkName("an adapter", name);
        address = checked(address);
        if (!network.equals(NAT) && !network.equals(NONE) && !isCable(network) && !isSwitch(network)) {
            throw VmDefinition.invalid(
                    "adapters.network of " + name + " is no network",
                    "give nat, switch:NAME, none or cable:/ABSOLUTE-PATH");
        }
        if (!network.equals(NAT) && !isSwitch(network) && !forwards.isEmpty()) {
            throw VmDefinition.invalid(
                    "adapter " + name + " has forwards without nat", "leave them out, or give nat or a switch");
        }
        if (!network.equals(NAT) && !services.isEmpty()) {
            throw VmDefinition.invalid("adapter " + name + " has services without nat", "leave them out, or give nat");
        }
        if (!isSwitch(network) && !port.equals(Port.STANDARD)) {
            throw VmDefinition.invalid(
                    "adapter " + name + " has settings of a port, and is at no switch",
                    "leave them out, or give a switch");
        }
        if (forwards.size() > MAX_FORWARDS || services.size() > MAX_FORWARDS) {
            throw VmDefinition.invalid(
                    "adapter " + name + " has more than " + MAX_FORWARDS + " forwards or services", "leave some out");
        }
        try {
            forwards = forwards.stream()
                    .map(PortForward::parse)
                    .map(PortForward::toString)
                    .distinct()
                    .toList();
            services = services.stream()
                    .map(HostService::parse)
                    .map(HostService::toString)
                    .distinct()
                    .toList();
        } catch (NetworkException e) {
            throw VmDefinition.invalid("adapter " + name + ": " + e.getMessage(), "correct it");
        }
    }

    /**
     * What somebody wants.
     *
     * @param name net1 for the first one, and so on, if not given
     * @param address that of the adapter which has the name already, else a new one, if not given
     * @param network as in {@link Adapter}
     * @param forwards as in {@link Adapter}; none if not given
     * @param services as in {@link Adapter}; none if not given
     * @param port as in {@link Adapter}; that of the adapter which has the name already, if not given
     */
    public record Wish(
            @Nullable String name,
            @Nullable String address,
            @JsonProperty(required = true) String network,
            @Nullable List<String> forwards,
            @Nullable List<String> services,
            @Nullable Port port) {}

    /** The adapters that somebody wants, where there are some already. */
    public static List<Adapter> of(List<Wish> wishes, List<Adapter> old) {
        List<Adapter> all = new ArrayList<>();
        for (Wish wish : wishes) {
            String name = wish.name() == null ? "net" + (all.size() + 1) : wish.name();
            String address = wish.address();
            Port port = wish.port();
            for (Adapter one : old) {
                if (one.name().equals(name)) {
                    address = address == null ? one.address() : address;
                    port = port == null && isSwitch(wish.network()) ? one.port() : port;
                }
            }
            all.add(new Adapter(
                    name,
                    address == null ? newAddress() : address,
                    wish.network(),
                    orNone(wish.forwards()),
                    orNone(wish.services()),
                    port == null ? Port.STANDARD : port));
        }
        return List.copyOf(all);
    }

    private static List<String> orNone(@Nullable List<String> list) {
        return list == null ? List.of() : list;
    }

    /** The same as another machine has it: with another address, and without what only one machine can have. */
    Adapter copied() {
        return new Adapter(name, newAddress(), network, List.of(), services, port);
    }

    /** The same at another network. */
    public Adapter withNetwork(String other) {
        return new Adapter(name, address, other, forwards, services, isSwitch(other) ? port : Port.STANDARD);
    }

    /** The same with other ports of the host that lead to it. */
    public Adapter withForwards(List<String> others) {
        return new Adapter(name, address, network, others, services, port);
    }

    /** The same with another port. */
    public Adapter withPort(Port other) {
        return new Adapter(name, address, network, forwards, services, other);
    }

    /** The name of the switch that it is at, if it is at one. */
    public Optional<String> switchName() {
        return isSwitch(network) ? Optional.of(network.substring(SWITCH.length())) : Optional.empty();
    }

    /** Whether a machine that runs can have this adapter instead of another: both are at switches. */
    boolean replaces(Adapter old) {
        return equals(old)
                || isSwitch(network) && isSwitch(old.network) && name.equals(old.name) && address.equals(old.address);
    }

    /**
     * The same as it comes from another host: nothing of that host is asked of this one. It keeps its network of its own,
     * or the switch that is there from the start, not other switches, cables, ports of the host, or services of the host.
     *
     * @param its the address that it has here
     */
    public Adapter imported(String its) {
        boolean stays = network.equals(NAT) || network.equals(SWITCH + SwitchDefinition.DEFAULT);
        return new Adapter(
                name,
                its,
                stays ? network : NONE,
                List.of(),
                List.of(),
                isSwitch(network) && stays ? port : Port.STANDARD);
    }

    /** A locally administered address (IEEE 802-2014, section 8.4) of 40 random bits. */
    public static String newAddress() {
        byte[] bytes = new byte[8];
        RANDOM.nextBytes(bytes);
        return new MacAddress(ByteBuffer.wrap(bytes).getLong() & 0xff_ffff_ffffL | 2L << 40).toString();
    }

    private static String checked(String text) {
        try {
            MacAddress address = MacAddress.parse(text);
            if (!address.isGroup() && address.value() != 0) {
                return address.toString();
            }
        } catch (IllegalArgumentException e) {
            throw wrongAddress();
        }
        throw wrongAddress();
    }

    private static RuntimeException wrongAddress() {
        return VmDefinition.invalid(
                "adapters.address is no address of a single station", "give one such as 02:00:00:00:00:01");
    }

    private static boolean isSwitch(String network) {
        return network.matches("switch:[A-Za-z0-9][A-Za-z0-9._-]{0,62}");
    }

    private static boolean isCable(String network) {
        return network.startsWith(CABLE + "/") && network.length() <= 4096 && network.indexOf('\0') < 0;
    }

    /** Refuses two of a name or of an address, and too many. */
    static List<Adapter> checked(List<Adapter> adapters) {
        if (adapters.size() > MOST) {
            throw VmDefinition.invalid(
                    "there are " + adapters.size() + " adapters", "a machine has " + MOST + " at most");
        }
        Set<String> seen = new HashSet<>();
        for (Adapter one : adapters) {
            if (!seen.add(VmDefinition.key(one.name())) || !seen.add(one.address())) {
                throw VmDefinition.invalid(
                        "the name or address of adapter " + one.name() + " is there twice", "give each its own");
            }
        }
        return List.copyOf(adapters);
    }
}
