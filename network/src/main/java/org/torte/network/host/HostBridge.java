package org.torte.network.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.torte.network.NetworkException;

/**
 * A bridge of the host's kernel in front of an interface, which others can join. The bridge has the interface's hardware address,
 * addresses and routes: for the host only the name is another one. First the bridge has everything, then the interface has
 * nothing any more, so that there is no moment in which the host has no address.
 *
 * <p>What was moved stands in a journal from before the first change to after the last one has been undone. Who finds one of a
 * change that is not complete undoes it; one of an earlier start of the host's kernel is of no more use. For one thread at
 * a time.
 */
final class HostBridge {
    private static final int VERSION = 1;
    private static final int LONGEST_NAME = 15;
    /** What holds of an interface and is to hold of its bridge. */
    private static final List<String> KEPT = List.of(
            "ipv4/conf/%s/rp_filter",
            "ipv4/conf/%s/forwarding",
            "ipv6/conf/%s/disable_ipv6",
            "ipv6/conf/%s/forwarding",
            "ipv6/conf/%s/accept_ra",
            "ipv6/conf/%s/accept_ra_defrtr",
            "ipv6/conf/%s/autoconf",
            "ipv6/conf/%s/use_tempaddr");
    /** By the kernel's numbers; "stable_secret" needs the interface's own secret, so a bridge draws one. */
    private static final List<String> GENERATIONS = List.of("eui64", "none", "stable_secret", "random");

    private final IpCommand ip;
    private final Path file;
    private final Path settings;
    private final Path classes;

    /**
     * @param file the journal
     * @param settings the kernel's settings of networks, {@code /proc/sys/net}
     * @param classes the kernel's interfaces, {@code /sys/class/net}
     */
    HostBridge(IpCommand ip, Path file, Path settings, Path classes) {
        this.ip = ip;
        this.file = file;
        this.settings = settings;
        this.classes = classes;
    }

    /**
     * What was done.
     *
     * @param boot which start of the kernel that was
     * @param device the interface
     * @param bridge the bridge that was made for it
     * @param complete whether the bridge has everything
     * @param up whether the interface was up
     * @param generation how the interface made its own IPv6 addresses; empty without IPv6
     * @param before what it had
     */
    private record Journal(
            String boot,
            String device,
            String bridge,
            boolean complete,
            boolean up,
            String generation,
            InterfaceState before) {
        Journal completed() {
            return new Journal(boot, device, bridge, true, up, generation, before);
        }
    }

    /** The name of a thing for an interface; one that is too long has a checksum instead of its middle. */
    static String nameFor(String prefix, String device) {
        String name = prefix + device;
        if (name.length() <= LONGEST_NAME) {
            return name;
        }
        CRC32C sum = new CRC32C();
        sum.update(device.getBytes(StandardCharsets.UTF_8));
        String end = HexFormat.of().toHexDigits((int) sum.getValue());
        return name.substring(0, LONGEST_NAME - end.length()) + end;
    }

    /**
     * Makes a bridge for an interface, if it is none itself and has none yet, and lets another interface join it.
     *
     * @param device of the host
     * @param joining what joins
     * @return the bridge
     * @throws NetworkException why it cannot be; then the host is as it was
     */
    String join(String device, String joining) {
        Journal old = current();
        Shown link = ip.link(device)
                .orElseThrow(() -> new NetworkException(
                        "the host has no interface " + device + ": name one of those that ip link shows"));
        boolean kept = old != null && old.device.equals(device) && old.complete && holds(old);
        if (!kept && old != null) {
            undo();
            link = ip.link(device).orElseThrow();
        }
        String bridge = kind(link).equals("bridge") ? device : nameFor("br-", device);
        if (!kept && !bridge.equals(device)) {
            check(device, link);
            take(device, link, bridge);
        }
        try {
            if (ip.link(joining)
                    .filter(one -> one.text("master").equals(bridge))
                    .isEmpty()) {
                ip.batch("", List.of("link set dev " + joining + " master " + bridge));
            }
        } catch (NetworkException e) {
            if (!kept) {
                undoAfter(e);
            }
            throw e;
        }
        return bridge;
    }

