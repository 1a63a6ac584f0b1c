package org.torte.worker.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.MemorySink;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.worker.DiskSource;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;

@Timeout(120)
class ControlServerTest {
    /** MOV DX, 3F8h; MOV AL, '!'; OUT DX, AL; CLI; HLT; JMP to the HLT: says one thing and sleeps for ever. */
    private static final int[] CODE = {0x66, 0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xfa, 0xf4, 0xeb, 0xfd};

    private static final int ADDRESS = 1 << 20, HEADER = 32;

    @TempDir
    Path folder;

    private VirtualMachine machine;
    private ControlServer server;

    ControlServerTest(@TempDir Path shared) throws IOException {
        Path kernel = shared.resolve("kernel");
        ByteBuffer image = ByteBuffer.allocate(HEADER + CODE.length).order(ByteOrder.LITTLE_ENDIAN);
        int magic = 0x1bad_b002;
        int flags = 1 << 16;
        image.putInt(magic).putInt(flags).putInt(-(magic + flags));
        image.putInt(ADDRESS).putInt(ADDRESS).putInt(0).putInt(0).putInt(ADDRESS + HEADER);
        for (int code : CODE) {
            image.put((byte) code);
        }
        Files.write(kernel, image.array());
        machine = VirtualMachine.builder()
                .kernel(kernel)
                .hypervisor("software")
                .memory(16 << 20)
                .build();
        server = ControlServer.open(shared.resolve("socket"), machine);
    }

    @BeforeEach
    void begin() {
        assertThat(machine.state()).isEqualTo(VirtualMachine.State.NEW);
    }

    @AfterEach
    void end() {
        server.close();
        machine.close();
    }

    private ControlClient connect() {
        return ControlClient.connect(server.path());
    }

    private static Map<String, Object> ask(ControlClient client, String method, Map<String, Object> parameters) {
        return client.ask(method, parameters, text -> {});
    }

    private static String code(ControlClient client, String method, Map<String, Object> parameters) {
        try {
            return "result " + ask(client, method, parameters);
        } catch (ControlException e) {
            return e.code().text();
        }
    }

    @Test
    void theSocketIsItsOwnersAndGoesWithTheMachine() throws IOException {
        Path path = server.path();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .isEqualTo("rw-------");
        assertThatThrownBy(() -> ControlServer.open(path, machine))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("another machine listens");
        server.close();
        assertThat(path).doesNotExist();
        Files.writeString(path, "no socket");
        assertThatThrownBy(() -> ControlServer.open(path, machine))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("is no socket");
        assertThatThrownBy(() -> ControlServer.open(folder.resolve("x".repeat(120)), machine))
                .isInstanceOf(InputException.class);
        assertThatThrownBy(() -> ControlServer.open(folder.resolve("none/socket"), machine))
                .isInstanceOf(InputException.class)
                .hasMessageContaining("there is no folder");
        try (var files = Files.list(path.getParent())) {
            assertThat(files.map(file -> file.getFileName().toString())).noneMatch(name -> name.startsWith(".t"));
        }
    }

