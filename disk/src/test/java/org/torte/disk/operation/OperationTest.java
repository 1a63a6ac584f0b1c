package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.torte.disk.operation.Images.MIB;
import static org.torte.disk.operation.Images.OPTIONS;
import static org.torte.disk.operation.Images.pattern;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** What administrators do to images, for VHD and VHDX alike. */
class OperationTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aChainConvertsToRawAndToOtherFormatsAndBack(DiskFormat format) {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        byte[] expected = images.content(top);
        Path raw = folder.resolve("all.raw");
        Convert.run(top, format, raw, DiskFormat.RAW, DiskType.DYNAMIC, 0, OPTIONS, Progress.NONE);
        assertThat(Images.content(raw, DiskFormat.RAW)).isEqualTo(expected);
        Path back = images.path("back");
        Convert.run(raw, DiskFormat.RAW, back, format, DiskType.DYNAMIC, 1 << 21, OPTIONS, Progress.NONE);
        assertThat(images.content(back)).isEqualTo(expected);
        assertThat(images.info(back).allocated()).isLessThan(20 * MIB);
        DiskFormat other = format == DiskFormat.VHD ? DiskFormat.VHDX : DiskFormat.VHD;
        Path fixed = new Images(folder, other).path("fixed");
        Convert.run(top, format, fixed, other, DiskType.FIXED, 0, OPTIONS, Progress.NONE);
        assertThat(Images.content(fixed, other)).isEqualTo(expected);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aCancelledConversionLeavesNothing(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        Path target = images.path("target");
        assertThatThrownBy(() -> Convert.run(
                        top, format, target, format, DiskType.DYNAMIC, 0, OPTIONS, (done, _) -> done < 5 * MIB))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.CANCELLED));
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactlyInAnyOrder(images.path("base"), images.path("middle"), top);
        }
    }

    @Test
    void anExistingFileIsNotOverwritten() {
        Images images = new Images(folder, DiskFormat.VHD);
        Path top = images.chainOfThree();
        assertThatThrownBy(() -> Convert.run(
                        top,
                        DiskFormat.VHD,
                        images.path("base"),
                        DiskFormat.VHD,
                        DiskType.DYNAMIC,
                        0,
                        OPTIONS,
                        Progress.NONE))
                .hasMessageContaining("exists already");
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aMergeInterruptedAnywhereGoesOnAndReadsTheSameAllTheTime(DiskFormat format) {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        byte[] expected = images.content(top);
        Path middle = images.path("middle");
        for (int stop = 0; stop < 7; stop++) {
            int limit = 7 + stop;
            assertThatThrownBy(() -> Merge.run(middle, format, OPTIONS, (done, _) -> done < (long) limit * MIB))
                    .isInstanceOf(DiskException.class);
            assertThat(images.content(top)).as("stopped at %d MiB", limit).isEqualTo(expected);
        }
        Merge.Plan plan = Merge.run(middle, format, OPTIONS, Progress.NONE);
        assertThat(plan.resumed()).isTrue();
        assertThat(middle).doesNotExist();
        assertThat(MergeJournal.file(middle)).doesNotExist();
        assertThat(images.content(top)).isEqualTo(expected);
        Merge.run(top, format, OPTIONS, Progress.NONE);
        assertThat(images.content(images.path("base"))).isEqualTo(expected);
    }

    @Test
    void aMergeSaysWhatSpaceItNeeds() {
        Path top = new Images(folder, DiskFormat.VHD).chainOfThree();
        Merge.Plan plan = Merge.plan(top, DiskFormat.VHD, OPTIONS);
        assertThat(plan.bytes()).isEqualTo(3 * MIB);
        // The parent has the first mebibyte; tables and the like add up to less than two more.
        assertThat(plan.space()).isBetween(2L * MIB, 5L * MIB);
    }

    @Test
    void aParentWithAnotherChildIsNotMergedInto() {
        Images images = new Images(folder, DiskFormat.VHD);
        images.chainOfThree();
        images.create("other", CreateOptions.differencing(images.path("base")));
        assertThatThrownBy(() -> Merge.run(images.path("middle"), DiskFormat.VHD, OPTIONS, Progress.NONE))
                .hasMessageContaining("other.vhd");
    }

    @Test
    void aChildWrittenToBetweenTwoAttemptsIsMergedFromItsStart() {
        Images images = new Images(folder, DiskFormat.VHD);
        Path base = images.create("base", CreateOptions.dynamic(40 * MIB));
        Path child = images.create("child", CreateOptions.differencing(base));
        images.write(child, 0, pattern(20 * MIB, 2));
        assertThatThrownBy(() -> Merge.run(child, DiskFormat.VHD, OPTIONS, (done, _) -> done < 15L * MIB))
                .isInstanceOf(DiskException.class);
        images.write(child, MIB, pattern(MIB, 99));
        byte[] expected = images.content(child);
        Merge.run(child, DiskFormat.VHD, OPTIONS, Progress.NONE);
        assertThat(images.content(base)).isEqualTo(expected);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void shrinkingStopsAtThePartitionAndMinimumGoesRightToIt(DiskFormat format) {
        Images images = new Images(folder, format);
        Path image = images.create("disk", CreateOptions.dynamic(64 * MIB));
        byte[] mbr = new byte[512];
        ByteBuffer out = ByteBuffer.wrap(mbr).order(ByteOrder.LITTLE_ENDIAN);
        out.put(446 + 4, (byte) 0x83).putInt(446 + 8, 2048).putInt(446 + 12, 20 * 2048);
        out.put(510, (byte) 0x55).put(511, (byte) 0xaa);
        images.write(image, 0, mbr);
        images.write(image, 50 * MIB, pattern(MIB, 1));
        assertThatThrownBy(() -> Resize.run(image, format, 20 * MIB, OPTIONS, Progress.NONE))
                .hasMessageContaining("partition");
        try (VirtualDisk disk = images.open(image)) {
            assertThat(Resize.minimum(disk, Progress.NONE)).isEqualTo(21 * MIB);
        }
        Resize.run(image, format, 21 * MIB, OPTIONS, Progress.NONE);
        assertThat(images.content(image)).hasSize(21 * MIB);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aDiskWithoutPartitionsShrinksOnlyAfterTrimming(DiskFormat format) {
        Images images = new Images(folder, format);
        Path image = images.create("disk", CreateOptions.dynamic(64 * MIB).withBlockSize(2 * MIB));
        images.write(image, MIB, pattern(MIB, 1));
        images.write(image, 50 * MIB, pattern(MIB, 1));
        assertThatThrownBy(() -> Resize.run(image, format, 20 * MIB, OPTIONS, Progress.NONE))
                .hasMessageContaining("data beyond");
        try (VirtualDisk disk = images.open(image)) {
            disk.trim(50 * MIB, 2 * MIB);
            assertThat(Resize.minimum(disk, Progress.NONE)).isEqualTo(2 * MIB);
        }
        Resize.run(image, format, 2 * MIB, OPTIONS, Progress.NONE);
        assertThat(images.content(image)).endsWith(Arrays.copyOfRange(pattern(MIB, 1), MIB - 16, MIB));
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void optimizingGivesBackZeroBlocksAndClosesGaps(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path image = images.create("disk", CreateOptions.dynamic(100 * MIB).withBlockSize(2 * MIB));
        try (VirtualDisk disk = images.open(image)) {
            for (int block = 0; block < 40; block++) {
                disk.write(block * 2L * MIB, block % 3 == 0 ? new byte[2 * MIB] : pattern(2 * MIB, block));
            }
            disk.trim(10 * MIB, 8 * MIB);
        }
        Path child = images.create("child", CreateOptions.differencing(image));
        byte[] expected = images.content(image);
        long before = Files.size(image);
        Optimize.Result result = Optimize.run(image, format, OPTIONS, Progress.NONE);
        assertThat(images.content(image)).isEqualTo(expected);
        assertThat(result.zeroBlocks()).isPositive();
        // Of 40 blocks 24 are left.
        assertThat(Files.size(image)).isLessThan(before - 26L * MIB).isEqualTo(result.lengthAfter());
        assertThat(result.after()).isLessThan(25L * 2 * MIB + 5 * MIB);
        assertThat(VirtualDisks.check(image, format, DiskOptions.readOnly(), false)
                        .findings())
                .isEmpty();
        assertThat(images.content(child)).isEqualTo(expected);
        assertThat(Optimize.run(image, format, OPTIONS, Progress.NONE).lengthAfter())
                .isEqualTo(result.lengthAfter());
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aDifferencingDiskIsCompactedWithItsBitmaps(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path base = images.create("base", CreateOptions.dynamic(64 * MIB).withBlockSize(2 * MIB));
        images.write(base, 0, pattern(64 * MIB, 1));
        Path child = images.create("child", CreateOptions.differencing(base));
        try (VirtualDisk disk = images.open(child)) {
            disk.write(0, pattern(16 * MIB, 2));
            disk.write(20 * MIB + 512, pattern(9 * MIB, 3));
            disk.flush();
            disk.writeZeroes(0, 12 * MIB);
        }
        byte[] expected = images.content(child);
        long before = Files.size(child);
        Optimize.run(child, format, OPTIONS, Progress.NONE);
        assertThat(images.content(child)).isEqualTo(expected);
        if (format == DiskFormat.VHDX) {
            // A VHD cannot say zero where its parent has content.
            assertThat(Files.size(child)).isLessThanOrEqualTo(before - 11 * MIB);
        }
        assertThat(VirtualDisks.check(child, format, DiskOptions.readOnly(), false)
                        .sound())
                .isTrue();
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aCancelledOptimizationLeavesAUsableDisk(DiskFormat format) {
        Images images = new Images(folder, format);
        Path image = images.create("disk", CreateOptions.dynamic(400 * MIB).withBlockSize(2 * MIB));
        try (VirtualDisk disk = images.open(image)) {
            for (int block = 0; block < 150; block++) {
                disk.write(block * 2L * MIB, pattern(4096, block));
            }
            disk.flush();
            disk.trim(0, 150 * MIB);
        }
        byte[] expected = images.content(image);
        int[] calls = {0};
        for (int limit : new int[] {0, 1, 76}) {
            calls[0] = 0;
            assertThatThrownBy(() -> Optimize.run(image, format, OPTIONS, (_, _) -> calls[0]++ < limit))
                    .isInstanceOfSatisfying(
                            DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.CANCELLED));
            assertThat(images.content(image)).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aParentThatMovedIsConnectedAgainOnlyIfItIsTheSame(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        byte[] expected = images.content(top);
        Path base = images.path("base");
        Path away = Files.createDirectory(folder.resolve("a folder with a longer name than before"));
        Path moved = Files.move(images.path("middle"), away.resolve("mid"));
        Reconnect.run(moved, format, base, false, OPTIONS);
        assertThatThrownBy(() -> images.content(top)).hasMessageContaining("reconnect");
        assertThatThrownBy(() -> Reconnect.run(top, format, base, false, OPTIONS))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CHANGED));
        Reconnect.run(top, format, moved, false, OPTIONS);
        assertThat(images.content(top)).isEqualTo(expected);
        assertThatThrownBy(() -> Reconnect.run(moved, format, top, true, OPTIONS))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CYCLE));
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void imagesOfAChainMayHaveBlocksOfDifferentSizes(DiskFormat format) {
        Images images = new Images(folder, format);
        int small = format == DiskFormat.VHD ? 512 << 10 : MIB;
        int[] sizes = {small, 2 * MIB, small, 2 * MIB, small};
        Path image = images.create("level0", CreateOptions.dynamic(24 * MIB).withBlockSize(sizes[0]));
        byte[] expected = new byte[24 * MIB];
        for (int level = 0; level < sizes.length; level++) {
            if (level > 0) {
                image = images.create(
                        "level" + level, CreateOptions.differencing(image).withBlockSize(sizes[level]));
            }
            byte[] content = pattern(3 * MIB + 512, level);
            for (int at : new int[] {level * 5 * MIB / 4 & -512, (17 - level) * MIB}) {
                images.write(image, at, content);
                System.arraycopy(content, 0, expected, at, content.length);
            }
            assertThat(Arrays.mismatch(images.content(image), expected)).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aChainOfFiftyReadsWhatEachLevelWroteAlsoAfterTheTopChanged(DiskFormat format) {
        Images images = new Images(folder, format);
        byte[] expected = new byte[64 * MIB];
        Path top = images.create("0", CreateOptions.dynamic(expected.length).withBlockSize(2 * MIB));
        for (int level = 0; level < 50; level++) {
            if (level > 0) {
                top = images.create(String.valueOf(level), CreateOptions.differencing(top));
            }
            byte[] content = pattern(4096, level);
            int at = level % 31 * 2 * MIB + level * 512;
            images.write(top, at, content);
            System.arraycopy(content, 0, expected, at, content.length);
        }
        try (VirtualDisk disk = images.open(top)) {
            byte[] found = new byte[expected.length];
            for (int round = 0; round < 3; round++) {
                disk.read(0, found);
                assertThat(Arrays.mismatch(found, expected))
                        .as("round %d", round)
                        .isEqualTo(-1);
                for (int block = round; block < 32; block += 5) {
                    byte[] content = pattern(3 * 512, 100 * round + block);
                    int at = block * 2 * MIB + (round + 1) * 2048;
                    disk.write(at, content);
                    System.arraycopy(content, 0, expected, at, content.length);
                }
            }
        }
        assertThat(Arrays.mismatch(images.content(top), expected)).isEqualTo(-1);
    }

    @Test
    void identityChangesWithoutCuttingOffChildren() {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path top = images.chainOfThree();
        byte[] expected = images.content(top);
        Path middle = images.path("middle");
        UUID before = images.info(middle).contentIdentifier();
        Identity.set(middle, DiskFormat.VHDX, new UUID(7, 8), 512, OPTIONS);
        DiskInfo changed = images.info(middle);
        assertThat(changed.identifier()).isEqualTo(new UUID(7, 8));
        assertThat(changed.physicalSectorSize()).isEqualTo(512);
        assertThat(changed.contentIdentifier()).isEqualTo(before);
        assertThat(images.content(top)).isEqualTo(expected);
    }
}
