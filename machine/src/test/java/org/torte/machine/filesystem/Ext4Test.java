package org.torte.machine.filesystem;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** File systems that e2fsprogs have made, in many ways, and damaged ones. */
class Ext4Test {
    private static final Path MKFS = Path.of("/usr/sbin/mke2fs"), DEBUGFS = Path.of("/usr/sbin/debugfs");
    private static final long SEED = Long.getLong("torte.seed", 1);

    @TempDir
    static Path folder;

    /** What is in the tree that all file systems hold, by path. */
    private static final Map<String, byte[]> CONTENT = new TreeMap<>();

    private static Path tree;

    @BeforeAll
    static void makeTree() throws IOException {
        assumeTrue(Files.isExecutable(MKFS) && Files.isExecutable(DEBUGFS), "e2fsprogs are not installed");
        tree = Files.createDirectory(folder.resolve("tree"));
        Random random = new Random(20261129);
        for (int size : new int[] {0, 1, 59, 60, 61, 100, 120, 1023, 4096, 5000, 12 * 1024 + 1, 300_000, 3_000_000}) {
            put("boot/file-" + size, random, size);
        }
        for (int i = 0; i < 700; i++) {
            put("many/a-rather-long-name-so-that-hash-trees-are-needed-" + i, random, 3);
        }
        put("a/b/c/d/e/f/g/h/deep", random, 77);
        Files.createSymbolicLink(tree.resolve("short"), Path.of("boot/file-100"));
        Files.createSymbolicLink(tree.resolve("absolute"), Path.of("/boot/file-1023"));
        Files.createSymbolicLink(tree.resolve("many/up"), Path.of("../a/../a/./b"));
        Files.createSymbolicLink(tree.resolve("long"), Path.of("a/b/c/d/e/f/g/h/" + "../h/".repeat(30) + "deep"));
        Files.createSymbolicLink(tree.resolve("circle"), Path.of("/circle"));
        Files.createSymbolicLink(tree.resolve("dangling"), Path.of("nowhere"));
        // A file with holes.
        byte[] sparse = new byte[2_000_000];
        Arrays.fill(sparse, 600_000, 700_000, (byte) 7);
        Arrays.fill(sparse, 1_999_000, 2_000_000, (byte) 9);
        CONTENT.put("sparse", sparse);
        Files.write(tree.resolve("sparse"), sparse);
    }

    private static void put(String path, Random random, int size) throws IOException {
        byte[] bytes = new byte[size];
        random.nextBytes(bytes);
        CONTENT.put(path, bytes);
        Path file = tree.resolve(path);
        Files.createDirectories(file.getParent());
        Files.write(file, bytes);
    }

