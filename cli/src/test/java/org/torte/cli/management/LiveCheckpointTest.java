package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;

/** A checkpoint of a guest that writes without end comes to nothing in the middle of the copying, in real processes. */
@Timeout(300)
class LiveCheckpointTest {
    private static final int MIB = 1 << 20;
    private static final int FIRST = 8 * MIB, PAGES = 32 * MIB / 4096;
    private static final String PATH = "/api/v1/vms/a";
    /** A host may be so fast that a checkpoint is made before anybody can interfere. */
    private static final int TRIES = 20;

    @TempDir
    Path folder;

    /** Writes to all pages, says !, and writes to them over and over. */
    private Path kernel() throws IOException {
        byte[] fill = HexFormat.of().parseHex("893f81c7001000004975f5");
        byte[] say = HexFormat.of().parseHex("66baf803b021ee");
        byte[] again = HexFormat.of().parseHex("ff0781c7001000004975f5ebe9");
        ByteBuffer image = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);
        image.putInt(0x1badb002).putInt(0x10000).putInt(-(0x1badb002 + 0x10000));
        image.putInt(0x100000).putInt(0x100000).putInt(0).putInt(0).putInt(0x100020);
        image.put((byte) 0xbf).putInt(FIRST).put((byte) 0xb9).putInt(PAGES).put(fill);
        image.put(say);
        image.put((byte) 0xbf).putInt(FIRST).put((byte) 0xb9).putInt(PAGES).put(again);
        return Files.write(folder.resolve("kernel"), image.array());
    }

    /** A machine that writes all the time, with a disk. */
    private void begin(ServiceProcess service) throws Exception {
        Path disk = folder.resolve("image.vhdx");
        VirtualDisks.create(
                disk, DiskFormat.VHDX, CreateOptions.dynamic(8L * MIB).withBlockSize(MIB), DiskOptions.readWrite());
        ServiceProcess.Answer made = service.call(
                "POST",
                "/api/v1/vms",
                Map.of(
                        "name",
                        "a",
                        "memory",
                        48 * MIB,
                        "boot",
                        Map.of("kernel", kernel().toString()),
                        "image",
                        Map.of("path", disk.toString(), "format", "vhdx")));
        assertThat(made.status()).as(made.toString()).isEqualTo(201);
        start(service);
    }

    private static void start(ServiceProcess service) throws Exception {
        Path said = files(service).resolve("run/console.log");
        Files.deleteIfExists(said);
        service.startMachine(PATH);
        while (!Files.exists(said) || Files.size(said) == 0) {
            Thread.sleep(10);
        }
    }

    private static Path files(ServiceProcess service) throws Exception {
        return Path.of(service.get(PATH).path("folder").asText());
    }

    private static List<String> names(ServiceProcess service) throws Exception {
        try (Stream<Path> files = Files.list(files(service))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    private static String state(ServiceProcess service) throws Exception {
        return service.get(PATH).path("state").asText();
    }

    private interface Interference {
        void happen(long task) throws Exception;
    }

    /** Begins checkpoints until one is interfered with while memory is copied; gives what became of it. */
    private static JsonNode interrupted(ServiceProcess service, Interference interference) throws Exception {
        for (int i = 0; i < TRIES; i++) {
            JsonNode task = service.call("POST", PATH + "/checkpoints", Map.of("name", "c" + i))
                    .body();
            long id = task.path("id").asLong();
            while (task.path("state").asText().equals("running")
                    && task.path("progress").asInt() == 0) {
                task = service.get("/api/v1/tasks/" + id);
            }
            interference.happen(id);
            task = service.await(task);
            if (!task.path("state").asText().equals("succeeded")) {
                return task;
            }
            if (!state(service).equals("Running")) {
                start(service);
            }
            service.done("DELETE", PATH + "/checkpoints/c" + i, null);
        }
        throw new AssertionError("every checkpoint was made before anybody could interfere");
    }

    private static void nothingIsLeft(ServiceProcess service, List<String> before, JsonNode disks) throws Exception {
        assertThat(service.get(PATH + "/checkpoints").path("items")).isEmpty();
        assertThat(service.get(PATH).path("disks")).isEqualTo(disks);
        assertThat(names(service)).isEqualTo(before);
    }

    @Test
    void whatIsCancelledOrLosesItsWorkerLeavesNothing() throws Exception {
        try (ServiceProcess service = new ServiceProcess(folder.resolve("d"), "-XX:TieredStopAtLevel=1")) {
            service.start();
            begin(service);
            List<String> before = names(service);
            JsonNode disks = service.get(PATH).path("disks");

            JsonNode cancelled = interrupted(
                    service,
                    id -> assertThat(service.call("POST", "/api/v1/tasks/" + id + "/cancel", null)
                                    .status())
                            .isLessThan(500));
            assertThat(cancelled.path("state").asText())
                    .as(cancelled.toString())
                    .isEqualTo("cancelled");
            assertThat(state(service)).isEqualTo("Running");
            nothingIsLeft(service, before, disks);

            long worker = service.get(PATH).path("processId").asLong();
            JsonNode failed = interrupted(
                    service, _ -> ProcessHandle.of(worker).orElseThrow().destroyForcibly());
            assertThat(failed.path("state").asText()).as(failed.toString()).isEqualTo("failed");
            assertThat(failed.path("problem").path("cause").asText()).contains("worker");
            while (!state(service).equals("Off")) {
                Thread.sleep(10);
            }
            nothingIsLeft(service, before, disks);
            service.startMachine(PATH);
            service.done("POST", PATH + "/checkpoints", Map.of("name", "whole"));
            service.done("POST", PATH + "/turn-off", null);
            service.done("POST", PATH + "/checkpoints/whole/apply", Map.of());
            assertThat(state(service)).isEqualTo("Saved");
            service.startMachine(PATH);
            service.done("POST", PATH + "/turn-off", null);
        }
    }

    private static int run(String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    @Test
    void aDiskOfTheHostThatIsFullWhileMemoryIsCopiedIsSaidAndHarmsNothing() throws Exception {
        Path place = Files.createDirectory(folder.resolve("small"));
        assumeTrue(
                run("mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "torte-test", place.toString()) == 0,
                "this user may not mount a file system");
        try {
            try (ServiceProcess service = new ServiceProcess(place.resolve("d"), "-XX:TieredStopAtLevel=1")) {
                service.start();
                begin(service);
                List<String> before = names(service);
                JsonNode disks = service.get(PATH).path("disks");
                JsonNode task = service.await(service.call("POST", PATH + "/checkpoints", Map.of("name", "c"))
                        .body());
                assertThat(task.path("state").asText()).as(task.toString()).isEqualTo("failed");
                assertThat(task.path("problem").path("cause").asText()).contains("No space left");
                assertThat(state(service)).isEqualTo("Running");
                nothingIsLeft(service, before, disks);
                // What the database has is what was said.
                service.kill();
                service.start();
                assertThat(service.get("/api/v1/tasks/" + task.path("id").asLong()))
                        .isEqualTo(task);
                nothingIsLeft(service, before, disks);
                assertThat(run("mount", "-o", "remount,size=512m", place.toString()))
                        .isZero();
                service.done("POST", PATH + "/checkpoints", Map.of("name", "c"));
                service.done("POST", PATH + "/turn-off", null);
            }
        } finally {
            assertThat(run("umount", place.toString())).isZero();
        }
    }
}
