package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;

/**
 * A network adapter.
 *
 * @param name what people call it, unique for the virtual machine
 * @param address its Ethernet address, which is made once and stays
 * @param network what it is plugged into: {@code nat} (a network of its own that reaches what the host reaches), {@code
 *     cable:PATH} (another machine of this host, which names the same absolute path) or {@code none}
 * @param forwards ports of the host that lead to the guest, as {@code [ADDRESS:]HOST-PORT:GUEST-PORT[/udp]}; with nat only
 * @param services what the host offers to the guest at host.torte, as {@code PORT:SOCKET}, a Unix-domain socket; with nat only
 */
public record Adapter(
        @JsonProperty(required = true) String name,
        @JsonProperty(required = true) String address,
        @JsonProperty(required = true) String network,
        List<String> forwards,
        List<String> services) {
    /** The network that translates addresses, and no network. */
    public static final String NAT = "nat", NONE = "none";

    /** Before the path of a cable. */
    public static final String CABLE = "cable:";

    /** As many as a machine can have. */
    static final int MOST = 8;

    private static final int MAX_FORWARDS = 256;
    private static final SecureRandom RANDOM = new SecureRandom();

    /** Fills in what a file leaves out, and refuses what cannot be. */
    @SuppressWarnings("NullAway") // Jackson passes null for what a file leaves out.
    public Adapter {
        forwards = forwards == null ? List.of() : List.copyOf(forwards);
        services = services == null ? List.of() : List.copyOf(services);
        VmDefinition.checkName("an adapter", name);
        address = checked(address);
        if (!network.equals(NAT) && !network.equals(NONE) && !isCable(network)) {
            throw VmDefinition.invalid(
                    "adapters.network of " + name + " is no network", "give nat, none or cable:/ABSOLUTE-PATH");
        }
        if (!network.equals(NAT) && !(forwards.isEmpty() && services.isEmpty())) {
            throw VmDefinition.invalid(
                    "adapter " + name + " has forwards or services without nat", "leave them out, or give nat");
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
     */
    public record Wish(
            @Nullable String name,
            @Nullable String address,
            @JsonProperty(required = true) String network,
            @Nullable List<String> forwards,
            @Nullable List<String> services) {}

    /** The adapters that somebody wants, where there are some already. */
    public static List<Adapter> of(List<Wish> wishes, List<Adapter> old) {
        List<Adapter> all = new ArrayList<>();
        for (Wish wish : wishes) {
            String name = wish.name() == null ? "net" + (all.size() + 1) : wish.name();
            String address = wish.address();
            for (Adapter one : old) {
                if (address == null && one.name().equals(name)) {
                    address = one.address();
                }
            }
            all.add(new Adapter(
                    name,
                    address == null ? newAddress() : address,
                    wish.network(),
                    orNone(wish.forwards()),
                    orNone(wish.services())));
        }
        return List.copyOf(all);
    }

    private static List<String> orNone(@Nullable List<String> list) {
        return list == null ? List.of() : list;
    }

    /** The same as another machine has it: with another address, and without what only one machine can have. */
    Adapter copied() {
        return new Adapter(name, newAddress(), network, List.of(), services);
    }

    /**
     * The same as it comes from another host: nothing of that host is asked of this one. It keeps its network of its own,
     * not cables, ports of the host, or services of the host.
     *
     * @param its the address that it has here
     */
    public Adapter imported(String its) {
        return new Adapter(name, its, isCable(network) ? NONE : network, List.of(), List.of());
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
