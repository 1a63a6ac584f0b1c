package org.torte.machine.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.machine.vmbus.Packet;
import org.torte.machine.vmbus.TestGuest;

@Timeout(120)
class SyntheticAdapterTest {
    private static final MacAddress ADDRESS = MacAddress.parse("02:00:00:00:00:01");
    private static final UUID INSTANCE = UUID.fromString("00112233-4455-6677-8899-aabbccddeeff");
    private static final int PROCESSORS = 4;
    private static final int ALL = 0x2d, NOBODY = FrameBatch.NO_VLAN;

    private final TestGuest machine = new TestGuest();
    private final PortRecorder port = new PortRecorder();
    private final SyntheticAdapter adapter = adapter();

    private SyntheticAdapter adapter() {
        SyntheticAdapter made = new SyntheticAdapter(machine.bus, 0, INSTANCE, ADDRESS, PROCESSORS);
        made.connect(port);
        return made;
    }

    @AfterEach
    void close() {
        assertThat(machine.failures).isEmpty();
        machine.close();
    }

    private AdapterGuest guest() {
        machine.bus.attach(adapter);
        return new AdapterGuest(machine, 16).initialize(Nvsp.VERSION_6_1);
    }

    private static byte[] frame(int length, MacAddress destination) {
        byte[] frame = new byte[length];
        new Random(length).nextBytes(frame);
        System.arraycopy(destination.bytes(), 0, frame, 0, 6);
        frame[12] = 0x12;
        return frame;
    }

    /** A TCP packet over IPv4 whose lengths and checksums are rubbish. */
    private static byte[] tcp(int payload) {
        byte[] frame = frame(54 + payload, ADDRESS);
        ByteBuffer view = ByteBuffer.wrap(frame);
        view.putShort(12, (short) 0x0800).put(14, (byte) 0x45).putShort(16, (short) 0);
        view.putShort(20, (short) 0).put(23, (byte) 6).put(46, (byte) 0x50);
        return frame;
    }

    @ParameterizedTest
    @ValueSource(
            ints = {Nvsp.VERSION_1, Nvsp.VERSION_2, Nvsp.VERSION_4, Nvsp.VERSION_5, Nvsp.VERSION_6, Nvsp.VERSION_6_1})
    void aGuestOfEveryVersionSendsAndReceives(int version) {
        machine.bus.attach(adapter);
        AdapterGuest guest = new AdapterGuest(machine, 16).initialize(version);
        guest.setFilter(ALL);
        byte[] sent = frame(100, MacAddress.BROADCAST);
        byte[] message = AdapterGuest.dataMessage(sent);
        guest.putSection(3, message);
        guest.rndis(Nvsp.DATA, 3, message.length);
        assertThat(port.frames).containsExactly(sent);
        byte[] received = frame(1514, ADDRESS);
        assertThat(PortRecorder.give(adapter, received, 0, 0, 0x6005)).isTrue();
        guest.takeAll();
        assertThat(guest.frames).containsExactly(received);
        assertThat(guest.vlans).containsExactly(3 | 5 << 4);
    }

    @Test
    void aVersionOutsideTheKnownOnesIsRefusedWithTheReason() {
        machine.bus.attach(adapter);
        AdapterGuest guest = new AdapterGuest(machine, 16);
        assertThat(guest.nvsp(Nvsp.INIT, 0x70000, 0x70001).getInt(12)).isEqualTo(Nvsp.TOO_NEW);
        assertThat(guest.nvsp(Nvsp.INIT, 0, 1).getInt(12)).isEqualTo(Nvsp.TOO_OLD);
        assertThat(guest.nvsp(Nvsp.INIT, 0, -1 >>> 1).getInt(4)).isEqualTo(Nvsp.VERSION_6_1);
    }

