package org.torte.bench;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.PortSettings;
import org.torte.network.SwitchPort;
import org.torte.network.VirtualSwitch;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.PortOptions;
import org.torte.network.process.SwitchDefinition;
import org.torte.network.process.SwitchServer;

/**
 * Frames from one port to another: in one process, between two worker-like processes through the switch process, and between
 * two network namespaces through a Linux bridge. Processor time is of all processes that take part, and of the kernel for them.
 */
final class SwitchPorts {
    private static final int WARM_SECONDS = Integer.getInteger("torte.bench.warm", 4);
    private static final int SECONDS = Integer.getInteger("torte.bench.seconds", 4);
    private static final MacAddress ONE = new MacAddress(0x02_0000_0000_01L);
    private static final MacAddress TWO = new MacAddress(0x02_0000_0000_02L);

    /** What is sent: frames of a length, as large sends if there is a segment size. */
    private record Load(String name, int length, int segment) {}

    private static final List<Load> LOADS = List.of(
            new Load("64 B", 64, 0),
            new Load("1500 B", 1514, 0),
            new Load("9000 B", 9014, 0),
            new Load("64 KiB, large sends", 65_000, 1448));

    /** A process, or several, that answer questions; its processor time is that of all. */
    private interface Peer {
        String ask() throws IOException;
    }

    /** A program of the comparison. */
    private static final class Program implements Peer, AutoCloseable {
        private final Process process;
        private final BufferedWriter to;
        private final BufferedReader from;

        Program(List<String> command) throws IOException {
            process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            to = process.outputWriter(StandardCharsets.UTF_8);
            from = process.inputReader(StandardCharsets.UTF_8);
        }

        @Override
        public String ask() throws IOException {
            to.write("\n");
            to.flush();
            String answer = from.readLine();
            if (answer == null) {
                throw new IOException("a process of the benchmark has ended");
            }
            return answer;
        }

        /** Seconds of processor time until now, in the process and in the kernel for it. */
        double processor() throws IOException {
            return seconds(process.pid());
        }

        @Override
        public void close() {
            process.destroyForcibly();
            process.onExit().join();
        }
    }

