package org.torte.bench;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskStorage;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * What the formats promise beside the rate of plain requests, measured: one row each, with its target. Times are the best of
 * seven rounds, since other work on a machine only ever adds to them; reads are measured by processor time.
 */
public final class DiskTargets {
    private static final int MIB = 1 << 20;
    private static final int ROUNDS = 7;

    private final Path folder;
    private int rounds = ROUNDS;
    private final AtomicLong forces = new AtomicLong();
    private final DiskOptions options = DiskOptions.readWrite().withStorage(counting(DiskStorage.host()));

    private DiskTargets(Path folder) {
        this.folder = folder;
    }

    /** Argument: a folder for the images. */
    public static void main(String[] arguments) throws IOException {
        System.out.println("| | target | VHD | VHDX |");
        System.out.println("|---|---|---|---|");
        new DiskTargets(Path.of(arguments[0])).run();
    }

    private interface Measure {
        double of(DiskFormat format) throws IOException;
    }

    private void run() throws IOException {
        row("making the largest disk, ms", "50", "%.1f", this::creation);
        row("4K write to a new block, not flushed, ms", "0.5", "%.3f", format -> newBlocks(format, 0)[0]);
        row("4K write to a new block and a flush, ms", "", "%.3f", format -> newBlocks(format, 1)[0]);
        row("forces of such a flush", "1", "%.2f", format -> newBlocks(format, 1)[1]);
        row("the same on a differencing disk", "2", "%.2f", format -> newBlocks(format, 2)[1]);
        row("bytes allocated on the heap for a 4K read", "0", "%.1f", format -> garbage(format, false));
        row("bytes allocated on the heap for a 4K write", "0", "%.1f", format -> garbage(format, true));
        rounds = 1;
        row("64K reads through 50 images, of the rate of the last alone", "0.80", "%.2f", this::chain);
        row("4K random reads through 50 images, likewise", "0.80", "%.2f", this::randomChain);
    }

    private void row(String what, String target, String form, Measure measure) throws IOException {
        StringBuilder row = new StringBuilder("| " + what + " | " + target);
        for (DiskFormat format : new DiskFormat[] {DiskFormat.VHD, DiskFormat.VHDX}) {
            double[] found = new double[rounds];
            for (int i = 0; i < rounds; i++) {
                found[i] = measure.of(format);
            }
            row.append(" | ")
                    .append(String.format(form, Arrays.stream(found).min().orElseThrow()));
        }
        System.out.println(row.append(" |"));
    }

    private Path image(String name, DiskFormat format) {
        return folder.resolve(name + (format == DiskFormat.VHD ? ".vhd" : ".vhdx"));
    }

    private double creation(DiskFormat format) throws IOException {
        Path image = image("large", format);
        long size = format == DiskFormat.VHD ? 2040L << 30 : 64L << 40;
        long began = System.nanoTime();
        VirtualDisks.create(image, format, CreateOptions.dynamic(size), options);
        double taken = (System.nanoTime() - began) / 1e6;
        Files.delete(image);
        return taken;
    }

    /** Milliseconds and forces for each of 256 writes to new blocks; mode 1 flushes each, 2 does that over a parent. */
    private double[] newBlocks(DiskFormat format, int mode) throws IOException {
        Path parent = image("parent", format);
        Path image = image("blocks", format);
        CreateOptions create = CreateOptions.dynamic(1L << 30).withBlockSize(2 * MIB);
        if (mode == 2) {
            VirtualDisks.create(parent, format, create, options);
            create = CreateOptions.differencing(parent);
        }
        VirtualDisks.create(image, format, create, options);
        byte[] content = new byte[4096];
        double[] result = new double[2];
        try (VirtualDisk disk = VirtualDisks.open(image, format, options)) {
            disk.write(0, content);
            disk.flush();
            long before = forces.get();
            long began = System.nanoTime();
            for (int i = 1; i <= 256; i++) {
                disk.write(2L * MIB * i, content);
                if (mode > 0) {
                    disk.flush();
                }
            }
            result[0] = (System.nanoTime() - began) / 1e6 / 256;
            result[1] = (forces.get() - before) / 256.0;
        }
        Files.delete(image);
        Files.deleteIfExists(parent);
        return result;
    }