    @Test
    void whatIsToBeDoneForAFrameGoesWithIt() {
        AdapterGuest guest = guest();
        byte[] plain = tcp(100);
        byte[] large = tcp(20_000);
        guest.rndisDirect(AdapterGuest.dataMessage(plain, Rndis.CHECKSUM_INFORMATION, 1 | 4 | 34 << 16));
        guest.rndisDirect(AdapterGuest.dataMessage(
                large, Rndis.LARGE_SEND_INFORMATION, 1448 | 34 << 20 | 1 << 30, Rndis.VLAN_INFORMATION, 2 | 7 << 4));
        assertThat(port.frames).containsExactly(plain, large);
        assertThat(port.flags)
                .containsExactly(
                        FrameBatch.TRANSPORT_CHECKSUM_NEEDED,
                        FrameBatch.TRANSPORT_CHECKSUM_NEEDED | FrameBatch.IP_CHECKSUM_NEEDED);
        assertThat(port.segments).containsExactly(0, 1448);
        assertThat(port.vlans).containsExactly(NOBODY, 2 << 13 | 7);
    }

    @Test
    void aGuestThatDoesNotCoalesceGetsLargeSendsInPieces() {
        AdapterGuest guest = guest();
        guest.setFilter(ALL);
        assertThat(PortRecorder.give(adapter, tcp(5000), FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 1448, NOBODY))
                .isTrue();
        guest.takeAll();
        assertThat(guest.frames).extracting(frame -> frame.length).containsExactly(1502, 1502, 1502, 710);
        assertThat(guest.checksums).containsOnly(8 | 0x10 | 0x20);
        byte[] parameters = new byte[28];
        parameters[22] = 2;
        parameters[23] = 2;
        assertThat(guest.set(Oid.OFFLOAD_PARAMETERS, parameters)).isZero();
        byte[] large = tcp(5000);
        PortRecorder.give(adapter, large, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 1448, NOBODY);
        guest.takeAll();
        assertThat(Arrays.copyOfRange(guest.frames.getLast(), 54, 5054)).isEqualTo(Arrays.copyOfRange(large, 54, 5054));
    }

    @Test
    void onlyFramesThatTheFilterWantsArrive() {
        AdapterGuest guest = guest();
        MacAddress group = MacAddress.parse("01:00:5e:00:00:01");
        MacAddress other = MacAddress.parse("02:00:00:00:00:02");
        int[] filters = {0, 1, 8, 4, 2, 0x20};
        boolean[][] wanted = {
            {false, false, false, false}, {true, false, false, false}, {false, true, false, false},
            {false, false, true, false}, {false, false, true, false}, {true, true, true, true}
        };
        assertThat(guest.set(Oid.MULTICAST_LIST, group.bytes())).isZero();
        for (int i = 0; i < filters.length; i++) {
            guest.setFilter(filters[i]);
            MacAddress[] destinations = {ADDRESS, MacAddress.BROADCAST, group, other};
            for (int j = 0; j < destinations.length; j++) {
                int before = guest.frames.size();
                assertThat(PortRecorder.give(adapter, frame(60, destinations[j]), 0, 0, NOBODY))
                        .isTrue();
                guest.takeAll();
                assertThat(guest.frames.size() > before)
                        .as("%d to %s", filters[i], destinations[j])
                        .isEqualTo(wanted[i][j]);
            }
        }
    }

    @Test
    void whatTheNetworkDoesNotTakeWaitsAndNothingIsLost() {
        AdapterGuest guest = guest();
        port.room = 0;
        int count = 600;
        for (int i = 0; i < count; i++) {
            guest.rndisDirect(AdapterGuest.dataMessage(frame(60 + i, ADDRESS)));
            guest.takeAll();
        }
        int before = guest.completions;
        assertThat(before).as("those behind the batch wait as they are").isLessThan(count);
        assertThat(guest.query(Oid.MAXIMUM_FRAME_SIZE).getInt())
                .as("it still answers")
                .isEqualTo(1500);
        port.room = 7;
        adapter.roomAvailable();
        assertThat(port.frames).hasSize(7);
        port.room = Integer.MAX_VALUE;
        adapter.roomAvailable();
        guest.takeAll();
        assertThat(port.frames).hasSize(count);
        for (int i = 0; i < count; i++) {
            assertThat(port.frames.get(i)).hasSize(60 + i);
        }
    }

    @Test
    void aNetworkThatStandsStillForLongLosesFramesButNoMemory() {
        AdapterGuest guest = guest();
        port.room = 0;
        byte[] message = AdapterGuest.dataMessage(frame(60, ADDRESS));
        guest.putSection(0, message);
        for (int i = 0; i < 3000; i++) {
            guest.rndis(Nvsp.DATA, 0, message.length);
            guest.takeAll();
        }
        port.room = Integer.MAX_VALUE;
        adapter.roomAvailable();
        assertThat(port.frames).hasSizeBetween(Transmitter.MAX_HELD, Transmitter.MAX_HELD + 300);
    }

