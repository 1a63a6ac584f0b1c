package org.torte.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskStorage;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.Merge;
import org.torte.disk.operation.Progress;

/**
 * Merging a layer beside copying as much between two files, made durable, in turn. Each merge is compared with the copies
 * right before and after it, and the median of these ratios is shown. Deleting the layer is a matter of the host's file
 * system: it is shown apart, and what a merge takes in all is compared with copying and deleting the file copied from.
 */
public final class MergeBesideCopy {
    private static final int MIB = 1 << 20;
    private static final int ROUNDS = Integer.getInteger("torte.bench.rounds", 7);
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final Path folder;
    private final int size;

    /** Milliseconds until all is durable, those of processor time with the deletion, and those of the deletion. */
    private record Taken(double work, double processor, double deletion) {
        double all() {
            return work + deletion;
        }
    }

    /** A merge and the copies around it. */
    private record Round(Taken before, Taken merge, Taken after) {
        double ratio(ToDoubleFunction<Taken> of) {
            return (of.applyAsDouble(before) + of.applyAsDouble(after)) / 2 / of.applyAsDouble(merge);
        }
    }

    private MergeBesideCopy(Path folder, int size) {
        this.folder = folder;
        this.size = size;
    }

    /** Arguments: a folder for the images, and how many mebibytes to merge at most. */
    public static void main(String[] arguments) throws IOException {
        System.out.println("| merge, median of " + ROUNDS + " | target | VHD | VHDX |");
        System.out.println("|---|---|---|---|");
        for (int mib = Integer.parseInt(arguments[1]); mib >= 128; mib /= 8) {
            new MergeBesideCopy(Path.of(arguments[0]), mib * MIB).run();
        }
    }

    private void run() throws IOException {
        Round[][] rounds = new Round[2][ROUNDS];
        for (int i = -1; i < ROUNDS; i++) {
            Taken before = copy();
            for (int k = 0; k < 2; k++) {
                Taken merge = merge(k == 0 ? DiskFormat.VHD : DiskFormat.VHDX);
                Taken after = copy();
                if (i >= 0) {
                    rounds[k][i] = new Round(before, merge, after);
                }
                before = after;
            }
        }
        String what = size / MIB + " MiB: ";
        row(what + "rate, of that of copying between files", "0.80", "%.2f", rounds, r -> r.ratio(Taken::work));
        row(what + "with the deletion in both", "", "%.2f", rounds, r -> r.ratio(Taken::all));
        row(what + "by processor time, with the deletion in both", "", "%.2f", rounds, r -> r.ratio(Taken::processor));
        row(what + "merging, ms", "", "%.0f", rounds, r -> r.merge().work());
        row(what + "copying, ms", "", "%.0f", rounds, r -> r.after().work());
        row(what + "deleting the layer, ms", "", "%.0f", rounds, r -> r.merge().deletion());
        row(
                what + "deleting the copied file, ms",
                "",
                "%.0f",
                rounds,
                r -> r.after().deletion());
    }

    private static void row(String what, String target, String form, Round[][] rounds, ToDoubleFunction<Round> of) {
        StringBuilder row = new StringBuilder("| " + what + " | " + target);
        for (Round[] format : rounds) {
            double[] sorted = Arrays.stream(format).mapToDouble(of).sorted().toArray();
            row.append(" | ").append(String.format(Locale.ROOT, form, sorted[sorted.length / 2]));
        }
        System.out.println(row.append(" |"));
    }

    /** From a file into another, present one, in pieces of 1 MiB. */
    private Taken copy() throws IOException {
        Path from = folder.resolve("from.raw");
        Path to = folder.resolve("to.raw");
        for (Path file : new Path[] {from, to}) {
            VirtualDisks.create(file, DiskFormat.RAW, CreateOptions.dynamic(size), DiskOptions.readWrite());
            fill(file, DiskFormat.RAW);
        }
        long processor = PROCESS.getProcessCpuTime();
        long began = System.nanoTime();
        try (FileChannel source = FileChannel.open(from, StandardOpenOption.READ);
                FileChannel target = FileChannel.open(to, StandardOpenOption.WRITE)) {
            ByteBuffer piece = ByteBuffer.allocateDirect(MIB);
            while (source.read(piece) > 0) {
                target.write(piece.flip());
                piece.clear();
            }
            target.force(true);
        }
        long copied = System.nanoTime();
        Files.delete(from);
        long end = System.nanoTime();
        Taken taken = taken(copied - began, PROCESS.getProcessCpuTime() - processor, end - copied);
        Files.delete(to);
        return taken;
    }

    private Taken merge(DiskFormat format) throws IOException {
        Path parent = folder.resolve("into." + format.name().toLowerCase(Locale.ROOT));
        Path child = folder.resolve("merged." + format.name().toLowerCase(Locale.ROOT));
        DiskOptions options = DiskOptions.readWrite();
        VirtualDisks.create(parent, format, CreateOptions.dynamic(size).withBlockSize(2 * MIB), options);
        fill(parent, format);
        VirtualDisks.create(child, format, CreateOptions.differencing(parent), options);
        fill(child, format);
        long[] deleting = {0};
        DiskOptions watched = options.withStorage(watchingDeletion(deleting));
        long processor = PROCESS.getProcessCpuTime();
        long began = System.nanoTime();
        Merge.run(child, format, watched, Progress.NONE);
        long all = System.nanoTime() - began;
        Taken taken = taken(all - deleting[0], PROCESS.getProcessCpuTime() - processor, deleting[0]);
        Files.delete(parent);
        return taken;
    }

    private static Taken taken(long work, long processor, long deletion) {
        return new Taken(work / 1e6, processor / 1e6, deletion / 1e6);
    }

    private void fill(Path image, DiskFormat format) {
        byte[] content = new byte[MIB];
        new Random(image.hashCode()).nextBytes(content);
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite())) {
            for (int at = 0; at < size; at += MIB) {
                disk.write(at, content);
            }
        }
    }

    /** The host's storage, adding up the nanoseconds that deleting takes. */
    private static DiskStorage watchingDeletion(long[] sum) {
        Class<?>[] type = {DiskStorage.class};
        return (DiskStorage) Proxy.newProxyInstance(type[0].getClassLoader(), type, (_, method, arguments) -> {
            long began = System.nanoTime();
            try {
                return method.invoke(DiskStorage.host(), arguments);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            } finally {
                if (method.getName().equals("delete")) {
                    sum[0] += System.nanoTime() - began;
                }
            }
        });
    }
}
