package org.torte.network.host;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.torte.base.RandomSource;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.network.NetworkException;

/**
 * The host's part in a switch: an interface of its own, or one that joins a bridge with an interface that it has. Both outlive the
 * process, so that the host's addresses, routes and connections do, and are found again by the next one; they are gone
 * when the switch is. What was made stands in the switch's folder. For one thread at a time.
 */
public final class HostEnd implements AutoCloseable {
    private static final int VERSION = 1;
    private static final String TAP_FILE = "interface.json", BRIDGE_FILE = "bridge.json";
    /** The bit of the capability (capabilities(7)). */
    private static final long NET_ADMIN = 1 << 12;
    /** Bits of the first byte of an address: one station's, not the manufacturer's (IEEE 802-2014, section 8.4). */
    private static final long GROUP = 1L << 40, LOCAL = 2L << 40;

    private final IpCommand ip;
    private final Path folder;
    private final Tap tap;
    private final String bridge;

    private HostEnd(IpCommand ip, Path folder, Tap tap, String bridge) {
        this.ip = ip;
        this.folder = folder;
        this.tap = tap;
        this.bridge = bridge;
    }

    /**
     * What was made.
     *
     * @param name of the interface
     * @param made whether it was not there before
     * @param address its hardware address
     * @param addresses that it was given
     */
    private record Journal(String name, boolean made, String address, List<String> addresses) {
        static Optional<Journal> read(Path folder) {
            return StateFile.read(folder.resolve(TAP_FILE), VERSION)
                    .map(from -> new Journal(
                            from.text("name"),
                            // After a restart of the host it is not there any more, but is to be the same again.
                            from.flag("made") && from.text("boot").equals(StateFile.boot()),
                            from.text("address"),
                            from.texts("addresses")));
        }

        void write(Path folder) {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("version", VERSION);
            map.put("boot", StateFile.boot());
            map.put("name", name);
            map.put("made", made);
            map.put("address", address);
            map.put("addresses", addresses);
            StateFile.replace(folder.resolve(TAP_FILE), map);
        }
    }

    /**
     * An interface of the host that leads to a switch. One that is there is used, so that an administrator can make it for
     * somebody who is not one.
     *
     * @param folder where it is written what was made
     * @param name of the interface
     * @param mtu of the interface
     * @param addresses with prefix lengths, which it gets
     * @param random chooses its hardware address, which stays
     * @throws NetworkException why it cannot be; then there is none
     */
    public static HostEnd internal(Path folder, String name, int mtu, List<String> addresses, RandomSource random) {
        return internal(new Iproute2(), folder, name, mtu, addresses, random);
    }

    static HostEnd internal(
            IpCommand ip, Path folder, String name, int mtu, List<String> addresses, RandomSource random) {
        List<String> making = new ArrayList<>(making(name, mtu));
        addresses.forEach(address -> making.add(give(address, name)));
        Tap tap = open(ip, folder, name, addresses, making, random);
        List<String> commands = new ArrayList<>();
        try {
            commands.addAll(settings(ip, name, mtu, addresses));
            ip.batch("", commands);
            return new HostEnd(ip, folder, tap, "");
        } catch (NetworkException e) {
            throw discard(
                    ip,
                    folder,
                    tap,
                    mayAdminister()
                            ? e
                            : new NetworkException(
                                    "this user may not set up the interface " + name + ": " + once(commands), e));
        }
    }

    private static String once(List<String> commands) {
        return "let an administrator do once: ip " + String.join(" && ip ", commands);
    }

    /** Whether interfaces can be made and changed (CAP_NET_ADMIN), for what is said when they could not. */
    static boolean mayAdminister() {
        try {
            return Files.readAllLines(Path.of("/proc/thread-self/status")).stream()
                    .filter(line -> line.startsWith("CapEff:"))
                    .anyMatch(line -> (Long.parseUnsignedLong(line.substring(7).strip(), 16) & NET_ADMIN) != 0);
        } catch (IOException e) {
            return true;
        }
    }

    private static List<String> making(String name, long mtu) {
        return List.of(
                "tuntap add dev " + name + " mode tap user " + System.getProperty("user.name"),
                "link set dev " + name + " mtu " + mtu + " up");
    }

    private static String give(String address, String name) {
        return "addr add " + address + " dev " + name + (address.contains(":") ? " nodad" : " broadcast +");
    }

