package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.worker.InputException;
import org.torte.worker.TextNotFoundException;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/**
 * Programs of the host with their shared libraries, in a guest with two processors: they print what they print on the
 * host, whose processor has instructions that the guest's has not. A sample of whole userlands.
 */
class HostProgramsTest {
    private static final Duration PATIENCE = Duration.ofMinutes(8);

    /** What each program is to do; prints lines that begin with "P:". No sines and the like: libm has several of each. */
    private static final Map<String, String> WORK = work();

    private static Map<String, String> work() {
        Map<String, String> work = new LinkedHashMap<>();
        work.put("/usr/bin/perl", """
            /usr/bin/perl -e 'my ($s, %h) = (1); for (1..8000) { $s = ($s * 1103515245 + 12345) % 2147483648;
              $h{$s % 977} .= chr(97 + $s % 26) } my $t = join "", map { $h{$_} } sort { $a <=> $b } keys %h;
              my $n = () = $t =~ /(?:ab|cd)[e-k]/g; my $x = 0; $x += sqrt($_) / ($_ % 13 + 1) * ($_ % 2 ? 1 : -1) for 1..5000;
              printf "P:perl %d %d %.17g %s\\n", length $t, $n, $x, unpack("H*", pack("d>fNv", 1 / 3, 2 / 3, $s, 513));
              printf "P:perl %s %s %s %s\\n", 9007199254740993 * 3, 2 ** 63, int(-7.5), 1e300 * 1e300'
            """);
        work.put("/usr/bin/openssl", """
            for d in sha256 sha512 sha1 md5 blake2b512 sha3-256; do
              echo "P:openssl $(/usr/bin/openssl dgst -$d <data)"
            done
            K="-K 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff -iv 0102030405060708090a0b0c0d0e0f10"
            for c in aes-256-cbc aes-256-ctr chacha20; do
              echo "P:openssl $c $(/usr/bin/openssl enc -$c $K <data | /usr/bin/openssl dgst -sha256)"
            done
            """);
        work.put("/usr/bin/xz", "echo \"P:xz $(/usr/bin/xz -6 -c <data | sha256sum)\"\n");
        work.put(
                "/usr/bin/bc",
                "echo \"P:bc $(echo 'scale=60; sqrt(2); 3^400 % 10^40; e(1)' | /usr/bin/bc -l | sha256sum)\"\n");
        work.put("/usr/bin/sqlite3", """
            echo "P:sqlite $(/usr/bin/sqlite3 :memory: 'create table t(i integer primary key, v real, s text);
              with recursive c(i) as (select 1 union all select i+1 from c where i<2000)
              insert into t select i, i/7.0, printf("%x", i*7919%65536) from c; create index x on t(s);
              select count(*), sum(i), round(total(v), 6), max(s), min(s) from t; pragma integrity_check' | sha256sum)"
            """);
        return work;
    }

    @TempDir
    private Path folder;

    @Test
    void programsOfTheHostDoTheSameInAGuest() throws IOException, InterruptedException {
        HostPrograms programs = new HostPrograms();
        StringBuilder script = new StringBuilder();
        for (Map.Entry<String, String> entry : WORK.entrySet()) {
            if (programs.add(entry.getKey())) {
                script.append(entry.getValue());
            }
        }
        Map<String, byte[]> files = new HashMap<>(programs.files());
        assumeTrue(!files.isEmpty(), "none of these programs is on this system: " + WORK.keySet());
        byte[] data = new byte[60_000];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * i / 7 + i % 13);
        }
        files.put("torte/data", data);
        Files.write(folder.resolve("data"), data);
        // A program of ours for 32-bit Linux, which not every host can run: last, so that it may be missing there.
        byte[] program = resource("i386.elf");
        files.put("torte/i386", program);
        Files.write(folder.resolve("i386"), program).toFile().setExecutable(true);
        script.append("./i386\n");
        List<String> expected = lines(output("/bin/sh", "-c", script.toString()));
        assertThat(expected).hasSizeGreaterThan(1);

        Path initrd = folder.resolve("initrd");
        Path kernel;
        GuestImages images = new GuestImages(step -> {});
        try {
            kernel = images.kernel(GuestImages.CLOUD_KERNEL);
            String ready = "dmesg -n 1\n" + HostPrograms.MAKE_EXECUTABLE + "cd /torte; chmod +x i386\n";
            images.initrd(ready + script + "echo P:end\n", files, initrd);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
            return;
        }
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(kernel)
                .initrd(initrd)
                .append(KernelWarnings.COMMAND_LINE)
                .processors(2)
                .build()) {
            machine.start();
            String console;
            try {
                console = machine.console().waitForText(Pattern.compile("P:end"), PATIENCE);
            } catch (TextNotFoundException e) {
                console = machine.console().readAvailable();
            }
            assertThat(lines(console)).as("the lines of%n%s", console).containsSequence(expected);
        }
    }

    private static byte[] resource(String name) throws IOException {
        try (InputStream in = HostProgramsTest.class.getResourceAsStream(name)) {
            return Objects.requireNonNull(in, name).readAllBytes();
        }
    }

    private String output(String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.directory(folder.toFile()).redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.environment().put("LC_ALL", "C");
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }

    private static List<String> lines(String text) {
        return text.lines()
                .filter(line -> line.startsWith("P:") && !line.startsWith("P:end"))
                .map(String::strip)
                .toList();
    }
}