    @Test
    void aGuestThatGivesNoPlacesBackStopsTheNetworkAndItGoesOnLater() {
        AdapterGuest guest = guest();
        guest.setFilter(ALL);
        guest.completes = false;
        int given = 0;
        while (PortRecorder.give(adapter, frame(60 + given, ADDRESS), 0, 0, NOBODY)) {
            given++;
            guest.takeAll();
            assertThat(given).as("bounded").isLessThan(5000);
        }
        assertThat(guest.frames).hasSize(guest.places);
        int news = port.roomNews;
        guest.completes = true;
        guest.uncompleted.forEach(guest::complete);
        guest.takeAll();
        guest.takeAll();
        assertThat(port.roomNews).isGreaterThan(news);
        assertThat(guest.frames).hasSize(given);
        for (int i = 0; i < given; i++) {
            assertThat(guest.frames.get(i)).hasSize(60 + i);
        }
    }

    @Test
    void theGuestHearsOfTheLinkAlsoWhenItWasDownForAMoment() {
        AdapterGuest guest = guest();
        assertThat(guest.query(Oid.MEDIA_CONNECT_STATUS).getInt()).isZero();
        port.link = port.link.withUp(false);
        adapter.linkChanged();
        guest.takeAll();
        assertThat(guest.statuses.removeFirst()).isEqualTo(Rndis.MEDIA_DISCONNECT);
        port.link = new LinkState(true, 1_000_000_000, 9000);
        adapter.linkChanged();
        guest.takeAll();
        assertThat(guest.statuses.removeFirst()).isEqualTo(Rndis.MEDIA_CONNECT);
        assertThat(guest.query(Oid.LINK_SPEED).getInt()).isEqualTo(10_000_000);
        assertThat(guest.query(Oid.MAXIMUM_FRAME_SIZE).getInt()).isEqualTo(9000);
        adapter.disconnect();
        guest.takeAll();
        assertThat(guest.statuses.removeFirst()).isEqualTo(Rndis.MEDIA_DISCONNECT);
    }

    @Test
    void objectsAnswerTheAddressAndItCanBeChanged() {
        AdapterGuest guest = guest();
        assertThat(guest.query(Oid.PERMANENT_ADDRESS).slice(0, 6)).isEqualTo(ByteBuffer.wrap(ADDRESS.bytes()));
        String name = "NetworkAddress";
        String value = "020000000099";
        ByteBuffer parameter = ByteBuffer.allocate(20 + 28 + 24).order(ByteOrder.LITTLE_ENDIAN);
        parameter.putInt(20).putInt(28).putInt(2).putInt(48).putInt(24);
        parameter.put(name.getBytes(java.nio.charset.StandardCharsets.UTF_16LE));
        parameter.put(value.getBytes(java.nio.charset.StandardCharsets.UTF_16LE));
        assertThat(guest.set(Oid.CONFIGURATION_PARAMETER, parameter.array())).isZero();
        assertThat(adapter.address()).hasToString("02:00:00:00:00:99");
        assertThat(guest.query(Oid.OFFLOAD_CAPABILITIES).remaining()).isEqualTo(NdisOffload.SIZE_3);
        assertThat(guest.control(Rndis.QUERY, 0x7777, 0, 20, 0).getInt(12)).isEqualTo(Rndis.NOT_SUPPORTED);
    }

    @Test
    void savedWithFramesOnBothWaysItGoesOnElsewhere() throws IOException {
        AdapterGuest guest = guest();
        guest.setFilter(ALL);
        port.room = 0;
        byte[] sent = frame(100, MacAddress.BROADCAST);
        guest.rndisDirect(AdapterGuest.dataMessage(sent));
        guest.completes = false;
        byte[] received = frame(200, ADDRESS);
        for (int i = 0; i < guest.places + 3; i++) {
            assertThat(PortRecorder.give(adapter, received, 0, 0, NOBODY)).isTrue();
            guest.takeAll();
        }
        machine.bus.stop();
        adapter.stop();
        assertThat(PortRecorder.give(adapter, received, 0, 0, NOBODY))
                .as("it stands")
                .isFalse();
        byte[] saved = save(adapter);
        SyntheticAdapter other = new SyntheticAdapter(machine.bus, 0, INSTANCE, ADDRESS, PROCESSORS);
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        reader.readRest(machine.memory);
        other.restore(reader.section("adapter", other.stateVersion()));
        assertThat(save(other)).isEqualTo(saved);
    }

