package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.definition.Hardware.Boot;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.MemoryUse;

/** Memory of several machines on one host: who may start, and who has how much, with workers that are no processes. */
class MemoryTest {
    private static final long MIB = 1 << 20;
    private static final long SECOND = 1_000_000_000L;

    @TempDir
    Path folder;

    private final FakeWorkers workers = new FakeWorkers();
    private final AtomicLong now = new AtomicLong();
    private DataFolder data;
    private Host host;

    @BeforeEach
    void open() throws IOException {
        Files.writeString(folder.resolve("vmlinuz"), "kernel");
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, new FakeSwitches(), InstantSource.system());
    }

    @AfterEach
    void close() {
        host.close();
        data.close();
    }

    private Vm vm(String name, long memory, DynamicMemory.@Nullable Wish dynamic) {
        return host.create(new NewVm(
                name,
                null,
                null,
                memory,
                dynamic,
                new Boot(folder.resolve("vmlinuz").toString(), List.of(), ""),
                null,
                null,
                null,
                null,
                null,
                null,
                null));
    }

    private static void done(Task task) throws InterruptedException {
        assertThat(task.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(task.view().state())
                .as(String.valueOf(task.view().problem()))
                .isEqualTo(Task.State.SUCCEEDED);
    }

    @Test
    void aRefusalSaysWhatIsAskedWhatIsFreeWhoHasItAndWhatToDo() throws InterruptedException {
        workers.available = 4096 * MIB;
        done(host.start(vm("db1", 2048 * MIB, null), "me", false));
        done(host.start(vm("app", 512 * MIB, null), "me", false));
        Vm web = vm("web1", 2048 * MIB, null);
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(() -> host.start(web, "me", false))
                .satisfies(e -> assertThat(e.line())
                        .isEqualTo("web1 needs 2176 MiB of memory (its process included), and the host has 1152 MiB for"
                                + " it: 4096 MiB are available, of which 128 MiB are the host's own and 2816 MiB are"
                                + " still to be taken by machines that run (db1 2176 MiB, app 640 MiB in all); stop one"
                                + " of these, give it less with torte vm set web1 --memory, or start it all the same"
                                + " with --overcommit"));
        assertThat(web.view().state()).isEqualTo(VmState.OFF);
        done(host.start(web, "me", true));
        assertThat(host.memory().orElseThrow().free()).isZero();
        done(web.turnOff("me"));
        assertThat(host.memory().orElseThrow().free()).isEqualTo(1152 * MIB);
    }

    @Test
    void ofSeveralThatStartAtOnceOnlyThoseStartThatThereIsRoomFor() throws InterruptedException {
        workers.startSlowly();
        workers.available = 4096 * MIB;
        List<Vm> machines = List.of(
                vm("a", 1536 * MIB, null),
                vm("b", 1536 * MIB, null),
                vm("c", 1536 * MIB, null),
                vm("d", 1536 * MIB, null));
        List<Task> tasks = machines.stream().map(vm -> vm.start("me")).toList();
        // The others wait for workers that never come.
        for (int i = 0;
                i < 3000
                        && tasks.stream()
                                        .filter(task -> task.view().state().isEnd())
                                        .count()
                                < 2;
                i++) {
            Thread.sleep(10);
        }
        assertThat(tasks.stream().filter(task -> task.view().state() == Task.State.FAILED))
                .hasSize(2)
                .allSatisfy(task ->
                        assertThat(String.valueOf(task.view().problem())).contains("--overcommit"));
        for (Vm vm : machines) {
            if (vm.view().state() != VmState.OFF) {
                done(vm.turnOff("me"));
            }
        }
        assertThat(host.memory().orElseThrow().claimed()).isZero();
    }

    @Test
    void dynamicMemoryIsWorthWhatItStartsWithAndThenWhatItHas() throws InterruptedException {
        workers.available = 8192 * MIB;
        Vm vm = vm("web1", 4096 * MIB, new DynamicMemory.Wish(null, 256 * MIB, 512 * MIB, null));
        done(host.start(vm, "me", false));
        assertThat(host.memory().orElseThrow().claimed()).isEqualTo(640 * MIB);
        vm.uses(workers.of(vm).processId(), new MemoryUse(1024 * MIB, 900 * MIB, 800 * MIB));
        assertThat(host.memory().orElseThrow().claimed()).isEqualTo(1152 * MIB);
    }

    private void say(Vm vm, long demand, int reports) {
        Map<String, Object> memory = workers.of(vm).memory;
        long total = vm.view().definition().hardware().memory();
        long assigned = memory.get("assigned") instanceof Long known ? known : total;
        memory.putAll(Map.of(
                "total",
                total,
                "assigned",
                assigned,
                "wanted",
                assigned,
                "dynamic",
                true,
                "limited",
                false,
                "guest-committed",
                demand + total - assigned,
                "guest-available",
                Math.max(0, assigned - demand),
                "guest-reports",
                reports));
    }

    @Test
    void memoryFollowsDemandOverTheLifeOfAService() throws InterruptedException {
        workers.available = 1L << 40;
        Vm vm = vm("web1", 2048 * MIB, new DynamicMemory.Wish(null, 256 * MIB, 512 * MIB, null));
        Vm fixed = vm("web2", 2048 * MIB, null);
        done(host.start(vm, "me", false));
        done(host.start(fixed, "me", false));
        Admission admission = new Admission(workers.memory(), () -> List.of(vm, fixed));
        MemoryControl control = new MemoryControl(() -> List.of(vm, fixed), admission, now::get);
        control.look();
        assertThat(vm.view().memory()).isNull();
        for (int i = 1; i < 300; i++) {
            say(vm, 500 * MIB, i);
            control.look();
            now.addAndGet(SECOND);
        }
        assertThat(vm.view().memory()).isEqualTo(new MemoryUse(600 * MIB, 600 * MIB, 500 * MIB));
        say(vm, 1000 * MIB, 300);
        // Another service, which knows nothing of before.
        new MemoryControl(() -> List.of(vm, fixed), admission, now::get).look();
        assertThat(workers.of(vm).memory).containsEntry("wanted", 1200 * MIB);
        host.change(
                vm,
                old -> new VmDefinition(
                        old.version(),
                        old.id(),
                        old.name(),
                        old.notes(),
                        old.hardware().fixed(),
                        old.processorLimit(),
                        old.translator(),
                        old.automaticStart(),
                        old.savedState(),
                        old.checkpoints()));
        assertThat(workers.of(vm).memory).containsEntry("wanted", 2048 * MIB);
        assertThat(vm.view().memory()).isNull();
        assertThat(workers.of(fixed).memory).isEmpty();
    }

    @Test
    void aWorkerThatSaysNonsenseOrNothingHarmsNobody() throws InterruptedException {
        Vm vm = vm("web1", 2048 * MIB, new DynamicMemory.Wish(null, 256 * MIB, 512 * MIB, null));
        Vm other = vm("web2", 2048 * MIB, new DynamicMemory.Wish(null, 256 * MIB, 512 * MIB, null));
        done(host.start(vm, "me", false));
        done(host.start(other, "me", false));
        workers.of(vm).memory.putAll(Map.of("dynamic", true, "total", "much", "guest-committed", Long.MAX_VALUE));
        MemoryControl control = new MemoryControl(
                () -> List.of(vm, other), new Admission(workers.memory(), () -> List.of(vm, other)), now::get);
        for (int i = 0; i < 100; i++) {
            say(other, 500 * MIB, i);
            control.look();
            now.addAndGet(SECOND);
        }
        assertThat(other.view().memory())
                .satisfies(use -> assertThat(use.wanted()).isLessThan(2048 * MIB));
        done(vm.turnOff("me"));
        assertThat(vm.view().memory()).isNull();
    }
}
