package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.Cases;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.FaultPlan;
import org.torte.disk.crash.FaultPlan.Fault;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.RandomWork;
import org.torte.disk.crash.Recorder;
import org.torte.disk.crash.Remains;
import org.torte.disk.crash.Turns;

/**
 * Lets every write, change of size, allocation and force fail in turn: the host's disk is full or broken, once or for
 * good. There is one error of the right kind, a disk whose force failed takes no more writes, what was flushed is there
 * afterwards, and the image is as it was, as it was to become, or was never made.
 */
class FaultTest {
    private static final int MIB = 1 << 20;

    /** What is done under faults, and what must hold afterwards. */
    interface Work {
        void run(MemoryImages images) throws Exception;
    }

    record Scenario(String name, MemoryImages images, Work work, Consumer<String> judge) {}

    /** Makes a fresh scenario, the same each time. */
    interface Source {
        Scenario make();
    }

    static Stream<Arguments> scenarios() {
        List<Arguments> all = new ArrayList<>();
        for (DiskFormat format : new DiskFormat[] {DiskFormat.VHD, DiskFormat.VHDX}) {
            for (DiskType type : DiskType.values()) {
                all.add(Arguments.of("make " + type + " " + format, (Source) () -> making(format, type)));
            }
            all.add(Arguments.of("convert to dynamic " + format, (Source) () -> converting(format, DiskType.DYNAMIC)));
            all.add(Arguments.of("convert to fixed " + format, (Source) () -> converting(format, DiskType.FIXED)));
            all.add(Arguments.of("grow " + format, (Source) () -> resizing(format, 9 * MIB)));
            all.add(Arguments.of("grow with the table " + format, (Source)
                    () -> resizing(format, format == DiskFormat.VHD ? 600L * MIB : 129L << 30)));
            all.add(Arguments.of("shrink " + format, (Source) () -> resizing(format, 2 * MIB - 7 * 512)));
            all.add(Arguments.of("optimize " + format, (Source) () -> optimizing(format)));
            all.add(Arguments.of("reconnect " + format, (Source) () -> reconnecting(format)));
            all.add(Arguments.of("merge " + format, (Source) () -> merging(format)));
        }
        all.add(Arguments.of("convert to raw", (Source) () -> converting(DiskFormat.RAW, DiskType.DYNAMIC)));
        all.add(Arguments.of("replay", (Source) FaultTest::replaying));
        return all.stream();
    }

    private static Scenario making(DiskFormat format, DiskType type) {
        MemoryImages images = new MemoryImages(format, 1).withBase(DiskType.DYNAMIC);
        CreateOptions create = switch (type) {
            case FIXED -> CreateOptions.fixed(3 * MIB);
            case DYNAMIC -> CreateOptions.dynamic(3 * MIB);
            case DIFFERENCING -> CreateOptions.differencing(images.base);
        };
        return new Scenario(
                "make",
                images,
                i -> VirtualDisks.create(i.child, format, create, i.options),
                what -> assertThat(images.storage.exists(images.child)).as(what).isFalse());
    }

    private static Scenario converting(DiskFormat format, DiskType type) {
        MemoryImages images = new MemoryImages(DiskFormat.VHDX, 1).withBase(DiskType.DYNAMIC);
        byte[] expected = images.content(images.base);
        Path target = Path.of("/images/target");
        return new Scenario(
                "convert",
                images,
                i -> Convert.run(i.base, i.format, target, format, type, 0, i.options, Progress.NONE),
                what -> {
                    assertThat(images.storage.exists(target)).as(what).isFalse();
                    assertThat(images.storage.exists(Path.of("/images/target" + Convert.PARTIAL)))
                            .as(what)
                            .isFalse();
                    assertThat(images.content(images.base)).as(what).isEqualTo(expected);
                });
    }

    private static Scenario resizing(DiskFormat format, long size) {
        MemoryImages images = new MemoryImages(format, 1).withBase(DiskType.DYNAMIC);
        byte[] old = images.content(images.base);
        return new Scenario(
                "resize",
                images,
                i -> {
                    try (VirtualDisk disk = VirtualDisks.open(i.base, format, i.options)) {
                        disk.resize(size);
                    }
                },
                what -> {
                    for (DiskAccess access : new DiskAccess[] {DiskAccess.READ_ONLY, DiskAccess.READ_WRITE}) {
                        try (VirtualDisk disk =
                                VirtualDisks.open(images.base, format, images.options.withAccess(access))) {
                            assertThat(disk.size()).as(what).isIn((long) old.length, size);
                            byte[] content = new byte[(int) Math.min(disk.size(), 9 * MIB)];
                            disk.read(0, content);
                            int kept = (int) Math.min(size, old.length);
                            assertThat(Arrays.mismatch(content, 0, kept, old, 0, kept))
                                    .as(what)
                                    .isEqualTo(-1);
                        }
                    }
                    assertThat(VirtualDisks.check(images.base, format, images.options, false)
                                    .sound())
                            .as(what)
                            .isTrue();
                });
    }

