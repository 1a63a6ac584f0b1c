package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadFactory;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.Cases;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.History;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.RandomWork;
import org.torte.disk.crash.Remains;
import org.torte.disk.crash.Turns;

/**
 * Cuts the power at every point of merges, of disks that are written to meanwhile and of others, with writes to any of
 * the files lost: what is left opens, holds only what it may, and a merge that is started again comes to its end.
 */
class MergeCrashTest {
    private static final Path FOLDER = Path.of("/images");
    private static final int SECTOR = 512;
    private static final int BLOCK = 1 << 20;
    private static final int SIZE = 5 * BLOCK;
    /** What is judged is merged by one thread. */
    private static final Pace ALONE = pace(action -> new Thread() {
        @Override
        @SuppressWarnings("UnsynchronizedOverridesSynchronized") // started once, by the thread that made it
        public void start() {
            action.run();
        }
    });

    /** Of how many states one is the start of a second crash. */
    private static final int NESTED = 40;

    /** Which image is merged: one below the disk in use, that disk's own, or one of a disk that is not in use. */
    enum Merged {
        BELOW,
        OWN,
        NOT_IN_USE
    }

    /** Steps of a block or two, as it happens. */
    private static Pace pace(ThreadFactory threads) {
        return new Pace(BLOCK, 2 * BLOCK, 2 * BLOCK, threads);
    }

    private final Path base;
    private final Path middle;
    private final Path top;
    private Path layer;
    private DiskFormat format = DiskFormat.VHDX;

    MergeCrashTest() {
        base = FOLDER.resolve("base");
        middle = FOLDER.resolve("middle");
        top = FOLDER.resolve("top");
        layer = middle;
    }

    private Path file(Path name) {
        return name.resolveSibling(name.getFileName() + (format == DiskFormat.VHD ? ".vhd" : ".vhdx"));
    }