    static String kind(Shown link) {
        return link.object("linkinfo").text("info_kind");
    }

    private boolean holds(Journal journal) {
        return ip.link(journal.bridge)
                        .filter(link -> kind(link).equals("bridge"))
                        .isPresent()
                && ip.link(journal.device)
                        .filter(link -> link.text("master").equals(journal.bridge))
                        .isPresent();
    }

    /** Refuses at once what {@link #join} would refuse. */
    void require(String device, Shown link) {
        Journal old = current();
        if (!kind(link).equals("bridge") && (old == null || !old.device.equals(device))) {
            check(device, link);
        }
    }

    /** Refuses what cannot be bridged. */
    private void check(String device, Shown link) {
        if (!link.text("link_type").equals("ether") || link.texts("flags").contains("NOARP")) {
            throw new NetworkException(device + " is no Ethernet interface, which a bridge needs: name another one");
        }
        Path its = classes.resolve(device);
        if (Files.exists(its.resolve("phy80211")) || Files.exists(its.resolve("wireless"))) {
            throw new NetworkException(
                    device + " is wireless, and an access point takes frames of its own station only, so that it"
                            + " cannot be bridged: use a switch of type nat");
        }
        String master = link.text("master");
        if (!master.isEmpty()) {
            String what = ip.link(master).map(HostBridge::kind).orElse("");
            throw new NetworkException(device + " belongs to " + master + " already: "
                    + (what.equals("bridge") || what.equals("bond")
                            ? "name " + master + " as the interface"
                            : "take it out, or name another interface"));
        }
        for (String family : List.of("-4", "-6")) {
            for (Shown route : ip.show(family, "route", "show", "table", "all")) {
                if (route.list("nexthops").stream()
                        .anyMatch(hop -> hop.text("dev").equals(device))) {
                    throw new NetworkException("the route to " + route.text("dst")
                            + " has several next hops, one of them through " + device
                            + ", which Torte cannot move: make a bridge yourself, and name it as the interface");
                }
            }
        }
    }

    private void take(String device, Shown link, String bridge) {
        if (ip.link(bridge).isPresent()) {
            throw new NetworkException("there is an interface " + bridge
                    + " already, which is not Torte's: name it as the" + " interface if " + device
                    + " is to be reached through it, or remove it with ip link del " + bridge);
        }
        InterfaceState before = InterfaceState.of(ip, device);
        String renewed = before.renewedByOthers(
                !read("ipv6/conf/" + device + "/accept_ra").equals("0"));
        if (!renewed.isEmpty()) {
            throw new NetworkException(
                    device + " has the address " + renewed + " from a DHCP client, which would not renew it on"
                            + " a bridge: let what configures " + device
                            + " make the bridge, and name that as the interface; or give "
                            + device + " an address that stays");
        }
        String number = read("ipv6/conf/" + device + "/addr_gen_mode");
        String generation = number.matches("[0-3]") ? GENERATIONS.get(Integer.parseInt(number)) : "";
        boolean up = link.texts("flags").contains("UP");
        Journal journal = new Journal(StateFile.boot(), device, bridge, false, up, generation, before);
        write(journal);
        try {
            prepare(journal, link);
            move(journal);
            write(journal.completed());
        } catch (NetworkException e) {
            undoAfter(e);
            throw e;
        }
    }

    /** Makes the bridge, with all addresses, while the interface still works as before. */
    private void prepare(Journal journal, Shown link) {
        String bridge = journal.bridge;
        List<String> commands = new ArrayList<>();
        commands.add("link add name " + bridge + " address " + link.text("address") + " mtu " + link.text("mtu")
                + " type bridge stp_state 0 forward_delay 0");
        if (!journal.generation.isEmpty()) {
            // The addresses that it would make are those of the interface, and get there without an interruption.
            commands.add("link set dev " + bridge + " addrgenmode none");
        }
        ip.batch("", commands);
        for (String setting : KEPT) {
            String value = read(String.format(setting, journal.device));
            if (!value.isEmpty() && !value.equals(read(String.format(setting, bridge)))) {
                set(String.format(setting, bridge), value);
            }
        }
        commands.clear();
        commands.add("link set dev " + bridge + " up");
        commands.addAll(journal.before.addressesTo(bridge, new InterfaceState(List.of(), List.of())));
        ip.batch("", commands);
    }

