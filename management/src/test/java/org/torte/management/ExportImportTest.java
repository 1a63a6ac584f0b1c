package org.torte.management;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.disk.AllowedFolders;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Family;
import org.torte.disk.operation.Reconnect;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Checkpoint.Consistency;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;

/** Exports and imports of real images, with an end of the service at each step, and of folders that mean harm. */
class ExportImportTest {
    private static final int SIZE = 1 << 20;

    @TempDir
    Path folder;

    private Path out;
    private FakeWorkers workers;
    private final FakeSwitches switches = new FakeSwitches();
    private DataFolder data;
    private Host host;
    private Consumer<String> steps = _ -> {};

    @BeforeEach
    void makeMachine() throws Exception {
        out = folder.resolve("out");
        open();
        Path base = create("base.vhdx");
        write(base, 1);
        byte[] kernel = Arrays.copyOf("kernel".getBytes(StandardCharsets.UTF_8), (1 << 20) + 3);
        host.create(new NewVm(
                "a",
                null,
                null,
                null,
                null,
                new Hardware.Boot(Files.write(folder.resolve("kernel"), kernel).toString(), List.of(), ""),
                null,
                new Hardware.Disk(base.toString(), "vhdx", false),
                null,
                null,
                null,
                VmDefinition.AutomaticStart.IF_IT_RAN,
                List.of(new Adapter.Wish(
                        null, null, "nat", List.of("2222:22"), List.of("80:" + folder.resolve("socket")), null))));
        done(vm("a").checkpoints().create("me", "one", Checkpoint.Kind.STANDARD));
        write(disk(), 2);
    }