    /** The commands that make an interface what it is to be. */
    private static List<String> settings(IpCommand ip, String name, int mtu, List<String> addresses) {
        Shown link = ip.link(name).orElseThrow(() -> new NetworkException("the interface " + name + " is gone again"));
        List<String> commands = new ArrayList<>();
        if (link.number("mtu") != mtu) {
            commands.add("link set dev " + name + " mtu " + mtu);
        }
        if (!link.texts("flags").contains("UP")) {
            commands.add("link set dev " + name + " up");
        }
        Set<String> there = Set.copyOf(addressesOf(link));
        for (String address : addresses) {
            if (!there.contains(plain(address))) {
                commands.add(give(address, name));
            }
        }
        return commands;
    }

    /**
     * An interface that joins a bridge with an interface of the host, which is made unless that is one.
     *
     * @param folder where it is written what was made
     * @param device the host's interface, or its bridge
     * @param mtu of the switch, which must not be larger than the interface's
     * @param random chooses a hardware address
     * @throws NetworkException why it cannot be; then the host is as it was
     */
    public static HostEnd external(Path folder, String device, int mtu, RandomSource random) {
        return external(
                new Iproute2(), Path.of("/proc/sys/net"), Path.of("/sys/class/net"), folder, device, mtu, random);
    }

    static HostEnd external(
            IpCommand ip, Path settings, Path classes, Path folder, String device, int mtu, RandomSource random) {
        Shown link = ip.link(device)
                .orElseThrow(() -> new NetworkException(
                        "the host has no interface " + device + ": name one of those that ip link shows"));
        long largest = link.number("mtu");
        if (mtu > largest) {
            throw new NetworkException("the MTU of " + device + " is " + largest + ", so the switch's cannot be " + mtu
                    + ": make that larger, or this smaller");
        }
        String name = HostBridge.nameFor("tap-", device);
        boolean isBridge = HostBridge.kind(link).equals("bridge");
        if (!isBridge && !mayAdminister()) {
            throw new NetworkException("this user may not make a bridge with " + device
                    + ": let the service run as root, or let an administrator make the bridge, and name that");
        }
        HostBridge joined = new HostBridge(ip, folder.resolve(BRIDGE_FILE), settings, classes);
        joined.require(device, link);
        List<String> making = new ArrayList<>(making(name, largest));
        making.add("link set dev " + name + " master " + device);
        Tap tap = open(ip, folder, name, List.of(), making, random);
        try {
            List<String> commands = new ArrayList<>(settings(ip, name, (int) largest, List.of()));
            if (Files.exists(settings.resolve("ipv6/conf/" + name + "/addr_gen_mode")) && !commands.isEmpty()) {
                commands.addFirst("link set dev " + name + " addrgenmode none");
            }
            ip.batch("", commands);
            String bridge = joined.join(device, name);
            return new HostEnd(ip, folder, tap, bridge);
        } catch (NetworkException e) {
            throw discard(ip, folder, tap, e);
        }
    }

