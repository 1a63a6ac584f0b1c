package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

class OperationTest {
    private static final int MIB = 1 << 20;
    private static final DiskOptions OPTIONS = DiskOptions.readWrite();

    @TempDir
    Path folder;

    private Path create(String name, CreateOptions options) {
        Path image = folder.resolve(name);
        VirtualDisks.create(image, DiskFormat.VHD, options, OPTIONS);
        return image;
    }

    private static VirtualDisk open(Path image) {
        return VirtualDisks.open(image, DiskFormat.VHD, OPTIONS);
    }

    private static void write(Path image, long at, byte[] data) {
        try (VirtualDisk disk = open(image)) {
            disk.write(at, data);
        }
    }

    private static byte[] content(Path image, DiskFormat format) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readOnly())) {
            byte[] all = new byte[(int) disk.size()];
            disk.read(0, all);
            return all;
        }
    }

    private static byte[] content(Path image) {
        return content(image, DiskFormat.VHD);
    }

    private static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private Path chainOfThree() {
        Path base = create("base.vhd", CreateOptions.dynamic(40 * MIB));
        write(base, 0, pattern(9 * MIB, 1));
        Path middle = create("middle.vhd", CreateOptions.differencing(base));
        write(middle, 7 * MIB + 512, pattern(6 * MIB, 2));
        Path top = create("top.vhd", CreateOptions.differencing(middle));
        write(top, 12 * MIB, pattern(3 * MIB, 3));
        return top;
    }

    @Test
    void aChainConvertsToRawAndBack() {
        Path top = chainOfThree();
        Path raw = folder.resolve("all.raw");
        Convert.run(top, DiskFormat.VHD, raw, DiskFormat.RAW, DiskType.DYNAMIC, 0, OPTIONS, Progress.NONE);
        assertThat(content(raw, DiskFormat.RAW)).isEqualTo(content(top));
        Path back = folder.resolve("back.vhd");
        Convert.run(raw, DiskFormat.RAW, back, DiskFormat.VHD, DiskType.DYNAMIC, 0, OPTIONS, Progress.NONE);
        assertThat(content(back)).isEqualTo(content(top));
        try (VirtualDisk disk = open(back)) {
            assertThat(disk.info().allocated()).isLessThan(20 * MIB);
        }
    }

    @Test
    void aCancelledConversionLeavesNothing() throws Exception {
        Path top = chainOfThree();
        Path target = folder.resolve("target.vhd");
        assertThatThrownBy(() -> Convert.run(
                        top,
                        DiskFormat.VHD,
                        target,
                        DiskFormat.VHD,
                        DiskType.DYNAMIC,
                        0,
                        OPTIONS,
                        (done, _) -> done < 5 * MIB))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.CANCELLED));
        try (var files = Files.list(folder)) {
            assertThat(files.map(f -> String.valueOf(f.getFileName())))
                    .containsExactlyInAnyOrder("base.vhd", "middle.vhd", "top.vhd");
        }
    }

    @Test
    void anExistingFileIsNotOverwritten() {
        Path top = chainOfThree();
        assertThatThrownBy(() -> Convert.run(
                        top,
                        DiskFormat.VHD,
                        folder.resolve("base.vhd"),
                        DiskFormat.VHD,
                        DiskType.DYNAMIC,
                        0,
                        OPTIONS,
                        Progress.NONE))
                .hasMessageContaining("exists already");
    }

    @Test
    void aMergeInterruptedAnywhereGoesOnAndReadsTheSameAllTheTime() {
        Path top = chainOfThree();
        byte[] expected = content(top);
        Path middle = folder.resolve("middle.vhd");
        for (int stop = 0; stop < 7; stop++) {
            int limit = 7 + stop;
            assertThatThrownBy(() -> Merge.run(middle, DiskFormat.VHD, OPTIONS, (done, _) -> done < (long) limit * MIB))
                    .isInstanceOf(DiskException.class);
            assertThat(content(top)).as("stopped at %d MiB", limit).isEqualTo(expected);
        }
        Merge.Plan plan = Merge.run(middle, DiskFormat.VHD, OPTIONS, Progress.NONE);
        assertThat(plan.resumed()).isTrue();
        assertThat(middle).doesNotExist();
        assertThat(MergeJournal.file(middle)).doesNotExist();
        assertThat(content(top)).isEqualTo(expected);
        Merge.run(top, DiskFormat.VHD, OPTIONS, Progress.NONE);
        assertThat(content(folder.resolve("base.vhd"))).isEqualTo(expected);
    }

    @Test
    void aMergeSaysWhatSpaceItNeeds() {
        Path top = chainOfThree();
        Merge.Plan plan = Merge.plan(top, DiskFormat.VHD, OPTIONS);
        assertThat(plan.bytes()).isEqualTo(3 * MIB);
        // Blocks 6 and 7 of 2 MiB: the parent has the first one.
        assertThat(plan.space()).isEqualTo(2 * MIB);
    }

    @Test
    void aParentWithAnotherChildIsNotMergedInto() {
        chainOfThree();
        create("other.vhd", CreateOptions.differencing(folder.resolve("base.vhd")));
        assertThatThrownBy(() -> Merge.run(folder.resolve("middle.vhd"), DiskFormat.VHD, OPTIONS, Progress.NONE))
                .hasMessageContaining("other.vhd");
    }

    @Test
    void aChildWrittenToBetweenTwoAttemptsIsMergedFromItsStart() {
        Path base = create("base.vhd", CreateOptions.dynamic(40 * MIB));
        Path child = create("child.vhd", CreateOptions.differencing(base));
        write(child, 0, pattern(20 * MIB, 2));
        assertThatThrownBy(() -> Merge.run(child, DiskFormat.VHD, OPTIONS, (done, _) -> done < 15L * MIB))
                .isInstanceOf(DiskException.class);
        write(child, MIB, pattern(MIB, 99));
        byte[] expected = content(child);
        Merge.run(child, DiskFormat.VHD, OPTIONS, Progress.NONE);
        assertThat(content(base)).isEqualTo(expected);
    }

    @Test
    void shrinkingStopsAtThePartitionAndMinimumGoesRightToIt() {
        Path image = create("disk.vhd", CreateOptions.dynamic(64 * MIB));
        byte[] mbr = new byte[512];
        ByteBuffer out = ByteBuffer.wrap(mbr).order(ByteOrder.LITTLE_ENDIAN);
        out.put(446 + 4, (byte) 0x83).putInt(446 + 8, 2048).putInt(446 + 12, 20 * 2048);
        out.put(510, (byte) 0x55).put(511, (byte) 0xaa);
        write(image, 0, mbr);
        write(image, 50 * MIB, pattern(MIB, 1));
        assertThatThrownBy(() -> Resize.run(image, DiskFormat.VHD, 20 * MIB, OPTIONS, Progress.NONE))
                .hasMessageContaining("partition");
        try (VirtualDisk disk = open(image)) {
            assertThat(Resize.minimum(disk, Progress.NONE)).isEqualTo(21 * MIB);
        }
        Resize.run(image, DiskFormat.VHD, 21 * MIB, OPTIONS, Progress.NONE);
        assertThat(content(image)).hasSize(21 * MIB);
    }

    @Test
    void aDiskWithoutPartitionsShrinksOnlyAfterTrimming() {
        Path image = create("disk.vhd", CreateOptions.dynamic(64 * MIB));
        write(image, MIB, pattern(MIB, 1));
        write(image, 50 * MIB, pattern(MIB, 1));
        assertThatThrownBy(() -> Resize.run(image, DiskFormat.VHD, 20 * MIB, OPTIONS, Progress.NONE))
                .hasMessageContaining("data beyond");
        try (VirtualDisk disk = open(image)) {
            disk.trim(50 * MIB, 2 * MIB);
            assertThat(Resize.minimum(disk, Progress.NONE)).isEqualTo(2 * MIB);
        }
        Resize.run(image, DiskFormat.VHD, 2 * MIB, OPTIONS, Progress.NONE);
        assertThat(content(image)).endsWith(Arrays.copyOfRange(pattern(MIB, 1), MIB - 16, MIB));
    }

    @Test
    void optimizingGivesBackZeroBlocksAndClosesGaps() throws Exception {
        Path image = create("disk.vhd", CreateOptions.dynamic(100 * MIB));
        try (VirtualDisk disk = open(image)) {
            for (int block = 0; block < 40; block++) {
                disk.write(block * 2L * MIB, block % 3 == 0 ? new byte[2 * MIB] : pattern(2 * MIB, block));
            }
            disk.trim(10 * MIB, 8 * MIB);
        }
        byte[] expected = content(image);
        long before = Files.size(image);
        Optimize.Result result = Optimize.run(image, DiskFormat.VHD, OPTIONS, Progress.NONE);
        assertThat(content(image)).isEqualTo(expected);
        assertThat(result.zeroBlocks()).isPositive();
        assertThat(Files.size(image)).isLessThan(before - 26L * MIB);
        assertThat(VirtualDisks.check(image, DiskFormat.VHD, DiskOptions.readOnly(), false)
                        .findings())
                .isEmpty();
    }

    @Test
    void aParentThatMovedIsConnectedAgainOnlyIfItIsTheSame() throws Exception {
        Path top = chainOfThree();
        byte[] expected = content(top);
        Path away = Files.createDirectory(folder.resolve("away"));
        Path moved = Files.move(folder.resolve("middle.vhd"), away.resolve("mid.vhd"));
        Reconnect.run(moved, DiskFormat.VHD, folder.resolve("base.vhd"), false, OPTIONS);
        assertThatThrownBy(() -> content(top)).hasMessageContaining("reconnect");
        assertThatThrownBy(() -> Reconnect.run(top, DiskFormat.VHD, folder.resolve("base.vhd"), false, OPTIONS))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CHANGED));
        Reconnect.run(top, DiskFormat.VHD, moved, false, OPTIONS);
        assertThat(content(top)).isEqualTo(expected);
        assertThatThrownBy(() -> Reconnect.run(moved, DiskFormat.VHD, top, true, OPTIONS))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.PARENT_CYCLE));
    }
}
