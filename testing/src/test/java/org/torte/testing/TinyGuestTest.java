package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CheckReport;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.machine.filesystem.DamagedException;
import org.torte.machine.filesystem.Ext4;
import org.torte.machine.filesystem.Ext4File;
import org.torte.machine.filesystem.PartitionTable;
import org.torte.worker.Console;
import org.torte.worker.ExitReport;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * The tiny guest with its root on a VHDX: one run under load, saved and restored in the middle, whose writes are recorded
 * up to there; and what becomes of the disk, and of a guest on it, when the power goes at any moment of the record.
 */
class TinyGuestTest {
    private static final Duration PATIENCE = Duration.ofMinutes(10);
    private static final long SEED = Long.getLong("torte.seed", 1);
    private static final long DISK_SIZE = 256L << 20;
    /** Files that the load writes and forces; the machine is saved when so many of them are done. */
    private static final int FILES = 16, SAVED_AFTER = 10;

    private static final int LINES = 4000;

    /** Each file is forced and told of; others come and go around it without. */
    private static final String LOAD = "mkdir /root/w; i=0; while [ $i -lt " + FILES + " ]; do"
            + " seq ${i}00000 ${i}0" + LINES
            + " | dd of=/root/w/f$i bs=8k conv=fsync 2>/dev/null; echo \"P:forced $i\"; dd if=/dev/urandom"
            + " of=/root/w/noise$i bs=16k count=12 2>/dev/null; mkdir /root/w/d$i; mv /root/w/noise$i /root/w/d$i/; ["
            + " $i -gt 2 ] && rm -r /root/w/d$((i-2)); i=$((i+1)); done; echo P:loaded";

    @TempDir
    static Path folder;

    private static WriteLog log;
    private static Path start;
    /** The steps of the log after which each file is surely forced; as many as were told of before the machine was saved. */
    private static final List<Integer> FORCED = new ArrayList<>();

    private static int steps;
    private static Path disk;
    private static String modules = "", mounts = "", owners = "", daemon = "", warnings = "", listed = "";
    private static ExitReport end;

