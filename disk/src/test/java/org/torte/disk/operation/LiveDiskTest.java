package org.torte.disk.operation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.torte.disk.operation.Images.MIB;
import static org.torte.disk.operation.Images.OPTIONS;
import static org.torte.disk.operation.Images.pattern;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.disk.CheckReport;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.crash.MemoryStorage;
import org.torte.disk.crash.Remains;

/** Merging, growing and reading at a point in time while a disk is read and written. */
class LiveDiskTest {
    private static final int SECTOR = 512;
    private static final int STRIPE = 48 << 10;
    private static final int WRITERS = 3;

    @TempDir
    Path folder;

    /**
     * Threads that write, read, zero and trim a disk, each the stripes that are its own, and an array that does the same.
     * A gate lets the test stop them between two requests.
     */
    private static final class Guests implements AutoCloseable {
        final LiveDisk disk;
        final byte[] model;
        final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();
        private final AtomicBoolean stop = new AtomicBoolean();
        private final AtomicInteger requests = new AtomicInteger();
        private final List<Future<?>> running = new ArrayList<>();
        private final String what;
        private final ExecutorService threads = Executors.newFixedThreadPool(WRITERS);

        Guests(LiveDisk disk, byte[] model, SplittableRandom random, String what) {
            this.disk = disk;
            this.model = model;
            this.what = what;
            for (int i = 0; i < WRITERS; i++) {
                int own = i;
                SplittableRandom its = random.split();
                running.add(threads.submit(() -> run(own, its)));
            }
        }

        private void run(int own, SplittableRandom random) {
            while (!stop.get()) {
                gate.readLock().lock();
                try {
                    request(own, random);
                    requests.incrementAndGet();
                } finally {
                    gate.readLock().unlock();
                }
            }
        }

        private void request(int own, SplittableRandom random) {
            int stripes = (int) (disk.size() / STRIPE);
            int stripe = random.nextInt(stripes / WRITERS) * WRITERS + own;
            int first = random.nextInt(STRIPE / SECTOR);
            int count = 1 + random.nextInt(random.nextInt(4) == 0 ? STRIPE / SECTOR - first : 1);
            int offset = stripe * STRIPE + first * SECTOR;
            int length = Math.min(count, STRIPE / SECTOR - first) * SECTOR;
            int action = random.nextInt(20);
            if (action < 8) {
                byte[] data = new byte[length];
                random.nextBytes(data);
                disk.write(offset, data);
                System.arraycopy(data, 0, model, offset, length);
            } else if (action < 17) {
                byte[] data = new byte[length];
                disk.read(offset, data);
                assertThat(Arrays.mismatch(data, Arrays.copyOfRange(model, offset, offset + length)))
                        .as("%s: reading %d at %d", what, length, offset)
                        .isEqualTo(-1);
            } else if (action == 17) {
                disk.writeZeroes(offset, length);
                Arrays.fill(model, offset, offset + length, (byte) 0);
            } else if (action == 18) {
                disk.trim(offset, length);
                disk.read(offset, MemorySegment.ofArray(model), offset, length);
            } else {
                disk.flush();
            }
        }

        /** Runs something while no request is under way. */
        void between(Runnable action) {
            gate.writeLock().lock();
            try {
                action.run();
            } finally {
                gate.writeLock().unlock();
            }
        }

        /** Ends the requests, and throws what was wrong with any of them. */
        int requests() throws InterruptedException, ExecutionException {
            stop.set(true);
            for (Future<?> one : running) {
                one.get();
            }
            return requests.get();
        }

        @Override
        public void close() {
            stop.set(true);
            threads.close();
        }
    }

    private static final int CAPACITY = 12 * MIB;

