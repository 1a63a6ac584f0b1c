package org.torte.cli.management;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Ten virtual machines and their checkpoints are used by several people at once, while the service and workers are killed at
 * any moment. Afterwards nothing is lost and nothing is left: what is on each disk is what was last written or kept there.
 */
class ChaosTest {
    private static final int MACHINES = 10;
    private static final int CLIENTS = 4;
    private static final int MOST_CHECKPOINTS = 4;
    private static final int MIB = 1 << 20;
    /** The more often it stands here, the more often it is asked for. */
    private static final List<String> ACTIONS = List.of(
            "start",
            "start",
            "start",
            "start",
            "turn-off",
            "turn-off",
            "pause",
            "resume",
            "save",
            "save",
            "discard",
            "merge");
    /** What a machine's disk has before anything is written. */
    private static final int NOTHING = 0;

    @TempDir
    Path folder;

    /** What went wrong, in the words of who saw it. */
    private final Queue<String> problems = new ConcurrentLinkedQueue<>();
    /** How often what was done. */
    private final Map<String, Integer> counts = new ConcurrentHashMap<>();
    /** How much of it has come to an end. */
    private final AtomicInteger ended = new AtomicInteger();

    private final long seed = Long.getLong("torte.seed", 1);

    /** A machine, and what must be on its disk now and at each checkpoint; several things when nobody knows which. */
    private static final class Model {
        final String name;
        Set<Integer> now = Set.of(NOTHING);
        final Map<String, Set<Integer>> kept = new HashMap<>();
        int names;

        Model(String name) {
            this.name = name;
        }

        String path() {
            return "/api/v1/vms/" + name;
        }
    }

    @Test
    void nothingIsLostAndNothingIsLeft() throws Exception {
        run(Integer.getInteger("torte.chaos.seconds", 40));
    }

    @Tag("long")
    @Test
    void nothingIsLostAndNothingIsLeftInTenMinutes() throws Exception {
        run(Integer.getInteger("torte.chaos.seconds", 600));
    }

    private void run(int seconds) throws Exception {
        System.out.println("seed " + seed + ", " + seconds + " s");
        // Multiboot 1; hlt; and again.
        byte[] kernel = new byte[36];
        ByteBuffer.wrap(kernel)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(0x1badb002)
                .putInt(0x10000)
                .putInt(-(0x1badb002 + 0x10000))
                .putInt(0x100000)
                .putInt(0x100000)
                .putInt(0)
                .putInt(0)
                .putInt(0x100020)
                .putInt(0x00fdebf4);
        Files.write(folder.resolve("kernel"), kernel);
        VirtualDisks.create(
                folder.resolve("image.vhdx"),
                DiskFormat.VHDX,
                CreateOptions.dynamic(8L * MIB).withBlockSize(MIB),
                DiskOptions.readWrite());
        Path data = folder.resolve("d");
        try (ServiceProcess service = new ServiceProcess(data, "-XX:TieredStopAtLevel=1", "-Xmx128m")) {
            service.start();
            List<Model> models = new ArrayList<>();
            for (int i = 0; i < MACHINES; i++) {
                models.add(make(service, "vm" + i));
            }
            stir(service, models, seconds);
            assertThat(problems).isEmpty();
            judge(service, data, models);
        }
    }

    private Model make(ServiceProcess service, String name) throws Exception {
        ServiceProcess.Answer made = service.call(
                "POST",
                "/api/v1/vms",
                Map.of(
                        "name",
                        name,
                        "memory",
                        4 * MIB,
                        "boot",
                        Map.of("kernel", folder.resolve("kernel").toString()),
                        "image",
                        Map.of("path", folder.resolve("image.vhdx").toString(), "format", "vhdx")));
        assertThat(made.status()).as(made.toString()).isEqualTo(201);
        return new Model(name);
    }

