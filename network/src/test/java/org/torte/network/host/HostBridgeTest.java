package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.network.NetworkException;

/** A namespace stands for the host, another one for the world at its interface. */
class HostBridgeTest {
    /** Every other step, which ones by the seed: each costs a few dozen programs. */
    private static final int FIRST_STEP = (int) (Long.getLong("torte.seed", 1) & 1);

    private static final Path SETTINGS = Path.of("/proc/sys/net"), CLASSES = Path.of("/sys/class/net");

    @TempDir
    private Path folder;

    private Namespaces spaces;
    private String host;
    private String world;

    @BeforeEach
    void makeHostAndWorld() {
        spaces = new Namespaces("ip", "ping");
        host = spaces.add("h");
        world = spaces.add("w");
        for (String space : List.of(host, world)) {
            // Whether another station has an address takes seconds to find out, in which routes appear by themselves.
            spaces.in(space, "sh", "-c", "cd /proc/sys/net/ipv6/conf; echo 0 | tee all/accept_dad default/accept_dad");
        }
        spaces.run("ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", world);
        spaces.run("ip", "-n", world, "link", "set", "eth0", "up");
        spaces.run("ip", "-n", world, "addr", "add", "198.51.100.1/24", "dev", "eth0");
        spaces.run("ip", "-n", world, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad");
        for (String command : List.of(
                "link set eth0 up",
                "addr add 198.51.100.2/24 broadcast + dev eth0",
                "addr add 198.51.100.9/24 dev eth0 label eth0:more",
                "addr add 203.0.113.5/32 dev eth0",
                "addr add 2001:db8::2/64 dev eth0 nodad",
                "addr add 2001:db8::7/64 dev eth0 nodad",
                "route add default via 198.51.100.1 metric 77 mtu 1400 proto static",
                "route add 192.0.2.0/24 via 198.51.100.1 src 198.51.100.9",
                "route add 192.0.2.0/25 dev eth0 scope link table 100",
                "route add unreachable 10.0.0.0/8",
                "-6 route add default via 2001:db8::1 metric 55 pref high",
                "-6 route add 2001:db8:1::/48 via fe80::1 dev eth0")) {
            List<String> all = new ArrayList<>(List.of("ip", "-n", host));
            all.addAll(List.of(command.split(" ")));
            spaces.run(all.toArray(String[]::new));
        }
        spaces.run("ip", "-n", host, "tuntap", "add", "dev", "tap0", "mode", "tap");
        spaces.in(host, "ping", "-c", "1", "-W", "20", "198.51.100.1");
        spaces.in(host, "ping", "-c", "1", "-W", "20", "2001:db8::1");
    }

    @AfterEach
    void close() {
        if (spaces != null) { // else skipped
            spaces.close();
        }
    }

    private HostBridge bridge(IpCommand ip) {
        return new HostBridge(ip, folder.resolve("bridge.json"), SETTINGS, CLASSES);
    }

    /** All that the host's network is. */
    private Set<String> state() {
        Set<String> state = new TreeSet<>();
        spaces.within(host, () -> {
            Iproute2 ip = new Iproute2();
            for (Shown link : ip.show("addr", "show")) {
                String name = link.text("ifname");
                state.add(name + " " + link.text("address") + " " + link.text("mtu") + " " + link.text("master") + " "
                        + link.texts("flags").contains("UP"));
                int order = 0;
                for (Shown one : link.list("addr_info")) {
                    state.add(name + " " + (one.text("family").equals("inet") ? order++ : "") + " " + one.text("local")
                            + "/" + one.text("prefixlen") + " " + one.text("broadcast") + " " + one.text("label") + " "
                            + one.text("scope") + " " + (one.number("valid_life_time") == 0xffff_ffffL));
                }
            }
            for (String family : List.of("-4", "-6")) {
                for (Shown route : ip.show(family, "route", "show", "table", "all")) {
                    if (!route.text("type").equals("anycast")) {
                        state.add(family + " " + new java.util.TreeMap<>(route.values()));
                    }
                }
            }
            try {
                state.add(Files.readString(SETTINGS.resolve("ipv6/conf/eth0/addr_gen_mode")));
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        return state;
    }

    private void join(IpCommand ip) {
        spaces.within(host, () -> assertThat(bridge(ip).join("eth0", "tap0")).isEqualTo("br-eth0"));
    }

    private void undo(IpCommand ip) {
        spaces.within(host, () -> bridge(ip).undo());
    }

    private void assertThatItWorks() {
        for (String address : List.of("198.51.100.2", "198.51.100.9", "2001:db8::2", "2001:db8::7")) {
            spaces.in(world, "ping", "-c", "1", "-W", "20", address);
        }
    }

    /** Fails, or dies, at the command of that number. */
    private static final class Failing implements IpCommand {
        private final Iproute2 ip = new Iproute2();
        private final boolean dies;
        private int left;

        Failing(int commands, boolean dies) {
            left = commands;
            this.dies = dies;
        }

        @Override
        public List<Shown> show(String... arguments) {
            return ip.show(arguments);
        }

        @Override
        public Optional<Shown> link(String name) {
            return ip.link(name);
        }

        @Override
        public void batch(String family, List<String> commands) {
            List<String> some = commands.subList(0, Math.clamp(left, 0, commands.size()));
            ip.batch(family, some);
            boolean ends = left >= 0 && some.size() < commands.size();
            left -= some.size();
            if (ends) {
                left = Integer.MAX_VALUE;
                if (dies) {
                    throw new Killed();
                }
                throw new NetworkException("ip " + commands.get(some.size()) + " failed (test)");
            }
        }

        boolean ended() {
            return left > 1_000_000;
        }
    }

    @SuppressWarnings("serial")
    private static final class Killed extends Error {}

    @Test
    void theBridgeHasWhatTheInterfaceHadAndGivesItBack() {
        Set<String> before = state();
        join(new Iproute2());
        spaces.within(host, () -> {
            Iproute2 ip = new Iproute2();
            InterfaceState moved = InterfaceState.of(ip, "br-eth0");
            assertThat(moved.addresses()).hasSize(6);
            assertThat(moved.routes()).hasSize(5);
            assertThat(InterfaceState.of(ip, "eth0").addresses()).isEmpty();
            assertThat(InterfaceState.of(ip, "eth0").routes()).isEmpty();
            assertThat(ip.link("br-eth0").orElseThrow().text("address"))
                    .isEqualTo(ip.link("eth0").orElseThrow().text("address"));
            assertThat(ip.link("tap0").orElseThrow().text("master")).isEqualTo("br-eth0");
        });
        assertThatItWorks();
        spaces.in(host, "ping", "-c", "1", "-W", "20", "-I", "198.51.100.9", "198.51.100.1");
        // What is changed meanwhile comes back, too.
        Set<String> joined = state();
        join(new Iproute2());
        assertThat(state()).as("joined again").isEqualTo(joined);
        spaces.run("ip", "-n", host, "addr", "add", "198.51.100.77/24", "dev", "br-eth0");
        undo(new Iproute2());
        spaces.run("ip", "-n", host, "addr", "del", "198.51.100.77/24", "dev", "eth0");
        assertThat(state()).isEqualTo(before);
        assertThat(folder).isEmptyDirectory();
        assertThatItWorks();
    }

    @Test
    void whatFailsOnTheWayLeavesNothing() {
        Set<String> before = state();
        int steps = 1 - FIRST_STEP;
        for (boolean more = true; more; steps += 2) {
            Failing failing = new Failing(steps, false);
            try {
                join(failing);
                assertThat(failing.ended()).isFalse();
                more = false;
            } catch (NetworkException e) {
                assertThat(e).hasMessageContaining("(test)").hasNoSuppressedExceptions();
                assertThat(state()).as("after failing at step %d", steps).isEqualTo(before);
                assertThat(folder).isEmptyDirectory();
            }
        }
        assertThat(steps).isGreaterThan(20);
        assertThatItWorks();
    }

    @Test
    void whoDiesOnTheWayIsRepaired() {
        Set<String> before = state();
        int steps = FIRST_STEP;
        for (boolean more = true; more; steps += 2) {
            try {
                join(new Failing(steps, true));
                more = false;
            } catch (Killed e) {
                // The next one goes on, or finds that there is nothing to do any more.
                if (steps / 2 % 2 == 0) {
                    join(new Iproute2());
                }
                undo(new Iproute2());
                assertThat(state()).as("after dying at step %d", steps).isEqualTo(before);
            }
        }
        for (int step = FIRST_STEP; ; step += 2) {
            try {
                undo(new Failing(step, true));
                break;
            } catch (Killed e) {
                if (step / 2 % 2 == 0) {
                    join(new Iproute2());
                    assertThatItWorks();
                }
            }
            undo(new Iproute2());
            assertThat(state()).as("after dying at step %d of undoing", step).isEqualTo(before);
            join(new Iproute2());
        }
        assertThat(state()).isEqualTo(before);
        assertThatItWorks();
    }

    @Test
    void aJournalOfAnEarlierStartOfTheHostIsOfNoUse() throws IOException {
        Set<String> before = state();
        Path file = folder.resolve("bridge.json");
        Files.writeString(
                file,
                "{\"version\":1,\"boot\":\"another\",\"interface\":\"eth0\",\"bridge\":\"br-eth0\","
                        + "\"addresses\":[{\"family\":\"inet\",\"local\":\"10.9.9.9\",\"prefixlen\":24}]}");
        undo(new Iproute2());
        assertThat(state()).isEqualTo(before);
        assertThat(file).doesNotExist();
        Files.writeString(file, "{\"version\":7}");
        assertThatThrownBy(() -> undo(new Iproute2()))
                .isInstanceOf(NetworkException.class)
                .hasMessageContaining("another version's, or damaged");
    }

    @Test
    void aBridgeThatIsThereIsJoinedAndLeftAsItIs() {
        spaces.run("ip", "-n", host, "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge");
        Set<String> before = state();
        spaces.within(
                host,
                () -> assertThat(bridge(new Iproute2()).join("br0", "tap0")).isEqualTo("br0"));
        undo(new Iproute2());
        spaces.run("ip", "-n", host, "link", "set", "tap0", "nomaster");
        assertThat(state()).isEqualTo(before);
    }

    private void assertRefused(String message) {
        Set<String> before = state();
        assertThatThrownBy(() -> join(new Iproute2()))
                .isInstanceOf(NetworkException.class)
                .hasMessageContaining(message);
        assertThat(state()).isEqualTo(before);
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void whatCannotBeBridgedIsRefused() throws IOException {
        spaces.within(host, () -> {
            assertThatThrownBy(() -> bridge(new Iproute2()).join("eth9", "tap0"))
                    .hasMessageContaining("the host has no interface eth9");
            assertThatThrownBy(() -> bridge(new Iproute2()).join("lo", "tap0"))
                    .hasMessageContaining("lo is no Ethernet interface");
        });
        spaces.run(
                "ip",
                "-n",
                host,
                "addr",
                "change",
                "203.0.113.5/32",
                "dev",
                "eth0",
                "valid_lft",
                "3600",
                "preferred_lft",
                "60");
        assertRefused("203.0.113.5/32 from a DHCP client");
        spaces.run(
                "ip",
                "-n",
                host,
                "addr",
                "change",
                "203.0.113.5/32",
                "dev",
                "eth0",
                "valid_lft",
                "forever",
                "preferred_lft",
                "forever");
        spaces.run("ip", "-n", host, "link", "add", "br-eth0", "type", "bridge");
        assertRefused("there is an interface br-eth0 already");
        spaces.run("ip", "-n", host, "link", "del", "br-eth0");
        spaces.run(
                "ip",
                "-n",
                host,
                "route",
                "add",
                "192.0.2.128/25",
                "nexthop",
                "via",
                "198.51.100.1",
                "nexthop",
                "via",
                "198.51.100.3");
        assertRefused("several next hops");
        spaces.run("ip", "-n", host, "route", "del", "192.0.2.128/25");
        spaces.run("ip", "-n", host, "route", "add", "192.0.2.128/25", "via", "198.51.100.1", "rtt", "100ms");
        assertRefused("rtt");
        spaces.run("ip", "-n", host, "route", "del", "192.0.2.128/25");
        spaces.run("ip", "-n", host, "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge");
        spaces.run("ip", "-n", host, "link", "set", "eth0", "master", "br0");
        assertRefused("eth0 belongs to br0 already: name br0");
        Path classes = folder.resolve("class");
        Files.createDirectories(classes.resolve("eth0/phy80211"));
        spaces.within(
                host,
                () -> assertThatThrownBy(() -> new HostBridge(new Iproute2(), folder.resolve("b"), SETTINGS, classes)
                                .join("eth0", "tap0"))
                        .hasMessageContaining("eth0 is wireless"));
        assertThat(HostBridge.nameFor("br-", "enx001122334455")).hasSize(15).startsWith("br-enx0");
    }
}