    private static Scenario optimizing(DiskFormat format) {
        MemoryImages images =
                new MemoryImages(format, 1).withBase(DiskType.DYNAMIC).withChild();
        byte[] expected = images.content(images.base);
        byte[] above = images.content(images.child);
        return new Scenario("optimize", images, i -> Optimize.run(i.base, format, i.options, Progress.NONE), what -> {
            assertThat(images.content(images.child)).as(what).isEqualTo(above);
            assertThat(remains(images, images.base, what).judge(f -> f.code().startsWith("footer.")))
                    .as(what)
                    .isEqualTo(expected);
        });
    }

    private static Scenario reconnecting(DiskFormat format) {
        MemoryImages images =
                new MemoryImages(format, 1).withBase(DiskType.DYNAMIC).withChild();
        byte[] expected = images.content(images.child);
        return new Scenario(
                "reconnect",
                images,
                i -> Reconnect.run(i.child, format, i.copy, false, i.options),
                what -> assertThat(remains(images, images.child, what)
                                .judge(f -> f.code().startsWith("footer.")))
                        .as(what)
                        .isEqualTo(expected));
    }

    /** One thread copies and another makes it durable; whichever meets the fault, the merge ends and goes on later. */
    private static Scenario merging(DiskFormat format) {
        MemoryImages images =
                new MemoryImages(format, 1).withBase(DiskType.DYNAMIC).withChild();
        try (VirtualDisk disk = VirtualDisks.open(images.child, format, images.options)) {
            for (int i = 0; i < 5; i++) {
                byte[] content = new byte[(i + 1) * 80 * 512];
                Arrays.fill(content, (byte) (i + 1));
                disk.write((long) i * (512 << 10), content);
            }
        }
        byte[] expected = images.content(images.child);
        Turns turns = new Turns(new SplittableRandom(1));
        Pace pace = new Pace(128 << 10, 256 << 10, 256 << 10, turns.threads());
        return new Scenario(
                "merge",
                images,
                i -> {
                    i.storage.wrapMore(turns::around);
                    Merge.run(i.child, format, i.options, Progress.NONE, pace);
                },
                what -> {
                    if (images.storage.exists(images.child)) {
                        assertThat(images.content(images.child)).as(what).isEqualTo(expected);
                        Merge.run(images.child, format, images.options, Progress.NONE);
                    }
                    assertThat(remains(images, images.base, what)
                                    .judge(f -> f.code().startsWith("footer.")))
                            .as(what)
                            .isEqualTo(expected);
                });
    }

    /** Opens an image for writing that was not closed. */
    private static Scenario replaying() {
        MemoryImages images = new MemoryImages(DiskFormat.VHDX, 1).withBase(DiskType.DYNAMIC);
        MemoryFile dirty;
        VirtualDisk open = VirtualDisks.open(images.base, DiskFormat.VHDX, images.options);
        open.write(0, new byte[MIB]);
        open.write(MIB, new byte[MIB]);
        open.flush();
        dirty = images.storage.get(images.base).copy();
        open.close();
        images.storage.put(images.base, dirty);
        byte[] expected = images.content(images.base);
        return new Scenario(
                "replay",
                images,
                i -> VirtualDisks.open(i.base, DiskFormat.VHDX, i.options).close(),
                what -> assertThat(remains(images, images.base, what).judge(f -> false))
                        .as(what)
                        .isEqualTo(expected));
    }

