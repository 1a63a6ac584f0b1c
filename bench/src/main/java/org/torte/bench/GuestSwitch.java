package org.torte.bench;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.hypervisor.TranslatorMode;
import org.torte.network.host.PortForward;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.PortOptions;
import org.torte.network.process.SwitchDefinition;
import org.torte.network.process.SwitchServer;
import org.torte.network.process.SwitchStarter;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * Two tiny guests at the switch {@code Default} of the switch process, and two of QEMU's, which a socket joins and each of which
 * has QEMU's user networking besides: between the guests, and between a guest and the host through NAT. Each piece of work is
 * done on the one pair and then on the other while the first is idle. One pair of Torte's has its code translated, if that is
 * asked for.
 */
final class GuestSwitch {
    private static final int PINGS = 100, CONNECTIONS = 20;
    private static final int GUEST_PORT = 1001;

    /** Two guests, of which the first is reached by the host's port. */
    private record Pair(GuestLine one, GuestLine two, String oneAddress, String twoAddress, int hostPort, Path folder) {
        /** Seconds of processor time until now, of the guests' processes and of what carries their frames. */
        double processor() {
            double time = one.processorTime();
            if (!one.process().equals(two.process())) {
                return time + two.processorTime();
            }
            return time
                    + ProcessHandle.current()
                            .children()
                            .filter(child ->
                                    child.info().commandLine().orElse("").contains(folder.toString()))
                            .mapToDouble(child -> child.info()
                                            .totalCpuDuration()
                                            .orElse(Duration.ZERO)
                                            .toNanos()
                                    / 1e9)
                            .sum();
        }
    }

    private interface Work {
        double on(Pair pair) throws Exception;
    }

    private final TinyGuest guest;
    private final InetAddress host;
    private final TranslatorMode mode;
    /** How much is sent: what takes seconds. */
    private final int megabytes;

    private GuestSwitch(TinyGuest guest, InetAddress host, TranslatorMode mode) {
        this.guest = guest;
        this.host = host;
        this.mode = mode;
        megabytes = mode == TranslatorMode.ON ? 64 : 16;
    }

    /** Arguments: a folder, and {@code translator} if guests' code is to be translated. */
    public static void main(String[] arguments) throws Exception {
        TranslatorMode mode = List.of(arguments).contains("translator") ? TranslatorMode.ON : TranslatorMode.OFF;
        TinyGuest guest = new TinyGuests(new GuestImages(step -> System.err.println("bench: " + step))).guest();
        new GuestSwitch(guest, ownAddress(), mode).run(Path.of(arguments[0]));
        System.exit(0);
    }

    /** An address of the host at which guests can reach it: not the loopback address, which is nobody's outside. */
    private static InetAddress ownAddress() throws IOException {
        return NetworkInterface.networkInterfaces()
                .flatMap(NetworkInterface::inetAddresses)
                .filter(address -> address instanceof Inet4Address && !address.isLoopbackAddress())
                .findFirst()
                .orElseThrow(() -> new IOException("the host has no address but its loopback address"));
    }

    private void run(Path folder) throws Exception {
        Pair torte = torte(folder);
        Pair qemu = qemu(folder);
        String how = mode == TranslatorMode.ON ? "translator on" : "interpreter";
        try (GuestLine _ = torte.one;
                GuestLine _ = torte.two;
                GuestLine _ = qemu.one;
                GuestLine _ = qemu.two) {
            GuestTable table = new GuestTable("Torte, " + how, "QEMU TCG, virtio-net");
            row(table, torte, qemu, "guest to guest, round trip, ms", GuestSwitch::roundTrip);
            row(table, torte, qemu, "guest to guest, TCP, MiB/s", this::between);
            row(table, torte, qemu, "guest to the host through NAT, TCP, MiB/s", this::toHost);
            row(table, torte, qemu, "host to the guest through NAT, TCP, MiB/s", this::fromHost);
            row(table, torte, qemu, "host to the guest by a forward, TCP, MiB/s", this::byForward);
            row(table, torte, qemu, "connection through NAT with a byte back, ms", this::connections);
        } finally {
            ProcessHandle.current().children().forEach(ProcessHandle::destroyForcibly);
        }
    }

