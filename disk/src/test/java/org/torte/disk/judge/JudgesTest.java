package org.torte.disk.judge;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** Programs that nobody here wrote read what is written here: closed, and after the replay of a log. */
class JudgesTest {
    private static final int MIB = 1 << 20;

    @TempDir
    Path folder;

    private Path path(String name, DiskFormat format) {
        return folder.resolve(name + (format == DiskFormat.VHD ? ".vhd" : ".vhdx"));
    }

    private Path create(String name, DiskFormat format, CreateOptions create) {
        Path image = path(name, format);
        VirtualDisks.create(image, format, create, DiskOptions.readWrite());
        return image;
    }

    private static VirtualDisk open(Path image, DiskFormat format) {
        return VirtualDisks.open(image, format, DiskOptions.readWrite());
    }

    private static byte[] content(Path image, DiskFormat format) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readOnly())) {
            byte[] content = new byte[(int) disk.size()];
            disk.read(0, content);
            return content;
        }
    }

    /**
     * Random requests.
     *
     * @param sector bytes of which requests are multiples. For VHD 4096: after a sector of a differencing image libvhdi
     *     20210425 reads zeros instead of the parent up to the end of the bitmap's byte
     */
    private static void change(VirtualDisk disk, byte[] model, SplittableRandom random, int sector) {
        int sectors = model.length / sector;
        for (int i = 0; i < 60; i++) {
            int first = random.nextInt(sectors);
            int count = Math.min(1 + random.nextInt(random.nextInt(5) == 0 ? 3 * MIB / sector : 20), sectors - first);
            byte[] content = new byte[count * sector];
            if (random.nextInt(6) > 0) {
                random.nextBytes(content);
                disk.write((long) first * sector, content);
            } else {
                disk.writeZeroes((long) first * sector, content.length);
            }
            System.arraycopy(content, 0, model, first * sector, content.length);
        }
        disk.flush();
    }

    @ParameterizedTest
    @CsvSource({"VHD, 512", "VHDX, 512", "VHDX, 4096"})
    void libvhdiReadsAChainAsItIs(DiskFormat format, int sector) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        SplittableRandom random = new SplittableRandom(seed);
        int block = format == DiskFormat.VHD ? 2 * MIB : MIB;
        int unit = format == DiskFormat.VHD ? 4096 : sector;
        byte[] model = new byte[24 * MIB];
        CreateOptions create =
                new CreateOptions(DiskType.DYNAMIC, model.length, block, sector, sector, Optional.empty());
        Path base = create("base", format, create);
        try (VirtualDisk disk = open(base, format)) {
            change(disk, model, random, unit);
        }
        Path middle = create("middle", format, CreateOptions.differencing(base));
        try (VirtualDisk disk = open(middle, format)) {
            change(disk, model, random, unit);
        }
        Path top = create("top", format, CreateOptions.differencing(middle));
        Path dirty = path("dirty", format);
        try (VirtualDisk disk = open(top, format)) {
            change(disk, model, random, unit);
            // What a power failure would leave now.
            Files.copy(top, dirty);
        }
        assertThat(Arrays.mismatch(content(top, format), model))
                .as("seed %d", seed)
                .isEqualTo(-1);
        assertThat(Arrays.mismatch(content(dirty, format), model))
                .as("seed %d", seed)
                .isEqualTo(-1);
        assertThat(Arrays.mismatch(Libvhdi.content(List.of(top, middle, base)), model))
                .as("seed %d", seed)
                .isEqualTo(-1);
        // Opening for writing replays the log.
        open(dirty, format).close();
        assertThat(Arrays.mismatch(Libvhdi.content(List.of(dirty, middle, base)), model))
                .as("seed %d", seed)
                .isEqualTo(-1);
    }

    @ParameterizedTest
    @CsvSource({"DYNAMIC, 1", "DYNAMIC, 32", "FIXED, 2"})
    void qemuReadsAVhdxClosedAndAfterItsOwnReplay(DiskType type, int blockMib) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        byte[] model = new byte[24 * MIB];
        CreateOptions create = new CreateOptions(type, model.length, blockMib * MIB, 512, 4096, Optional.empty());
        Path image = create("disk", DiskFormat.VHDX, create);
        try (VirtualDisk disk = open(image, DiskFormat.VHDX)) {
            change(disk, model, new SplittableRandom(seed), 512);
            Files.copy(image, folder.resolve("dirty.vhdx"));
        }
        Files.write(folder.resolve("model.raw"), model);
        judged("qemu-img", "check", "-q", "-f", "vhdx", "disk.vhdx");
        judged("qemu-img", "compare", "-f", "raw", "-F", "vhdx", "model.raw", "disk.vhdx");
        judged("qemu-img", "check", "-q", "-r", "all", "-f", "vhdx", "dirty.vhdx");
        judged("qemu-img", "compare", "-f", "raw", "-F", "vhdx", "model.raw", "dirty.vhdx");
    }

    @ParameterizedTest
    @CsvSource({"dynamic, 1M", "dynamic, 4M", "fixed, 1M"})
    void whatQemuWritesAsVhdxIsReadAndChangedHere(String subformat, String log) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        byte[] model = new byte[24 * MIB];
        new SplittableRandom(seed).nextBytes(model);
        Arrays.fill(model, 3 * MIB, 9 * MIB, (byte) 0);
        Files.write(folder.resolve("model.raw"), model);
        String options = "subformat=" + subformat + ",block_size=1M,log_size=" + log;
        judged("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", options, "model.raw", "disk.vhdx");
        Path image = folder.resolve("disk.vhdx");
        assertThat(Arrays.mismatch(content(image, DiskFormat.VHDX), model)).isEqualTo(-1);
        try (VirtualDisk disk = open(image, DiskFormat.VHDX)) {
            change(disk, model, new SplittableRandom(seed), 512);
        }
        Files.write(folder.resolve("model.raw"), model);
        judged("qemu-img", "compare", "-f", "raw", "-F", "vhdx", "model.raw", "disk.vhdx");
    }

    private void judged(String... command) throws Exception {
        Tool.Result result = Tool.run(folder, command);
        assertThat(result.status()).as(result.output()).isZero();
    }
}
