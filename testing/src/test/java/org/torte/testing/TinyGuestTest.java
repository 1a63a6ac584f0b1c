package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CheckReport;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/** The tiny guest starts from its VHDX with the distribution's own drivers, and leaves it as a clean system would. */
class TinyGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    @TempDir
    static Path folder;

    private static TinyGuest guest;

    @BeforeAll
    static void makeGuest() {
        try {
            guest = new TinyGuests(new GuestImages(step -> {})).guest();
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
    }

    @Test
    void itStartsFromItsDiskLoadsItsDriversAndLeavesACleanFileSystem() throws IOException, InterruptedException {
        Path disk = folder.resolve("tiny.vhdx");
        guest.disk(disk, 256L << 20);
        try (VirtualMachine machine = TinyGuest.machine(disk).processors(2).build()) {
            machine.start();
            GuestShell shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
            assertThat(shell.output("cut -d' ' -f1-3 /proc/mounts")).containsPattern("/dev/sda1 / ext4");
            assertThat(shell.output("cut -d' ' -f1 /proc/modules").lines())
                    .contains("hv_storvsc", "hv_utils", "hv_balloon", "hv_netvsc");
            assertThat(shell.output("hostname")).isEqualTo("tiny");
            assertThat(shell.output("stat -c %u:%g:%a /bin /bin/busybox /etc/init.d/rcS")
                            .lines())
                    .containsExactly("0:0:755", "0:0:755", "0:0:755");
            assertThat(shell.run("hv_kvp_daemon -h").output()).contains("Usage");
            shell.output("seq 1 100000 >/root/numbers && sync");
            assertThat(shell.output("dmesg -r | grep '^<[0-3]>' | grep -v PCI || true"))
                    .as("errors of the guest's kernel")
                    .isEmpty();
            machine.console().type("poweroff\n");
            assertThat(machine.awaitExit(PATIENCE))
                    .as(machine.console().readAvailable())
                    .isEqualTo(new ExitReport.PoweredOff());
        }
        CheckReport report = VirtualDisks.check(disk, DiskFormat.VHDX, DiskOptions.readOnly(), false);
        assertThat(report.sound()).as("%s", report).isTrue();
        Path volume = folder.resolve("volume");
        GuestVolume.extract(disk, volume);
        if (GuestVolume.judged()) {
            assertThat(GuestVolume.features(volume)).doesNotContain("needs_recovery");
            assertThat(GuestVolume.fsck(volume)).isEmpty();
            assertThat(Pattern.compile("\\s").splitAsStream(GuestVolume.read(volume, "/root/numbers")))
                    .hasSize(100_000);
        }
        Files.delete(volume);
    }
}
