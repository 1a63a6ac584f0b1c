package org.torte.disk.vhd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.judge.Tool;

class VhdTest {
    private static final int MIB = 1 << 20;

    @TempDir
    Path folder;

    private Path create(String name, CreateOptions options) {
        Path image = folder.resolve(name);
        VirtualDisks.create(image, DiskFormat.VHD, options, DiskOptions.readWrite());
        return image;
    }

    private static VirtualDisk open(Path image) {
        return VirtualDisks.open(image, DiskFormat.VHD, DiskOptions.readWrite());
    }

    private static CheckReport check(Path image) {
        return VirtualDisks.check(image, DiskFormat.VHD, DiskOptions.readOnly(), false);
    }

    private static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static byte[] content(VirtualDisk disk) {
        byte[] all = new byte[(int) disk.size()];
        disk.read(0, all);
        return all;
    }

    @ParameterizedTest
    @EnumSource(DiskType.class)
    void randomRequestsLeaveWhatAnArrayWould(DiskType type) {
        int size = 11 * MIB + 512;
        byte[] model = new byte[size];
        Path image;
        if (type == DiskType.DIFFERENCING) {
            Path base = create("base.vhd", CreateOptions.dynamic(size));
            byte[] below = pattern(5 * MIB, 9);
            try (VirtualDisk disk = open(base)) {
                disk.write(3 * MIB, below);
            }
            System.arraycopy(below, 0, model, 3 * MIB, below.length);
            image = create("child.vhd", CreateOptions.differencing(base));
        } else {
            image = create("disk.vhd", new CreateOptions(type, size, 0, 0, 0, java.util.Optional.empty()));
        }
        long seed = 20261123;
        Random random = new Random(seed);
        for (int round = 0; round < 6; round++) {
            try (VirtualDisk disk = open(image)) {
                for (int i = 0; i < 60; i++) {
                    int sectors = size / 512;
                    int at = random.nextInt(sectors);
                    int count = 1 + random.nextInt(Math.min(random.nextInt(6000) + 1, sectors - at));
                    switch (random.nextInt(10)) {
                        case 0 -> {
                            disk.writeZeroes(at * 512L, count * 512L);
                            Arrays.fill(model, at * 512, (at + count) * 512, (byte) 0);
                        }
                        case 1 -> disk.flush();
                        default -> {
                            byte[] data = pattern(count * 512, random.nextLong());
                            disk.write(at * 512L, data);
                            System.arraycopy(data, 0, model, at * 512, data.length);
                        }
                    }
                }
                assertThat(Arrays.equals(content(disk), model))
                        .as("seed %d, round %d, before closing", seed, round)
                        .isTrue();
            }
            assertThat(check(image).findings()).isEmpty();
        }
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHD, DiskOptions.readOnly())) {
            assertThat(Arrays.equals(content(disk), model)).as("seed %d", seed).isTrue();
        }
    }

    @Test
    void trimmedBlocksGiveTheirSpaceBackAndAreUsedAgain() {
        Path image = create("disk.vhd", CreateOptions.dynamic(64L * MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write(0, pattern(32 * MIB, 1));
            disk.flush();
            long full = disk.info().allocated();
            disk.trim(4 * MIB, 16 * MIB);
            disk.flush();
            assertThat(disk.info().allocated()).isLessThan(full - 15 * MIB);
            byte[] back = new byte[16 * MIB];
            disk.read(4 * MIB, back);
            assertThat(back).containsOnly(0);
            assertThat(disk.extent(4 * MIB, 16 * MIB).kind()).isEqualTo(Extent.Kind.UNMAPPED);
            disk.write(40 * MIB, pattern(512, 2));
            disk.flush();
            long length = disk.info().fileSize();
            disk.write(42 * MIB, pattern(2 * MIB, 3));
            disk.write(44 * MIB, pattern(2 * MIB, 4));
            assertThat(disk.info().fileSize()).isEqualTo(length);
        }
        assertThat(check(image).sound()).isTrue();
    }

    @Test
    void aBlockUsedAgainNeverShowsItsFormerContent() {
        Path image = create("disk.vhd", CreateOptions.dynamic(64L * MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write(0, pattern(8 * MIB, 1));
            disk.trim(2 * MIB, 2 * MIB);
        }
        try (VirtualDisk disk = open(image)) {
            disk.write(20 * MIB, pattern(512, 2));
            byte[] rest = new byte[2 * MIB - 512];
            disk.read(20 * MIB + 512, rest);
            assertThat(rest).containsOnly(0);
        }
    }

    @ParameterizedTest
    @EnumSource(
            value = DiskType.class,
            names = {"FIXED", "DYNAMIC"})
    void sizeChangesWhileInUse(DiskType type) {
        Path image = create("disk.vhd", new CreateOptions(type, 5 * MIB, 0, 0, 0, java.util.Optional.empty()));
        byte[] data = pattern(5 * MIB, 3);
        try (VirtualDisk disk = open(image)) {
            disk.write(0, data);
            disk.resize(700L * MIB);
            assertThat(disk.size()).isEqualTo(700L * MIB);
            byte[] back = new byte[5 * MIB];
            disk.read(0, back);
            assertThat(back).isEqualTo(data);
            disk.read(5 * MIB, back);
            assertThat(back).containsOnly(0);
            disk.write(699L * MIB, pattern(MIB, 4));
        }
        assertThat(check(image).sound()).isTrue();
        try (VirtualDisk disk = open(image)) {
            byte[] back = new byte[MIB];
            disk.read(699L * MIB, back);
            assertThat(back).isEqualTo(pattern(MIB, 4));
            disk.resize(3 * MIB);
        }
        assertThat(check(image).sound()).isTrue();
        try (VirtualDisk disk = open(image)) {
            assertThat(disk.size()).isEqualTo(3 * MIB);
            disk.resize(8 * MIB);
            byte[] back = new byte[5 * MIB];
            disk.read(3 * MIB, back);
            assertThat(back).containsOnly(0);
        }
        assertThat(check(image).sound()).isTrue();
    }

    @Test
    void theLargestDiskIsMadeAndLargerOnesAreRefused() {
        Path image = create("large.vhd", CreateOptions.dynamic(2040L << 30));
        try (VirtualDisk disk = open(image)) {
            disk.write((2040L << 30) - 512, pattern(512, 1));
        }
        assertThat(check(image).sound()).isTrue();
        assertThatThrownBy(() -> create("larger.vhd", CreateOptions.dynamic((2040L << 30) + 512)))
                .isInstanceOf(DiskException.class)
                .hasMessageContaining("2040 GiB");
        assertThat(folder.resolve("larger.vhd")).doesNotExist();
    }

    @Test
    void aMissingAChangedAndACyclicParentAreNamed() {
        Path base = create("base.vhd", CreateOptions.dynamic(8 * MIB));
        Path child = create("child.vhd", CreateOptions.differencing(base));
        VhdImages.setIdentifier(base, new UUID(1, 2), DiskOptions.readWrite());
        assertThatThrownBy(() -> open(child).close())
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CHANGED))
                .hasMessageContaining("base.vhd");
        VhdImages.setParent(child, base, new UUID(1, 2), DiskOptions.readWrite());
        open(child).close();
        Path grandchild = create("grandchild.vhd", CreateOptions.differencing(child));
        UUID identifier;
        try (VirtualDisk disk = VirtualDisks.open(grandchild, DiskFormat.VHD, DiskOptions.inspect())) {
            identifier = disk.info().identifier();
        }
        VhdImages.setParent(child, grandchild, identifier, DiskOptions.readWrite());
        assertThatThrownBy(() -> VirtualDisks.open(child, DiskFormat.VHD, DiskOptions.readOnly()))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CYCLE));
        VhdImages.setParent(child, folder.resolve("gone.vhd"), identifier, DiskOptions.readWrite());
        assertThatThrownBy(() -> open(child).close())
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_MISSING))
                .hasMessageContaining("gone.vhd");
    }

    @Test
    void aLostFooterIsFoundAgainAndRepaired() throws Exception {
        Path image = create("disk.vhd", CreateOptions.dynamic(8 * MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write(MIB, pattern(MIB, 5));
        }
        overwrite(image, Files.size(image) - 512, new byte[512]);
        CheckReport before = check(image);
        assertThat(before.sound()).isFalse();
        assertThat(before.findings()).extracting(CheckReport.Finding::code).contains("footer.missing");
        assertThat(VirtualDisks.check(image, DiskFormat.VHD, DiskOptions.readWrite(), true)
                        .sound())
                .isTrue();
        assertThat(check(image).findings()).isEmpty();
        overwrite(image, 0, new byte[512]);
        assertThat(check(image).findings())
                .extracting(CheckReport.Finding::code)
                .containsExactly("footer.copy");
        assertThat(VirtualDisks.check(image, DiskFormat.VHD, DiskOptions.readWrite(), true)
                        .sound())
                .isTrue();
        assertThat(check(image).findings()).isEmpty();
        try (VirtualDisk disk = open(image)) {
            byte[] back = new byte[MIB];
            disk.read(MIB, back);
            assertThat(back).isEqualTo(pattern(MIB, 5));
        }
    }

    @Test
    void twoBlocksAtOnePlaceAreFoundAndNotWrittenTo() throws Exception {
        Path image = create("disk.vhd", CreateOptions.dynamic(8 * MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write(0, pattern(4 * MIB, 5));
        }
        byte[] all = Files.readAllBytes(image);
        overwrite(image, 1536 + 4, Arrays.copyOfRange(all, 1536, 1540));
        assertThat(check(image).findings())
                .extracting(CheckReport.Finding::code)
                .contains("bat.overlap");
        byte[] damaged = Files.readAllBytes(image);
        assertThatThrownBy(() -> open(image).close())
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.DAMAGED));
        assertThat(Files.readAllBytes(image)).isEqualTo(damaged);
    }

    private static void overwrite(Path image, long at, byte[] bytes) throws Exception {
        try (FileChannel channel = FileChannel.open(image, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(bytes), at);
        }
    }

    @Test
    void qemuReadsWhatIsWrittenHere() throws Exception {
        for (DiskType type : new DiskType[] {DiskType.FIXED, DiskType.DYNAMIC}) {
            String name = type + ".vhd";
            Path image = create(name, new CreateOptions(type, 37 * MIB + 512, 0, 0, 0, java.util.Optional.empty()));
            byte[] model = new byte[37 * MIB + 512];
            try (VirtualDisk disk = open(image)) {
                byte[] data = pattern(5 * MIB, 8);
                disk.write(9 * MIB + 512, data);
                System.arraycopy(data, 0, model, 9 * MIB + 512, data.length);
                disk.write(model.length - 512, Arrays.copyOf(data, 512));
                System.arraycopy(data, 0, model, model.length - 512, 512);
            }
            Files.write(folder.resolve("model.raw"), model);
            Tool.Result compared = Tool.run(folder, "qemu-img", "compare", "-f", "raw", "-F", "vpc", "model.raw", name);
            assertThat(compared.output()).contains("Images are identical.");
        }
    }

    @Test
    void whatQemuWritesIsReadHere() throws Exception {
        byte[] model = pattern(20 * MIB, 77);
        Arrays.fill(model, 6 * MIB, 13 * MIB, (byte) 0);
        Files.write(folder.resolve("model.raw"), model);
        for (String subformat : new String[] {"fixed", "dynamic"}) {
            String name = subformat + ".vhd";
            Tool.Result converted = Tool.run(
                    folder,
                    "qemu-img",
                    "convert",
                    "-f",
                    "raw",
                    "-O",
                    "vpc",
                    "-o",
                    "force_size=on,subformat=" + subformat,
                    "model.raw",
                    name);
            assertThat(converted.status()).as(converted.output()).isZero();
            assertThat(check(folder.resolve(name)).sound()).isTrue();
            try (VirtualDisk disk = open(folder.resolve(name))) {
                assertThat(Arrays.equals(content(disk), model)).isTrue();
                disk.write(8 * MIB, pattern(512, 3));
            }
            Tool.Result compared = Tool.run(folder, "qemu-img", "compare", "-f", "raw", "-F", "vpc", "model.raw", name);
            assertThat(compared.output()).contains("Content mismatch at offset " + 8 * MIB);
        }
    }

    @Test
    void libvhdiKnowsTypeSizeAndParent() throws Exception {
        Path base = create("base.vhd", CreateOptions.dynamic(24 * MIB));
        create("child.vhd", CreateOptions.differencing(base));
        Tool.Result shown = Tool.run(folder, "vhdiinfo", "child.vhd");
        UUID identifier;
        try (VirtualDisk disk = VirtualDisks.open(base, DiskFormat.VHD, DiskOptions.inspect())) {
            identifier = disk.info().identifier();
        }
        assertThat(shown.output()).contains("Differential", "25165824 bytes", identifier.toString(), "base.vhd");
    }

    @Test
    void geometriesAreThoseThatWindowsWrites() {
        assertThat(Geometry.of(127L << 30)).isEqualTo(Geometry.decoded(0xfefe10ff));
        assertThat(Geometry.of(4 << 20)).isEqualTo(new Geometry(120, 4, 17));
        assertThat(Geometry.of(1L << 30)).isEqualTo(new Geometry(2080, 16, 63));
    }
}