    /** Makes a chain with something in each layer; returns the files, the top first, and fills the model. */
    private List<Path> chain(Images images, int depth, int size, byte[] model, SplittableRandom random) {
        List<Path> files = new ArrayList<>();
        int block = images.format() == DiskFormat.VHD ? 512 << 10 : MIB;
        for (int i = 0; i < depth; i++) {
            CreateOptions options = i == 0 ? CreateOptions.dynamic(size) : CreateOptions.differencing(files.getFirst());
            files.addFirst(images.create("layer" + i, options.withBlockSize(block)));
            try (VirtualDisk disk = images.open(files.getFirst())) {
                for (int k = 0; k < 6; k++) {
                    int length = (1 + random.nextInt(k == 0 ? 1500 : 60)) * SECTOR;
                    int offset = random.nextInt((size - length) / SECTOR) * SECTOR;
                    byte[] data = new byte[length];
                    random.nextBytes(data);
                    disk.write(offset, data);
                    System.arraycopy(data, 0, model, offset, length);
                }
                int zeroed = random.nextInt(size / block) * block;
                disk.writeZeroes(zeroed, block);
                Arrays.fill(model, zeroed, zeroed + block, (byte) 0);
            }
        }
        return files;
    }

    private static void assertSame(VirtualDisk disk, byte[] expected, String what) {
        byte[] piece = new byte[MIB];
        for (long at = 0; at < disk.size(); at += MIB) {
            int length = (int) Math.min(MIB, disk.size() - at);
            disk.read(at, MemorySegment.ofArray(piece), 0, length);
            int wrong = Arrays.mismatch(piece, 0, length, expected, (int) at, (int) at + length);
            assertThat(wrong < 0 ? -1 : at + wrong).as(what).isEqualTo(-1);
        }
    }