    private static Remains remains(MemoryImages images, Path image, String what) {
        return new Remains(image, images.format, images.storage, images.seed, what);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("scenarios")
    void aFaultIsOneErrorAndLosesNothing(String name, Source source) {
        everyFault(name, source, 5);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("scenarios")
    @Tag("long")
    void everyFaultIsOneErrorAndLosesNothing(String name, Source source) {
        everyFault(name, source, 1);
    }

    private static void everyFault(String name, Source source, int every) {
        long seed = Long.getLong("torte.seed", 1);
        SplittableRandom random = new SplittableRandom(seed);
        int faults = 0;
        for (Fault fault : Fault.values()) {
            boolean fired = true;
            // The first step is always tried: some work has fewer steps than the sample leaves out.
            for (int at = 0; fired; at += 1 + random.nextInt(2 * every - 1)) {
                Scenario scenario = source.make();
                String what = name + ", " + fault + " at " + at;
                FaultPlan plan = new FaultPlan(fault, at);
                scenario.images.storage.wrap((path, file) -> plan.around(file));
                Optional<DiskException> failure = failure(scenario, what);
                scenario.images.storage.wrap((path, file) -> file);
                fired = plan.fired();
                faults += fired ? 1 : 0;
                failure.ifPresent(e -> {
                    assertThat(e.image()).as(what).doesNotContain(Convert.PARTIAL);
                    assertThat(e.kind())
                            .as(what + ": " + e)
                            .isIn(
                                    fault.isFull()
                                            ? List.of(Kind.NO_SPACE, Kind.FAILED)
                                            : List.of(Kind.INPUT_OUTPUT, Kind.FAILED));
                    scenario.judge.accept(what);
                });
                assertThat(failure.isPresent() || !plan.forceFailed()).as(what).isTrue();
            }
        }
        System.out.println(name + " seed " + seed + ": " + faults + " faults");
        assertThat(faults).isPositive();
    }

    private static Optional<DiskException> failure(Scenario scenario, String what) {
        try {
            scenario.work.run(scenario.images);
            return Optional.empty();
        } catch (DiskException e) {
            return Optional.of(e);
        } catch (Exception e) {
            throw new AssertionError(what, e);
        }
    }

    static Stream<Arguments> disks() {
        return Stream.of(DiskFormat.VHD, DiskFormat.VHDX)
                .flatMap(format -> Stream.of(DiskType.values()).map(type -> Arguments.of(format, type)));
    }

    @ParameterizedTest
    @MethodSource("disks")
    void requestsUnderFaultsLoseNothingThatWasFlushed(DiskFormat format, DiskType type) {
        requests(format, type, Long.getLong("torte.seed", 1), 12, 9);
    }

    @Test
    @Tag("long")
    void requestsUnderAllFaultsLoseNothingThatWasFlushed() throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        List<Callable<?>> cases = new ArrayList<>();
        for (int run = 0; run < Integer.getInteger("torte.runs", 5); run++) {
            long mine = seed * 1000 + run;
            for (DiskFormat format : new DiskFormat[] {DiskFormat.VHD, DiskFormat.VHDX}) {
                for (DiskType type : DiskType.values()) {
                    cases.add(() -> requests(format, type, mine, 30, 1));
                }
            }
        }
        Cases.run(cases);
    }

    /** Runs random requests again and again, each time with another operation failing. */
    private static int requests(DiskFormat format, DiskType type, long seed, int requests, int every) {
        SplittableRandom random = new SplittableRandom(seed);
        int faults = 0;
        for (Fault fault : Fault.values()) {
            boolean fired = true;
            for (int at = 0; fired; at += 1 + random.nextInt(2 * every - 1)) {
                String what = format + " " + type + " seed " + seed + ", " + fault + " at " + at;
                fired = run(format, type, requests, seed, new FaultPlan(fault, at), what);
                faults += fired ? 1 : 0;
            }
        }
        System.out.println("requests " + format + " " + type + " seed " + seed + ": " + faults + " faults");
        assertThat(faults).isPositive();
        return faults;
    }

    private static boolean run(DiskFormat format, DiskType type, int requests, long seed, FaultPlan plan, String what) {
        MemoryImages images = new MemoryImages(format, seed);
        int block = format == DiskFormat.VHD ? 512 << 10 : MIB;
        DiskModel model = new DiskModel(512);
        CreateOptions create =
                new CreateOptions(type, 4L * block, type == DiskType.FIXED ? 0 : block, 0, 0, Optional.empty());
        if (type == DiskType.DIFFERENCING) {
            create = CreateOptions.dynamic(4L * block).withBlockSize(block);
            VirtualDisks.create(images.base, format, create, images.options);
            try (VirtualDisk disk = VirtualDisks.open(images.base, format, images.options)) {
                RandomWork.fillBase(disk, model, 3 * block);
            }
            create = CreateOptions.differencing(images.base).withBlockSize(block);
        }
        VirtualDisks.create(images.child, format, create, images.options);
        Recorder[] recorder = new Recorder[1];
        images.storage.wrap((path, file) -> recorder[0] = new Recorder(plan.around(file)));
        try (VirtualDisk disk = VirtualDisks.open(images.child, format, images.options)) {
            RandomWork work = new RandomWork(disk, model, recorder[0], new SplittableRandom(seed));
            for (int i = 0; i < requests; i++) {
                request(work, plan, what);
                if (plan.forceFailed()) {
                    assertPoisoned(disk, what);
                }
            }
        } catch (DiskException e) {
            assertThat(plan.fired()).as(what + ": " + e).isTrue();
        }
        images.storage.wrap((path, file) -> file);
        byte[] content = remains(images, images.child, what).judge(f -> f.code().startsWith("footer."));
        assertThat(model.check(content, recorder[0].count())).as(what).isEmpty();
        return plan.fired();
    }

    private static void request(RandomWork work, FaultPlan plan, String what) {
        try {
            work.run(1);
        } catch (DiskException e) {
            assertThat(plan.fired()).as(what + ": " + e).isTrue();
            assertThat(e.kind()).as(what + ": " + e).isIn(Kind.NO_SPACE, Kind.INPUT_OUTPUT, Kind.FAILED);
        }
    }

    private static void assertPoisoned(VirtualDisk disk, String what) {
        byte[] sector = new byte[512];
        for (Consumer<VirtualDisk> change : List.<Consumer<VirtualDisk>>of(
                d -> d.write(0, sector), VirtualDisk::flush, d -> d.writeZeroes(0, 512), d -> d.resize(1 << 30))) {
            assertThatThrownBy(() -> change.accept(disk))
                    .as(what)
                    .isInstanceOfSatisfying(
                            DiskException.class, e -> assertThat(e.kind()).isEqualTo(Kind.FAILED));
        }
        disk.read(0, sector);
    }
}
