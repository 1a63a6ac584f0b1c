package org.torte.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.worker.Statistics;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * The tiny guest on its disk, on Torte (a VHDX over the VMBus) and on QEMU's software processor (the same content as a raw
 * disk, virtio-blk), one after the other: boot to the shell, reading and writing, and on Torte saving and restoring. Beside
 * each figure stands the processor time that it took, Java's compiler and collector included.
 */
final class GuestDisks {
    private static final Duration PATIENCE = Duration.ofMinutes(20);
    private static final long MEMORY = 512L << 20;
    private static final int MEGABYTES = 64, REQUESTS = 200;

    /** Before the name of what took this processor time. */
    private static final String PROCESSOR = "processor ";

    /** What is measured in the guest, by name; each prints nothing that matters. */
    private static final Map<String, String> WORK = new LinkedHashMap<>();

    static {
        String random = "i=0; while [ $i -lt " + REQUESTS
                + " ]; do dd %s bs=4k count=1 %s=$((i*7919%%16384)) 2>/dev/null;" + " i=$((i+1)); done";
        WORK.put(
                "sequential write, forced, MiB/s",
                "dd if=/dev/zero of=/root/big bs=1M count=" + MEGABYTES + " conv=fsync");
        WORK.put("sequential read, MiB/s", "dd if=/root/big of=/dev/null bs=1M");
        WORK.put("nothing", String.format(Locale.ROOT, random, "if=/dev/zero of=/dev/null", "skip"));
        WORK.put(
                "random read of 4K, each by a process, 1/s",
                String.format(Locale.ROOT, random, "if=/root/big of=/dev/null iflag=direct", "skip"));
        WORK.put(
                "random write of 4K, forced, each by a process, 1/s",
                String.format(Locale.ROOT, random, "if=/dev/zero of=/root/big conv=notrunc,fsync", "seek"));
    }

    /** A guest's console, whoever runs the guest. */
    private interface Line extends AutoCloseable {
        void type(String text) throws IOException;

        String waitFor(Pattern pattern) throws Exception;

        /** Exits so far, or -1. */
        long exits();

        /** The process that runs the guest. */
        ProcessHandle process();

        /** Seconds of the host's processors that it has used: what a busy host does not change much. */
        default double processorTime() {
            return process().info().totalCpuDuration().orElse(Duration.ZERO).toNanos() / 1e9;
        }

        @Override
        void close() throws IOException;
    }

    private GuestDisks() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        TinyGuest guest = new TinyGuests(new GuestImages(step -> System.err.println("bench: " + step))).guest();
        Path vhdx = folder.resolve("tiny.vhdx");
        Path raw = folder.resolve("tiny.raw");
        guest.disk(vhdx, TinyGuest.DEFAULT_SIZE);
        guest.disk(raw, TinyGuest.DEFAULT_SIZE);

