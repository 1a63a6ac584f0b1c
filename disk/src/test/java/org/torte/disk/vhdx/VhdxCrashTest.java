package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.base.RandomSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.CrashStates;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Recorder;

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

    /** Counts of one run, for the report. */
    private record Outcome(int operations, int forces, long states, long nested) {}

    @ParameterizedTest
    @EnumSource(Kind.class)
    void everyCrashOfASmallRunLeavesASoundDisk(Kind kind) throws Exception {
        long seed = Long.getLong("torte.seed", System.nanoTime());
        Outcome outcome = run(kind, seed, 24, new CrashStates(6, 6, 2, new SplittableRandom(seed)), 40);
        System.out.println(kind + " seed " + seed + ": " + outcome);
        assertThat(outcome.states).isGreaterThan(100);
    }

    @Test
    @Tag("long")
    void everyCrashOfManyRunsLeavesASoundDisk() throws Exception {
        long seed = Long.getLong("torte.seed", System.nanoTime());
        long states = 0;
        long nested = 0;
        for (int i = 0; i < Integer.getInteger("torte.runs", 30); i++) {
            for (Kind kind : Kind.values()) {
                Outcome outcome = run(
                        kind,
                        seed + i,
                        40,
                        new CrashStates(10, 40, i % 3 == 0 ? 0 : 6, new SplittableRandom(seed + i)),
                        60);
                states += outcome.states;
                nested += outcome.nested;
                System.out.println(
                        kind + " seed " + (seed + i) + ": " + outcome + ", in all " + states + " + " + nested);
            }
        }
    }

    private static DiskOptions options(MemoryStorage storage, long seed) {
        return DiskOptions.readWrite().withStorage(storage).withRandom(RandomSource.seeded(seed));
    }

    private Outcome run(Kind kind, long seed, int requests, CrashStates crashes, int nestedEvery) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        int sector = kind == Kind.DYNAMIC_4K ? 4096 : 512;
        int size = 5 * MIB;
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = options(storage, seed);
        DiskModel model = new DiskModel(sector);
        if (kind == Kind.DIFFERENCING) {
            VirtualDisks.create(
                    PARENT, DiskFormat.VHDX, CreateOptions.dynamic(size).withBlockSize(MIB), options);
            try (VirtualDisk disk = VirtualDisks.open(PARENT, DiskFormat.VHDX, options)) {
                byte[] content = new byte[3 * MIB];
                for (int s = 0; s < content.length / sector; s++) {
                    DiskModel.fill(content, s * sector, sector, 1_000_000 + s);
                    model.base(s, 1_000_000 + s);
                }
                disk.write(0, content);
            }
            VirtualDisks.create(
                    IMAGE, DiskFormat.VHDX, CreateOptions.differencing(PARENT).withBlockSize(MIB), options);
        } else {
            VirtualDisks.create(
                    IMAGE,
                    DiskFormat.VHDX,
                    CreateOptions.dynamic(size).withBlockSize(MIB).withSectorSizes(sector, 4096),
                    options);
        }
        MemoryFile start = storage.get(IMAGE).copy();
        List<Recorder> recorders = new ArrayList<>();
        storage.wrap((path, file) -> {
            if (!path.equals(IMAGE)) {
                return file;
            }
            recorders.add(new Recorder(file));
            return recorders.getLast();
        });
        int[] skip = {0};
        work(options, model, random, sector, size, kind == Kind.WRAPPED, requests, recorders, skip);
        List<Recorder.Operation> operations = recorders.getFirst().operations();
        long[] nested = {0};
        long[] seen = {0};
        long states = crashes.visit(start, operations, skip[0], (state, before, description) -> {
            String what = kind + " seed " + seed + ": " + description;
            MemoryFile untouched = state.copy();
            byte[] content = judge(state, storage, model, seed, before, what);
            if (seen[0]++ % nestedEvery == 0) {
                nested[0] += crashDuringReplay(untouched, storage, seed, content, what);
            }
        });
        int forces = (int) operations.stream()
                .filter(o -> o instanceof Recorder.Operation.Force)
                .count();
        return new Outcome(operations.size(), forces, states, nested[0]);
    }

    private static void work(
            DiskOptions options,
            DiskModel model,
            SplittableRandom random,
            int sector,
            int size,
            boolean wrap,
            int requests,
            List<Recorder> recorders,
            int[] skip) {
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options)) {
            Recorder recorder = recorders.getLast();
            long tag = 1;
            for (int i = 0; wrap && i < 122; i++) {
                // Each of these is an entry of two sectors, of the 256 of the log.
                int now = recorder.count();
                byte[] content = new byte[sector];
                DiskModel.fill(content, 0, sector, tag);
                for (int s = 0; s < MIB / sector; s++) {
                    model.set(s, 0, now, true);
                }
                disk.trim(0, MIB);
                model.set(0, tag++, now, false);
                disk.write(0, content);
                disk.flush();
                model.flushed(recorder.count());
            }
            skip[0] = recorder.count();
            for (int i = 0; i < requests; i++) {
                int block = random.nextInt(size / MIB);
                int sectors = MIB / sector;
                int now = recorder.count();
                switch (random.nextInt(10)) {
                    case 0, 1, 2, 3 -> {
                        int count = 1 + random.nextInt(random.nextInt(6) == 0 ? sectors : 9);
                        int first = block * sectors + random.nextInt(sectors - count + 1);
                        byte[] content = new byte[count * sector];
                        for (int s = 0; s < count; s++) {
                            DiskModel.fill(content, s * sector, sector, tag);
                            model.set(first + s, tag++, now, false);
                        }
                        disk.write((long) first * sector, content);
                    }
                    case 4 -> {
                        for (int s = 0; s < sectors; s++) {
                            model.set(block * sectors + s, 0, now, true);
                        }
                        disk.trim((long) block * MIB, MIB);
                    }
                    case 5 -> {
                        int count = random.nextBoolean() ? sectors : 1 + random.nextInt(sectors - 1);
                        for (int s = 0; s < count; s++) {
                            model.set(block * sectors + s, 0, now, false);
                        }
                        disk.writeZeroes((long) block * MIB, (long) count * sector);
                    }
                    case 6 -> {
                        byte[] content = new byte[MIB];
                        for (int s = 0; s < sectors; s++) {
                            DiskModel.fill(content, s * sector, sector, tag);
                            model.set(block * sectors + s, tag++, now, false);
                        }
                        disk.write((long) block * MIB, content);
                    }
                    default -> {
                        disk.flush();
                        model.flushed(recorder.count());
                    }
                }
            }
        }
        model.flushed(recorders.getFirst().count());
    }

    /** Opens a state in both ways and judges it; returns its content. */
    private static byte[] judge(
            MemoryFile state, MemoryStorage original, DiskModel model, long seed, int before, String what) {
        MemoryStorage storage = around(state, original);
        byte[] reading = content(storage, false, seed, what);
        assertThat(model.check(reading, before)).as(what).isEmpty();
        assertThat(VhdxCheck.check(IMAGE, options(storage, seed), false).findings())
                .as(what)
                .noneMatch(f -> f.severity() == org.torte.disk.CheckReport.Severity.ERROR);
        byte[] writing = content(storage, true, seed, what);
        assertThat(Arrays.mismatch(reading, writing))
                .as(what + ": content after replay in the file")
                .isEqualTo(-1);
        return reading;
    }

    private static MemoryStorage around(MemoryFile state, MemoryStorage original) {
        MemoryStorage storage = new MemoryStorage().put(IMAGE, state);
        if (original.exists(PARENT)) {
            storage.put(PARENT, original.get(PARENT));
        }
        return storage;
    }

    private static byte[] content(MemoryStorage storage, boolean writable, long seed, String what) {
        DiskOptions options = options(storage, seed);
        if (!writable) {
            options = options.withAccess(org.torte.disk.DiskAccess.READ_ONLY);
        }
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options)) {
            byte[] content = new byte[(int) disk.size()];
            disk.read(0, content);
            return content;
        } catch (RuntimeException e) {
            throw new AssertionError(what + (writable ? ", for writing" : ", for reading"), e);
        }
    }

    /** Cuts the power again while the log is replayed and new work begins: the content must stay. */
    private static long crashDuringReplay(
            MemoryFile state, MemoryStorage original, long seed, byte[] expected, String what) throws Exception {
        MemoryFile start = state.copy();
        MemoryStorage storage = around(state.copy(), original);
        List<Recorder> recorders = new ArrayList<>();
        storage.wrap((path, file) -> {
            recorders.add(new Recorder(file));
            return recorders.getLast();
        });
        content(storage, true, seed + 1, what);
        CrashStates crashes = new CrashStates(5, 6, 2, new SplittableRandom(seed));
        return crashes.visit(start, recorders.getFirst().operations(), (again, before, description) -> {
            String deeper = what + "; during replay: " + description;
            MemoryStorage left = around(again, original);
            assertThat(Arrays.mismatch(content(left, false, seed, deeper), expected))
                    .as(deeper)
                    .isEqualTo(-1);
            assertThat(Arrays.mismatch(content(left, true, seed, deeper), expected))
                    .as(deeper)
                    .isEqualTo(-1);
        });
    }
}