    /** From here on frames come in at the bridge; routes follow at once, and the interface loses what it had. */
    private void move(Journal journal) {
        String device = journal.device;
        List<String> commands = new ArrayList<>();
        if (!journal.generation.isEmpty()) {
            commands.add("link set dev " + device + " addrgenmode none");
        }
        if (!journal.up) {
            commands.add("link set dev " + device + " up");
        }
        commands.add("link set dev " + device + " master " + journal.bridge);
        commands.addAll(journal.before.routesTo(journal.bridge));
        commands.addAll(journal.before.addressesFrom(device));
        ip.batch("", commands);
        ip.batch("-4", journal.before.routesFrom(device, false));
        ip.batch("-6", journal.before.routesFrom(device, true));
        if (!journal.generation.isEmpty()) {
            String own = journal.generation.equals("stable_secret") ? "random" : journal.generation;
            ip.batch("", List.of("link set dev " + journal.bridge + " addrgenmode " + own));
        }
    }

    /**
     * Gives the interface back what its bridge has, and removes the bridge. Does nothing where nothing was done.
     *
     * @throws NetworkException when that fails; it can be tried again
     */
    void undo() {
        Journal journal = current();
        if (journal == null) {
            return;
        }
        String device = journal.device;
        Optional<Shown> link = ip.link(device);
        Optional<Shown> bridge = ip.link(journal.bridge).filter(one -> kind(one).equals("bridge"));
        List<String> commands = new ArrayList<>();
        InterfaceState wanted = journal.before;
        if (link.isPresent()) {
            if (journal.complete && bridge.isPresent()) {
                // Who has changed something since has changed it there.
                wanted = InterfaceState.of(ip, journal.bridge).labelled(journal.before);
            }
            if (!journal.generation.isEmpty()) {
                commands.add("link set dev " + device + " addrgenmode " + journal.generation);
            }
            commands.addAll(wanted.addressesTo(device, InterfaceState.of(ip, device)));
            if (link.get().text("master").equals(journal.bridge)) {
                commands.add("link set dev " + device + " nomaster");
            }
            commands.addAll(wanted.routesTo(device));
        }
        if (bridge.isPresent()) {
            commands.add("link del dev " + journal.bridge);
        }
        if (link.isPresent() && !journal.up) {
            commands.add("link set dev " + device + " down");
        }
        ip.batch("", commands);
        StateFile.delete(file);
    }

    private void undoAfter(NetworkException failure) {
        try {
            undo();
        } catch (NetworkException e) {
            failure.addSuppressed(e);
        }
    }

    private String read(String setting) {
        try {
            return Files.readString(settings.resolve(setting)).strip();
        } catch (IOException e) {
            return ""; // a kernel without IPv6, for example
        }
    }

    private void set(String setting, String value) {
        try {
            Files.writeString(settings.resolve(setting), value);
        } catch (IOException e) {
            throw new NetworkException(
                    settings.resolve(setting) + " cannot be set to " + value + ": " + e.getMessage(), e);
        }
    }

    /** The journal, if it is of this start of the kernel. */
    private @Nullable Journal current() {
        Optional<Shown> read = StateFile.read(file, VERSION);
        if (read.isEmpty() || !read.get().text("boot").equals(StateFile.boot())) {
            StateFile.delete(file);
            return null;
        }
        Shown from = read.get();
        return new Journal(
                from.text("boot"),
                from.text("interface"),
                from.text("bridge"),
                from.flag("complete"),
                from.flag("up"),
                from.text("generation"),
                InterfaceState.read(from));
    }

    private void write(Journal journal) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("version", VERSION);
        map.put("boot", journal.boot);
        map.put("interface", journal.device);
        map.put("bridge", journal.bridge);
        map.put("complete", journal.complete);
        map.put("up", journal.up);
        map.put("generation", journal.generation);
        map.putAll(journal.before.toMap());
        StateFile.replace(file, map);
    }
}
