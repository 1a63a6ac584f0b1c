package org.torte.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Requests to disks of each format beside the same requests to a file of the host, through its cache and around it. Each
 * round goes through all of them in turn, so that other work on the machine meets all alike, and the best round of each
 * is shown: first by elapsed time, then by the processor time of the thread that makes the requests, the kernel's work
 * for it included, which a busy machine changes least.
 */
public final class DiskRequests {
    private static final int MIB = 1 << 20;
    private static final int ROUNDS = Integer.getInteger("torte.bench.rounds", 7);
    private static final int RANDOM = 30_000;
    private static final int THREADS = 16;

    private DiskRequests() {}

    private interface Request {
        void run(long offset, MemorySegment memory, int length) throws IOException;
    }

    private interface Action {
        void run() throws IOException;
    }

    /** Something that takes requests. */
    @SuppressWarnings("ArrayRecordComponent") // holds what was measured; never compared
    private record Subject(
            String name, int random, Request write, Request read, Action flush, Action close, Rate[][] rates) {
        Subject(String name, int random, Request write, Request read, Action flush, Action close) {
            this(name, random, write, read, flush, close, new Rate[COLUMNS.length][ROUNDS]);
        }

        double best(int column, ToDoubleFunction<Rate> rate) {
            return Arrays.stream(rates[column]).mapToDouble(rate).max().orElseThrow();
        }
    }

    /** Mebibytes in a second of elapsed time, and in one of processor time; 0 when that is not known. */
    private record Rate(double elapsed, double processor) {}

    /** Reads both clocks. */
    private record Moment(long elapsed, long processor) {
        private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

        static Moment now() {
            return new Moment(System.nanoTime(), THREADS.getCurrentThreadCpuTime());
        }

        Rate rate(long bytes) {
            Moment now = now();
            double mib = bytes / (double) MIB;
            return new Rate(mib / ((now.elapsed - elapsed) / 1e9), mib / ((now.processor - processor) / 1e9));
        }
    }

    private static final String[] COLUMNS = {
        "64K first write, flushed",
        "64K write",
        "64K read",
        "1M write",
        "1M read",
        "4K random write",
        "4K random read",
        "the same, 16 at once"
    };

