package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.hypervisor.Hypervisor;

/** The measured speed and the file that remembers it; the software processor stands for KVM. */
class KvmSpeedTest {
    private final Hypervisor measured = Backends.choose("software").hypervisor();

    @TempDir
    Path folder;

    @Test
    void isMeasuredOnceForEachStartOfTheHost() throws IOException {
        Path file = folder.resolve("new/kvm-speed");

        long first = KvmSpeed.ofHost(measured, file, "host 1");
        assertThat(first).isPositive();
        assertThat(Files.readAllLines(file)).containsExactly("host 1", Long.toString(first));

        Files.write(file, List.of("host 1", "12345"));
        assertThat(KvmSpeed.ofHost(measured, file, "host 1")).isEqualTo(12345);
        assertThat(KvmSpeed.ofHost(measured, file, "host 2")).isNotEqualTo(12345);
        assertThat(Files.readAllLines(file).getFirst()).isEqualTo("host 2");
    }

    @Test
    void aFileThatSaysNothingUsefulIsReplaced() throws IOException {
        Path file = folder.resolve("kvm-speed");
        for (String text : new String[] {"", "host 1", "host 1\nfast\n", "x".repeat(10_000)}) {
            Files.writeString(file, text);
            assertThat(KvmSpeed.ofHost(measured, file, "host 1")).isPositive();
            assertThat(Files.readAllLines(file)).hasSize(2);
        }
    }

    @Test
    void aFolderThatCannotBeMadeOnlyCostsTheMeasurement() throws IOException {
        Path inTheWay = Files.writeString(folder.resolve("file"), "");
        assertThat(KvmSpeed.ofHost(measured, inTheWay.resolve("kvm-speed"), "host 1"))
                .isPositive();
    }

    @Test
    void livesInTheCacheFolderOfTheUser() {
        assertThat(KvmSpeed.folder(Map.of("XDG_CACHE_HOME", "/cache"))).isEqualTo(Path.of("/cache/torte"));
        assertThat(KvmSpeed.folder(Map.of("XDG_CACHE_HOME", "relative")))
                .isEqualTo(Path.of(System.getProperty("user.home"), ".cache", "torte"));
    }
}
