package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Checkpoint.Consistency;
import org.torte.management.definition.Checkpoint.Kind;
import org.torte.management.definition.CheckpointChange;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.VmDefinition;

/** Checkpoints on real images, with workers that are no processes, and with an end of service or worker at each step. */
class CheckpointsTest {
    private static final int SIZE = 1 << 20;
    private static final int PIECE = 64 << 10;
    /** The end of the name of what the disk tier keeps beside a disk that is being merged. */
    private static final String JOURNAL = ".merge";

    @TempDir
    Path folder;

    /** A data folder with a virtual machine, and what its disk must hold now and at each checkpoint. */
    private static final class Place implements AutoCloseable {
        final Path root;
        final FakeWorkers workers = new FakeWorkers();
        final Map<String, byte[]> kept = new HashMap<>();
        final byte[] model = new byte[SIZE];
        /** The step at which something is killed; counted from 1. */
        int killAt;

        final AtomicInteger steps = new AtomicInteger();
        boolean serviceDies;
        boolean applying;
        String killed = "";
        private final FakeSwitches switches = new FakeSwitches();
        private DataFolder data;
        private Host host;
        private int version;

        Place(Path root) throws IOException {
            this.root = Files.createDirectories(root);
            workers.withDisks = true;
            workers.steps = step -> step(step, !serviceDies);
            VirtualDisks.create(
                    root.resolve("base.vhdx"),
                    DiskFormat.VHDX,
                    CreateOptions.dynamic(SIZE).withBlockSize(SIZE),
                    DiskOptions.readWrite());
            data = DataFolder.open(root.resolve("data"));
            host = Host.open(data, workers, switches, InstantSource.system(), step -> step(step, serviceDies));
            host.create(new NewVm(
                    "a",
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    new Hardware.Disk(root.resolve("base.vhdx").toString(), "vhdx", false),
                    null,
                    null,
                    null,
                    null,
                    null));
        }

        private void step(String what, boolean here) {
            if (here && killAt > 0 && steps.incrementAndGet() >= killAt) {
                killed = killed.isEmpty() ? what : killed;
                throw new FakeWorkers.Killed();
            }
        }

        void reopen() {
            close();
            killAt = 0;
            data = DataFolder.open(root.resolve("data"));
            host = Host.open(data, workers, switches, InstantSource.system());
        }

        Vm vm() {
            return host.find("a");
        }

        VmDefinition definition() {
            return vm().view().definition();
        }

        Path file(String path) {
            return vm().view().folder().resolve(path);
        }

        /** What the guest writes, or somebody who has the disk of a machine that is off. */
        void write() {
            version++;
            byte[] piece = new byte[PIECE];
            Arrays.fill(piece, (byte) version);
            FakeWorkers.FakeWorker running = workers.running.get(vm().view().folder());
            if (running != null) {
                write(running.disks.getFirst(), piece);
                return;
            }
            try (VirtualDisk disk = VirtualDisks.open(
                    file(definition().disks().getFirst().path()), DiskFormat.VHDX, DiskOptions.readWrite())) {
                write(disk, piece);
            }
        }

        private void write(VirtualDisk disk, byte[] piece) {
            for (int at : List.of(0, version * PIECE)) {
                disk.write(at, piece);
                System.arraycopy(piece, 0, model, at, PIECE);
            }
            disk.flush();
        }

        byte[] content(String path) {
            byte[] all = new byte[SIZE];
            try (VirtualDisk disk = VirtualDisks.open(file(path), DiskFormat.VHDX, DiskOptions.readOnly())) {
                disk.read(0, all);
            }
            return all;
        }

