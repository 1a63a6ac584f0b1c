package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.base.net.PortStatistics;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;
import org.torte.network.wire.Packets;

/**
 * Address translation by the host's kernel: an interface that leads to the guests' network, and a table of nftables. The
 * interface has the gateway's address; all guests are one neighbour there, as the gateway knows who is who. It never
 * makes the host a router: whoever wants this has switched that on. Everything is gone when it is closed, and what a killed process has left
 * when the network is opened again or removed; that stands in its folder. Safe for several threads.
 */
public final class KernelNat implements Nat {
    private static final String FILE = "kernel-nat.json";
    private static final int VERSION = 1;
    private static final Path SETTINGS = Path.of("/proc/sys/net");

    /** Whom the kernel takes all guests for. */
    private static final MacAddress GUESTS = new MacAddress(0x0254_0000_0001L);

    private final Path folder;
    private final Subnet subnet;
    private final String name;
    private final Tap tap;
    private final boolean ipv6;
    /** Under the lock of this. */
    private final Relays relays = new Relays();

    private final Map<PortForward, NftTable.Forward> forwards = new LinkedHashMap<>();

    private final Set<Integer> udpForwards = ConcurrentHashMap.newKeySet();
    private final FrameBatch answers = new FrameBatch(1, FrameBatch.MAX_LENGTH);
    private volatile @Nullable Inside inside;

    private KernelNat(Path folder, Subnet subnet, String name, Tap tap, boolean ipv6) {
        this.folder = folder;
        this.subnet = subnet;
        this.name = name;
        this.tap = tap;
        this.ipv6 = ipv6;
    }

    /**
     * Chooses who translates addresses.
     *
     * @param kernel whether it can only be the kernel; else it is the kernel where nothing is in its way
     * @param folder the network's, where it is kept what was made at the host
     * @throws NetworkException why the kernel cannot, if it has to
     */
    static Nat open(boolean kernel, Path folder, Subnet subnet, int mtu) {
        String reason = obstacle();
        if (reason.isEmpty() && !kernel) {
            reason = firewall();
        }
        if (!reason.isEmpty()) {
            if (kernel) {
                throw new NetworkException(reason + ", or let the switch translate by itself (--nat user)");
            }
            return new UserNat(subnet, mtu, false);
        }
        try {
            return make(folder, subnet, mtu);
        } catch (NetworkException e) {
            if (kernel) {
                throw e;
            }
            System.getLogger(KernelNat.class.getName())
                    .log(System.Logger.Level.INFO, "libslirp translates addresses, as the kernel does not", e);
            return new UserNat(subnet, mtu, false);
        }
    }

    /** What forbids it, and what can be done about that; empty when nothing does. */
    private static String obstacle() {
        if (!HostEnd.mayAdminister()) {
            return "the kernel's NAT needs root (CAP_NET_ADMIN): let the service run as root";
        }
        if (HostProgram.find("nft").isEmpty()) {
            return "the kernel's NAT needs the program nft: install nftables";
        }
        if (!isOn("ipv4/ip_forward")) {
            return "the kernel's NAT needs a host that forwards, which is the administrator's to decide:"
                    + " sysctl -w net.ipv4.ip_forward=1";
        }
        return "";
    }

    private static boolean isOn(String setting) {
        try {
            return Files.readString(SETTINGS.resolve(setting)).strip().equals("1");
        } catch (IOException e) {
            return false;
        }
    }

    /** What may keep guests from the world although all can be set up. */
    private static String firewall() {
        try {
            Path old = Path.of("/proc/net/ip_tables_names");
            if (Files.exists(old) && !Files.readString(old).isBlank()) {
                return "the host has tables of iptables";
            }
            List<String> closed = NftTable.closedForwarding();
            return closed.isEmpty() ? "" : "the host's firewall drops what is forwarded (" + closed.getFirst() + ")";
        } catch (IOException | NetworkException e) {
            return "the host's firewall is not known: " + e.getMessage();
        }
    }

