package org.torte.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
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
    private final String namespace;
    private final String device;
    private final String address;
    private final List<Process> servers;

    private OutsideServer(String namespace, String device, String address, List<Process> servers) {
        this.namespace = namespace;
        this.device = device;
        this.address = address;
        this.servers = servers;
    }

    /** Starts one with the files of a folder; skips the test, with the reason, where that cannot be. */
    static OutsideServer serve(Path folder) throws IOException {
        assumeTrue("root".equals(System.getProperty("user.name")), "network namespaces need root");
        for (String program : List.of("/usr/bin/busybox", "/usr/sbin/ip")) {
            assumeTrue(Files.isExecutable(Path.of(program)), program + " is not installed");
        }
        long id = ProcessHandle.current().pid();
        String namespace = "torte-outside" + id;
        String device = "to" + id;
        // Of 192.0.2.0/24, which belongs to nobody (RFC 5737), four addresses that others who test now will seldom
        // have.
        String network = "192.0.2.";
        int first = (int) (id % 64) * 4;
        String address = network + (first + 2);
        assumeTrue(run(List.of("ip", "netns", "add", namespace)).isEmpty(), "network namespaces cannot be made here");
        boolean done = false;
        try {
            for (String command : List.of(
                    "ip link add " + device + " type veth peer name eth0 netns " + namespace,
                    "ip addr add " + network + (first + 1) + "/30 dev " + device,
                    "ip link set " + device + " up",
                    "ip -n " + namespace + " addr add " + address + "/30 dev eth0",
                    "ip -n " + namespace + " link set eth0 up")) {
                String errors = run(List.of(command.split(" ", -1)));
                assumeTrue(errors.isEmpty(), command + ": " + errors);
            }
            List<Process> servers = List.of(
                    start(namespace, "httpd", "-f", "-p", "80", "-h", folder.toString()),
                    start(namespace, "nc", "-l", "-p", "9"));
            done = true;
            return new OutsideServer(namespace, device, address, servers);
        } finally {
            if (!done) {
                remove(namespace, device);
            }
        }
    }

    private static Process start(String namespace, String... program) throws IOException {
        List<String> command = new ArrayList<>(List.of("ip", "netns", "exec", namespace, "busybox"));
        command.addAll(List.of(program));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    /** Its IPv4 address. */
    String address() {
        return address;
    }

    /** What the command complains of: nothing if it succeeds. */
    private static String run(List<String> command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        try {
            return process.waitFor() == 0 ? "" : output + "(status " + process.exitValue() + ")";
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static void remove(String namespace, String device) throws IOException {
        run(List.of("ip", "link", "del", device));
        run(List.of("ip", "netns", "del", namespace));
    }

    @Override
    public void close() throws IOException {
        for (Process server : servers) {
            server.destroyForcibly();
            try {
                server.waitFor(20, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        remove(namespace, device);
    }
}
