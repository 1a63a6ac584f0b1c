package org.torte.network.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/** What programs that nobody here wrote find at a network with address translation: ISC's DHCP client, and iperf3. */
class NatJudgesTest {
    private static final MacAddress STATION = new MacAddress(0x00155d010204L);
    private static final String INTERFACE = "tj" + ProcessHandle.current().pid();
    private static final String SCRIPT = """
            #!/bin/sh
            case "$reason" in
            BOUND|RENEW|REBIND|REBOOT)
              ip addr replace "$new_ip_address/$new_subnet_mask" dev "$interface"
              ip link set "$interface" mtu "$new_interface_mtu"
              ip route replace default via "$new_routers"
              echo "$new_ip_address $new_routers $new_domain_name_servers $new_domain_name $new_interface_mtu" >LEASE
              ;;
            esac
            """;

    @TempDir
    private Path folder;

    private final TimerThread timers = new TimerThread(Clock.system(), "test-timers");
    private Namespaces spaces;
    private String guest;
    private String server;
    private NatNetwork nat;
    private Tap tap;

    @BeforeEach
    void plugIn() throws IOException {
        try {
            Slirp.require();
        } catch (NetworkException e) {
            assumeTrue(false, e.getMessage());
        }
        timers.resume();
        spaces = new Namespaces("dhclient", "iperf3", "ip");
        guest = spaces.add("g");
        server = spaces.add("s");
        spaces.run("ip", "link", "add", INTERFACE + "w", "type", "veth", "peer", "name", "eth0", "netns", server);
        spaces.run("ip", "addr", "add", "198.51.100.5/30", "dev", INTERFACE + "w");
        spaces.run("ip", "link", "set", INTERFACE + "w", "up");
        spaces.run("ip", "-n", server, "addr", "add", "198.51.100.6/30", "dev", "eth0");
        spaces.run("ip", "-n", server, "link", "set", "eth0", "up");
        nat = NatNetwork.open(folder.resolve("nat"), false, timers, RandomSource.secure());
        tap = Tap.open(INTERFACE, STATION);
        spaces.run("ip", "link", "set", INTERFACE, "netns", guest);
        spaces.run("ip", "-n", guest, "link", "set", INTERFACE, "address", STATION.toString(), "up");
    }

    @AfterEach
    void unplug() {
        if (tap != null) {
            tap.close();
            nat.close();
        }
        if (spaces != null && server != null) {
            spaces.runAnyway(List.of("ip", "link", "del", INTERFACE + "w"));
            spaces.close();
        }
        timers.close();
    }

    private String dhclient(String... more) throws IOException {
        Path lease = folder.resolve("lease");
        Path script = Files.writeString(folder.resolve("script"), SCRIPT.replace("LEASE", lease.toString()));
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path configuration = Files.writeString(
                folder.resolve("dhclient.conf"),
                "request subnet-mask, routers, domain-name, domain-name-servers, interface-mtu;\ntimeout 60;\n");
        List<String> command = new ArrayList<>(List.of("dhclient", "-1", "-v"));
        command.addAll(List.of("-cf", configuration.toString(), "-sf", script.toString()));
        command.addAll(List.of("-lf", folder + "/leases", "-pf", folder + "/pid"));
        command.addAll(List.of(more));
        command.add(INTERFACE);
        String said = spaces.in(guest, command.toArray(String[]::new));
        String ignored = spaces.in(guest, "dhclient", "-x", "-pf", folder + "/pid", "-lf", folder + "/none", INTERFACE);
        return Files.exists(lease) ? Files.readString(lease).strip() : said;
    }

    @Test
    void iscsClientGetsItsLeaseAndTheSameOneAgain() throws IOException {
        tap.start(nat.addMachine("web1", STATION, List.of()));
        String address = Subnet.text(nat.gateway().leaseOf("web1").orElseThrow().address());
        String gateway = Subnet.text(nat.gateway().subnet().gateway());
        String expected = address + " " + gateway + " " + gateway + " torte 1500";

        assertThat(dhclient()).isEqualTo(expected);
        Files.delete(folder.resolve("leases"));
        assertThat(dhclient()).as("asked for as if for the first time").isEqualTo(expected);
        spaces.in(guest, "ping", "-c", "1", "-W", "20", gateway);
    }

    /** Bits a second that arrived, as iperf3 itself says. */
    private double iperf3(List<String> client) throws IOException {
        Namespaces.Result result = spaces.runAnyway(client);
        Map<String, Object> answer = JSON.std.mapFrom(result.output());
        assertThat(answer).as(result.output()).doesNotContainKey("error");
        if (answer.get("end") instanceof Map<?, ?> end) {
            Object sum = end.containsKey("sum_received") ? end.get("sum_received") : end.get("sum");
            if (sum instanceof Map<?, ?> map && map.get("bits_per_second") instanceof Number speed) {
                return speed.doubleValue();
            }
        }
        throw new AssertionError(result.output());
    }

    @Test
    void iperf3CarriesTcpAndUdpInBothDirectionsAndByAForward() throws IOException {
        int hostPort;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            hostPort = free.getLocalPort();
        }
        tap.start(nat.addMachine("web1", STATION, List.of(PortForward.parse(hostPort + ":5201"))));
        assertThat(dhclient()).contains("torte");
        spaces.start(server, "iperf3", "-s", "-B", "198.51.100.6");
        spaces.start(guest, "iperf3", "-s");
        List<String> outside = List.of(
                "ip",
                "netns",
                "exec",
                guest,
                "iperf3",
                "-c",
                "198.51.100.6",
                "-J",
                "-n",
                "20M",
                "--connect-timeout",
                "20000");
        List<String> back = new ArrayList<>(outside);
        back.add("-R");
        List<String> datagrams = new ArrayList<>(outside);
        datagrams.addAll(List.of("-u", "-b", "20M", "-n", "1M", "-l", "1400"));
        List<String> forwarded = List.of("iperf3", "-c", "127.0.0.1", "-p", "" + hostPort, "-J", "-n", "20M");
        awaitServers(hostPort);

        for (List<String> client : List.of(outside, back, datagrams, forwarded)) {
            assertThat(iperf3(client)).as(String.join(" ", client)).isGreaterThan(1e6);
        }
    }

    /** Until both listen. */
    private void awaitServers(int hostPort) {
        List<List<String>> tries = List.of(
                List.of("ip", "netns", "exec", guest, "iperf3", "-c", "198.51.100.6", "-n", "1"),
                List.of("iperf3", "-c", "127.0.0.1", "-p", "" + hostPort, "-n", "1"));
        for (List<String> one : tries) {
            for (int i = 0; i < 100 && spaces.runAnyway(one).status() != 0; i++) {
                java.util.concurrent.locks.LockSupport.parkNanos(100_000_000);
            }
        }
    }
}
