package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.Cases;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.History;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.RandomWork;
import org.torte.disk.crash.Remains;

/**
 * Cuts the power while a disk that is written to grows, its block table moving in the end: it has the old size or the
 * new one, durable when growing has returned, and what it holds is what it may hold.
 */
class GrowthCrashTest {
    private static final int MIB = 1 << 20;
    private static final int LOOKED_AT = 8 * MIB;

    /** A size, and between which events the disk was told to have it. */
    private record Size(long bytes, int begun, int done) {}

    @ParameterizedTest
    @CsvSource({"RAW, DYNAMIC", "VHD, DYNAMIC", "VHD, FIXED", "VHDX, DYNAMIC", "VHDX, FIXED"})
    void aSampleOfCrashesOfAGrowingDisk(DiskFormat format, DiskType type) throws Exception {
        run(format, type, Long.getLong("torte.seed", 1), 2, 3);
    }

    @Tag("long")
    @ParameterizedTest
    @CsvSource({"RAW, DYNAMIC", "VHD, DYNAMIC", "VHD, FIXED", "VHDX, DYNAMIC", "VHDX, FIXED"})
    void everyCrashOfAGrowingDisk(DiskFormat format, DiskType type) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        List<Callable<?>> cases = new ArrayList<>();
        for (int i = 0; i < Integer.getInteger("torte.runs", 8); i++) {
            long mine = seed * 1000 + i;
            cases.add(() -> {
                run(format, type, mine, 12, 1);
                return mine;
            });
        }
        Cases.run(cases);
    }

    private static void run(DiskFormat format, DiskType type, long seed, int samples, int every) throws Exception {
        String what = format + " " + type + " seed " + seed;
        SplittableRandom random = new SplittableRandom(seed);
        MemoryStorage storage = new MemoryStorage();
        Path image = Path.of("/images/disk." + format.name().toLowerCase(Locale.ROOT));
        CreateOptions create = type == DiskType.FIXED ? CreateOptions.fixed(3 * MIB) : CreateOptions.dynamic(3 * MIB);
        boolean blocks = format == DiskFormat.VHDX || (format == DiskFormat.VHD && type == DiskType.DYNAMIC);
        int block = format == DiskFormat.VHD ? MIB / 2 : MIB;
        VirtualDisks.create(
                image, format, blocks ? create.withBlockSize(block) : create, Remains.options(storage, seed));
        History history = new History(storage);
        DiskModel model = new DiskModel(512);
        List<Size> sizes = new ArrayList<>(List.of(new Size(3 * MIB, 0, 0)));
        try (VirtualDisk disk =
                VirtualDisks.open(image, format, Remains.options(storage, seed).withStorage(history))) {
            RandomWork work = new RandomWork(disk, model, history::count, random);
            for (int i = 0; i < 3; i++) {
                work.run(5);
                grow(disk, disk.size() + (1 + random.nextInt(2500)) * 512L, history, sizes);
                model.flushed(history.count());
            }
            work.run(5);
            if (type == DiskType.DYNAMIC) {
                grow(disk, (format == DiskFormat.VHD ? 300L : 300L << 10) * MIB, history, sizes);
            }
        }
        model.flushed(history.count());
        long states = history.visit(0, samples, every, random, (state, before, description) -> {
            judge(state, image, format, model, sizes, seed, before, what + ": " + description);
        });
        System.out.println("growth of " + what + ": " + history.count() + " events, " + states + " states");
        assertThat(states).isGreaterThan(5);
    }

    private static void grow(VirtualDisk disk, long size, History history, List<Size> sizes) {
        int begun = history.count();
        disk.resize(size);
        sizes.add(new Size(size, begun, history.count()));
    }

    private static void judge(
            MemoryStorage state,
            Path image,
            DiskFormat format,
            DiskModel model,
            List<Size> sizes,
            long seed,
            int before,
            String what) {
        DiskOptions options = Remains.options(state, seed);
        byte[] reading = content(image, format, options.withAccess(DiskAccess.READ_ONLY), sizes, before, what);
        assertThat(model.check(reading, before)).as(what).isEmpty();
        byte[] writing = content(image, format, options, sizes, before, what);
        assertThat(Arrays.mismatch(reading, writing)).as(what).isEqualTo(-1);
        assertThat(VirtualDisks.check(image, format, options.withAccess(DiskAccess.READ_ONLY), false)
                        .findings())
                .as(what)
                .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR);
    }

    /** The first mebibytes of a disk whose size must be one that it may have. */
    private static byte[] content(
            Path image, DiskFormat format, DiskOptions options, List<Size> sizes, int before, String what) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, options)) {
            long durable = sizes.stream()
                    .filter(s -> s.done() <= before)
                    .mapToLong(Size::bytes)
                    .max()
                    .orElseThrow();
            assertThat(sizes.stream().filter(s -> s.begun() <= before).map(Size::bytes))
                    .as(what)
                    .contains(disk.size());
            assertThat(disk.size()).as(what).isGreaterThanOrEqualTo(durable);
            byte[] content = new byte[(int) Math.min(LOOKED_AT, disk.size())];
            disk.read(0, content);
            return content;
        } catch (RuntimeException e) {
            throw new AssertionError(what + ", " + options.access(), e);
        }
    }
}