        /** Starts and stops the machine, and looks at every file. */
        void verify(String what, List<byte[]> expected) throws InterruptedException, IOException {
            if (vm().worker().isPresent()) {
                done(vm().turnOff("me"));
            }
            done(vm().start("me"));
            done(vm().turnOff("me"));
            VmDefinition now = definition();
            byte[] content = content(now.disks().getFirst().path());
            assertThat(expected.stream().anyMatch(one -> Arrays.equals(one, content)))
                    .as("%s: what the machine has", what)
                    .isTrue();
            for (Checkpoint one : now.checkpoints().items()) {
                String disk = one.disks().getFirst().path();
                assertThat(content(disk)).as("%s: %s", what, one.name()).isEqualTo(kept.get(one.name()));
                if (one.savedState() != null) {
                    assertThat(file(one.savedState())).as(what).isNotEmptyFile();
                }
            }
            Set<String> named = CheckpointChange.files(now);
            // How far a merge came that still has to be ended; with that it goes.
            now.checkpoints().merges().forEach(link -> named.add(link.child() + JOURNAL));
            try (Stream<Path> files = Files.list(vm().view().folder().path())) {
                Set<String> left = files.map(path -> path.getFileName().toString())
                        .filter(name -> !name.startsWith("definition") && !name.equals("run"))
                        .collect(Collectors.toSet());
                assertThat(named).as("%s: nothing is left behind", what).containsAll(left);
            }
            for (String name : named) {
                if (name.endsWith(".vhdx") && Files.exists(file(name))) {
                    assertThat(VirtualDisks.check(file(name), DiskFormat.VHDX, DiskOptions.readOnly(), false)
                                    .sound())
                            .as("%s: %s", what, name)
                            .isTrue();
                }
            }
        }

        /** A merge ends with the deletion of the file and then of its journal, and may be killed between the two. */
        void loseLastStep() throws IOException {
            if (killed.startsWith("merged ")) {
                Files.writeString(file(killed.substring("merged ".length()) + JOURNAL), "of a merge");
            }
        }

        /** When the service is there again, without anybody asking it for anything. */
        void refuseOrphans(String what) throws IOException {
            if (vm().worker().isPresent()) {
                return;
            }
            try (Stream<Path> files = Files.list(vm().view().folder().path())) {
                assertThat(files.map(Path::toString).filter(name -> name.endsWith(JOURNAL)))
                        .as("%s: a journal belongs to a file", what)
                        .allMatch(name -> Files.exists(Path.of(name.substring(0, name.length() - JOURNAL.length()))));
            }
        }

        @Override
        public void close() {
            host.close();
            data.close();
        }
    }

    private static boolean ended(Task task) throws InterruptedException {
        assertThat(task.await(60, TimeUnit.SECONDS)).isTrue();
        return task.view().state() == Task.State.SUCCEEDED;
    }

    private static void done(Task task) throws InterruptedException {
        assertThat(ended(task)).as(String.valueOf(task.view().problem())).isTrue();
    }

    private static void refused(Problem.Kind kind, String words, ThrowingCallable call) {
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(call)
                .satisfies(e -> assertThat(e.kind()).isEqualTo(kind))
                .satisfies(e -> assertThat(e.line()).contains(words));
    }

    /** Begins a checkpoint at which the worker stays, and cancels it there. */
    private static Task cancelled(Place place) throws InterruptedException {
        done(place.vm().start("me"));
        place.workers.silent.add("checkpoint.new");
        Task task = place.vm().checkpoints().create("me", "one", Kind.STANDARD);
        while (!place.workers.asked.contains("checkpoint.new")) {
            Thread.onSpinWait();
        }
        place.kept.put("one", place.model.clone());
        task.cancel();
        assertThat(task.await(60, TimeUnit.SECONDS)).isTrue();
        place.workers.silent.clear();
        return task;
    }

    @Test
    void aCheckpointThatIsCancelledIsEndedByItsWorkerAndThereIsNone() throws Exception {
        try (Place place = new Place(folder.resolve("a"))) {
            List<Hardware.Disk> before = place.definition().disks();
            Task task = cancelled(place);
            assertThat(task.view().state()).isEqualTo(Task.State.CANCELLED);
            assertThat(place.workers.asked).contains("cancel");
            assertThat(place.definition().checkpoints().items()).isEmpty();
            assertThat(place.definition().disks()).isEqualTo(before);
            done(place.vm().checkpoints().create("me", "one", Kind.STANDARD));
            place.verify("cancelled", List.of(place.model));
        }
    }

    @Test
    void aCheckpointThatIsCancelledTooLateIsDoneAndItsTaskSaysSo() throws Exception {
        try (Place place = new Place(folder.resolve("a"))) {
            place.workers.tooLate = true;
            Task task = cancelled(place);
            assertThat(task.view().state()).isEqualTo(Task.State.SUCCEEDED);
            assertThat(task.view().log()).anyMatch(line -> line.contains("too late"));
            assertThat(place.definition().checkpoints().items()).hasSize(1);
            place.verify("cancelled too late", List.of(place.model));
        }
    }