    /** Frames on both ways, and an adapter of one channel only. */
    @Test
    void theFirstVersionOfSavedStateStillLoads() throws IOException {
        try (InputStream golden = SyntheticAdapterTest.class.getResourceAsStream("adapter-1.torte")) {
            StateContainerReader reader = new StateContainerReader(Objects.requireNonNull(golden));
            reader.readRest(machine.memory);
            adapter.restore(reader.section("adapter", adapter.stateVersion()));
        }
        SyntheticAdapter other = new SyntheticAdapter(machine.bus, 1, INSTANCE, ADDRESS, PROCESSORS);
        byte[] saved = save(adapter);
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        reader.readRest(machine.memory);
        other.restore(reader.section("adapter", other.stateVersion()));
        assertThat(save(other)).isEqualTo(saved);
    }

    private static byte[] save(SyntheticAdapter adapter) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("adapter", adapter.stateVersion(), adapter::save);
        writer.finish();
        return out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2, 3, 4, 5})
    void noiseFromGuestAndNetworkHarmsNobody(long offset) {
        long seed = Long.getLong("torte.seed", 1) + offset;
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        AdapterGuest guest = guest();
        guest.setFilter(ALL);
        byte[] good = AdapterGuest.dataMessage(tcp(200), 0, 5, 2, 1448, 6, 7);
        int[] types = {1, 100, 101, 103, 104, 106, 107, 107, 107, 107, 125, 133, 0, 134, -1};
        for (int i = 0; i < 4000; i++) {
            byte[] content = good.clone();
            for (int j = random.nextInt(5); j > 0; j--) {
                int at = random.nextInt(110);
                content[at] = (byte) (random.nextBoolean() ? random.nextInt() : random.nextInt(64));
            }
            int section = random.nextInt(3);
            guest.putSection(section, content);
            ByteBuffer data = ByteBuffer.allocate(8 * random.nextInt(6)).order(ByteOrder.LITTLE_ENDIAN);
            while (data.remaining() >= 4) {
                data.putInt(random.nextInt(4) == 0 ? random.nextInt() : random.nextInt(400));
            }
            if (data.capacity() >= 16) {
                int type = types[random.nextInt(types.length)];
                data.putInt(0, type);
                data.putInt(4, type == 107 ? random.nextInt(2) : random.nextInt(3) * 0x380);
                data.putInt(8, random.nextInt(3) == 0 ? random.nextInt() : section);
                data.putInt(12, random.nextInt(3) == 0 ? random.nextInt(7000) : good.length);
            }
            byte[] descriptor = new byte[8 * random.nextInt(8)];
            random.nextBytes(descriptor);
            if (descriptor.length >= 24 && random.nextBoolean()) {
                ByteBuffer.wrap(descriptor)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .putInt(4, 1)
                        .putInt(8, 300)
                        .putInt(12, 100)
                        .putLong(16, random.nextInt(3) == 0 ? random.nextLong() : guest.sendPages[0]);
            }
            int[] kinds = {Packet.IN_BAND, Packet.GPA_DIRECT, Packet.COMPLETION, Packet.TRANSFER_PAGES, 0};
            guest.channel.write(guest.channel.packet(
                    kinds[random.nextInt(kinds.length)],
                    random.nextInt(2),
                    random.nextInt(40),
                    descriptor,
                    data.array()));
            guest.channel.signal();
            byte[] frame = tcp(random.nextInt(3000));
            frame[random.nextInt(54)] = (byte) random.nextInt();
            PortRecorder.give(adapter, frame, random.nextInt(16), random.nextInt(3) * 500, NOBODY);
            while (guest.channel.receive() != null) {}
            assertThat(machine.failures).as("seed %d, packet %d", seed, i).isEmpty();
        }
        machine.bus.reset();
        new AdapterGuest(machine, 16).initialize(Nvsp.VERSION_5).setFilter(ALL);
    }
}