    private double garbage(DiskFormat format, boolean writing) throws IOException {
        Path image = image("garbage", format);
        VirtualDisks.create(image, format, CreateOptions.dynamic(64 * MIB), options);
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        double bytes;
        // Not counted: the counting storage allocates itself.
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite());
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(MIB, 4096).fill((byte) 1);
            for (int at = 0; at < 64 * MIB; at += MIB) {
                disk.write(at, memory, 0, MIB);
            }
            requests(disk, memory, writing, 40_000);
            long before = threads.getCurrentThreadAllocatedBytes();
            requests(disk, memory, writing, 20_000);
            bytes = (threads.getCurrentThreadAllocatedBytes() - before) / 20_000.0;
        }
        Files.delete(image);
        return bytes;
    }

    private static void requests(VirtualDisk disk, MemorySegment memory, boolean writing, int count) {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < count; i++) {
            long at = random.nextInt(64 * MIB / 4096) * 4096L;
            if (writing) {
                disk.write(at, memory, 0, 4096);
            } else {
                disk.read(at, memory, 0, 4096);
            }
        }
    }

    private double chain(DiskFormat format) throws IOException {
        return chain(format, 64 << 10);
    }

    private double randomChain(DiskFormat format) throws IOException {
        return chain(format, 4 << 10);
    }

    private double chain(DiskFormat format, int length) throws IOException {
        int size = 256 * MIB;
        Path base = image("level0", format);
        Path last = base;
        if (!Files.exists(base)) {
            VirtualDisks.create(base, format, CreateOptions.dynamic(size).withBlockSize(2 * MIB), options);
            try (VirtualDisk disk = VirtualDisks.open(base, format, options)) {
                byte[] content = new byte[MIB];
                Arrays.fill(content, (byte) 1);
                for (int at = 0; at < size; at += MIB) {
                    disk.write(at, content);
                }
            }
        }
        for (int level = 1; level < 50; level++) {
            Path next = image("level" + level, format);
            if (!Files.exists(next)) {
                VirtualDisks.create(next, format, CreateOptions.differencing(last), options);
                try (VirtualDisk disk = VirtualDisks.open(next, format, options)) {
                    disk.write(level * 5L * MIB, new byte[4096]);
                }
            }
            last = next;
        }
        DiskOptions reading = DiskOptions.readOnly();
        try (VirtualDisk bottom = VirtualDisks.open(base, format, reading);
                VirtualDisk top = VirtualDisks.open(last, format, reading)) {
            double through = Double.MAX_VALUE;
            double alone = Double.MAX_VALUE;
            for (int i = 0; i < ROUNDS; i++) {
                alone = Math.min(alone, seconds(bottom, length));
                through = Math.min(through, seconds(top, length));
            }
            return alone / through;
        }
    }

    private static double seconds(VirtualDisk disk, int length) {
        SplittableRandom random = new SplittableRandom(1);
        int count = length < 64 << 10 ? 30_000 : 8_000;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(length, 4096);
            long began = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
            for (int i = 0; i < count; i++) {
                disk.read(random.nextLong(disk.size() / length) * length, memory, 0, length);
            }
            return (ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - began) / 1e9;
        }
    }

    private DiskStorage counting(DiskStorage storage) {
        return proxy(DiskStorage.class, storage);
    }

    /** Passes everything on; files that come back are counted in their turn. */
    private <T> T proxy(Class<T> type, T target) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(), new Class<?>[] {type}, (_, method, arguments) -> {
                    if (method.getName().equals("force")) {
                        forces.incrementAndGet();
                    }
                    Object result = call(target, method, arguments);
                    return result instanceof DiskFile file && type != DiskFile.class
                            ? proxy(DiskFile.class, file)
                            : result;
                }));
    }

    private static Object call(Object target, Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
