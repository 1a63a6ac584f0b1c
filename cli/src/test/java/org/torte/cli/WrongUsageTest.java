package org.torte.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever is wrong with a command line or its files: status 2, one line with the cause and the remedy. */
class WrongUsageTest {
    @TempDir
    static Path folder;

    static Stream<Arguments> wrong() throws IOException {
        String text = Files.writeString(folder.resolve("banana"), "a banana\n".repeat(100))
                .toString();
        String empty = Files.createFile(folder.resolve("empty")).toString();
        byte[] start = new byte[0x300];
        start[0x1fe] = 0x55;
        start[0x1ff] = (byte) 0xaa;
        System.arraycopy("HdrS".getBytes(StandardCharsets.US_ASCII), 0, start, 0x202, 4);
        start[0x206] = 0x0f;
        start[0x207] = 2;
        start[0x211] = 1;
        String truncated = Files.write(folder.resolve("truncated"), start).toString();
        Files.createFile(folder.resolve("banana.raw"));
        return Stream.of(
                arguments("--kernel", "run"),
                arguments(
                        "no kernel",
                        "run",
                        "--kernel",
                        folder.resolve("missing").toString()),
                arguments("directory", "run", "--kernel", folder.toString()),
                arguments("--kernel", "run", "--kernel"),
                arguments("neither a Linux bzImage", "run", "--kernel", text),
                arguments("empty", "run", "--kernel", empty),
                arguments("cut short", "run", "--kernel", truncated),
                arguments("--processors", "run", "--kernel", text, "--processors", "0"),
                arguments("--processors", "run", "--kernel", text, "--processors", "1000"),
                arguments("--processors", "run", "--kernel", text, "--processors", "banana"),
                arguments("--cpu-model", "run", "--kernel", text, "--cpu-model", "i486"),
                arguments("--cpu-model", "run", "--restore", text, "--cpu-model", "x86-64-v1"),
                arguments("--memory", "run", "--kernel", text, "--memory", "1M"),
                arguments("--memory", "run", "--kernel", text, "--memory", "900T"),
                arguments("--memory", "run", "--kernel", text, "--memory", "99999999999999999999G"),
                arguments("--memory", "run", "--kernel", text, "--memory", "-1M"),
                arguments("--memory", "run", "--kernel", text, "--memory", "banana"),
                arguments("--memory", "run", "--kernel", text, "--memory", ""),
                arguments("--timeout", "run", "--kernel", text, "--timeout", "banana"),
                arguments("--timeout", "run", "--kernel", text, "--timeout", "0"),
                arguments("--exit-port", "run", "--kernel", text, "--exit-port", "0x10000"),
                arguments("--exit-port", "run", "--kernel", text, "--exit-port", "banana"),
                arguments("--disk", "run", "--kernel", text, "--disk", ""),
                arguments("format=", "run", "--kernel", text, "--disk", text),
                arguments("banana", "run", "--kernel", text, "--disk", text + ",format=banana"),
                arguments("nowhere.vhdx", "run", "--kernel", text, "--disk", "nowhere.vhdx,ro"),
                arguments("VHDX", "run", "--kernel", text, "--disk", text + ",format=vhdx"),
                arguments("--disk", "run", "--restore", text, "--disk", "a.img"),
                arguments("--network", "run", "--restore", text, "--network", "loopback"),
                arguments("banana", "run", "--kernel", text, "--network", "banana"),
                arguments("cable:", "run", "--kernel", text, "--network", "cable:"),
                arguments("mac=", "run", "--kernel", text, "--network", "loopback,mac=1:2:3"),
                arguments("single station", "run", "--kernel", text, "--network", "loopback,mac=01:00:00:00:00:00"),
                arguments("mtu=", "run", "--kernel", text, "--network", "loopback,mtu=many"),
                arguments("575", "run", "--kernel", text, "--network", "loopback,mtu=575"),
                arguments("nowhere/cable", "run", "--kernel", text, "--network", "cable:nowhere/cable"),
                arguments("there is a file", "run", "--kernel", text, "--network", "cable:" + text),
                arguments("63 at most", "run", "--kernel", text, "--network", "nat,name=Web_1"),
                arguments("2222:22", "run", "--kernel", text, "--network", "nat,forward=ssh"),
                arguments("1 to 65535", "run", "--kernel", text, "--network", "nat,forward=70000:22"),
                arguments("80:/run", "run", "--kernel", text, "--network", "nat,service=page"),
                arguments("107 bytes", "run", "--kernel", text, "--network", "nat,service=80:/" + "x".repeat(108)),
                arguments("are for --network nat", "run", "--kernel", text, "--network", "loopback,name=web1"),
                arguments("leave mtu= out", "run", "--kernel", text, "--network", "nat,mtu=9000"),
                arguments("banana", "run", "--kernel", text, "--hypervisor", "banana"),
                arguments("saved", "run", "--restore", text),
                arguments(
                        "no saved machine",
                        "run",
                        "--restore",
                        folder.resolve("missing").toString()),
                arguments("--restore", "run", "--restore", text, "--kernel", text),
                arguments("--restore", "run", "--restore", text, "--save", text),
                arguments("is there already", "image", "build", "tiny", "--out", text + ".raw"),
                arguments("no folder", "image", "build", "tiny", "--out", "/nowhere/tiny.vhdx"),
                arguments("format", "image", "build", "tiny", "--out", "tiny.txt"),
                arguments("128 MiB or more", "image", "build", "tiny", "--size", "1M", "--what-if"),
                arguments("2 GiB or more", "image", "build", "debian", "--size", "1G", "--what-if"),
                arguments("--mirror", "image", "build", "tiny", "--suite", "x", "--what-if"),
                arguments("--password-file", "image", "build", "debian", "--password-file", "/nowhere"),
                arguments("--banana", "run", "--banana"),
                arguments("banana", "run", "banana"),
                arguments("banana", "banana"),
                arguments("--banana", "--banana"));
    }

    private static Arguments arguments(String mentioned, String... line) {
        return Arguments.of(mentioned, List.of(line));
    }

    @ParameterizedTest
    @MethodSource("wrong")
    void isToldInOneLineWithStatus2(String mentioned, List<String> line) {
        CommandResult result = CommandResult.of(line.toArray(new String[0]));

        result.assertWrongUsage();
        assertThat(result.errors()).contains(mentioned);
    }

    @Test
    void noCommandShowsTheCommands() {
        CommandResult result = CommandResult.of();

        assertThat(result.status()).isEqualTo(ExitStatus.USAGE);
        assertThat(result.errors()).contains("torte COMMAND");
    }
}
