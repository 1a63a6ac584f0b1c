package org.torte.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/** Requests to disks of each format beside the same requests to a file of the host, through its cache. */
public final class DiskRequests {
    private static final int MIB = 1 << 20;
    private static final int ROUNDS = 5;

    private DiskRequests() {}

    private interface Request {
        void run(long offset, MemorySegment memory, int length) throws IOException;
    }

    /** Arguments: a folder for the images, and how many mebibytes to work on. */
    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        long size = Long.parseLong(arguments[1]) * MIB;
        System.out.println("| MiB/s | 64K sequential write | 64K sequential read | 4K random write | 4K random read |");
        System.out.println("|---|---|---|---|---|");
        double[] host;
        Path plain = folder.resolve("plain");
        try (FileChannel channel =
                FileChannel.open(plain, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            host = measure(
                    (offset, memory, length) ->
                            channel.write(memory.asSlice(0, length).asByteBuffer(), offset),
                    (offset, memory, length) ->
                            channel.read(memory.asSlice(0, length).asByteBuffer(), offset),
                    size);
        }
        Files.delete(plain);
        print("file of the host", host, host);
        for (DiskFormat format : DiskFormat.values()) {
            Path image = folder.resolve("image");
            VirtualDisks.create(image, format, CreateOptions.dynamic(size), DiskOptions.readWrite());
            try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite())) {
                double[] found = measure(
                        (offset, memory, length) -> disk.write(offset, memory, 0, length),
                        (offset, memory, length) -> disk.read(offset, memory, 0, length),
                        size);
                print(format + " dynamic", found, host);
            }
            Files.delete(image);
        }
    }

    private static void print(String name, double[] found, double[] host) {
        StringBuilder row = new StringBuilder("| " + name);
        for (int i = 0; i < found.length; i++) {
            row.append(String.format(" | %.0f (%.2f)", found[i], found[i] / host[i]));
        }
        System.out.println(row.append(" |"));
    }

    /** The median rates; the first round allocates and does not count. */
    private static double[] measure(Request write, Request read, long size) throws IOException {
        double[][] rates = new double[4][ROUNDS];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(MIB, 4096).fill((byte) 0x5a);
            for (int round = -1; round < ROUNDS; round++) {
                double[] now = {
                    sequential(write, memory, size),
                    sequential(read, memory, size),
                    random(write, memory, size),
                    random(read, memory, size)
                };
                for (int i = 0; round >= 0 && i < now.length; i++) {
                    rates[i][round] = now[i];
                }
            }
        }
        return Arrays.stream(rates)
                .mapToDouble(r -> Arrays.stream(r).sorted().toArray()[ROUNDS / 2])
                .toArray();
    }

    private static double sequential(Request request, MemorySegment memory, long size) throws IOException {
        int length = 64 << 10;
        long began = System.nanoTime();
        for (long at = 0; at < size; at += length) {
            request.run(at, memory, length);
        }
        return rate(size, began);
    }

    private static double random(Request request, MemorySegment memory, long size) throws IOException {
        int length = 4 << 10;
        int count = (int) Math.min(50_000, size / length);
        SplittableRandom random = new SplittableRandom(20261123);
        long began = System.nanoTime();
        for (int i = 0; i < count; i++) {
            request.run(random.nextLong(size / length) * length, memory, length);
        }
        return rate((long) count * length, began);
    }

    private static double rate(long bytes, long began) {
        return bytes / (double) MIB / ((System.nanoTime() - began) / 1e9);
    }
}
