package org.torte.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * The tiny guest on its disk, on Torte (a VHDX over the VMBus) and on QEMU's software processor (the same content as a raw
 * disk, virtio-blk): boot to the shell, each piece of work on the one and then on the other while the first is idle, and on
 * Torte saving and restoring. Beside each figure stands the processor time that it took, Java's compiler and collector
 * included.
 */
final class GuestDisks {
    private static final long MEMORY = 512L << 20;
    private static final int MEGABYTES = 64, REQUESTS = 200;

    /** What is measured in the guest, by name; each prints nothing that matters. */
    private static final Map<String, String> WORK = new LinkedHashMap<>();

    static {
        WORK.put(
                "sequential write, forced, MiB/s",
                "dd if=/dev/zero of=/root/big bs=1M count=" + MEGABYTES + " conv=fsync 2>/dev/null");
        WORK.put("sequential read, MiB/s", "dd if=/root/big of=/dev/null bs=1M 2>/dev/null");
        WORK.put("random read of 4K, each by a process, 1/s", random("if=/root/big of=/dev/null iflag=direct", "skip"));
        WORK.put("the same processes without a disk, 1/s", random("if=/dev/zero of=/dev/null", "skip"));
        WORK.put(
                "random write of 4K, forced, each by a process, 1/s",
                random("if=/dev/zero of=/root/big conv=notrunc,fsync", "seek"));
    }

    private GuestDisks() {}

    private static String random(String operands, String place) {
        return "i=0; while [ $i -lt " + REQUESTS + " ]; do dd " + operands + " bs=4k count=1 " + place
                + "=$((i*7919%16384)) 2>/dev/null; i=$((i+1)); done";
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        TinyGuest guest = new TinyGuests(new GuestImages(step -> System.err.println("bench: " + step))).guest();
        Path vhdx = folder.resolve("tiny.vhdx");
        Path raw = folder.resolve("tiny.raw");
        guest.disk(vhdx, TinyGuest.DEFAULT_SIZE);
        guest.disk(raw, TinyGuest.DEFAULT_SIZE);
        GuestTable table = new GuestTable("Torte, VHDX", "QEMU TCG, raw virtio-blk");

        Path saved = folder.resolve("saved");
        long began = System.nanoTime();
        try (VirtualMachine machine = TinyGuest.machine(vhdx).memory(MEMORY).build()) {
            machine.start();
            GuestLine torte = new GuestLine.Torte(machine);
            GuestTable.Cost torteBoot = boot(torte, began);
            began = System.nanoTime();
            try (GuestLine qemu = new QemuGuest(guest, raw)) {
                table.row("boot to the shell, s", torteBoot, boot(qemu, began));
                for (Map.Entry<String, String> work : WORK.entrySet()) {
                    int count = work.getKey().endsWith("MiB/s") ? MEGABYTES : REQUESTS;
                    table.row(
                            work.getKey(),
                            measure(torte, work.getValue(), count),
                            measure(qemu, work.getValue(), count));
                }
            }
            save(torte, machine, saved, table);
        }
        restore(saved, table);
    }

    private static GuestTable.Cost boot(GuestLine line, long began) throws Exception {
        line.waitFor(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)));
        return new GuestTable.Cost((System.nanoTime() - began) / 1e9, line.processorTime(), Double.NaN);
    }

    private static GuestTable.Cost measure(GuestLine line, String work, int count) throws Exception {
        line.run("echo 3 >/proc/sys/vm/drop_caches");
        long exits = line.exits();
        double processor = line.processorTime();
        double seconds = line.seconds(work);
        return new GuestTable.Cost(
                count / seconds,
                line.processorTime() - processor,
                exits < 0 ? Double.NaN : (line.exits() - exits) / (double) count);
    }

    private static void save(GuestLine line, VirtualMachine machine, Path saved, GuestTable table) throws Exception {
        // Memory that is empty would cost nothing: real content, again and again, which compresses as such content
        // does.
        line.run("mount -t tmpfs -o size=400M t /mnt; while cat $(find /boot -type f); do :; done >/mnt/f 2>/dev/null");
        double processor = line.processorTime();
        long began = System.nanoTime();
        machine.pause();
        machine.save(saved);
        table.row(
                "save of 512 MiB, s",
                new GuestTable.Cost((System.nanoTime() - began) / 1e9, line.processorTime() - processor, Double.NaN));
        System.out.printf(Locale.ROOT, "| its file, MiB | %.0f | | | | | |%n", Files.size(saved) / (double) (1 << 20));
    }

    private static void restore(Path saved, GuestTable table) throws Exception {
        long began = System.nanoTime();
        try (VirtualMachine machine = VirtualMachine.builder().savedState(saved).build()) {
            GuestLine line = new GuestLine.Torte(machine);
            double processor = line.processorTime();
            machine.start();
            double running = (System.nanoTime() - began) / 1e9;
            line.type("echo alive$((1+1))\n");
            line.waitFor(Pattern.compile("alive2"));
            table.row(
                    "restore to running, s",
                    new GuestTable.Cost(running, line.processorTime() - processor, Double.NaN));
            table.row(
                    "restore to the shell's answer, s",
                    new GuestTable.Cost(
                            (System.nanoTime() - began) / 1e9, line.processorTime() - processor, Double.NaN));
        }
    }
}
