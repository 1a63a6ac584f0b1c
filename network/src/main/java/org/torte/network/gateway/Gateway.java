package org.torte.network.gateway;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;
import org.torte.base.net.NetworkPort;
import org.torte.network.NetworkException;
import org.torte.network.wire.Packets;

/**
 * A network's router. It answers ARP, neighbour discovery, pings, DHCP and DNS on a thread of its own, whose queue is bounded;
 * all else that stations send to it goes to the {@link Upstream} on the sender's thread, without a copy of its own.
 * Safe for several threads.
 */
public final class Gateway implements NetworkAdapter, Upstream.Inside, AutoCloseable {
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private static final int SYN = 2, ACK = 16;
    private static final int QUEUE = 512;
    /** So many of them are of one station at most, or of those few that share a place with it. */
    private static final int OF_ONE = 64;

    private static final int PLACES = 256;
    private static final int MAX_CONTROL = 4096;
    private static final long ADVERTISE_EVERY = RouterDiscovery.LIFETIME / 3 * 1_000_000_000L;
    private static final long ASK_EVERY = 10_000_000_000L;
    private static final byte[] END = {};

    private final Subnet subnet;
    private final LeaseTable leases;
    private final DhcpServer dhcp;
    private final DnsServer dns;
    private final RouterDiscovery routers;
    private final Neighbours neighbours;
    private final Upstream upstream;
    private final Clock clock;
    private final Timers.Timer advertise;
    private final GuestClocks clocks;
    private final Timers.Timer ask;
    private final ArrayBlockingQueue<byte[]> queue = new ArrayBlockingQueue<>(QUEUE);
    /** How many frames of a station wait, by a number made from its address. */
    private final AtomicIntegerArray waiting = new AtomicIntegerArray(PLACES);

    private final long salt;
    private final AtomicLong dropped = new AtomicLong();
    private final Thread worker;
    private final FrameBatch out = new FrameBatch(64, 256 << 10);
    private volatile @Nullable NetworkPort port;
    private volatile boolean closed;

    private Gateway(
            Subnet subnet,
            StateFolder state,
            int mtu,
            Upstream upstream,
            Timers timers,
            long salt,
            Path resolvConf,
            int dnsPort)
            throws IOException {
        this.subnet = subnet;
        this.upstream = upstream;
        this.salt = salt;
        neighbours = new Neighbours(subnet);
        leases = new LeaseTable(subnet, state, timers.clock(), neighbours::lease);
        dhcp = new DhcpServer(subnet, leases, mtu);
        dns = new DnsServer(subnet, leases, new HostResolvers(resolvConf, dnsPort));
        routers = new RouterDiscovery(subnet, mtu);
        clock = timers.clock();
        advertise = timers.create(this::advertiseLater);
        clocks = new GuestClocks(clock);
        ask = timers.create(this::askLater);
        worker = Thread.ofPlatform().name("torte-gateway").daemon().unstarted(this::work);
    }

    /**
     * Makes a gateway that is not plugged in yet.
     *
     * @param state the folder with the network's addresses and leases; made, with new addresses, if it is not there
     * @param mtu what stations are told
     * @param upstream makes the way out for the network's addresses; this gateway closes it
     * @throws NetworkException when the state cannot be read or written
     */
    public static Gateway open(
            Path state, int mtu, Function<Subnet, Upstream> upstream, Timers timers, RandomSource random) {
        return open(state, mtu, upstream, timers, random, HostResolvers.RESOLV_CONF, DnsServer.PORT);
    }

    static Gateway open(
            Path state,
            int mtu,
            Function<Subnet, Upstream> upstream,
            Timers timers,
            RandomSource random,
            Path resolvConf,
            int dnsPort) {
        try {
            StateFolder folder = new StateFolder(state);
            Subnet subnet = SubnetFile.load(folder, random);
            Upstream out = upstream.apply(subnet);
            boolean done = false;
            try {
                Gateway gateway = new Gateway(subnet, folder, mtu, out, timers, random.nextLong(), resolvConf, dnsPort);
                done = true;
                return gateway;
            } finally {
                if (!done) {
                    out.close();
                }
            }
        } catch (IOException e) {
            throw new NetworkException("the network's state in " + state + " cannot be used: " + e.getMessage(), e);
        }
    }

    /** Plugs itself into a port and begins. */
    public void start(NetworkPort into) {
        port = into;
        worker.start();
        upstream.start(this);
        into.plug(this);
        advertiseLater();
        ask.arm(clock.nanos() + ASK_EVERY);
    }

