package org.torte.disk.vhd;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.Cases;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Recorder;
import org.torte.disk.crash.Remains;

/**
 * Changes fields of footers, dynamic headers, locators, block tables and bitmaps, and cuts files off: there is one clear
 * error or a disk that works, no other exception, no hang, and no write to a file that is refused.
 */
class VhdFuzzTest {
    private static final int MIB = 1 << 20;
    private static final Path IMAGE = Path.of("/images/disk.vhd");
    private static final Path PARENT = Path.of("/images/parent.vhd");
    private static final int[] ODD = {
        0, 1, 2, 3, 4, 511, 512, 1536, 4096, 1 << 16, 1 << 20, 1 << 21, 1 << 28, 0x7fffffff, 0x80000000, -1, -2, -512
    };

    @Test
    void damagedFilesGiveOneClearErrorAndAreNotWritten() throws Exception {
        run(Long.getLong("torte.seed", 4711), 1000);
    }

    @Test
    @Tag("long")
    void manyDamagedFilesGiveOneClearErrorAndAreNotWritten() throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        List<Callable<?>> cases = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            long mine = seed * 1000 + i;
            cases.add(() -> run(mine, 5000));
        }
        Cases.run(cases);
    }

    private static int run(long seed, int count) throws Exception {
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = Remains.options(storage, seed);
        VirtualDisks.create(PARENT, DiskFormat.VHD, CreateOptions.dynamic(16 * MIB), options);
        MemoryFile parent = storage.get(PARENT);
        List<MemoryFile> bases = new ArrayList<>();
        for (CreateOptions create : List.of(
                CreateOptions.differencing(PARENT), CreateOptions.dynamic(16 * MIB), CreateOptions.fixed(2 * MIB))) {
            storage.delete(IMAGE);
            VirtualDisks.create(IMAGE, DiskFormat.VHD, create, options);
            try (VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHD, options)) {
                disk.write(MIB, new byte[MIB / 2]);
            }
            bases.add(storage.get(IMAGE).copy());
        }
        SplittableRandom random = new SplittableRandom(seed);
        int refused = 0;
        for (int i = 0; i < count; i++) {
            MemoryFile file = bases.get(random.nextInt(bases.size())).copy();
            String what = "seed " + seed + ", case " + i + ": " + damage(file, random);
            refused += tryOpen(new MemoryStorage().put(IMAGE, file).put(PARENT, parent.copy()), seed, what) ? 1 : 0;
        }
        System.out.println("VHD seed " + seed + ": " + count + " damaged files, " + refused + " refused");
        assertThat(refused).isPositive();
        return refused;
    }

    /** Changes one to three fields and makes the checksums around them right again most of the time. */
    private static String damage(MemoryFile file, SplittableRandom random) throws Exception {
        StringBuilder what = new StringBuilder();
        long size = file.size();
        // The copy of the footer, the header with its locators, the block table, the first blocks' bitmaps, the footer.
        long[] areas = {0, 512, 1024, 1536, 2048, 4096, 1 << 16, size - 512};
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            long at = Math.min(areas[random.nextInt(areas.length)] + random.nextInt(128) * 4L, size - 4);
            int value = random.nextInt(5) == 0 ? random.nextInt() : ODD[random.nextInt(ODD.length)];
            file.write(at, ByteBuffer.allocate(4).putInt(value).array());
            what.append(at).append(" = ").append(Integer.toHexString(value)).append("; ");
        }
        if (random.nextInt(8) != 0) {
            seal(file, 0, 512, 64);
            seal(file, 512, 1024, 36);
            seal(file, size - 512, 512, 64);
        }
        if (random.nextInt(10) == 0) {
            file.truncate(random.nextLong(size));
            what.append("cut to ").append(file.size());
        }
        return what.toString();
    }

    private static void seal(MemoryFile file, long at, int length, int field) throws Exception {
        byte[] part = new byte[length];
        file.read(at, part);
        file.write(
                at + field,
                ByteBuffer.allocate(4).putInt(VhdFooter.checksum(part, field)).array());
    }

    /** Whether opening for writing was refused. */
    private static boolean tryOpen(MemoryStorage storage, long seed, String what) {
        return Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(60),
                () -> {
                    List<Recorder> recorders = storage.record(IMAGE);
                    DiskOptions options = Remains.options(storage, seed);
                    try {
                        use(options.withAccess(DiskAccess.READ_ONLY), false);
                        VirtualDisks.check(IMAGE, DiskFormat.VHD, options.withAccess(DiskAccess.READ_ONLY), false);
                        boolean refused = use(options, true);
                        if (refused) {
                            assertThat(recorders).as(what).allMatch(r -> r.count() == 0);
                        }
                        return refused;
                    } catch (RuntimeException e) {
                        throw new AssertionError(what, e);
                    }
                },
                what);
    }

    private static boolean use(DiskOptions options, boolean write) {
        VirtualDisk disk;
        try {
            disk = VirtualDisks.open(IMAGE, DiskFormat.VHD, options);
        } catch (DiskException e) {
            assertThat(e.getMessage()).contains(";");
            return true;
        }
        try (disk) {
            byte[] content = new byte[(int) Math.min(disk.size(), 4 * MIB)];
            disk.read(0, content);
            if (write) {
                Arrays.fill(content, (byte) 1);
                disk.write(0, content);
                disk.trim(0, disk.size());
                disk.flush();
            }
        } catch (DiskException e) {
            assertThat(e.getMessage()).contains(";");
        }
        return false;
    }
}