    @ParameterizedTest
    @CsvSource({"VHD, BELOW", "VHD, OWN", "VHD, NOT_IN_USE", "VHDX, BELOW", "VHDX, OWN", "VHDX, NOT_IN_USE"})
    void aSampleOfCrashesLeavesAMergeThatGoesOn(DiskFormat format, Merged merged) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        long states = run(format, merged, seed, 1, 3);
        assertThat(states).isGreaterThan(15);
    }

    @Tag("long")
    @ParameterizedTest
    @CsvSource({"VHD, BELOW", "VHD, OWN", "VHD, NOT_IN_USE", "VHDX, BELOW", "VHDX, OWN", "VHDX, NOT_IN_USE"})
    void everyCrashLeavesAMergeThatGoesOn(DiskFormat format, Merged merged) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        List<Callable<?>> cases = new ArrayList<>();
        for (int i = 0; i < Integer.getInteger("torte.runs", 8); i++) {
            long mine = seed * 1000 + i;
            cases.add(() -> new MergeCrashTest().run(format, merged, mine, 6, 1));
        }
        Cases.run(cases);
    }

    private long run(DiskFormat kind, Merged merged, long seed, int samples, int every) throws Exception {
        String what = kind + " " + merged + " seed " + seed;
        SplittableRandom random = new SplittableRandom(seed);
        DiskModel model = new DiskModel(SECTOR);
        History history = record(kind, merged, seed, model, random);
        long[] seen = {0, 0};
        long states = history.visit(0, samples, every, random, (state, before, description) -> {
            if (seen[0]++ % NESTED == NESTED / 2) {
                seen[1] += crashAgain(state, model, seed, before, what + ": " + description, random);
            }
            judge(state, model, seed, before, what + ": " + description);
        });
        System.out.println("merge of " + what + ": " + history.count() + " events, " + states + " states, " + seen[1]
                + " of a second crash");
        return states;
    }

    /** Merges, one thread copying and another making it durable, in an order of events that comes from the seed but for locks. */
    private History record(DiskFormat kind, Merged merged, long seed, DiskModel model, SplittableRandom random) {
        format = kind;
        layer = merged == Merged.OWN ? top : middle;
        MemoryStorage storage = new MemoryStorage();
        prepare(Remains.options(storage, seed), model, random);
        Turns turns = new Turns(random.split());
        History history = new History(storage, turns::around);
        DiskOptions options = Remains.options(storage, seed).withStorage(history);
        if (merged != Merged.NOT_IN_USE) {
            try (LiveDisk disk = LiveDisk.open(file(top), kind, options)) {
                RandomWork work = new RandomWork(disk, model, history::count, random);
                work.run(4);
                Progress writing = (_, _) -> {
                    for (int i = 0; i < 3; i++) {
                        turns.settle();
                        work.run(1);
                    }
                    return true;
                };
                disk.merge(file(layer), writing, pace(turns.threads()));
                work.run(4);
            }
            model.flushed(history.count());
        } else {
            Merge.run(file(middle), kind, options, Progress.NONE, pace(turns.threads()));
        }
        return history;
    }

    /** With a disk in use there are locks that both threads want, and who gets one first is up to the machine. */
    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void theSameSeedGivesTheSameEventsInTheSameOrder(DiskFormat format) {
        long seed = Long.getLong("torte.seed", 1);
        Set<Long> orders = new HashSet<>();
        for (int i = 0; i < 3; i++) {
            orders.add(new MergeCrashTest()
                    .record(format, Merged.NOT_IN_USE, seed, new DiskModel(SECTOR), new SplittableRandom(seed))
                    .digest());
        }
        assertThat(orders).as("seed " + seed).hasSize(1);
    }

    private void prepare(DiskOptions options, DiskModel model, SplittableRandom random) {
        VirtualDisks.create(
                file(base),
                format,
                CreateOptions.dynamic(SIZE).withBlockSize(format == DiskFormat.VHD ? 512 << 10 : BLOCK),
                options);
        fill(base, options, random, 2_000_000, 3);
        Path parent = base;
        for (Path child : new Path[] {middle, top}) {
            CreateOptions create = CreateOptions.differencing(file(parent))
                    .withBlockSize(format == DiskFormat.VHD ? 512 << 10 : BLOCK);
            VirtualDisks.create(file(child), format, create, options);
            fill(child, options, random, child.equals(middle) ? 4_000_000 : 6_000_000, child.equals(middle) ? 9 : 3);
            parent = child;
        }
        try (VirtualDisk disk = VirtualDisks.open(file(top), format, options.withAccess(DiskAccess.READ_ONLY))) {
            byte[] content = new byte[SIZE];
            disk.read(0, content);
            for (int s = 0; s < SIZE / SECTOR; s++) {
                model.base(s, DiskModel.tagOf(content, s * SECTOR, SECTOR));
            }
        }
    }

    private void fill(Path name, DiskOptions options, SplittableRandom random, long tag, int runs) {
        try (VirtualDisk disk = VirtualDisks.open(file(name), format, options)) {
            for (int i = 0; i < runs; i++) {
                int count = 1 + random.nextInt(i == 0 ? 3000 : 600);
                int first = random.nextInt(SIZE / SECTOR - count);
                byte[] content = new byte[count * SECTOR];
                for (int s = 0; s < count; s++) {
                    DiskModel.fill(content, s * SECTOR, SECTOR, tag + 10_000L * i + first + s);
                }
                disk.write((long) first * SECTOR, content);
            }
            disk.writeZeroes((long) random.nextInt(SIZE / BLOCK) * BLOCK, BLOCK);
        }
    }

    private void judge(MemoryStorage state, DiskModel model, long seed, int before, String what) {
        DiskOptions options = Remains.options(state, seed);
        byte[] content = content(options.withAccess(DiskAccess.READ_ONLY), what);
        assertThat(model.check(content, before)).as(what).isEmpty();
        if (state.exists(file(layer)) || state.exists(MergeJournal.file(file(layer)))) {
            try {
                Merge.run(file(layer), format, options, Progress.NONE, ALONE);
            } catch (RuntimeException e) {
                throw new AssertionError(what + ": merged again", e);
            }
        }
        assertThat(state.exists(file(layer))).as(what).isFalse();
        assertThat(state.exists(MergeJournal.file(file(layer)))).as(what).isFalse();
        assertThat(Arrays.mismatch(content(options, what + ", merged"), content))
                .as(what + ": content after the merge")
                .isEqualTo(-1);
        for (Path name : new Path[] {base, layer.equals(top) ? middle : top}) {
            assertThat(VirtualDisks.check(file(name), format, options.withAccess(DiskAccess.READ_ONLY), false)
                            .findings())
                    .as(what + ": " + name)
                    .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR);
        }
    }

    /** Goes on with the merge that a crash has interrupted and cuts the power again. */
    private long crashAgain(
            MemoryStorage state, DiskModel model, long seed, int before, String what, SplittableRandom random)
            throws Exception {
        if (!state.exists(file(layer))) {
            return 0;
        }
        MemoryStorage again = state.with(file(layer), state.get(file(layer)).copy());
        Turns turns = new Turns(random.split());
        History history = new History(again, turns::around);
        // Other identifiers than those of the first crash: a log of the same one would take over its old entries.
        DiskOptions options = Remains.options(again, seed + 1_000_000).withStorage(history);
        Merge.run(file(layer), format, options, Progress.NONE, pace(turns.threads()));
        return history.visit(0, 1, 5, random, (left, _, description) -> {
            judge(left, model, seed, before, what + "; then " + description);
        });
    }

    private byte[] content(DiskOptions options, String what) {
        try (VirtualDisk disk =
                VirtualDisks.open(file(options.storage().exists(file(top)) ? top : middle), format, options)) {
            byte[] content = new byte[(int) disk.size()];
            disk.read(0, content);
            return content;
        } catch (RuntimeException e) {
            throw new AssertionError(what, e);
        }
    }
}