    @Test
    void aMachineIsPausedResumedSavedAndTurnedOff() {
        machine.start();
        try (ControlClient client = connect()) {
            assertThat(ask(client, "status", Map.of()))
                    .containsEntry("state", "running")
                    .containsEntry("processors", 1)
                    .containsKeys("memory", "heartbeat", "file-systems", "disks");
            assertThat(ask(client, "pause", Map.of())).containsEntry("state", "paused");
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "paused");
            assertThat(ask(client, "resume", Map.of())).containsEntry("state", "running");
            assertThat(ask(client, "processor-limit", Map.of("percent", 50))).containsEntry("percent", 50);
            assertThat(ask(client, "status", Map.of())).containsEntry("processor-limit", 50);
            assertThat(code(client, "processor-limit", Map.of("percent", 0))).isEqualTo("bad-request");
            Path file = folder.resolve("saved");
            List<String> progress = new ArrayList<>();
            assertThat(client.ask("save", Map.of("file", file.toString(), "keep-running", true), progress::add))
                    .containsEntry("file", file.toString());
            assertThat(progress).containsExactly("saving");
            assertThat(file).isNotEmptyFile();
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
            assertThat(code(client, "save", Map.of("file", "/no/such/folder/file")))
                    .isEqualTo("host");
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
            ask(client, "stop", Map.of());
            assertThat(code(client, "pause", Map.of())).isEqualTo("wrong-state");
        }
    }

    @Test
    void aMachineIsKeptAsItIsAndGoesOnInNewFiles() throws IOException {
        Path base = folder.resolve("base.vhdx");
        VirtualDisks.create(base, DiskFormat.VHDX, CreateOptions.dynamic(8 << 20), DiskOptions.readWrite());
        machine.addDisk(DiskSource.of(base));
        machine.start();
        Path child = folder.resolve("child.vhdx");
        Path memory = folder.resolve("memory");
        try (ControlClient client = connect()) {
            Map<String, Object> files = Map.of("0", child.toString());
            assertThat(ask(client, "checkpoint.new", Map.of("memory", memory.toString(), "disks", files)))
                    .containsEntry("frozen", false)
                    .containsKey("stood-ms");
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
            assertThat(memory).isNotEmptyFile();
            assertThat(ask(client, "checkpoint.disks", Map.of())).containsEntry("disks", files);
            // What fails leaves the machine where it was: here the second disk, after the first.
            Path next = folder.resolve("next.vhdx");
            assertThat(code(
                            client,
                            "checkpoint.new",
                            Map.of(
                                    "disks",
                                    Map.of(
                                            "0",
                                            next.toString(),
                                            "7",
                                            folder.resolve("x.vhdx").toString()))))
                    .isEqualTo("host");
            assertThat(next).doesNotExist();
            assertThat(ask(client, "checkpoint.disks", Map.of())).containsEntry("disks", files);
            for (Map<String, Object> wrong : List.<Map<String, Object>>of(
                    Map.of("disks", 1), Map.of("disks", Map.of("a", "/x")), Map.of("disks", Map.of("0", "x")))) {
                assertThat(code(client, "checkpoint.new", wrong)).isEqualTo("bad-request");
            }
            assertThat(code(client, "checkpoint.merge", Map.of("file", memory.toString())))
                    .isEqualTo("host");
            assertThat(ask(client, "checkpoint.merge", Map.of("file", child.toString())))
                    .containsEntry("parent", base.toString());
            assertThat(child).doesNotExist();
            assertThat(ask(client, "checkpoint.disks", Map.of())).containsEntry("disks", Map.of("0", base.toString()));
        }
        machine.close();
        // The memory goes on with its disk in another place.
        VirtualDisks.create(child, DiskFormat.VHDX, CreateOptions.differencing(base), DiskOptions.readWrite());
        try (VirtualMachine restored = VirtualMachine.builder()
                .savedState(memory)
                .disk(DiskSource.of(child))
                .hypervisor("software")
                .build()) {
            assertThat(restored.disks()).containsEntry(0, DiskSource.of(child));
            restored.start();
            assertThat(restored.state()).isEqualTo(VirtualMachine.State.RUNNING);
        }
    }

    @Test
    void disksAreListedGrownAndMergedInUse() {
        Path base = folder.resolve("base.vhdx");
        Path child = folder.resolve("child.vhdx");
        Path plain = folder.resolve("plain.vhdx");
        VirtualDisks.create(base, DiskFormat.VHDX, CreateOptions.dynamic(8 << 20), DiskOptions.readWrite());
        VirtualDisks.create(child, DiskFormat.VHDX, CreateOptions.differencing(base), DiskOptions.readWrite());
        VirtualDisks.create(plain, DiskFormat.VHDX, CreateOptions.dynamic(8 << 20), DiskOptions.readWrite());
        machine.addDisk(DiskSource.of(child));
        machine.addDisk(new DiskSource(plain, DiskFormat.VHDX, true));
        machine.start();
        try (ControlClient client = connect()) {
            assertThat(disk(client, 0))
                    .containsEntry("file", child.toString())
                    .containsEntry("size", 8 << 20)
                    .containsEntry("parents", List.of(base.toString()));
            assertThat(disk(client, 1)).containsEntry("read-only", true).containsEntry("parents", List.of());
            assertThat(refusal(client, "disk.grow", Map.of("unit", 0, "size", 4 << 20)))
                    .contains("only grows");
            assertThat(refusal(client, "disk.grow", Map.of("unit", 0, "size", (8 << 20) + 1)))
                    .contains("multiple");
            assertThat(refusal(client, "disk.grow", Map.of("unit", 1, "size", 16 << 20)))
                    .contains("may only be read");
            for (String method : List.of("disk.grow", "disk.merge")) {
                Map<String, Object> none =
                        method.equals("disk.grow") ? Map.of("unit", 9, "size", 16 << 20) : Map.of("unit", 9);
                assertThat(refusal(client, method, none)).contains("no disk 9");
            }
            assertThat(code(client, "disk.grow", Map.of("unit", 0, "size", -1))).isEqualTo("bad-request");
            List<String> progress = new ArrayList<>();
            assertThat(client.ask("disk.merge", Map.of("unit", 0), progress::add))
                    .containsEntry("merged", child.toString())
                    .containsEntry("parent", base.toString());
            assertThat(child).doesNotExist();
            assertThat(refusal(client, "disk.merge", Map.of("unit", 0))).contains("no parent");
            assertThat(ask(client, "disk.grow", Map.of("unit", 0, "size", 16 << 20)))
                    .containsEntry("size", 16 << 20);
            assertThat(disk(client, 0))
                    .containsEntry("file", base.toString())
                    .containsEntry("size", 16 << 20)
                    .containsEntry("parents", List.of());
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
        }
    }

    @Test
    void anAdapterIsCapturedIntoANewFile() throws Exception {
        machine.addNetwork(NetworkSource.of(new NetworkSource.Loopback()));
        machine.addNetwork(NetworkSource.of(new NetworkSource.Unplugged()));
        Path file = folder.resolve("a.pcapng");
        Map<String, Object> start = Map.of("adapter", 0, "file", file.toString(), "length", 100);
        try (ControlClient client = connect()) {
            assertThat(refusal(client, "capture.stop", Map.of("adapter", 0))).contains("not being captured");
            assertThat(ask(client, "capture.start", start)).isEmpty();
            assertThat(refusal(client, "capture.start", start)).contains("already");
            assertThat(String.valueOf(ask(client, "status", Map.of()).get("adapters")))
                    .contains("file=" + file)
                    .contains("frames=0");
            assertThat(ask(client, "capture.stop", Map.of("adapter", 0)))
                    .containsEntry("file", file.toString())
                    .containsEntry("dropped", 0);
            assertThat(file).isNotEmptyFile();
            assertThat(refusal(client, "capture.start", start)).contains("there already");
            assertThat(refusal(client, "capture.start", Map.of("adapter", 0, "file", "/nowhere/a")))
                    .contains("no such folder");
            assertThat(refusal(client, "capture.start", Map.of("adapter", 1, "file", "/b")))
                    .contains("not plugged in");
            assertThat(refusal(client, "capture.start", Map.of("adapter", 7, "file", "/b")))
                    .contains("no network adapter 7");
            assertThat(code(client, "capture.start", Map.of("adapter", 0, "file", "/b", "length", 0)))
                    .isEqualTo("bad-request");
        }
    }

    private static Map<String, Object> disk(ControlClient client, int unit) {
        Map<String, Object> disk = new HashMap<>();
        if (ask(client, "disk.list", Map.of()).get("disks") instanceof List<?> disks
                && disks.get(unit) instanceof Map<?, ?> found) {
            found.forEach((name, value) -> disk.put(String.valueOf(name), value));
        }
        return disk;
    }

    private static String refusal(ControlClient client, String method, Map<String, Object> parameters) {
        try {
            return "result " + ask(client, method, parameters);
        } catch (ControlException e) {
            return e.code() == ControlException.Code.HOST
                    ? String.valueOf(e.getMessage())
                    : e.code().text();
        }
    }

    @Test
    void aMergeEndsWhenNobodyWaitsForItAndGoesOnLater() {
        Path base = folder.resolve("base.vhdx");
        Path child = folder.resolve("child.vhdx");
        VirtualDisks.create(base, DiskFormat.VHDX, CreateOptions.dynamic(256 << 20), DiskOptions.readWrite());
        VirtualDisks.create(child, DiskFormat.VHDX, CreateOptions.differencing(base), DiskOptions.readWrite());
        byte[] content = new byte[1 << 20];
        java.util.Arrays.fill(content, (byte) 7);
        try (VirtualDisk disk = VirtualDisks.open(child, DiskFormat.VHDX, DiskOptions.readWrite())) {
            for (long at = 0; at < 128 << 20; at += content.length) {
                disk.write(at, MemorySegment.ofArray(content), 0, content.length);
            }
        }
        machine.addDisk(DiskSource.of(child));
        machine.start();
        ControlCommands commands = new ControlCommands(machine);
        List<String> told = new ArrayList<>();
        ControlCommands.Asker leaving = new ControlCommands.Asker() {
            @Override
            public void accept(String text) {
                told.add(text);
            }

            @Override
            public boolean gone() {
                return told.size() > 1;
            }
        };
        assertThatThrownBy(() -> commands.execute("disk.merge", Map.of("unit", 0), leaving))
                .isInstanceOf(ControlException.class)
                .hasMessageContaining("cancelled");
        assertThat(told).hasSize(2);
        assertThat(child).exists();
        assertThat(commands.execute("disk.merge", Map.of("unit", 0), told::add))
                .containsEntry("parent", base.toString());
        assertThat(child).doesNotExist();
        machine.close();
        assertThat(VirtualDisks.check(base, DiskFormat.VHDX, DiskOptions.readOnly(), false)
                        .sound())
                .isTrue();
        try (VirtualDisk disk = VirtualDisks.open(base, DiskFormat.VHDX, DiskOptions.readOnly())) {
            byte[] found = new byte[content.length];
            for (long at = 0; at < 128 << 20; at += content.length) {
                disk.read(at, MemorySegment.ofArray(found), 0, content.length);
                assertThat(found).isEqualTo(content);
            }
        }
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    private Map<String, Object> checkpoint() {
        return Map.of(
                "memory",
                folder.resolve("memory").toString(),
                "disks",
                Map.of("0", folder.resolve("child.vhdx").toString()));
    }

    private void startWithDisk() {
        Path base = folder.resolve("base.vhdx");
        VirtualDisks.create(base, DiskFormat.VHDX, CreateOptions.dynamic(1 << 20), DiskOptions.readWrite());
        machine.addDisk(DiskSource.of(base));
        machine.start();
    }

    @Test
    void aCheckpointThatIsNotWantedAnyMoreEndsAndLeavesNothing() throws IOException {
        startWithDisk();
        ControlCommands commands = new ControlCommands(machine);
        List<String> told = new ArrayList<>();
        ControlCommands.Asker changingHisMind = new ControlCommands.Asker() {
            @Override
            public void accept(String text) {
                told.add(text);
            }

            @Override
            public boolean cancelled() {
                return told.size() > 1;
            }
        };
        assertThatThrownBy(() -> commands.execute("checkpoint.new", checkpoint(), changingHisMind))
                .isInstanceOfSatisfying(
                        ControlException.class, e -> assertThat(e.code()).isEqualTo(ControlException.Code.CANCELLED));
        assertThat(told).hasSize(2);
        assertThat(files()).containsExactly("base.vhdx");
        assertThat(machine.state()).isEqualTo(VirtualMachine.State.RUNNING);
        assertThat(machine.disks()).containsEntry(0, DiskSource.of(folder.resolve("base.vhdx")));
        assertThat(commands.execute("checkpoint.new", checkpoint(), told::add)).containsKey("rounds");
        assertThat(files()).containsExactly("base.vhdx", "child.vhdx", "memory");
    }

    @Test
    void aRequestThatIsUnderWayIsCancelledByItsNumber() throws Exception {
        startWithDisk();
        CountDownLatch copying = new CountDownLatch(1);
        CountDownLatch cancelled = new CountDownLatch(1);
        MemorySink held = new MemorySink() {
            @Override
            public void pages(long address, byte[] bytes, int length) {
                copying.countDown();
                try {
                    cancelled.await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }

            @Override
            public void zeroes(long address, long length) {}
        };
        try (ControlClient client = connect()) {
            assertThat(code(client, "cancel", Map.of("request", 77))).isEqualTo("wrong-state");
            assertThat(code(client, "cancel", Map.of())).isEqualTo("wrong-state");
            assertThat(code(client, "cancel", Map.of("id", 1))).isEqualTo("bad-request");
            // Another copy is under way, so that the checkpoint has not begun when it is cancelled.
            FutureTask<?> other = new FutureTask<>(() -> machine.copyMemory(held, _ -> {}));
            Thread.ofPlatform().start(other);
            copying.await();
            client.send(JSON.std.asString(Map.of("id", 77, "method", "checkpoint.new", "params", checkpoint())));
            assertThat(code(client, "cancel", Map.of("request", 77))).isEqualTo("result {}");
            cancelled.countDown();
            other.get();
            Map<String, Object> answer = client.receive();
            while (!Integer.valueOf(77).equals(answer.get("id")) || answer.containsKey("progress")) {
                answer = client.receive();
            }
            assertThat(String.valueOf(answer.get("error"))).contains("cancelled");
            assertThat(files()).containsExactly("base.vhdx");
        }
    }

    @Test
    void whatTheGuestCannotDoIsSaid() {
        machine.start();
        try (ControlClient client = connect()) {
            assertThat(ask(client, "heartbeat", Map.of())).containsEntry("state", "no-contact");
            for (String method : List.of("shutdown", "restart", "kvp.get", "freeze")) {
                assertThat(code(client, method, Map.of())).as(method).isEqualTo("guest");
            }
            assertThat(code(client, "type", Map.of("text", "a"))).isEqualTo("guest");
            assertThat(code(client, "memory", Map.of("size", 8 << 20))).isEqualTo("guest");
            assertThat(ask(client, "kvp.set", Map.of("key", "k", "value", "v"))).containsEntry("delivered", false);
            ask(client, "pause", Map.of());
            assertThat(code(client, "shutdown", Map.of())).isEqualTo("wrong-state");
        }
    }

    @Test
    void wrongRequestsAreRefusedAndTheNextOneIsAnswered() throws IOException {
        machine.start();
        try (ControlClient client = connect()) {
            for (String line : List.of(
                    "{",
                    "[]",
                    "1",
                    "null",
                    "{\"id\":1}",
                    "{\"id\":[],\"method\":\"status\"}",
                    "{\"method\":\"status\"}",
                    "{\"id\":1,\"method\":2}",
                    "{\"id\":1,\"method\":\"status\",\"params\":[]}",
                    "\u0000",
                    "[".repeat(5000),
                    "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"events\":[\"all\"]}}")) {
                client.send(line);
                assertThat(client.receive().get("error")).as(line).isInstanceOf(Map.class);
            }
            for (Map<String, Object> parameters : List.<Map<String, Object>>of(
                    Map.of("file", "relative"), Map.of("file", 1), Map.of("file", "/tmp/x", "other", 1), Map.of())) {
                assertThat(code(client, "save", parameters)).isEqualTo("bad-request");
            }
            assertThat(code(client, "freeze", Map.of("hold", 0))).isEqualTo("bad-request");
            assertThat(code(client, "type", Map.of("text", "ß"))).isEqualTo("bad-request");
            assertThat(code(client, "kvp.get", Map.of("pool", "swimming"))).isEqualTo("bad-request");
            assertThat(code(client, "disk.add", Map.of("file", "/no/such.vhdx")))
                    .isEqualTo("host");
            assertThat(code(client, "disk.remove", Map.of("unit", 3))).isEqualTo("host");
            assertThat(code(client, "nonsense", Map.of())).isEqualTo("bad-request");
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
        }
    }

    @Test
    void subscribersHearOfTheStateAndTheConsoleUntilTheEnd() throws IOException {
        try (ControlClient client = connect()) {
            ask(client, "subscribe", Map.of("events", List.of("state", "console")));
            machine.start();
            List<String> heard = new ArrayList<>();
            while (!heard.contains("console {bytes=!}") || !heard.contains("state {state=running}")) {
                Map<String, Object> line = client.receive();
                heard.add(line.get("event") + " " + line.get("data"));
            }
            machine.powerOff();
            Map<String, Object> last = client.receive();
            assertThat(last.get("event") + " " + last.get("data")).isEqualTo("state {state=ended}");
            server.close();
            assertThatThrownBy(client::receive).isInstanceOf(IOException.class);
        }
    }

    @Test
    void whoComesLateHearsWhatTheConsoleSaidBefore() throws IOException {
        machine.start();
        try (ControlClient early = connect();
                ControlClient late = connect()) {
            ask(early, "subscribe", Map.of("events", List.of("console"), "scrollback", true));
            Map<String, Object> line = early.receive();
            assertThat(line.get("event") + " " + line.get("data")).isEqualTo("console {bytes=!}");
            assertThat(ask(late, "subscribe", Map.of("events", List.of("console"), "scrollback", true)))
                    .containsEntry("scrollback", 1);
            line = late.receive();
            assertThat(line.get("event") + " " + line.get("data")).isEqualTo("console {bytes=!}");
            assertThatThrownBy(() -> ask(late, "subscribe", Map.of("events", List.of("state"), "scrollback", true)))
                    .hasMessageContaining("not among the events");
        }
    }

    @Test
    void aLineWithoutEndAndAClientTooManyAreSentAway() throws IOException {
        machine.start();
        try (ControlClient client = connect()) {
            client.send("x".repeat(ControlSession.MAX_LINE + 1));
            assertThat(String.valueOf(client.receive().get("error"))).contains("at most");
            assertThatThrownBy(client::receive).isInstanceOf(IOException.class);
        }
        List<ControlClient> clients = new ArrayList<>();
        assertThatThrownBy(() -> {
                    while (clients.size() <= 2 * ControlServer.MAX_CLIENTS) {
                        clients.add(connect());
                    }
                })
                .isInstanceOf(InputException.class);
        ask(clients.getFirst(), "status", Map.of());
        clients.forEach(ControlClient::close);
    }

    @Test
    void aClientThatOnlyWritesIsDroppedAndOthersAreServed() throws IOException {
        machine.start();
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        try (ControlClient deaf = connect();
                ControlClient client = connect()) {
            assertThatThrownBy(() -> {
                        while (true) {
                            deaf.send("{\"id\":" + random.nextInt() + ",\"method\":\"status\"}");
                        }
                    })
                    .isInstanceOf(IOException.class);
            assertThat(ask(client, "status", Map.of())).containsEntry("state", "running");
        }
    }
}
