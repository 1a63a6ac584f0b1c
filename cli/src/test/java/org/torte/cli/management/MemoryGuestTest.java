package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.abort;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.management.process.VmFolder;
import org.torte.management.process.WorkerRecord;
import org.torte.worker.InputException;
import org.torte.worker.control.ControlClient;
import org.torte.worker.guest.GuestImages;

/** A stock Linux under the service, whose memory follows what it needs. */
class MemoryGuestTest {
    private static final long MIB = 1 << 20;
    private static final long STARTUP = 192 * MIB;
    /** Looks, half a second apart. */
    private static final int PATIENCE = 1200;

    /** Tells its pressure at once instead of after 45 seconds, and then does what is typed. */
    private static final String WORK = """
            dmesg -n 1
            insmod /torte/hv_balloon.ko pressure_report_delay=0
            mkdir /m && mount -t tmpfs -o size=350m tmpfs /m
            while read -r line; do eval "$line"; done
            """;

    @TempDir
    Path folder;

    private Path kernel = Path.of("");
    private Path initrd = Path.of("");

    private void makeGuest() throws IOException {
        try {
            GuestImages images = new GuestImages(step -> {});
            GuestImages.GuestKernel its = images.guestKernel(GuestImages.CLOUD_KERNEL);
            kernel = its.kernel();
            images.initrd(
                    WORK, Map.of("torte/hv_balloon.ko", its.module("hv_balloon")), its, List.of("hv_utils"), initrd);
        } catch (InputException e) {
            abort("no guest can be made from this system's packages: " + e.getMessage());
        }
    }

    private static JsonNode awaitMemory(ServiceProcess service, String what, Predicate<JsonNode> wanted)
            throws IOException, InterruptedException {
        JsonNode vm = service.get("/api/v1/vms/web1");
        for (int i = 0; i < PATIENCE && !wanted.test(vm.path("memoryUse")); i++) {
            assertThat(vm.path("state").asText()).as(vm.toString()).isEqualTo("Running");
            Thread.sleep(500);
            vm = service.get("/api/v1/vms/web1");
        }
        System.out.println(what + ": " + vm.path("memoryUse"));
        assertThat(wanted.test(vm.path("memoryUse"))).as(what + ": " + vm).isTrue();
        return vm.path("memoryUse");
    }

    private static void type(JsonNode vm, String line) {
        Path control = WorkerRecord.control(
                        new VmFolder(Path.of(vm.path("folder").asText())))
                .orElseThrow();
        try (ControlClient client = ControlClient.connect(control)) {
            Map<String, Object> _ = client.ask("console.write", Map.of("bytes", line + "\n"), _ -> {});
        }
    }

    @Test
    void memoryIsTakenFromAGuestThatDoesNotNeedItAndComesBackWhenItDoes() throws Exception {
        initrd = folder.resolve("initrd");
        makeGuest();
        try (ServiceProcess service = new ServiceProcess(folder.resolve("d"))) {
            service.start();
            ServiceProcess.Answer made = service.call(
                    "POST",
                    "/api/v1/vms",
                    Map.of(
                            "name",
                            "web1",
                            "memory",
                            448 * MIB,
                            "dynamicMemory",
                            Map.of("minimum", 64 * MIB, "startup", STARTUP),
                            "boot",
                            Map.of(
                                    "kernel", kernel.toString(),
                                    "initrds", List.of(initrd.toString()),
                                    "commandLine", "console=ttyS0")));
            assertThat(made.status()).as(made.toString()).isEqualTo(201);
            service.startMachine("/api/v1/vms/web1");
            awaitMemory(
                    service,
                    "started",
                    use -> use.path("demand").isNumber() && use.path("assigned").asLong() <= STARTUP + 64 * MIB);
            // A new service goes on with what it finds.
            service.kill();
            service.start();
            JsonNode before = awaitMemory(
                    service, "another service", use -> use.path("demand").isNumber());
            type(
                    service.get("/api/v1/vms/web1"),
                    "for i in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/m/f$i bs=1M count=20 2>/dev/null; sleep 2; done");
            JsonNode full = awaitMemory(
                    service,
                    "160 MiB more in use",
                    use -> use.path("assigned").asLong()
                            >= before.path("demand").asLong() + 160 * MIB);
            assertThat(full.path("assigned").asLong())
                    .isGreaterThan(before.path("assigned").asLong());
            service.done("POST", "/api/v1/vms/web1/turn-off", null);
            assertThat(service.get("/api/v1/vms/web1").path("memoryUse").isNull())
                    .isTrue();
        }
    }
}
