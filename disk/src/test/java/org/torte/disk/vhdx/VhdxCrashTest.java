package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.LongAdder;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.Cases;
import org.torte.disk.crash.CrashStates;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.RandomWork;
import org.torte.disk.crash.Recorder;
import org.torte.disk.crash.Remains;

/**
 * Cuts the power at every point of recorded work and looks at what is left: it must open, show the same content when
 * opened for reading (log replayed in memory) and for writing (log replayed in the file), hold in each sector something
 * that may be there, and be sound.
 */
class VhdxCrashTest {
    private static final int MIB = 1 << 20;
    private static final Path IMAGE = Path.of("/images/disk.vhdx");
    private static final Path PARENT = Path.of("/images/parent.vhdx");

    enum Kind {
        DYNAMIC,
        DYNAMIC_4K,
        DIFFERENCING,
        /** With so many flushes before that the log has wrapped around. */
        WRAPPED
    }

    /** Counts of one run, for the report: {@code distinct} of the states and the nested ones differed and were judged. */
    private record Outcome(int operations, int forces, long states, long nested, long distinct) {}

    @ParameterizedTest
    @EnumSource(Kind.class)
    void everyCrashOfASmallRunLeavesASoundDisk(Kind kind) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        Outcome outcome = run(kind, seed, 24, new CrashStates(6, 6, 2, new SplittableRandom(seed)), 40);
        System.out.println(kind + " seed " + seed + ": " + outcome);
        assertThat(outcome.states).isGreaterThan(100);
    }

    /** All subsets of up to twelve operations, and each write torn at all multiples of 512. */
    @Test
    @Tag("long")
    void everyCrashOfManyRunsLeavesASoundDisk() throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        LongAdder states = new LongAdder();
        LongAdder nested = new LongAdder();
        LongAdder distinct = new LongAdder();
        List<Callable<?>> cases = new ArrayList<>();
        for (int i = 0; i < Integer.getInteger("torte.runs", 12); i++) {
            long mine = seed * 1000 + i;
            for (Kind kind : Kind.values()) {
                cases.add(() -> {
                    CrashStates crashes = new CrashStates(12, 40, 0, new SplittableRandom(mine));
                    Outcome outcome = run(kind, mine, 40, crashes, 60);
                    states.add(outcome.states);
                    nested.add(outcome.nested);
                    distinct.add(outcome.distinct);
                    System.out.println(kind + " seed " + mine + ": " + outcome);
                    return outcome;
                });
            }
        }
        Cases.run(cases);
        System.out.println("seed " + seed + ": " + cases.size() + " runs, " + states + " states, " + nested
                + " of a second crash, " + distinct + " of both different");
    }

    private static Outcome run(Kind kind, long seed, int requests, CrashStates crashes, int nestedEvery)
            throws Exception {
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = Remains.options(storage, seed);
        int sector = kind == Kind.DYNAMIC_4K ? 4096 : 512;
        DiskModel model = new DiskModel(sector);
        prepare(kind, sector, model, options);
        MemoryFile start = storage.get(IMAGE).copy();
        List<Recorder> recorders = storage.record(IMAGE);
        int skip;
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options)) {
            RandomWork work = new RandomWork(disk, model, recorders.getLast(), new SplittableRandom(seed));
            // Each time is an entry of two sectors, of the 256 of the log.
            work.rewriteFirstBlock(kind == Kind.WRAPPED ? 122 : 0);
            skip = recorders.getLast().count();
            work.run(requests);
        }
        List<Recorder.Operation> operations = RandomWork.closed(model, recorders);
        long[] nested = {0, 0};
        long[] seen = {0};
        long states = crashes.visit(start, operations, skip, (state, before, description) -> {
            String what = kind + " seed " + seed + ": " + description;
            MemoryFile untouched = state.copy();
            byte[] content = remains(storage, state, seed, what).judge(f -> false);
            assertThat(model.check(content, before)).as(what).isEmpty();
            if (seen[0]++ % nestedEvery == 0) {
                CrashStates again = new CrashStates(5, 6, 2, new SplittableRandom(seed));
                nested[0] += crashDuringReplay(storage, untouched, seed, content, what, again);
                nested[1] += again.distinct();
            }
        });
        int forces = (int) operations.stream()
                .filter(o -> o instanceof Recorder.Operation.Force)
                .count();
        return new Outcome(operations.size(), forces, states, nested[0], crashes.distinct() + nested[1]);
    }

    private static void prepare(Kind kind, int sector, DiskModel model, DiskOptions options) {
        CreateOptions create = CreateOptions.dynamic(5 * MIB).withBlockSize(MIB).withSectorSizes(sector, 4096);
        if (kind == Kind.DIFFERENCING) {
            VirtualDisks.create(PARENT, DiskFormat.VHDX, create, options);
            try (VirtualDisk disk = VirtualDisks.open(PARENT, DiskFormat.VHDX, options)) {
                RandomWork.fillBase(disk, model, 3 * MIB);
            }
            create = CreateOptions.differencing(PARENT).withBlockSize(MIB);
        }
        VirtualDisks.create(IMAGE, DiskFormat.VHDX, create, options);
    }

    private static Remains remains(MemoryStorage storage, MemoryFile state, long seed, String what) {
        return new Remains(IMAGE, DiskFormat.VHDX, storage.with(IMAGE, state), seed, what);
    }

    /** Cuts the power again while the log is replayed and new work begins: the content must stay. */
    private static long crashDuringReplay(
            MemoryStorage storage, MemoryFile start, long seed, byte[] expected, String what, CrashStates crashes)
            throws Exception {
        MemoryStorage left = storage.with(IMAGE, start.copy());
        List<Recorder> recorders = left.record(IMAGE);
        new Remains(IMAGE, DiskFormat.VHDX, left, seed + 1, what).content(DiskAccess.READ_WRITE);
        return crashes.visit(start, recorders.getFirst().operations(), (again, before, description) -> {
            String deeper = what + "; during replay: " + description;
            byte[] content = remains(storage, again, seed, deeper).judge(f -> false);
            assertThat(Arrays.mismatch(content, expected)).as(deeper).isEqualTo(-1);
        });
    }
}
