package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

class VhdxOperationTest {
    private static final int MIB = 1 << 20;
    private static final DiskOptions OPTIONS = DiskOptions.readWrite();

    @TempDir
    Path folder;

    private Path create(String name, CreateOptions options) {
        Path image = folder.resolve(name);
        VirtualDisks.create(image, DiskFormat.VHDX, options, OPTIONS);
        return image;
    }

    private static void write(Path image, long at, byte[] data) {
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHDX, OPTIONS)) {
            disk.write(at, data);
        }
    }

    private static byte[] content(Path image) {
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHDX, DiskOptions.readOnly())) {
            byte[] all = new byte[(int) disk.size()];
            disk.read(0, all);
            return all;
        }
    }

    private static DiskInfo info(Path image) {
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.VHDX, DiskOptions.inspect())) {
            return disk.info();
        }
    }

    private static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private Path chainOfThree() {
        Path base = create("base.vhdx", CreateOptions.dynamic(40 * MIB).withBlockSize(MIB));
        write(base, 0, pattern(9 * MIB, 1));
        Path middle = create("middle.vhdx", CreateOptions.differencing(base));
        write(middle, 7 * MIB + 512, pattern(6 * MIB, 2));
        Path top = create("top.vhdx", CreateOptions.differencing(middle));
        write(top, 12 * MIB, pattern(3 * MIB, 3));
        return top;
    }

    @Test
    void aMergeInterruptedAnywhereGoesOnAndReadsTheSameAllTheTime() {
        Path top = chainOfThree();
        byte[] expected = content(top);
        Path middle = folder.resolve("middle.vhdx");
        for (int stop = 0; stop < 7; stop++) {
            int limit = 7 + stop;
            assertThatThrownBy(
                            () -> Merge.run(middle, DiskFormat.VHDX, OPTIONS, (done, _) -> done < (long) limit * MIB))
                    .isInstanceOf(DiskException.class);
            assertThat(content(top)).as("stopped at %d MiB", limit).isEqualTo(expected);
        }
        Merge.run(middle, DiskFormat.VHDX, OPTIONS, Progress.NONE);
        assertThat(middle).doesNotExist();
        assertThat(content(top)).isEqualTo(expected);
        Merge.run(top, DiskFormat.VHDX, OPTIONS, Progress.NONE);
        assertThat(content(folder.resolve("base.vhdx"))).isEqualTo(expected);
    }

    @Test
    void identityChangesWithoutCuttingOffChildren() {
        Path top = chainOfThree();
        byte[] expected = content(top);
        UUID before = info(folder.resolve("middle.vhdx")).contentIdentifier();
        Identity.set(folder.resolve("middle.vhdx"), DiskFormat.VHDX, new UUID(7, 8), 512, OPTIONS);
        DiskInfo changed = info(folder.resolve("middle.vhdx"));
        assertThat(changed.identifier()).isEqualTo(new UUID(7, 8));
        assertThat(changed.physicalSectorSize()).isEqualTo(512);
        assertThat(changed.contentIdentifier()).isEqualTo(before);
        assertThat(content(top)).isEqualTo(expected);
    }

    @Test
    void aParentThatMovedIsConnectedAgain() throws Exception {
        Path top = chainOfThree();
        byte[] expected = content(top);
        Path away = Files.createDirectory(folder.resolve("a folder with a longer name than before"));
        Path moved = Files.move(folder.resolve("middle.vhdx"), away.resolve("mid.vhdx"));
        Reconnect.run(moved, DiskFormat.VHDX, folder.resolve("base.vhdx"), false, OPTIONS);
        Reconnect.run(top, DiskFormat.VHDX, moved, false, OPTIONS);
        assertThat(content(top)).isEqualTo(expected);
    }

    @Test
    void formatsConvertIntoEachOther() {
        Path top = chainOfThree();
        byte[] expected = content(top);
        Path vhd = folder.resolve("all.vhd");
        Convert.run(top, DiskFormat.VHDX, vhd, DiskFormat.VHD, DiskType.FIXED, 0, OPTIONS, Progress.NONE);
        Path back = folder.resolve("back.vhdx");
        Convert.run(vhd, DiskFormat.VHD, back, DiskFormat.VHDX, DiskType.DYNAMIC, 0, OPTIONS, Progress.NONE);
        assertThat(content(back)).isEqualTo(expected);
    }
}
