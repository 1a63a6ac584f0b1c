package org.torte.disk.vhd;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.base.RandomSource;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.CrashStates;
import org.torte.disk.crash.DiskModel;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Recorder;

/**
 * Cuts the power at every point of recorded work on a VHD: the image opens, reads the same for reading and for writing,
 * holds in each sector something that may be there, and has no error but a footer that its copy replaces.
 */
class VhdCrashTest {
    private static final int SECTOR = 512;
    private static final int BLOCK = 512 << 10;
    private static final int SECTORS = BLOCK / SECTOR;
    private static final int BLOCKS = 6;
    private static final int SIZE = BLOCKS * BLOCK;
    private static final Path IMAGE = Path.of("/images/disk.vhd");
    private static final Path PARENT = Path.of("/images/parent.vhd");

    private static DiskOptions options(MemoryStorage storage, long seed) {
        return DiskOptions.readWrite().withStorage(storage).withRandom(RandomSource.seeded(seed));
    }

    @ParameterizedTest
    @EnumSource(DiskType.class)
    void everyCrashLeavesASoundDisk(DiskType type) throws Exception {
        long seed = Long.getLong("torte.seed", System.nanoTime());
        MemoryStorage storage = new MemoryStorage();
        DiskModel model = new DiskModel(SECTOR);
        prepare(type, model, options(storage, seed));
        MemoryFile start = storage.get(IMAGE).copy();
        List<Recorder> recorders = new ArrayList<>();
        storage.wrap((path, file) -> {
            if (!path.equals(IMAGE)) {
                return file;
            }
            recorders.add(new Recorder(file));
            return recorders.getLast();
        });
        work(options(storage, seed), model, new SplittableRandom(seed), recorders);
        List<Recorder.Operation> operations = recorders.getFirst().operations();
        CrashStates crashes = new CrashStates(6, 8, 2, new SplittableRandom(seed));
        long states = crashes.visit(start, operations, (state, before, description) -> {
            String what = type + " seed " + seed + ": " + description;
            MemoryStorage left = new MemoryStorage().put(IMAGE, state);
            if (storage.exists(PARENT)) {
                left.put(PARENT, storage.get(PARENT));
            }
            judge(left, model, seed, before, what);
        });
        System.out.println(type + " seed " + seed + ": " + operations.size() + " operations, " + states + " states");
        assertThat(states).isGreaterThan(50);
    }

    private static void prepare(DiskType type, DiskModel model, DiskOptions options) {
        if (type != DiskType.DIFFERENCING) {
            CreateOptions create = new CreateOptions(
                    type, SIZE, type == DiskType.DYNAMIC ? BLOCK : 0, 0, 0, java.util.Optional.empty());
            VirtualDisks.create(IMAGE, DiskFormat.VHD, create, options);
            return;
        }
        VirtualDisks.create(PARENT, DiskFormat.VHD, CreateOptions.dynamic(SIZE).withBlockSize(BLOCK), options);
        try (VirtualDisk disk = VirtualDisks.open(PARENT, DiskFormat.VHD, options)) {
            byte[] content = new byte[3 * BLOCK];
            for (int s = 0; s < content.length / SECTOR; s++) {
                DiskModel.fill(content, s * SECTOR, SECTOR, 1_000_000 + s);
                model.base(s, 1_000_000 + s);
            }
            disk.write(0, content);
        }
        VirtualDisks.create(
                IMAGE, DiskFormat.VHD, CreateOptions.differencing(PARENT).withBlockSize(BLOCK), options);
    }

    private static void work(DiskOptions options, DiskModel model, SplittableRandom random, List<Recorder> recorders) {
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHD, options)) {
            Recorder recorder = recorders.getLast();
            long tag = 1;
            for (int i = 0; i < 40; i++) {
                int block = random.nextInt(BLOCKS);
                int now = recorder.count();
                switch (random.nextInt(10)) {
                    case 0, 1, 2, 3, 4 -> {
                        int count = random.nextInt(5) == 0 ? SECTORS : 1 + random.nextInt(9);
                        int first = block * SECTORS + random.nextInt(SECTORS - count + 1);
                        byte[] content = new byte[count * SECTOR];
                        for (int s = 0; s < count; s++) {
                            DiskModel.fill(content, s * SECTOR, SECTOR, tag);
                            model.set(first + s, tag++, now, false);
                        }
                        disk.write((long) first * SECTOR, content);
                    }
                    case 5 -> {
                        for (int s = 0; s < SECTORS; s++) {
                            model.set(block * SECTORS + s, 0, now, true);
                        }
                        disk.trim((long) block * BLOCK, BLOCK);
                    }
                    case 6 -> {
                        int count = random.nextBoolean() ? SECTORS : 1 + random.nextInt(SECTORS - 1);
                        for (int s = 0; s < count; s++) {
                            model.set(block * SECTORS + s, 0, now, false);
                        }
                        disk.writeZeroes((long) block * BLOCK, (long) count * SECTOR);
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

    private static void judge(MemoryStorage left, DiskModel model, long seed, int before, String what) {
        assertThat(VhdImages.check(IMAGE, options(left, seed).withAccess(DiskAccess.READ_ONLY), false)
                        .findings())
                .as(what)
                .noneMatch(f ->
                        f.severity() == CheckReport.Severity.ERROR && !f.code().startsWith("footer."));
        byte[] reading = content(left, DiskAccess.READ_ONLY, seed, what);
        assertThat(model.check(reading, before)).as(what).isEmpty();
        byte[] writing = content(left, DiskAccess.READ_WRITE, seed, what);
        assertThat(Arrays.mismatch(reading, writing)).as(what).isEqualTo(-1);
        assertThat(VhdImages.check(IMAGE, options(left, seed).withAccess(DiskAccess.READ_ONLY), false)
                        .findings())
                .as(what + ", after opening it for writing")
                .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR);
    }

    private static byte[] content(MemoryStorage left, DiskAccess access, long seed, String what) {
        try (VirtualDisk disk =
                VirtualDisks.open(IMAGE, DiskFormat.VHD, options(left, seed).withAccess(access))) {
            byte[] content = new byte[(int) disk.size()];
            disk.read(0, content);
            return content;
        } catch (RuntimeException e) {
            throw new AssertionError(what + ", " + access, e);
        }
    }
}
