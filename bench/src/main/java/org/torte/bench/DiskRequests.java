package org.torte.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * Requests to disks of each format beside the same requests to a file of the host, through its cache and around it. Each
 * round goes through all of them in turn, so that other work on the machine meets all alike.
 */
public final class DiskRequests {
    private static final int MIB = 1 << 20;
    private static final int ROUNDS = 5;
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
    private record Subject(String name, Request write, Request read, Action flush, Action close, double[][] rates) {
        double median(int column) {
            return Arrays.stream(rates[column]).sorted().toArray()[ROUNDS / 2];
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
                long began = System.nanoTime();
                sequential(subject.write, memory, size, 64 << 10);
                subject.flush.run();
                Arrays.fill(subject.rates[0], rate(size, began));
            }
            for (int round = -1; round < ROUNDS; round++) {
                for (Subject subject : subjects) {
                    double[] now = measure(subject, memory, size);
                    for (int i = 0; round >= 0 && i < now.length; i++) {
                        subject.rates[i + 1][round] = now[i];
                    }
                }
            }
        }
        System.out.println("| MiB/s (ratio to the file) | " + String.join(" | ", COLUMNS) + " |");
        System.out.println("|---" + "|---".repeat(COLUMNS.length) + "|");
        for (Subject subject : subjects) {
            StringBuilder row = new StringBuilder("| " + subject.name);
            for (int i = 0; i < COLUMNS.length; i++) {
                row.append(String.format(
                        " | %.0f (%.2f)",
                        subject.median(i),
                        subject.median(i) / subjects.getFirst().median(i)));
            }
            System.out.println(row.append(" |"));
            subject.close.run();
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
                (offset, memory, length) ->
                        channel.write(memory.asSlice(0, length).asByteBuffer(), offset),
                (offset, memory, length) ->
                        channel.read(memory.asSlice(0, length).asByteBuffer(), offset),
                () -> channel.force(false),
                () -> {
                    channel.close();
                    Files.delete(file);
                },
                new double[COLUMNS.length][ROUNDS]);
    }

    private static Subject disk(String name, Path image, CreateOptions create) {
        DiskFormat format = DiskFormat.ofName(image).orElseThrow();
        VirtualDisks.create(image, format, create, DiskOptions.readWrite());
        VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite());
        return new Subject(
                name,
                (offset, memory, length) -> disk.write(offset, memory, 0, length),
                (offset, memory, length) -> disk.read(offset, memory, 0, length),
                disk::flush,
                () -> {
                    disk.close();
                    Files.delete(image);
                },
                new double[COLUMNS.length][ROUNDS]);
    }

    private static double[] measure(Subject subject, MemorySegment memory, long size) throws Exception {
        double[] rates = {
            sequential(subject.write, memory, size, 64 << 10),
            sequential(subject.read, memory, size, 64 << 10),
            sequential(subject.write, memory, size, MIB),
            sequential(subject.read, memory, size, MIB),
            random(subject.write, memory, size, 1),
            random(subject.read, memory, size, 1),
            parallel(subject.read, memory, size)
        };
        // What a round has written is not left for the next subject to wait for.
        subject.flush.run();
        return rates;
    }

    private static double sequential(Request request, MemorySegment memory, long size, int length) throws IOException {
        long began = System.nanoTime();
        for (long at = 0; at < size; at += length) {
            request.run(at, memory, length);
        }
        return rate(size, began);
    }

    private static double random(Request request, MemorySegment memory, long size, long seed) throws IOException {
        int length = 4 << 10;
        SplittableRandom random = new SplittableRandom(seed);
        long began = System.nanoTime();
        for (int i = 0; i < RANDOM; i++) {
            request.run(random.nextLong(size / length) * length, memory, length);
        }
        return rate((long) RANDOM * length, began);
    }

    private static double parallel(Request request, MemorySegment memory, long size) throws Exception {
        List<Thread> threads = new ArrayList<>();
        long began = System.nanoTime();
        for (int i = 0; i < THREADS; i++) {
            long seed = i;
            MemorySegment own = memory.asSlice(i * (64L << 10), 64 << 10);
            threads.add(Thread.startVirtualThread(() -> {
                try {
                    random(request, own, size, seed);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        return rate((long) THREADS * RANDOM * (4 << 10), began);
    }

    private static double rate(long bytes, long began) {
        return bytes / (double) MIB / ((System.nanoTime() - began) / 1e9);
    }
}