    private void open() {
        workers = new FakeWorkers();
        workers.withDisks = true;
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, switches, InstantSource.system(), step -> steps.accept(step));
    }

    @AfterEach
    void close() {
        host.close();
        data.close();
    }

    private void reopen() {
        close();
        steps = _ -> {};
        open();
    }

    private Vm vm(String name) {
        return host.find(name);
    }

    private Path disk() {
        return disk(vm("a"));
    }

    private static Path disk(Vm vm) {
        Vm.View view = vm.view();
        return view.folder().resolve(view.definition().disks().getFirst().path());
    }

    private Path create(String name) {
        VirtualDisks.create(
                folder.resolve(name),
                DiskFormat.VHDX,
                CreateOptions.dynamic(SIZE).withBlockSize(SIZE),
                DiskOptions.readWrite());
        return folder.resolve(name);
    }

    /** Fills one of sixteen pieces with its number. */
    private static void write(Path disk, int piece) {
        byte[] bytes = new byte[SIZE / 16];
        Arrays.fill(bytes, (byte) piece);
        try (VirtualDisk open = VirtualDisks.open(disk, DiskFormat.VHDX, DiskOptions.readWrite())) {
            open.write((long) piece * bytes.length, bytes);
            open.flush();
        }
    }

    /** The pieces that have been written. */
    private static List<Integer> pieces(Path disk, DiskOptions options) {
        byte[] all = new byte[SIZE];
        try (VirtualDisk open = VirtualDisks.open(disk, DiskFormat.VHDX, options)) {
            open.read(0, all);
        }
        return Stream.iterate(0, piece -> piece + 1)
                .limit(16)
                .filter(piece -> all[piece * SIZE / 16] != 0)
                .toList();
    }

    private static List<Integer> pieces(Path disk) {
        return pieces(disk, DiskOptions.readOnly());
    }

    private static Task.View ended(Task task) throws InterruptedException {
        assertThat(task.await(1, TimeUnit.MINUTES)).isTrue();
        return task.view();
    }

    private static void done(Task task) throws InterruptedException {
        Task.View view = ended(task);
        assertThat(view.state()).as("%s", view.problem()).isEqualTo(Task.State.SUCCEEDED);
    }

    private List<String> left(Path where) throws IOException {
        try (Stream<Path> children = Files.list(where)) {
            return children.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void anExportNeedsNothingOutsideOfIt() throws Exception {
        done(host.export(vm("a"), "me", out, null));

        VmDefinition its = new org.torte.management.process.VmFolder(out).read();
        assertThat(its.hardware().boot().kernel()).isEqualTo("kernel");
        assertThat(Files.mismatch(folder.resolve("kernel"), out.resolve("kernel")))
                .isEqualTo(-1);
        Path moved = Files.move(out, folder.resolve("moved"));
        Files.move(folder.resolve("data"), folder.resolve("elsewhere"));
        Files.delete(folder.resolve("base.vhdx"));
        DiskOptions inside = DiskOptions.readOnly().withFolders(AllowedFolders.of(moved));
        assertThat(pieces(moved.resolve(its.disks().getFirst().path()), inside)).containsExactly(1, 2);
        assertThat(Family.chain(moved.resolve(its.disks().getFirst().path()), DiskFormat.VHDX, inside))
                .hasSize(3);
        Checkpoint one = its.checkpoints().items().getFirst();
        assertThat(pieces(moved.resolve(one.disks().getFirst().path()), inside)).containsExactly(1);
        assertThat(left(moved)).hasSize(5).contains("definition.json", "base.vhdx", "kernel");
    }

    @Test
    void anImportedMachineIsWhatItWasAndItsCheckpointsApply() throws Exception {
        done(host.export(vm("a"), "me", out, null));
        done(host.importVm("me", new Import.Wish(out, "b", true)));
        write(disk(), 3);

        VmDefinition was = vm("a").view().definition();
        VmDefinition copy = vm("b").view().definition();
        assertThat(copy.id()).isNotEqualTo(was.id());
        assertThat(copy.automaticStart()).isEqualTo(VmDefinition.AutomaticStart.NOTHING);
        assertThat(pieces(disk(vm("b")))).containsExactly(1, 2);
        done(vm("b").start("me"));
        done(vm("b").turnOff("me"));
        done(vm("b").checkpoints().apply("me", "one", null));
        assertThat(pieces(disk(vm("b")))).containsExactly(1);

        assertThatExceptionOfType(Problem.class)
                .isThrownBy(() -> host.importVm("me", new Import.Wish(out, "c", false)))
                .satisfies(problem -> assertThat(problem.line()).contains("id").contains("--copy"));
        done(vm("a").checkpoints().remove("me", "one"));
        Removed _ = host.remove(vm("a"), true);
        done(host.importVm("me", new Import.Wish(out, null, false)));
        assertThat(vm("a").id()).isEqualTo(was.id());
        assertThat(disk()).startsWith(out.toRealPath());
        reopen();
        assertThat(pieces(disk())).containsExactly(1, 2);
    }

    @Test
    void nothingOfTheOtherHostIsAskedOfThisOne() throws Exception {
        done(host.export(vm("a"), "me", out, null));
        Task task = host.importVm("me", new Import.Wish(out, "b", true));
        done(task);

        VmDefinition was = vm("a").view().definition();
        VmDefinition copy = vm("b").view().definition();
        Adapter adapter = copy.hardware().adapters().getFirst();
        assertThat(adapter.network()).isEqualTo("nat");
        assertThat(adapter.forwards()).isEmpty();
        assertThat(adapter.services()).isEmpty();
        assertThat(adapter.address())
                .isNotEqualTo(was.hardware().adapters().getFirst().address());
        assertThat(copy.checkpoints().items().getFirst().hardware().adapters()).containsExactly(adapter);
        assertThat(task.view().log().toString()).contains("2222:22").contains("80:" + folder.resolve("socket"));
    }

    @Test
    void aMachineThatRunsIsExportedFromACheckpointOnly() throws Exception {
        done(vm("a").start("me"));
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(() -> host.export(vm("a"), "me", out, null))
                .satisfies(problem ->
                        assertThat(problem.line()).contains("Running").contains("--checkpoint"));
        done(vm("a").checkpoints().create("me", "two", Checkpoint.Kind.STANDARD));
        done(host.export(vm("a"), "me", out, "two"));

        VmDefinition its = new org.torte.management.process.VmFolder(out).read();
        assertThat(pieces(out.resolve(its.disks().getFirst().path()))).containsExactly(1, 2);
        assertThat(its.checkpoints().items()).hasSize(1);
        assertThat(its.checkpoints().items().getFirst().consistency()).isEqualTo(Consistency.OFF);
        done(vm("a").turnOff("me"));
        done(host.export(vm("a"), "me", folder.resolve("all"), null));
        VmDefinition all = new org.torte.management.process.VmFolder(folder.resolve("all")).read();
        assertThat(all.checkpoints().items().getLast().savedState()).isNull();
        assertThat(all.checkpoints().items().getLast().consistency()).isEqualTo(Consistency.CRASH);
    }

    @Test
    void aCancelledExportLeavesNothing() throws Exception {
        AtomicInteger copied = new AtomicInteger();
        steps = step -> {
            if (step.startsWith("copy ") && copied.incrementAndGet() == 2) {
                host.tasks()
                        .before(Long.MAX_VALUE, 1)
                        .forEach(view ->
                                host.tasks().running(view.id()).orElseThrow().cancel());
            }
        };
        assertThat(ended(host.export(vm("a"), "me", out, null)).state()).isEqualTo(Task.State.CANCELLED);
        assertThat(left(folder)).doesNotContain("out", "out.partial");
        steps = _ -> {};
        done(host.export(vm("a"), "me", out, null));
    }

    @Test
    void anExportThatIsKilledAtAnyStepIsNeverHalfThere() throws Exception {
        for (int at = 1; at < 1000; at++) {
            killAt(at);
            boolean finished = ended(host.export(vm("a"), "me", out, null)).state() == Task.State.SUCCEEDED;
            if (Files.exists(out)) {
                VmDefinition its = new org.torte.management.process.VmFolder(out).read();
                assertThat(pieces(out.resolve(its.disks().getFirst().path())))
                        .as("killed at step " + at)
                        .containsExactly(1, 2);
                Removal.deleteQuietly(out);
            }
            reopen();
            if (finished) {
                assertThat(at).isGreaterThan(10);
                assertThat(left(folder)).doesNotContain("out.partial");
                return;
            }
            if (at % 4 == 0) {
                done(host.export(vm("a"), "me", out, null));
                assertThat(left(folder)).doesNotContain("out.partial");
                Removal.deleteQuietly(out);
            }
        }
        throw new AssertionError("it never comes to its end");
    }

    @Test
    void anImportThatIsKilledAtAnyStepIsNeverHalfThere() throws Exception {
        done(host.export(vm("a"), "me", out, null));
        for (int at = 1; at < 1000; at++) {
            killAt(at);
            boolean finished =
                    ended(host.importVm("me", new Import.Wish(out, "b", true))).state() == Task.State.SUCCEEDED;
            reopen();
            assertThat(left(data.machines())).as("killed at step " + at).noneMatch(name -> name.endsWith(".partial"));
            assertThat(host.unreadable()).isEmpty();
            if (host.list().size() > 1) {
                assertThat(pieces(disk(vm("b")))).containsExactly(1, 2);
                done(vm("b").checkpoints().remove("me", "one"));
                Removed _ = host.remove(vm("b"), true);
            }
            if (finished) {
                assertThat(at).isGreaterThan(10);
                return;
            }
        }
        throw new AssertionError("it never comes to its end");
    }

    private void killAt(int at) {
        AtomicInteger count = new AtomicInteger();
        steps = _ -> {
            if (count.incrementAndGet() >= at) {
                throw new FakeWorkers.Killed();
            }
        };
    }

    @Test
    void whatOnlyHasThatNameIsNotDeleted() throws Exception {
        Path partial = Files.createDirectory(folder.resolve("out.partial"));
        Files.writeString(partial.resolve("mine"), "mine");
        Task.View view = ended(host.export(vm("a"), "me", out, null));
        assertThat(view.state()).isEqualTo(Task.State.FAILED);
        assertThat(String.valueOf(view.problem())).contains("out.partial already");
        assertThat(partial.resolve("mine")).hasContent("mine");
    }

    /** Something that is wrong with a folder. */
    private interface Harm {
        void to(Path exported, ObjectNode definition) throws IOException;
    }

    private void refused(Harm harm, String... words) throws Exception {
        Removal.deleteQuietly(out);
        done(host.export(vm("a"), "me", out, null));
        Path file = out.resolve("definition.json");
        ObjectNode definition = (ObjectNode) Json.read(Files.readAllBytes(file), JsonNode.class, "it");
        harm.to(out, definition);
        if (Files.exists(file) && !Files.readString(file).equals("{broken")) {
            Files.write(file, Json.pretty(definition));
        }
        List<String> before = left(data.machines());
        for (boolean copy : List.of(true, false)) {
            Import.Wish wish = new Import.Wish(out, "b", copy);
            Import plan = host.planImport(wish);
            String told = plan.problems().stream().map(Problem::line).reduce("", (one, other) -> one + other + "\n");
            assertThat(told).contains(words);
            assertThat(plan.problems())
                    .allSatisfy(problem -> assertThat(problem.remedy()).isNotBlank());
            assertThatExceptionOfType(Problem.class).isThrownBy(() -> host.importVm("me", wish));
        }
        assertThat(left(data.machines())).isEqualTo(before);
        assertThat(host.list()).hasSize(1);
    }

    private static ObjectNode disk(ObjectNode definition) {
        return (ObjectNode) definition.path("hardware").path("disks").path(0);
    }

    @Test
    void pathsThatLeadOutAreRefused() throws Exception {
        Path secret = create("secret.vhdx");
        refused((_, its) -> disk(its).put("path", secret.toString()), "lies outside of its folder");
        refused((_, its) -> disk(its).put("path", "../secret.vhdx"), "lies outside of its folder");
        refused((_, its) -> disk(its).put("path", "x/../../secret.vhdx").put("format", "raw"), "lies outside");
        refused(
                (_, its) -> ((ObjectNode) its.path("hardware").path("boot")).put("kernel", "/etc/passwd"),
                "names /etc/passwd, which lies outside");
        refused(
                (_, its) -> ((ObjectNode) its.path("checkpoints")
                                .path("items")
                                .path(0)
                                .path("hardware")
                                .path("disks")
                                .path(0))
                        .put("path", "../secret.vhdx"),
                "lies outside of its folder");
        refused(
                (where, its) -> {
                    Path disk = where.resolve(disk(its).path("path").asText());
                    Files.move(where.resolve("base.vhdx"), folder.resolve("outside.vhdx"));
                    Path child = where.resolve(its.path("checkpoints")
                            .path("items")
                            .path(0)
                            .path("hardware")
                            .path("disks")
                            .path(0)
                            .path("path")
                            .asText());
                    assertThat(disk).isNotEqualTo(child);
                    Reconnect.run(
                            child, DiskFormat.VHDX, folder.resolve("outside.vhdx"), false, DiskOptions.readWrite());
                },
                "outside the folders allowed",
                "torte vhd reconnect");
        Files.delete(folder.resolve("outside.vhdx"));
    }

    @Test
    void linksAndWhatOthersCanChangeAreRefused() throws Exception {
        Path secret = create("secret.vhdx");
        refused(
                (where, its) -> {
                    Path disk = where.resolve(disk(its).path("path").asText());
                    Files.delete(disk);
                    Files.createSymbolicLink(disk, secret);
                },
                "is a symbolic link");
        refused((where, _) -> Files.createSymbolicLink(where.resolve("network-net1"), folder), "is a symbolic link");
        refused(
                (where, its) -> Files.setPosixFilePermissions(
                        where.resolve(disk(its).path("path").asText()), PosixFilePermissions.fromString("rw-rw-rw-")),
                "can be written by others",
                "chmod -R go-w");
    }

    @Test
    void whatIsMissingBrokenOrUnfinishedIsNamed() throws Exception {
        refused(
                (where, its) ->
                        Files.delete(where.resolve(disk(its).path("path").asText())),
                "there is no file");
        refused((where, _) -> Files.delete(where.resolve("base.vhdx")), "parent", "is missing");
        refused((where, _) -> Files.delete(where.resolve("definition.json")), "there is no definition");
        refused((where, _) -> Files.writeString(where.resolve("definition.json"), "{broken"), "is not JSON", "line 1");
        refused((_, its) -> its.put("processors", 2), "nothing is known of \"processors\"");
        refused((_, its) -> its.put("version", 99), "has version 99", "use the Torte that wrote it");
        refused(
                (_, its) -> ((ArrayNode) ((ObjectNode) its.path("checkpoints")).withArray("scratch")).add("base.vhdx"),
                "has not come to its end");
        refused(
                (where, its) -> {
                    Path memory = Files.writeString(where.resolve("memory.state"), "x");
                    Files.setPosixFilePermissions(memory, PosixFilePermissions.fromString("rw-------"));
                    its.put("savedState", "memory.state");
                },
                "has saved memory",
                "torte vm register");
        refused((_, its) -> its.put("name", "a/b"), "is no name for a virtual machine");
    }

    @Test
    void aMachineForKvmIsRefusedWhereThereIsNone() throws Exception {
        done(host.export(vm("a"), "me", out, null));
        Path file = out.resolve("definition.json");
        Files.writeString(file, Files.readString(file).replace("\"auto\"", "\"kvm\""));
        Import.Wish wish = new Import.Wish(out, "b", true);
        assertThat(Import.check(wish, data.machines(), _ -> Optional.empty(), true)
                        .problems())
                .isEmpty();
        assertThat(Import.check(wish, data.machines(), _ -> Optional.empty(), false)
                        .problems())
                .singleElement()
                .satisfies(problem ->
                        assertThat(problem.line()).contains("wants KVM").contains("torte doctor"));
    }

    @Test
    void aTakenNameAndAllOtherProblemsAreShownTogether() throws Exception {
        done(host.export(vm("a"), "me", out, null));
        Files.delete(out.resolve("kernel"));
        Import plan = host.planImport(new Import.Wish(out, null, true));
        assertThat(plan.problems().stream().map(Problem::line))
                .anySatisfy(
                        line -> assertThat(line).contains("called a already").contains("--name"))
                .anySatisfy(line -> assertThat(line).contains("kernel").contains("put it back"));
        assertThatExceptionOfType(Problem.class)
                .isThrownBy(() -> host.importVm("me", new Import.Wish(out, null, true)))
                .satisfies(problem -> assertThat(problem.line()).contains("one more problem is shown by --what-if"));
    }
}
