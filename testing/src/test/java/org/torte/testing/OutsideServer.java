package org.torte.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A web server, and one that takes one connection at port 9 and reads from it for ever, that are not this host: busybox's, in a network namespace behind a pair of virtual interfaces, so that guests
 * reach it as they would reach any other machine, and nothing of the host is opened to them. Root only.
 */
final class OutsideServer implements AutoCloseable {
    private static final String PREFIX = "torte-outside";

    /**
     * A network that belongs to nobody (RFC 5737), shared by those who test at the same time: four addresses for each. Not
     * the first of these networks, 192.0.2.0/24, because some virtual machines that tests run in have it as their own.
     */
    private static final String NETWORK = "203.0.113.";

    private static final int NETWORKS = 64;

    private final String namespace;
    private final String device;
    private final String address;
    private final List<Process> servers = new ArrayList<>();

    private OutsideServer(String namespace, String device, String address) {
        this.namespace = namespace;
        this.device = device;
        this.address = address;
    }

    /** Starts one with the files of a folder; skips the test, with the reason, where that cannot be. */
    static OutsideServer serve(Path folder) throws IOException {
        assumeTrue("root".equals(System.getProperty("user.name")), "network namespaces need root");
        for (String program : List.of("/usr/bin/busybox", "/usr/sbin/ip")) {
            assumeTrue(Files.isExecutable(Path.of(program)), program + " is not installed");
        }
        removeLeftovers();
        long id = ProcessHandle.current().pid();
        String namespace = PREFIX + id;
        String device = "to" + id;
        int first = freeNetwork((int) (id % NETWORKS)) * 4;
        String address = NETWORK + (first + 2);
        assumeTrue(run(List.of("ip", "netns", "add", namespace)).isEmpty(), "network namespaces cannot be made here");
        OutsideServer server = new OutsideServer(namespace, device, address);
        boolean done = false;
        try {
            for (String command : List.of(
                    "ip link add " + device + " type veth peer name eth0 netns " + namespace,
                    "ip addr add " + NETWORK + (first + 1) + "/30 dev " + device,
                    "ip link set " + device + " up",
                    "ip -n " + namespace + " addr add " + address + "/30 dev eth0",
                    "ip -n " + namespace + " link set eth0 up")) {
                String errors = run(List.of(command.split(" ", -1)));
                assumeTrue(errors.isEmpty(), command + ": " + errors);
            }
            server.start("httpd", "-f", "-p", "80", "-h", folder.toString());
            server.start("nc", "-l", "-p", "9");
            server.awaitPage();
            done = true;
            return server;
        } finally {
            if (!done) {
                server.close();
            }
        }
    }

    /** Removes what test runs left here that were killed: their routes would lead astray. */
    private static void removeLeftovers() throws IOException {
        for (String line : output(List.of("ip", "netns", "list")).lines().toList()) {
            String name = line.split(" ", 2)[0];
            String id = name.startsWith(PREFIX) ? name.substring(PREFIX.length()) : "";
            if (id.matches("[0-9]{1,9}") && ProcessHandle.of(Long.parseLong(id)).isEmpty()) {
                remove(name, "to" + id);
            }
        }
    }

    /** The first network of four addresses, counted from {@code start}, of which this host has none. */
    private static int freeNetwork(int start) throws IOException {
        String taken = output(List.of("ip", "-4", "-o", "addr"));
        for (int i = 0; i < NETWORKS; i++) {
            int network = (start + i) % NETWORKS;
            if (!taken.contains(" " + NETWORK + (network * 4 + 1) + "/")) {
                return network;
            }
        }
        throw new AssertionError("all of " + NETWORK + "0/24 is taken: " + taken);
    }

    /** Returns when the web server takes connections; fails if it ended or does not within a minute. */
    private void awaitPage() throws IOException {
        Process web = servers.getFirst();
        for (int i = 0; i < 600; i++) {
            try (Socket socket = new Socket()) {
                socket.connect(new InetSocketAddress(address, 80), 10_000);
                return;
            } catch (IOException e) {
                if (!web.isAlive()) {
                    throw new AssertionError("busybox httpd ended with status " + web.exitValue(), e);
                }
                waitFor(web, 100);
            }
        }
        throw new AssertionError("nothing listens at " + address + ":80");
    }

    private static void waitFor(Process process, long milliseconds) {
        try {
            process.waitFor(milliseconds, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private void start(String... program) throws IOException {
        List<String> command = new ArrayList<>(List.of("ip", "netns", "exec", namespace, "busybox"));
        command.addAll(List.of(program));
        servers.add(new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start());
    }

    /** Its IPv4 address. */
    String address() {
        return address;
    }

    /** What the command complains of: nothing if it succeeds. */
    private static String run(List<String> command) throws IOException {
        Process process = begin(command);
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            return process.waitFor() == 0 ? "" : output + "(status " + process.exitValue() + ")";
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static String output(List<String> command) throws IOException {
        return new String(begin(command).getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    private static Process begin(List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        return process;
    }

    private static void remove(String namespace, String device) throws IOException {
        run(List.of("ip", "link", "del", device));
        run(List.of("ip", "netns", "del", namespace));
    }

    @Override
    public void close() throws IOException {
        for (Process server : servers) {
            server.destroyForcibly();
            waitFor(server, 20_000);
        }
        remove(namespace, device);
    }
}
