package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.URLConnection;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.Frames;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.PortSettings;
import org.torte.network.RawStation;
import org.torte.network.SwitchPort;
import org.torte.network.VirtualSwitch;
import org.torte.network.gateway.Subnet;

/**
 * A network with address translation, whose machine is a namespace of the host behind a TAP: its kernel and the usual
 * programs are the judges.
 */
class NatNetworkTest {
    private static final String SCRIPT = """
        #!/bin/sh
        [ "$1" = bound ] || [ "$1" = renew ] || exit 0
        ip addr replace "$ip/$mask" dev "$interface"
        ip link set "$interface" mtu "$mtu"
        ip route replace default via "$router"
        echo "$ip $mask $router $dns $domain $mtu" > "$LEASE"
        """;

    @TempDir
    private Path folder;

    private static void requireLibrary() {
        try {
            Slirp.require();
        } catch (NetworkException e) {
            assumeTrue(false, e.getMessage());
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private NatNetwork open(TimerThread timers) {
        timers.resume();
        return NatNetwork.open(folder.resolve("nat"), false, timers, RandomSource.secure());
    }

    @Test
    void aMachineGetsAnAddressResolvesNamesReachesServersAndIsReached() throws IOException {
        requireLibrary();
        MacAddress station = new MacAddress(0x00155d010203L);
        int hostPort = freePort();
        String page = "page of the server ".repeat(50_000);
        try (Namespaces spaces = new Namespaces("busybox", "curl", "dig", "ping", "ip");
                TimerThread timers = new TimerThread(Clock.system(), "test-timers");
                NatNetwork nat = open(timers);
                Tap tap = Tap.open("tt" + ProcessHandle.current().pid(), station)) {
            String guest = spaces.add("g"), server = spaces.add("s");
            String veth = "tv" + ProcessHandle.current().pid();
            spaces.run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", server);
            spaces.run("ip", "addr", "add", "198.51.100.1/30", "dev", veth);
            spaces.run("ip", "link", "set", veth, "up");
            spaces.run("ip", "-n", server, "addr", "add", "198.51.100.2/30", "dev", "eth0");
            spaces.run("ip", "-n", server, "link", "set", "eth0", "up");
            Path site = Files.createDirectory(folder.resolve("site"));
            Files.writeString(site.resolve("index.html"), page);
            spaces.start(server, "busybox", "httpd", "-f", "-p", "80", "-h", site.toString());

            spaces.run("ip", "link", "set", tap.name(), "netns", guest);
            spaces.run("ip", "-n", guest, "link", "set", tap.name(), "address", station.toString());
            spaces.run("ip", "-n", guest, "link", "set", tap.name(), "up");
            tap.start(nat.addMachine("web1", station, List.of(PortForward.parse(hostPort + ":80"))));
            Path script = Files.writeString(folder.resolve("udhcpc"), SCRIPT);
            Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
            Path lease = folder.resolve("lease");
            spaces.in(
                    guest,
                    "env",
                    "LEASE=" + lease,
                    "busybox",
                    "udhcpc",
                    "-i",
                    tap.name(),
                    "-n",
                    "-q",
                    "-f",
                    "-t",
                    "20",
                    "-T",
                    "2",
                    "-s",
                    script.toString(),
                    "-O",
                    "mtu");
            Subnet subnet = nat.gateway().subnet();
            String address =
                    Subnet.text(nat.gateway().leaseOf("web1").orElseThrow().address());
            String gateway = Subnet.text(subnet.gateway());

            assertThat(lease)
                    .content()
                    .isEqualToIgnoringNewLines(
                            address + " " + subnet.prefixLength() + " " + gateway + " " + gateway + " torte 1500");
            spaces.in(guest, "ping", "-c", "2", "-W", "10", gateway);
            assertThat(spaces.in(guest, "dig", "+short", "@" + gateway, "web1.torte"))
                    .isEqualTo(address);
            assertThat(spaces.in(guest, "dig", "+short", "@" + gateway, "-x", address))
                    .isEqualTo("web1.torte.");
            assertThat(spaces.in(guest, "curl", "-sS", "-m", "60", "http://198.51.100.2/"))
                    .as("a server outside")
                    .isEqualTo(page.strip());
            spaces.start(guest, "busybox", "httpd", "-f", "-p", "80", "-h", site.toString());
            assertThat(fetch("127.0.0.1:" + hostPort))
                    .as("the machine, by its forward")
                    .isEqualTo(page);
            PortForward six = PortForward.parse("[::1]:" + hostPort + ":80");
            nat.addForward("web1", six);
            assertThat(fetch("[::1]:" + hostPort)).as("by one of IPv6").isEqualTo(page);
            assertThatThrownBy(() -> nat.addForward("web1", six)).hasMessageContaining("in use");
            nat.removeForward(six);
            assertThatThrownBy(() -> new Socket(InetAddress.ofLiteral("::1"), hostPort).close())
                    .isInstanceOf(ConnectException.class);
            assertThat(spaces.runAnyway(List.of(
                                    "ip",
                                    "netns",
                                    "exec",
                                    guest,
                                    "curl",
                                    "-sS",
                                    "-m",
                                    "5",
                                    "http://" + gateway + ":" + hostPort + "/"))
                            .status())
                    .as("the host's loopback services are not the guests'")
                    .isNotZero();
            spaces.run("ip", "link", "del", veth);
        }
    }

    @Test
    void whatListensAtTheHostsLoopbackAddressIsNotTheGuests() throws IOException {
        requireLibrary();
        RawStation guest = new RawStation(0x00155d010203L);
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers");
                NatNetwork nat = open(timers);
                DatagramChannel service = DatagramChannel.open(StandardProtocolFamily.INET)) {
            service.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                    .configureBlocking(false);
            int port = ((InetSocketAddress) service.getLocalAddress()).getPort();
            guest.plugInto(nat.addMachine("web1", guest.address(), List.of()));
            Subnet subnet = nat.gateway().subnet();
            String source =
                    Subnet.text(nat.gateway().leaseOf("web1").orElseThrow().address());
            byte[] datagram = ByteBuffer.allocate(12)
                    .putShort((short) 4000)
                    .putShort((short) port)
                    .putShort((short) 12)
                    .array();
            for (String target : List.of("127.0.0.1", "127.1.2.3", "0.0.0.0", Subnet.text(subnet.gateway()))) {
                byte[] packet = Frames.ipv4(source, target, 17, 0, datagram);
                guest.send(Frames.ethernet(subnet.gatewayMac(), guest.address(), 0x0800, packet));
            }
            byte[] piece = Frames.ipv4(source, "198.51.100.9", 17, 0x2000, datagram);
            guest.send(Frames.ethernet(subnet.gatewayMac(), guest.address(), 0x0800, piece));
            assertThat(((UserNat) nat.nat()).dropped())
                    .as("pieces of packets, which libslirp is not given")
                    .isEqualTo(1);
            // What libslirp was given before this it has dealt with.
            nat.addForward("web1", PortForward.parse(freePort() + ":22"));

            assertThat(service.receive(ByteBuffer.allocate(100))).isNull();
        }
    }

    @Test
    void whenItsThreadDiesThatIsToldAndNobodyWaitsForIt() throws IOException {
        requireLibrary();
        RawStation guest = new RawStation(0x00155d010203L) {
            @Override
            public synchronized int receive(FrameBatch frames, int first) {
                throw new IllegalStateException("thrown by the test");
            }
        };
        int hostPort = freePort();
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers");
                NatNetwork nat = open(timers);
                DatagramSocket socket = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
            PortForward forward = PortForward.parse(hostPort + ":7/udp");
            guest.plugInto(nat.addMachine("web1", guest.address(), List.of(forward)));
            assertThat(nat.nat().failed()).isFalse();
            long until = System.nanoTime() + 20_000_000_000L;
            while (!nat.nat().failed() && System.nanoTime() < until) {
                socket.send(new DatagramPacket(new byte[1], 1, InetAddress.getLoopbackAddress(), hostPort));
                Thread.onSpinWait();
            }
            assertThat(nat.nat().failed()).isTrue();
            assertThatThrownBy(() -> nat.addForward("web1", PortForward.parse("2222:22")))
                    .isInstanceOf(NetworkException.class)
                    .hasMessageContaining("closed");
            nat.removeForward(forward);
        }
    }

