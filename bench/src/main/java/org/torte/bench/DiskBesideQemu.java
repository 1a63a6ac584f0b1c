package org.torte.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * The same requests to images of the same format and block size, all through the host's cache and one at a time: here,
 * by {@code qemu-img bench}, by {@code qemu-io}, and to a {@code qemu-nbd} over a Unix socket. The programs take turns in
 * each round; what is shown is the best round of each, since other work on a machine only ever takes time away.
 */
public final class DiskBesideQemu {
    private static final int MIB = 1 << 20;
    private static final int BLOCK = 2 * MIB;
    private static final int NEW_BLOCKS = 256;
    private static final int ROUNDS = Integer.getInteger("torte.bench.rounds", 5);
    private static final Pattern COMPLETED = Pattern.compile("Run completed in ([0-9.]+) seconds");

    /**
     * Some requests.
     *
     * @param step bytes from one request to the next
     * @param flushEvery requests after which there is a flush; 0 for none
     */
    private record Work(String name, boolean writing, boolean fresh, int count, int length, int step, int flushEvery) {
        boolean perRequest() {
            return step == BLOCK;
        }

        /** Milliseconds for a request, or mebibytes in a second. */
        String show(double seconds) {
            return perRequest()
                    ? String.format(Locale.ROOT, "%.3f ms", seconds / count * 1000)
                    : String.format(Locale.ROOT, "%.0f", (long) count * length / (double) MIB / seconds);
        }
    }

    /** Takes requests, and says how many seconds they took. */
    private interface Program {
        double seconds(Path image, DiskFormat format, Work work) throws IOException, InterruptedException;
    }

    private final Path folder;
    private final long size;

    private DiskBesideQemu(Path folder, int mib) {
        this.folder = folder;
        this.size = Math.max((long) mib * MIB, (long) NEW_BLOCKS * BLOCK);
    }

    /** Arguments: a folder for the images, and how many mebibytes to work on. */
    public static void main(String[] arguments) throws Exception {
        new DiskBesideQemu(Path.of(arguments[0]), Integer.parseInt(arguments[1])).run(Integer.parseInt(arguments[1]));
    }

    private void run(int mib) throws IOException, InterruptedException {
        int pieces = mib * 16;
        List<Work> all = List.of(
                new Work("64K first write, then a flush", true, true, pieces, 64 << 10, 64 << 10, pieces),
                new Work("64K write", true, false, pieces, 64 << 10, 64 << 10, 0),
                new Work("64K read", false, false, pieces, 64 << 10, 64 << 10, 0),
                new Work("1M write", true, false, mib, MIB, MIB, 0),
                new Work("1M read", false, false, mib, MIB, MIB, 0),
                new Work("4K write to a new block", true, true, NEW_BLOCKS, 4096, BLOCK, 0),
                new Work("4K write to a new block and a flush", true, true, NEW_BLOCKS, 4096, BLOCK, 1));
        List<Program> programs = List.of(this::torte, this::qemuImg, this::qemuIo, this::qemuNbd);
        System.out.println("| MiB/s, or ms for each, best of " + ROUNDS
                + " | format | Torte | qemu-img | qemu-io | qemu-nbd | Torte / best of QEMU |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (DiskFormat format : new DiskFormat[] {DiskFormat.VHD, DiskFormat.VHDX}) {
            for (Work work : all) {
                row(format, work, programs);
            }
        }
    }

