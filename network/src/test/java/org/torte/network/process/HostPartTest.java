package org.torte.network.process;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.Namespaces;
import org.torte.network.host.Tap;
import org.torte.network.host.UserNat;

/**
 * Switches that the host has a part in. A namespace stands for the host, one for a machine, whose port is that of a process
 * as every machine's, and one for the world at the host's interface.
 */
class HostPartTest {
    private static final Duration LIMIT = Duration.ofSeconds(60);
    private static final MacAddress STATION = new MacAddress(0x00155d0a0b0cL);

    @TempDir
    private Path folder;

    private final TimerThread timers = new TimerThread(Clock.system(), "timers");
    private final List<String> log = new ArrayList<>();
    private final List<AutoCloseable> open = new ArrayList<>();
    private Namespaces spaces;
    private String host;
    private String machine;
    private @Nullable SwitchServer server;

    @BeforeEach
    void makeHost() {
        timers.resume();
        spaces = new Namespaces("ip", "ping", "curl", "busybox", "dig");
        host = spaces.add("h");
        machine = spaces.add("m");
        for (String space : List.of(host, machine)) {
            withoutDetection(space);
        }
    }

    /** Whether another station has an address takes seconds to find out. */
    private void withoutDetection(String space) {
        spaces.in(space, "sh", "-c", "cd /proc/sys/net/ipv6/conf; echo 0 | tee all/accept_dad default/accept_dad");
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable one : open) {
            one.close();
        }
        stop();
        timers.close();
        if (spaces != null) {
            spaces.close();
        }
    }

    private void configure(SwitchDefinition... switches) {
        try {
            Files.write(
                    SwitchServer.configuration(folder),
                    new NetworkConfiguration(
                                    List.of(switches),
                                    List.of(new PortDefinition(
                                            "web1", "lan", "web1", STATION, PortOptions.STANDARD, List.of())))
                            .text());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private void serve() {
        spaces.within(host, () -> server = SwitchServer.open(folder, timers, RandomSource.secure(), log::add));
    }

    private void stop() {
        SwitchServer running = server;
        server = null;
        if (running != null) {
            running.close();
        }
    }

    private List<String> reload() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return client.reload().stream().map(ConfigurationProblem::message).toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private List<String> problems() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            return ((List<?>) Objects.requireNonNull(client.status().get("problems")))
                    .stream()
                            .map(one -> String.valueOf(((Map<?, ?>) one).get("message"))
                                    .replaceFirst(":.*", ""))
                            .toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static void await(BooleanSupplier condition) {
        long until = System.nanoTime() + LIMIT.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).isLessThan(until);
            Thread.onSpinWait();
        }
    }

    private long framesSent() {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            List<?> ports = (List<?>) Objects.requireNonNull(client.status().get("ports"));
            return ((Number) Objects.requireNonNull(((Map<?, ?>) ports.getFirst()).get("framesSent"))).longValue();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** The machine's adapter: an interface of its namespace, plugged into its port. */
    private void plugIn(int mtu, String... addresses) {
        SwitchLink link = SwitchLink.open(new SwitchStarter(folder, List.of()), "web1");
        AtomicReference<Tap> made = new AtomicReference<>();
        spaces.within(machine, () -> {
            Tap tap = Tap.open("net1", STATION);
            spaces.run("ip", "link", "set", "net1", "address", STATION.toString());
            tap.up(mtu);
            made.set(tap);
        });
        for (String address : addresses) {
            spaces.run("ip", "-n", machine, "addr", "add", address, "dev", "net1");
        }
        made.get().start(link);
        open.add(made.get());
        open.add(link);
        await(() -> link.link().up());
    }

    private void ping(String from, String to, String... options) {
        List<String> command = new ArrayList<>(List.of("ping", "-c", "1", "-W", "1"));
        command.addAll(List.of(options));
        command.add(to);
        List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", from));
        whole.addAll(command);
        // Frames may be lost while links come and go; then they must get through.
        for (int i = 0; i < LIMIT.toSeconds(); i++) {
            if (spaces.runAnyway(whole).status() == 0) {
                return;
            }
        }
        spaces.in(from, command.toArray(String[]::new));
    }

    private boolean exists(String name) {
        return spaces.runAnyway(List.of("ip", "-n", host, "link", "show", "dev", name))
                        .status()
                == 0;
    }

    private void httpd(String space) throws IOException {
        Path site = Files.createDirectories(folder.resolve("site"));
        byte[] page = new byte[8 << 20];
        new Random(Long.getLong("torte.seed", 1)).nextBytes(page);
        Files.write(site.resolve("page"), page);
        spaces.start(space, "busybox", "httpd", "-f", "-p", "80", "-h", site.toString());
    }

    private void fetch(String from, String address) throws IOException {
        Path got = folder.resolve("got");
        spaces.in(
                from,
                "curl",
                "-sS",
                "-m",
                "60",
                "--retry",
                "20",
                "--retry-connrefused",
                "--retry-delay",
                "1",
                "-o",
                got.toString(),
                "http://" + address + "/page");
        assertThat(Files.mismatch(got, folder.resolve("site/page"))).isEqualTo(-1);
    }

    @Test
    void theHostHasAnInterfaceAtAnInternalSwitchThatOutlivesTheProcess() throws IOException {
        SwitchDefinition lan = new SwitchDefinition(
                "lan", SwitchDefinition.Type.INTERNAL, "lan0", 9000, List.of("10.77.0.1/24", "fd77:0:0::1/64"));
        configure(lan);
        serve();
        assertThat(log).isEmpty();
        plugIn(9000, "10.77.0.2/24", "fd77::2/64");
        ping(machine, "10.77.0.1", "-M", "do", "-s", "8972");
        ping(host, "fd77::2", "-M", "do", "-s", "8952");
        httpd(machine);
        long before = framesSent();
        fetch(host, "10.77.0.2");
        // 8 MiB would be 940 frames of this size: what the machine's kernel sent as a whole has come through as a
        // whole.
        assertThat(framesSent() - before).isLessThan(800);
        fetch(host, "[fd77::2]");

        String shown = spaces.run("ip", "-n", host, "-br", "addr", "show", "dev", "lan0");
        String index = spaces.run("ip", "-n", host, "-o", "link", "show", "dev", "lan0")
                .split(":", 2)[0];
        stop();
        assertThat(exists("lan0")).isTrue();
        serve();
        assertThat(log).isEmpty();
        ping(machine, "10.77.0.1");
        assertThat(spaces.run("ip", "-n", host, "-br", "addr", "show", "dev", "lan0")
                        .split(" +", -1)[2])
                .as("before: %s", shown)
                .isEqualTo("10.77.0.1/24");
        assertThat(spaces.run("ip", "-n", host, "-o", "link", "show", "dev", "lan0"))
                .startsWith(index + ":");

        spaces.run("ip", "-n", host, "link", "del", "lan0");
        await(() -> problems().equals(List.of("somebody has removed the host's interface")));
        assertThat(reload()).isEmpty();
        assertThat(problems()).isEmpty();
        ping(machine, "10.77.0.1");

        configure(new SwitchDefinition("lan", SwitchDefinition.Type.INTERNAL, "lan0", 1500, List.of("10.77.1.1/24")));
        assertThat(reload()).isEmpty();
        assertThat(spaces.run("ip", "-n", host, "addr", "show", "dev", "lan0"))
                .contains("mtu 1500", "10.77.1.1/24")
                .doesNotContain("10.77.0.1");
        configure();
        assertThat(reload()).containsExactly("there is no switch lan");
        assertThat(exists("lan0")).isFalse();
        assertThat(folder.resolve("networks/lan")).isEmptyDirectory();
    }

    @Test
    void whoIsNotRootNeedsAnInterfaceThatRootHasMade() {
        configure(new SwitchDefinition("lan", SwitchDefinition.Type.INTERNAL, "lan0", 1500, List.of("10.77.0.1/24")));
        spaces.within(host, () -> {
            Namespaces.giveUpAdministration();
            server = SwitchServer.open(folder, timers, RandomSource.secure(), log::add);
        });
        assertThat(log)
                .contains("switch lan: this user may not make the interface lan0: let an administrator do once:"
                        + " ip tuntap add dev lan0 mode tap user root && ip link set dev lan0 mtu 1500 up"
                        + " && ip addr add 10.77.0.1/24 dev lan0 broadcast +");
        spaces.run("ip", "-n", host, "tuntap", "add", "dev", "lan0", "mode", "tap", "user", "root");
        assertThat(reload())
                .contains("this user may not set up the interface lan0: let an administrator do once:"
                        + " ip link set dev lan0 up && ip addr add 10.77.0.1/24 dev lan0 broadcast +");
        spaces.run("ip", "-n", host, "link", "set", "dev", "lan0", "up");
        spaces.run("ip", "-n", host, "addr", "add", "10.77.0.1/24", "dev", "lan0");
        assertThat(reload()).isEmpty();
        plugIn(1500, "10.77.0.2/24");
        ping(machine, "10.77.0.1");
        configure(new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "lo", 1500));
        assertThat(reload()).anyMatch(line -> line.contains("this user may not make a bridge with lo"));
        assertThat(exists("lan0")).as("what an administrator has made is his").isTrue();
    }

    @Test
    void anExternalSwitchJoinsTheHostsNetworkAndTheHostKeepsItsConnections() throws IOException {
        String world = spaces.add("w");
        withoutDetection(world);
        spaces.run("ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", world);
        spaces.run("ip", "-n", world, "link", "set", "eth0", "up");
        spaces.run("ip", "-n", world, "addr", "add", "198.51.100.1/24", "dev", "eth0");
        spaces.run("ip", "-n", world, "addr", "add", "192.0.2.1/32", "dev", "lo");
        spaces.run("ip", "-n", world, "addr", "add", "2001:db8::1/64", "dev", "eth0");
        spaces.run("ip", "-n", host, "link", "set", "eth0", "up");
        spaces.run("ip", "-n", host, "addr", "add", "198.51.100.2/24", "dev", "eth0");
        spaces.run("ip", "-n", host, "addr", "add", "2001:db8::2/64", "dev", "eth0");
        spaces.run("ip", "-n", host, "route", "add", "default", "via", "198.51.100.1", "metric", "5");
        String before = hostState();
        AtomicReference<Socket> ours = new AtomicReference<>();
        AtomicReference<ServerSocket> listening = new AtomicReference<>();
        spaces.within(world, () -> listening.set(listen()));
        spaces.within(host, () -> ours.set(connect(listening.get().getLocalPort())));
        try (ServerSocket listener = listening.get();
                Socket near = ours.get();
                Socket far = listener.accept()) {
            configure(new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "eth0", 1500));
            serve();
            assertThat(log).isEmpty();
            talk(near, far);
            plugIn(1500, "198.51.100.3/24", "2001:db8::3/64");
            ping(machine, "198.51.100.1");
            ping(machine, "198.51.100.2");
            ping(world, "2001:db8::3");
            ping(host, "192.0.2.1");
            httpd(machine);
            fetch(world, "198.51.100.3");
            fetch(host, "198.51.100.3");

            stop();
            talk(near, far);
            ping(host, "192.0.2.1");
            serve();
            ping(machine, "198.51.100.1");

            // Removed while no process runs, and while one does.
            stop();
            configure();
            serve();
            assertThat(hostState()).isEqualTo(before);
            talk(near, far);
            configure(new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "eth0", 1500));
            assertThat(reload()).isEmpty();
            ping(machine, "198.51.100.1");
            configure();
            assertThat(reload()).containsExactly("there is no switch lan");
            assertThat(hostState()).isEqualTo(before);
            talk(near, far);

            configure(new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "eth0", 9000));
            assertThat(reload()).anyMatch(line -> line.startsWith("the MTU of eth0 is 1500"));
            configure(new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "lo", 1500));
            assertThat(reload()).anyMatch(line -> line.startsWith("lo is no Ethernet interface"));
            configure(
                    new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "eth0", 1500),
                    new SwitchDefinition("other", SwitchDefinition.Type.EXTERNAL, "eth0", 1500));
            assertThat(reload()).containsExactly("eth0 belongs to br-eth0 already: name br-eth0 as the interface");
            configure(
                    new SwitchDefinition("other", SwitchDefinition.Type.EXTERNAL, "br-eth0", 1500),
                    new SwitchDefinition("lan", SwitchDefinition.Type.EXTERNAL, "eth0", 1500));
            assertThat(reload()).isEmpty();
            ping(machine, "198.51.100.1");
            configure();
            assertThat(reload()).containsExactly("there is no switch lan");
            assertThat(hostState()).isEqualTo(before);
        }
    }

    @Test
    void theHostResolvesAndReachesTheMachinesOfATranslatingSwitch() throws IOException {
        try {
            UserNat.require();
        } catch (NetworkException e) {
            assumeTrue(false, e.getMessage());
        }
        configure(new SwitchDefinition("lan", SwitchDefinition.Type.NAT, "lan0", 1500));
        serve();
        assertThat(log).isEmpty();
        String[] own = spaces.run("ip", "-n", host, "-br", "-4", "addr", "show", "dev", "lan0")
                .split(" +", -1)[2]
                .split("/", 2);
        String gateway = own[0].replaceFirst("2$", "1");
        String address = spaces.in(host, "dig", "+short", "@" + gateway, "web1.torte");
        assertThat(address).matches("172\\.[0-9.]+");
        assertThat(spaces.in(host, "dig", "+short", "@" + gateway, "host.torte"))
                .isEqualTo(own[0]);
        assertThat(spaces.in(host, "dig", "+short", "@" + gateway, "-x", address))
                .isEqualTo("web1.torte.");
        plugIn(1500, address + "/" + own[1]);
        ping(host, address);
        ping(machine, own[0]);
        httpd(machine);
        fetch(host, address);
        // The gateway is the machines' router, not the host's.
        assertThat(spaces.run("ip", "-n", host, "route", "show", "default")).isEmpty();
        assertThat(spaces.run("ip", "-n", host, "-6", "route", "show", "default"))
                .isEmpty();
        assertThat(spaces.in(host, "cat", "/proc/sys/net/ipv6/conf/lan0/accept_ra"))
                .isEqualTo("0");

        configure(new SwitchDefinition("lan", SwitchDefinition.Type.NAT, "", 1500));
        assertThat(reload()).isEmpty();
        assertThat(exists("lan0")).isFalse();
        ping(machine, gateway);
        configure(new SwitchDefinition("lan", SwitchDefinition.Type.NAT, "lan0", 1500));
        assertThat(reload()).isEmpty();
        assertThat(spaces.in(host, "dig", "+short", "@" + gateway, "web1.torte"))
                .as("its address stays")
                .isEqualTo(address);
    }

    private static ServerSocket listen() {
        try {
            return new ServerSocket(0, 1, InetAddress.ofLiteral("192.0.2.1"));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static Socket connect(int port) {
        try {
            Socket socket = new Socket();
            socket.connect(new InetSocketAddress(InetAddress.ofLiteral("192.0.2.1"), port), (int) LIMIT.toMillis());
            return socket;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Says something in both directions. */
    private static void talk(Socket one, Socket other) throws IOException {
        for (List<Socket> pair : List.of(List.of(one, other), List.of(other, one))) {
            byte[] said = "still there".getBytes(US_ASCII);
            pair.getFirst().getOutputStream().write(said);
            pair.getLast().setSoTimeout((int) LIMIT.toMillis());
            assertThat(pair.getLast().getInputStream().readNBytes(said.length)).isEqualTo(said);
        }
    }

    private String hostState() {
        return spaces.run("ip", "-n", host, "-br", "addr", "show", "dev", "eth0")
                + spaces.run("ip", "-n", host, "route", "show")
                + spaces.run("ip", "-n", host, "-6", "route", "show")
                + spaces.run("ip", "-n", host, "-br", "link", "show", "type", "bridge")
                + exists("tap-eth0");
    }
}
