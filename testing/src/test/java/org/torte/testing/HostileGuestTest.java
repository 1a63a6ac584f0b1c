package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.worker.ExitReport;
import org.torte.worker.VirtualMachine;

/**
 * A guest that makes noise on every port, register and device, and runs random code on two processors
 * (src/test/kernels/noise.s), may end in any way, but harms only itself: no error of ours, no thread and no descriptor
 * left behind.
 */
class HostileGuestTest {
    /** Each guest alone gets this long; most end before. */
    private static final Duration LIMIT = Duration.ofSeconds(1);

    private static final int EXIT_PORT = 0x501;
    private static final int SEED_OFFSET = 32, ROUNDS_OFFSET = 40, MASK_OFFSET = 44;
    private static final int ROUNDS = 20_000;

    /** Actions by number, as noise.s lists them. */
    private static final Map<String, Integer> KINDS = new TreeMap<>(Map.of(
            "ports", 0x000f,
            "model-specific registers", 0x0070,
            "registers", 0x0880,
            "devices", 0x8300,
            "random code", 0x3800,
            "interrupts", 0xc00f,
            "everything but random code", 0xcfff,
            "everything", 0xffff));

    @TempDir
    Path folder;

    private final Map<Thread, Throwable> uncaught = new ConcurrentHashMap<>();

    @BeforeEach
    void listen() {
        Thread.setDefaultUncaughtExceptionHandler(uncaught::put);
    }

    @AfterEach
    void stopListening() {
        Thread.setDefaultUncaughtExceptionHandler(null);
    }

    @Test
    void noiseHarmsOnlyTheGuest() throws IOException {
        makeNoise(20261123, 3);
    }

    @Test
    @Tag("long")
    void muchNoiseHarmsOnlyTheGuest() throws IOException {
        makeNoise(Long.getLong("torte.seed", 1), 100);
    }

    @Test
    void aMachineLeavesNoThreadAndNoDescriptorBehind() throws IOException {
        noise(1, 0xffff, 100).close();
        Set<Thread> threads = threads();
        Set<String> descriptors = descriptors();
        for (int i = 0; i < 20; i++) {
            try (VirtualMachine machine = noise(i, 0xcfff, 1000)) {
                if (i % 4 != 0) {
                    machine.start();
                }
                if (i % 4 == 1) {
                    machine.awaitExit(LIMIT);
                } else if (i % 4 == 2) {
                    machine.pause();
                    machine.save(folder.resolve("saved"));
                    try (VirtualMachine restored = VirtualMachine.builder()
                            .savedState(folder.resolve("saved"))
                            .build()) {
                        restored.start();
                    }
                }
            }
        }
        assertThat(threads()).isEqualTo(threads);
        assertThat(descriptors()).isEqualTo(descriptors);
        assertThat(uncaught).isEmpty();
    }

    private void makeNoise(long firstSeed, int each) throws IOException {
        Map<String, Map<String, Integer>> ends = new TreeMap<>();
        for (int i = 0; i < each; i++) {
            for (Map.Entry<String, Integer> kind : KINDS.entrySet()) {
                long seed = firstSeed + i;
                try (VirtualMachine machine = noise(seed, kind.getValue(), ROUNDS)) {
                    machine.start();
                    ExitReport end = machine.awaitExit(LIMIT);
                    if (end instanceof ExitReport.Failed(Throwable cause)) {
                        throw new AssertionError("noise on " + kind.getKey() + " with seed " + seed, cause);
                    }
                    ends.computeIfAbsent(kind.getKey(), _ -> new HashMap<>())
                            .merge(end.getClass().getSimpleName(), 1, Integer::sum);
                    if (end instanceof ExitReport.TimedOut) {
                        machine.pause();
                        machine.save(folder.resolve("saved"));
                        try (VirtualMachine restored = VirtualMachine.builder()
                                .savedState(folder.resolve("saved"))
                                .build()) {
                            restored.save(folder.resolve("again"));
                            assertThat(Files.mismatch(folder.resolve("saved"), folder.resolve("again")))
                                    .as("noise on %s with seed %d, saved, restored and saved", kind.getKey(), seed)
                                    .isEqualTo(-1);
                        }
                    }
                }
                assertThat(uncaught)
                        .as("noise on %s with seed %d", kind.getKey(), seed)
                        .isEmpty();
            }
        }
        System.out.println("seeds from " + firstSeed + ": " + ends);
    }

    private VirtualMachine noise(long seed, int mask, int rounds) throws IOException {
        Path kernel = folder.resolve("noise");
        try (InputStream image = HostileGuestTest.class.getResourceAsStream("noise.bin")) {
            assertThat(image).isNotNull();
            byte[] bytes = image.readAllBytes();
            ByteBuffer.wrap(bytes)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(SEED_OFFSET, seed)
                    .putInt(ROUNDS_OFFSET, rounds)
                    .putInt(MASK_OFFSET, mask);
            Files.write(kernel, bytes);
        }
        return VirtualMachine.builder()
                .kernel(kernel)
                .memory(8 << 20)
                .processors(2)
                .exitPort(EXIT_PORT)
                .build();
    }

    private static Set<Thread> threads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> !"InnocuousThreadGroup".equals(groupName(thread)))
                .collect(Collectors.toSet());
    }

    private static String groupName(Thread thread) {
        ThreadGroup group = thread.getThreadGroup();
        return group == null ? "" : group.getName();
    }

    private static Set<String> descriptors() throws IOException {
        Set<String> open = new TreeSet<>();
        try (DirectoryStream<Path> numbers = Files.newDirectoryStream(Path.of("/proc/self/fd"))) {
            for (Path number : numbers) {
                if (Files.isSymbolicLink(number)) {
                    String target = Files.readSymbolicLink(number).toString();
                    if (!target.startsWith("/proc/")) {
                        open.add(number.getFileName() + " " + target);
                    }
                }
            }
        }
        return open;
    }
}
