package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.CrashStates;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Recorder;
import org.torte.disk.crash.Remains;

/** Cuts the power at every point of what administrators do: there is the image as it was, or as it was to become. */
class OperationCrashTest {
    private static final int MIB = 1 << 20;
    private static final UUID OTHER = new UUID(7, 8);

    private interface Judge {
        void judge(Remains remains, byte[] content);
    }

    /** How many states are tried. */
    CrashStates crashes(long seed) {
        return new CrashStates(5, 5, 1, new SplittableRandom(seed));
    }

    /** Records some work on an image and judges what every power failure in it leaves. */
    private void cut(String name, MemoryImages place, Path image, Runnable work, Judge judge) throws Exception {
        MemoryFile start = place.storage.get(image).copy();
        List<Recorder> recorders = place.storage.record(image);
        work.run();
        place.storage.wrap((path, file) -> file);
        long states = 0;
        MemoryFile before = start;
        for (Recorder recorder : recorders) {
            List<Recorder.Operation> operations = recorder.operations();
            states += crashes(place.seed).visit(before, operations, (state, _, description) -> {
                String what = name + " " + place.format + " seed " + place.seed + ": " + description;
                Remains remains = new Remains(image, place.format, place.storage.with(image, state), place.seed, what);
                judge.judge(remains, remains.judge(f -> f.code().startsWith("footer.")));
            });
            before = before.copy();
            for (Recorder.Operation operation : operations) {
                operation.applyTo(before);
            }
        }
        System.out.println(name + " " + place.format + " seed " + place.seed + ": " + states + " states");
        assertThat(states).isGreaterThan(3);
    }

    private static long seed() {
        return Long.getLong("torte.seed", 1);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void optimizing(DiskFormat format) throws Exception {
        MemoryImages place =
                new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC).withChild();
        byte[] expected = place.content(place.base);
        byte[] above = place.content(place.child);
        Runnable work = () -> Optimize.run(place.base, format, place.options, Progress.NONE);
        cut("optimize", place, place.base, work, (remains, content) -> {
            assertThat(Arrays.mismatch(content, expected)).as(remains.what()).isEqualTo(-1);
            Remains child = new Remains(place.child, format, remains.files(), place.seed, remains.what());
            assertThat(Arrays.mismatch(child.content(DiskAccess.READ_ONLY), above))
                    .as(remains.what())
                    .isEqualTo(-1);
        });
    }

