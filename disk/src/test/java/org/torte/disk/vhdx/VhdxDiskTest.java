package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

class VhdxDiskTest {
    private static final int MIB = 1 << 20;

    @TempDir
    Path folder;

    private static VirtualDisk open(Path image) {
        return VirtualDisks.open(image, DiskFormat.VHDX, DiskOptions.readWrite());
    }

    private Path create(String name, CreateOptions options) {
        Path image = folder.resolve(name);
        VirtualDisks.create(image, DiskFormat.VHDX, options, DiskOptions.readWrite());
        return image;
    }

    private static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new SplittableRandom(seed).nextBytes(bytes);
        return bytes;
    }

    private static byte[] all(VirtualDisk disk) {
        byte[] content = new byte[Math.toIntExact(disk.size())];
        disk.read(0, content);
        return content;
    }

    @ParameterizedTest
    @CsvSource({
        "DYNAMIC, 512, 1",
        "DYNAMIC, 4096, 2",
        "DYNAMIC, 512, 32",
        "FIXED, 512, 2",
        "FIXED, 4096, 1",
        "DYNAMIC, 512, 256"
    })
    void aDiskHoldsWhatAnArrayHolds(String type, int sector, int blockMib) {
        long seed = Long.getLong("torte.seed", 1);
        CreateOptions options =
                type.equals("FIXED") ? CreateOptions.fixed(24 * MIB + 4096) : CreateOptions.dynamic(24 * MIB + 4096);
        Path image = create("disk.vhdx", options.withBlockSize(blockMib * MIB).withSectorSizes(sector, 4096));
        byte[] model = new byte[24 * MIB + 4096];
        exercise(image, model, sector, new SplittableRandom(seed), "seed " + seed);
    }

    @ParameterizedTest
    @CsvSource({"512, 1", "4096, 2", "512, 32"})
    void aChainHoldsWhatAnArrayHolds(int sector, int blockMib) {
        long seed = Long.getLong("torte.seed", 1);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] model = new byte[24 * MIB];
        Path image = create(
                "0.vhdx",
                CreateOptions.dynamic(model.length)
                        .withSectorSizes(sector, 4096)
                        .withBlockSize(MIB));
        exercise(image, model, sector, random, "base, seed " + seed);
        for (int i = 1; i < 4; i++) {
            image = create(i + ".vhdx", CreateOptions.differencing(image).withBlockSize(blockMib * MIB));
            exercise(image, model, sector, random, "child " + i + ", seed " + seed);
        }
    }

    private static void exercise(Path image, byte[] model, int sector, SplittableRandom random, String what) {
        for (int round = 0; round < 3; round++) {
            try (VirtualDisk disk = open(image)) {
                for (int i = 0; i < 60; i++) {
                    int length = (1 + random.nextInt(random.nextInt(8) == 0 ? 700 : 20)) * sector;
                    length = Math.min(length, 4 * MIB);
                    int offset = random.nextInt((model.length - length) / sector + 1) * sector;
                    int action = random.nextInt(10);
                    if (action < 6) {
                        byte[] data = pattern(length, random.nextLong());
                        disk.write(offset, data);
                        System.arraycopy(data, 0, model, offset, length);
                    } else if (action == 6) {
                        int end = Math.min(model.length, offset + 3 * MIB + length);
                        disk.writeZeroes(offset, end - offset);
                        java.util.Arrays.fill(model, offset, end, (byte) 0);
                    } else if (action == 7) {
                        int end = Math.min(model.length, offset + 5 * MIB + length);
                        disk.trim(offset, end - offset);
                        byte[] now = new byte[end - offset];
                        disk.read(offset, now);
                        for (int s = offset; s < end; s += sector) {
                            boolean same =
                                    java.util.Arrays.equals(now, s - offset, s - offset + sector, model, s, s + sector);
                            boolean zero = java.util.Arrays.equals(
                                    now, s - offset, s - offset + sector, new byte[sector], 0, sector);
                            assertThat(same || zero)
                                    .as("%s: trimmed sector", what)
                                    .isTrue();
                        }
                        System.arraycopy(now, 0, model, offset, now.length);
                    } else if (action == 8) {
                        disk.flush();
                    } else {
                        byte[] back = new byte[length];
                        disk.read(offset, back);
                        assertThat(java.util.Arrays.mismatch(
                                        back, java.util.Arrays.copyOfRange(model, offset, offset + length)))
                                .as("%s: read at %d", what, offset)
                                .isEqualTo(-1);
                    }
                }
                assertThat(java.util.Arrays.mismatch(all(disk), model)).as(what).isEqualTo(-1);
            }
            try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHDX, DiskOptions.readOnly())) {
                assertThat(java.util.Arrays.mismatch(all(disk), model))
                        .as(what + ", reopened")
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void trimmingGivesSpaceBackThatLaterBlocksUse() {
        Path image = create("disk.vhdx", CreateOptions.dynamic(64 * MIB).withBlockSize(MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write(0, pattern(20 * MIB, 1));
            disk.flush();
            long full = disk.info().fileSize();
            disk.trim(0, 20 * MIB);
            disk.flush();
            assertThat(disk.info().allocated()).isLessThan(6 * MIB);
            assertThat(disk.extent(0, disk.size()).kind()).isEqualTo(Extent.Kind.UNMAPPED);
            disk.write(40 * MIB, pattern(20 * MIB, 2));
            assertThat(disk.info().fileSize()).isEqualTo(full);
        }
    }

    @Test
    void trimmingPartsOfBlocksOfAChildGivesBackWhatIsItsOwn() {
        Path parent = create("parent.vhdx", CreateOptions.dynamic(8 * MIB).withBlockSize(MIB));
        byte[] old = pattern(8 * MIB, 1);
        try (VirtualDisk disk = open(parent)) {
            disk.write(0, old);
        }
        Path child = create("child.vhdx", CreateOptions.differencing(parent).withBlockSize(2 * MIB));
        try (VirtualDisk disk = open(child)) {
            disk.write(512, pattern(MIB, 2));
            disk.flush();
            long full = disk.info().allocated();
            disk.trim(64 << 10, 3 * MIB);
            disk.flush();
            assertThat(disk.info().allocated()).isLessThan(full - 900 * 1024);
            byte[] back = new byte[8 * MIB];
            disk.read(0, back);
            assertThat(Arrays.mismatch(back, 0, 512, old, 0, 512)).isEqualTo(-1);
            // What was the child's own reads as zeros, what it never had as before.
            assertThat(Arrays.mismatch(back, 64 << 10, MIB, new byte[MIB], 0, MIB - (64 << 10)))
                    .isEqualTo(-1);
            assertThat(Arrays.mismatch(back, MIB + 512, 2 * MIB, old, MIB + 512, 2 * MIB))
                    .isEqualTo(-1);
            // A whole block reads as zeros although the parent holds something there.
            disk.trim(2 * MIB, 2 * MIB);
            disk.read(0, back);
            assertThat(Arrays.mismatch(back, 2 * MIB, 4 * MIB, new byte[2 * MIB], 0, 2 * MIB))
                    .isEqualTo(-1);
        }
    }

    @Test
    void growthShowsZerosAndMovesTheBlockTableWhenItMust() {
        Path image = create("disk.vhdx", CreateOptions.dynamic(8 * MIB).withBlockSize(MIB));
        byte[] data = pattern(8 * MIB, 3);
        try (VirtualDisk disk = open(image)) {
            disk.write(0, data);
            disk.resize(1L << 40);
            disk.write((1L << 40) - MIB, pattern(MIB, 4));
            byte[] back = new byte[8 * MIB];
            disk.read(0, back);
            assertThat(back).isEqualTo(data);
            disk.read(8 * MIB, back);
            assertThat(java.util.Arrays.mismatch(back, new byte[back.length])).isEqualTo(-1);
        }
        try (VirtualDisk disk = open(image)) {
            assertThat(disk.size()).isEqualTo(1L << 40);
            byte[] back = new byte[MIB];
            disk.read((1L << 40) - MIB, back);
            assertThat(back).isEqualTo(pattern(MIB, 4));
            disk.resize(4 * MIB);
            disk.resize(8 * MIB);
            byte[] half = new byte[8 * MIB];
            disk.read(0, half);
            System.arraycopy(new byte[4 * MIB], 0, data, 4 * MIB, 4 * MIB);
            assertThat(half).isEqualTo(data);
        }
    }

    @Test
    void aDiskOf64TebibytesOpensWithLittleMetadata() {
        Path image = create("disk.vhdx", CreateOptions.dynamic(64L << 40).withBlockSize(MIB));
        try (VirtualDisk disk = open(image)) {
            disk.write((64L << 40) - 4096, pattern(4096, 5));
            disk.flush();
            byte[] back = new byte[4096];
            disk.read((64L << 40) - 4096, back);
            assertThat(back).isEqualTo(pattern(4096, 5));
            assertThat(disk.info().allocated()).isLessThan(5L * MIB);
            assertThat(((VhdxDisk) disk).image().cache.loaded()).isLessThan(5);
        }
    }

    @Test
    void aParentThatWasModifiedIsNamed() {
        Path parent = create("parent.vhdx", CreateOptions.dynamic(8 * MIB));
        Path child = create("child.vhdx", CreateOptions.differencing(parent));
        try (VirtualDisk disk = open(parent)) {
            disk.write(0, pattern(512, 6));
        }
        assertThatThrownBy(() -> open(child))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CHANGED));
    }

    @Test
    void aParentThatIsMissingIsNamed() throws Exception {
        Path parent = create("parent.vhdx", CreateOptions.dynamic(8 * MIB));
        Path child = create("child.vhdx", CreateOptions.differencing(parent));
        java.nio.file.Files.delete(parent);
        assertThatThrownBy(() -> open(child))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_MISSING));
    }

    @Test
    void manyThreadsWriteAndFlushAtOnce() throws Exception {
        Path image = create("disk.vhdx", CreateOptions.dynamic(64 * MIB).withBlockSize(MIB));
        byte[] model = pattern(64 * MIB, 7);
        try (VirtualDisk disk = open(image)) {
            try (var executor = java.util.concurrent.Executors.newVirtualThreadPerTaskExecutor()) {
                List<Future<?>> requests = new ArrayList<>();
                for (int i = 0; i < 64 * 16; i++) {
                    int offset = (int) (i * 48271L % 1024) * (64 << 10);
                    requests.add(executor.submit(() -> {
                        disk.write(offset, java.util.Arrays.copyOfRange(model, offset, offset + (64 << 10)));
                        if (offset % (1 << 20) == 0) {
                            disk.flush();
                        }
                    }));
                }
                for (Future<?> request : requests) {
                    request.get();
                }
            }
            assertThat(java.util.Arrays.mismatch(all(disk), model)).isEqualTo(-1);
        }
        try (VirtualDisk disk = open(image)) {
            assertThat(java.util.Arrays.mismatch(all(disk), model)).isEqualTo(-1);
        }
    }
}
