package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.torte.base.RandomSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Recorder;

/**
 * Damages files field by field, with checksums made right again, and opens them: either they open, or there is one
 * DiskException, and then nothing was written.
 */
class VhdxFuzzTest {
    private static final int MIB = 1 << 20;
    private static final Path IMAGE = Path.of("/images/disk.vhdx");
    private static final Path PARENT = Path.of("/images/parent.vhdx");
    private static final long[] ODD = {
        0,
        1,
        2,
        3,
        6,
        7,
        511,
        4095,
        4096,
        1 << 16,
        MIB,
        MIB + 1,
        2 * MIB,
        1L << 31,
        (1L << 32) - 1,
        1L << 44,
        1L << 62,
        Long.MIN_VALUE,
        -1,
        -MIB,
        6 | 3L * MIB,
        7 | 4L * MIB,
        6 | 1L << 50,
        6 | -1L << 20
    };

    @Test
    void damagedFilesGiveOneClearErrorAndAreNotWritten() throws Exception {
        run(Long.getLong("torte.seed", 20_240_601), 400);
    }

    @Test
    @Tag("long")
    void manyDamagedFilesGiveOneClearErrorAndAreNotWritten() throws Exception {
        run(Long.getLong("torte.seed", 1), 40_000);
    }

    private static void run(long seed, int count) throws Exception {
        System.out.println("seed " + seed);
        List<MemoryFile> bases = new ArrayList<>();
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = DiskOptions.readWrite().withStorage(storage).withRandom(RandomSource.seeded(seed));
        VirtualDisks.create(
                PARENT, DiskFormat.VHDX, CreateOptions.dynamic(6 * MIB).withBlockSize(MIB), options);
        MemoryFile parent = storage.get(PARENT);
        for (boolean child : new boolean[] {false, true}) {
            storage.delete(IMAGE);
            CreateOptions create = child ? CreateOptions.differencing(PARENT) : CreateOptions.dynamic(6 * MIB);
            VirtualDisks.create(IMAGE, DiskFormat.VHDX, create.withBlockSize(MIB), options);
            VirtualDisk disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options);
            disk.write(MIB / 2, new byte[2 * MIB]);
            disk.flush();
            disk.write(4 * MIB, new byte[512]);
            disk.flush();
            // Not closed: the log is not empty.
            bases.add(storage.get(IMAGE).copy());
            disk.close();
            bases.add(storage.get(IMAGE).copy());
        }
        SplittableRandom random = new SplittableRandom(seed);
        int refused = 0;
        for (int i = 0; i < count; i++) {
            MemoryFile file = bases.get(random.nextInt(bases.size())).copy();
            String what = "seed " + seed + ", case " + i + ": " + damage(file, random);
            if (tryOpen(file, parent, seed, what)) {
                refused++;
            }
        }
        System.out.println(count + " damaged files, " + refused + " refused");
        assertThat(refused).isPositive();
    }

    /** Changes one to three fields and makes the checksums around them right again most of the time. */
    private static String damage(MemoryFile file, SplittableRandom random) throws Exception {
        StringBuilder what = new StringBuilder();
        for (int n = 1 + random.nextInt(3); n > 0; n--) {
            long start;
            int length;
            int crc = 4;
            switch (random.nextInt(7)) {
                case 0 -> {
                    start = random.nextBoolean() ? Layout.HEADER_1 : Layout.HEADER_2;
                    length = 4096;
                }
                case 1 -> {
                    start = random.nextBoolean() ? Layout.REGIONS_1 : Layout.REGIONS_2;
                    length = Layout.REGION_TABLE_SIZE;
                }
                case 2 -> {
                    start = 2L * MIB;
                    length = 256;
                    crc = -1;
                }
                case 3 -> {
                    start = 2L * MIB + (64 << 10);
                    length = 64;
                    crc = -1;
                }
                case 4 -> {
                    start = 2L * MIB + (68 << 10);
                    length = 400;
                    crc = -1;
                }
                case 5 -> {
                    start = 3L * MIB;
                    length = 64;
                    crc = -1;
                }
                default -> {
                    start = MIB + 4096L * random.nextInt(8);
                    length = 0;
                }
            }
            byte[] header = new byte[12];
            if (length == 0) {
                file.read(start, header);
                length = (int) Math.clamp(Layout.buffer(header).getInt(8), 4096L, 64 << 10) & -4096;
            }
            byte[] bytes = new byte[length];
            file.read(start, bytes);
            int field = random.nextInt(Math.min(length, crc < 0 ? length : 160) / 4) * 4;
            long value = random.nextInt(5) == 0 ? random.nextLong() : ODD[random.nextInt(ODD.length)];
            if (field + 8 <= length && random.nextBoolean()) {
                Layout.buffer(bytes).putLong(field, value);
            } else {
                Layout.buffer(bytes).putInt(field, (int) value);
            }
            if (crc > 0 && random.nextInt(8) != 0) {
                Layout.buffer(bytes).putInt(crc, Layout.checksum(bytes, crc));
            }
            file.write(start, bytes);
            what.append(field)
                    .append(" at ")
                    .append(start)
                    .append(" = ")
                    .append(Long.toHexString(value))
                    .append("; ");
        }
        if (random.nextInt(10) == 0) {
            file.truncate(random.nextLong(file.size()));
            what.append("cut to ").append(file.size());
        }
        return what.toString();
    }

    /** Whether opening for writing was refused. */
    private static boolean tryOpen(MemoryFile file, MemoryFile parent, long seed, String what) {
        return Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(60),
                () -> {
                    MemoryStorage storage = new MemoryStorage().put(IMAGE, file).put(PARENT, parent);
                    List<Recorder> recorders = new ArrayList<>();
                    storage.wrap((path, f) -> {
                        recorders.add(new Recorder(f));
                        return recorders.getLast();
                    });
                    DiskOptions options =
                            DiskOptions.readWrite().withStorage(storage).withRandom(RandomSource.seeded(seed));
                    try {
                        use(options.withAccess(DiskAccess.READ_ONLY), false);
                        VhdxCheck.check(IMAGE, options, false);
                        boolean refused = use(options, true);
                        if (refused) {
                            assertThat(recorders.getFirst().operations())
                                    .as(what)
                                    .isEmpty();
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
            disk = VirtualDisks.open(IMAGE, DiskFormat.VHDX, options);
        } catch (DiskException e) {
            return true;
        }
        try (disk) {
            byte[] content = new byte[(int) Math.min(disk.size(), 6 * MIB) & -4096];
            disk.read(0, content);
            if (write && content.length > 0) {
                disk.write(0, content);
                disk.flush();
            }
        } catch (DiskException e) {
            assertThat(e.getMessage()).contains(";");
        }
        return false;
    }
}
