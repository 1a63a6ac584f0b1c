package org.torte.network.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.network.Frames;
import org.torte.network.NetworkException;
import org.torte.network.PortSettings;
import org.torte.network.RawStation;
import org.torte.network.VirtualSwitch;

/** The gateway's services, asked by raw stations in bytes written by hand. */
class GatewayTest {
    @TempDir
    private Path state;

    private final ManualClock clock = new ManualClock(Instant.ofEpochSecond(1_800_000_000));
    private final ManualTimers timers = new ManualTimers(clock);
    private VirtualSwitch network = new VirtualSwitch("nat", timers, RandomSource.seeded(1));
    private @Nullable Gateway gateway;
    private final Outside outside = new Outside();

    /** Keeps what leaves the network. */
    private static final class Outside implements Upstream {
        final List<byte[]> sent = new ArrayList<>();

        @Override
        public void start(Inside inside) {}

        @Override
        public synchronized void send(FrameBatch frames, int frame) {
            sent.add(frames.view(frame).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE));
        }

        @Override
        public void flush() {}

        @Override
        public boolean forwardsUdp(int guestPort) {
            return false;
        }

        @Override
        public boolean offers(int port) {
            return port == 80;
        }

        @Override
        public boolean ipv6() {
            return true;
        }

        @Override
        public void close() {}
    }

    /** A station whose frames can be waited for. */
    private static final class Client extends RawStation {
        final LinkedBlockingQueue<byte[]> inbox = new LinkedBlockingQueue<>();

        Client(long address) {
            super(address);
        }

        @Override
        public synchronized int receive(FrameBatch frames, int first) {
            for (int i = first; i < frames.size(); i++) {
                inbox.add(frames.view(i).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE));
            }
            return frames.size() - first;
        }

        /** The next frame; the gateway answers on a thread of its own. */
        byte[] next() {
            try {
                byte[] frame = inbox.poll(20, TimeUnit.SECONDS);
                if (frame == null) {
                    throw new AssertionError("no answer");
                }
                return frame;
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @BeforeEach
    void open() throws IOException {
        timers.resume();
        start(Path.of("/nonexistent"), 53);
    }

    private void start(Path resolvConf, int dnsPort) {
        Gateway opened = Gateway.open(
                state,
                1500,
                subnet -> outside,
                timers,
                RandomSource.seeded(Long.getLong("torte.seed", 1)),
                resolvConf,
                dnsPort);
        gateway = opened;
        opened.start(network.addPort(PortSettings.named("gateway")));
    }

    @AfterEach
    void close() {
        gateway().close();
        network.close();
    }

    private void restart() {
        close();
        network = new VirtualSwitch("nat", timers, RandomSource.seeded(2));
        start(Path.of("/nonexistent"), 53);
    }

    private Gateway gateway() {
        return java.util.Objects.requireNonNull(gateway);
    }

    private Client client(long address) {
        Client client = new Client(address);
        client.plugInto(
                network.addPort(PortSettings.named("c").withMacSpoofing(true).withFloods(1 << 30)));
        return client;
    }

    private static byte[] dhcp(Client client, int type, int requested, int server, String name) {
        return dhcp(client.address(), type, requested, server, name);
    }

    private static byte[] dhcp(MacAddress station, int type, int requested, int server, String name) {
        ByteBuffer body = ByteBuffer.allocate(300);
        body.put(new byte[] {1, 1, 6, 0})
                .putInt(0x1234_5678)
                .putShort((short) 0)
                .putShort((short) 0);
        body.position(28).put(station.bytes()).position(236).putInt(0x6382_5363);
        body.put(new byte[] {53, 1, (byte) type});
        if (requested != 0) {
            body.put(new byte[] {50, 4}).putInt(requested);
        }
        if (server != 0) {
            body.put(new byte[] {54, 4}).putInt(server);
        }
        if (!name.isEmpty()) {
            body.put(new byte[] {12, (byte) name.length()}).put(name.getBytes(StandardCharsets.US_ASCII));
        }
        body.put((byte) 255);
        ByteBuffer datagram = ByteBuffer.allocate(8 + 300)
                .putShort((short) 68)
                .putShort((short) 67)
                .putShort((short) 308)
                .putShort((short) 0)
                .put(body.array());
        byte[] packet = Frames.ipv4("0.0.0.0", "255.255.255.255", 17, 0, datagram.array());
        return Frames.ethernet(MacAddress.BROADCAST, station, 0x0800, packet);
    }

    /** The value of an option in a reply, or nothing. */
    private static Optional<byte[]> option(byte[] frame, int wanted) {
        int at = 14 + 20 + 8 + 240;
        while (at < frame.length && frame[at] != (byte) 255) {
            int length = frame[at + 1] & 0xff;
            if ((frame[at] & 0xff) == wanted) {
                return Optional.of(Arrays.copyOfRange(frame, at + 2, at + 2 + length));
            }
            at += 2 + length;
        }
        return Optional.empty();
    }

    private static int type(byte[] frame) {
        return option(frame, 53).orElseThrow()[0];
    }

    private static int given(byte[] frame) {
        return ByteBuffer.wrap(frame).getInt(14 + 20 + 8 + 16);
    }

    /** Gets an address as a client does. */
    private int lease(Client client, String name) {
        client.inbox.clear();
        client.send(dhcp(client, 1, 0, 0, name));
        byte[] offer = client.next();
        assertThat(type(offer)).isEqualTo(2);
        int server = ByteBuffer.wrap(option(offer, 54).orElseThrow()).getInt();
        client.send(dhcp(client, 3, given(offer), server, name));
        byte[] ack = client.next();
        assertThat(type(ack)).isEqualTo(5);
        assertThat(given(ack)).isEqualTo(given(offer));
        return given(ack);
    }

    @Test
    void aStationGetsAnAddressAndAllItNeeds() {
        Subnet subnet = gateway().subnet();
        Client client = client(0x00155d000001L);

        int address = lease(client, "web1");
        client.send(dhcp(client, 3, address, 0, ""));
        byte[] ack = client.next();

        assertThat(subnet.contains(address)).isTrue();
        assertThat(option(ack, 1).orElseThrow())
                .isEqualTo(ByteBuffer.allocate(4).putInt(subnet.mask()).array());
        assertThat(option(ack, 3))
                .contains(ByteBuffer.allocate(4).putInt(subnet.gateway()).array());
        assertThat(option(ack, 6))
                .contains(ByteBuffer.allocate(4).putInt(subnet.gateway()).array());
        assertThat(new String(option(ack, 15).orElseThrow(), StandardCharsets.US_ASCII))
                .isEqualTo("torte");
        assertThat(ByteBuffer.wrap(option(ack, 26).orElseThrow()).getShort()).isEqualTo((short) 1500);
        assertThat(Frames.checksum(ack, 14, 20, 0)).as("IPv4 header").isZero();
        client.send(dhcp(client, 3, address + 1, 0, ""));
        assertThat(type(client.next())).as("not its address").isEqualTo(6);
    }

    @Test
    void addressesAndSubnetStayTheSameOverRestarts() {
        Subnet subnet = gateway().subnet();
        List<Integer> before = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            before.add(lease(client(0x00155d000001L + i), "vm" + i));
        }

        restart();
        List<Integer> after = new ArrayList<>();
        for (int i = 19; i >= 0; i--) {
            after.addFirst(lease(client(0x00155d000001L + i), "vm" + i));
        }

        assertThat(gateway().subnet()).isEqualTo(subnet);
        assertThat(after).isEqualTo(before);
        assertThat(new HashSet<>(after)).hasSize(20);
        clock.advance(30 * 86_400_000_000_000L);
        restart();
        assertThat(lease(client(0x00155d000001L), "")).as("after it has ended").isEqualTo(before.getFirst());
    }

    @Test
    void nobodyCanUseUpTheAddressesOfMachines() throws IOException {
        close();
        Files.deleteIfExists(state.resolve("leases"));
        Files.writeString(
                state.resolve("subnet"), "torte subnet 1\n172.20.0.0/24\nfd00001122330000\n02:54:00:00:00:09\n");
        network = new VirtualSwitch("nat", timers, RandomSource.seeded(2));
        start(Path.of("/nonexistent"), 53);
        Client attacker = client(0x00155d0000ffL);
        int refused = 0;
        for (int i = 0; i < 130; i++) {
            MacAddress station = new MacAddress(0x0600_0000_0000L + i);
            attacker.send(dhcp(station, 1, 0, 0, ""));
            byte @Nullable [] offer = waitFor(attacker, i < 118);
            if (offer == null) {
                refused++;
                continue;
            }
            attacker.send(dhcp(station, 3, given(offer), 0, ""));
            assertThat(type(attacker.next())).isEqualTo(5);
        }
        assertThat(refused).as("its half of the addresses is used up").isPositive();

        Client machine = client(0x00155d000001L);
        Lease reserved = gateway().register("web1", machine.address()).orElseThrow();
        assertThat(lease(machine, "")).isEqualTo(reserved.address());
    }

    private static byte @Nullable [] waitFor(Client client, boolean certain) {
        try {
            return certain ? client.next() : client.inbox.poll(1, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** A timestamp message of ICMP (RFC 792). */
    private static byte[] timestamp(int type, int sequence, int asked, int there) {
        byte[] message = ByteBuffer.allocate(20)
                .put((byte) type)
                .putShort(6, (short) sequence)
                .putInt(8, asked)
                .putInt(12, there)
                .putInt(16, there)
                .array();
        int sum = Frames.checksum(message, 0, 20, 0);
        message[2] = (byte) (sum >>> 8);
        message[3] = (byte) sum;
        return message;
    }

    private void answerTime(Client machine, int address, int sequence, int asked, int there) {
        String gateway = Subnet.text(gateway().subnet().gateway());
        byte[] packet = Frames.ipv4(Subnet.text(address), gateway, 1, 0, timestamp(14, sequence, asked, there));
        machine.send(Frames.ethernet(gateway().address(), machine.address(), 0x0800, packet));
        // What comes behind it is answered when it has been seen.
        byte[] ping = Frames.ipv4(Subnet.text(address), gateway, 1, 0, timestamp(8, 0, 0, 0));
        machine.send(Frames.ethernet(gateway().address(), machine.address(), 0x0800, ping));
        assertThat(machine.next()[34]).as("answer to a ping").isZero();
    }

    @Test
    void theClocksOfMachinesAreKnownIfTheyAnswer() {
        int day = 86_400_000;
        Client machine = client(0x00155d000001L);
        gateway().register("web1", machine.address());
        int address = lease(machine, "");
        assertThat(gateway().clockOf(machine.address())).isEmpty();

        clock.advance(10_000_000_000L);
        timers.runDue();
        byte[] question = machine.next();
        assertThat(question[34]).isEqualTo((byte) 13);
        assertThat(Frames.checksum(question, 34, 20, 0)).isZero();
        assertThat(ByteBuffer.wrap(question).getInt(30)).isEqualTo(address);
        int asked = ByteBuffer.wrap(question).getInt(42);
        assertThat(asked).isEqualTo(28_810_000); // 1,800,000,000 s is 8:00, and ten seconds have gone
        int sequence = ByteBuffer.wrap(question).getShort(40);

        clock.advance(40_000_000);
        answerTime(machine, address, sequence + 1, asked, asked);
        answerTime(machine, address, sequence, asked, day);
        answerTime(machine, address, sequence, asked, asked | 1 << 31);
        assertThat(gateway().clockOf(machine.address()))
                .as("answers to nothing")
                .isEmpty();
        answerTime(machine, address, sequence, asked, asked - 4980);
        GuestClock known = gateway().clockOf(machine.address()).orElseThrow();
        assertThat(known.skewMillis()).isEqualTo(-5000);
        assertThat(known.uncertainMillis()).isEqualTo(21);
        assertThat(known.measured()).isEqualTo(clock.wallTime());
        answerTime(machine, address, sequence, asked, asked);
        assertThat(gateway().clockOf(machine.address()))
                .as("a second answer to one question")
                .contains(known);

        clock.advance(10_000_000_000L);
        timers.runDue();
        question = machine.next();
        sequence = ByteBuffer.wrap(question).getShort(40);
        asked = ByteBuffer.wrap(question).getInt(42);
        // On the other side of midnight.
        answerTime(machine, address, sequence, asked, asked + day / 2 + 60_000);
        assertThat(gateway().clockOf(machine.address()).orElseThrow().skewMillis())
                .isEqualTo(60_000 - day / 2);
        clock.advance(61_000_000_000L);
        assertThat(gateway().clockOf(machine.address())).as("too old").isEmpty();
    }

    @Test
    void namesBelongToTheirMachines() throws IOException {
        Client thief = client(0x00155d000009L), web = client(0x00155d000001L);
        gateway().register("web1", web.address());
        int wrong = lease(thief, "web1");
        lease(thief, "db.example.org");
        int right = lease(web, "other");

        assertThat(ask(thief, wrong, "WEB1.torte", 1)).containsExactly(bytes(right));
        assertThat(ask(thief, wrong, "db.torte", 1)).containsExactly(bytes(wrong));
        assertThat(ask(thief, wrong, "nobody.torte", 1)).isEmpty();
        assertThat(ask(thief, wrong, "gateway.torte", 1))
                .containsExactly(bytes(gateway().subnet().gateway()));
        assertThat(ask(thief, wrong, "gateway.torte", 28))
                .containsExactly(gateway().subnet().gateway6());
        String[] parts = Subnet.text(right).split("\\.", -1);
        String reverse = parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0] + ".in-addr.arpa";
        assertThat(ask(thief, wrong, reverse, 12)).containsExactly(DnsMessage.wireName("web1.torte"));
    }

    private static byte[] bytes(int address) {
        return ByteBuffer.allocate(4).putInt(address).array();
    }

    private static byte[] query(int id, String name, int type) {
        byte[] wire = DnsMessage.wireName(name);
        return ByteBuffer.allocate(12 + wire.length + 4)
                .putShort((short) id)
                .putShort((short) 0x0100)
                .putShort((short) 1)
                .position(12)
                .put(wire)
                .putShort((short) type)
                .putShort((short) 1)
                .array();
    }

    private byte[] udp(Client client, int from, int to, int port, byte[] body) {
        ByteBuffer datagram = ByteBuffer.allocate(8 + body.length)
                .putShort((short) 5353)
                .putShort((short) port)
                .putShort((short) (8 + body.length))
                .putShort((short) 0)
                .put(body);
        return Frames.ethernet(
                gateway().address(),
                client.address(),
                0x0800,
                Frames.ipv4(Subnet.text(from), Subnet.text(to), 17, 0, datagram.array()));
    }

    /** The data of the answer's records. */
    private List<byte[]> ask(Client client, int from, String name, int type) {
        byte[] query = query(77, name, type);
        client.inbox.clear();
        client.send(udp(client, from, gateway().subnet().gateway(), 53, query));
        ByteBuffer answer = ByteBuffer.wrap(client.next());
        int body = 14 + 20 + 8;
        assertThat(answer.getShort(body)).isEqualTo((short) 77);
        int count = answer.getShort(body + 6);
        List<byte[]> records = new ArrayList<>();
        int at = body + query.length;
        for (int i = 0; i < count; i++) {
            int length = answer.getShort(at + 10);
            records.add(Arrays.copyOfRange(answer.array(), at + 12, at + 12 + length));
            at += 12 + length;
        }
        return records;
    }

    @Test
    void otherNamesAreAskedOfTheHostsNameServers() throws Exception {
        close();
        Path resolvConf = Files.writeString(state.resolve("resolv.conf"), "nameserver 127.0.0.1\n");
        try (DatagramSocket server = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
            Thread.ofPlatform().daemon().start(() -> serve(server));
            network = new VirtualSwitch("nat", timers, RandomSource.seeded(1));
            start(resolvConf, server.getLocalPort());
            Client client = client(0x00155d000001L);
            int address = lease(client, "");

            assertThat(ask(client, address, "example.org", 1)).containsExactly(new byte[] {1, 2, 3, 4});
        }
    }

    /** Answers as a name server does, first with answers that do not fit. */
    private static void serve(DatagramSocket server) {
        try {
            DatagramPacket packet = new DatagramPacket(new byte[1500], 1500);
            while (true) {
                server.receive(packet);
                ByteBuffer question = ByteBuffer.wrap(Arrays.copyOf(packet.getData(), packet.getLength()));
                byte[] answer = DnsMessage.parse(question)
                        .orElseThrow()
                        .answer(question, 0, false, 1, 60, List.of(new byte[] {1, 2, 3, 4}));
                byte[] wrongId = answer.clone();
                wrongId[0]++;
                wrongId[wrongId.length - 1] = 66;
                byte[] wrongName = answer.clone();
                wrongName[14]++;
                wrongName[wrongName.length - 1] = 66;
                for (byte[] sent : List.of(wrongId, wrongName, answer)) {
                    server.send(new DatagramPacket(sent, sent.length, packet.getSocketAddress()));
                }
            }
        } catch (IOException e) {
            // closed
        }
    }

    @Test
    void theGatewayAnswersArpAndNeighbourSolicitationsAndPings() {
        Client client = client(0x00155d000001L);
        int address = lease(client, "");
        Subnet subnet = gateway().subnet();
        ByteBuffer arp = ByteBuffer.allocate(28)
                .putLong(0x0001_0800_0604_0001L)
                .put(client.address().bytes())
                .putInt(address)
                .put(new byte[6])
                .putInt(subnet.gateway());
        client.send(Frames.ethernet(MacAddress.BROADCAST, client.address(), 0x0806, arp.array()));
        ByteBuffer reply = ByteBuffer.wrap(client.next());
        assertThat(reply.getLong(14)).isEqualTo(0x0001_0800_0604_0002L);
        assertThat(reply.getLong(22) >>> 16).isEqualTo(subnet.gatewayMac().value());

        byte[] echo = {8, 0, 0, 0, 1, 2, 3, 4, 5, 6};
        client.send(Frames.ethernet(
                subnet.gatewayMac(),
                client.address(),
                0x0800,
                Frames.ipv4(Subnet.text(address), Subnet.text(subnet.gateway()), 1, 0, echo)));
        byte[] pong = client.next();
        assertThat(pong[34]).isZero();
        assertThat(Frames.checksum(pong, 34, 10, 0)).isZero();

        byte[] solicitation = new byte[8];
        solicitation[0] = (byte) 133;
        client.send(icmpv6(client, "fe80::1", "ff02::2", solicitation));
        byte[] advertisement = client.next();
        assertThat(advertisement[54] & 0xff).isEqualTo(134);
        assertThat(ByteBuffer.wrap(advertisement).getShort(60))
                .as("router lifetime")
                .isEqualTo((short) 1800);

        byte[] neighbour = new byte[24];
        neighbour[0] = (byte) 135;
        System.arraycopy(subnet.linkLocal6(), 0, neighbour, 8, 16);
        client.send(icmpv6(client, "fe80::1", "ff02::1:ff00:1", neighbour));
        assertThat(client.next()[54] & 0xff).isEqualTo(136);
    }

    @Test
    void ofTheHostsOwnAddressOnlyTheOfferedServicesGoUpstream() {
        Client client = client(0x00155d000001L);
        int address = lease(client, "");
        Subnet subnet = gateway().subnet();
        int before = outside.sent.size();
        for (int protocol : new int[] {1, 6, 17}) {
            for (int port : new int[] {22, 79, 80, 81}) {
                for (int fragment : new int[] {0, 0x2000, 1}) {
                    byte[] packet = Frames.ipv4(
                            Subnet.text(address),
                            Subnet.text(subnet.host()),
                            protocol,
                            fragment,
                            Frames.ports(1024, port, 12));
                    client.send(Frames.ethernet(subnet.gatewayMac(), client.address(), 0x0800, packet));
                }
            }
        }
        assertThat(outside.sent).as("only TCP to port 80, whole").hasSize(before + 1);
    }

    private static byte[] icmpv6(Client client, String from, String to, byte[] message) {
        byte[] packet = Frames.ipv6(from, to, 58, message);
        long pseudo = 58 + message.length;
        for (int i = 8; i < 40; i += 2) {
            pseudo += (packet[i] & 0xff) << 8 | packet[i + 1] & 0xff;
        }
        int checksum = Frames.checksum(message, 0, message.length, pseudo);
        packet[42] = (byte) (checksum >>> 8);
        packet[43] = (byte) checksum;
        return Frames.ethernet(new MacAddress(0x3333_0000_0002L), client.address(), 0x86dd, packet);
    }

    @Test
    void whatIsForOutsideGoesUpstreamUnlessItsSourceIsSomebodyElses() {
        Client client = client(0x00155d000001L), other = client(0x00155d000002L);
        int address = lease(client, ""), others = lease(other, "");

        client.send(udp(client, address, 0x0808_0808, 53, new byte[10]));
        client.send(udp(client, others, 0x0808_0808, 53, new byte[10]));
        client.send(udp(client, 0x0a0a_0a0a, 0x0808_0808, 53, new byte[10]));

        assertThat(outside.sent).hasSize(1);
    }

    @Test
    void whatWouldBeTheHostItselfDoesNotGoUpstream() {
        Client client = client(0x00155d000001L);
        int address = lease(client, "");
        for (int target : new int[] {0, 0x0001_0203, 0x7f00_0001, 0x7fff_fffe, 0xe000_0001, 0xf000_0001}) {
            client.send(udp(client, address, target, 53, new byte[10]));
        }
        String own = Subnet.text(gateway().subnet().host6());
        byte[] datagram =
                ByteBuffer.allocate(12).putInt(53).putShort((short) 12).array();
        MacAddress to = gateway().subnet().gatewayMac();
        for (String target : List.of("::", "::1", "::7f00:1", "fe80::1", "ff02::1")) {
            byte[] packet = Frames.ipv6(own, target, 17, datagram);
            client.send(Frames.ethernet(to, client.address(), 0x86dd, packet));
            if (target.equals("::7f00:1")) {
                packet[34] = (byte) 0xff; // ::ffff:127.0.0.1, which Java takes for an IPv4 address
                packet[35] = (byte) 0xff;
                client.send(Frames.ethernet(to, client.address(), 0x86dd, packet));
            }
        }
        assertThat(outside.sent).isEmpty();

        client.send(Frames.ethernet(to, client.address(), 0x86dd, Frames.ipv6(own, "2001:db8::1", 17, datagram)));
        client.send(udp(client, address, 0x7e00_0001, 53, new byte[10]));
        assertThat(outside.sent).hasSize(2);
    }

    @Test
    void aStormOfArpDoesNotKeepAnHonestNeighbourFromAnAnswer() {
        Client attacker = client(0x00155d000001L), honest = client(0x00155d000002L);
        int storming = lease(attacker, ""), address = lease(honest, "");
        byte[] question = arp(attacker, storming);
        AtomicBoolean stop = new AtomicBoolean();
        Thread _ = Thread.ofPlatform().daemon().start(() -> {
            byte[][] many = new byte[64][];
            Arrays.fill(many, question);
            while (!stop.get()) {
                attacker.send(many);
                attacker.inbox.clear();
            }
        });
        try {
            while (gateway().dropped() < 1000) {
                Thread.onSpinWait(); // until it is one
            }
            for (int i = 0; i < 200; i++) {
                honest.send(arp(honest, address));
                assertThat(honest.next()[21]).as("a reply, number %d", i).isEqualTo((byte) 2);
            }
        } finally {
            stop.set(true);
        }
    }

    /** A question for the gateway's address, to itself alone. */
    private byte[] arp(Client from, int address) {
        Subnet subnet = gateway().subnet();
        byte[] body = ByteBuffer.allocate(28)
                .putLong(0x0001_0800_0604_0001L)
                .put(from.address().bytes())
                .putInt(address)
                .position(24)
                .putInt(subnet.gateway())
                .array();
        return Frames.ethernet(subnet.gatewayMac(), from.address(), 0x0806, body);
    }

    @Test
    void noiseHarmsNothingAndFillsNoMemory() {
        long seed = Long.getLong("torte.seed", 1);
        System.getLogger("test").log(System.Logger.Level.INFO, "seed {0}", seed);
        Random random = new Random(seed);
        Client attacker = client(0x00155d000001L);
        int address = lease(attacker, "");
        int gatewayAddress = gateway().subnet().gateway();
        List<byte[]> good = List.of(
                dhcp(attacker, 1, 0, 0, "name"),
                dhcp(attacker, 3, address, gatewayAddress, "name"),
                dhcp(attacker, 8, 0, 0, ""),
                udp(attacker, address, gatewayAddress, 53, query(1, "web1.torte", 1)),
                udp(attacker, address, gatewayAddress, 53, query(1, "1.0.0.10.in-addr.arpa", 12)),
                icmpv6(attacker, "fe80::1", "ff02::2", new byte[] {(byte) 133, 0, 0, 0, 0, 0, 0, 0}));
        for (int i = 0; i < 5_000; i++) {
            byte[] frame = good.get(random.nextInt(good.size())).clone();
            for (int n = random.nextInt(8); n >= 0; n--) {
                frame[12 + random.nextInt(frame.length - 12)] = (byte) random.nextInt();
            }
            if (random.nextInt(4) == 0) {
                frame = Arrays.copyOf(frame, random.nextInt(frame.length));
            }
            attacker.send(frame);
            if (i % 64 == 0) {
                Thread.onSpinWait();
                attacker.inbox.clear();
            }
        }
        Client machine = client(0x00155d000002L);
        Set<Integer> addresses = new HashSet<>();
        for (Lease lease : gateway().leases()) {
            if (!addresses.add(lease.address())) {
                fail("two stations have %s, seed %d", Subnet.text(lease.address()), seed);
            }
        }
        awaitQuiet(machine);
        assertThat(gateway().subnet().contains(lease(machine, ""))).isTrue();
    }

    /** Asks until the gateway has worked off its queue and answers. */
    private static void awaitQuiet(Client client) {
        for (int i = 0; i < 2000; i++) {
            client.send(dhcp(client, 1, 0, 0, ""));
            try {
                if (client.inbox.poll(20, TimeUnit.MILLISECONDS) != null) {
                    byte @Nullable [] more = client.inbox.poll(200, TimeUnit.MILLISECONDS);
                    while (more != null) {
                        more = client.inbox.poll(200, TimeUnit.MILLISECONDS);
                    }
                    return;
                }
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
        fail("no answer");
    }

    @Test
    void stateThatIsDamagedIsNamedAndNotOverwritten() throws IOException {
        lease(client(0x00155d000001L), "");
        close();
        for (String file : List.of("leases", "subnet")) {
            byte[] before = Files.readAllBytes(state.resolve(file));
            Files.writeString(state.resolve(file), "torte " + file + " 1\nrubbish\n");
            assertThatThrownBy(() -> start(Path.of("/nonexistent"), 53))
                    .isInstanceOf(NetworkException.class)
                    .hasMessageContaining(file);
            assertThat(state.resolve(file)).hasContent("torte " + file + " 1\nrubbish\n");
            Files.write(state.resolve(file), before);
        }
    }
}