    private static void row(GuestTable table, Pair torte, Pair qemu, String name, Work work) throws Exception {
        GuestTable.Cost[] costs = new GuestTable.Cost[2];
        for (int i = 0; i < 2; i++) {
            Pair pair = i == 0 ? torte : qemu;
            double before = pair.processor();
            long exits = pair.one.exits() + pair.two.exits();
            double figure = work.on(pair);
            double each = i == 0 ? pair.one.exits() + pair.two.exits() - exits : Double.NaN;
            costs[i] = new GuestTable.Cost(figure, pair.processor() - before, each);
        }
        table.row(name, costs[0], costs[1]);
    }

    // ---- the guests

    private Pair torte(Path folder) throws Exception {
        Path switches = Files.createDirectory(folder.resolve("switches"));
        int hostPort = freePort();
        List<PortDefinition> ports =
                List.of(port(1, List.of(PortForward.parse(hostPort + ":" + GUEST_PORT))), port(2, List.of()));
        Files.write(
                SwitchServer.configuration(switches),
                new NetworkConfiguration(List.of(SwitchDefinition.standard()), ports).text());
        SwitchStarter starter = new SwitchStarter(switches, NatStation.serving(switches));
        GuestLine one = torte(folder, 1, starter);
        GuestLine two = torte(folder, 2, starter);
        return new Pair(one, two, lease(one), lease(two), hostPort, switches);
    }

    private static PortDefinition port(int number, List<PortForward> forwards) {
        return new PortDefinition(
                "web" + number,
                SwitchDefinition.DEFAULT,
                "web" + number,
                address(number),
                PortOptions.STANDARD,
                forwards);
    }

    private static MacAddress address(int number) {
        return new MacAddress(0x02_0000_0000_00L + number);
    }

    private GuestLine torte(Path folder, int number, SwitchStarter starter) {
        Path disk = folder.resolve(number + ".vhdx");
        guest.disk(disk, TinyGuest.MIN_SIZE);
        NetworkSource network = new NetworkSource(
                new NetworkSource.Switch(starter, "web" + number), Optional.of(address(number)), LinkState.DEFAULT_MTU);
        VirtualMachine machine = TinyGuest.machine(disk)
                .memory(256 << 20)
                .network(network)
                .translator(mode)
                .build();
        machine.start();
        return new GuestLine.Torte(machine);
    }