    private void row(DiskFormat format, Work work, List<Program> programs) throws IOException, InterruptedException {
        double[] best = new double[programs.size()];
        Arrays.fill(best, Double.MAX_VALUE);
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < best.length; i++) {
                Path image = folder.resolve("beside." + qemuName(format));
                create(image, format);
                if (!work.fresh) {
                    fill(image, format);
                }
                best[i] = Math.min(best[i], programs.get(i).seconds(image, format, work));
                Files.delete(image);
            }
        }
        StringBuilder row = new StringBuilder("| " + work.name + " | " + format);
        for (double seconds : best) {
            row.append(" | ").append(work.show(seconds));
        }
        double qemu = Arrays.stream(best).skip(1).min().orElseThrow();
        System.out.println(row.append(String.format(Locale.ROOT, " | %.1f |", qemu / best[0])));
    }

    private static String qemuName(DiskFormat format) {
        return format == DiskFormat.VHD ? "vpc" : "vhdx";
    }

    private void create(Path image, DiskFormat format) {
        CreateOptions create = CreateOptions.dynamic(size).withBlockSize(BLOCK);
        VirtualDisks.create(image, format, create, DiskOptions.readWrite());
    }

    private void fill(Path image, DiskFormat format) {
        byte[] content = new byte[MIB];
        Arrays.fill(content, (byte) 0x5a);
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite())) {
            for (long at = 0; at < size; at += MIB) {
                disk.write(at, content);
            }
        }
    }

    private double torte(Path image, DiskFormat format, Work work) {
        try (VirtualDisk disk = VirtualDisks.open(image, format, DiskOptions.readWrite());
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(work.length, 4096).fill((byte) 1);
            long began = System.nanoTime();
            for (int i = 1; i <= work.count; i++) {
                long at = (i - 1L) * work.step;
                if (work.writing) {
                    disk.write(at, memory, 0, work.length);
                } else {
                    disk.read(at, memory, 0, work.length);
                }
                if (work.flushEvery > 0 && i % work.flushEvery == 0) {
                    disk.flush();
                }
            }
            return (System.nanoTime() - began) / 1e9;
        }
    }

    private double qemuImg(Path image, DiskFormat format, Work work) throws IOException, InterruptedException {
        return bench(work, "writeback", qemuName(format), image.toString());
    }

    private static double bench(Work work, String cache, String format, String image)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                "qemu-img",
                "bench",
                "-t",
                cache,
                "-d",
                "1",
                "-f",
                format,
                "-c",
                "" + work.count,
                "-s",
                "" + work.length));
        command.addAll(List.of("-S", "" + work.step));
        if (work.writing) {
            command.add("-w");
        }
        if (work.flushEvery > 0) {
            command.add("--flush-interval=" + work.flushEvery);
        }
        command.add(image);
        String said = output(command, "");
        Matcher completed = COMPLETED.matcher(said);
        if (!completed.find()) {
            throw new IOException(command + " said: " + said);
        }
        return Double.parseDouble(completed.group(1));
    }

    /** The time of the program, less that of one that only opens the image. */
    private double qemuIo(Path image, DiskFormat format, Work work) throws IOException, InterruptedException {
        List<String> command = List.of("qemu-io", "-t", "writeback", "-f", qemuName(format), image.toString());
        StringBuilder text = new StringBuilder();
        for (int i = 1; i <= work.count; i++) {
            text.append(work.writing ? "write -q " : "read -q ")
                    .append((i - 1L) * work.step)
                    .append(' ')
                    .append(work.length)
                    .append('\n');
            if (work.flushEvery > 0 && i % work.flushEvery == 0) {
                text.append("flush\n");
            }
        }
        double empty = timed(command, "quit\n");
        empty = Math.min(empty, timed(command, "quit\n"));
        return Math.max(1e-6, timed(command, text.append("quit\n").toString()) - empty);
    }

    private static double timed(List<String> command, String input) throws IOException, InterruptedException {
        long began = System.nanoTime();
        output(command, input);
        return (System.nanoTime() - began) / 1e9;
    }

    private double qemuNbd(Path image, DiskFormat format, Work work) throws IOException, InterruptedException {
        Path socket = folder.resolve("nbd");
        Process server = new ProcessBuilder(
                        "qemu-nbd",
                        "--cache=writeback",
                        "-f",
                        qemuName(format),
                        "-k",
                        socket.toAbsolutePath().toString(),
                        image.toString())
                .redirectErrorStream(true)
                .start();
        try {
            while (!Files.exists(socket)) {
                if (!server.isAlive()) {
                    throw new IOException(
                            "qemu-nbd: " + new String(server.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
                }
                Thread.onSpinWait();
            }
            return bench(work, "writeback", "raw", "nbd+unix:///?socket=" + socket.toAbsolutePath());
        } finally {
            // It ends by itself when its client has gone.
            server.waitFor();
            Files.deleteIfExists(socket);
        }
    }

    private static String output(List<String> command, String input) throws IOException, InterruptedException {
        Path commands = Files.createTempFile("torte-bench", "");
        try {
            Files.writeString(commands, input);
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(commands.toFile())
                    .start();
            String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (process.waitFor() != 0) {
                throw new IOException(command + " failed: " + said);
            }
            return said;
        } finally {
            Files.delete(commands);
        }
    }
}
