package org.torte.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisks;
import org.torte.testing.HostPrograms;
import org.torte.worker.DiskSource;
import org.torte.worker.ExitReport;
import org.torte.worker.Statistics;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;

/**
 * A stock Linux under mixed load for as long as it is told to, for {@code bench/soak}. Every piece of work is compared
 * with what the host made of it; at the end the guest's kernel is asked for complaints, and its clock for the time.
 */
final class Soak {
    private static final Duration PATIENCE = Duration.ofMinutes(15);
    private static final double CLOCK_LIMIT = 0.001;

    /** Pieces of work by name, for a shell in a folder of their own; $B is busybox, $D a file. */
    private static final Map<String, String> WORK = Map.of(
            "hash",
            "$B sha256sum <$D; $B md5sum <$D",
            "gzip",
            "$B gzip -c <$D | $B gunzip -c | $B sha256sum",
            "float",
            "$B awk 'BEGIN { for (i = 1; i <= 20000; i++) { s += i * i / 7 % 1.375; t = t * 31 % 65521 + i } printf"
                    + " \"%.9f %d\", s, t }'",
            "pipes",
            "$B seq 1 3000 | $B awk '{ print ($1 * 7919) % 10007, $1 }' | $B sort -n | $B uniq | $B md5sum",
            "fork",
            "i=0; n=0; while [ $i -lt 60 ]; do n=$(echo $(((n * 17 + i) % 99991))); i=$((i + 1)); done; echo $n",
            "files",
            """
            for i in 1 2 3 4 5 6 7 8; do $B cp $D a$i; $B tail -c +$((i * 1000)) $D | $B head -c 50000 >b$i; done
            $B sync; $B cat a? b? | $B sha256sum; for i in 1 2 3 4; do $B cmp a$i a$((i + 4)); done; $B rm a? b?\
            """,
            "perl",
            """
            /usr/bin/perl -e 'my ($s, %h) = (1); for (1..8000) { $s = ($s * 1103515245 + 12345) % 2147483648;
              $h{$s % 977} .= chr(97 + $s % 26) } my $x = 0; $x += sqrt($_) / ($_ % 13 + 1) for 1..5000;
              printf "%s %.17g\\n", join("", map { $h{$_} } sort { $a <=> $b } keys %h), $x'\
            """,
            "openssl",
            "for d in sha512 sha3-256 blake2s256; do /usr/bin/openssl dgst -$d <$D; done");

    /** Work in the guest only: its clock must not go back, on whichever processor it is read, nor a sleep be too short. */
    private static final String TIME = """
        now() { read t rest </proc/uptime; t=${t%.*}${t#*.}; t=${t#${t%%[!0]*}}; }
        now; i=0
        while [ $i -lt 300 ]; do
          u=$t; now; [ $t -ge $u ] || echo "clock went from $u to $t"; i=$((i + 1))
        done
        u=$t; usleep 200000; now; [ $((t - u)) -ge 19 ] || echo "200 ms took $((t - u)) hundredths"
        """;

    private static final String GUEST = """
        dmesg -n 1
        MAKE_EXECUTABLE
        export B=busybox D=/torte/data
        n=0; until [ -b /dev/sda ] || [ $n -gt 600 ]; do n=$((n + 1)); usleep 100000; done
        mke2fs -I 256 /dev/sda >/dev/null 2>&1; mkdir /mnt; mount -t ext4 /dev/sda /mnt || echo "P:wrong no disk"
        worker() {
          mkdir -p $2; cd $2; n=0
          while [ ! -e /tmp/stop ]; do
            sh /torte/work/$1 >/tmp/result.$3 2>&1
            cmp -s /tmp/result.$3 /torte/expected/$1 || echo "P:wrong $3 $n $(head -c 300 /tmp/result.$3 | tr '\\n' ' ')"
            n=$((n + 1)); echo $n >/tmp/rounds.$3
          done
        }
        echo P:ready
        while read word; do
          case $word in
            clock) read t rest </proc/uptime; echo "P:clock $t $(date +%s)" ;;
            start) for w in $(ls /torte/work); do worker $w /tmp/$w $w & done; worker files /mnt/files disk & ;;
            stop) touch /tmp/stop; wait; umount /mnt; echo P:stopped ;;
            end) break ;;
          esac
        done
        for r in /tmp/rounds.*; do echo "P:rounds ${r#*.} $(cat $r)"; done
        echo "P:processors $(grep -c ^processor /proc/cpuinfo)"
        echo "P:source $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
        dmesg -r | sed -n 's/^<[0-4]>/W:/p'
        echo P:end
        """;

