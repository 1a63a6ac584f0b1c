package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLConnection;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.network.host.PortForward;
import org.torte.worker.Capture;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * A stock Linux in a NAT network of its own, as {@code torte run --network nat} gives it: its DHCP client, resolver and TCP
 * are the judges of what the network says, and a web server in a namespace is the world outside.
 */
class NatGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(20);
    private static final long SEED = Long.getLong("torte.seed", 1);

    private static final int BYTES = 4 << 20;

    private static final String LEASE = "ip -4 -o addr show dev eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p'";

    private static final String QUEUES = "cd /sys/class/net/eth0/queues && echo *; cd";

    /** Interrupts of each channel of the adapter. */
    private static final String INTERRUPTS =
            "cat $(readlink -f /sys/class/net/eth0/device)/channels/*/interrupts | tr '\\n' ' '";

    /** Many connections, which differ in their ports and so spread over the channels. */
    private static final String CONNECTIONS = "for i in $(seq 24); do wget -q -O /dev/null $page; done";

    @TempDir
    private Path folder;

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private static String fetch(int port) throws IOException {
        URLConnection connection =
                URI.create("http://127.0.0.1:" + port + "/hello").toURL().openConnection();
        try (InputStream in = connection.getInputStream()) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    @Test
    void aStockLinuxUsesItsNetworkAndFindsItAgainWhenItWasSavedInTheMiddleOfATransfer() throws Exception {
        Path disk = folder.resolve("tiny.vhdx");
        try {
            new TinyGuests(new GuestImages(step -> {})).guest().disk(disk, 256 << 20);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
        byte[] content = new byte[BYTES];
        new Random(SEED).nextBytes(content);
        Path site = Files.createDirectory(folder.resolve("site"));
        Files.write(site.resolve("content"), content);
        Files.writeString(site.resolve("small"), "small");
        int hostPort = freePort();
        NetworkSource network = NetworkSource.of(new NetworkSource.Nat(
                folder.resolve("nat"), "web1", List.of(PortForward.parse(hostPort + ":80")), List.of()));
        Path saved = folder.resolve("saved");
        String lease;
        try (OutsideServer server = OutsideServer.serve(site);
                ServerSocketChannel hosts = ServerSocketChannel.open()) {
            hosts.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            hosts.configureBlocking(false);
            String page = "http://" + server.address() + "/content";
            VirtualMachine.Builder builder =
                    TinyGuest.machine(disk).processors(2).network(network);
            Path capture = folder.resolve("nat.pcapng");
            try (VirtualMachine machine = open(builder)) {
                machine.startCapture(0, capture, Capture.MAX_LENGTH);
                machine.start();
                GuestShell shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
                shell.output("until grep -q nameserver /etc/resolv.conf; do usleep 100000; done");
                lease = shell.output(LEASE);
                assertThat(lease).matches("(10|172|192\\.168)\\.[0-9.]+/[0-9]+");
                String gateway = shell.output("ip route | sed -n 's/^default via \\([^ ]*\\) .*/\\1/p'");
                assertThat(shell.output("sed -n 's/^nameserver //p' /etc/resolv.conf"))
                        .isEqualTo(gateway);
                assertThat(shell.output(QUEUES))
                        .as("a channel for each processor")
                        .isEqualTo("rx-0 rx-1 tx-0 tx-1");
                assertThat(shell.output("nslookup web1.torte")).contains("Address: " + lease.split("/", 2)[0]);
                assertThat(shell.run("nslookup nobody.torte").status()).isNotZero();
                assertThat(machine.stopCapture(0).dropped()).isZero();
                assertThatTsharkSeesTheLeaseAndTheNames(capture, lease.split("/", 2)[0]);
                assertThat(shell.output("ping -c 2 -W 20 " + gateway)).contains(" 0% packet loss");

                shell.output("mkdir /tmp/site; echo hello from $(uname -s) >/tmp/site/hello; httpd -p 80 -h /tmp/site");
                assertThat(fetch(hostPort)).as("by the forward").isEqualTo("hello from Linux\n");

                int port = ((InetSocketAddress) hosts.getLocalAddress()).getPort();
                assertThat(shell.run("wget -q -T 20 -O /dev/null http://" + gateway + ":" + port + "/")
                                .status())
                        .isNotZero();
                assertThat(hosts.accept()).as("a guest on the host's loopback").isNull();

                shell.output("page=http://" + server.address() + "/small; " + CONNECTIONS);
                assertThat(shell.output(INTERRUPTS).split(" ", -1)).hasSize(2).doesNotContain("0");

                // Both ways in the middle: a file of which 1 MiB has come, and a connection that sends for ever.
                shell.output("wget -q -O - " + page + " | dd of=/tmp/got bs=64k count=16 iflag=fullblock 2>/dev/null");
                shell.output("{ { dd if=/dev/zero bs=64k | nc " + server.address() + " 9; touch /tmp/ended; }"
                        + " >/dev/null 2>&1 & }; until [ $(cat /sys/class/net/eth0/statistics/tx_bytes) -gt 2000000 ];"
                        + " do usleep 100000; done; [ ! -e /tmp/ended ]");
                machine.pause();
                machine.save(saved);
            }
            try (VirtualMachine machine =
                    VirtualMachine.builder().savedState(saved).build()) {
                machine.start();
                GuestShell shell = GuestShell.of(machine.console(), PATIENCE);
                shell.output("until [ -e /tmp/ended ]; do usleep 100000; done");
                assertThat(shell.output("stat -c %s /tmp/got")).isEqualTo("1048576");
                shell.output("wget -q -c -O /tmp/got " + page);
                assertThat(shell.output("sha256sum </tmp/got")).isEqualTo(sha256(content) + "  -");

                assertThat(shell.output(QUEUES)).isEqualTo("rx-0 rx-1 tx-0 tx-1");
                assertThat(shell.output(LEASE)).isEqualTo(lease);
                shell.output("udhcpc -i eth0 -n -q -t 20 -s /etc/udhcpc.script >/dev/null 2>&1");
                assertThat(shell.output(LEASE)).as("asked for again").isEqualTo(lease);
                assertThat(shell.output("nslookup web1.torte")).contains("Address: " + lease.split("/", 2)[0]);
                assertThat(fetch(hostPort)).as("by the forward, again").isEqualTo("hello from Linux\n");
                assertThat(shell.output(KernelWarnings.SHOWN))
                        .as("warnings of the guest's kernel")
                        .isEmpty();
                machine.console().type("poweroff\n");
                assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
            }
        }
    }

    /** Discover, offer, request, acknowledgement, in this order; a name that is there and one that is not. */
    private static void assertThatTsharkSeesTheLeaseAndTheNames(Path capture, String address) throws Exception {
        if (!Files.isExecutable(Path.of("/usr/bin/tshark"))) {
            System.out.println("the capture was not looked at: tshark is not installed");
            return;
        }
        assertThat(tshark(capture, "dhcp", "dhcp.option.dhcp")).containsSubsequence("1", "2", "3", "5");
        assertThat(tshark(capture, "dhcp.option.dhcp == 5", "dhcp.ip.your")).contains(address);
        assertThat(tshark(capture, "dns.flags.response == 1 && dns.flags.rcode == 0", "dns.a"))
                .contains(address);
        assertThat(tshark(capture, "dns.flags.rcode == 3", "dns.qry.name")).contains("nobody.torte");
    }

    private static List<String> tshark(Path capture, String filter, String field) throws Exception {
        Process process = new ProcessBuilder(
                        "tshark", "-n", "-r", capture.toString(), "-Y", filter, "-T", "fields", "-e", field)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as("tshark -Y " + filter).isZero();
        return output.lines().toList();
    }

    private static VirtualMachine open(VirtualMachine.Builder builder) {
        try {
            return builder.build();
        } catch (InputException e) {
            String told = String.valueOf(e.getMessage());
            if (told.contains("libslirp")) {
                abort(told);
            }
            throw e;
        }
    }
}
