package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisks;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Boot;
import org.torte.management.definition.VmDefinition;
import org.torte.management.definition.VmDefinition.AutomaticStart;
import org.torte.management.process.WorkerEnd;

class HostTest {
    @TempDir
    Path folder;

    private final FakeWorkers workers = new FakeWorkers();
    private Path kernel;
    private final FakeSwitches switches = new FakeSwitches();
    private DataFolder data;
    private Host host;

    @BeforeEach
    void openHost() throws IOException {
        kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel");
        open();
    }

    @AfterEach
    void closeHost() {
        host.close();
        data.close();
    }

    private void open() {
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, switches, InstantSource.system());
    }

    private void reopen() {
        closeHost();
        open();
    }

    private Vm vm(String name) {
        return vm(name, AutomaticStart.NOTHING);
    }

    private Vm vm(String name, AutomaticStart automatic) {
        return host.create(new NewVm(
                name,
                null,
                null,
                null,
                null,
                new Boot(kernel.toString(), List.of(), ""),
                null,
                null,
                null,
                null,
                null,
                automatic,
                null));
    }

    private static Task.View end(Task task) throws InterruptedException {
        assertThat(task.await(30, TimeUnit.SECONDS)).isTrue();
        return task.view();
    }

    private static void done(Task task) throws InterruptedException {
        Task.View view = end(task);
        assertThat(view.state()).as(String.valueOf(view.problem())).isEqualTo(Task.State.SUCCEEDED);
    }

    private static void refused(Problem.Kind kind, String words, ThrowingCallable call) {
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(call)
                .satisfies(e -> assertThat(e.kind()).isEqualTo(kind))
                .satisfies(e -> assertThat(e.line()).contains(words));
    }

    @Test
    void aMachineGoesThroughItsLife() throws InterruptedException {
        Vm vm = vm("web1");
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        done(vm.start("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
        done(vm.pause("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.PAUSED);
        done(vm.resume("me"));
        done(vm.save("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.SAVED);
        refused(Problem.Kind.CONFLICT, "is saved, not running; start it", () -> vm.turnOff("me"));
        done(vm.discard("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        done(vm.start("me"));
        done(vm.stop("me", Duration.ofSeconds(30)));
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(vm.view().lastEnd()).isEqualTo(new WorkerEnd(WorkerEnd.Cause.POWERED_OFF, "powered-off"));
        assertThat(host.tasks().before(Long.MAX_VALUE, 100)).hasSize(7);
    }

    @ParameterizedTest
    @CsvSource({
        "OFF, stop, start it first",
        "OFF, pause, start it first",
        "OFF, resume, start it first",
        "OFF, save, start it first",
        "OFF, restart, start it first",
        "OFF, discard, nothing to discard",
        "RUNNING, start, nothing needs to be done",
        "RUNNING, resume, is Running",
        "RUNNING, discard, is Running",
        "PAUSED, start, is Paused already",
        "PAUSED, pause, resume it first",
        "PAUSED, stop, resume it first",
        "SAVED, pause, start it first",
        "SAVED, stop, start it first",
    })
    void whatDoesNotFitTheStateIsRefusedWithWhatToDo(VmState state, String action, String words)
            throws InterruptedException {
        Vm vm = vm("web1");
        switch (state) {
            case RUNNING -> done(vm.start("me"));
            case PAUSED -> {
                done(vm.start("me"));
                done(vm.pause("me"));
            }
            case SAVED -> {
                done(vm.start("me"));
                done(vm.save("me"));
            }
            default -> assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        }

        refused(Problem.Kind.CONFLICT, words, () -> action(vm, action));

        assertThat(vm.view().state()).isEqualTo(state);
        assertThat(host.tasks().before(Long.MAX_VALUE, 100)).noneMatch(task -> task.state() == Task.State.RUNNING);
    }

    private static Task action(Vm vm, String action) {
        return switch (action) {
            case "start" -> vm.start("me");
            case "stop" -> vm.stop("me", Duration.ofSeconds(30));
            case "pause" -> vm.pause("me");
            case "resume" -> vm.resume("me");
            case "restart" -> vm.restart("me");
            case "save" -> vm.save("me");
            case "discard" -> vm.discard("me");
            default -> throw new IllegalArgumentException(action);
        };
    }

    @Test
    void whoeverComesSecondIsToldWhatGoesOn() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        workers.silent.add("shutdown");
        Task stopping = vm.stop("alice", Duration.ofSeconds(60));

        refused(
                Problem.Kind.CONFLICT,
                "is busy with task " + stopping.id() + " (vm.stop by alice",
                () -> vm.pause("me"));
        assertThat(vm.view().task()).isEqualTo(stopping.id());
        assertThat(vm.view().state()).isEqualTo(VmState.STOPPING);

        stopping.cancel();
        assertThat(end(stopping).state()).isEqualTo(Task.State.CANCELLED);
        assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
    }

    @ParameterizedTest
    @CsvSource({"shutdown", "pause", "save", "stop"})
    void turningOffWorksWhateverHangs(String command) throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        workers.silent.add(command);
        Task hanging = switch (command) {
            case "shutdown" -> vm.stop("me", Duration.ofHours(1));
            case "pause" -> vm.pause("me");
            case "save" -> vm.save("me");
            default -> null;
        };

        done(vm.turnOff("me"));

        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(vm.view().task()).isNull();
        if (hanging != null) {
            assertThat(end(hanging).state()).isIn(Task.State.CANCELLED, Task.State.FAILED);
        }
    }

    @Test
    void turningOffWorksWhileItStarts() throws InterruptedException {
        workers.startSlowly();
        Vm vm = vm("web1");
        Task starting = vm.start("me");
        while (vm.view().processId() == null) {
            Thread.onSpinWait();
        }

        done(vm.turnOff("me"));

        assertThat(end(starting).state()).isEqualTo(Task.State.CANCELLED);
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
    }

    @Test
    void aWorkerThatCannotStartLeavesTheMachineOffAndSaysWhy() throws InterruptedException {
        workers.failToStart("there is no kernel");
        Vm vm = vm("web1");

        Task.View view = end(vm.start("me"));

        assertThat(view.state()).isEqualTo(Task.State.FAILED);
        assertThat(view.problem()).isEqualTo(new Task.Failure(Problem.Kind.FAILED, "there is no kernel", "mend it"));
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(host.tasks().find(view.id()).orElseThrow()).isEqualTo(view);
    }

    @Test
    void theDeathOfAWorkerIsNotedWithItsCause() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        long before = host.events().last();

        workers.of(vm).kill();

        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(vm.view().lastEnd()).isEqualTo(new WorkerEnd(WorkerEnd.Cause.DIED, "died"));
        assertThat(host.events().after(before, 10))
                .extracting(Events.Event::type)
                .containsExactly("vm.state", "vm.ended");
    }

    @Test
    void machinesOutliveTheService() throws InterruptedException {
        Vm first = vm("web1");
        Vm second = vm("web2");
        done(first.start("me"));
        done(second.start("me"));
        done(second.pause("me"));

        reopen();

        assertThat(host.find("WEB1").view().state()).isEqualTo(VmState.RUNNING);
        assertThat(host.find(second.id().toString()).view().state()).isEqualTo(VmState.PAUSED);
        done(host.find("web1").stop("me", Duration.ofSeconds(30)));
    }

    @Test
    void aWorkerThatCannotSayHowItIsIsLeftAlone() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        workers.failing.add("status");

        reopen();

        assertThat(workers.of(host.find("web1")).end()).isNotDone();
        assertThat(host.find("web1").view().state()).isEqualTo(VmState.RUNNING);
    }

    @Test
    void afterTheHostWentDownMachinesStartAsTheySay() throws InterruptedException {
        for (AutomaticStart automatic : AutomaticStart.values()) {
            Vm vm = vm("ran-" + automatic, automatic);
            vm("off-" + automatic, automatic);
            done(vm.start("me"));
        }
        closeHost();
        workers.loseAll();

        open();

        List<String> started = host.tasks().before(Long.MAX_VALUE, 100).stream()
                .filter(task -> task.owner().equals("service"))
                .map(Task.View::targetName)
                .toList();
        assertThat(started).containsExactlyInAnyOrder("ran-IF_IT_RAN", "ran-ALWAYS", "off-ALWAYS");
    }

    @Test
    void aTaskThatTheServiceDidNotFinishIsNotShownAsRunning() throws InterruptedException {
        done(vm("web1").start("me"));
        host.database().update("UPDATE task SET state = 'RUNNING', ended = NULL, problem = NULL");

        reopen();

        Task.View view = host.tasks().before(Long.MAX_VALUE, 1).getFirst();
        assertThat(view.state()).isEqualTo(Task.State.FAILED);
        assertThat(String.valueOf(view.problem())).contains("the service ended");
    }

    @Test
    void namesAreUniqueWithoutRegardToCase() {
        vm("web1");
        refused(Problem.Kind.EXISTS, "choose another name", () -> vm("WEB1"));
        Vm other = vm("web2");
        refused(Problem.Kind.EXISTS, "choose another name", () -> host.change(other, old -> old.withName("Web1")));
        assertThat(host.change(other, old -> old.withName("WEB2")).definition().name())
                .isEqualTo("WEB2");
    }

    @Test
    void aFolderOfWhichNobodyCanTellWhetherItRunsHindersNobody() throws InterruptedException {
        Vm odd = vm("odd");
        vm("web1");
        workers.failing.add("find odd");
        reopen();
        assertThat(host.list()).extracting(view -> view.definition().name()).containsExactly("web1");
        assertThat(host.unreadable()).containsOnlyKeys(odd.view().folder().path());
        done(host.find("web1").start("me"));
    }

    private static VmDefinition limited(VmDefinition old, int percent) {
        return new VmDefinition(
                old.version(),
                old.id(),
                old.name(),
                old.notes(),
                old.hardware(),
                percent,
                old.translator(),
                old.automaticStart(),
                old.savedState(),
                old.checkpoints());
    }

    @Test
    void theLimitOfProcessorsIsToldToAMachineThatRuns() throws InterruptedException {
        Vm vm = vm("web1");
        host.change(vm, old -> limited(old, 70));
        done(vm.start("me"));
        assertThat(workers.asked).doesNotContain("processor-limit");
        host.change(vm, old -> limited(old, 50));
        assertThat(workers.asked).contains("processor-limit");
        workers.failing.add("processor-limit");
        refused(Problem.Kind.FAILED, "restart it", () -> host.change(vm, old -> limited(old, 20)));
        assertThat(vm.view().definition().processorLimit()).isEqualTo(20);
        refused(Problem.Kind.INVALID, "1 to 100 percent", () -> host.change(vm, old -> limited(old, 0)));
        refused(Problem.Kind.INVALID, "1 to 100 percent", () -> host.change(vm, old -> limited(old, 101)));
    }

    private static VmDefinition translating(VmDefinition old, VmDefinition.Translator how) {
        return new VmDefinition(
                old.version(),
                old.id(),
                old.name(),
                old.notes(),
                old.hardware(),
                old.processorLimit(),
                how,
                old.automaticStart(),
                old.savedState(),
                old.checkpoints());
    }

    @Test
    void theTranslatorIsOnAndChangesOnlyWhileItDoesNotRun() throws InterruptedException {
        Vm vm = vm("web1");
        assertThat(vm.view().definition().translator()).isEqualTo(VmDefinition.Translator.ON);
        done(vm.start("me"));
        refused(
                Problem.Kind.CONFLICT,
                "needs a stop",
                () -> host.change(vm, old -> translating(old, VmDefinition.Translator.OFF)));
        done(vm.save("me"));
        host.change(vm, old -> translating(old, VmDefinition.Translator.OFF));
        assertThat(vm.view().definition().translator()).isEqualTo(VmDefinition.Translator.OFF);
    }

    @Test
    void hardwareChangesOnlyWhileItIsOff() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        refused(Problem.Kind.CONFLICT, "needs a stop", () -> host.change(vm, old -> processors(old, 2)));
        host.change(vm, old -> old.withName("web2"));
        done(vm.save("me"));
        refused(Problem.Kind.CONFLICT, "is saved", () -> host.change(vm, old -> processors(old, 2)));
        done(vm.discard("me"));
        host.change(vm, old -> processors(old, 2));

        reopen();

        assertThat(host.find("web2").view().definition().hardware().processors())
                .isEqualTo(2);
    }

    private static VmDefinition processors(VmDefinition old, int count) {
        Hardware was = old.hardware();
        return new VmDefinition(
                old.version(),
                old.id(),
                old.name(),
                old.notes(),
                new Hardware(
                        count,
                        was.memory(),
                        was.dynamicMemory(),
                        was.boot(),
                        was.disks(),
                        was.hypervisor(),
                        was.adapters()),
                old.processorLimit(),
                old.translator(),
                old.automaticStart(),
                old.savedState(),
                old.checkpoints());
    }

    @Test
    void onlyWhatDoesNotRunIsRemovedAndItsFolderGoes() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        refused(Problem.Kind.CONFLICT, "stop it first", () -> host.remove(vm, false));
        done(vm.turnOff("me"));
        host.remove(vm, false);

        assertThat(host.list()).isEmpty();
        assertThat(vm.view().folder().path()).doesNotExist();
        refused(Problem.Kind.NOT_FOUND, "has been removed", () -> vm.start("me"));
        refused(Problem.Kind.NOT_FOUND, "torte vm list", () -> host.find("web1"));
    }

    private Vm onImage(String name, Path image) {
        return host.create(new NewVm(
                name,
                null,
                null,
                null,
                null,
                null,
                null,
                new Hardware.Disk(image.toString(), "vhdx", false),
                null,
                null,
                null,
                null,
                null));
    }

    private Path image() {
        Path image = folder.resolve("image.vhdx");
        VirtualDisks.create(
                image,
                DiskFormat.VHDX,
                new CreateOptions(DiskType.DYNAMIC, 16 << 20, 0, 0, 0, Optional.empty()),
                DiskOptions.readWrite());
        return image;
    }

    @Test
    void whatIsRemovedLiesElsewhereWithItsDisksAndCanComeBack() {
        Vm vm = onImage("web1", image());
        Path lay = vm.view().folder().path();
        Removed left = host.remove(vm, false);
        Path now = left.folder().orElseThrow();
        assertThat(lay).doesNotExist();
        assertThat(left.disks()).containsExactly(now.resolve("disk.vhdx"));
        assertThat(now.resolve("disk.vhdx")).isRegularFile();
        reopen();
        assertThat(host.list()).isEmpty();
        assertThat(host.unreadable()).isEmpty();

        Vm again = host.register(now);
        assertThat(again.id()).isEqualTo(vm.id());
        assertThat(host.remove(again, false)).isEqualTo(new Removed(Optional.of(now), left.disks()));
        assertThat(host.remove(host.register(now), true)).isEqualTo(new Removed(Optional.empty(), List.of()));
        assertThat(now).doesNotExist();
    }

    @Test
    void nothingIsRemovedThatOthersNeedAndNothingThatLiesOutside() throws IOException {
        Path outside = image();
        Vm base = onImage("base", outside);
        Path disk = base.view().folder().resolve("disk.vhdx");
        Vm child = onImage("child", disk);
        refused(Problem.Kind.CONFLICT, "remove child first", () -> host.remove(base, true));
        refused(Problem.Kind.CONFLICT, "remove child first", () -> host.remove(base, false));
        assertThat(disk).isRegularFile();
        host.remove(child, true);
        Path unknown = Files.writeString(base.view().folder().path().resolve("letter"), "not Torte's");
        Removed left = host.remove(base, true);
        assertThat(left.folder().orElseThrow().resolve("letter")).hasContent("not Torte's");
        assertThat(left.disks()).isEmpty();
        assertThat(unknown).doesNotExist();
        assertThat(disk).doesNotExist();
        assertThat(outside).isRegularFile();
    }

    @Test
    void aCloneHasDisksAndAddressesOfItsOwnAndWhatItIsBasedOnStays() throws InterruptedException, IOException {
        Vm base = onImage("base", image());
        host.change(base, old -> old.withName("base"));
        done(base.start("me"));
        refused(Problem.Kind.CONFLICT, "--checkpoint NAME", () -> host.clone(base, "me", "copy", null));
        done(base.turnOff("me"));
        refused(Problem.Kind.EXISTS, "choose another name", () -> host.clone(base, "me", "BASE", null));
        refused(Problem.Kind.NOT_FOUND, "torte checkpoint list", () -> host.clone(base, "me", "copy", "nothing"));

        done(host.clone(base, "me", "copy", null));

        Vm copy = host.find("copy");
        assertThat(copy.id()).isNotEqualTo(base.id());
        Path parent = base.view().folder().resolve("disk.vhdx");
        assertThat(Chains.files(
                        copy.view().folder(), copy.view().definition().disks().getFirst()))
                .contains(copy.view().folder().resolve("disk.vhdx"), parent);
        assertThat(base.view().definition().disks().getFirst().path())
                .as("the machine goes on elsewhere")
                .isNotEqualTo("disk.vhdx");
        refused(
                Problem.Kind.CONFLICT,
                "remove copy first",
                () -> base.checkpoints().remove("me", "for-copy"));

        done(host.clone(base, "me", "third", "for-copy"));
        reopen();
        assertThat(host.list()).hasSize(3);
        host.remove(host.find("third"), true);
        host.remove(host.find("copy"), true);
        Vm again = host.find("base");
        done(again.checkpoints().remove("me", "for-copy"));
        assertThat(again.view().definition().disks().getFirst().path()).isEqualTo("disk.vhdx");
    }

    @Test
    void aWorkerThatDoesNotAnswerIsToldAndCanOnlyBeTurnedOff() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        workers.of(vm).watcher.accept(Optional.of("it is stopped"));
        assertThat(vm.view().state()).isEqualTo(VmState.NOT_RESPONDING);
        assertThat(vm.view().silence()).isEqualTo("it is stopped");
        refused(Problem.Kind.CONFLICT, "is NotResponding", () -> vm.pause("me"));
        workers.of(vm).watcher.accept(Optional.empty());
        assertThat(vm.view().state()).isEqualTo(VmState.RUNNING);
        assertThat(vm.view().silence()).isNull();
        done(vm.pause("me"));
        workers.of(vm).watcher.accept(Optional.of("it is stopped"));
        done(vm.turnOff("me"));
        assertThat(vm.view().state()).isEqualTo(VmState.OFF);
        assertThat(String.valueOf(vm.view().lastEnd())).contains("TURNED_OFF", "did not answer");
    }

    @Test
    void aDamagedDefinitionIsShownAndNotTouched() throws IOException {
        Vm vm = vm("web1");
        Path file = vm.view().folder().definition();
        Files.writeString(file, "{\"version\": 1, \"name\": ");

        reopen();

        assertThat(host.list()).isEmpty();
        assertThat(host.unreadable())
                .hasEntrySatisfying(
                        vm.view().folder().path(),
                        problem -> assertThat(problem.line()).contains("is not JSON"));
        assertThat(file).content().isEqualTo("{\"version\": 1, \"name\": ");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"version\" : 8|\"version\" : 9|has version 9, which this Torte does not know",
                "\"processors\" : 1|\"processors\" : 65|processors is 65; give 1 to 64",
                "\"processors\" : 1|\"processors\" : \"1\"|processors",
                "\"notes\"|\"note\"|nothing is known of \"note\"",
                "\"memory\" : 536870912|\"memory\" : 1000|memory is 1000 bytes",
                "\"name\" : \"web1\"|\"name\" : \"../web1\"|is no name for a virtual machine",
                "\"hypervisor\" : \"auto\"|\"hypervisor\" : \"xen\"|give auto, software or kvm",
            })
    void whatIsWrongInADefinitionIsNamed(String before, String after, String words) throws IOException {
        Path file = vm("web1").view().folder().definition();
        String text = Files.readString(file);
        assertThat(text).contains(before);
        Files.writeString(file, text.replace(before, after));

        reopen();

        assertThat(host.unreadable().values())
                .singleElement()
                .satisfies(problem -> assertThat(problem.line()).contains(words));
    }

    @Test
    void aFolderElsewhereIsTakenInAndStaysThere() throws IOException {
        Vm vm = vm("web1");
        Path elsewhere = folder.resolve("elsewhere");
        Files.move(vm.view().folder().path(), elsewhere);
        reopen();
        assertThat(host.list()).isEmpty();

        host.register(elsewhere);
        refused(Problem.Kind.EXISTS, "already", () -> host.register(elsewhere));
        reopen();

        assertThat(host.list())
                .singleElement()
                .satisfies(view -> assertThat(view.folder().path()).isEqualTo(elsewhere));
    }

    @Test
    void whatTheDefinitionNamesHasToBeThere() {
        refused(
                Problem.Kind.INVALID,
                "there is no file /nowhere/vmlinuz",
                () -> host.create(new NewVm(
                        "web1",
                        null,
                        null,
                        null,
                        null,
                        new Boot("/nowhere/vmlinuz", List.of(), ""),
                        null,
                        null,
                        null,
                        null,
                        null,
                        null,
                        null)));
        refused(
                Problem.Kind.INVALID,
                "there is nothing to start from",
                () -> host.create(
                        new NewVm("web1", null, null, null, null, null, null, null, null, null, null, null, null)));
        assertThat(data.machines()).isEmptyDirectory();
    }

    @Test
    void aDataFolderHasOneService() {
        refused(
                Problem.Kind.CONFLICT,
                "another service (process " + ProcessHandle.current().pid() + ")",
                () -> DataFolder.open(folder.resolve("data")));
    }

    @Test
    void onlyItsUserReadsWhatIsInTheDataFolder() throws IOException {
        Path file = vm("web1").view().folder().definition();
        assertThat(Files.getPosixFilePermissions(file))
                .isEqualTo(Set.of(
                        java.nio.file.attribute.PosixFilePermission.OWNER_READ,
                        java.nio.file.attribute.PosixFilePermission.OWNER_WRITE));
        assertThat(Files.getPosixFilePermissions(data.machines())).hasSize(3);
    }

    @Test
    void eventsAreNumberedWithoutGapsAndResumable() throws InterruptedException {
        Vm vm = vm("web1");
        done(vm.start("me"));
        List<Events.Event> all = host.events().after(0, 1000);
        assertThat(all)
                .extracting(Events.Event::id)
                .isEqualTo(java.util.stream.LongStream.rangeClosed(1, all.size())
                        .boxed()
                        .toList());
        assertThat(host.events().after(3, 2)).isEqualTo(all.subList(3, 5));
    }
}
