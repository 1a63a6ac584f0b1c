package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.MacAddress;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/** The distribution's kernels, one with four processors, talk to each other over a cable with their own driver. */
class NetworkGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(6);
    private static final int MEBIBYTES = 4;

    /** Both guests run this, with another SELF, OTHER and ROLE. */
    private static final String COMMON = """
            dmesg -n 1
            until_ready() { n=0; until "$@" >/dev/null 2>&1 || [ $n -gt 1200 ]; do n=$((n + 1)); usleep 100000; done; }
            until_ready [ -e /sys/class/net/eth0 ]
            echo "P:mac $(cat /sys/class/net/eth0/address)"
            ip addr add 10.0.0.SELF/24 dev eth0
            ip link set eth0 up
            ip link set lo up
            until_ready grep -q 1 /sys/class/net/eth0/carrier
            echo "P:carrier $(cat /sys/class/net/eth0/carrier)"
            channels() { ls /sys/class/net/eth0/device/channels | wc -l; }
            until_ready eval '[ $(channels) -eq $(grep -c ^processor /proc/cpuinfo) ]'
            echo "P:queues $(ls -d /sys/class/net/eth0/queues/rx-* | wc -l) $(channels)"
            until_ready ping -c 1 -W 1 10.0.0.OTHER
            echo "P:ping $(ping -c 3 -W 5 10.0.0.OTHER | sed -n 's/.*transmitted, \\([0-9]*\\) .*/\\1/p')"
            data() { i=0; while [ $i -lt MEBIBYTES ]; do dd if=/dev/urandom bs=64k count=16 2>/dev/null; i=$((i + 1)); done; }
            warnings() { dmesg -r | sed -n 's/^<[0-4]>/W:/p'; }
            """.replace("MEBIBYTES", "" + MEBIBYTES);

    private static final String SERVER = COMMON + """
            nc -l -p 1000 >/tmp/got
            echo "P:sum1 $(sha256sum </tmp/got)"
            data >/tmp/data
            echo "P:sum2 $(sha256sum </tmp/data)"
            nc -l -p 1001 </tmp/data
            ip link set eth0 mtu 9000
            until_ready grep -q 1 /sys/class/net/eth0/carrier
            nc -l -p 1002 >/tmp/got
            echo "P:sum3 $(sha256sum </tmp/got)"
            nc -l -p 1003 >/tmp/got
            warnings
            echo P:end
            """;

    private static final String CLIENT = COMMON + """
            data >/tmp/data
            echo "P:sum1 $(sha256sum </tmp/data)"
            echo P:sending
            until_ready sh -c 'nc 10.0.0.OTHER 1000 </tmp/data'
            sleep 1
            until_ready sh -c 'nc 10.0.0.OTHER 1001 >/tmp/got && [ -s /tmp/got ]'
            echo "P:sum2 $(sha256sum </tmp/got)"
            ip link set eth0 mtu 9000
            until_ready grep -q 1 /sys/class/net/eth0/carrier
            until_ready ping -c 1 -W 1 10.0.0.OTHER
            until_ready ping -c 1 -W 2 -s 8000 10.0.0.OTHER
            echo "P:jumbo $(ping -c 1 -W 5 -s 8900 10.0.0.OTHER | sed -n 's/.*transmitted, \\([0-9]*\\) .*/\\1/p')"
            echo "P:sum3 $(sha256sum </tmp/data)"
            until_ready sh -c 'nc 10.0.0.OTHER 1002 </tmp/data'
            n=0; until [ -e /sys/class/net/eth1 ] || [ $n -gt 1200 ]; do n=$((n + 1)); usleep 100000; done
            echo "P:added $(cat /sys/class/net/eth1/address)"
            n=0; while [ -e /sys/class/net/eth1 ] && [ $n -lt 1200 ]; do n=$((n + 1)); usleep 100000; done
            echo "P:removed $(ls /sys/class/net | grep -c eth)"
            until_ready sh -c 'echo | nc 10.0.0.OTHER 1003'
            until_ready grep -q 0 /sys/class/net/eth0/carrier
            echo "P:down $(cat /sys/class/net/eth0/carrier)"
            warnings
            echo P:end
            """;

    /**
     * What Linux says on every machine without a PCI bus, and (on Hyper-V itself, too) of coalesced segments, because its
     * driver does not tell TCP how long they were on the wire.
     */
    private static final Pattern HARMLESS = KernelWarnings.harmless("Driver has suspect GRO implementation");

    @TempDir
    static Path folder;

    private static String output(VirtualMachine machine, String until) {
        try {
            return machine.console().waitForText(Pattern.compile(until + "[^\\n]*\\n"), PATIENCE);
        } catch (TextNotFoundException e) {
            return machine.console().readAvailable();
        }
    }

    private static String script(String script, int self, int other) {
        return script.replace("SELF", "" + self).replace("OTHER", "" + other);
    }

    private static List<String> lines(String console) {
        return console.lines()
                .filter(line -> line.startsWith("P:"))
                .map(String::strip)
                .toList();
    }

    private static String line(String console, String start) {
        return lines(console).stream()
                .filter(line -> line.startsWith(start))
                .findFirst()
                .orElse(start + " is missing");
    }

    private static void assertQuiet(String console) {
        assertThat(console.lines().filter(line -> line.startsWith("W:")))
                .as("warnings of the guest's kernel")
                .allMatch(line -> HARMLESS.matcher(line).find());
    }

    @Test
    void twoStockLinuxesExchangeDataOverACableAlsoWhenOneIsSavedInTheMiddle() throws IOException {
        GuestImages images = new GuestImages(step -> {});
        GuestImages.GuestKernel kernel;
        Path serverDisk = folder.resolve("server");
        Path clientDisk = folder.resolve("client");
        try {
            kernel = images.guestKernel(GuestImages.CLOUD_KERNEL);
            images.initrd(script(SERVER, 1, 2), Map.of(), kernel, GuestImages.NETWORK_MODULES, serverDisk);
            images.initrd(script(CLIENT, 2, 1), Map.of(), kernel, GuestImages.NETWORK_MODULES, clientDisk);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
            return;
        }
        NetworkSource cable =
                new NetworkSource(new NetworkSource.Cable(folder.resolve("cable")), java.util.Optional.empty(), 9000);
        Path saved = folder.resolve("saved");
        VirtualMachine.Builder serverBuilder = VirtualMachine.builder()
                .kernel(kernel.kernel())
                .initrd(serverDisk)
                .append(KernelWarnings.COMMAND_LINE)
                .memory(256 << 20)
                .processors(4)
                .network(cable);
        String serverConsole;
        String clientConsole;
        try (VirtualMachine server = serverBuilder.build()) {
            server.start();
            MacAddress address;
            try (VirtualMachine client = VirtualMachine.builder()
                    .kernel(kernel.kernel())
                    .initrd(clientDisk)
                    .append(KernelWarnings.COMMAND_LINE)
                    .memory(256 << 20)
                    .network(cable)
                    .build()) {
                address = client.networkAddress(0);
                client.start();
                clientConsole = output(client, "P:sending");
                client.pause();
                client.save(saved);
                clientConsole += client.console().readAvailable();
            }
            try (VirtualMachine client =
                    VirtualMachine.builder().savedState(saved).build()) {
                assertThat(client.networkAddress(0)).isEqualTo(address);
                client.start();
                clientConsole += output(client, "P:sum3");
                int number = client.addNetwork(NetworkSource.of(new NetworkSource.Loopback()));
                clientConsole += output(client, "P:added");
                MacAddress added = client.networkAddress(number);
                client.removeNetwork(number);
                clientConsole += output(client, "P:removed");
                serverConsole = output(server, "P:end");
                assertThat(server.awaitExit(PATIENCE)).as(serverConsole).isEqualTo(new ExitReport.PoweredOff());
                server.close();
                clientConsole += output(client, "P:end");
                assertThat(client.awaitExit(PATIENCE)).as(clientConsole).isEqualTo(new ExitReport.PoweredOff());
                assertThat(lines(clientConsole)).as(clientConsole).contains("P:added " + added, "P:removed 1");
            }
            assertThat(lines(clientConsole))
                    .as(clientConsole)
                    .contains("P:mac " + address, "P:queues 1 1", "P:ping 3", "P:jumbo 1");
        }
        assertThat(lines(clientConsole)).as(clientConsole).contains("P:carrier 1", "P:down 0", "P:end");
        assertThat(lines(serverConsole)).as(serverConsole).contains("P:carrier 1", "P:queues 4 4", "P:ping 3", "P:end");
        for (String sum : List.of("P:sum1", "P:sum2", "P:sum3")) {
            assertThat(line(serverConsole, sum)).as(serverConsole).isEqualTo(line(clientConsole, sum));
        }
        assertQuiet(serverConsole);
        assertQuiet(clientConsole);
    }
}