    /** The server in the namespace may need a moment to listen. */
    private static String fetch(String where) throws IOException {
        IOException last = new IOException("never tried");
        for (int i = 0; i < 5; i++) {
            try {
                URLConnection connection =
                        URI.create("http://" + where + "/").toURL().openConnection();
                connection.setConnectTimeout(20_000);
                connection.setReadTimeout(20_000);
                InputStream in = connection.getInputStream();
                return new String(in.readAllBytes(), StandardCharsets.UTF_8);
            } catch (IOException e) {
                last = e;
                java.util.concurrent.locks.LockSupport.parkNanos(500_000_000);
            }
        }
        throw last;
    }

    @Test
    void whatIsWrongWithAForwardIsTold() throws IOException {
        requireLibrary();
        MacAddress station = new MacAddress(0x00155d010203L);
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers");
                NatNetwork nat = open(timers);
                ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            String both = taken.getLocalPort() + ":22";
            assertThatThrownBy(() -> nat.addMachine("web1", station, List.of(PortForward.parse(both))))
                    .isInstanceOf(NetworkException.class)
                    .hasMessageContaining("in use");
            assertThat(nat.network().ports()).hasSize(1);
        }
        for (String wrong : List.of(
                "",
                "22",
                "a:b",
                "1:2:3:4",
                "0:22",
                "70000:22",
                "host:1:2",
                "10:1:2",
                "1:2/sctp",
                "::1:2:3",
                "[::1]:2:3/udp",
                "[::ffff:1.2.3.4]:2:3",
                "[1.2.3.4]:2:3",
                "[fe80::1%lo]:2:3",
                "[::1:2:3",
                "[]:2:3")) {
            assertThatThrownBy(() -> PortForward.parse(wrong)).as(wrong).isInstanceOf(NetworkException.class);
        }
        assertThat(PortForward.parse("0.0.0.0:53:5353/udp")).hasToString("0.0.0.0:53:5353/udp");
        assertThat(PortForward.parse("[0:0:0:0:0:0:0:1]:2222:22/tcp"))
                .hasToString("[::1]:2222:22")
                .isEqualTo(PortForward.parse("[::1]:2222:22"));
        for (String address : List.of("::", "fd00::", "fd00::1", "1:0:0:2::", "1:2:3:4:5:6:7:8", "1:0:2:3:4:5:6:7")) {
            assertThat(PortForward.parse("[" + address + "]:1:2")).hasToString("[" + address + "]:1:2");
        }
    }

    @Test
    void aNameBelongsToOneMachineAndIsFreeWhenItsPortCannotBe() {
        try (TimerThread timers = new TimerThread(Clock.system(), "timers");
                NatNetwork network = open(timers)) {
            MacAddress one = new MacAddress(0x02_0000_0000_01L);
            MacAddress other = new MacAddress(0x02_0000_0000_02L);
            SwitchPort port = network.addMachine("web", one, List.of());
            assertThatThrownBy(() -> network.addMachine("web", other, List.of()))
                    .isInstanceOf(NetworkException.class)
                    .hasMessage("another machine of the network is called web, with the address " + one);
            assertThat(network.gateway().leaseOf("web").orElseThrow().station()).isEqualTo(one);
            network.removeMachine("web", port, List.of());
            network.removeMachine("web", network.addMachine("web", other, List.of()), List.of());

            List<SwitchPort> ports = new ArrayList<>();
            while (ports.size() < VirtualSwitch.MAX_PORTS - 1) {
                ports.add(network.network().addPort(PortSettings.named("p")));
            }
            assertThatThrownBy(() -> network.addMachine("late", one, List.of())).hasMessageContaining("ports");
            assertThat(network.gateway().leaseOf("late")).isEmpty();
            ports.forEach(SwitchPort::close);
            network.removeMachine("late", network.addMachine("late", other, List.of()), List.of());
        }
    }

    @Test
    void anotherOneWhoseStateIsDamagedLeavesNothingOpen() throws IOException {
        requireLibrary();
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers")) {
            open(timers).close();
            Files.writeString(folder.resolve("nat/leases"), "no leases\n");
            assertThatThrownBy(() -> open(timers)).isInstanceOf(NetworkException.class);
            long before = openDescriptors();
            for (int i = 0; i < 20; i++) {
                assertThatThrownBy(() -> open(timers)).isInstanceOf(NetworkException.class);
            }
            assertThat(openDescriptors() - before).isLessThan(10);
        }
    }

    private static long openDescriptors() throws IOException {
        try (Stream<Path> numbers = Files.list(Path.of("/proc/self/fd"))) {
            return numbers.count();
        }
    }

    @Test
    void twoNetworksOfOneFolderDoNotShareIt() {
        requireLibrary();
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers")) {
            Subnet first, second;
            try (NatNetwork one = open(timers);
                    NatNetwork two = open(timers)) {
                first = one.gateway().subnet();
                second = two.gateway().subnet();
            }
            try (NatNetwork again = open(timers)) {
                assertThat(again.gateway().subnet()).isEqualTo(first).isNotEqualTo(second);
            }
        }
    }
}