    /** The network's addresses. */
    public Subnet subnet() {
        return subnet;
    }

    /** All leases, those that have ended too. */
    public List<Lease> leases() {
        return leases.all();
    }

    /** The lease of a machine or station by its name. */
    public Optional<Lease> leaseOf(String name) {
        return leases.named(name);
    }

    /** Addresses that a station was seen to use, IPv4 first: for guests that have no lease. */
    public List<InetAddress> seen(MacAddress station) {
        return neighbours.addresses(station);
    }

    /** How far a station's clock is from the host's, if it has an address of the network and answers. */
    public Optional<GuestClock> clockOf(MacAddress station) {
        return clocks.of(station.value());
    }

    /**
     * Gives a machine's station a name, which nobody else gets, and reserves an address for it.
     *
     * @return the address that it has or will get; nothing when there is none left
     */
    public Optional<Lease> register(String name, MacAddress station) {
        return leases.machine(name, station);
    }

    /**
     * The host itself is at the switch, as this station: it has {@link Subnet#host}, and answers for it.
     *
     * @param station its address
     */
    public void hostIsAt(MacAddress station) {
        neighbours.lease(subnet.host(), station.value());
    }

    /** The machine is gone; its lease stays. */
    public void unregister(String name) {
        leases.named(name).ifPresent(lease -> clocks.forget(lease.station().value()));
        leases.machineGone(name);
    }

    /** How many frames for the gateway itself were dropped because too many came at once. */
    public long dropped() {
        return dropped.get();
    }

    @Override
    public MacAddress address() {
        return subnet.gatewayMac();
    }

    @Override
    public void linkChanged() {}

    @Override
    public void roomAvailable() {}

    @Override
    public int receive(FrameBatch frames, int first) {
        boolean sent = false;
        for (int i = first; i < frames.size(); i++) {
            if (frames.vlan(i) == FrameBatch.NO_VLAN && frames.length(i) >= Packets.ETHERNET_HEADER) {
                sent |= receiveOne(frames, i);
            }
        }
        if (sent) {
            upstream.flush();
        }
        return frames.size() - first;
    }

    /** Whether it went to the upstream. */
    private boolean receiveOne(FrameBatch frames, int frame) {
        MemorySegment bytes = frames.bytes();
        long at = frames.offset(frame);
        int length = frames.length(frame);
        long to = bytes.get(LONG, at) >>> 16;
        long from = bytes.get(LONG, at + 6) >>> 16;
        boolean forGateway = to == subnet.gatewayMac().value();
        long ip = at + Packets.ETHERNET_HEADER;
        switch (bytes.get(SHORT, at + 12) & 0xffff) {
            case Packets.ARP -> control(frames, frame);
            case Packets.IPV4 -> {
                if (length < Packets.ETHERNET_HEADER + Packets.IPV4_HEADER) {
                    return false;
                }
                int target = bytes.get(INT, ip + 16);
                int source = bytes.get(INT, ip + 12);
                int protocol = bytes.get(JAVA_BYTE, ip + 9) & 0xff;
                if (!neighbours.seen(source, from)) {
                    return false;
                }
                if (target == subnet.gateway() || target == -1 || target == subnet.broadcast()) {
                    if (target == subnet.gateway() && forGateway && belongsUpstream(bytes, ip, at + length, protocol)) {
                        upstream.send(frames, frame);
                        return true;
                    }
                    control(frames, frame);
                } else if (target == subnet.host()) {
                    if (forGateway && isOffered(bytes, ip, at + length, protocol)) {
                        upstream.send(frames, frame);
                        return true;
                    }
                } else if (forGateway && isOutside(target) && subnet.contains(source)) {
                    upstream.send(frames, frame);
                    return true;
                }
            }
            case Packets.IPV6 -> {
                if (length < Packets.ETHERNET_HEADER + Packets.IPV6_HEADER) {
                    return false;
                }
                long high = bytes.get(LONG, ip + 24);
                long sourceHigh = bytes.get(LONG, ip + 8);
                boolean local = high >>> 54 == 0xfe80 >>> 6 || high >>> 56 == 0xff;
                if (sourceHigh != 0) {
                    neighbours.seen(sourceHigh, bytes.get(LONG, ip + 16), from);
                }
                if (local || high == subnet.prefix6()) {
                    control(frames, frame);
                } else if (forGateway && high != 0 && sourceHigh == subnet.prefix6()) {
                    // Among those of 64 zeros are the host's own: ::, ::1, and IPv4 ones as ::ffff:127.0.0.1 (RFC
                    // 4291).
                    upstream.send(frames, frame);
                    return true;
                }
            }
            default -> {}
        }
        return false;
    }