    private static KernelNat make(Path folder, Subnet subnet, int mtu) {
        String name = String.format("torte-%08x", (int) subnet.gatewayMac().value());
        write(folder, name);
        Tap tap = Tap.open(name, subnet.gatewayMac());
        boolean done = false;
        try {
            boolean ipv6 = isOn("ipv6/conf/all/forwarding") && UserNat.hostHasIpv6();
            IpCommand ip = new Iproute2();
            set("ipv6/conf/" + name + "/disable_ipv6", ipv6 ? "0" : "1");
            set("ipv6/conf/" + name + "/accept_ra", "0");
            set("ipv6/conf/" + name + "/addr_gen_mode", "1");
            ip.batch(
                    "",
                    List.of(
                            "link set dev " + name + " address " + subnet.gatewayMac() + " mtu " + mtu + " up",
                            "addr add " + Subnet.text(subnet.gateway()) + "/32 dev " + name,
                            "route add " + Subnet.text(subnet.network()) + "/" + subnet.prefixLength() + " dev " + name
                                    + " src " + Subnet.text(subnet.gateway())));
            if (ipv6) {
                ip.batch(
                        "-6",
                        List.of(
                                "addr add " + Subnet.text(subnet.linkLocal6()) + "/64 dev " + name + " nodad",
                                "addr add " + Subnet.text(subnet.gateway6()) + "/128 dev " + name + " nodad",
                                "route add " + Subnet.text(subnet.network6()) + "/64 dev " + name));
            }
            // So that what comes back from a guest to a connection of 127.0.0.1 is taken; the table keeps the rest out.
            set("ipv4/conf/" + name + "/route_localnet", "1");
            set("ipv4/conf/" + name + "/forwarding", "1");
            set("ipv4/conf/" + name + "/rp_filter", "0");
            new NftTable(name, subnet, List.of()).apply();
            KernelNat made = new KernelNat(folder, subnet, name, tap, ipv6);
            done = true;
            return made;
        } finally {
            if (!done) {
                tap.close();
                undo(folder);
            }
        }
    }

    private static void set(String setting, String value) {
        Path file = SETTINGS.resolve(setting);
        try {
            if (Files.exists(file) && !Files.readString(file).strip().equals(value)) {
                Files.writeString(file, value);
            }
        } catch (IOException e) {
            throw new NetworkException(file + " cannot be set to " + value + ": " + e.getMessage(), e);
        }
    }

