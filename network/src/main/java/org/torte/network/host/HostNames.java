package org.torte.network.host;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;

/**
 * The names of a network's machines for the host itself: systemd-resolved, where the host uses it, is told that the gateway
 * knows them (resolvectl(1)), and forgets it again. Nobody waits for that: it has a thread. Safe for several threads.
 */
public final class HostNames {
    private static final Path ROOT = Path.of("/");
    private static final String ROUTED = "~" + Subnet.DOMAIN;

    private final Optional<HostProgram> resolvectl;
    private final boolean asked;
    private final String interfaceName;
    private final String gateway;
    private final Thread telling;
    private volatile String state;

    HostNames(Path root, Optional<HostProgram> resolvectl, String interfaceName, String gateway) {
        this.resolvectl = resolvectl;
        this.interfaceName = interfaceName;
        this.gateway = gateway;
        asked = asksResolved(root);
        state = "the host's resolver is being told";
        telling = Thread.ofVirtual().name("torte-host-names").start(this::tell);
    }

    /**
     * Begins to tell the host's resolver, if it is one that can be told.
     *
     * @param interfaceName by which the host is in the network
     * @param gateway its address, which answers questions for names
     */
    public static HostNames tell(String interfaceName, String gateway) {
        return new HostNames(ROOT, HostProgram.find("resolvectl"), interfaceName, gateway);
    }

    /** What to do on a host that has no interface in a network. */
    public static String withoutInterface(String switchName) {
        return "not by the host, which has no interface here: torte switch set " + switchName
                + " --interface torte0 (root)";
    }

    /** Whether programs of the host ask systemd-resolved: by its address, or by nss-resolve(8). */
    private static boolean asksResolved(Path root) {
        return Files.isDirectory(root.resolve("run/systemd/resolve"))
                && (contains(root.resolve("etc/resolv.conf"), "nameserver\\s+127\\.0\\.0\\.5[34]\\b.*")
                        || contains(root.resolve("etc/nsswitch.conf"), "hosts:.*\\sresolve\\b.*"));
    }

    private static boolean contains(Path file, String line) {
        try {
            return Files.readAllLines(file).stream().anyMatch(one -> one.strip().matches(line));
        } catch (IOException e) {
            return false;
        }
    }

    private void tell() {
        if (!asked || resolvectl.isEmpty()) {
            state = "not by the host until its resolver asks " + gateway + " for the domain " + Subnet.DOMAIN
                    + " (dnsmasq: server=/" + Subnet.DOMAIN + "/" + gateway + ")";
            return;
        }
        String refused = run(resolvectl.get(), "dns", interfaceName, gateway);
        if (refused.isEmpty()) {
            refused = run(resolvectl.get(), "domain", interfaceName, ROUTED);
        }
        state = refused.isEmpty()
                ? "by the host, too: systemd-resolved asks " + gateway
                : "not by the host yet (" + refused + "): resolvectl dns " + interfaceName + " " + gateway
                        + " && resolvectl domain " + interfaceName + " '" + ROUTED + "'";
    }

    private static String run(HostProgram program, String... arguments) {
        try {
            HostProgram.Result result = program.run(List.of(arguments), "");
            return result.status() == 0 ? "" : result.reason();
        } catch (NetworkException e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** Who resolves the names, for people. */
    public String state() {
        return state;
    }

    /** Takes back what it was told; an interface that is gone has taken it along already. */
    public void forget() {
        if (asked && resolvectl.isPresent()) {
            Thread _ = Thread.ofVirtual().name("torte-host-names").start(() -> {
                try {
                    telling.join();
                    String ignored = run(resolvectl.get(), "revert", interfaceName);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            });
        }
    }
}
