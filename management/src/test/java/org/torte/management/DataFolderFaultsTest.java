package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Hardware.Boot;
import org.torte.management.definition.VmDefinition.AutomaticStart;

/** The data folder is full or may not be written, and the host's clock jumps: a clear error, and nothing is lost. */
@Timeout(120)
class DataFolderFaultsTest {
    @TempDir
    private Path folder;

    private final FakeWorkers workers = new FakeWorkers();
    private Instant now = Instant.parse("2026-11-29T12:00:00Z");
    private boolean mounted;

    @AfterEach
    void unmount() throws Exception {
        if (mounted) {
            assertThat(run("umount", place().toString())).isZero();
        }
    }

    private Path place() {
        return folder.resolve("small");
    }

    private static int run(String... command) throws IOException, InterruptedException {
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }

    /** A file system of its own, of 2 MiB. */
    private DataFolder small() throws Exception {
        Files.createDirectory(place());
        mounted = run("mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "torte-test", place().toString()) == 0;
        assumeTrue(mounted, "this user may not mount a file system");
        return DataFolder.open(place().resolve("data"));
    }

    private Host host(DataFolder data) {
        return Host.open(data, workers, new FakeSwitches(), (InstantSource) () -> now);
    }

    private Vm make(Host host, String name) {
        return host.create(new NewVm(
                name,
                null,
                null,
                null,
                null,
                new Boot(folder.resolve("vmlinuz").toString(), List.of(), ""),
                null,
                null,
                null,
                null,
                null,
                AutomaticStart.NOTHING,
                null));
    }

    private static void unavailable(ThrowingCallable call) {
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(call)
                .satisfies(e -> assertThat(e.kind()).isEqualTo(Problem.Kind.UNAVAILABLE))
                .satisfies(e -> assertThat(e.line()).contains("; "));
    }

    private static Task.View ended(Task task) throws InterruptedException {
        assertThat(task.await(30, TimeUnit.SECONDS)).isTrue();
        return task.view();
    }

    private static void fill(Path file) throws IOException {
        try (OutputStream out = Files.newOutputStream(file)) {
            while (true) {
                out.write(new byte[512]);
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
        }
    }

    @Test
    void aFullFolderRefusesWhatIsNewAndKeepsWhatIsThere() throws Exception {
        Files.writeString(folder.resolve("vmlinuz"), "kernel");
        try (DataFolder data = small();
                Host host = host(data)) {
            Vm vm = make(host, "web1");
            assertThat(ended(vm.start("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            String definition = Files.readString(vm.view().folder().definition());
            fill(place().resolve("filler"));
            unavailable(() -> make(host, "web2"));
            unavailable(() -> vm.checkpoints().create("me", "c1", Checkpoint.Kind.STANDARD));
            assertThat(host.list()).hasSize(1);
            assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
            assertThat(vm.view().folder().definition()).hasContent(definition);
            Files.delete(place().resolve("filler"));
            assertThat(ended(vm.turnOff("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            Vm second = make(host, "web2");
            assertThat(ended(second.start("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            assertThat(ended(second.turnOff("me")).state()).isEqualTo(Task.State.SUCCEEDED);
        }
    }

    @Test
    void aMachineCanBeTurnedOffWhenTheFolderIsFullAndThatIsWrittenDownLater() throws Exception {
        Files.writeString(folder.resolve("vmlinuz"), "kernel");
        long off;
        long events;
        try (DataFolder data = small();
                Host host = host(data)) {
            Vm vm = make(host, "web1");
            Task.View start = ended(vm.start("me"));
            fill(place().resolve("filler"));
            Task.View ended = ended(vm.turnOff("me"));
            assertThat(ended.state()).isEqualTo(Task.State.SUCCEEDED);
            off = ended.id();
            assertThat(off).isGreaterThan(start.id());
            assertThat(vm.view().state()).isEqualTo(VmState.OFF);
            // There is room neither for another task nor for the record of this one, but all can be seen.
            unavailable(() -> vm.start("me"));
            assertThat(host.tasks().find(off)).contains(ended);
            assertThat(host.tasks().before(Long.MAX_VALUE, 2)).containsExactly(ended, start);
            assertThat(host.tasks().before(off, 2)).containsExactly(start);
            assertGapless(host.events());
            Files.delete(place().resolve("filler"));
            assertThat(ended(vm.start("me")).id()).isGreaterThan(off);
            assertThat(ended(vm.turnOff("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            events = host.events().last();
        }
        try (DataFolder data = DataFolder.open(place().resolve("data"));
                Host host = host(data)) {
            assertThat(host.tasks().find(off))
                    .hasValueSatisfying(task -> assertThat(task.state()).isEqualTo(Task.State.SUCCEEDED));
            assertThat(host.events().last()).isGreaterThanOrEqualTo(events);
            assertGapless(host.events());
        }
    }

    @Test
    void whatIsRefusedWhenThereIsNoRoomToForgetItIsNotLeftRunning() throws Exception {
        try (DataFolder data = small();
                Host host = host(data)) {
            assertThatExceptionOfType(Problem.class)
                    .isThrownBy(() -> host.tasks()
                            .start(
                                    "vm.start",
                                    "1",
                                    "web1",
                                    "me",
                                    _ -> {
                                        try {
                                            fill(place().resolve("filler"));
                                        } catch (IOException e) {
                                            throw new UncheckedIOException(e);
                                        }
                                        throw new Problem(Problem.Kind.CONFLICT, "it is busy", "wait");
                                    },
                                    _ -> {}))
                    .withMessageContaining("it is busy");
            assertRefused(host);
            Files.delete(place().resolve("filler"));
            // Writes what is still to be written.
            ended(host.tasks().start("vm.start", "1", "web1", "me", _ -> {}, _ -> {}));
            assertRefused(host);
        }
        try (DataFolder data = DataFolder.open(place().resolve("data"));
                Host host = host(data)) {
            assertRefused(host);
        }
    }

    private static void assertRefused(Host host) {
        Task.View refused = host.tasks().find(1).orElseThrow();
        assertThat(refused.state()).isEqualTo(Task.State.FAILED);
        assertThat(refused.problem()).isEqualTo(new Task.Failure(Problem.Kind.CONFLICT, "it is busy", "wait"));
    }

    private static void assertGapless(Events events) {
        assertThat(events.after(0, 1000).stream().map(Events.Event::id))
                .containsExactlyElementsOf(
                        LongStream.rangeClosed(1, events.last()).boxed().toList());
    }

    @Test
    void aFolderThatMayOnlyBeReadIsRefusedAndOpensAgainLater() throws Exception {
        Files.writeString(folder.resolve("vmlinuz"), "kernel");
        try (DataFolder data = small();
                Host host = host(data)) {
            assertThat(make(host, "web1").view().state()).isEqualTo(VmState.OFF);
        }
        assertThat(run("mount", "-o", "remount,ro", place().toString())).isZero();
        unavailable(() -> DataFolder.open(place().resolve("data")).close());
        assertThat(run("mount", "-o", "remount,rw", place().toString())).isZero();
        try (DataFolder data = DataFolder.open(place().resolve("data"));
                Host host = host(data)) {
            assertThat(host.list()).hasSize(1);
        }
    }

    @Test
    void aClockThatJumpsLosesNothing() throws Exception {
        Files.writeString(folder.resolve("vmlinuz"), "kernel");
        long last;
        try (DataFolder data = DataFolder.open(folder.resolve("data"));
                Host host = host(data)) {
            Vm vm = make(host, "web1");
            assertThat(ended(vm.start("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            for (String time : List.of("2016-01-01T00:00:00Z", "2046-01-01T00:00:00Z", "2026-11-29T12:00:00Z")) {
                now = Instant.parse(time);
                assertThat(ended(vm.pause("me")).state()).isEqualTo(Task.State.SUCCEEDED);
                assertThat(ended(vm.resume("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            }
            now = Instant.parse("2016-01-01T00:00:00Z");
            assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
            last = host.events().last();
            List<Events.Event> events = host.events().after(0, 1000);
            assertThat(events.stream().map(Events.Event::id)).isSorted().doesNotHaveDuplicates();
            assertThat(events).hasSizeGreaterThan(6);
        }
        try (DataFolder data = DataFolder.open(folder.resolve("data"));
                Host host = host(data)) {
            Vm vm = host.find("web1");
            assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
            assertThat(ended(vm.turnOff("me")).state()).isEqualTo(Task.State.SUCCEEDED);
            assertThat(host.events().last()).isGreaterThan(last);
        }
    }
}
