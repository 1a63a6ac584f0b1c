package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code torte vhd}, each command as a user types it. */
class VhdCommandTest {
    @TempDir
    Path folder;

    private String path(String name) {
        return folder.resolve(name).toString();
    }

    private static CommandResult vhd(String... line) {
        String[] all = new String[line.length + 1];
        all[0] = "vhd";
        System.arraycopy(line, 0, all, 1, line.length);
        return CommandResult.of(all);
    }

    private static String done(String... line) {
        return vhd(line).assertDone().output();
    }

    /** A raw file with content here and there. */
    private String raw(int mib) throws IOException {
        byte[] content = new byte[mib << 20];
        SplittableRandom random = new SplittableRandom(1);
        for (int at = 0; at < content.length; at += 3 << 20) {
            byte[] piece = new byte[300_000];
            random.nextBytes(piece);
            System.arraycopy(piece, 0, content, at, piece.length);
        }
        return Files.write(folder.resolve("source.img"), content).toString();
    }

    /** The files and when they were modified: what must not change. */
    private SortedMap<Path, FileTime> state() throws IOException {
        SortedMap<Path, FileTime> state = new TreeMap<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                state.put(file, Files.getLastModifiedTime(file));
            }
        }
        return state;
    }

    @ParameterizedTest
    @ValueSource(strings = {"disk.vhdx", "disk.vhd", "disk.raw"})
    void aDiskIsMadeShownAndTested(String name) {
        String disk = path(name);
        assertThat(done("new", disk, "--size", "64M")).contains(disk, "64 MiB");
        assertThat(done("info", disk)).contains(disk, "dynamic", "67108864 bytes");
        assertThat(done("info", disk, "-o", "json"))
                .startsWith("{\n")
                .contains("\"size\": 67108864", "\"type\": \"dynamic\"");
        assertThat(done("test", disk)).contains("sound");
        assertThat(done("test", disk, "-o", "json")).startsWith("[\n").contains("\"sound\": true", "\"findings\": []");
        assertThat(done("info", disk, "--minimum")).contains("1 MiB (1048576 bytes)");
        vhd("new", disk, "--size", "64M").assertWrongUsage();
    }

    @Test
    void fixedDisksSectorsAndBlocksAreAsAskedFor() {
        String disk = path("disk.vhdx");
        done("new", disk, "--size", "8M", "--type", "fixed", "--sector-size", "4096", "--block-size", "1M");
        assertThat(done("info", disk, "-o", "json"))
                .contains("\"type\": \"fixed\"", "\"logicalSectorSize\": 4096", "\"blockSize\": 1048576");
    }

    @Test
    void disksConvertIntoEachOtherWithoutAByteOfDifference() throws IOException {
        String source = raw(9);
        done("convert", source, path("a.vhdx"), "--block-size", "1M");
        done("convert", path("a.vhdx"), path("b.vhd"), "--type", "fixed");
        assertThat(done("convert", path("b.vhd"), path("c.raw"), "-o", "json")).contains("\"format\": \"raw\"");
        assertThat(folder.resolve("c.raw")).hasSameBinaryContentAs(Path.of(source));
        vhd("convert", path("b.vhd"), path("c.raw")).assertWrongUsage();
    }

    @Test
    void aChainIsShownMergedAndGone() throws IOException {
        done("convert", raw(9), path("base.vhdx"));
        done("new", path("middle.vhdx"), "--parent", path("base.vhdx"));
        done("new", path("top.vhdx"), "--parent", path("middle.vhdx"));
        assertThat(done("info", "--chain", path("top.vhdx")).lines()).hasSize(4);
        assertThat(done("info", "--chain", path("top.vhdx"), "-o", "json")).contains(path("base.vhdx"));
        assertThat(done("test", path("top.vhdx")).lines()).hasSize(3).allMatch(line -> line.contains("sound"));
        vhd("resize", path("base.vhdx"), "--size", "20M").assertWrongUsage();
        assertThat(done("merge", path("middle.vhdx"), "-o", "json")).contains("\"done\": true");
        assertThat(folder.resolve("middle.vhdx")).doesNotExist();
        assertThat(done("info", path("top.vhdx"))).contains("base.vhdx");
    }

    @Test
    void aDiskGrowsAndShrinksToItsContent() throws IOException {
        String disk = path("disk.vhdx");
        done("convert", raw(9), disk, "--block-size", "1M");
        assertThat(done("resize", disk, "--size", "100M")).contains("100 MiB");
        assertThat(vhd("resize", disk, "--size", "2M").assertWrongUsage().errors())
                .contains("--minimum");
        assertThat(done("resize", disk, "--minimum", "-o", "json")).contains("\"size\": 7340032");
        assertThat(done("info", disk, "-o", "json")).contains("\"size\": 7340032");
    }

    @ParameterizedTest
    @ValueSource(strings = {"disk.vhdx", "disk.vhd"})
    void optimizingMakesTheFileSmaller(String name) throws IOException {
        byte[] content = Files.readAllBytes(Path.of(raw(24)));
        String disk = path(name);
        done("convert", path("source.img"), disk, "--type", "fixed");
        long before = Files.size(Path.of(disk));
        done("convert", disk, path("dynamic-" + name));
        assertThat(Files.size(folder.resolve("dynamic-" + name))).isLessThanOrEqualTo(before + (8 << 20));
        assertThat(done("optimize", path("dynamic-" + name), "-o", "json")).contains("\"fileSizeBefore\": ");
        done("convert", path("dynamic-" + name), path("back.raw"));
        assertThat(folder.resolve("back.raw")).hasBinaryContent(content);
    }

    @Test
    void identityAndParentAreChanged() throws IOException {
        String disk = path("disk.vhdx");
        done("new", disk, "--size", "8M");
        assertThat(done("set", disk, "--physical-sector-size", "512", "--identifier", "new"))
                .contains("physical 512");
        String child = path("child.vhdx");
        done("new", child, "--parent", disk);
        Path away = Files.createDirectory(folder.resolve("away"));
        String moved = Files.move(folder.resolve("disk.vhdx"), away.resolve("disk.vhdx"))
                .toString();
        assertThat(vhd("test", child).status()).isEqualTo(ExitStatus.USAGE);
        assertThat(vhd("convert", child, path("copy.raw")).assertWrongUsage().errors())
                .contains("reconnect");
        assertThat(done("reconnect", child, "--parent", moved)).contains(moved);
        done("test", child);
    }

    @Test
    void whatIfSaysWhatWouldHappenAndDoesNothing() throws IOException {
        done("convert", raw(9), path("base.vhdx"));
        done("new", path("child.vhdx"), "--parent", path("base.vhdx"));
        done("new", path("other.vhd"), "--size", "8M");
        SortedMap<Path, FileTime> before = state();
        for (List<String> line : List.of(
                List.of("new", path("new.vhdx"), "--size", "1T"),
                List.of("convert", path("base.vhdx"), path("new.vhd")),
                List.of("resize", path("other.vhd"), "--size", "16M"),
                List.of("resize", path("other.vhd"), "--minimum"),
                List.of("merge", path("child.vhdx")),
                List.of("optimize", path("base.vhdx")),
                List.of("set", path("other.vhd"), "--identifier", "new"),
                List.of("reconnect", path("child.vhdx"), "--parent", path("base.vhdx")))) {
            for (String form : List.of("text", "json")) {
                List<String> all = Stream.concat(line.stream(), Stream.of("--what-if", "-o", form))
                        .toList();
                String said = done(all.toArray(new String[0]));
                assertThat(said).as("%s", all).contains(form.equals("json") ? "\": " : "would");
            }
        }
        assertThat(state()).isEqualTo(before);
    }

    @Test
    void damageIsFoundRepairedOrToldWithStatus2() throws IOException {
        Path disk = folder.resolve("disk.vhdx");
        done("new", disk.toString(), "--size", "8M");
        byte[] content = Files.readAllBytes(disk);
        content[256 << 10] ^= 1;
        Files.write(disk, content);
        CommandResult found = vhd("test", disk.toString());
        assertThat(found.status()).isEqualTo(ExitStatus.USAGE);
        assertThat(found.output()).contains("DAMAGED", "regions.copy", "--repair would");
        assertThat(done("test", "--repair", disk.toString())).contains("repaired");
        done("test", disk.toString());
    }

    @Test
    void whatIsWrongOnlyWithAParentIsNotCalledDamage() throws IOException {
        for (String extension : List.of(".vhd", ".vhdx")) {
            Path base = folder.resolve("base" + extension);
            String child = path("child" + extension);
            done("new", base.toString(), "--size", "8M");
            done("new", child, "--parent", base.toString());
            Path away = folder.resolve("away" + extension);
            Files.move(base, away);
            CommandResult missing = vhd("test", child);
            assertThat(missing.status()).isEqualTo(ExitStatus.USAGE);
            assertThat(missing.output())
                    .contains("sound itself", "PARENT", "error parent.", "is missing", "torte vhd reconnect")
                    .doesNotContain("DAMAGED");
            assertThat(vhd("test", child, "-o", "json").output()).contains("\"verdict\": \"parent\"");
            done("new", base.toString(), "--size", "8M");
            assertThat(vhd("test", child).output())
                    .contains("sound itself", "PARENT", "torte vhd reconnect")
                    .doesNotContain("DAMAGED");
            done("reconnect", child, "--parent", away.toString());
            assertThat(done("test", child)).doesNotContain("PARENT");
        }
    }

    @Test
    void foldersLimitWhatIsOpened() throws IOException {
        Path inside = Files.createDirectory(folder.resolve("inside"));
        done("new", path("base.vhdx"), "--size", "8M");
        String child = inside.resolve("child.vhdx").toString();
        done("new", child, "--parent", path("base.vhdx"));
        assertThat(vhd("convert", child, path("inside/copy.raw"), "--within", inside.toString())
                        .assertWrongUsage()
                        .errors())
                .contains("outside the folders allowed");
        done("convert", child, path("inside/copy.raw"), "--within", folder.toString());
        assertThat(vhd("resize", path("base.vhdx"), "--size", "9M", "--within", folder.toString())
                        .assertWrongUsage()
                        .errors())
                .contains("child.vhdx");
    }

    static Stream<List<String>> wrong() {
        return Stream.of(
                List.of("needs a command"),
                List.of("banana", "banana"),
                List.of("FILE", "new"),
                List.of("--size", "new", "x.vhdx"),
                List.of("--size", "new", "x.vhdx", "--size", "banana"),
                List.of("--size", "new", "x.vhdx", "--size", "-1"),
                List.of("larger than 64 TiB", "new", "x.vhdx", "--size", "65T"),
                List.of("2040 GiB", "new", "x.vhd", "--size", "3T"),
                List.of("size with a unit", "new", "x.vhdx", "--size", "1000"),
                List.of("block size", "new", "x.vhdx", "--size", "1G", "--block-size", "3M"),
                List.of("512 or 4096", "new", "x.vhdx", "--size", "1G", "--sector-size", "1024"),
                List.of("--type", "new", "x.vhdx", "--size", "1G", "--type", "banana"),
                List.of("--format", "new", "x.banana", "--size", "1G"),
                List.of("--format", "new", "x.vhdx", "--size", "1G", "--format", "qcow2"),
                List.of("--output", "new", "x.vhdx", "--size", "1G", "-o", "yaml"),
                List.of("no such file", "new", "x.vhdx", "--parent", "missing.vhdx"),
                List.of("no such file", "new", "missing/x.vhdx", "--size", "1G"),
                List.of("no such file", "info", "missing.vhdx"),
                List.of("no such file", "test", "missing.vhdx"),
                List.of("no such file", "convert", "missing.vhdx", "x.raw"),
                List.of("NEW", "convert", "rubbish.vhdx"),
                List.of("not a VHDX", "info", "rubbish.vhdx"),
                List.of("footer", "info", "rubbish.vhd"),
                List.of("neither a file nor", "info", "folder.vhdx"),
                List.of("either --size or --minimum", "resize", "x.vhdx"),
                List.of("either --size or --minimum", "resize", "x.vhdx", "--size", "1G", "--minimum"),
                List.of("no such file", "resize", "x.vhdx", "--size", "1G"),
                List.of("no parent", "merge", "alone.vhdx"),
                List.of("no such file", "optimize", "x.vhdx"),
                List.of("what to change", "set", "alone.vhdx"),
                List.of("UUID", "set", "alone.vhdx", "--identifier", "banana"),
                List.of("512 or 4096", "set", "alone.vhdx", "--physical-sector-size", "1"),
                List.of("--parent", "reconnect", "alone.vhdx"),
                List.of("no parent", "reconnect", "alone.vhdx", "--parent", "alone2.vhdx"),
                List.of("--map", "info", "alone.vhdx", "--map", "banana"),
                List.of("drive", "info", "alone.vhdx", "--map", "banana=/mnt"));
    }

    @ParameterizedTest
    @MethodSource("wrong")
    void wrongInputIsToldInOneLineWithStatus2(List<String> mentionedAndLine) throws IOException {
        Files.writeString(folder.resolve("rubbish.vhdx"), "rubbish ".repeat(200_000));
        Files.writeString(folder.resolve("rubbish.vhd"), "rubbish ".repeat(200_000));
        Files.createDirectory(folder.resolve("folder.vhdx"));
        done("new", path("alone.vhdx"), "--size", "8M");
        done("new", path("alone2.vhdx"), "--size", "8M");
        SortedMap<Path, FileTime> before = state();
        String[] line = mentionedAndLine.stream()
                .skip(1)
                .map(word -> word.matches("[a-z0-9/]+\\.[a-z0-9]+") ? path(word) : word)
                .toArray(String[]::new);
        assertThat(vhd(line).assertWrongUsage().errors()).contains(mentionedAndLine.getFirst());
        assertThat(state()).isEqualTo(before);
    }
}