    /** Each file that was left behind shows the disk as it was at that moment, and the disk goes on in the last. */
    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void theDiskIsKeptAsItIsWhileItIsUsed(DiskFormat format) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        Images images = new Images(folder, format);
        SplittableRandom random = new SplittableRandom(seed);
        byte[] model = new byte[CAPACITY];
        List<Path> files = chain(images, 2, 6 * MIB, model, random);
        List<Path> kept = new ArrayList<>();
        List<byte[]> moments = new ArrayList<>();
        int requests;
        String what = format + " seed " + seed;
        try (LiveDisk disk = LiveDisk.open(files.getFirst(), format, OPTIONS);
                Guests guests = new Guests(disk, model, random, what)) {
            for (int i = 0; i < 4; i++) {
                Path child = images.path("checkpoint" + i);
                if (i < 2) {
                    disk.prepare(child);
                }
                if (i % 2 == 0) {
                    kept.add(disk.layers().getFirst());
                    guests.between(() -> {
                        moments.add(model.clone());
                        disk.checkpoint(child);
                    });
                } else {
                    // Between requests, wherever they are.
                    disk.checkpoint(child);
                }
                assertThat(disk.layers().getFirst()).isEqualTo(child.toRealPath());
            }
            disk.merge(disk.layers().getFirst(), Progress.NONE);
            requests = guests.requests();
            assertSame(disk, model, what);
        }
        System.out.println(what + ": " + requests + " requests");
        for (int i = 0; i < kept.size(); i++) {
            try (VirtualDisk disk = VirtualDisks.open(kept.get(i), format, DiskOptions.readOnly())) {
                assertSame(disk, moments.get(i), what + ", kept " + i);
            }
        }
        for (Path file : List.of(images.path("checkpoint2"), kept.getFirst(), kept.getLast())) {
            CheckReport report = VirtualDisks.check(file, format, DiskOptions.readOnly(), false);
            assertThat(report.sound()).as("%s: %s", what, report).isTrue();
        }
        try (var left = Files.list(folder)) {
            assertThat(left.map(Path::toString)).noneMatch(name -> name.endsWith(LiveDisk.PART));
        }
    }

    /** What no two images have in common: among it is the identifier of the disk. */
    private static byte[] metadata(Path file) throws IOException {
        try (var channel = Files.newByteChannel(file)) {
            byte[] bytes = new byte[MIB];
            channel.position(2L * MIB).read(java.nio.ByteBuffer.wrap(bytes));
            return bytes;
        }
    }

    /** What is made ahead is of use unless the disk has become another one; the result is the same. */
    @ParameterizedTest
    @ValueSource(strings = {"nothing", "write", "grow", "take away", "abandon"})
    void aChildIsMadeAheadAndOnceMoreIfTheDiskHasChangedInAWayThatMatters(String change) throws Exception {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path top = images.chainOfThree();
        Path child = images.path("child");
        Path part = child.resolveSibling(child.getFileName() + LiveDisk.PART);
        long size;
        try (LiveDisk disk = LiveDisk.open(top, DiskFormat.VHDX, OPTIONS)) {
            disk.prepare(child);
            assertThat(part).exists();
            byte[] made = metadata(part);
            switch (change) {
                // The first write of who opened it changes the content identifier, which the child has to know.
                case "write" -> disk.write(0, pattern(512, 7));
                case "grow" -> disk.resize(disk.size() + MIB);
                case "take away" -> Files.delete(part);
                case "abandon" -> disk.abandon(child);
                default -> {}
            }
            assertThat(Files.exists(part)).isEqualTo(!change.equals("take away") && !change.equals("abandon"));
            if (change.equals("take away")) {
                assertThatThrownBy(() -> disk.checkpoint(child)).isInstanceOf(DiskException.class);
                assertThat(disk.layers().getFirst()).isEqualTo(top.toRealPath());
            }
            size = disk.size();
            disk.checkpoint(child);
            assertThat(part).doesNotExist();
            assertThat(Arrays.equals(metadata(child), made)).isEqualTo(change.equals("nothing"));
            disk.write(512, pattern(512, 9));
            disk.abandon(child);
        }
        assertThat(VirtualDisks.check(child, DiskFormat.VHDX, DiskOptions.readOnly(), false)
                        .sound())
                .isTrue();
        try (VirtualDisk disk = VirtualDisks.open(child, DiskFormat.VHDX, DiskOptions.readOnly())) {
            assertThat(disk.size()).isEqualTo(size);
            byte[] found = new byte[512];
            disk.read(512, MemorySegment.ofArray(found), 0, 512);
            assertThat(found).isEqualTo(pattern(512, 9));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aDiskThatCannotBeKeptGoesOnInItsFile(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        Path taken = Files.writeString(images.path("taken"), "mine");
        Path nowhere = folder.resolve("none").resolve(images.path("child").getFileName());
        byte[] before = images.content(top);
        try (LiveDisk disk = LiveDisk.open(top, format, OPTIONS)) {
            for (Path child : List.of(taken, nowhere)) {
                assertThatThrownBy(() -> disk.checkpoint(child)).isInstanceOf(DiskException.class);
                disk.write(0, pattern(512, 7));
                disk.flush();
                assertThat(disk.layers().getFirst()).isEqualTo(top.toRealPath());
            }
            try (PointInTime _ = disk.pointInTime(folder, MIB)) {
                assertThatThrownBy(() -> disk.checkpoint(images.path("child"))).hasMessageContaining("close the view");
            }
            assertThat(images.path("child")).doesNotExist();
        }
        assertThat(taken).hasContent("mine");
        System.arraycopy(pattern(512, 7), 0, before, 0, 512);
        assertThat(images.content(top)).isEqualTo(before);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void layersGoWhileTheDiskIsUsedAndEachMomentCanBeRead(DiskFormat format) throws Exception {
        use(format, Long.getLong("torte.seed", 1), 5);
    }

    @Tag("long")
    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void layersGoManyTimesWhileTheDiskIsUsed(DiskFormat format) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        for (int i = 0; i < Integer.getInteger("torte.runs", 20); i++) {
            Path here = Files.createDirectory(folder.resolve("run" + i));
            use(new Images(here, format), seed + i, 3 + i % 8);
        }
    }

    private void use(DiskFormat format, long seed, int depth) throws Exception {
        use(new Images(folder, format), seed, depth);
    }

    private void use(Images images, long seed, int depth) throws Exception {
        String what = images.format() + " seed " + seed;
        SplittableRandom random = new SplittableRandom(seed);
        int size = 6 * MIB;
        byte[] model = new byte[CAPACITY];
        List<Path> files = chain(images, depth, size, model, random);
        int requests;
        try (LiveDisk disk = LiveDisk.open(files.getFirst(), images.format(), OPTIONS);
                Guests guests = new Guests(disk, model, random, what)) {
            while (disk.layers().size() > 1) {
                if (images.format() == DiskFormat.VHDX && random.nextBoolean()) {
                    disk.resize(Math.min(CAPACITY, disk.size() + (1 + random.nextInt(3000)) * (long) SECTOR));
                }
                byte[] then = new byte[model.length];
                PointInTime[] view = new PointInTime[1];
                guests.between(() -> {
                    System.arraycopy(model, 0, then, 0, then.length);
                    view[0] = disk.pointInTime(images.folder(), 64L * MIB);
                });
                int layer = random.nextInt(disk.layers().size() - 1);
                Path file = disk.layers().get(layer);
                if (random.nextInt(3) == 0) {
                    assertThatThrownBy(() -> disk.merge(file, (_, _) -> false))
                            .isInstanceOfSatisfying(
                                    DiskException.class,
                                    e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.CANCELLED));
                }
                Path parent = disk.layers().get(layer + 1);
                long taken = images.info(parent).allocated();
                Merge.Plan plan = disk.planMerge(file);
                disk.merge(file, Progress.NONE);
                assertThat(file).doesNotExist();
                assertThat(disk.layers()).doesNotContain(file);
                if (layer > 0) {
                    assertThat(images.info(parent).allocated() - taken)
                            .as(what + ": what the parent took")
                            .isLessThanOrEqualTo(plan.space());
                }
                assertSame(view[0], then, what + ": as it was");
                view[0].close();
            }
            requests = guests.requests();
            assertSame(disk, model, what + ": at the end");
        }
        System.out.println(what + ": " + requests + " requests while " + (depth - 1) + " layers went");
        try (VirtualDisk disk = VirtualDisks.open(files.getLast(), images.format(), DiskOptions.readOnly())) {
            assertSame(disk, model, what + ": opened again");
        }
        try (var left = Files.list(images.folder())) {
            assertThat(left).containsExactly(files.getLast());
        }
        assertThat(VirtualDisks.check(files.getLast(), images.format(), DiskOptions.readOnly(), false)
                        .findings())
                .as(what)
                .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void whatIsTrimmedIsKeptForAViewThatHasRoomForIt(DiskFormat format) {
        Images images = new Images(folder, format);
        Path image = images.create("disk", CreateOptions.dynamic(8 * MIB).withBlockSize(2 * MIB));
        try (LiveDisk disk = LiveDisk.open(image, format, OPTIONS)) {
            disk.write(0, pattern(4 * MIB, 1));
            try (PointInTime _ = disk.pointInTime(folder, MIB)) {
                disk.trim(0, 2 * MIB);
                assertThat(disk.content(0, MIB).kind()).isEqualTo(Extent.Kind.MAPPED);
            }
            try (PointInTime view = disk.pointInTime(folder, 64 * MIB)) {
                disk.trim(0, 2 * MIB);
                assertThat(disk.content(0, MIB).kind()).isEqualTo(Extent.Kind.ZERO);
                assertSame(view, Arrays.copyOf(pattern(4 * MIB, 1), 8 * MIB), "as it was");
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aChainOfFiftyIsMergedIntoOneWhileItIsUsed(DiskFormat format) throws Exception {
        use(format, 50, 50);
    }

    @ParameterizedTest
    @CsvSource({"RAW, DYNAMIC", "VHD, DYNAMIC", "VHD, FIXED", "VHDX, DYNAMIC", "VHDX, FIXED"})
    void aDiskGrowsWhileItIsUsed(DiskFormat format, DiskType type) throws Exception {
        long seed = Long.getLong("torte.seed", 1);
        String what = format + " " + type + " seed " + seed;
        SplittableRandom random = new SplittableRandom(seed);
        Path image = folder.resolve("disk." + format.name().toLowerCase(Locale.ROOT));
        CreateOptions options = type == DiskType.FIXED ? CreateOptions.fixed(4 * MIB) : CreateOptions.dynamic(4 * MIB);
        VirtualDisks.create(image, format, options, OPTIONS);
        byte[] model = new byte[CAPACITY];
        long size;
        try (LiveDisk disk = LiveDisk.open(image, format, OPTIONS);
                Guests guests = new Guests(disk, model, random, what)) {
            for (int i = 0; i < 12; i++) {
                disk.resize(disk.size() + (1 + random.nextInt(1200)) * (long) SECTOR);
                int enough = 50 * (i + 1);
                while (guests.requests.get() < enough && guests.running.stream().noneMatch(Future::isDone)) {
                    Thread.onSpinWait();
                }
            }
            guests.requests();
            size = disk.size();
            assertSame(disk, model, what);
        }
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readOnly())) {
            assertThat(disk.size()).isEqualTo(size);
            assertSame(disk, model, what + ": opened again");
        }
        assertThat(VirtualDisks.check(image, format, DiskOptions.readOnly(), false)
                        .findings())
                .as(what)
                .noneMatch(f -> f.severity() == CheckReport.Severity.ERROR);
    }

    @Test
    void aViewThatOutgrowsItsLimitIsLostAndTheWriterDoesNotNotice() {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path image = images.create("disk", CreateOptions.dynamic(16 * MIB).withBlockSize(MIB));
        images.write(image, 0, pattern(8 * MIB, 1));
        try (LiveDisk disk = LiveDisk.open(image, DiskFormat.VHDX, OPTIONS)) {
            PointInTime view = disk.pointInTime(folder, MIB);
            disk.write(0, pattern(MIB, 2));
            byte[] first = new byte[MIB];
            view.read(0, first);
            assertThat(first).isEqualTo(Arrays.copyOf(pattern(8 * MIB, 1), MIB));
            assertThat(view.kept()).isEqualTo(MIB);
            disk.write(4 * MIB, pattern(MIB, 3));
            assertThatThrownBy(() -> view.read(0, first)).hasMessageContaining("lost");
            disk.read(4 * MIB, first);
            assertThat(first).isEqualTo(pattern(MIB, 3));
            view.close();
            assertThat(folder).isDirectoryNotContaining("glob:**point-in-time*");
        }
    }

    @Test
    void anExportOfADiskInUseIsWhatItWasAtItsBeginning() {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path base = images.create("base", CreateOptions.dynamic(16 * MIB).withBlockSize(MIB));
        images.write(base, 0, pattern(8 * MIB, 1));
        Path image = images.create("disk", CreateOptions.differencing(base));
        images.write(image, 3 * MIB, pattern(MIB, 2));
        byte[] expected = images.content(image);
        Path export = folder.resolve("export.vhd");
        try (LiveDisk disk = LiveDisk.open(image, DiskFormat.VHDX, OPTIONS);
                PointInTime view = disk.pointInTime(folder, 64L * MIB)) {
            Convert.run(view, export, DiskFormat.VHD, DiskType.DYNAMIC, 0, OPTIONS, (done, _) -> {
                disk.write(done / 2 / SECTOR * SECTOR, pattern(MIB, done));
                disk.writeZeroes(12 * MIB, 2 * MIB);
                return true;
            });
            assertThatThrownBy(() -> disk.resize(8 * MIB)).hasMessageContaining("cannot shrink");
        }
        assertThat(Images.content(export, DiskFormat.VHD)).isEqualTo(expected);
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aMergeThatDoesNotFitIsRefusedBeforeItBegins(DiskFormat format) {
        MemoryStorage storage = new MemoryStorage();
        DiskOptions options = Remains.options(storage, 1);
        Path base = Path.of("/images/base");
        Path middle = Path.of("/images/middle");
        Path top = Path.of("/images/top");
        VirtualDisks.create(base, format, CreateOptions.dynamic(8 * MIB), options);
        VirtualDisks.create(middle, format, CreateOptions.differencing(base), options);
        try (VirtualDisk disk = VirtualDisks.open(middle, format, options)) {
            disk.write(MIB, pattern(3 * MIB, 1));
        }
        VirtualDisks.create(top, format, CreateOptions.differencing(middle), options);
        try (LiveDisk disk = LiveDisk.open(top, format, options)) {
            storage.limit(3 * MIB);
            long before = storage.get(base).size();
            assertThatThrownBy(() -> disk.merge(middle, Progress.NONE))
                    .isInstanceOfSatisfying(
                            DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.NO_SPACE));
            assertThat(storage.get(base).size()).isEqualTo(before);
            assertThat(storage.exists(MergeJournal.file(middle))).isFalse();
            storage.limit(5 * MIB);
            disk.merge(middle, Progress.NONE);
            assertThat(disk.layers()).containsExactly(top, base);
        }
    }

    @Test
    void theLastLayerHasNothingToBeMergedInto() {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path top = images.chainOfThree();
        try (LiveDisk disk = LiveDisk.open(top, DiskFormat.VHDX, OPTIONS)) {
            assertThatThrownBy(() -> disk.merge(images.path("base"), Progress.NONE))
                    .hasMessageContaining("no parent");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VHD", "VHDX"})
    void aDiskThatIsClosedWhileItIsMergedGoesOnLater(DiskFormat format) throws Exception {
        Images images = new Images(folder, format);
        Path top = images.chainOfThree();
        byte[] content = Images.content(top, format);
        LiveDisk disk = LiveDisk.open(top, format, OPTIONS);
        try (ExecutorService other = Executors.newSingleThreadExecutor()) {
            CountDownLatch begun = new CountDownLatch(1);
            Progress telling = (_, _) -> {
                begun.countDown();
                return true;
            };
            Future<?> merge =
                    other.submit(() -> disk.merge(top, telling, new Pace(SECTOR, 2 * SECTOR, 2 * SECTOR, Thread::new)));
            begun.await();
            disk.close();
            Throwable end = catchThrowable(merge::get);
            assertThat(end == null || String.valueOf(end.getMessage()).contains("cancelled"))
                    .as("%s", end)
                    .isTrue();
        }
        Path now = Files.exists(top) ? top : images.path("middle");
        assertThat(Images.content(now, format)).isEqualTo(content);
        if (Files.exists(top)) {
            Merge.run(top, format, OPTIONS, Progress.NONE);
            assertThat(Images.content(images.path("middle"), format)).isEqualTo(content);
        }
    }

    @Test
    void aParentThatAnotherDiskReadsIsNotMergedInto() {
        Images images = new Images(folder, DiskFormat.VHDX);
        Path top = images.chainOfThree();
        byte[] expected = images.content(top);
        try (LiveDisk disk = LiveDisk.open(top, DiskFormat.VHDX, OPTIONS);
                VirtualDisk other = VirtualDisks.open(images.path("base"), DiskFormat.VHDX, DiskOptions.readOnly())) {
            assertThatThrownBy(() -> disk.merge(images.path("middle"), Progress.NONE))
                    .isInstanceOfSatisfying(
                            DiskException.class, e -> assertThat(e.kind()).isEqualTo(DiskException.Kind.IN_USE));
            assertSame(disk, expected, "after the refusal");
            assertThat(other.size()).isEqualTo(disk.size());
        }
        assertThat(images.content(top)).isEqualTo(expected);
    }
}
