package org.torte.bench;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.torte.worker.NetworkSource;
import org.torte.worker.VirtualMachine;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;

/**
 * Two tiny guests joined by a cable, on Torte (both in this process) and on QEMU's software processor (virtio-net, two
 * processes joined by a Unix socket): round trip and throughput, each measured on the one pair and then on the other while
 * the first is idle.
 */
final class GuestNetwork {
    private static final int MEGABYTES = 16, PINGS = 100;

    private GuestNetwork() {}

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        TinyGuest guest = new TinyGuests(new GuestImages(step -> System.err.println("bench: " + step))).guest();
        String socket = folder.resolve("qemu").toString();
        try (GuestLine one = torte(guest, folder, "one");
                GuestLine other = torte(guest, folder, "other");
                GuestLine qemuOne = qemu(guest, folder, "1", "on", socket);
                GuestLine qemuOther = qemu(guest, folder, "2", "off", socket)) {
            for (GuestLine line : List.of(one, other, qemuOne, qemuOther)) {
                line.waitFor(Pattern.compile(Pattern.quote(TinyGuest.PROMPT)));
            }
            GuestTable table = new GuestTable("Torte, cable", "QEMU TCG, virtio-net");
            for (int mtu : new int[] {1500, 9000}) {
                address(one, 1, mtu);
                address(other, 2, mtu);
                address(qemuOne, 1, mtu);
                address(qemuOther, 2, mtu);
                if (mtu == 1500) {
                    table.row("round trip, ms", roundTrip(one, other), roundTrip(qemuOne, qemuOther));
                }
                table.row(
                        "TCP, one stream, MTU " + mtu + ", MiB/s",
                        throughput(one, other),
                        throughput(qemuOne, qemuOther));
            }
        }
    }

    private static GuestLine torte(TinyGuest guest, Path folder, String name) {
        Path disk = folder.resolve(name + ".vhdx");
        guest.disk(disk, TinyGuest.MIN_SIZE);
        NetworkSource cable =
                new NetworkSource(new NetworkSource.Cable(folder.resolve("cable")), Optional.empty(), 9000);
        VirtualMachine machine =
                TinyGuest.machine(disk).memory(256 << 20).network(cable).build();
        machine.start();
        return new GuestLine.Torte(machine);
    }

    private static GuestLine qemu(TinyGuest guest, Path folder, String number, String server, String socket)
            throws Exception {
        Path disk = folder.resolve("qemu" + number + ".raw");
        guest.disk(disk, TinyGuest.MIN_SIZE);
        return new QemuGuest(
                guest,
                disk,
                "-netdev",
                "stream,id=n,server=" + server + ",addr.type=unix,addr.path=" + socket,
                "-device",
                "virtio-net-pci,netdev=n,host_mtu=9000,mac=02:00:00:00:00:0" + number);
    }

    /** Gives a guest's adapter an address of its own instead of the one it asks for in vain. */
    private static void address(GuestLine line, int number, int mtu) throws Exception {
        line.run("killall udhcpc 2>/dev/null; ip link set eth0 mtu " + mtu + "; ip link set eth0 up;"
                + " ip addr flush dev eth0; ip addr add 10.0.0." + number + "/24 dev eth0");
    }

    private static GuestTable.Cost roundTrip(GuestLine one, GuestLine other) throws Exception {
        one.run("until ping -c 1 -W 1 10.0.0.2 >/dev/null; do :; done");
        double processor = processorTime(one, other);
        double exits = exits(one, other);
        one.type("ping -q -i 0.02 -c " + PINGS + " 10.0.0.2\n");
        double average = Double.parseDouble(
                one.find("min/avg/max = [0-9.]+/([0-9.]+)/[0-9.]+ ms\\s").group(1));
        return new GuestTable.Cost(average, processorTime(one, other) - processor, (exits(one, other) - exits) / PINGS);
    }

    private static GuestTable.Cost throughput(GuestLine from, GuestLine to) throws Exception {
        from.run("until ping -c 1 -W 1 10.0.0.2 >/dev/null; do :; done");
        to.run("nc -l -p 1000 >/dev/null & sleep 1");
        double processor = processorTime(from, to);
        double exits = exits(from, to);
        double seconds =
                from.seconds("dd if=/dev/zero bs=64k count=" + MEGABYTES * 16 + " 2>/dev/null | nc 10.0.0.2 1000");
        return new GuestTable.Cost(
                MEGABYTES / seconds, processorTime(from, to) - processor, (exits(from, to) - exits) / MEGABYTES);
    }

    /** Of both guests; those of one process are counted once. */
    private static double processorTime(GuestLine one, GuestLine other) {
        double time = one.processorTime();
        return one.process().equals(other.process()) ? time : time + other.processorTime();
    }

    private static double exits(GuestLine one, GuestLine other) {
        return one.exits() < 0 ? Double.NaN : one.exits() + other.exits();
    }
}