    private void resizing(MemoryImages place, long size) throws Exception {
        byte[] old = place.content(place.base);
        byte[] expected = Arrays.copyOf(old, (int) size);
        Runnable work = () -> {
            try (VirtualDisk disk = VirtualDisks.open(place.base, place.format, place.options)) {
                disk.resize(size);
            }
        };
        cut("resize to " + size, place, place.base, work, (remains, content) -> {
            byte[] right = content.length == old.length ? old : expected;
            // A disk that shrinks may have lost its end before the new size is in force.
            int kept = (int) Math.min(size, old.length);
            assertThat(content).as(remains.what()).hasSize(right.length);
            assertThat(Arrays.mismatch(content, 0, kept, right, 0, kept))
                    .as(remains.what())
                    .isEqualTo(-1);
            assertThat(size < old.length || Arrays.equals(content, right))
                    .as(remains.what())
                    .isTrue();
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void growing(DiskFormat format) throws Exception {
        resizing(new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC), 9 * MIB);
        resizing(new MemoryImages(format, seed()).withBase(DiskType.FIXED), 9 * MIB);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void growingBeyondTheBlockTable(DiskFormat format) throws Exception {
        MemoryImages place = new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC);
        byte[] old = place.content(place.base);
        // The block table of VHDX has 1 MiB, which is 128 GiB in blocks of 1 MiB.
        long size = format == DiskFormat.VHD ? 600L * MIB : 129L << 30;
        Runnable work = () -> {
            try (VirtualDisk disk = VirtualDisks.open(place.base, format, place.options)) {
                disk.resize(size);
            }
        };
        MemoryFile start = place.storage.get(place.base).copy();
        List<Recorder> recorders = place.storage.record(place.base);
        work.run();
        place.storage.wrap((path, file) -> file);
        long states = crashes(place.seed).visit(start, recorders.getFirst().operations(), (state, _, description) -> {
            String what = "grow " + format + " seed " + place.seed + ": " + description;
            DiskOptions options = Remains.options(place.storage.with(place.base, state), place.seed);
            for (DiskAccess access : new DiskAccess[] {DiskAccess.READ_ONLY, DiskAccess.READ_WRITE}) {
                try (VirtualDisk disk = VirtualDisks.open(place.base, format, options.withAccess(access))) {
                    assertThat(disk.size()).as(what).isIn((long) old.length, size);
                    byte[] content = new byte[(int) Math.min(disk.size(), 8 * MIB)];
                    disk.read(0, content);
                    assertThat(Arrays.mismatch(content, Arrays.copyOf(old, content.length)))
                            .as(what)
                            .isEqualTo(-1);
                }
            }
            assertThat(VirtualDisks.check(place.base, format, options.withAccess(DiskAccess.READ_ONLY), false)
                            .sound())
                    .as(what)
                    .isTrue();
        });
        System.out.println("grow beyond the table " + format + ": " + states + " states");
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void shrinking(DiskFormat format) throws Exception {
        resizing(new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC), 2 * MIB - 7 * 512);
        if (format == DiskFormat.VHD) {
            resizing(new MemoryImages(format, seed()).withBase(DiskType.FIXED), 2 * MIB - 7 * 512);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void reconnecting(DiskFormat format) throws Exception {
        MemoryImages place =
                new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC).withChild();
        byte[] expected = place.content(place.child);
        Runnable work = () -> Reconnect.run(place.child, format, place.copy, false, place.options);
        cut("reconnect", place, place.child, work, (remains, content) -> {
            assertThat(Arrays.mismatch(content, expected)).as(remains.what()).isEqualTo(-1);
            List<DiskInfo> chain = Family.chain(place.child, format, Remains.options(remains.files(), place.seed));
            assertThat(Path.of(chain.getLast().image())).as(remains.what()).isIn(place.base, place.copy);
        });
        List<DiskInfo> chain = Family.chain(place.child, format, place.options.withAccess(DiskAccess.READ_ONLY));
        assertThat(chain.getLast().image()).isEqualTo(place.copy.toString());
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void settingTheIdentifier(DiskFormat format) throws Exception {
        MemoryImages place = new MemoryImages(format, seed()).withBase(DiskType.DYNAMIC);
        byte[] expected = place.content(place.base);
        UUID old = identifier(place.storage, place);
        Runnable work = () -> Identity.set(place.base, format, OTHER, 0, place.options);
        cut("set", place, place.base, work, (remains, content) -> {
            assertThat(Arrays.mismatch(content, expected)).as(remains.what()).isEqualTo(-1);
            assertThat(identifier(remains.files(), place)).as(remains.what()).isIn(old, OTHER);
        });
        assertThat(identifier(place.storage, place)).isEqualTo(OTHER);
    }

    private static UUID identifier(MemoryStorage files, MemoryImages place) {
        DiskOptions options = Remains.options(files, place.seed).withAccess(DiskAccess.READ_ONLY);
        try (VirtualDisk disk = VirtualDisks.open(place.base, place.format, options)) {
            return disk.info().identifier();
        }
    }

    /** A crash while an image is being made leaves one that is whole, or one that is refused. */
    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void making(DiskFormat format) throws Exception {
        long seed = seed();
        for (DiskType type : DiskType.values()) {
            MemoryImages place = new MemoryImages(format, seed).withBase(DiskType.DYNAMIC);
            byte[] below = place.content(place.base);
            CreateOptions create = switch (type) {
                case FIXED -> CreateOptions.fixed(3 * MIB);
                case DYNAMIC -> CreateOptions.dynamic(below.length);
                case DIFFERENCING -> CreateOptions.differencing(place.base);
            };
            byte[] expected = type == DiskType.DIFFERENCING ? below : new byte[(int) create.size()];
            List<Recorder> recorders = place.storage.record(place.child);
            VirtualDisks.create(place.child, format, create, place.options);
            place.storage.wrap((path, file) -> file);
            MemoryFile empty = new MemoryFile(place.child.toString());
            int[] whole = {0};
            long states = crashes(seed).visit(empty, recorders.getFirst().operations(), (state, _, description) -> {
                String what = "make " + type + " " + format + " seed " + seed + ": " + description;
                Remains remains = new Remains(place.child, format, place.storage.with(place.child, state), seed, what);
                if (opens(remains)) {
                    whole[0]++;
                    byte[] content = remains.judge(f -> f.code().startsWith("footer."));
                    assertThat(Arrays.mismatch(content, expected)).as(what).isEqualTo(-1);
                }
            });
            System.out.println("make " + type + " " + format + ": " + states + " states, " + whole[0] + " whole");
            assertThat(whole[0]).isPositive();
        }
    }

    private static boolean opens(Remains remains) {
        DiskOptions options = Remains.options(remains.files(), remains.seed());
        try (VirtualDisk disk = VirtualDisks.open(remains.image(), remains.format(), options)) {
            return disk.size() > 0;
        } catch (DiskException e) {
            return false;
        }
    }
}
