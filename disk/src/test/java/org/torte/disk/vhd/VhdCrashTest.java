package org.torte.disk.vhd;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
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
 * Cuts the power at every point of recorded work on a VHD: the image opens, reads the same for reading and for writing,
 * holds in each sector something that may be there, and has no error but a footer that its copy replaces.
 */
class VhdCrashTest {
    private static final int BLOCK = 512 << 10;
    private static final int SIZE = 6 * BLOCK;
    private static final Path IMAGE = Path.of("/images/disk.vhd");
    private static final Path PARENT = Path.of("/images/parent.vhd");

    @ParameterizedTest
    @EnumSource(DiskType.class)
    void everyCrashLeavesASoundDisk(DiskType type) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        long states = run(type, seed, new CrashStates(6, 8, 2, new SplittableRandom(seed)));
        assertThat(states).isGreaterThan(50);
    }

    /** All subsets of up to twelve operations, and each write torn at all multiples of 512. */
    @Tag("long")
    @ParameterizedTest
    @EnumSource(DiskType.class)
    void everyCrashOfManyRunsLeavesASoundDisk(DiskType type) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        List<Callable<?>> cases = new ArrayList<>();
        for (int i = 0; i < Integer.getInteger("torte.runs", 12); i++) {
            long mine = seed * 1000 + i;
            cases.add(() -> run(type, mine, new CrashStates(12, 40, 0, new SplittableRandom(mine))));
        }
        Cases.run(cases);
    }

    private static long run(DiskType type, long seed, CrashStates crashes) throws Exception {
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = Remains.options(storage, seed);
        DiskModel model = new DiskModel(512);
        prepare(type, model, options);
        MemoryFile start = storage.get(IMAGE).copy();
        List<Recorder> recorders = storage.record(IMAGE);
        try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHD, options)) {
            new RandomWork(disk, model, recorders.getLast(), new SplittableRandom(seed)).run(40);
        }
        List<Recorder.Operation> operations = RandomWork.closed(model, recorders);
        long states = crashes.visit(start, operations, (state, before, description) -> {
            String what = type + " seed " + seed + ": " + description;
            Remains remains = new Remains(IMAGE, DiskFormat.VHD, storage.with(IMAGE, state), seed, what);
            byte[] content = remains.judge(f -> f.code().startsWith("footer."));
            assertThat(model.check(content, before)).as(what).isEmpty();
        });
        System.out.println(type + " seed " + seed + ": " + operations.size() + " operations, " + states + " states, "
                + crashes.distinct() + " different");
        return states;
    }

    private static void prepare(DiskType type, DiskModel model, DiskOptions options) {
        if (type != DiskType.DIFFERENCING) {
            int block = type == DiskType.DYNAMIC ? BLOCK : 0;
            CreateOptions create = new CreateOptions(type, SIZE, block, 0, 0, Optional.empty());
            VirtualDisks.create(IMAGE, DiskFormat.VHD, create, options);
            return;
        }
        VirtualDisks.create(PARENT, DiskFormat.VHD, CreateOptions.dynamic(SIZE).withBlockSize(BLOCK), options);
        try (VirtualDisk disk = VirtualDisks.open(PARENT, DiskFormat.VHD, options)) {
            RandomWork.fillBase(disk, model, 3 * BLOCK);
        }
        CreateOptions create = CreateOptions.differencing(PARENT).withBlockSize(BLOCK);
        VirtualDisks.create(IMAGE, DiskFormat.VHD, create, options);
    }
}
