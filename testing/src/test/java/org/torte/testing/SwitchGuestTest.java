package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.Nat;
import org.torte.network.host.PortForward;
import org.torte.network.host.UserNat;
import org.torte.network.process.ConfigurationProblem;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.PortOptions;
import org.torte.network.process.SwitchClient;
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
 * Two stock Linuxes at switches of every type, of another process: on the one that is always there they find each other by
 * name, on a private one they hold a connection, at an internal one they find the host, and at an external one its
 * network; then that process is killed, and started again by whoever misses it. At last the host's kernel translates addresses.
 */
class SwitchGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(20);
    private static final String LEASE = "ip -4 -o addr show dev eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p'";
    private static final String CHANGES =
            "cat /sys/class/net/eth0/carrier_changes /sys/class/net/eth1/carrier_changes | tr '\\n' ' '";

    @TempDir
    private Path folder;

    /** Of the first machine at the switch that is always there, where a namespace is the host. */
    private static final PortForward FORWARD = PortForward.parse("8080:8000");

    private static PortDefinition port(String network, int machine, boolean outside) {
        boolean forwards = outside && machine == 1 && network.equals(SwitchDefinition.DEFAULT);
        return new PortDefinition(
                network + machine,
                network,
                "web" + machine,
                address(network, machine),
                PortOptions.STANDARD,
                forwards ? List.of(FORWARD) : List.of());
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
        Path site = Files.createDirectory(folder.resolve("site"));
        Files.writeString(site.resolve("index.html"), "page of the world");
        Optional<HostAndWorld> outside = HostAndWorld.make(site);
        try (AutoCloseable _ = () -> outside.ifPresent(HostAndWorld::close)) {
            findEachOther(base, other, outside);
        } catch (IOException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private void findEachOther(Path base, Path other, Optional<HostAndWorld> outside) throws IOException {
        List<SwitchDefinition> switches = new ArrayList<>(List.of(
                SwitchDefinition.standard(), new SwitchDefinition("lab", SwitchDefinition.Type.PRIVATE, "", 1500)));
        if (outside.isPresent()) {
            switches.add(new SwitchDefinition(
                    "inner", SwitchDefinition.Type.INTERNAL, "inner0", 1500, List.of("10.8.0.1/24", "fd08::1/64")));
            switches.add(new SwitchDefinition("office", SwitchDefinition.Type.EXTERNAL, "eth0", 1500));
        }
        List<String> names = switches.stream().map(SwitchDefinition::name).toList();
        List<PortDefinition> ports = names.stream()
                .flatMap(name -> Stream.of(port(name, 1, outside.isPresent()), port(name, 2, outside.isPresent())))
                .toList();
        Files.write(SwitchServer.configuration(folder), new NetworkConfiguration(switches, ports).text());
        List<String> command = SwitchMain.command(folder);
        SwitchStarter starter = new SwitchStarter(
                folder, outside.map(one -> one.onHost(command)).orElse(command));
        try (VirtualMachine one = machine(base, 1, names, starter);
                VirtualMachine two = machine(other, 2, names, starter)) {
            one.start();
            two.start();
            GuestShell web1 = GuestShell.await(one.console(), TinyGuest.PROMPT, PATIENCE);
            GuestShell web2 = GuestShell.await(two.console(), TinyGuest.PROMPT, PATIENCE);
            String lease1 = prepare(web1, 1);
            String lease2 = prepare(web2, 2);
            assertThat(lease1).isNotEqualTo(lease2);
            assertThatTheyFindEachOther(web1, lease2);
            outside.ifPresent(world -> {
                prepareOutside(web1, 1);
                prepareOutside(web2, 2);
                assertThatTheyFindTheHostAndTheWorld(world, web1);
            });

            assertThatItsClockIsKnown(web1);

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
            outside.ifPresent(world -> assertThatTheyFindTheHostAndTheWorld(world, web1));
            outside.ifPresent(world -> assertThatTheKernelTranslatesWhenItIsTold(world, web1, switches, ports));
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

    private VirtualMachine machine(Path disk, int number, List<String> switches, SwitchStarter starter) {
        VirtualMachine.Builder builder = TinyGuest.machine(disk);
        switches.forEach(name -> builder.network(source(name, number, starter)));
        return builder.build();
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

    /** The kernel answers with the time that it has, which is made wrong for a while. */
    private void assertThatItsClockIsKnown(GuestShell shell) throws IOException {
        long wrong = 90_000;
        shell.output("date -s @$(($(date +%s) + " + wrong / 1000 + ")) >/dev/null");
        long until = System.nanoTime() + PATIENCE.toNanos();
        long skew = 0;
        while (Math.abs(skew - wrong) > 3000) {
            assertThat(System.nanoTime()).as("the clock is known: " + skew).isLessThan(until);
            skew = skew(SwitchDefinition.standard().name() + 1).orElse(skew);
        }
        shell.output("date -s @$(($(date +%s) - " + wrong / 1000 + ")) >/dev/null");
    }

    /** What the switch process says of the clock behind a port, in milliseconds. */
    private Optional<Long> skew(String port) throws IOException {
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            Thread.sleep(200);
            if (client.status().get("ports") instanceof List<?> ports) {
                for (Object one : ports) {
                    if (one instanceof Map<?, ?> shown
                            && port.equals(shown.get("id"))
                            && shown.get("clock") instanceof Map<?, ?> clock
                            && clock.get("skewMillis") instanceof Number skew) {
                        return Optional.of(skew.longValue());
                    }
                }
            }
            return Optional.empty();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static void prepareOutside(GuestShell shell, int number) {
        shell.output("ip link set eth2 up; ip addr add 10.8.0.1" + number + "/24 dev eth2; ip -6 addr add fd08::1"
                + number + "/64 dev eth2");
        shell.output("ip addr add 198.51.100.1" + number + "/24 dev eth3; ip link set eth3 up");
    }

    private static void assertThatTheyFindTheHostAndTheWorld(HostAndWorld outside, GuestShell web1) {
        // Linux uses an IPv6 address only when it has asked whether another station has it.
        web1.output(
                "for i in $(seq 60); do ping -c 1 -W 1 fd08::1 >/dev/null 2>&1 && break; usleep 500000; done; true");
        // The host by IPv4 and IPv6 and the other machine, at the internal switch; the world, the host and the other
        // machine at the external one; and the host comes, too.
        for (String address :
                List.of("10.8.0.1", "fd08::1", "10.8.0.12", "198.51.100.1", "198.51.100.2", "198.51.100.12")) {
            assertThat(web1.output("ping -c 2 -W 20 " + address)).as(address).contains(" 0% packet loss");
        }
        outside.run(outside.onHost(List.of("ping", "-c", "1", "-W", "20", "10.8.0.12")));
        outside.run(outside.onHost(List.of("ping", "-c", "1", "-W", "20", "198.51.100.12")));
        assertThat(web1.output("wget -q -O - http://198.51.100.1/")).contains("page of the world");
        assertThatNatLeadsBothWays(outside, web1);
    }

    private static void assertThatNatLeadsBothWays(HostAndWorld outside, GuestShell web1) {
        assertThat(web1.output("wget -q -O - http://203.0.113.1/"))
                .as("through NAT")
                .contains("page of the world");
        web1.output("mkdir -p /tmp/site; echo page of the guest >/tmp/site/index.html;"
                + " pidof httpd >/dev/null || httpd -p 8000 -h /tmp/site");
        assertThat(outside.run(outside.onHost(List.of("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"))))
                .as("by the forward")
                .contains("page of the guest");
    }

    private void assertThatTheKernelTranslatesWhenItIsTold(
            HostAndWorld outside, GuestShell web1, List<SwitchDefinition> switches, List<PortDefinition> ports) {
        if (!Files.isExecutable(Path.of("/usr/sbin/nft"))) {
            System.out.println("without the kernel's NAT: it needs nftables");
            return;
        }
        outside.run(outside.onHost(List.of("sysctl", "-qw", "net.ipv4.ip_forward=1")));
        List<SwitchDefinition> others = new ArrayList<>(switches);
        others.set(
                0,
                new SwitchDefinition(
                        SwitchDefinition.DEFAULT, SwitchDefinition.Type.NAT, "", 1500, List.of(), Nat.Kind.KERNEL));
        try (SwitchClient client = SwitchClient.connect(SwitchServer.socket(folder))) {
            Files.write(SwitchServer.configuration(folder), new NetworkConfiguration(others, ports).text());
            List<ConfigurationProblem> problems = client.reload();
            if (problems.toString().contains("nft: ")) {
                System.out.println("without the kernel's NAT: " + problems);
                return;
            }
            assertThat(problems).isEmpty();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        assertThat(outside.run(outside.onHost(List.of("nft", "list", "tables"))))
                .contains("torte-");
        web1.output("until nslookup web2.torte >/dev/null 2>&1; do usleep 100000; done");
        assertThatNatLeadsBothWays(outside, web1);
        assertThat(web1.output("ping -c 2 -W 20 203.0.113.1")).contains(" 0% packet loss");
    }
}
