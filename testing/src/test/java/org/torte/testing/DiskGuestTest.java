package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.worker.DiskSource;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/** The distribution's kernel finds its disks on the VMBus with its own drivers, and what it writes is on the disks. */
class DiskGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final int BLOCK = 200_000 & -4096, BLOCKS = 40;
    private static final long DISK_SIZE = 96L << 20;

    /**
     * The first disk gets a file system with a file; the second one many blocks, each of them forced; the third one is
     * read. Disks are told apart by their places, as Linux names them in the order in which they answer.
     */
    private static final String WORK = """
            dmesg -n 1
            disk() { echo /dev/$(ls /sys/bus/scsi/devices/0:0:0:$1/block); }
            n=0; until [ -b "$(disk 2)" ] && [ -b "$(disk 1)" ] && [ -b "$(disk 0)" ]; do
              n=$((n + 1)); [ $n -gt 600 ] && break; usleep 100000
            done 2>/dev/null
            echo "P:clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
            echo "P:bus $(dmesg | sed -n 's/.*hv_vmbus: Vmbus version://p')"
            for i in 0 1 2; do
              b=$(basename $(disk $i))
              echo "P:disk $i $(cat /sys/block/$b/size /sys/block/$b/ro | tr '\\n' ' ')"
            done
            echo "P:third $(sha256sum <$(disk 2))"
            mke2fs -I 256 $(disk 0) >/dev/null
            mkdir /mnt && mount -t ext4 $(disk 0) /mnt
            cat /torte/data /torte/data /torte/data >/mnt/file
            echo "P:file $(sha256sum </mnt/file)"
            umount /mnt
            i=0
            while [ $i -lt BLOCKS ]; do
              dd if=/torte/data of=$(disk 1) bs=BLOCK seek=$i conv=notrunc,fsync 2>/dev/null
              i=$((i + 1)); echo "P:block $i"
            done
            mount -t ext4 -o ro $(disk 0) /mnt
            echo "P:file $(sha256sum </mnt/file)"
            umount /mnt
            n=0; until [ -b "$(disk 3)" ] || [ $n -gt 600 ]; do n=$((n + 1)); usleep 100000; done 2>/dev/null
            echo "P:added $(cat /sys/block/$(basename $(disk 3))/size)"
            n=0; while [ -e /sys/bus/scsi/devices/0:0:0:3 ] && [ $n -lt 600 ]; do n=$((n + 1)); usleep 100000; done
            echo "P:removed $(ls /sys/bus/scsi/devices | grep -c '^0:')"
            dmesg -r | sed -n 's/^<[0-4]>/W:/p'
            echo P:end
            """;

    /** What Linux says on every machine without a PCI bus, of small inodes, and of a disk that it cannot flush any more. */
    private static final Pattern HARMLESS =
            KernelWarnings.harmless("supports timestamps until|cmd 0x35 status|Synchronize Cache");

    @TempDir
    static Path folder;

    private static String output(VirtualMachine machine, String until) {
        try {
            return machine.console().waitForText(Pattern.compile(until + "[^\\n]*\\n"), PATIENCE);
        } catch (TextNotFoundException e) {
            return machine.console().readAvailable();
        }
    }

    private static Path disk(String name, DiskFormat format) {
        Path file = folder.resolve(name);
        CreateOptions create =
                format == DiskFormat.VHDX ? CreateOptions.dynamic(DISK_SIZE) : CreateOptions.fixed(DISK_SIZE);
        VirtualDisks.create(file, format, create, DiskOptions.readWrite());
        return file;
    }

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void aStockLinuxUsesItsDisksAndGoesOnAfterBeingSavedInTheMiddleOfAWrite() throws IOException {
        byte[] data = new byte[BLOCK];
        new Random(20261123).nextBytes(data);
        GuestImages images = new GuestImages(step -> {});
        GuestImages.GuestKernel kernel;
        Path initrd = folder.resolve("initrd");
        try {
            kernel = images.guestKernel(GuestImages.CLOUD_KERNEL);
            String script = WORK.replace("BLOCKS", "" + BLOCKS).replace("BLOCK", "" + BLOCK);
            images.initrd(script, Map.of("torte/data", data), kernel, GuestImages.DISK_MODULES, initrd);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
            return;
        }
        Path first = disk("first.vhdx", DiskFormat.VHDX);
        Path second = disk("second.raw", DiskFormat.RAW);
        Path third = folder.resolve("third.img");
        Files.write(third, data);
        Path saved = folder.resolve("saved");
        String console;
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(kernel.kernel())
                .initrd(initrd)
                .append(KernelWarnings.COMMAND_LINE)
                .processors(2)
                .disk(DiskSource.of(first))
                .disk(DiskSource.of(second))
                .disk(new DiskSource(third, DiskFormat.RAW, true))
                .build()) {
            machine.start();
            console = output(machine, "P:block 7");
            machine.pause();
            machine.save(saved);
            console += machine.console().readAvailable();
        }
        try (VirtualMachine machine = VirtualMachine.builder().savedState(saved).build()) {
            machine.start();
            int unit = machine.addDisk(DiskSource.of(disk("fourth.vhdx", DiskFormat.VHDX)));
            console += output(machine, "P:added");
            machine.removeDisk(unit);
            console += output(machine, "P:end");
            assertThat(machine.awaitExit(PATIENCE)).as(console).isEqualTo(new ExitReport.PoweredOff());
        }
        List<String> lines = console.lines()
                .filter(line -> line.startsWith("P:"))
                .map(String::strip)
                .toList();
        assertThat(lines).as(console).contains("P:clock hyperv_clocksource_tsc_page", "P:bus 5.3", "P:end");
        assertThat(lines)
                .contains(
                        "P:disk 0 " + DISK_SIZE / 512 + " 0",
                        "P:disk 1 " + DISK_SIZE / 512 + " 0",
                        "P:disk 2 " + data.length / 512 + " 1");
        assertThat(lines).contains("P:added " + DISK_SIZE / 512, "P:removed 3");
        assertThat(lines).contains("P:third " + sha256(data) + "  -");
        Matcher file = Pattern.compile("P:file [0-9a-f]{64}").matcher(console);
        assertThat(file.results().map(result -> result.group()).distinct()).hasSize(1);
        assertThat(console.lines().filter(line -> line.startsWith("W:")))
                .as("warnings of the guest's kernel")
                .allMatch(line -> HARMLESS.matcher(line).find());
        byte[] written = new byte[BLOCK * BLOCKS];
        try (VirtualDisk disk = VirtualDisks.open(second, DiskFormat.RAW, DiskOptions.readOnly())) {
            disk.read(0, written);
        }
        for (int i = 0; i < BLOCKS; i++) {
            assertThat(Arrays.mismatch(written, i * BLOCK, (i + 1) * BLOCK, data, 0, BLOCK))
                    .as("block %d", i)
                    .isEqualTo(-1);
        }
        CheckReport report = VirtualDisks.check(first, DiskFormat.VHDX, DiskOptions.readOnly(), false);
        assertThat(report.sound()).as("%s", report).isTrue();
    }
}