    private static String lease(GuestLine line) throws Exception {
        line.waitFor(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)));
        line.run("until grep -q nameserver /etc/resolv.conf; do usleep 100000; done");
        line.type("ip -4 -o addr show dev eth0\n");
        return line.find("inet ([0-9.]+)/").group(1);
    }

    private Pair qemu(Path folder) throws Exception {
        int hostPort = freePort();
        String forward = ",hostfwd=tcp:127.0.0.1:" + hostPort + "-:" + GUEST_PORT;
        GuestLine one = qemu(folder, 1, "on", forward);
        GuestLine two = qemu(folder, 2, "off", "");
        for (GuestLine line : List.of(one, two)) {
            line.waitFor(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)));
            line.run("killall udhcpc 2>/dev/null; ip addr flush dev eth0; ip addr add 10.0.0."
                    + (line.equals(one) ? 1 : 2)
                    + "/24 dev eth0; ip link set eth0 up; ip addr flush dev eth1; ip addr add 10.0.2.15/24 dev eth1;"
                    + " ip link set eth1 up; ip route replace default via 10.0.2.2");
        }
        return new Pair(one, two, "10.0.0.1", "10.0.0.2", hostPort, folder);
    }

    private GuestLine qemu(Path folder, int number, String server, String forward) throws Exception {
        Path disk = folder.resolve("qemu" + number + ".raw");
        guest.disk(disk, TinyGuest.MIN_SIZE);
        String socket = folder.resolve("qemu").toString();
        return new QemuGuest(
                guest,
                disk,
                "-netdev",
                "stream,id=n,server=" + server + ",addr.type=unix,addr.path=" + socket,
                "-device",
                "virtio-net-pci,netdev=n,mac=02:00:00:00:00:0" + number,
                "-netdev",
                "user,id=u" + forward,
                "-device",
                "virtio-net-pci,netdev=u,mac=02:00:00:00:01:0" + number);
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    // ---- the work

    private static double roundTrip(Pair pair) throws Exception {
        pair.one.run("until ping -c 1 -W 1 " + pair.twoAddress + " >/dev/null; do :; done");
        pair.one.type("ping -q -i 0.02 -c " + PINGS + " " + pair.twoAddress + "\n");
        return Double.parseDouble(
                pair.one.find("min/avg/max = [0-9.]+/([0-9.]+)/[0-9.]+ ms\\s").group(1));
    }

    private double between(Pair pair) throws Exception {
        pair.two.run("nc -l -p 1000 >/dev/null & sleep 1");
        return megabytes
                / pair.one.seconds("dd if=/dev/zero bs=64k count=" + megabytes * 16 + " 2>/dev/null | nc "
                        + pair.twoAddress + " 1000");
    }

    private interface Service {
        void serve(Socket client) throws IOException;
    }

    /** Serves so many connections, one after the other, while the guest does something. */
    private double seconds(Pair pair, int connections, Service service, String command) throws Exception {
        try (ServerSocket server = new ServerSocket()) {
            server.bind(new InetSocketAddress(host, 0));
            Thread serving = Thread.ofPlatform().daemon().start(() -> {
                for (int i = 0; i < connections; i++) {
                    try (Socket client = server.accept()) {
                        service.serve(client);
                    } catch (IOException e) {
                        System.err.println("bench: " + e);
                    }
                }
            });
            double seconds = pair.one.seconds(
                    command.replace("HOST", host.getHostAddress()).replace("PORT", "" + server.getLocalPort()));
            serving.join();
            return seconds;
        }
    }

    private double toHost(Pair pair) throws Exception {
        return megabytes
                / seconds(
                        pair,
                        1,
                        client -> {
                            long _ = client.getInputStream().transferTo(OutputStream.nullOutputStream());
                        },
                        "dd if=/dev/zero bs=64k count=" + megabytes * 16 + " 2>/dev/null | nc HOST PORT");
    }

    private double fromHost(Pair pair) throws Exception {
        return megabytes / seconds(pair, 1, this::give, "nc HOST PORT </dev/null >/dev/null");
    }

    private void give(Socket client) throws IOException {
        byte[] piece = new byte[64 << 10];
        for (int i = 0; i < megabytes * 16; i++) {
            client.getOutputStream().write(piece);
        }
        client.shutdownOutput();
    }

    /** As long as it takes until the guest has everything and says so by closing. */
    private double byForward(Pair pair) throws Exception {
        pair.one.run("nc -l -p " + GUEST_PORT + " >/dev/null & sleep 1");
        long began = System.nanoTime();
        try (Socket client = new Socket(InetAddress.getLoopbackAddress(), pair.hostPort);
                InputStream end = client.getInputStream()) {
            give(client);
            long _ = end.transferTo(OutputStream.nullOutputStream());
        }
        return megabytes / ((System.nanoTime() - began) / 1e9);
    }

    private double connections(Pair pair) throws Exception {
        return 1000
                * seconds(
                        pair,
                        CONNECTIONS,
                        client -> client.getOutputStream().write('!'),
                        "for i in $(seq " + CONNECTIONS + "); do nc HOST PORT </dev/null >/dev/null; done")
                / CONNECTIONS;
    }
}
