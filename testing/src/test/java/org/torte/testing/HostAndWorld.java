package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * Two namespaces: one stands for the host, its interface eth0 (198.51.100.2) leads to the other one (198.51.100.1), which stands for
 * the world and has a server (203.0.113.1). Needs root.
 */
final class HostAndWorld implements AutoCloseable {
    private static final String PREFIX = "tortehw" + ProcessHandle.current().pid();

    private final String host = PREFIX + "h";
    private final String world = PREFIX + "w";
    private final List<Process> processes = new ArrayList<>();

    private HostAndWorld() {}

    /** Nothing, with a reason printed, where namespaces cannot be made. */
    static Optional<HostAndWorld> make(Path site) throws IOException {
        if (!"root".equals(System.getProperty("user.name"))
                || !Files.isWritable(Path.of("/dev/net/tun"))
                || !Files.isExecutable(Path.of("/usr/bin/busybox"))
                || !Files.isExecutable(Path.of("/usr/bin/ping"))
                || !Files.isExecutable(Path.of("/sbin/ip"))) {
            System.out.println(
                    "without internal and external switches: they need root, /dev/net/tun, busybox, ping and ip");
            return Optional.empty();
        }
        HostAndWorld made = new HostAndWorld();
        boolean done = false;
        try {
            for (String space : List.of(made.host, made.world)) {
                Process adding = new ProcessBuilder("ip", "netns", "add", space)
                        .redirectErrorStream(true)
                        .start();
                String output = new String(adding.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (adding.waitFor() != 0) {
                    System.out.println("without internal and external switches: no network namespaces here: " + output);
                    return Optional.empty();
                }
                made.ip("-n " + space + " link set lo up");
            }
            made.ip("-n " + made.host + " link add eth0 type veth peer name eth0 netns " + made.world);
            made.ip("-n " + made.world + " link set eth0 up");
            made.ip("-n " + made.world + " addr add 198.51.100.1/24 dev eth0");
            made.ip("-n " + made.world + " addr add 203.0.113.1/32 dev lo");
            made.ip("-n " + made.host + " link set eth0 up");
            made.ip("-n " + made.host + " addr add 198.51.100.2/24 dev eth0");
            made.ip("-n " + made.host + " route add default via 198.51.100.1");
            made.processes.add(new ProcessBuilder(
                            made.in(made.world, List.of("busybox", "httpd", "-f", "-p", "80", "-h", site.toString())))
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start());
            done = true;
            return Optional.of(made);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        } finally {
            if (!done) {
                made.close();
            }
        }
    }

    private List<String> in(String space, List<String> command) {
        List<String> whole = new ArrayList<>(List.of("ip", "netns", "exec", space));
        whole.addAll(command);
        return whole;
    }

    /** The command that does this on the host. */
    List<String> onHost(List<String> command) {
        return in(host, command);
    }

    private String ip(String arguments) {
        List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments.split(" ")));
        return run(command);
    }

    /** Runs a program that must succeed, and returns what it prints. */
    String run(List<String> command) {
        try {
            Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor())
                    .as("%s: %s", String.join(" ", command), output)
                    .isZero();
            return output;
        } catch (IOException e) {
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        }
    }

    @Override
    public void close() {
        for (Process process : processes) {
            process.destroyForcibly();
            try {
                process.waitFor(20, TimeUnit.SECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        for (String space : List.of(host, world)) {
            if (Files.exists(Path.of("/run/netns", space))) {
                ip("netns del " + space);
            }
        }
    }
}
