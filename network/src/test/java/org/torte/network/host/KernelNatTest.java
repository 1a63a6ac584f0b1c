package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/** The kernel's NAT in namespaces: a guest, a host that forwards, and a server beyond it. */
class KernelNatTest {
    private static final MacAddress STATION = new MacAddress(0x00155d010203L);
    private static final String OTHERS = """
            table ip others {
                chain theirs {
                    type filter hook forward priority filter; policy accept;
                    tcp dport 25 drop
                }
            }
            """;

    private static final String PROBE = """
            table inet probe {
                chain one {
                    type nat hook postrouting priority srcnat;
                    masquerade
                }
                chain two {
                    type filter hook prerouting priority mangle;
                    ct count over 9 drop
                    fib daddr type local accept
                }
            }
            """;

    @TempDir
    private Path folder;

    /** Does something as a host with a network at its eth0, where a server has 198.51.100.2. */
    private void onHost(Namespaces spaces, Consumer<String> what) {
        String host = spaces.add("h"), server = spaces.add("s");
        spaces.run("ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server);
        spaces.run("ip", "-n", host, "addr", "add", "198.51.100.1/30", "dev", "eth0");
        spaces.run("ip", "-n", server, "addr", "add", "198.51.100.2/30", "dev", "eth0");
        spaces.run("ip", "-n", host, "link", "set", "eth0", "up");
        spaces.run("ip", "-n", server, "link", "set", "eth0", "up");
        spaces.run("ip", "-n", host, "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad");
        spaces.run("ip", "-n", server, "addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad");
        spaces.in(host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
        assumeTrue(
                spaces.runAnyway(List.of("ip", "netns", "exec", host, "nft", PROBE))
                                .status()
                        == 0,
                "the kernel's nftables do not have what NAT needs");
        spaces.in(host, "nft", "delete table inet probe");
        spaces.within(host, () -> what.accept(host));
    }

    private NatNetwork open(TimerThread timers, Nat.Kind kind) {
        timers.resume();
        return NatNetwork.open(folder.resolve("nat"), kind, timers, RandomSource.secure());
    }

    private String page(Namespaces spaces, String name, int port, String text) {
        try {
            Path site = Files.createDirectory(folder.resolve("site" + port + text));
            Files.writeString(site.resolve("index.html"), text);
            spaces.start(name, "busybox", "httpd", "-f", "-p", Integer.toString(port), "-h", site.toString());
            return text;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String fetch(Namespaces spaces, String from, String where) {
        return spaces.in(
                from, "curl", "-sS", "-m", "10", "--retry", "5", "--retry-connrefused", "--retry-delay", "1", where);
    }

    @Test
    void aGuestReachesTheWorldAndIsReachedAndNothingIsLeft() {
        try (Namespaces spaces = new Namespaces("busybox", "curl", "ip", "nft", "sysctl");
                TimerThread timers = new TimerThread(Clock.system(), "test-timers")) {
            onHost(spaces, host -> {
                String server = host.substring(0, host.length() - 1) + "s", guest = spaces.add("g");
                spaces.in(host, "nft", OTHERS);
                String before = spaces.in(host, "nft", "list", "ruleset");
                page(spaces, server, 80, "server");
                page(spaces, host, 9000, "secret");
                page(spaces, guest, 80, "guest");
                List<String> ownState = new ArrayList<>();
                try (NatNetwork nat = open(timers, Nat.Kind.KERNEL);
                        Tap tap = Tap.open("tguest", STATION)) {
                    Subnet subnet = nat.gateway().subnet();
                    String gateway = Subnet.text(subnet.gateway());
                    spaces.run("ip", "-n", host, "link", "set", tap.name(), "netns", guest);
                    spaces.in(guest, "sysctl", "-qw", "net.ipv6.conf." + tap.name() + ".accept_ra=0");
                    spaces.run("ip", "-n", guest, "link", "set", tap.name(), "address", STATION.toString(), "up");
                    List<PortForward> forwards =
                            List.of(PortForward.parse("2222:80"), PortForward.parse("0.0.0.0:8080:80"));
                    tap.start(nat.addMachine("web1", STATION, forwards));
                    String address = Subnet.text(
                            nat.gateway().leaseOf("web1").orElseThrow().address());
                    spaces.run("ip", "-n", guest, "addr", "add", address + "/20", "dev", tap.name());
                    spaces.run("ip", "-n", guest, "route", "add", "default", "via", gateway);

                    assertThat(fetch(spaces, guest, "http://198.51.100.2/")).isEqualTo("server");
                    String address6 = Subnet.text(subnet.network6()).replaceFirst(":0$", ":5");
                    spaces.run("ip", "-n", guest, "addr", "add", address6 + "/64", "dev", tap.name(), "nodad");
                    spaces.run(
                            "ip",
                            "-n",
                            guest,
                            "route",
                            "add",
                            "default",
                            "via",
                            Subnet.text(subnet.linkLocal6()),
                            "dev",
                            tap.name());
                    assertThat(fetch(spaces, guest, "http://[2001:db8::2]/")).isEqualTo("server");
                    assertThat(fetch(spaces, host, "http://127.0.0.1:2222/")).isEqualTo("guest");
                    assertThat(fetch(spaces, host, "http://198.51.100.1:8080/")).isEqualTo("guest");
                    assertThat(fetch(spaces, server, "http://198.51.100.1:8080/"))
                            .isEqualTo("guest");
                    assertThat(fetch(spaces, host, "http://" + address + "/")).isEqualTo("guest");
                    assertThat(spaces.runAnyway(List.of(
                                            "ip",
                                            "netns",
                                            "exec",
                                            guest,
                                            "curl",
                                            "-m",
                                            "2",
                                            "http://" + gateway + ":9000/"))
                                    .status())
                            .as("the host's services at the gateway's address")
                            .isNotZero();
                    assertThat(spaces.runAnyway(List.of(
                                            "ip",
                                            "netns",
                                            "exec",
                                            server,
                                            "curl",
                                            "-m",
                                            "2",
                                            "http://198.51.100.1:2222/"))
                                    .status())
                            .as("a forward of the loopback address, from elsewhere")
                            .isNotZero();
                    assertThat(fetch(spaces, guest, "http://198.51.100.1:8080/"))
                            .as("itself, through the host")
                            .isEqualTo("guest");
                    String table = ((KernelNat) nat.nat()).name();
                    // A neighbour of the host can send what is addressed to 127.0.0.1, which kernels do not by
                    // themselves.
                    assertThat(spaces.in(host, "nft", "list", "chain", "inet", table, "before"))
                            .contains("8080")
                            .doesNotContain("2222");
                    assertThatThrownBy(() -> nat.addForward("web1", PortForward.parse("127.0.0.1:8080:81")))
                            .hasMessageContaining("in use");
                    assertThatThrownBy(() -> nat.addForward("web1", PortForward.parse("9000:81")))
                            .hasMessageContaining("in use");
                    forwards.forEach(nat::removeForward);
                    assertThat(spaces.in(host, "nft", "list", "ruleset")).doesNotContain("dnat");
                    ownState.add(spaces.in(host, "nft", "list", "table", "inet", table));
                    ownState.add(Files.readString(folder.resolve("nat/kernel-nat.json")));
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
                assertThat(spaces.in(host, "nft", "list", "ruleset")).isEqualTo(before);
                assertThat(spaces.in(host, "ip", "-br", "link")).doesNotContain("torte-");

                killed(spaces, host, ownState);
                Nat.undo(folder.resolve("nat"));
                assertThat(spaces.in(host, "nft", "list", "ruleset")).isEqualTo(before);
                killed(spaces, host, ownState);
                open(timers, Nat.Kind.USER).close();
                assertThat(spaces.in(host, "nft", "list", "ruleset")).isEqualTo(before);
            });
        }
    }

    /** What a process leaves that has no time to clean up. */
    private void killed(Namespaces spaces, String host, List<String> state) {
        try {
            spaces.in(host, "nft", state.getFirst());
            Files.writeString(folder.resolve("nat/kernel-nat.json"), state.getLast());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void theKernelIsAskedOnlyWhereItMayAndNothingIsInTheWay() {
        try (Namespaces spaces = new Namespaces("ip", "nft", "sysctl");
                TimerThread timers = new TimerThread(Clock.system(), "test-timers")) {
            onHost(spaces, host -> {
                assertThat(chosen(timers)).isInstanceOf(KernelNat.class);
                spaces.in(host, "nft", OTHERS.replace("policy accept", "policy drop"));
                assertThat(chosen(timers)).isInstanceOf(UserNat.class);
                spaces.in(host, "nft", "flush ruleset");
                spaces.in(host, "sysctl", "-qw", "net.ipv4.ip_forward=0");
                assertThat(chosen(timers)).isInstanceOf(UserNat.class);
                assertThatThrownBy(() -> open(timers, Nat.Kind.KERNEL))
                        .isInstanceOf(NetworkException.class)
                        .hasMessage(
                                "the kernel's NAT needs a host that forwards, which is the administrator's to decide:"
                                        + " sysctl -w net.ipv4.ip_forward=1, or let the switch translate by itself (--nat user)");
                Namespaces.giveUpAdministration();
                assertThat(chosen(timers)).isInstanceOf(UserNat.class);
                assertThatThrownBy(() -> open(timers, Nat.Kind.KERNEL)).hasMessageContaining("needs root");
            });
        }
    }

    /** What iptables makes by nftables on a host with Docker, as far as it concerns what is forwarded. */
    private static final String DOCKER = """
            table ip filter {
                chain DOCKER-USER { }
                chain FORWARD {
                    type filter hook forward priority filter; policy drop;
                    jump DOCKER-USER
                }
            }
            """;

    @Test
    void besideDockerItIsTheAdministratorWhoLetsGuestsThroughAndUdpIsForwardedToo() {
        try (Namespaces spaces = new Namespaces("busybox", "curl", "ip", "nft", "python3", "sysctl");
                TimerThread timers = new TimerThread(Clock.system(), "test-timers")) {
            onHost(spaces, host -> {
                String server = host.substring(0, host.length() - 1) + "s", guest = spaces.add("g");
                spaces.in(host, "nft", DOCKER);
                String before = spaces.in(host, "nft", "list", "ruleset");
                page(spaces, server, 80, "server");
                try (NatNetwork nat = open(timers, Nat.Kind.KERNEL);
                        Tap tap = Tap.open("tguest", STATION)) {
                    spaces.run("ip", "-n", host, "link", "set", tap.name(), "netns", guest);
                    spaces.run("ip", "-n", guest, "link", "set", tap.name(), "address", STATION.toString(), "up");
                    PortForward forward = PortForward.parse("0.0.0.0:5300:5353/udp");
                    tap.start(nat.addMachine("web1", STATION, List.of(forward)));
                    String address = Subnet.text(
                            nat.gateway().leaseOf("web1").orElseThrow().address());
                    spaces.run("ip", "-n", guest, "addr", "add", address + "/20", "dev", tap.name());
                    spaces.run(
                            "ip",
                            "-n",
                            guest,
                            "route",
                            "add",
                            "default",
                            "via",
                            Subnet.text(nat.gateway().subnet().gateway()));
                    assertThat(spaces.runAnyway(List.of(
                                            "ip", "netns", "exec", guest, "curl", "-m", "2", "http://198.51.100.2/"))
                                    .status())
                            .as("through a firewall that knows nothing of it")
                            .isNotZero();
                    for (String way : List.of("iifname", "oifname")) {
                        spaces.in(host, "nft", "insert rule ip filter DOCKER-USER " + way + " \"torte-*\" accept");
                    }
                    assertThat(fetch(spaces, guest, "http://198.51.100.2/")).isEqualTo("server");

                    spaces.start(guest, "python3", "-c", ECHO);
                    for (String from : List.of(host, server)) {
                        String target = from.equals(host) ? "127.0.0.1" : "198.51.100.1";
                        assertThat(spaces.in(from, "python3", "-c", ASK, target))
                                .as("from %s", from)
                                .isEqualTo("back: hello");
                    }
                    nat.removeForward(forward);
                }
                spaces.in(host, "nft", "flush chain ip filter DOCKER-USER");
                assertThat(spaces.in(host, "nft", "list", "ruleset")).isEqualTo(before);
            });
        }
    }

    private static final String ECHO = """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("", 5353))
            while True:
                data, sender = s.recvfrom(2000)
                s.sendto(b"back: " + data, sender)
            """;
    /** Again and again, until the echo is there: the first datagrams may come before it. */
    private static final String ASK = """
            import socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(1)
            for i in range(30):
                try:
                    s.sendto(b"hello", (sys.argv[1], 5300))
                    print(s.recv(2000).decode())
                    break
                except OSError:
                    pass
            """;

    private Nat chosen(TimerThread timers) {
        try (NatNetwork nat = open(timers, Nat.Kind.AUTO)) {
            return nat.nat();
        }
    }
}