    @BeforeAll
    static void runUnderLoad() throws IOException {
        start = folder.resolve("start.vhdx");
        disk = folder.resolve("tiny.vhdx");
        try {
            new TinyGuests(new GuestImages(step -> {})).guest().disk(start, DISK_SIZE);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
        Files.copy(start, disk);
        log = new WriteLog(folder.resolve("log"));
        Path saved = folder.resolve("saved");
        try (VirtualMachine machine = TinyGuest.machine(disk)
                .processors(4)
                .diskStorage(new RecordedStorage(disk, log))
                .build()) {
            machine.start();
            GuestShell shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
            modules = shell.output("cut -d' ' -f1 /proc/modules");
            mounts = shell.output("cut -d' ' -f1-3 /proc/mounts");
            owners = shell.output("stat -c %u:%g:%a /bin /bin/busybox /etc/init.d/rcS");
            daemon = shell.run("hv_kvp_daemon -h").output();
            machine.console().type(LOAD + "\n");
            for (int i = 0; i < SAVED_AFTER; i++) {
                waitFor(machine.console(), "P:forced " + i);
                FORCED.add(log.count());
            }
            machine.pause();
            steps = log.count();
            machine.save(saved);
        }
        try (VirtualMachine machine = VirtualMachine.builder().savedState(saved).build()) {
            machine.start();
            waitFor(machine.console(), "P:loaded");
            GuestShell shell = GuestShell.of(machine.console(), PATIENCE);
            listed = shell.output("cd /root/w && sha256sum f* && cd");
            warnings = shell.output(KernelWarnings.SHOWN);
            machine.console().type("poweroff\n");
            end = machine.awaitExit(PATIENCE);
        }
        Files.delete(saved);
    }

    @AfterAll
    static void closeLog() throws IOException {
        if (log != null) {
            log.close();
        }
    }

    private static void waitFor(Console console, String line) {
        try {
            console.waitForText(Pattern.compile(Pattern.quote(line) + "\\r?\\n"), PATIENCE);
        } catch (TextNotFoundException e) {
            throw new AssertionError("no " + line + ":\n" + console.readAvailable(), e);
        }
    }

    /** What the load writes into a file. */
    private static String content(int file) {
        StringBuilder text = new StringBuilder();
        for (int line = Integer.parseInt(file + "00000"); line <= Integer.parseInt(file + "0" + LINES); line++) {
            text.append(line).append('\n');
        }
        return text.toString();
    }

    private static void assertSound(Path image) {
        CheckReport report = VirtualDisks.check(image, DiskFormat.VHDX, DiskOptions.readOnly(), false);
        assertThat(report.sound()).as("%s", report).isTrue();
    }

    @Test
    void itStartsFromItsDiskWithTheDriversAndDaemonsOfItsDistribution() {
        assertThat(mounts.lines()).contains("/dev/sda1 / ext4");
        assertThat(modules.lines()).contains("hv_storvsc", "hv_utils", "hv_balloon", "hv_netvsc");
        assertThat(owners.lines()).containsExactly("0:0:755", "0:0:755", "0:0:755");
        assertThat(daemon).contains("Usage");
    }

    @Test
    void savedAndRestoredUnderLoadItEndsWithAllItsFilesAndACleanFileSystem() throws Exception {
        assertThat(end).isEqualTo(new ExitReport.PoweredOff());
        assertThat(listed.lines()).hasSize(FILES);
        assertThat(warnings).as("warnings of the guest's kernel").isEmpty();
        assertSound(disk);
        assumeTrue(GuestVolume.judged(), "e2fsprogs are not installed");
        Path volume = folder.resolve("volume");
        GuestVolume.extract(disk, volume);
        assertThat(GuestVolume.features(volume)).doesNotContain("needs_recovery");
        assertThat(GuestVolume.fsck(volume)).isEmpty();
        for (int i = 0; i < FILES; i++) {
            assertThat(GuestVolume.read(volume, "/root/w/f" + i)).isEqualTo(content(i));
        }
        Files.delete(volume);
    }

    @Test
    void whenThePowerGoesNothingForcedIsLostAndTheJournalRecovers() throws Exception {
        cutThePower(12, 1);
    }

    @Test
    @Tag("long")
    void whenThePowerGoesNothingForcedIsLostAndTheJournalRecoversForLong() throws Exception {
        cutThePower(200, 5);
    }

    private static void cutThePower(int points, int boots) throws Exception {
        assumeTrue(GuestVolume.judged(), "e2fsprogs are not installed");
        Random random = new Random(SEED);
        int[] cuts = random.ints(points, 1, steps + 1).sorted().toArray();
        Path base = folder.resolve("base.vhdx");
        Path state = folder.resolve("state.vhdx");
        Path volume = folder.resolve("volume");
        Files.copy(start, base, StandardCopyOption.REPLACE_EXISTING);
        int recovered = 0;
        int files = 0;
        try (FileChannel file = FileChannel.open(base, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            int at = 0;
            for (int i = 0; i < cuts.length; i++) {
                int durable = log.durable(cuts[i]);
                log.replay(file, at, durable);
                at = durable;
                Files.copy(base, state, StandardCopyOption.REPLACE_EXISTING);
                try (FileChannel cut = FileChannel.open(state, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
                    log.replayInPart(cut, cuts[i], random);
                }
                int forced =
                        (int) FORCED.stream().filter(step -> step <= durable).count();
                String name = "seed " + SEED + ", cut " + i + " after step " + cuts[i] + " of " + steps;
                VirtualDisks.open(state, DiskFormat.VHDX, DiskOptions.readWrite())
                        .close();
                assertSound(state);
                assertFiles(state, forced, name);
                GuestVolume.extract(state, volume);
                recovered += GuestVolume.features(volume).contains("needs_recovery") ? 1 : 0;
                assertThat(GuestVolume.recover(volume)).as(name).isEmpty();
                Files.delete(volume);
                files += forced;
                if (i % (points / boots) == points / boots - 1) {
                    boot(state, forced);
                }
            }
        }
        Files.delete(base);
        Files.delete(state);
        System.getLogger(TinyGuestTest.class.getName())
                .log(
                        System.Logger.Level.INFO,
                        "{0} cuts in {1} steps with {2} forces: {3} journals recovered, {4} forced files found, {5}"
                                + " boots",
                        points,
                        steps,
                        log.forces(),
                        recovered,
                        files,
                        boots);
    }

    /** Reads the forced files as a boot loader would. */
    private static void assertFiles(Path state, int forced, String name) throws DamagedException {
        try (VirtualDisk opened = VirtualDisks.open(state, DiskFormat.VHDX, DiskOptions.readOnly())) {
            Ext4 fileSystem = Ext4.open(PartitionTable.read(opened).getFirst().volume());
            for (int i = 0; i < forced; i++) {
                Optional<Ext4File> file = fileSystem.find("/root/w/f" + i);
                assertThat(file).as("%s: file %d", name, i).isPresent();
                byte[] bytes = new byte[(int) file.orElseThrow().size()];
                file.orElseThrow().read(0, MemorySegment.ofArray(bytes));
                assertThat(new String(bytes, StandardCharsets.US_ASCII))
                        .as("%s: file %d", name, i)
                        .isEqualTo(content(i));
            }
        }
    }

    /** A guest starts from a disk that lost power, on one processor, starts again, and leaves it clean. */
    private static void boot(Path state, int forced) throws Exception {
        try (VirtualMachine machine = TinyGuest.machine(state).build()) {
            machine.start();
            GuestShell shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
            for (int i = 0; i < forced; i++) {
                assertThat(shell.output("seq " + i + "00000 " + i + "0" + LINES + " | cmp - /root/w/f" + i))
                        .isEmpty();
            }
            assertThat(shell.output(KernelWarnings.SHOWN)).isEmpty();
            machine.console().type("reboot\n");
            machine.console().waitForText(Pattern.compile("Restarting system"), PATIENCE);
            shell = GuestShell.await(machine.console(), TinyGuest.PROMPT, PATIENCE);
            assertThat(shell.output("dmesg | grep -c 'recovery complete' || true"))
                    .isEqualTo("0");
            machine.console().type("poweroff\n");
            assertThat(machine.awaitExit(PATIENCE)).isEqualTo(new ExitReport.PoweredOff());
        }
        assertSound(state);
        Path volume = folder.resolve("booted");
        GuestVolume.extract(state, volume);
        assertThat(GuestVolume.features(volume)).doesNotContain("needs_recovery");
        assertThat(GuestVolume.fsck(volume)).isEmpty();
        Files.delete(volume);
    }
}