    /**
     * Whether an address can be anybody's outside. "This host" and loopback addresses (RFC 6890, section 2.2.2) would be the
     * host's own for an upstream, and its services there are nobody else's.
     */
    private boolean isOutside(int target) {
        int first = target >>> 24;
        return first != 0 && first != 127 && first < 224 && !subnet.contains(target);
    }

    /**
     * Of what guests send to the gateway itself, what the upstream gets: answers to connections that came in by a forward,
     * which seem to come from the gateway, and questions by TCP to its name service. Nothing else: the upstream would
     * take it to the host's own services.
     */
    private boolean belongsUpstream(MemorySegment bytes, long ip, long end, int protocol) {
        long transport = ip + (bytes.get(JAVA_BYTE, ip) & 15) * 4L;
        if ((bytes.get(SHORT, ip + 6) & 0x3fff) != 0 || transport + 20 > end && protocol == Packets.TCP) {
            return false;
        }
        if (protocol == Packets.TCP) {
            boolean begins = (bytes.get(JAVA_BYTE, transport + 13) & (SYN | ACK)) == SYN;
            return !begins || (bytes.get(SHORT, transport + 2) & 0xffff) == DnsServer.PORT;
        }
        if (protocol != Packets.UDP || transport + Packets.UDP_HEADER > end) {
            return false;
        }
        int to = bytes.get(SHORT, transport + 2) & 0xffff;
        return to != DnsServer.PORT
                && to != DhcpServer.SERVER_PORT
                && upstream.forwardsUdp(bytes.get(SHORT, transport) & 0xffff);
    }

    /** Whether a packet to the host's address is for one of the services that it offers. */
    private boolean isOffered(MemorySegment bytes, long ip, long end, int protocol) {
        long transport = ip + (bytes.get(JAVA_BYTE, ip) & 15) * 4L;
        return protocol == Packets.TCP
                && (bytes.get(SHORT, ip + 6) & 0x3fff) == 0
                && transport + 20 <= end
                && upstream.offers(bytes.get(SHORT, transport + 2) & 0xffff);
    }

    /** Keeps a copy for the gateway's own thread. */
    private void control(FrameBatch frames, int frame) {
        int length = frames.length(frame);
        if (length > MAX_CONTROL || queue.remainingCapacity() == 0) {
            dropped.incrementAndGet();
            return;
        }
        int place = place(frames.source(frame));
        if (waiting.incrementAndGet(place) > OF_ONE) {
            waiting.decrementAndGet(place);
            dropped.incrementAndGet();
            return;
        }
        byte[] copy = new byte[length];
        MemorySegment.copy(frames.bytes(), JAVA_BYTE, frames.offset(frame), copy, 0, length);
        if (!queue.offer(copy)) {
            waiting.decrementAndGet(place);
            dropped.incrementAndGet();
        }
    }

    /** Nobody can choose an address that shares another one's place: he does not know the salt. */
    private int place(long station) {
        long mixed = (station ^ salt) * 0x9e37_79b9_7f4a_7c15L;
        return (int) (mixed >>> 56);
    }

