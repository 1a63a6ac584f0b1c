package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Merge;
import org.torte.disk.operation.Progress;

/** Kills {@code torte vhd merge} with SIGKILL at any moment: the disks read the same, and the next one goes on. */
class MergeKillTest {
    private static final int MIB = 1 << 20;
    private static final DiskOptions OPTIONS = DiskOptions.readWrite();

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"vhd", "vhdx"})
    void aMergeThatIsKilledGoesOn(String extension) throws Exception {
        run(extension, Long.getLong("torte.seed", 1), 128, 2);
    }

    @Tag("long")
    @ParameterizedTest
    @ValueSource(strings = {"vhd", "vhdx"})
    void aMergeThatIsKilledAgainAndAgainComesToItsEnd(String extension) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        for (int i = 0; i < Integer.getInteger("torte.runs", 5); i++) {
            run(extension, seed + i, 400, 15);
        }
    }

    private void run(String extension, long seed, int mib, int kills) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        DiskFormat format = extension.equals("vhd") ? DiskFormat.VHD : DiskFormat.VHDX;
        Path base = folder.resolve("base." + extension);
        Path middle = folder.resolve("middle." + extension);
        Path top = folder.resolve("top." + extension);
        VirtualDisks.create(
                base, format, CreateOptions.dynamic((long) mib * MIB * 2).withBlockSize(2 * MIB), OPTIONS);
        fill(base, format, random, mib / 4);
        VirtualDisks.create(middle, format, CreateOptions.differencing(base), OPTIONS);
        fill(middle, format, random, mib);
        VirtualDisks.create(top, format, CreateOptions.differencing(middle), OPTIONS);
        fill(top, format, random, 5);
        String expected = hash(top, format);
        Path journal = middle.resolveSibling("middle." + extension + ".merge");
        List<String> moments = new ArrayList<>();
        boolean resumed = false;
        for (int i = 0; i < kills && Files.exists(middle); i++) {
            Process merge = start(middle);
            // The first one surely in the middle, if anything can be sure.
            int entries = i == 0 ? 2 : random.nextInt(mib / 32 + 2);
            moments.add(killed(merge, journal, entries, i == 0 ? 0 : random.nextInt(40)));
            assertThat(hash(top, format))
                    .as("seed %d, killed %s", seed, moments)
                    .isEqualTo(expected);
            if (Files.exists(middle)) {
                resumed |= Merge.plan(middle, format, OPTIONS).resumed();
            }
        }
        if (Files.exists(middle) || Files.exists(journal)) {
            Process merge = start(middle);
            String said = new String(merge.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(merge.waitFor())
                    .as("seed %d, killed %s: %s", seed, moments, said)
                    .isEqualTo(0);
        }
        System.out.println(extension + " seed " + seed + ": killed " + moments);
        assertThat(folder).isDirectoryNotContaining("glob:**middle*");
        assertThat(hash(top, format)).as("seed %d, killed %s", seed, moments).isEqualTo(expected);
        if (format == DiskFormat.VHDX) {
            judge(base);
        }
        Merge.run(top, format, OPTIONS, Progress.NONE);
        assertThat(hash(base, format)).as("seed %d: the base alone", seed).isEqualTo(expected);
        Files.delete(base);
        Assumptions.assumeTrue(resumed, "no merge was killed in the middle: " + moments);
    }

    /** Kills a merge when its journal has been written so many times and some milliseconds more have passed. */
    private static String killed(Process merge, Path journal, int entries, int milliseconds) throws Exception {
        long last = 0;
        int seen = 0;
        while (merge.isAlive() && seen < entries) {
            // 0 while there is no such file.
            long now = journal.toFile().lastModified();
            seen += now == last ? 0 : 1;
            last = now;
            Thread.onSpinWait();
        }
        merge.waitFor(milliseconds, TimeUnit.MILLISECONDS);
        boolean alive = merge.isAlive();
        merge.destroyForcibly();
        merge.waitFor();
        return (alive ? "" : "too late ") + "after " + seen + " entries and " + milliseconds + " ms";
    }

    private static Process start(Path disk) throws IOException {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        return new ProcessBuilder(
                        java,
                        "--enable-native-access=ALL-UNNAMED",
                        "-Xshare:auto",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "org.torte.cli.Torte",
                        "vhd",
                        "merge",
                        disk.toString())
                .redirectErrorStream(true)
                .start();
    }

    private static void fill(Path disk, DiskFormat format, SplittableRandom random, int mib) {
        try (VirtualDisk open = VirtualDisks.open(disk, format, OPTIONS)) {
            byte[] piece = new byte[MIB];
            for (int i = 0; i < mib; i++) {
                random.nextBytes(piece);
                long place = random.nextLong(open.size() / 512 - MIB / 512);
                open.write(mib > 50 ? (long) i * MIB + 512 : place * 512, piece);
            }
        }
    }

    private static String hash(Path disk, DiskFormat format) throws NoSuchAlgorithmException {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        try (VirtualDisk open = VirtualDisks.open(disk, format, DiskOptions.readOnly())) {
            byte[] piece = new byte[MIB];
            for (long at = 0; at < open.size(); at += MIB) {
                open.read(at, piece);
                digest.update(piece);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    /** What QEMU says of an image; nothing where it is not installed. */
    private static void judge(Path disk) throws Exception {
        Process check;
        try {
            check = new ProcessBuilder("qemu-img", "check", "-f", "vhdx", disk.toString())
                    .redirectErrorStream(true)
                    .start();
        } catch (IOException e) {
            System.out.println("qemu-img is not installed, so it does not judge");
            return;
        }
        String said = new String(check.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(check.waitFor()).as(said).isEqualTo(0);
        assertThat(said).contains("No errors");
    }
}
