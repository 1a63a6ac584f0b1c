package org.torte.machine.boot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.machine.filesystem.MemoryDisk;

/** What is booted from file systems that e2fsprogs have made. */
class DiskBootTest {
    private static final Path MKFS = Path.of("/usr/sbin/mke2fs");
    private static final String UUID = "01234567-89ab-cdef-0123-456789abcdef";
    private static final String OTHER = "11111111-2222-3333-4444-555555555555";
    private static final Map<String, String> ROOT = Map.of("etc/fstab", "", "sbin/init", "");

    @TempDir
    Path folder;

    @BeforeAll
    static void needTools() {
        assumeTrue(Files.isExecutable(MKFS), "e2fsprogs are not installed");
    }

    /** A file system with these files; a content that begins with an arrow is what a symbolic link points to. */
    @SafeVarargs
    private byte[] fileSystem(String uuid, Map<String, String>... contents) throws IOException, InterruptedException {
        Path tree = Files.createTempDirectory(folder, "tree");
        for (Map<String, String> content : contents) {
            for (Map.Entry<String, String> entry : content.entrySet()) {
                Path file = tree.resolve(entry.getKey());
                Files.createDirectories(file.getParent());
                if (entry.getValue().startsWith("->")) {
                    Files.createSymbolicLink(file, Path.of(entry.getValue().substring(2)));
                } else {
                    Files.writeString(file, entry.getValue());
                }
            }
        }
        Path image = Files.createTempFile(folder, "image", ".ext4");
        Process made = new ProcessBuilder(
                        MKFS.toString(),
                        "-q",
                        "-F",
                        "-t",
                        "ext4",
                        "-U",
                        uuid,
                        "-d",
                        tree.toString(),
                        image.toString(),
                        "2M")
                .redirectErrorStream(true)
                .start();
        String output = new String(made.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(made.waitFor()).as(output).isZero();
        return Files.readAllBytes(image);
    }

    /** A disk with an MBR and these partitions one after the other. */
    private static MemoryDisk partitioned(byte[]... parts) {
        int first = 2048;
        int sectors = first;
        for (byte[] part : parts) {
            sectors += part.length / 512;
        }
        ByteBuffer disk = ByteBuffer.allocate(sectors * 512).order(ByteOrder.LITTLE_ENDIAN);
        disk.putInt(440, 0xcafe0123).putShort(510, (short) 0xaa55);
        int at = first;
        for (int i = 0; i < parts.length; i++) {
            int entry = 446 + 16 * i;
            disk.put(entry + 4, (byte) 0x83).putInt(entry + 8, at).putInt(entry + 12, parts[i].length / 512);
            disk.put(at * 512, parts[i]);
            at += parts[i].length / 512;
        }
        return new MemoryDisk(disk.array());
    }

    private static BootPlan find(String append, MemoryDisk... disks) {
        List<DiskBoot.Source> sources = new ArrayList<>();
        for (MemoryDisk disk : disks) {
            sources.add(new DiskBoot.Source(disk, "disk" + sources.size() + ".raw"));
        }
        return DiskBoot.find(sources, append);
    }

    private static String text(BootFile file) {
        try (Arena arena = Arena.ofConfined();
                BootFile.Content content = file.open("kernel", 1 << 20)) {
            MemorySegment bytes = arena.allocate(content.size());
            content.readTo(bytes);
            return new String(bytes.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
        }
    }

    private static String entry(String version, String options) {
        return "# a comment\ntitle Linux " + version + "\nversion " + version + "\nlinux /boot/vmlinuz-" + version
                + "\ninitrd /boot/initrd.img-" + version + " $tuned_initrd\noptions " + options + "\n";
    }

    @Test
    void theNewestEntryOfTheBootLoaderSpecificationCounts() throws Exception {
        byte[] image = fileSystem(
                UUID,
                Map.of(
                        "boot/loader/entries/a-6.9.0.conf", entry("6.9.0", "root=/dev/sda1"),
                        "boot/loader/entries/a-6.10.0.conf", entry("6.10.0", "root=UUID=x quiet $kernelopts"),
                        "boot/loader/entries/a-7.0-rescue.conf", entry("7.0", "root=/dev/none"),
                        "boot/vmlinuz-6.9.0", "old",
                        "boot/vmlinuz-6.10.0", "new",
                        "boot/vmlinuz-7.0", "rescue",
                        "boot/initrd.img-6.9.0", "i9",
                        "boot/initrd.img-6.10.0", "i10",
                        "boot/initrd.img-7.0", "i7"));

        BootPlan plan = find("debug", new MemoryDisk(image));

        assertThat(text(plan.kernel())).isEqualTo("new");
        assertThat(plan.modules()).hasSize(1);
        assertThat(text(plan.modules().getFirst().file())).isEqualTo("i10");
        assertThat(plan.commandLine()).isEqualTo("root=UUID=x quiet console=ttyS0 debug");
    }

    @Test
    void theDefaultOfTheBootLoaderCountsMoreThanTheVersion() throws Exception {
        byte[] image = fileSystem(
                UUID,
                Map.of(
                        "boot/loader/loader.conf", "timeout 3\ndefault a-6.9*\n",
                        "boot/loader/entries/a-6.9.0.conf", entry("6.9.0", "root=/dev/sda1 console=ttyS1"),
                        "boot/loader/entries/a-6.10.0.conf", entry("6.10.0", ""),
                        "boot/vmlinuz-6.9.0", "old",
                        "boot/vmlinuz-6.10.0", "new",
                        "boot/initrd.img-6.9.0", "i9",
                        "boot/initrd.img-6.10.0", "i10"));

        BootPlan plan = find("", new MemoryDisk(image));

        assertThat(text(plan.kernel())).isEqualTo("old");
        assertThat(plan.commandLine()).isEqualTo("root=/dev/sda1 console=ttyS1");
    }

    @Test
    void anEntryWhoseFilesAreGoneIsPassedOver() throws Exception {
        byte[] image = fileSystem(
                UUID,
                Map.of(
                        "boot/loader/entries/a-6.9.0.conf", entry("6.9.0", "root=/dev/sda1"),
                        "boot/loader/entries/a-6.10.0.conf", entry("6.10.0", "root=/dev/sda1"),
                        "boot/vmlinuz-6.9.0", "old",
                        "boot/initrd.img-6.9.0", "i9",
                        "boot/vmlinuz-6.10.0", "new"));

        assertThat(text(find("", new MemoryDisk(image)).kernel())).isEqualTo("old");
    }

    @Test
    void theDefaultLabelOfExtlinuxIsBooted() throws Exception {
        byte[] image = fileSystem(
                UUID,
                Map.of(
                        "boot/extlinux/extlinux.conf",
                        """
                        TIMEOUT 10
                        DEFAULT second
                        LABEL first
                         KERNEL /boot/one
                        LABEL second
                         LINUX /boot/two
                         INITRD /boot/i1,/boot/i2
                         APPEND root=LABEL=x rw
                        """,
                        "boot/one",
                        "1",
                        "boot/two",
                        "2",
                        "boot/i1",
                        "a",
                        "boot/i2",
                        "b"));

        BootPlan plan = find("", new MemoryDisk(image));

        assertThat(text(plan.kernel())).isEqualTo("2");
        assertThat(plan.modules()).hasSize(2);
        assertThat(plan.commandLine()).isEqualTo("root=LABEL=x rw console=ttyS0");
    }

    @Test
    void theLinksOfDebianAreFollowedAndTheRootIsTheFileSystemItself() throws Exception {
        byte[] image = fileSystem(
                UUID,
                ROOT,
                Map.of(
                        "vmlinuz", "->boot/vmlinuz-6.1.0",
                        "initrd.img", "->/boot/initrd.img-6.1.0",
                        "boot/vmlinuz-6.1.0", "linked",
                        "boot/vmlinuz-6.12.0", "newer",
                        "boot/initrd.img-6.1.0", "i"));

        BootPlan plan = find("", partitioned(image));

        assertThat(text(plan.kernel())).isEqualTo("linked");
        assertThat(plan.commandLine()).isEqualTo("root=UUID=" + UUID + " ro console=ttyS0");
    }

    @Test
    void withoutARamDiskTheKernelIsToldThePartition() throws Exception {
        byte[] image = fileSystem(
                UUID,
                ROOT,
                Map.of("boot/vmlinuz-6.9.0", "old", "boot/vmlinuz-6.10.0", "new", "boot/vmlinuz-6.11.old", "x"));

        BootPlan plan = find("", partitioned(fileSystem(OTHER, Map.of("data", "x")), image));

        assertThat(text(plan.kernel())).isEqualTo("new");
        assertThat(plan.commandLine()).isEqualTo("root=PARTUUID=cafe0123-02 ro console=ttyS0");
    }

    @Test
    void aSeparateBootPartitionBelongsToTheRootBesideIt() throws Exception {
        byte[] boot = fileSystem(
                OTHER,
                Map.of("loader/entries/a.conf", entry("6.1.0", ""), "vmlinuz-6.1.0", "k", "initrd.img-6.1.0", "i"));

        BootPlan plan = find("", partitioned(boot, fileSystem(UUID, ROOT)));

        assertThat(text(plan.kernel())).isEqualTo("k");
        assertThat(plan.commandLine()).isEqualTo("root=UUID=" + UUID + " ro console=ttyS0");
    }

    @Test
    void disksWithNothingToBootAreNamedWithWhatWasLookedFor() throws Exception {
        MemoryDisk empty = new MemoryDisk(new byte[1 << 20]);
        MemoryDisk data = partitioned(fileSystem(UUID, ROOT), new byte[1 << 20]);

        assertThatThrownBy(() -> find("", empty, data))
                .isInstanceOf(BootException.class)
                .hasMessageContaining("disk0.raw is of another kind")
                .hasMessageContaining("partition 1 of disk1.raw has none")
                .hasMessageContaining("partition 2 of disk1.raw is of another kind")
                .hasMessageContaining("/boot/vmlinuz*")
                .hasMessageContaining("--kernel FILE");
    }
}