    /**
     * A life with checkpoints: a chain of two, back to the first with the present kept, and all of them removed: one in the
     * middle of a branch, one at its end, and the one that the machine goes on from.
     *
     * @return whether it came to its end
     */
    private static boolean live(Place place, boolean running) throws InterruptedException {
        if (running) {
            done(place.vm().start("me"));
        }
        place.killAt = -place.killAt;
        place.write();
        byte[] first = place.model.clone();
        place.kept.put("one", first);
        if (!ended(place.vm().checkpoints().create("me", "one", Kind.STANDARD))) {
            return false;
        }
        place.write();
        place.kept.put("two", place.model.clone());
        if (!ended(place.vm().checkpoints().create("me", "two", Kind.PRODUCTION))) {
            return false;
        }
        place.write();
        if (running && place.vm().worker().isPresent()) {
            done(place.vm().turnOff("me"));
        }
        place.kept.put("three", place.model.clone());
        place.applying = true;
        if (!ended(place.vm().checkpoints().apply("me", "one", "three"))) {
            return false;
        }
        place.applying = false;
        System.arraycopy(first, 0, place.model, 0, SIZE);
        assertThat(place.vm().view().state()).isEqualTo(running ? VmState.SAVED : VmState.OFF);
        if (running && !ended(place.vm().start("me"))) {
            return false;
        }
        place.write();
        for (String name : List.of("two", "three", "one")) {
            if (!ended(place.vm().checkpoints().remove("me", name))) {
                return false;
            }
        }
        return true;
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aTreeGrowsIsGoneBackInAndGoesAgain(boolean running) throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            String disk = place.definition().disks().getFirst().path();
            assertThat(live(place, running)).isTrue();
            assertThat(place.definition().checkpoints().empty()).isTrue();
            assertThat(place.definition().disks().getFirst().path()).isEqualTo(disk);
            place.verify("the end", List.of(place.model));
            place.reopen();
            place.verify("reopened", List.of(place.model));
        }
    }

    /** Every step of the life above, one after the other, is the last one of the service, or of the worker. */
    private void die(boolean running, boolean service, int first, int every) throws Exception {
        int at = first;
        while (true) {
            try (Place place = new Place(folder.resolve((running ? "running" : "off") + service + at))) {
                place.serviceDies = service;
                // Negative until it begins: what is before that is not counted.
                place.killAt = -at;
                boolean whole = live(place, running);
                String what = (service ? "service" : "worker") + " killed at step " + at + ", " + place.killed;
                if (place.killed.isEmpty()) {
                    assertThat(whole).isTrue();
                    System.out.println(what + "the whole life: " + place.steps.get() + " steps");
                    return;
                }
                place.killAt = 0;
                place.loseLastStep();
                if (service) {
                    place.reopen();
                    place.refuseOrphans(what);
                }
                if (place.vm().worker().isPresent() && at % 2 == 1) {
                    // The guest goes on, and the work is ended under it.
                    place.write();
                    done(place.vm().checkpoints().merge("me"));
                }
                // While a checkpoint is applied it is the one state or the other; otherwise the last write is there.
                List<byte[]> expected = place.applying ? List.of(place.model, first(place)) : List.of(place.model);
                place.verify(what, expected);
                done(place.vm().checkpoints().merge("me"));
                assertThat(place.definition().checkpoints().merges()).as(what).isEmpty();
                place.verify(what + ", merged", expected);
            }
            at += every;
        }
    }

    private static byte[] first(Place place) {
        return place.kept.getOrDefault("one", place.model);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theServiceIsKilledAtManySteps(boolean running) throws Exception {
        die(running, true, 1 + (int) (Long.getLong("torte.seed", 1) % 11), 11);
    }

    @Test
    void theWorkerIsKilledAtEachStep() throws Exception {
        die(true, false, 1, 1);
    }

    @Tag("long")
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theServiceIsKilledAtEachStep(boolean running) throws Exception {
        die(running, true, 1, 1);
    }

    @Test
    void memoryComesBackWithAStandardCheckpointAndStaysForTheNextTime() throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            done(place.vm().start("me"));
            done(place.vm().checkpoints().create("me", "one", Kind.STANDARD));
            done(place.vm().checkpoints().create("me", null, Kind.PRODUCTION));
            List<Checkpoint> items = place.definition().checkpoints().items();
            assertThat(items)
                    .extracting(Checkpoint::consistency)
                    .containsExactly(Consistency.MEMORY, Consistency.FILE_SYSTEMS);
            refused(
                    Problem.Kind.CONFLICT,
                    "stop it first",
                    () -> place.vm().checkpoints().apply("me", "one", null));
            done(place.vm().turnOff("me"));
            for (int i = 0; i < 2; i++) {
                done(place.vm().checkpoints().apply("me", "ONE", null));
                assertThat(place.vm().view().state()).isEqualTo(VmState.SAVED);
                assertThat(place.file(place.definition().savedState())).hasContent("memory");
                done(place.vm().start("me"));
                assertThat(place.file(place.definition().savedState())).doesNotExist();
                done(place.vm().turnOff("me"));
            }
            done(place.vm().checkpoints().apply("me", items.getLast().name(), null));
            assertThat(place.vm().view().state()).isEqualTo(VmState.OFF);
        }
    }

    @Test
    void aGuestThatDoesNotFreezeIsSaidToBeCrashConsistent() throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            place.workers.failing.add("freeze");
            done(place.vm().start("me"));
            Task task = place.vm().checkpoints().create("me", "one", Kind.PRODUCTION);
            done(task);
            assertThat(place.vm().checkpoints().find("one").consistency()).isEqualTo(Consistency.CRASH);
            assertThat(task.view().log().toString()).contains("are not frozen (it fails)");
        }
    }

    @Test
    void aMachineThatIsBusyHoldsUpNoOther() throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            Vm busy = place.host.create(new NewVm(
                    "busy",
                    null,
                    null,
                    null,
                    null,
                    null,
                    null,
                    new Hardware.Disk(place.root.resolve("base.vhdx").toString(), "vhdx", true),
                    null,
                    null,
                    null,
                    null,
                    null));
            done(place.vm().checkpoints().create("me", "one", Kind.PRODUCTION));
            // As long as this is held, nothing that changes the busy machine can be done, but all else can.
            synchronized (busy) {
                FutureTask<Task> other = new FutureTask<>(
                        () -> place.host.find("a").checkpoints().remove("me", "one"));
                Thread.ofVirtual().start(other);
                done(other.get(30, TimeUnit.SECONDS));
            }
        }
    }

    @Test
    void howFarAMergeUnderARunningMachineIsShowsItsTask() throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            done(place.vm().start("me"));
            done(place.vm().checkpoints().create("me", "one", Kind.PRODUCTION));
            long before = place.host.events().last();
            done(place.vm().checkpoints().remove("me", "one"));
            assertThat(place.host.events().after(before, 1000))
                    .filteredOn(event -> event.type().equals("task.changed"))
                    .anySatisfy(event -> assertThat(event.data()).contains("\"progress\":42"));
        }
    }

    @Test
    void whatCannotBeIsRefused() throws Exception {
        try (Place place = new Place(folder.resolve("place"))) {
            Checkpoints checkpoints = place.vm().checkpoints();
            done(checkpoints.create("me", "one", Kind.STANDARD));
            done(checkpoints.create("me", "two", Kind.STANDARD));
            done(checkpoints.apply("me", "one", null));
            refused(Problem.Kind.EXISTS, "already", () -> checkpoints.create("me", "ONE", Kind.STANDARD));
            refused(
                    Problem.Kind.INVALID,
                    "is no name for a checkpoint",
                    () -> checkpoints.create("me", "a/b", Kind.STANDARD));
            refused(Problem.Kind.NOT_FOUND, "torte checkpoint list a", () -> checkpoints.remove("me", "three"));
            refused(
                    Problem.Kind.CONFLICT,
                    "two, the machine itself have in common",
                    () -> checkpoints.remove("me", "one"));
            refused(Problem.Kind.CONFLICT, "remove them first", () -> place.host.remove(place.vm(), false));
            refused(Problem.Kind.EXISTS, "already", () -> checkpoints.rename("one", "Two"));
            assertThat(checkpoints.rename("one", "One").name()).isEqualTo("One");
            done(checkpoints.remove("me", "two"));
            done(checkpoints.remove("me", "One"));
            assertThat(place.host.remove(place.vm(), false).disks()).hasSize(1);
        }
    }
}