    private static void write(Path folder, String name) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("version", VERSION);
        map.put("boot", StateFile.boot());
        map.put("name", name);
        StateFile.replace(folder.resolve(FILE), map);
    }

    /**
     * Takes away the rules that a process has left that was killed; its interface went with it.
     *
     * @param folder of the network
     * @throws NetworkException when that fails
     */
    static void undo(Path folder) {
        Path file = folder.resolve(FILE);
        StateFile.read(file, VERSION).ifPresent(left -> {
            if (left.text("boot").equals(StateFile.boot())) {
                NftTable.remove(left.text("name"));
            }
            StateFile.delete(file);
        });
    }

    /** The interface and the table. */
    public String name() {
        return name;
    }

    @Override
    public void start(Inside target) {
        inside = target;
        tap.start(new Way());
    }

    @Override
    public void send(FrameBatch frames, int frame) {
        tap.write(frames, frame);
    }

    @Override
    public void flush() {}

    @Override
    public boolean forwardsUdp(int guestPort) {
        return udpForwards.contains(guestPort);
    }

    @Override
    public boolean ipv6() {
        return ipv6;
    }

    @Override
    public synchronized void addForward(PortForward forward, int guestAddress) {
        if (forward.ipv6()) { // the kernel does not lead from one protocol to the other
            relays.add(
                    forward,
                    () -> new RelayTarget(
                            new InetSocketAddress(Subnet.address(guestAddress), forward.guestPort()), () -> {}));
            return;
        }
        requireFree(forward);
        if (forwards.putIfAbsent(forward, new NftTable.Forward(forward, guestAddress)) != null) {
            throw new NetworkException(forward.where() + " is in use: forward another one");
        }
        boolean done = false;
        try {
            new NftTable(name, subnet, forwards.values()).apply();
            done = true;
        } finally {
            if (!done) {
                forwards.remove(forward);
            }
        }
        if (forward.udp()) {
            udpForwards.add(forward.guestPort());
        }
    }

    /** The kernel would lead somebody's connections elsewhere without a word. */
    private void requireFree(PortForward forward) {
        for (PortForward other : forwards.keySet()) {
            if (other.udp() == forward.udp()
                    && other.hostPort() == forward.hostPort()
                    && (other.hostAddress().equals(forward.hostAddress())
                            || other.hostAddress().isAnyLocalAddress()
                            || forward.hostAddress().isAnyLocalAddress())) {
                throw new NetworkException(forward.where() + " is in use: forward another one");
            }
        }
        InetSocketAddress at = new InetSocketAddress(forward.hostAddress(), forward.hostPort());
        try {
            if (forward.udp()) {
                new DatagramSocket(at).close();
            } else {
                try (ServerSocket socket = new ServerSocket()) {
                    socket.setReuseAddress(true);
                    socket.bind(at, 1);
                }
            }
        } catch (IOException e) {
            throw new NetworkException(forward.where() + " is in use: forward another one", e);
        }
    }

    @Override
    public synchronized void removeForward(PortForward forward) {
        relays.remove(forward);
        if (forwards.remove(forward) != null) {
            new NftTable(name, subnet, forwards.values()).apply();
        }
    }

    @Override
    public boolean failed() {
        return tap.gone();
    }

    @Override
    public void offer(HostService service) {
        throw new NetworkException("services of the host are offered only where the switch translates by itself");
    }

    @Override
    public void close() {
        relays.close();
        tap.close();
        undo(folder);
    }

    /** Where the interface is plugged in: what the kernel sends goes to the guests. */
    private final class Way implements NetworkPort {
        private final FrameBatch packets = new FrameBatch(64, FrameBatch.MAX_LENGTH * 2);

        @Override
        public void plug(NetworkAdapter adapter) {}

        @Override
        public void unplug() {}

        @Override
        public LinkState link() {
            return new LinkState(true, LinkState.DEFAULT_SPEED, LinkState.DEFAULT_MTU);
        }

        @Override
        public int send(FrameBatch frames, int first) {
            if (first == 0 && allPackets(frames)) {
                deliver(frames);
                return frames.size();
            }
            packets.clear();
            for (int i = first; i < frames.size(); i++) {
                if (isPacket(frames, i)) {
                    if (!packets.append(frames, i)) {
                        deliver(packets);
                        packets.clear();
                        boolean _ = packets.append(frames, i);
                    }
                } else {
                    answer(frames, i);
                }
            }
            deliver(packets);
            return frames.size() - first;
        }

        private void deliver(FrameBatch frames) {
            Inside target = inside;
            if (target != null && frames.size() > 0) {
                target.deliver(frames);
            }
        }

        @Override
        public void roomAvailable() {}

        @Override
        public PortStatistics statistics() {
            return new PortStatistics(0, 0, 0, 0, 0, 0);
        }

        @Override
        public void close() {}
    }

    private static boolean allPackets(FrameBatch frames) {
        for (int i = 0; i < frames.size(); i++) {
            if (!isPacket(frames, i)) {
                return false;
            }
        }
        return true;
    }

    /** Whether it is for a guest, rather than a question for one. */
    private static boolean isPacket(FrameBatch frames, int frame) {
        MemorySegment bytes = frames.bytes();
        long at = frames.offset(frame);
        int length = frames.length(frame);
        if (length < Packets.ETHERNET_HEADER + Packets.IPV4_HEADER || frames.destination(frame) != GUESTS.value()) {
            return false;
        }
        int type = (bytes.get(JAVA_BYTE, at + 12) & 0xff) << 8 | bytes.get(JAVA_BYTE, at + 13) & 0xff;
        return type == Packets.IPV4
                || type == Packets.IPV6
                        && !(length > 54
                                && bytes.get(JAVA_BYTE, at + 20) == Packets.ICMPV6
                                && (bytes.get(JAVA_BYTE, at + 54) & 0xff) >= 133
                                && (bytes.get(JAVA_BYTE, at + 54) & 0xff) <= 137);
    }

    private void answer(FrameBatch frames, int frame) {
        byte[] reply = GuestNeighbour.answer(GUESTS, frames.view(frame));
        if (reply != null) {
            synchronized (answers) {
                answers.clear();
                int at = answers.append(reply.length);
                if (at >= 0) {
                    MemorySegment.copy(reply, 0, answers.bytes(), JAVA_BYTE, at, reply.length);
                    tap.write(answers, 0);
                }
            }
        }
    }
}