        System.err.println("bench: Torte");
        Map<String, Double> torte;
        try (VirtualMachine machine = TinyGuest.machine(vhdx).memory(MEMORY).build()) {
            long began = System.nanoTime();
            machine.start();
            TorteLine line = new TorteLine(machine);
            torte = measure(line, began);
            saveAndRestore(line, folder.resolve("saved"), torte);
        }
        System.err.println("bench: QEMU");
        Map<String, Double> qemu;
        long began = System.nanoTime();
        try (Line line = new QemuLine(guest, raw)) {
            qemu = measure(line, began);
        }
        System.out.println("| | Torte, VHDX | its processor time, s | QEMU TCG, raw virtio-blk | its processor time, s"
                + " | Torte / QEMU | exits each |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (Map.Entry<String, Double> entry : torte.entrySet()) {
            String name = entry.getKey();
            if (name.startsWith("exits") || name.startsWith(PROCESSOR)) {
                continue;
            }
            Double other = qemu.get(name);
            Double exits = torte.get("exits " + name);
            System.out.printf(
                    Locale.ROOT,
                    "| %s | %.2f | %s | %s | %s | %s | %s |%n",
                    name,
                    entry.getValue(),
                    text("%.2f", torte.get(PROCESSOR + name)),
                    text("%.2f", other),
                    text("%.2f", qemu.get(PROCESSOR + name)),
                    text("%.2f", other == null ? null : entry.getValue() / other),
                    text("%.1f", exits));
        }
    }

    private static String text(String format, @Nullable Double value) {
        return value == null ? "" : String.format(Locale.ROOT, format, value);
    }

    private static Map<String, Double> measure(Line line, long began) throws Exception {
        Map<String, Double> figures = new LinkedHashMap<>();
        line.waitFor(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)));
        figures.put("boot to the shell, s", (System.nanoTime() - began) / 1e9);
        figures.put(PROCESSOR + "boot to the shell, s", line.processorTime());
        double nothing = 0;
        int number = 0;
        for (Map.Entry<String, String> work : WORK.entrySet()) {
            long before = line.exits();
            double processor = line.processorTime();
            number++;
            line.type("echo 3 >/proc/sys/vm/drop_caches; a=$(cut -d' ' -f1 /proc/uptime); " + work.getValue()
                    + "; b=$(cut -d' ' -f1 /proc/uptime); echo \"=\"" + number + " $a $b\n");
            Pattern times = Pattern.compile("=" + number + " ([0-9.]+) ([0-9.]+)");
            Matcher found = times.matcher(line.waitFor(times));
            if (!found.find()) {
                throw new IllegalStateException("the guest printed no times");
            }
            double seconds = Math.max(Double.parseDouble(found.group(2)) - Double.parseDouble(found.group(1)), 0.01);
            String name = work.getKey();
            if (name.equals("nothing")) {
                nothing = seconds;
                continue;
            }
            figures.put(PROCESSOR + name, line.processorTime() - processor);
            boolean random = name.startsWith("random");
            figures.put(name, random ? REQUESTS / Math.max(seconds - nothing, 0.01) : MEGABYTES / seconds);
            if (before >= 0) {
                figures.put("exits " + name, (line.exits() - before) / (double) (random ? REQUESTS : MEGABYTES));
            }
        }
        return figures;
    }

    private static void saveAndRestore(TorteLine line, Path saved, Map<String, Double> figures) throws Exception {
        VirtualMachine machine = line.machine();
        // Memory that is empty would cost nothing.
        machine.console()
                .type("mount -t tmpfs -o size=400M t /mnt; dd if=/dev/urandom of=/mnt/f bs=1M count=300;"
                        + " echo full$((1+1))\n");
        machine.console().waitForText(Pattern.compile("full2"), PATIENCE);
        double processor = line.processorTime();
        long began = System.nanoTime();
        machine.pause();
        machine.save(saved);
        figures.put("save of 512 MiB, s", (System.nanoTime() - began) / 1e9);
        figures.put(PROCESSOR + "save of 512 MiB, s", line.processorTime() - processor);
        figures.put("its file, MiB", Files.size(saved) / (double) (1 << 20));
        machine.close();
        processor = line.processorTime();
        began = System.nanoTime();
        try (VirtualMachine again = VirtualMachine.builder().savedState(saved).build()) {
            again.start();
            again.console().type("echo alive$((1+1))\n");
            again.console().waitForText(Pattern.compile("alive2"), PATIENCE);
            figures.put("restore to the shell's answer, s", (System.nanoTime() - began) / 1e9);
            figures.put(PROCESSOR + "restore to the shell's answer, s", line.processorTime() - processor);
        }
    }

    private record TorteLine(VirtualMachine machine) implements Line {
        @Override
        public void type(String text) {
            machine.console().type(text);
        }

        @Override
        public String waitFor(Pattern pattern) throws Exception {
            return machine.console().waitForText(pattern, PATIENCE);
        }

        @Override
        public long exits() {
            Statistics now = machine.statistics();
            return now.portReads()
                    + now.portWrites()
                    + now.memoryReads()
                    + now.memoryWrites()
                    + now.msrReads()
                    + now.msrWrites();
        }

        @Override
        public ProcessHandle process() {
            return ProcessHandle.current();
        }

        @Override
        public void close() {
            machine.close();
        }
    }

    /** QEMU with the same kernel, its console on its standard output. */
    private static final class QemuLine implements Line {
        private final Process qemu;
        private final StringBuilder unread = new StringBuilder();

        QemuLine(TinyGuest guest, Path disk) throws IOException {
            List<String> command = new ArrayList<>(List.of(
                    "qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64,+sse4.2,+ssse3,+popcnt", "-smp", "1"));
            command.addAll(List.of("-m", "512M", "-no-reboot", "-nodefaults", "-display", "none", "-serial", "stdio"));
            command.addAll(List.of("-machine", "q35", "-kernel", guest.kernel().toString()));
            command.addAll(List.of("-initrd", guest.initrd().toString(), "-append", guest.commandLine()));
            command.addAll(List.of("-drive", "file=" + disk + ",format=raw,if=virtio,cache=writeback"));
            qemu = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        }

        @Override
        public void type(String text) throws IOException {
            OutputStream input = qemu.getOutputStream();
            input.write(text.getBytes(StandardCharsets.UTF_8));
            input.flush();
        }

        @Override
        public String waitFor(Pattern pattern) throws IOException {
            InputStream output = qemu.getInputStream();
            byte[] bytes = new byte[4096];
            while (true) {
                Matcher found = pattern.matcher(unread);
                if (found.find()) {
                    String text = unread.substring(0, found.end());
                    unread.delete(0, found.end());
                    return text;
                }
                int got = output.read(bytes);
                if (got < 0) {
                    throw new IOException("QEMU has ended: " + unread);
                }
                unread.append(new String(bytes, 0, got, StandardCharsets.ISO_8859_1));
            }
        }

        @Override
        public long exits() {
            return -1;
        }

        @Override
        public ProcessHandle process() {
            return qemu.toHandle();
        }

        @Override
        public void close() {
            qemu.destroy();
        }
    }
}
