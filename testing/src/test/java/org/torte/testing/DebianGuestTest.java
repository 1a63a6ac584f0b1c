package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.DebianGuest;
import org.torte.worker.guest.GuestSettings;
import org.torte.worker.guest.TinyGuest;

/** A whole Debian is made, starts from its disk by its own kernel, and lets its user log in. */
class DebianGuestTest {
    private static final Duration PATIENCE = Duration.ofHours(1);

    @TempDir
    Path folder;

    private static GuestSettings settings(String hostName, String user, List<String> keys, Optional<String> gateway) {
        return new GuestSettings(hostName, user, Optional.empty(), keys, Optional.empty(), gateway, List.of());
    }

    @Test
    void settingsThatWouldBreakOutOfTheirFilesAreRefused() {
        List<String> none = List.of();
        Optional<String> nothing = Optional.empty();
        assertThat(settings("web1.example", "admin", none, nothing).network()).contains("DHCP=yes");
        for (String name : List.of("", "a b", "a\nb", "-a", "a$(id)", "ä")) {
            assertThatThrownBy(() -> settings(name, "admin", none, nothing)).isInstanceOf(InputException.class);
        }
        for (String user : List.of("root", "", "a b", "a:b", "-x", "a\nroot")) {
            assertThatThrownBy(() -> settings("host", user, none, nothing)).isInstanceOf(InputException.class);
        }
        assertThatThrownBy(() -> settings("host", "user", List.of("command=\"x\" ssh-rsa AAAA"), nothing))
                .isInstanceOf(InputException.class);
        assertThatThrownBy(() -> settings("host", "user", none, Optional.of("10.0.0.1")))
                .hasMessageContaining("--address");
    }

    @Test
    @Tag("long")
    void aWholeDebianIsMadeAndStartsToItsLogin() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/mmdebstrap")), "mmdebstrap is not installed");
        Path disk = folder.resolve("debian.vhdx");
        try {
            new DebianGuest(step -> {})
                    .disk(
                            disk,
                            4L << 30,
                            settings("web1", "admin", List.of(), Optional.empty()),
                            Optional.empty(),
                            Optional.empty());
        } catch (InputException e) {
            abort("no Debian can be made here: " + e.getMessage());
        }
        if (GuestVolume.judged()) {
            Path volume = folder.resolve("volume");
            GuestVolume.extract(disk, volume);
            assertThat(GuestVolume.fsck(volume)).isEmpty();
            assertThat(GuestVolume.read(volume, "/etc/hostname")).isEqualTo("web1\n");
            Files.delete(volume);
        }
        try (VirtualMachine machine =
                TinyGuest.machine(disk).memory(1L << 30).processors(2).build()) {
            machine.start();
            machine.console().waitForText(Pattern.compile("web1 login: "), PATIENCE);
            machine.console().type("admin\n");
            GuestShell shell = GuestShell.await(machine.console(), "$ ", PATIENCE);
            // The login is there before all services are; the kernel's words would be among the answers.
            shell.run("sudo dmesg -n 1");
            shell.run("n=0; until systemctl -q is-active ssh && systemctl -q is-active systemd-networkd"
                    + " || [ $n -gt 600 ]; do n=$((n + 1)); sleep 1; done");
            assertThat(shell.output("systemctl is-active ssh systemd-networkd").lines())
                    .containsOnly("active");
            for (String service : List.of("kvp", "vss")) {
                if (shell.run("test -e /dev/vmbus/hv_" + service).status() == 0) {
                    assertThat(shell.output("systemctl is-active hv-" + service + "-daemon"))
                            .isEqualTo("active");
                }
            }
            machine.console().type("sudo systemctl poweroff\n");
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
    }
}
