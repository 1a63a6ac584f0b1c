package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
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
import org.torte.disk.operation.LiveDisk;
import org.torte.disk.operation.Merge;
import org.torte.worker.Console;
import org.torte.worker.DiskSource;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * The distribution's Linux goes on with its root file system while checkpoints of its disk are made and merged, and sees
 * by itself that another disk has grown.
 */
class DiskInUseGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(10);
    private static final long MIB = 1 << 20;
    private static final long DISK_SIZE = 256 * MIB, SMALL = 64 * MIB, GROWN = 96 * MIB;
    private static final int LINES = 3000;
    /** For so many of its steps each merge waits until the guest has written and forced another file. */
    private static final int WHILE_MERGED = 2;

    /** Writes and forces one file after the other, each with its own content, until it is told to stop. */
    private static final String LOAD = "mkdir -p /root/w; rm -f /root/stop; (i=FIRST; until [ -e /root/stop ]; do seq"
            + " ${i}00000 ${i}0" + LINES + " | dd of=/root/w/f$i bs=8k conv=fsync 2>/dev/null; echo \"P:forced $i\";"
            + " rm -f /root/w/noise$((i-2)); dd if=/dev/urandom of=/root/w/noise$i bs=64k count=9 2>/dev/null;"
            + " i=$((i+1)); done; echo P:stopped $i) &";

    /** Reads a sector, which tells the kernel of news, until the size is another one. */
    private static final String SIZE_OF_SECOND = "n=0; while [ $(cat /sys/block/$D/size) = " + SMALL / 512
            + " ] && [ $n -lt 600 ]; do dd if=/dev/$D of=/dev/null bs=4k count=1 2>/dev/null; n=$((n+1)); usleep 50000;"
            + " done; cat /sys/block/$D/size";

    @TempDir
    Path folder;

    /** How often memory is copied under load and compared. */
    private static final int COPIES = 3;

    private static String waitFor(Console console, String line) {
        try {
            return console.waitForText(Pattern.compile(line + "\\r?\\n"), PATIENCE);
        } catch (TextNotFoundException e) {
            throw new AssertionError("no " + line + ":\n" + console.readAvailable(), e);
        }
    }

    private static String content(int file) {
        StringBuilder text = new StringBuilder();
        for (int line = Integer.parseInt(file + "00000"); line <= Integer.parseInt(file + "0" + LINES); line++) {
            text.append(line).append('\n');
        }
        return text.toString();
    }

    @Test
    void aStockLinuxGoesOnWhileCheckpointsOfItsDiskAreMergedAndSeesADiskGrow() throws Exception {
        Path base = folder.resolve("base.vhdx");
        Path second = folder.resolve("second.vhdx");
        try {
            new TinyGuests(new GuestImages(step -> {})).guest().disk(base, DISK_SIZE);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
        VirtualDisks.create(second, DiskFormat.VHDX, CreateOptions.dynamic(SMALL), DiskOptions.readWrite());
        int files;
        try (VirtualMachine machine = TinyGuest.machine(base)
                .disk(DiskSource.of(second))
                .processors(2)
                .build()) {
            machine.start();
            GuestShell shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
            grow(machine, shell);
            files = checkpointAndMerge(machine, shell);
            assertThat(shell.output(KernelWarnings.SHOWN))
                    .as("warnings of the guest's kernel")
                    .isEmpty();
            machine.console().type("poweroff\n");
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
        assertThat(folder).isDirectoryNotContaining("glob:**middle*").isDirectoryNotContaining("glob:**top*");
        assertSound(base);
        assertSound(second);
        byte[] end = new byte[512];
        try (VirtualDisk disk = VirtualDisks.open(second, DiskFormat.VHDX, DiskOptions.readOnly())) {
            assertThat(disk.size()).isEqualTo(GROWN);
            disk.read(GROWN - 512, end);
        }
        assertThat(new String(end, StandardCharsets.US_ASCII)).startsWith("the end");
        assumeTrue(GuestVolume.judged(), "e2fsprogs are not installed");
        Path volume = folder.resolve("volume");
        GuestVolume.extract(base, volume);
        assertThat(GuestVolume.features(volume)).doesNotContain("needs_recovery");
        assertThat(GuestVolume.fsck(volume)).isEmpty();
        for (int i = 0; i < files; i++) {
            assertThat(GuestVolume.read(volume, "/root/w/f" + i))
                    .as("file %d", i)
                    .isEqualTo(content(i));
        }
    }

    /** The guest sees the new size without being asked to look for it, and uses the new space. */
    private static void grow(VirtualMachine machine, GuestShell shell) {
        // Linux looks at its disks all at once, so their names change places now and then; the unit's number does not.
        String device = shell.output("D=$(ls /sys/bus/scsi/devices/*:0:1/block); echo $D");
        assertThat(device).matches("sd[ab]");
        assertThat(shell.output("cat /sys/block/$D/size")).isEqualTo("" + SMALL / 512);
        machine.growDisk(1, GROWN);
        assertThat(shell.output(SIZE_OF_SECOND)).isEqualTo("" + GROWN / 512);
        assertThat(shell.output("dmesg | grep -c '" + device + ": detected capacity change'"))
                .isEqualTo("1");
        shell.output("echo 'the end' | dd of=/dev/$D bs=512 seek=" + (GROWN / 512 - 1) + " conv=fsync 2>/dev/null");
    }

    /** Two checkpoints under load, the first merged below the disk in use, the second the disk's own; gives how many files. */
    private int checkpointAndMerge(VirtualMachine machine, GuestShell shell) throws IOException {
        Console console = machine.console();
        LiveDisk disk = machine.disk(0);
        Path middle = folder.resolve("middle.vhdx");
        Path top = folder.resolve("top.vhdx");
        shell.output("dd if=/dev/urandom of=/root/big bs=256k count=16 conv=fsync 2>/dev/null");
        String digest = shell.output("sha256sum /root/big");
        console.type(LOAD.replace("FIRST", "0") + "\n");
        waitFor(console, "P:forced 1");
        disk.checkpoint(middle);
        for (int i = 0; i < COPIES; i++) {
            waitFor(console, "P:forced \\d+");
            MemoryComparison.Result result = MemoryComparison.of(machine);
            System.out.println("memory copied while the guest writes files: " + result.copied());
            assertThat(result.copied().again()).isPositive();
            assertThat(result.different())
                    .as("pages written by drivers or devices, which nobody was told")
                    .isEmpty();
        }
        waitFor(console, "P:forced \\d+");
        stop(console);
        // Over and over what the base holds too, so that the merge has much to do.
        shell.output("dd if=/dev/urandom of=/root/big bs=256k count=16 conv=notrunc,fsync 2>/dev/null");
        String changed = shell.output("sha256sum /root/big");
        assertThat(changed).isNotEqualTo(digest);
        int before = Integer.parseInt(shell.output("ls /root/w | grep -c '^f'"));
        disk.checkpoint(top);
        console.type(LOAD.replace("FIRST", "" + before) + "\n");
        waitFor(console, "P:forced \\d+");
        merge(disk, middle, console);
        assertThat(disk.layers()).hasSize(2);
        merge(disk, top, console);
        assertThat(disk.layers()).hasSize(1);
        int files = stop(console);
        shell.output("sync; echo 3 >/proc/sys/vm/drop_caches");
        assertThat(shell.output("sha256sum /root/big")).isEqualTo(changed);
        String wrong = "for i in $(seq 0 " + (files - 1) + "); do seq ${i}00000 ${i}0" + LINES
                + " | cmp - /root/w/f$i || echo $i; done";
        assertThat(shell.output(wrong)).isEmpty();
        assertThat(List.copyOf(machine.diskStates().values()).getFirst().layers())
                .hasSize(1);
        return files;
    }

    private static int stop(Console console) {
        console.type("touch /root/stop\n");
        String said = waitFor(console, "P:stopped (\\d+)");
        Matcher matcher = Pattern.compile("P:stopped (\\d+)").matcher(said);
        assertThat(matcher.find()).isTrue();
        return Integer.parseInt(matcher.group(1));
    }

    /** Merges a layer; the merge goes on only when the guest has forced files meanwhile. */
    private static void merge(LiveDisk disk, Path layer, Console console) {
        int[] written = {0};
        Merge.Plan plan = disk.merge(layer, (done, total) -> {
            if (written[0] < WHILE_MERGED) {
                console.readAvailable();
                waitFor(console, "P:forced \\d+");
                written[0]++;
            }
            return true;
        });
        System.out.println("merged " + layer.getFileName() + ": " + plan + ", files forced meanwhile: " + written[0]);
        assertThat(written[0]).isPositive();
    }

    private static void assertSound(Path image) {
        CheckReport report = VirtualDisks.check(image, DiskFormat.VHDX, DiskOptions.readOnly(), false);
        assertThat(report.sound()).as("%s", report).isTrue();
    }
}