    /** Arguments: a folder for the images, and how many mebibytes to work on. */
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        long size = Long.parseLong(arguments[1]) * MIB;
        List<Subject> subjects = new ArrayList<>();
        subjects.add(channel("file of the host", folder.resolve("plain")));
        subjects.add(channel("the same, direct", folder.resolve("direct"), direct()));
        subjects.add(disk("raw", folder.resolve("image.raw"), CreateOptions.dynamic(size)));
        subjects.add(disk("VHD", folder.resolve("image.vhd"), CreateOptions.dynamic(size)));
        CreateOptions two = CreateOptions.dynamic(size).withBlockSize(2 * MIB);
        subjects.add(disk("VHDX, blocks of 2 MiB", folder.resolve("image2.vhdx"), two));
        subjects.add(disk("VHDX, blocks of 32 MiB", folder.resolve("image32.vhdx"), CreateOptions.dynamic(size)));
        try (Arena arena = Arena.ofShared()) {
            MemorySegment memory = arena.allocate(MIB, 4096).fill((byte) 0x5a);
            for (Subject subject : subjects) {
                // Takes the space: what comes after is without allocation.
                Moment began = Moment.now();
                sequential(subject.write, memory, size, 64 << 10);
                subject.flush.run();
                Arrays.fill(subject.rates[0], began.rate(size));
            }
            for (int round = -1; round < ROUNDS; round++) {
                for (Subject subject : subjects) {
                    Rate[] now = measure(subject, memory, size);
                    for (int i = 0; round >= 0 && i < now.length; i++) {
                        subject.rates[i + 1][round] = now[i];
                    }
                }
            }
        }
        print("elapsed", subjects, COLUMNS.length, Rate::elapsed);
        System.out.println();
        print("of processor time", subjects, COLUMNS.length - 1, Rate::processor);
        for (Subject subject : subjects) {
            subject.close.run();
        }
    }

    private static void print(String time, List<Subject> subjects, int columns, ToDoubleFunction<Rate> rate) {
        System.out.println("| MiB/s " + time + " (ratio to the file), best of " + ROUNDS + " | "
                + String.join(" | ", Arrays.copyOf(COLUMNS, columns)) + " |");
        System.out.println("|---" + "|---".repeat(columns) + "|");
        for (Subject subject : subjects) {
            StringBuilder row = new StringBuilder("| " + subject.name);
            for (int i = 0; i < columns; i++) {
                double best = subject.best(i, rate);
                row.append(String.format(
                        Locale.ROOT,
                        " | %.0f (%.2f)",
                        best,
                        best / subjects.getFirst().best(i, rate)));
            }
            System.out.println(row.append(" |"));
        }
    }

    /** Past the host's cache; named so because the compiler warns of the class, which has no replacement. */
    private static OpenOption direct() throws ClassNotFoundException {
        for (Object option :
                Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants()) {
            if (option instanceof OpenOption open && open.toString().equals("DIRECT")) {
                return open;
            }
        }
        throw new IllegalStateException("this JDK cannot open files past the cache");
    }

    private static Subject channel(String name, Path file, OpenOption... more) throws IOException {
        List<OpenOption> options =
                new ArrayList<>(List.of(StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE));
        options.addAll(List.of(more));
        FileChannel channel = FileChannel.open(file, options.toArray(OpenOption[]::new));
        return new Subject(
                name,
                // Past the cache each request waits for the disk.
                more.length == 0 ? RANDOM : RANDOM / 20,
                (offset, memory, length) ->
                        channel.write(memory.asSlice(0, length).asByteBuffer(), offset),
                (offset, memory, length) ->
                        channel.read(memory.asSlice(0, length).asByteBuffer(), offset),
                () -> channel.force(false),
                () -> {
                    channel.close();
                    Files.delete(file);
                });
    }

    private static Subject disk(String name, Path image, CreateOptions create) {
        DiskFormat format = DiskFormat.ofName(image).orElseThrow();
        VirtualDisks.create(image, format, create, DiskOptions.readWrite());
        VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite());
        return new Subject(
                name,
                RANDOM,
                (offset, memory, length) -> disk.write(offset, memory, 0, length),
                (offset, memory, length) -> disk.read(offset, memory, 0, length),
                disk::flush,
                () -> {
                    disk.close();
                    Files.delete(image);
                });
    }

    private static Rate[] measure(Subject subject, MemorySegment memory, long size) throws Exception {
        Rate[] rates = {
            sequential(subject.write, memory, size, 64 << 10),
            sequential(subject.read, memory, size, 64 << 10),
            sequential(subject.write, memory, size, MIB),
            sequential(subject.read, memory, size, MIB),
            random(subject.write, memory, size, subject.random, 1),
            random(subject.read, memory, size, subject.random, 1),
            parallel(subject.read, memory, size, subject.random)
        };
        // What a round has written is not left for the next subject to wait for.
        subject.flush.run();
        return rates;
    }

    private static Rate sequential(Request request, MemorySegment memory, long size, int length) throws IOException {
        Moment began = Moment.now();
        for (long at = 0; at < size; at += length) {
            request.run(at, memory, length);
        }
        return began.rate(size);
    }

    private static Rate random(Request request, MemorySegment memory, long size, int count, long seed)
            throws IOException {
        int length = 4 << 10;
        SplittableRandom random = new SplittableRandom(seed);
        Moment began = Moment.now();
        for (int i = 0; i < count; i++) {
            request.run(random.nextLong(size / length) * length, memory, length);
        }
        return began.rate((long) count * length);
    }

    private static Rate parallel(Request request, MemorySegment memory, long size, int count) throws Exception {
        List<Thread> threads = new ArrayList<>();
        long began = System.nanoTime();
        for (int i = 0; i < THREADS; i++) {
            long seed = i;
            MemorySegment own = memory.asSlice(i * (64L << 10), 64 << 10);
            threads.add(Thread.startVirtualThread(() -> {
                try {
                    random(request, own, size, count, seed);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        double mib = (long) THREADS * count * (4 << 10) / (double) MIB;
        return new Rate(mib / ((System.nanoTime() - began) / 1e9), 0);
    }
}