    /** Everybody at once, until the time is over. */
    private void stir(ServiceProcess service, List<Model> models, int seconds) throws Exception {
        long until = System.nanoTime() + seconds * 1_000_000_000L;
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < CLIENTS; i++) {
            int client = i;
            List<Model> own = new ArrayList<>();
            for (int k = i; k < models.size(); k += CLIENTS) {
                own.add(models.get(k));
            }
            threads.add(Thread.ofPlatform().name("client-" + i).start(() -> {
                SplittableRandom random = new SplittableRandom(seed * 100 + client);
                while (System.nanoTime() < until) {
                    act(service, own.get(random.nextInt(own.size())), random);
                }
            }));
        }
        SplittableRandom random = new SplittableRandom(seed);
        int services = 0;
        int workers = 0;
        while (System.nanoTime() < until) {
            // By what is done, not by the time, so that a slow host gets on, too.
            int due = ended.get() + random.nextInt(12);
            do {
                Thread.sleep(50 + random.nextInt(200));
            } while (ended.get() < due && System.nanoTime() < until);
            if (random.nextInt(5) < 2) {
                service.kill();
                services++;
                Thread.sleep(random.nextInt(1000));
                service.start();
            } else {
                List<ProcessHandle> running = service.processes().stream()
                        .filter(one -> one.pid() != service.processId())
                        .toList();
                if (!running.isEmpty()) {
                    running.get(random.nextInt(running.size())).destroyForcibly();
                    workers++;
                }
            }
        }
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println(
                "killed " + services + " services and " + workers + " workers; done: " + new TreeMap<>(counts));
    }

    private void act(ServiceProcess service, Model model, SplittableRandom random) {
        try {
            int choice = random.nextInt(100);
            if (choice < 12) {
                write(service, model, random);
            } else if (choice < 27) {
                keep(service, model, random);
            } else if (choice < 34) {
                apply(service, model, random);
            } else if (choice < 43) {
                remove(service, model, random);
            } else {
                String action = ACTIONS.get(random.nextInt(ACTIONS.size()));
                End _ = task(service, "POST", model.path() + "/" + action, null);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            // The service was killed before it was asked for anything.
            rest();
        } catch (RuntimeException | Error e) {
            problems.add(model.name + ": " + e);
        }
    }

    /** How something that was asked for ended. */
    private enum End {
        DONE,
        REFUSED,
        UNKNOWN
    }

    /** Asks for a task and waits for its end; when the service is killed meanwhile nobody knows how far it came. */
    private End task(ServiceProcess service, String method, String path, @Nullable Object body)
            throws InterruptedException {
        String kind = method + " " + path.replaceFirst(".*/vm\\d+", "").replaceFirst("(checkpoints/)[^/]+", "$1*");
        try {
            ServiceProcess.Answer answer = service.call(method, path, body);
            if (answer.status() >= 500) {
                problems.add(kind + ": " + answer);
            }
            if (!answer.good()) {
                counts.merge("refused", 1, Integer::sum);
                return End.REFUSED;
            }
            JsonNode end = service.await(answer.body());
            if (end.path("problem").path("cause").asText().startsWith("Torte failed")) {
                problems.add(kind + ": " + end);
            }
            boolean done = end.path("state").asText().equals("succeeded");
            ended.incrementAndGet();
            counts.merge(kind + (done ? "" : " failed"), 1, Integer::sum);
            if (!done) {
                System.out.println(
                        path + ": " + end.path("problem").path("cause").asText());
            }
            return done ? End.DONE : End.UNKNOWN;
        } catch (IOException e) {
            counts.merge("interrupted", 1, Integer::sum);
            rest();
            return End.UNKNOWN;
        }
    }

    /** Until the next service may be there. */
    private static void rest() {
        try {
            Thread.sleep(100);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static String checkpoint(Model model, String name) {
        return model.path() + "/checkpoints/" + name;
    }

    /** The names of the checkpoints that there are. */
    private static List<String> checkpoints(ServiceProcess service, Model model)
            throws IOException, InterruptedException {
        return service.get(model.path() + "/checkpoints").path("items").findValuesAsText("name");
    }

    private void keep(ServiceProcess service, Model model, SplittableRandom random)
            throws IOException, InterruptedException {
        if (checkpoints(service, model).size() >= MOST_CHECKPOINTS) {
            return;
        }
        String name = "c" + model.names++;
        model.kept.put(name, model.now);
        End _ = task(
                service,
                "POST",
                model.path() + "/checkpoints",
                Map.of("name", name, "kind", random.nextBoolean() ? "standard" : "production"));
    }

    private void remove(ServiceProcess service, Model model, SplittableRandom random)
            throws IOException, InterruptedException {
        List<String> names = checkpoints(service, model);
        if (!names.isEmpty()) {
            End _ = task(service, "DELETE", checkpoint(model, names.get(random.nextInt(names.size()))), null);
        }
    }

    private void apply(ServiceProcess service, Model model, SplittableRandom random)
            throws IOException, InterruptedException {
        List<String> names = checkpoints(service, model);
        if (names.isEmpty()) {
            return;
        }
        Map<String, Object> body = new HashMap<>();
        if (names.size() < MOST_CHECKPOINTS && random.nextBoolean()) {
            String as = "k" + model.names++;
            model.kept.put(as, model.now);
            body.put("keepAs", as);
        }
        String name = names.get(random.nextInt(names.size()));
        Set<Integer> its = model.kept.getOrDefault(name, Set.of());
        End end = task(service, "POST", checkpoint(model, name) + "/apply", body);
        if (end != End.REFUSED) {
            model.now = end == End.DONE ? its : both(model.now, its);
        }
    }

    private static Set<Integer> both(Set<Integer> one, Set<Integer> other) {
        Set<Integer> all = new TreeSet<>(one);
        all.addAll(other);
        return Set.copyOf(all);
    }

    /** While it is off, and only its own client does anything with it, its disk can be written from here. */
    private void write(ServiceProcess service, Model model, SplittableRandom random)
            throws IOException, InterruptedException {
        // What was interrupted is ended first: until then its disk may be another one than the definition says.
        if (!isOff(service, model) || task(service, "POST", model.path() + "/merge", null) != End.DONE) {
            return;
        }
        JsonNode vm = service.get(model.path());
        if (!isOff(service, model)) {
            return;
        }
        int tag = 1 + random.nextInt(Integer.MAX_VALUE - 1);
        try (VirtualDisk disk = open(file(vm, "disks"), DiskOptions.readWrite())) {
            disk.write(0, ByteBuffer.allocate(512).putInt(tag).array());
            disk.flush();
        }
        model.now = Set.of(tag);
        counts.merge("written", 1, Integer::sum);
    }

    private static boolean isOff(ServiceProcess service, Model model) throws IOException, InterruptedException {
        JsonNode vm = service.get(model.path());
        return vm.path("state").asText().equals("Off") && !vm.path("task").isNumber();
    }

    private static Path file(JsonNode vm, String disks) {
        return Path.of(vm.path("folder").asText())
                .resolve(vm.path(disks).path(0).path("path").asText());
    }

    private static VirtualDisk open(Path file, DiskOptions options) {
        return VirtualDisks.open(file, DiskFormat.VHDX, options);
    }

    private static int tag(Path file) {
        byte[] first = new byte[512];
        try (VirtualDisk disk = open(file, DiskOptions.readOnly())) {
            disk.read(0, first);
        }
        return ByteBuffer.wrap(first).getInt();
    }

    // ------------------------------------------------------------------ afterwards

    private void judge(ServiceProcess service, Path data, List<Model> models) throws Exception {
        // One that begins has nothing of what the last one knew.
        service.kill();
        service.start();
        for (JsonNode task : service.get("/api/v1/tasks?limit=1000").path("items")) {
            assertThat(service.await(task).path("state").asText())
                    .as(task.toString())
                    .isNotEqualTo("running");
        }
        assertThat(service.get("/api/v1/host").path("unreadable")).isEmpty();
        assertThat(service.get("/api/v1/vms").path("items")).hasSize(models.size());
        for (Model model : models) {
            try {
                judge(service, model);
            } catch (DiskException e) {
                throw new AssertionError(model.name + ": " + e.getMessage(), e);
            }
        }
        assertThat(service.processes())
                .as("processes while all machines are off")
                .hasSize(1);
        assertThat(service.end()).as("its end").isNotEqualTo(-1);
        assertThat(service.processes()).isEmpty();
        assertThat(names(data))
                .allMatch(name -> Set.of(
                                "machines",
                                "run",
                                "service.db",
                                "service.db-shm",
                                "service.db-wal",
                                "service.json",
                                "service.lock",
                                "tokens.json")
                        .contains(name));
        assertThat(names(data.resolve("run"))).as("control sockets").isEmpty();
        assertThat(names(data.resolve("machines"))).hasSize(models.size());
    }

    private static void judge(ServiceProcess service, Model model) throws Exception {
        JsonNode vm = service.get(model.path());
        switch (vm.path("state").asText()) {
            case "Off" -> {}
            case "Saved" -> service.done("POST", model.path() + "/discard", null);
            default -> service.done("POST", model.path() + "/turn-off", null);
        }
        if (service.get(model.path()).path("state").asText().equals("Saved")) {
            // What was to be turned off had just been saved.
            service.done("POST", model.path() + "/discard", null);
        }
        service.done("POST", model.path() + "/merge", null);
        vm = service.get(model.path());
        assertThat(tag(file(vm, "disks"))).as("what %s has", model.name).isIn(model.now);
        JsonNode tree = service.get(model.path() + "/checkpoints");
        assertThat(tree.path("merges")).isEmpty();
        for (JsonNode one : tree.path("items")) {
            String name = one.path("name").asText();
            Path disk = Path.of(vm.path("folder").asText())
                    .resolve(one.path("disks").path(0).path("path").asText());
            assertThat(model.kept).as(model.name).containsKey(name);
            assertThat(tag(disk)).as("%s at %s", model.name, name).isIn(model.kept.get(name));
        }
        testDisks(vm);
        for (JsonNode one : tree.path("items")) {
            String name = one.path("name").asText();
            service.done("POST", checkpoint(model, name) + "/apply", Map.of());
            vm = service.get(model.path());
            assertThat(tag(file(vm, "disks")))
                    .as("%s back at %s", model.name, name)
                    .isIn(model.kept.get(name));
            model.now = model.kept.getOrDefault(name, Set.of());
        }
        service.startMachine(model.path());
        service.done("POST", model.path() + "/turn-off", null);
        removeAll(service, model);
        vm = service.get(model.path());
        assertThat(tag(file(vm, "disks"))).as("what %s has at last", model.name).isIn(model.now);
        testDisks(vm);
        Path disk = file(vm, "disks").getFileName();
        assertThat(names(Path.of(vm.path("folder").asText())))
                .as(model.name)
                .containsExactlyInAnyOrder("definition.json", "run", disk.toString());
    }

    /** One that several went on from has to wait for all of them but one. */
    private static void removeAll(ServiceProcess service, Model model) throws Exception {
        List<String> left =
                service.get(model.path() + "/checkpoints").path("items").findValuesAsText("name");
        while (!left.isEmpty()) {
            List<String> removed = new ArrayList<>();
            for (String name : left.reversed()) {
                ServiceProcess.Answer answer = service.call("DELETE", checkpoint(model, name), null);
                if (answer.status() == 202) {
                    JsonNode end = service.await(answer.body());
                    assertThat(end.path("state").asText()).as(end.toString()).isEqualTo("succeeded");
                    removed.add(name);
                }
            }
            assertThat(removed).as("of " + left + " of " + model.name).isNotEmpty();
            left = left.stream().filter(name -> !removed.contains(name)).toList();
        }
    }

    private static void testDisks(JsonNode vm) {
        for (String name : names(Path.of(vm.path("folder").asText()))) {
            if (name.endsWith(".vhdx")) {
                Path file = Path.of(vm.path("folder").asText()).resolve(name);
                assertThat(VirtualDisks.check(file, DiskFormat.VHDX, DiskOptions.readOnly(), false)
                                .sound())
                        .as(file.toString())
                        .isTrue();
            }
        }
    }

    private static List<String> names(Path place) {
        try (Stream<Path> files = Files.list(place)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
