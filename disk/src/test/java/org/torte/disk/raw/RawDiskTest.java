package org.torte.disk.raw;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.AllowedFolders;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

class RawDiskTest {
    @TempDir
    Path folder;

    private Path image(long size) {
        Path image = folder.resolve("disk.raw");
        VirtualDisks.create(image, DiskFormat.RAW, CreateOptions.dynamic(size), DiskOptions.readWrite());
        return image;
    }

    private static byte[] pattern(int length, int seed) {
        byte[] bytes = new byte[length];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }

    @Test
    void whatWasWrittenIsInTheFileAndIsReadBack() throws Exception {
        Path image = image(8 << 20);
        byte[] data = pattern(700 << 10, 1);
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite())) {
            disk.write(512, data);
            disk.flush();
            byte[] back = new byte[data.length];
            disk.read(512, back);
            assertThat(back).isEqualTo(data);
        }
        byte[] whole = Files.readAllBytes(image);
        assertThat(whole).hasSize(8 << 20);
        assertThat(java.util.Arrays.copyOfRange(whole, 512, 512 + data.length)).isEqualTo(data);
    }

    @Test
    void trimmedRangesReadAsZerosAndAreUnmapped() {
        Path image = image(8 << 20);
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite())) {
            disk.write(0, pattern(4 << 20, 2));
            disk.trim(1 << 20, 1 << 20);
            assertThat(disk.extent(0, disk.size())).isEqualTo(new Extent(0, 1 << 20, Extent.Kind.MAPPED));
            assertThat(disk.extent(1 << 20, 1 << 20)).isEqualTo(new Extent(1 << 20, 1 << 20, Extent.Kind.UNMAPPED));
            byte[] back = new byte[1 << 20];
            disk.read(1 << 20, back);
            assertThat(back).containsOnly(0);
        }
    }

    @Test
    void aSecondWriterIsRefusedAndToldWhoHoldsTheImage() {
        Path image = image(1 << 20);
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite())) {
            assertThat(disk.size()).isEqualTo(1 << 20);
            assertThatThrownBy(() -> VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite()))
                    .isInstanceOfSatisfying(
                            DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.IN_USE))
                    .hasMessageContaining("this process");
            assertThatThrownBy(() -> VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readOnly()))
                    .isInstanceOf(DiskException.class);
        }
        VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite()).close();
    }

    @Test
    void aLinkOutOfTheAllowedFoldersIsRefused() throws Exception {
        Path image = image(1 << 20);
        Path allowed = Files.createDirectory(folder.resolve("allowed"));
        Path link = Files.createSymbolicLink(allowed.resolve("link.raw"), image);
        DiskOptions options = DiskOptions.readOnly().withFolders(AllowedFolders.of(allowed));
        assertThatThrownBy(() -> VirtualDisks.open(link, DiskFormat.RAW, options))
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.DENIED));
    }

    @Test
    void aPipeIsRefusedWithoutHanging() throws Exception {
        Path pipe = folder.resolve("pipe");
        new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor();
        assertThatThrownBy(() -> VirtualDisks.open(pipe, DiskFormat.RAW, DiskOptions.readOnly()))
                .isInstanceOf(DiskException.class)
                .hasMessageContaining("neither a file nor a block device");
    }

    @Test
    void resizingChangesTheFile() throws Exception {
        Path image = image(1 << 20);
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite())) {
            disk.resize(3 << 20);
            disk.write((3 << 20) - 512, pattern(512, 3));
        }
        assertThat(Files.size(image)).isEqualTo(3 << 20);
    }
}