    private static final Pattern TROUBLE =
            Pattern.compile("^W:.*(BUG|WARNING|Oops|Call Trace|unchecked MSR|stall|lockup|not responding|unstable|I/O"
                    + " error|hung|segfault)");

    private record Reading(double guest, double guestWall, double host, double hostWall, double uncertainty) {}

    private final List<String> console = new ArrayList<>();
    private final List<String> troubles = new ArrayList<>();

    private Soak() {}

    /** Arguments: a folder to work in, minutes, processors. */
    public static void main(String[] arguments) throws IOException, InterruptedException {
        int minutes = Integer.parseInt(arguments[1]);
        int processors = Integer.parseInt(arguments[2]);
        System.exit(new Soak().run(Path.of(arguments[0]), Duration.ofMinutes(minutes), processors) ? 0 : 1);
    }

    private boolean run(Path folder, Duration length, int processors) throws IOException, InterruptedException {
        GuestImages images = new GuestImages(step -> System.err.println("bench: " + step));
        GuestImages.GuestKernel kernel = images.guestKernel(GuestImages.CLOUD_KERNEL);
        Path initrd = folder.resolve("initrd");
        String script = GUEST.replace("MAKE_EXECUTABLE\n", HostPrograms.MAKE_EXECUTABLE);
        images.initrd(script, files(folder, images.busybox()), kernel, GuestImages.DISK_MODULES, initrd);
        Path disk = folder.resolve("disk.vhdx");
        VirtualDisks.create(disk, DiskFormat.VHDX, CreateOptions.dynamic(512L << 20), DiskOptions.readWrite());
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(kernel.kernel())
                .initrd(initrd)
                .append("console=ttyS0 quiet")
                .memory(1L << 30)
                .processors(processors)
                .disk(DiskSource.of(disk))
                .build()) {
            machine.start();
            output(machine, Pattern.compile("P:ready"));
            // Its clock is read before and after the load, as an answer under load may take seconds.
            Reading first = clock(machine);
            machine.console().type("start\n");
            long end = System.nanoTime() + length.toNanos();
            while (System.nanoTime() < end) {
                TimeUnit.NANOSECONDS.sleep(Math.min(60_000_000_000L, Math.max(1, end - System.nanoTime())));
                print(progress(first, clock(machine)));
            }
            Statistics statistics = machine.statistics();
            machine.console().type("stop\n");
            output(machine, Pattern.compile("P:stopped"));
            Reading last = clock(machine);
            machine.console().type("end\n");
            output(machine, Pattern.compile("P:end"));
            ExitReport exit = machine.awaitExit(PATIENCE);
            if (!(exit instanceof ExitReport.PoweredOff)) {
                troubles.add("the guest did not power off: " + exit);
            }
            report(first, last, statistics);
        }
        return troubles.isEmpty();
    }

    /** What the guest gets: data, work, the host's results. */
    private static Map<String, byte[]> files(Path folder, Path busybox) throws IOException, InterruptedException {
        byte[] data = new byte[200_000];
        Random random = new Random(20261129);
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) ('a' + random.nextInt(1 + i % 26));
        }
        Path file = Files.write(folder.resolve("data"), data);
        HostPrograms programs = new HostPrograms();
        Map<String, byte[]> files = new HashMap<>();
        for (Map.Entry<String, String> work : WORK.entrySet()) {
            boolean own = work.getValue().contains("$B") || work.getKey().equals("fork");
            if (own || programs.add("/usr/bin/" + work.getKey())) {
                Path place = Files.createDirectory(folder.resolve(work.getKey()));
                ProcessBuilder host = new ProcessBuilder(busybox.toString(), "sh", "-c", work.getValue());
                host.directory(place.toFile()).redirectErrorStream(true);
                host.environment().put("B", busybox.toString());
                host.environment().put("D", file.toString());
                host.environment().put("LC_ALL", "C");
                Process process = host.start();
                files.put(
                        "torte/expected/" + work.getKey(),
                        process.getInputStream().readAllBytes());
                files.put("torte/work/" + work.getKey(), work.getValue().getBytes(StandardCharsets.UTF_8));
            }
        }
        files.put("torte/work/time", TIME.getBytes(StandardCharsets.UTF_8));
        files.put("torte/expected/time", new byte[0]);
        files.put("torte/data", data);
        files.putAll(programs.files());
        return files;
    }

    /** The guest's output up to a line that matches; complaints in it are remembered and shown. */
    private String output(VirtualMachine machine, Pattern line) {
        String text = machine.console().waitForText(Pattern.compile(line.pattern() + "[^\\n]*\\n"), PATIENCE);
        for (String each : text.lines().map(String::strip).toList()) {
            console.add(each);
            if (each.startsWith("P:wrong") || TROUBLE.matcher(each).find()) {
                troubles.add(each);
                print(each);
            }
        }
        return text;
    }

    /** The quickest of several answers, since what the guest says is as old as its way here. */
    private Reading clock(VirtualMachine machine) {
        Pattern answer = Pattern.compile("P:clock ([0-9.]+) ([0-9]+)");
        Reading best = null;
        for (int i = 0; i < 5; i++) {
            long asked = System.nanoTime();
            machine.console().type("clock\n");
            String text = output(machine, answer);
            long answered = System.nanoTime();
            double wall = Instant.now().toEpochMilli() / 1e3;
            Matcher matcher = answer.matcher(text);
            if (matcher.find() && (best == null || (answered - asked) / 2e9 < best.uncertainty)) {
                best = new Reading(
                        Double.parseDouble(matcher.group(1)),
                        Double.parseDouble(matcher.group(2)),
                        (asked + answered) / 2e9,
                        wall,
                        (answered - asked) / 2e9);
            }
        }
        if (best == null) {
            throw new IllegalStateException("the guest does not tell the time");
        }
        return best;
    }

    private static double drift(Reading first, Reading last) {
        return (last.guest - first.guest) / (last.host - first.host) - 1;
    }

    private static String progress(Reading first, Reading now) {
        return String.format(
                Locale.ROOT,
                "after %.0f s: guest's clock %+.4f %% (to %.4f), its wall clock %+.0f s",
                now.host - first.host,
                100 * drift(first, now),
                100 * (now.uncertainty + first.uncertainty) / (now.host - first.host),
                now.guestWall - now.hostWall);
    }

    private void report(Reading first, Reading last, Statistics statistics) {
        for (String line : console) {
            if (line.startsWith("P:rounds") || line.startsWith("P:processors") || line.startsWith("P:source")) {
                print(line.substring(2));
            } else if (line.startsWith("W:")) {
                print("kernel: " + line.substring(2));
            }
        }
        print(String.format(
                Locale.ROOT,
                "%d processors, %.0f s, %.1f thousand million instructions, %.0f million a second",
                statistics.processors(),
                last.host - first.host,
                statistics.instructions() / 1e9,
                statistics.mips()));
        print(progress(first, last));
        // What the reading itself may be wrong by proves nothing.
        double uncertain = (first.uncertainty + last.uncertainty) / (last.host - first.host);
        if (Math.abs(drift(first, last)) > CLOCK_LIMIT + uncertain) {
            troubles.add("the guest's clock is off by more than 0.1 %");
        }
        print(troubles.isEmpty() ? "nothing wrong" : "WRONG: " + String.join("\n       ", troubles));
    }

    private static void print(String line) {
        System.out.println(line);
    }
}