    private static String run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output;
    }

    /** How this mke2fs is asked for the first revision, which has another option since its version 1.47.1. */
    private static String firstRevision() throws IOException, InterruptedException {
        Process process = new ProcessBuilder(MKFS.toString(), "-n", "-r", "0", folder.toString())
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        boolean _ = process.waitFor() == 0;
        return output.contains("-E revision=0") ? "-E revision=0" : "-r 0";
    }

    private static Path make(String options) throws IOException, InterruptedException {
        Path file = Files.createTempFile(folder, "image", ".ext");
        List<String> command = new ArrayList<>(List.of(MKFS.toString(), "-q", "-F"));
        command.addAll(List.of(options.replace("REVISION-0", firstRevision()).split(" ", -1)));
        command.addAll(List.of("-d", tree.toString(), file.toString(), "40M"));
        run(command.toArray(String[]::new));
        return file;
    }

    private static Ext4 open(byte[] bytes) throws DamagedException {
        return Ext4.open(Volume.of(new MemoryDisk(bytes)));
    }

    private static byte[] read(Ext4File file) throws DamagedException {
        byte[] bytes = new byte[(int) file.size()];
        file.read(0, MemorySegment.ofArray(bytes));
        return bytes;
    }

    private static void assertWhole(Ext4 fileSystem) throws DamagedException {
        for (Map.Entry<String, byte[]> entry : CONTENT.entrySet()) {
            Optional<Ext4File> found = fileSystem.find("/" + entry.getKey());
            assertThat(found).as(entry.getKey()).isPresent();
            assertThat(Arrays.equals(read(found.orElseThrow()), entry.getValue()))
                    .as(entry.getKey())
                    .isTrue();
        }
    }

    @ParameterizedTest(name = "mke2fs {0}")
    @ValueSource(
            strings = {
                "-t ext2",
                "-t ext2 -b 1024 -I 128",
                "-t ext2 REVISION-0 -b 1024",
                "-t ext3",
                "-t ext3 -b 1024 -O ^dir_index",
                "-t ext4 -b 4096",
                "-t ext4 -b 1024",
                "-t ext4 -b 2048 -I 512",
                "-t ext4 -b 1024 -O 64bit,metadata_csum,flex_bg,inline_data -I 256",
                "-t ext4 -O inline_data -I 1024",
                "-t ext4 -O ^64bit,^metadata_csum,^flex_bg,^extent",
                "-t ext4 -O meta_bg,^resize_inode -b 1024",
                "-t ext4 -O meta_bg,^resize_inode,64bit -b 1024 -g 1024",
                "-t ext4 -O metadata_csum_seed,large_dir,ea_inode",
                "-t ext4 -O ^has_journal,bigalloc -C 16384",
                "-t ext4 -O mmp,quota,project -I 256",
                "-t ext4 -O sparse_super2,^resize_inode",
                "-t ext4 -O casefold",
                "-t ext4 -b 16384 -O ^has_journal",
            })
    void everyFileIsReadAsItWas(String options) throws Exception {
        Path file = make(options);
        Ext4 fileSystem = open(Files.readAllBytes(file));

        assertWhole(fileSystem);
        assertThat(fileSystem.list("/many")).hasSize(701);
        assertThat(read(fileSystem.find("short").orElseThrow())).isEqualTo(CONTENT.get("boot/file-100"));
        assertThat(read(fileSystem.find("absolute").orElseThrow())).isEqualTo(CONTENT.get("boot/file-1023"));
        assertThat(read(fileSystem.find("long").orElseThrow())).isEqualTo(CONTENT.get("a/b/c/d/e/f/g/h/deep"));
        assertThat(fileSystem.list("many/up")).containsExactly("c");
        for (String nothing : List.of("circle", "dangling", "boot", "boot/none", "short/below", "../../none")) {
            assertThat(fileSystem.find(nothing)).as(nothing).isEmpty();
        }
        String shown = run(DEBUGFS.toString(), "-R", "show_super_stats -h", file.toString());
        assertThat(shown).contains("Filesystem UUID:          " + fileSystem.uuid());
        Files.delete(file);
    }

    /** debugfs writes blocks to the journal as the kernel would, with tags, revocations and checksums of every kind. */
    @ParameterizedTest(name = "mke2fs {0}, journal with {1}")
    @CsvSource({
        "-t ext3 -b 1024, ''",
        "-t ext4 -b 4096, ''",
        "-t ext4 -b 1024 -O 64bit, -c",
        "-t ext4 -b 4096 -O 64bit, -c -v 2",
        "-t ext4 -b 4096 -O ^64bit, -c -v 3",
    })
    void aJournalIsReplayedAsE2fsckDoes(String options, String checksums) throws Exception {
        Path file = make(options);
        String blocks = run(DEBUGFS.toString(), "-R", "blocks /boot/file-300000", file.toString());
        List<String> numbers =
                List.of(blocks.strip().lines().toList().getLast().strip().split(" "));
        int blockSize = options.contains("1024") ? 1024 : 4096;
        byte[] data = new byte[blockSize * 4];
        new Random(SEED).nextBytes(data);
        // What looks like the journal's own block is stored in another way.
        System.arraycopy(new byte[] {(byte) 0xc0, 0x3b, 0x39, (byte) 0x98}, 0, data, 0, 4);
        Path content = Files.write(folder.resolve("content"), data);
        Path second = Files.write(folder.resolve("second"), Arrays.copyOfRange(data, blockSize, 3 * blockSize));
        Path commands = Files.writeString(
                folder.resolve("commands"),
                "journal_open " + checksums + "\n"
                        + "journal_write -b " + String.join(",", numbers.subList(0, 4)) + " " + content + "\n"
                        + "journal_write -r " + numbers.get(3) + "\n"
                        + "journal_write -b " + String.join(",", numbers.subList(10, 12)) + " " + second + "\n"
                        + "journal_close\n");
        run(DEBUGFS.toString(), "-w", "-f", commands.toString(), file.toString());
        assertThat(run(DEBUGFS.toString(), "-R", "features", file.toString())).contains("needs_recovery");

        byte[] here =
                read(open(Files.readAllBytes(file)).find("boot/file-300000").orElseThrow());
        run("/usr/sbin/e2fsck", "-E", "journal_only", "-y", file.toString());
        byte[] there =
                read(open(Files.readAllBytes(file)).find("boot/file-300000").orElseThrow());

        assertThat(here).isNotEqualTo(CONTENT.get("boot/file-300000"));
        assertThat(here).isEqualTo(there);
        assertThat(Arrays.mismatch(here, 0, 3 * blockSize, data, 0, 3 * blockSize))
                .isEqualTo(-1);
        Files.delete(file);
    }

    @Test
    void aDamagedFileSystemIsToldAndHarmsNobody() throws Exception {
        damage(60);
    }

    @Test
    @Tag("long")
    void aDamagedFileSystemIsToldAndHarmsNobodyForLong() throws Exception {
        damage(5000);
    }

    private void damage(int rounds) throws Exception {
        List<byte[]> images = new ArrayList<>();
        for (String options : List.of(
                "-t ext4 -b 1024 -O inline_data,64bit,meta_bg,^resize_inode", "-t ext4 -b 4096", "-t ext3 -b 1024")) {
            Path file = make(options);
            Path commands = Files.writeString(
                    folder.resolve("commands"),
                    "jo -c\njw -b 5000,5001,5002 " + tree.resolve("boot/file-5000") + "\njc\n");
            run(DEBUGFS.toString(), "-w", "-f", commands.toString(), file.toString());
            images.add(Files.readAllBytes(file));
            Files.delete(file);
        }
        for (int round = 0; round < rounds; round++) {
            long seed = SEED + round;
            Random random = new Random(seed);
            byte[] image = images.get(random.nextInt(images.size())).clone();
            int changes = 1 + random.nextInt(40);
            for (int i = 0; i < changes; i++) {
                // Most of what is structure lies at the beginning or, the journal, in the middle.
                int area = random.nextInt(4);
                int at = switch (area) {
                    case 0 -> 1024 + random.nextInt(1024);
                    case 1 -> random.nextInt(64 << 10);
                    case 2 -> random.nextInt(4 << 20);
                    default -> random.nextInt(image.length);
                };
                image[at] = random.nextBoolean() ? (byte) random.nextInt() : (byte) -random.nextInt(2);
            }
            MemoryDisk disk = new MemoryDisk(image);
            assertThatCode(() -> readAll(disk)).as("torte.seed=%d", seed).doesNotThrowAnyException();
            assertThat(disk.bytesRead())
                    .as("bytes read with torte.seed=%d", seed)
                    .isLessThan(4L << 30);
        }
    }

    /** Reads all that can be found; damage is no exception here. */
    private static void readAll(MemoryDisk disk) {
        try {
            Ext4 fileSystem = Ext4.open(Volume.of(disk));
            List<String> paths =
                    new ArrayList<>(CONTENT.keySet().stream().limit(40).toList());
            paths.addAll(List.of("short", "absolute", "circle", "long", "many/up/c"));
            for (String path : paths) {
                try {
                    Optional<Ext4File> found = fileSystem.find(path);
                    if (found.isPresent() && found.get().size() < 8 << 20) {
                        read(found.get());
                    }
                    fileSystem.list(path);
                } catch (DamagedException e) {
                    assertThat(e).hasMessageNotContaining("null");
                }
            }
        } catch (DamagedException e) {
            assertThat(e).hasMessageNotContaining("null");
        }
    }
}