    private void work() {
        try {
            for (byte[] frame = queue.take(); frame.length > 0; frame = queue.take()) {
                waiting.decrementAndGet(place(ByteBuffer.wrap(frame).getLong(6) >>> 16));
                try {
                    answer(frame);
                } catch (RuntimeException e) {
                    // A disk that is full, or an error of ours: this one is lost, the network goes on.
                    System.getLogger(Gateway.class.getName()).log(System.Logger.Level.WARNING, "not answered", e);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void answer(byte[] frame) {
        byte[] reply = switch (ByteBuffer.wrap(frame).getShort(12) & 0xffff) {
            case Packets.ARP -> arp(frame);
            case Packets.IPV4 -> ipv4(frame);
            default -> ipv6(frame);
        };
        if (reply != null) {
            send(reply);
        }
    }

    /** RFC 826. */
    private byte @Nullable [] arp(byte[] frame) {
        ByteBuffer bytes = ByteBuffer.wrap(frame);
        int at = Packets.ETHERNET_HEADER;
        if (frame.length < at + 28
                || bytes.getLong(at) != 0x0001_0800_0604_0001L && bytes.getLong(at) != 0x0001_0800_0604_0002L) {
            return null;
        }
        long sender = bytes.getLong(at + 8) >>> 16;
        int senderAddress = bytes.getInt(at + 14);
        if (sender != bytes.getLong(6) >>> 16) {
            return null;
        }
        int wanted = bytes.getInt(at + 24);
        if (!neighbours.seen(senderAddress, sender)
                || bytes.getShort(at + 6) != 1
                || wanted != subnet.gateway() && (wanted != subnet.host() || neighbours.station(subnet.host()) != 0)) {
            return null;
        }
        MacAddress to = new MacAddress(sender);
        return Packets.ethernet(to, subnet.gatewayMac(), Packets.ARP, 46)
                .putLong(0x0001_0800_0604_0002L)
                .put(subnet.gatewayMac().bytes())
                .putInt(wanted)
                .put(to.bytes())
                .putInt(senderAddress)
                .array();
    }

    private byte @Nullable [] ipv4(byte[] frame) {
        ByteBuffer bytes = ByteBuffer.wrap(frame);
        int ip = Packets.ETHERNET_HEADER;
        int header = (frame[ip] & 15) * 4;
        int total = bytes.getShort(ip + 2) & 0xffff;
        if (frame[ip] >>> 4 != 4
                || header < Packets.IPV4_HEADER
                || total < header + Packets.UDP_HEADER
                || ip + total > frame.length
                || (bytes.getShort(ip + 6) & 0x3fff) != 0) {
            return null;
        }
        int body = ip + header;
        MacAddress peer = new MacAddress(bytes.getLong(6) >>> 16);
        switch (frame[ip + 9]) {
            case Packets.ICMP -> {
                if (bytes.getInt(ip + 16) != subnet.gateway()) {
                    return null;
                }
                if (frame[body] == GuestClocks.REPLY && total == header + GuestClocks.LENGTH) {
                    clocks.answered(peer.value(), java.util.Arrays.copyOfRange(frame, body, ip + total));
                }
                if (frame[body] != 8) {
                    return null;
                }
                byte[] echo = java.util.Arrays.copyOfRange(frame, body, ip + total);
                echo[0] = 0;
                echo[2] = 0;
                echo[3] = 0;
                int checksum = Packets.finish(Packets.sum(echo, 0, echo.length, 0));
                echo[2] = (byte) (checksum >>> 8);
                echo[3] = (byte) checksum;
                byte[] asking = java.util.Arrays.copyOfRange(frame, ip + 12, ip + 16);
                return Packets.ip(
                        peer, subnet.gatewayMac(), asking, DhcpServer.bytes(subnet.gateway()), Packets.ICMP, 64, echo);
            }
            case Packets.UDP -> {
                ByteBuffer data = datagram(bytes, body, ip + total);
                if (data == null) {
                    return null;
                }
                int targetPort = bytes.getShort(body + 2) & 0xffff;
                if (targetPort == DhcpServer.SERVER_PORT) {
                    return dhcp.answer(peer, data);
                }
                if (targetPort == DnsServer.PORT && bytes.getInt(ip + 16) == subnet.gateway()) {
                    byte[] asking = java.util.Arrays.copyOfRange(frame, ip + 12, ip + 16);
                    names(peer, asking, DhcpServer.bytes(subnet.gateway()), bytes.getShort(body) & 0xffff, data);
                }
                return null;
            }
            default -> {
                return null;
            }
        }
    }

    private byte @Nullable [] ipv6(byte[] frame) {
        ByteBuffer bytes = ByteBuffer.wrap(frame);
        int ip = Packets.ETHERNET_HEADER;
        int length = bytes.getShort(ip + 4) & 0xffff;
        int body = ip + Packets.IPV6_HEADER;
        if (frame[ip] >>> 4 != 6 || length < Packets.UDP_HEADER || body + length > frame.length) {
            return null;
        }
        byte[] whole = body + length < frame.length ? java.util.Arrays.copyOf(frame, body + length) : frame;
        switch (frame[ip + 6]) {
            case Packets.ICMPV6 -> {
                byte[] asking = java.util.Arrays.copyOfRange(frame, ip + 8, ip + 24);
                byte[] served = java.util.Arrays.copyOfRange(frame, ip + 24, ip + 40);
                long sum = Packets.pseudoHeader(served, asking, Packets.ICMPV6, length);
                return Packets.finish(Packets.sum(frame, body, length, sum)) == 0
                        ? routers.answer(whole, upstream.ipv6())
                        : null;
            }
            case Packets.UDP -> {
                byte[] served = java.util.Arrays.copyOfRange(frame, ip + 24, ip + 40);
                ByteBuffer data = datagram(bytes, body, body + length);
                if (data != null
                        && (bytes.getShort(body + 2) & 0xffff) == DnsServer.PORT
                        && java.util.Arrays.equals(served, subnet.gateway6())) {
                    MacAddress peer = new MacAddress(bytes.getLong(6) >>> 16);
                    byte[] asking = java.util.Arrays.copyOfRange(frame, ip + 8, ip + 24);
                    names(peer, asking, served, bytes.getShort(body) & 0xffff, data);
                }
                return null;
            }
            default -> {
                return null;
            }
        }
    }

    /** What a UDP datagram carries, or null when its length is wrong. */
    private static @Nullable ByteBuffer datagram(ByteBuffer bytes, int at, int end) {
        int length = bytes.getShort(at + 4) & 0xffff;
        return length < Packets.UDP_HEADER || length > end - at
                ? null
                : bytes.slice(at + Packets.UDP_HEADER, length - Packets.UDP_HEADER);
    }

    private void names(MacAddress peer, byte[] asking, byte[] served, int askingPort, ByteBuffer query) {
        dns.query(query, answer -> {
            byte[] fitting = answer.length > MAX_CONTROL - 100 ? truncated(answer) : answer;
            send(Packets.udp(peer, subnet.gatewayMac(), asking, served, askingPort, DnsServer.PORT, fitting));
        });
    }

    /** Tells the client to ask again by TCP (RFC 2181, section 9). */
    private static byte[] truncated(byte[] answer) {
        int end = DnsMessage.HEADER;
        byte[] head = java.util.Arrays.copyOf(answer, end);
        head[2] |= 2;
        for (int i = 4; i < end; i++) {
            head[i] = 0;
        }
        return head;
    }

    private void advertiseLater() {
        send(routers.advertisement(upstream.ipv6()));
        if (!closed) {
            advertise.arm(advertiseAt());
        }
    }

    /** Asks all machines that have an address for their time. */
    private void askLater() {
        long now = clock.wallTime().getEpochSecond();
        for (Lease lease : leases.machines()) {
            if (lease.expires() > now) {
                send(Packets.ip(
                        lease.station(),
                        subnet.gatewayMac(),
                        DhcpServer.bytes(lease.address()),
                        DhcpServer.bytes(subnet.gateway()),
                        Packets.ICMP,
                        64,
                        clocks.question(lease.station().value())));
            }
        }
        if (!closed) {
            ask.arm(clock.nanos() + ASK_EVERY);
        }
    }

    private long advertiseAt() {
        return clock.nanos() + ADVERTISE_EVERY;
    }

    private void send(byte[] frame) {
        NetworkPort to = port;
        if (to == null || closed) {
            return;
        }
        synchronized (out) {
            out.clear();
            int at = out.append(frame.length);
            MemorySegment.copy(frame, 0, out.bytes(), JAVA_BYTE, at, frame.length);
            to.send(out, 0);
        }
    }

    @Override
    public void deliver(FrameBatch frames) {
        NetworkPort to = port;
        if (to == null || closed) {
            return;
        }
        MemorySegment bytes = frames.bytes();
        for (int i = 0; i < frames.size(); i++) {
            long at = frames.offset(i);
            long station = station(frames, i);
            // Without a station the frame goes to the gateway itself, which the switch drops.
            long target = station == 0 ? subnet.gatewayMac().value() : station;
            put(bytes, at, target);
            put(bytes, at + 6, subnet.gatewayMac().value());
        }
        to.send(frames, 0);
    }

    private long station(FrameBatch frames, int frame) {
        MemorySegment bytes = frames.bytes();
        long ip = frames.offset(frame) + (long) Packets.ETHERNET_HEADER;
        int length = frames.length(frame) - Packets.ETHERNET_HEADER;
        if (length >= Packets.IPV6_HEADER && bytes.get(JAVA_BYTE, ip) >>> 4 == 6) {
            return neighbours.station(bytes.get(LONG, ip + 24), bytes.get(LONG, ip + 32));
        }
        return length >= Packets.IPV4_HEADER ? neighbours.station(bytes.get(INT, ip + 16)) : 0;
    }

    private static void put(MemorySegment bytes, long at, long address) {
        bytes.set(SHORT, at, (short) (address >>> 32));
        bytes.set(INT, at + 2, (int) address);
    }

    /** Unplugs itself and ends; the upstream is closed too. */
    @Override
    public void close() {
        closed = true;
        advertise.cancel();
        ask.cancel();
        NetworkPort from = port;
        if (from != null) {
            from.unplug();
        }
        upstream.close();
        queue.clear();
        queue.add(END);
        try {
            worker.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