    private static double seconds(long pid) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0; // USER_HZ
    }

    /** Seconds of processor time of the whole machine, also of what the kernel does for nobody (softirq). */
    private static double machine() throws IOException {
        String[] fields =
                Files.readAllLines(Path.of("/proc/stat")).getFirst().trim().split(" +", -1);
        long ticks = 0;
        for (int i = 1; i <= 8; i++) {
            ticks += i == 4 || i == 5 ? 0 : Long.parseLong(fields[i]); // without idle and waiting
        }
        return ticks / 100.0;
    }

    /** What came in a second, of what was sent, and for how much time of the machine's processors. */
    private record Rate(double frames, double sent, double processor) {
        Rate {
            processor = Math.max(processor, 1e-9);
        }

        double gigabits(Load load) {
            return frames * load.length * 8 / 1e9;
        }
    }

    private final Path folder;
    private final Path packets;

    private SwitchPorts(Path folder, Path packets) {
        this.folder = folder;
        this.packets = packets;
    }

    /** Arguments: a folder for sockets, the program {@code packets}, and {@code rings} to leave the bridge out. */
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("serve")) {
            serve(Path.of(arguments[1]));
            return;
        }
        SwitchPorts bench = new SwitchPorts(Path.of(arguments[0]), Path.of(arguments[1]));
        bench.run(arguments.length > 2 && arguments[2].equals("rings"));
        System.exit(0);
    }

    private static void serve(Path folder) throws Exception {
        TimerThread timers = new TimerThread(Clock.system(), "timers");
        timers.resume();
        SwitchServer.open(folder, timers, RandomSource.secure(), System.err::println);
        Thread.currentThread().join();
    }

    private void run(boolean ringsOnly) throws Exception {
        System.out.println(
                "| frames from port to port | through | million a second | Gbit/s | lost | processor, ns a frame | million a core-second |");
        System.out.println("|---|---|---|---|---|---|---|");
        for (Load load : LOADS) {
            if (!ringsOnly) {
                print(load, "one process", inProcess(load));
            }
            print(load, "switch process", rings(load));
            if (!ringsOnly) {
                print(load, "Linux bridge", bridge(load));
            }
        }
        System.out.println();
        System.out.println("| round trip of 64 B, microseconds | 50 % | 99 % |");
        System.out.println("|---|---|---|");
        printTrip("one process", inProcessTrip());
        printTrip("switch process", ringTrip());
        if (!ringsOnly) {
            printTrip("Linux bridge with veth", kernelTrip("eth0"));
            printTrip("veth alone", kernelTrip("eth1"));
        }
    }

    private static void print(Load load, String through, Rate rate) {
        System.out.printf(
                Locale.ROOT,
                "| %s | %s | %.3f | %.2f | %.1f %% | %.0f | %.2f |%n",
                load.name,
                through,
                rate.frames / 1e6,
                rate.gigabits(load),
                100 * Math.max(0, 1 - rate.frames / rate.sent),
                rate.processor / rate.frames * 1e9,
                rate.frames / rate.processor / 1e6);
    }

    private static void printTrip(String through, String answer) {
        String[] fields = answer.split(" ", -1);
        System.out.printf(
                Locale.ROOT,
                "| %s | %.1f | %.1f |%n",
                through,
                Long.parseLong(fields[1]) / 1e3,
                Long.parseLong(fields[2]) / 1e3);
    }

    // ---- in one process

    private static Rate inProcess(Load load) {
        TimerThread timers = new TimerThread(Clock.system(), "timers");
        timers.resume();
        VirtualSwitch network = new VirtualSwitch("lab", timers, RandomSource.secure());
        SwitchPort from = network.addPort(PortSettings.named("one").withMtu(9000));
        SwitchPort to = network.addPort(PortSettings.named("two").withMtu(9000));
        SwitchStation one = new SwitchStation(from, ONE, false, false);
        SwitchStation two = new SwitchStation(to, TWO, false, false);
        from.plug(one);
        to.plug(two);
        FrameBatch batch = SwitchStation.batch(ONE, TWO, SwitchStation.BATCH, load.length, load.segment);
        turn(from, batch, WARM_SECONDS);
        long before = two.frames();
        long began = System.nanoTime();
        long sent = turn(from, batch, SECONDS);
        double seconds = (System.nanoTime() - began) / 1e9;
        double came = two.frames() - before;
        from.close();
        to.close();
        timers.close();
        // One thread that never waits: its processor time is the time.
        return new Rate(came / seconds, sent / seconds, 1);
    }

    /** All of it on one thread: what the switch itself adds, there and back. */
    private static String inProcessTrip() throws InterruptedException {
        try (TimerThread timers = new TimerThread(Clock.system(), "timers")) {
            timers.resume();
            VirtualSwitch network = new VirtualSwitch("lab", timers, RandomSource.secure());
            SwitchPort from = network.addPort(PortSettings.named("one"));
            SwitchPort to = network.addPort(PortSettings.named("two"));
            SwitchStation one = new SwitchStation(from, ONE, false, true);
            from.plug(one);
            to.plug(new SwitchStation(to, TWO, true, false));
            Thread _ =
                    Thread.ofPlatform().daemon().start(() -> one.work("ping", SwitchStation.batch(ONE, TWO, 1, 64, 0)));
            Thread.sleep(WARM_SECONDS * 1000L);
            String _ = one.report();
            Thread.sleep(SECONDS * 1000L);
            String answer = one.report();
            from.close();
            return answer;
        }
    }

    private static long turn(SwitchPort from, FrameBatch batch, int seconds) {
        long sent = 0;
        long until = System.nanoTime() + seconds * 1_000_000_000L;
        while (System.nanoTime() < until) {
            for (int i = 0; i < 64; i++) {
                sent += from.send(batch, 0);
            }
        }
        return sent;
    }

    // ---- rings

    private static List<String> java(String... more) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path")));
        String extra = System.getProperty("torte.bench.java", "");
        if (!extra.isEmpty()) {
            command.addAll(1, List.of(extra.split(" ", -1)));
        }
        command.addAll(List.of(more));
        return command;
    }

    private Program station(String id, MacAddress address, String... more) throws IOException {
        List<String> command = java(SwitchStation.class.getName(), folder.toString(), id, address.toString());
        command.addAll(List.of(more));
        return new Program(command);
    }

    private Program switchProcess() throws IOException, InterruptedException {
        NetworkConfiguration configuration = new NetworkConfiguration(
                List.of(new SwitchDefinition("lab", SwitchDefinition.Type.PRIVATE, "", 9000)),
                List.of(
                        new PortDefinition("one", "lab", "one", ONE, PortOptions.STANDARD, List.of()),
                        new PortDefinition("two", "lab", "two", TWO, PortOptions.STANDARD, List.of())));
        Files.write(SwitchServer.configuration(folder), configuration.text());
        Program process = new Program(java(SwitchPorts.class.getName(), "serve", folder.toString()));
        while (!Files.exists(SwitchServer.socket(folder))) {
            Thread.sleep(20);
        }
        return process;
    }

    private Rate rings(Load load) throws IOException, InterruptedException {
        try (Program process = switchProcess();
                Program two = station("two", TWO, "take");
                Program one = station(
                        "one",
                        ONE,
                        "send",
                        TWO.toString(),
                        Integer.toString(load.length),
                        Integer.toString(load.segment))) {
            Rate rate = rate(one, two);
            if (Boolean.getBoolean("torte.bench.split")) {
                System.out.printf(
                        Locale.ROOT,
                        "  seconds until now: sender %.2f, switch %.2f, receiver %.2f%n",
                        one.processor(),
                        process.processor(),
                        two.processor());
            }
            return rate;
        } finally {
            Files.deleteIfExists(SwitchServer.socket(folder));
        }
    }

    private static Rate rate(Peer one, Peer two) throws IOException, InterruptedException {
        long ignored = frames(one) + frames(two);
        Thread.sleep(WARM_SECONDS * 1000L);
        double processor = machine();
        long began = System.nanoTime();
        long sentBefore = frames(one);
        long before = frames(two);
        Thread.sleep(SECONDS * 1000L);
        long sent = frames(one) - sentBefore;
        long came = frames(two) - before;
        double seconds = (System.nanoTime() - began) / 1e9;
        return new Rate(came / seconds, sent / seconds, (machine() - processor) / seconds);
    }

    private static long frames(Peer peer) throws IOException {
        return Long.parseLong(peer.ask().split(" ", -1)[0]);
    }

    private String ringTrip() throws IOException, InterruptedException {
        try (Program _ = switchProcess();
                Program _ = station("two", TWO, "echo");
                Program one = station("one", ONE, "ping", TWO.toString(), "64", "0")) {
            return trip(one);
        } finally {
            Files.deleteIfExists(SwitchServer.socket(folder));
        }
    }

    private static String trip(Program one) throws IOException, InterruptedException {
        String ignored = one.ask();
        Thread.sleep(WARM_SECONDS * 1000L);
        ignored = one.ask();
        Thread.sleep(SECONDS * 1000L);
        return one.ask();
    }

    // ---- the bridge, which bench/network has made: namespaces tortebench1 and tortebench2, each with an interface
    // eth0 at the bridge, and eth1 at the other one's

    private Program kernel(int namespace, String what, String at, String... more) throws IOException {
        List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", "tortebench" + namespace, packets.toString(), what, at));
        command.addAll(List.of(more));
        return new Program(command);
    }

    private Rate bridge(Load load) throws IOException, InterruptedException {
        try (Program two = kernel(2, "take", "eth0");
                Program one = kernel(
                        1,
                        "send",
                        "eth0",
                        TWO.toString(),
                        Integer.toString(load.length),
                        Integer.toString(load.segment))) {
            return rate(one, two);
        }
    }

    private String kernelTrip(String at) throws IOException, InterruptedException {
        try (Program _ = kernel(2, "echo", at);
                Program one = kernel(1, "ping", at, TWO.toString(), "64")) {
            return trip(one);
        }
    }
}
