package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.AllowedFolders;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.WindowsVolumes;
import org.torte.disk.operation.Convert;
import org.torte.disk.operation.Family;
import org.torte.disk.operation.Progress;
import org.torte.disk.operation.Reconnect;

/** Where parents, children and new images may lie, and what the names in images mean. */
class ParentPlacesTest {
    private static final int MIB = 1 << 20;

    @TempDir
    Path folder;

    private Path images;
    private Path outside;
    private DiskOptions limited;

    @BeforeEach
    void folders() throws Exception {
        images = Files.createDirectory(folder.resolve("images"));
        outside = Files.createDirectory(folder.resolve("outside"));
        limited = DiskOptions.readWrite().withFolders(AllowedFolders.of(images));
    }

    private static Path base(Path image, DiskFormat format) {
        DiskOptions options = DiskOptions.readWrite();
        VirtualDisks.create(image, format, CreateOptions.dynamic(8 * MIB), options);
        try (VirtualDisk disk = VirtualDisks.open(image, format, options)) {
            disk.write(0, new byte[512]);
        }
        return image;
    }

    private static Path child(Path image, DiskFormat format, Path parent) {
        VirtualDisks.create(image, format, CreateOptions.differencing(parent), DiskOptions.readWrite());
        return image;
    }

    private static void refused(Kind kind, ThrowingCallable work) {
        assertThatThrownBy(work)
                .isInstanceOfSatisfying(
                        DiskException.class, e -> assertThat(e.kind()).isEqualTo(kind));
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void nothingOutsideTheAllowedFoldersIsOpenedOrMade(DiskFormat format) throws Exception {
        String suffix = format == DiskFormat.VHD ? ".vhd" : ".vhdx";
        Path secret = base(outside.resolve("secret" + suffix), format);
        Path child = child(images.resolve("child" + suffix), format, secret);
        refused(Kind.DENIED, () -> VirtualDisks.open(child, format, limited));
        refused(Kind.DENIED, () -> Family.chain(child, format, limited));
        Path link = Files.createSymbolicLink(images.resolve("link" + suffix), secret);
        refused(Kind.DENIED, () -> VirtualDisks.open(link, format, limited));
        refused(
                Kind.DENIED,
                () -> VirtualDisks.create(
                        images.resolve("new" + suffix), format, CreateOptions.differencing(link), limited));
        refused(Kind.DENIED, () -> Reconnect.run(child, format, link, true, limited));
        Path inside = base(images.resolve("inside" + suffix), format);
        Path linked = Files.createSymbolicLink(images.resolve("elsewhere"), outside);
        for (Path target : List.of(outside.resolve("copy.raw"), linked.resolve("copy.raw"))) {
            refused(Kind.DENIED, () -> convert(inside, format, target));
            assertThat(target).doesNotExist();
        }
        refused(Kind.DENIED, () -> convert(child, format, images.resolve("copy.raw")));
        convert(inside, format, images.resolve("copy.raw"));
        try (var left = Files.list(images)) {
            assertThat(left).noneMatch(f -> f.toString().endsWith(Convert.PARTIAL));
        }
    }

    private void convert(Path source, DiskFormat format, Path target) {
        Convert.run(source, format, target, DiskFormat.RAW, DiskType.DYNAMIC, 0, limited, Progress.NONE);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aChildMadeThroughALinkedFolderNamesItsParentFromWhereItIs(DiskFormat format) throws Exception {
        Path real = Files.createDirectories(images.resolve("deep/down"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), real);
        Path parent = base(images.resolve("base"), format);
        Path child = child(link.resolve("child"), format, parent);
        Path moved = Files.move(images, folder.resolve("moved"));
        VirtualDisks.open(moved.resolve("deep/down/child"), format, DiskOptions.readOnly())
                .close();
        assertThat(child).isNotNull();
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void childrenAreFoundInAllAllowedFolders(DiskFormat format) throws Exception {
        String suffix = format == DiskFormat.VHD ? ".vhd" : ".vhdx";
        Path parent = base(images.resolve("base" + suffix), format);
        Path other = base(images.resolve("other" + suffix), format);
        Path deep = Files.createDirectories(images.resolve("vm/checkpoints"));
        Path beside = child(images.resolve("beside" + suffix), format, parent);
        Path below = child(deep.resolve("below.a" + suffix.substring(1)), format, parent);
        child(deep.resolve("stranger" + suffix), format, other);
        Files.writeString(deep.resolve("rubbish" + suffix), "no image");
        assertThat(Family.children(parent, limited)).containsExactly(beside, below);
        assertThat(Family.children(parent, DiskOptions.readWrite())).containsExactly(beside);
    }

    @Test
    void aPathOfWindowsLeadsWhereTheAdministratorSays() throws Exception {
        Path parent = base(images.resolve("base.vhdx"), DiskFormat.VHDX);
        Path child = child(outside.resolve("child.vhdx"), DiskFormat.VHDX, parent);
        UUID content = VhdxEdit.expected(child, DiskOptions.readOnly()).getFirst();
        ParentLocator windows = new ParentLocator(Map.of())
                .with(ParentLocator.LINKAGE, ParentLocator.format(content))
                .with(ParentLocator.RELATIVE_PATH, ".\\gone.vhdx")
                .with(
                        ParentLocator.VOLUME_PATH,
                        "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\disks\\base.vhdx")
                .with(ParentLocator.ABSOLUTE_PATH, "D:\\disks\\base.vhdx");
        VhdxEdit.setLocator(child, windows, DiskOptions.readWrite());
        DiskOptions options = DiskOptions.readOnly();
        refused(Kind.PARENT_MISSING, () -> VirtualDisks.open(child, DiskFormat.VHDX, options));
        for (String volume : List.of("d:\\disks", "\\\\?\\Volume{26A21BDA-a627-11d7-9931-806e6f6e6963}\\disks")) {
            DiskOptions mapped = options.withVolumes(new WindowsVolumes(Map.of(volume, images)));
            VirtualDisks.open(child, DiskFormat.VHDX, mapped).close();
            assertThat(Family.children(parent, mapped.withFolders(AllowedFolders.of(folder))))
                    .containsExactly(child);
            refused(
                    Kind.DENIED,
                    () -> VirtualDisks.open(child, DiskFormat.VHDX, mapped.withFolders(AllowedFolders.of(outside))));
        }
    }

    /** A guest that owns a raw disk could write this. */
    @Test
    void aRawDiskThatHoldsAnImageStaysRaw() throws Exception {
        Path parent = base(images.resolve("base.vhdx"), DiskFormat.VHDX);
        Path child = child(images.resolve("child.vhdx"), DiskFormat.VHDX, parent);
        byte[] content = Files.readAllBytes(child);
        Path raw = Files.move(child, images.resolve("disk.img"));
        assertThat(DiskFormat.ofName(raw)).contains(DiskFormat.RAW);
        try (VirtualDisk disk = VirtualDisks.open(raw, DiskFormat.RAW, limited)) {
            assertThat(disk.parent()).isEmpty();
            assertThat(disk.size()).isEqualTo(content.length);
            byte[] start = new byte[8];
            byte[] sector = new byte[512];
            disk.read(0, sector);
            System.arraycopy(sector, 0, start, 0, 8);
            assertThat(start).isEqualTo("vhdxfile".getBytes(java.nio.charset.StandardCharsets.US_ASCII));
        }
        assertThat(Family.children(parent, limited)).isEmpty();
    }
}