    /** Opens or makes an interface, with its hardware address and without addresses that it is not to have any more. */
    private static Tap open(
            IpCommand ip, Path folder, String name, List<String> addresses, List<String> making, RandomSource random) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new NetworkException(folder + " cannot be made: " + e.getMessage(), e);
        }
        Optional<Journal> old = Journal.read(folder);
        if (old.isPresent() && !old.get().name.equals(name)) {
            undo(ip, folder);
            old = Optional.empty();
        }
        Optional<Shown> link = ip.link(name);
        boolean ours = link.isEmpty() || old.filter(Journal::made).isPresent();
        if (link.isPresent()
                && !link.get()
                        .object("linkinfo")
                        .object("info_data")
                        .text("type")
                        .equals("tap")) {
            throw new NetworkException("the host's interface " + name + " is another one's, no TAP: name another one");
        }
        String address = !ours
                ? link.get().text("address")
                : old.map(Journal::address)
                        .filter(text -> !text.isEmpty())
                        .orElseGet(() ->
                                new MacAddress((random.nextLong() & (1L << 48) - 1) & ~GROUP | LOCAL).toString());
        List<String> dropped = new ArrayList<>(old.map(Journal::addresses).orElse(List.of()));
        dropped.removeIf(
                one -> addresses.stream().anyMatch(other -> plain(other).equals(plain(one))));
        if (ours) {
            new Journal(name, true, address, addresses).write(folder);
        }
        Tap tap;
        try {
            tap = Tap.open(name, MacAddress.parse(address));
        } catch (NetworkException e) {
            if (link.isPresent()) {
                throw e;
            }
            StateFile.delete(folder.resolve(TAP_FILE));
            throw mayAdminister()
                    ? e
                    : new NetworkException("this user may not make the interface " + name + ": " + once(making), e);
        }
        try {
            List<String> commands = new ArrayList<>();
            if (ours) {
                withoutRouters(name);
                tap.persist(true);
                commands.add("link set dev " + name + " address " + address);
            } else {
                new Journal(name, false, address, addresses).write(folder);
            }
            Shown now = ip.link(name).orElse(new Shown(Map.of()));
            commands.addAll(taking(dropped, now, name));
            ip.batch("", commands);
            return tap;
        } catch (NetworkException e) {
            throw discard(ip, folder, tap, e);
        }
    }

    /** A machine could say that it is the host's way to everywhere (RFC 4861, section 11.2). */
    private static void withoutRouters(String name) {
        Path setting = Path.of("/proc/sys/net/ipv6/conf", name, "accept_ra");
        try {
            if (Files.exists(setting) && !Files.readString(setting).strip().equals("0")) {
                Files.writeString(setting, "0");
            }
        } catch (IOException e) {
            throw new NetworkException(
                    setting + " cannot be set to 0, so that machines could make themselves the host's"
                            + " router: set net.ipv6.conf.default.accept_ra to 0 (" + e.getMessage() + ")",
                    e);
        }
    }

    private static NetworkException discard(IpCommand ip, Path folder, Tap tap, NetworkException why) {
        tap.close();
        try {
            undo(ip, folder);
        } catch (NetworkException e) {
            why.addSuppressed(e);
        }
        return why;
    }

    /** Plugs it in. Once. */
    public void start(NetworkPort port) {
        tap.start(port);
    }

    /** The interface that leads to the switch. */
    public Tap tap() {
        return tap;
    }

    /** The bridge that it has joined, if any. */
    public Optional<String> bridge() {
        return bridge.isEmpty() ? Optional.empty() : Optional.of(bridge);
    }

    /** Unplugs it; the host keeps what it has, which a next one finds. */
    @Override
    public void close() {
        tap.close();
    }

    /**
     * Unplugs it, and undoes all that was done to the host.
     *
     * @throws NetworkException what could not be undone; {@link #undo(Path)} can try again
     */
    public void undo() {
        tap.close();
        undo(ip, folder);
    }

    /**
     * Undoes what another process has left of a switch that is no more.
     *
     * @param folder of the switch
     * @throws NetworkException when that fails
     */
    public static void undo(Path folder) {
        if (Files.exists(folder.resolve(BRIDGE_FILE)) || Files.exists(folder.resolve(TAP_FILE))) {
            undo(new Iproute2(), folder);
        }
    }

    static void undo(IpCommand ip, Path folder) {
        new HostBridge(ip, folder.resolve(BRIDGE_FILE), Path.of("/proc/sys/net"), Path.of("/sys/class/net")).undo();
        Journal journal = Journal.read(folder).orElse(null);
        if (journal != null) {
            ip.link(journal.name).ifPresent(link -> ip.batch("", undoing(journal, link)));
        }
        StateFile.delete(folder.resolve(TAP_FILE));
    }

    private static List<String> addressesOf(Shown link) {
        return link.list("addr_info").stream()
                .map(one -> plain(one.text("local") + "/" + one.text("prefixlen")))
                .toList();
    }

    /** The commands that take those addresses away that an interface has. */
    private static List<String> taking(List<String> addresses, Shown link, String name) {
        List<String> there = addressesOf(link);
        return addresses.stream()
                .map(HostEnd::plain)
                .filter(there::contains)
                .map(text -> "addr del " + text + " dev " + name)
                .toList();
    }

    /** The one of several ways to write an address that Java has. */
    private static String plain(String text) {
        int slash = text.indexOf('/');
        return InetAddress.ofLiteral(text.substring(0, slash)).getHostAddress() + text.substring(slash);
    }

    private static List<String> undoing(Journal journal, Shown link) {
        if (journal.made) {
            return List.of("link del dev " + journal.name);
        }
        return taking(journal.addresses, link, journal.name);
    }
}
