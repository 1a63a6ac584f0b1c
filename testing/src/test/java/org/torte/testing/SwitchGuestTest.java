package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.UserNat;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.PortOptions;
import org.torte.network.process.SwitchDefinition;
import org.torte.network.process.SwitchServer;
import org.torte.network.process.SwitchStarter;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * Two stock Linuxes at the switches of another process: on the one that is always there they find each other by name, on a
 * private one they hold a connection; then that process is killed, and started again by whoever misses it.
 */
class SwitchGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(20);
    private static final String LEASE = "ip -4 -o addr show dev eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p'";
    private static final String CHANGES =
            "cat /sys/class/net/eth0/carrier_changes /sys/class/net/eth1/carrier_changes | tr '\\n' ' '";

    @TempDir
    private Path folder;

    private static PortDefinition port(String network, int machine) {
        return new PortDefinition(
                network + machine,
                network,
                "web" + machine,
                address(network, machine),
                PortOptions.STANDARD,
                List.of());
    }

    private static MacAddress address(String network, int machine) {
        return new MacAddress(2L << 40 | network.length() << 8 | machine);
    }

    private NetworkSource source(String network, int machine, SwitchStarter starter) {
        return new NetworkSource(
                new NetworkSource.Switch(starter, network + machine),
                Optional.of(address(network, machine)),
                LinkState.DEFAULT_MTU);
    }

    private List<ProcessHandle> switchProcesses() {
        return ProcessHandle.current()
                .children()
                .filter(child ->
                        List.of(child.info().arguments().orElse(new String[0])).contains(folder.toString()))
                .toList();
    }

    @Test
    void twoStockLinuxesFindEachOtherAndKeepTheirConnectionWhenTheSwitchesAreKilled() throws IOException {
        Path base = folder.resolve("tiny.vhdx");
        try {
            UserNat.require();
            new TinyGuests(new GuestImages(step -> {})).guest().disk(base, 256 << 20);
        } catch (InputException | NetworkException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
        Path other = Files.copy(base, folder.resolve("other.vhdx"));
        Files.write(
                SwitchServer.configuration(folder),
                new NetworkConfiguration(
                                List.of(
                                        SwitchDefinition.standard(),
                                        new SwitchDefinition("lab", SwitchDefinition.Type.PRIVATE, "", 1500)),
                                List.of(port("Default", 1), port("Default", 2), port("lab", 1), port("lab", 2)))
                        .text());
        SwitchStarter starter = new SwitchStarter(folder, SwitchMain.command(folder));
        try (VirtualMachine one = machine(base, 1, starter);
                VirtualMachine two = machine(other, 2, starter)) {
            one.start();
            two.start();
            GuestShell web1 = GuestShell.await(one.console(), TinyGuest.PROMPT, PATIENCE);
            GuestShell web2 = GuestShell.await(two.console(), TinyGuest.PROMPT, PATIENCE);
            String lease1 = prepare(web1, 1);
            String lease2 = prepare(web2, 2);
            assertThat(lease1).isNotEqualTo(lease2);
            assertThatTheyFindEachOther(web1, lease2);

            // A connection of which one half has come.
            // It neither reads the terminal, which would stop it, nor sees an end there, at which it would hang up.
            web2.output("{ { tail -f /dev/null | nc -l -p 1000 >/tmp/got; } 2>/dev/null & }");
            web1.output(
                    "dd if=/dev/urandom of=/tmp/half bs=64k count=16 2>/dev/null; cat /tmp/half /tmp/half >/tmp/whole");
            web1.output("{ { cat /tmp/half; until [ -e /tmp/go ]; do usleep 50000; done; cat /tmp/half; }"
                    + " | nc 10.9.0.2 1000 >/dev/null 2>&1 & }");
            web2.output("until [ \"$(stat -c %s /tmp/got)\" = 1048576 ]; do usleep 50000; done");
            String changes = web1.output(CHANGES);

            List<ProcessHandle> processes = switchProcesses();
            assertThat(processes).hasSize(1);
            assertThat(processes.getFirst().destroyForcibly()).isTrue();
            processes.getFirst().onExit().join();
            web1.output("until ping -c 1 -W 1 10.9.0.2 >/dev/null 2>&1; do usleep 50000; done");
            web1.output("touch /tmp/go");
            web2.output("until [ \"$(stat -c %s /tmp/got)\" = 2097152 ]; do usleep 50000; done");
            assertThat(web2.output("sha256sum </tmp/got")).isEqualTo(web1.output("sha256sum </tmp/whole"));

            assertThatTheyFindEachOther(web1, lease2);
            web1.output("udhcpc -i eth0 -n -q -t 20 -s /etc/udhcpc.script >/dev/null 2>&1");
            assertThat(web1.output(LEASE)).as("asked for again").isEqualTo(lease1);
            System.out.println(
                    "changes of the guest's links before and after the kill: " + changes + "| " + web1.output(CHANGES));
            for (GuestShell shell : List.of(web1, web2)) {
                assertThat(shell.output(KernelWarnings.SHOWN))
                        .as("warnings of the guest's kernel")
                        .isEmpty();
            }
            one.console().type("poweroff\n");
            two.console().type("poweroff\n");
            assertThat(one.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
            assertThat(two.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        } finally {
            switchProcesses().forEach(ProcessHandle::destroyForcibly);
        }
    }

    private VirtualMachine machine(Path disk, int number, SwitchStarter starter) {
        return TinyGuest.machine(disk)
                .network(source("Default", number, starter))
                .network(source("lab", number, starter))
                .build();
    }

    /** Waits for its lease, which is returned, and gives it an address on the private switch. */
    private static String prepare(GuestShell shell, int number) {
        shell.output("until grep -q nameserver /etc/resolv.conf; do usleep 100000; done");
        shell.output("ip addr add 10.9.0." + number + "/24 dev eth1; ip link set eth1 up");
        String lease = shell.output(LEASE);
        assertThat(lease).matches("(10|172|192\\.168)\\.[0-9.]+/[0-9]+");
        return lease;
    }

    private static void assertThatTheyFindEachOther(GuestShell web1, String lease2) {
        assertThat(web1.output("nslookup web2.torte")).contains("Address: " + lease2.split("/", 2)[0]);
        assertThat(web1.output("ping -c 2 -W 20 web2.torte")).contains(" 0% packet loss");
        assertThat(web1.output("ping -c 2 -W 20 10.9.0.2")).contains(" 0% packet loss");
    }
}
