package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;

class SwitchTest {
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final ManualTimers timers = new ManualTimers(clock);
    private final VirtualSwitch network = new VirtualSwitch("test", timers, RandomSource.seeded(1));
    private int stations;

    @AfterEach
    void close() {
        network.close();
    }

    @BeforeEach
    void start() {
        timers.resume();
    }

    private RawStation machine() {
        return machine(PortSettings.named("vm"));
    }

    private RawStation machine(PortSettings settings) {
        return new RawStation(0x00155d000001L + stations++).plugInto(network.addPort(settings));
    }

    private SwitchPort port(RawStation station) {
        return (SwitchPort) java.util.Objects.requireNonNull(station.port);
    }

    private void advance(long nanos) {
        clock.advance(nanos);
        timers.runDue();
    }

    @Test
    void aFrameGoesToItsReceiverAndToNobodyElse() {
        RawStation a = machine(), b = machine(), c = machine();

        a.send(a.frame(b, 1), a.frame(b, 2));

        assertThat(b.markers()).containsExactly(1, 2);
        assertThat(c.got).isEmpty();
        assertThat(port(a).statistics().framesSent()).isEqualTo(2);
        assertThat(port(b).statistics().framesReceived()).isEqualTo(2);
    }

    @Test
    void framesOfOneBatchForSeveralReceiversKeepTheirOrder() {
        RawStation a = machine(), b = machine(), c = machine();

        a.send(
                a.frame(b, 1),
                a.frame(MacAddress.BROADCAST, 0x88b5, 2),
                a.frame(c, 3),
                a.frame(b, 4),
                a.frame(MacAddress.BROADCAST, 0x88b5, 5));

        assertThat(b.markers()).containsExactly(1, 2, 4, 5);
        assertThat(c.markers()).containsExactly(2, 3, 5);
        assertThat(a.got).isEmpty();
    }

    @Test
    void offloadsTravelUnsegmented() {
        RawStation a = machine(), b = machine();
        byte[] large = new byte[60_000];
        System.arraycopy(a.frame(b, 7), 0, large, 0, 16);

        a.add(large, FrameBatch.NO_VLAN, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 1448);
        a.flush();

        assertThat(b.got).hasSize(1);
        assertThat(b.got.getFirst().bytes()).isEqualTo(large);
        assertThat(b.got.getFirst().segmentSize()).isEqualTo(1448);
        assertThat(b.got.getFirst().flags()).isEqualTo(FrameBatch.TRANSPORT_CHECKSUM_NEEDED);
    }

    @Test
    void runtsAndGiantsAreDropped() {
        RawStation a = machine(), b = machine();
        RawStation jumbo = machine(PortSettings.named("jumbo").withMtu(9000));

        for (int length = 0; length < 14; length++) {
            a.send(java.util.Arrays.copyOf(a.frame(b, 1), length));
        }
        a.send(java.util.Arrays.copyOf(a.frame(b, 1), 1514));
        a.send(java.util.Arrays.copyOf(a.frame(b, 1), 1515));
        jumbo.send(java.util.Arrays.copyOf(jumbo.frame(b, 1), 1514));
        jumbo.send(java.util.Arrays.copyOf(jumbo.frame(b, 1), 1515));

        assertThat(b.got).hasSize(2);
        assertThat(port(a).drops(true)).isEqualTo(Map.of(DropReason.RUNT, 14L, DropReason.GIANT, 1L));
        assertThat(port(b).drops(false)).isEqualTo(Map.of(DropReason.GIANT, 1L));
    }

    @Test
    void aMachineUsesItsOwnAddressOnly() {
        RawStation a = machine(), b = machine();
        byte[] spoofed = a.frame(b, 1);
        spoofed[11]++;

        a.send(spoofed, a.frame(b, 2));

        assertThat(b.markers()).containsExactly(2);
        assertThat(port(a).drops(true)).isEqualTo(Map.of(DropReason.SPOOFED_SOURCE, 1L));
    }

    @Test
    void evenWhoMayUseOtherAddressesCannotTakeThoseOfOthers() {
        RawStation victim = machine(), other = machine();
        RawStation bridge = machine(PortSettings.named("bridge").withMacSpoofing(true));
        byte[] stolen = Frames.ethernet(other.address(), victim.address(), 0x88b5, new byte[46]);
        byte[] group = bridge.frame(other, 1);
        group[6] |= 1;

        bridge.send(stolen, group);
        other.send(other.frame(victim, 9));

        assertThat(victim.markers()).containsExactly(9);
        assertThat(bridge.got).isEmpty();
        assertThat(port(bridge).drops(true)).isEqualTo(Map.of(DropReason.SPOOFED_SOURCE, 2L));
    }

    @Test
    void addressesBehindABridgeAreLearnedAndForgotten() {
        RawStation a = machine();
        RawStation b = machine(PortSettings.named("b").withMacSpoofing(true));
        RawStation c = machine(PortSettings.uplink("c"));
        MacAddress behind = MacAddress.parse("02:00:00:00:00:99");
        byte[] toIt = Frames.ethernet(behind, a.address(), 0x88b5, new byte[46]);

        a.send(toIt);
        assertThat(List.of(b.got.size(), c.got.size()))
                .as("unknown: to all who may have it")
                .containsExactly(1, 1);
        b.send(Frames.ethernet(a.address(), behind, 0x88b5, new byte[46]));
        a.send(toIt);
        assertThat(List.of(b.got.size(), c.got.size())).as("learned").containsExactly(2, 1);
        assertThat(network.stations()).containsExactly(new VirtualSwitch.Station(behind, 0, port(b)));
        c.send(Frames.ethernet(a.address(), behind, 0x88b5, new byte[46]));
        a.send(toIt);
        assertThat(List.of(b.got.size(), c.got.size())).as("moved").containsExactly(2, 2);
        advance(AddressTable.AGEING);
        a.send(toIt);
        assertThat(List.of(b.got.size(), c.got.size())).as("forgotten").containsExactly(3, 3);
    }

    @Test
    void unknownAddressesAreNotShownToMachinesThatHaveOneOnly() {
        RawStation a = machine(), b = machine();

        a.send(Frames.ethernet(MacAddress.parse("02:00:00:00:00:99"), a.address(), 0x88b5, new byte[46]));

        assertThat(b.got).isEmpty();
    }

    @Test
    void aPortCannotFillTheAddressTable() {
        RawStation a = machine();
        RawStation quiet = machine(PortSettings.uplink("quiet"));
        RawStation attacker =
                machine(PortSettings.named("attacker").withMacSpoofing(true).withFloods(1 << 30));
        MacAddress known = MacAddress.parse("02:00:00:00:00:01");
        quiet.send(Frames.ethernet(a.address(), known, 0x88b5, new byte[46]));

        for (int i = 0; i < 100_000; i++) {
            attacker.send(Frames.ethernet(a.address(), new MacAddress(0x0600_0000_0000L + i), 0x88b5, new byte[46]));
        }

        assertThat(network.stations().stream().filter(s -> s.port() == port(attacker)))
                .hasSizeBetween(1, 64);
        attacker.got.clear();
        a.send(Frames.ethernet(known, a.address(), 0x88b5, new byte[46]));
        assertThat(quiet.got).hasSize(1);
        assertThat(attacker.got).isEmpty();
        advance(AddressTable.AGEING);
        attacker.send(Frames.ethernet(a.address(), new MacAddress(0x0611_0000_0000L), 0x88b5, new byte[46]));
        assertThat(network.stations()).as("room again for new ones").hasSize(1);
    }

    @Test
    void floodsAreBounded() {
        RawStation a = machine(PortSettings.named("a").withFloods(100)), b = machine();
        byte[] storm = a.frame(MacAddress.BROADCAST, 0x0806, 1);

        for (int i = 0; i < 1000; i++) {
            assertThat(a.send(storm)).isEqualTo(1);
        }
        assertThat(b.got).hasSize(100);
        a.send(a.frame(b, 5));
        assertThat(b.got).as("what is for one is not held up").hasSize(101);
        advance(500_000_000);
        for (int i = 0; i < 1000; i++) {
            a.send(storm);
        }
        assertThat(b.got).hasSizeBetween(150, 152);
        assertThat(port(a).drops(true)).containsKey(DropReason.FLOOD_LIMIT);
    }

    @Test
    void framesForTheLinkOnlyAreKept() {
        RawStation a = machine(), b = machine();

        a.send(
                a.frame(MacAddress.parse("01:80:c2:00:00:0e"), 0x88cc, 1),
                a.frame(MacAddress.parse("01:80:c2:00:00:10"), 1, 2));

        assertThat(b.markers()).containsExactly(2);
        assertThat(port(a).drops(true)).isEqualTo(Map.of(DropReason.LINK_LOCAL, 1L));
    }

    @Test
    void aReceiverWithoutRoomGetsTheRestLaterInOrder() {
        RawStation a = machine(), b = machine();
        b.room = 3;

        a.send(IntStream.range(0, 5).mapToObj(i -> a.frame(b, i)).toArray(byte[][]::new));
        a.send(IntStream.range(5, 10).mapToObj(i -> a.frame(b, i)).toArray(byte[][]::new));
        assertThat(b.markers()).containsExactly(0, 1, 2);
        b.room = 4;
        port(b).roomAvailable();
        assertThat(b.markers()).hasSize(7);
        b.room = 100;
        port(b).roomAvailable();
        a.send(a.frame(b, 10));

        assertThat(b.markers())
                .containsExactlyElementsOf(IntStream.rangeClosed(0, 10).boxed().toList());
    }

    @Test
    void whatAStandingReceiverGetsIsBoundedAndCounted() {
        RawStation a = machine(), b = machine();
        b.room = 0;

        for (int i = 0; i < 5000; i++) {
            a.send(a.frame(b, i));
        }
        b.room = Integer.MAX_VALUE;
        port(b).roomAvailable();

        long dropped = port(b).drops(false).getOrDefault(DropReason.RECEIVER_FULL, 0L);
        assertThat(b.markers())
                .containsExactlyElementsOf(IntStream.range(0, 512).boxed().toList());
        assertThat(dropped).isEqualTo(5000 - 512);
        assertThat(port(b).statistics().receivedDropped()).isEqualTo(dropped);
    }

    @Test
    void roomThatComesWhileTheReceiverIsBeingCalledIsNoticed() {
        RawStation a = machine();
        SwitchPort[] its = new SwitchPort[1];
        RawStation b = new RawStation(0x00155d0000ffL) {
            @Override
            public synchronized int receive(FrameBatch frames, int first) {
                room = 1;
                int taken = super.receive(frames, first);
                its[0].roomAvailable();
                return taken;
            }
        };
        its[0] = network.addPort(PortSettings.named("b"));
        b.plugInto(its[0]);

        a.send(a.frame(b, 1), a.frame(b, 2), a.frame(b, 3));

        assertThat(b.markers()).containsExactly(1, 2, 3);
    }

    @Test
    void whoSendsTooMuchWaitsAndLosesNothing() {
        RawStation a = machine(PortSettings.named("a").withBandwidth(80_000_000)), b = machine();
        byte[] frame = java.util.Arrays.copyOf(a.frame(b, 1), 1000);
        int calls = a.roomCalls;

        int taken = 0;
        while (a.send(frame) == 1) {
            taken++;
        }
        assertThat(taken).as("10 MB/s, 128 KiB at once").isBetween(131, 133);
        assertThat(a.send(frame)).isZero();
        advance(200_000);
        assertThat(a.roomCalls).as("called when it may send again").isGreaterThan(calls);
        int second = 0;
        for (int i = 0; i < 10_000; i++) {
            advance(100_000);
            second += a.send(frame);
        }

        assertThat(second).as("1000 bytes each 0.1 ms for one second").isBetween(9_990, 10_010);
        assertThat(b.got).hasSize(taken + second + (int) (port(b).statistics().framesReceived() - taken - second));
        assertThat(port(a).drops(true)).isEmpty();
    }

    @Test
    void aMirrorShowsBothDirections() {
        RawStation a = machine(), b = machine(), watcher = machine();
        try (VirtualSwitch.Mirror mirror = network.mirror(port(a), port(watcher))) {
            a.send(a.frame(b, 1), a.frame(b, 2));
            b.send(b.frame(a, 3));
            assertThatThrownBy(() -> network.mirror(port(watcher), port(b)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
        a.send(a.frame(b, 4));

        assertThat(watcher.markers()).containsExactly(1, 2, 3);
        assertThat(b.markers()).containsExactly(1, 2, 4);
        assertThat(a.markers()).containsExactly(3);
    }

    @Test
    void aPortCanBeDisabledUnpluggedAndPluggedAgain() {
        RawStation a = machine(), b = machine();
        SwitchPort its = port(b);

        its.configure(its.settings().withEnabled(false));
        assertThat(its.link().up()).isFalse();
        a.send(a.frame(b, 1));
        b.send(b.frame(a, 1));
        its.configure(its.settings().withEnabled(true));
        assertThat(b.linkCalls).isEqualTo(3);
        a.send(a.frame(b, 2));
        its.unplug();
        a.send(a.frame(b, 3));
        assertThatThrownBy(() -> port(a).plug(b)).isInstanceOf(IllegalStateException.class);
        b.plugInto(its);
        a.send(a.frame(b, 4));
        its.close();
        a.send(a.frame(b, 5));

        assertThat(b.markers()).containsExactly(2, 4);
        assertThat(a.got).isEmpty();
        assertThatThrownBy(() -> its.plug(b)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void stationsThatAnswerFromWithinReceiveDoNotRecurseForEver() {
        List<RawStation> pair = new ArrayList<>();
        AtomicInteger depth = new AtomicInteger(), deepest = new AtomicInteger(), left = new AtomicInteger(1000);
        for (int i = 0; i < 2; i++) {
            int other = 1 - i;
            pair.add(
                    new RawStation(0x00155d0000a0L + i) {
                        @Override
                        public synchronized int receive(FrameBatch frames, int first) {
                            deepest.accumulateAndGet(depth.incrementAndGet(), Math::max);
                            int taken = super.receive(frames, first);
                            if (left.decrementAndGet() > 0) {
                                answer(frame(pair.get(other), 1));
                            }
                            depth.decrementAndGet();
                            return taken;
                        }
                    }.plugInto(network.addPort(PortSettings.named("p" + i))));
        }

        pair.getFirst().send(pair.getFirst().frame(pair.getLast(), 1));

        assertThat(left.get()).isZero();
        assertThat(deepest.get()).isLessThanOrEqualTo(3);
    }

    @Test
    void manySendersToOneReceiverLoseNothingThatItHasRoomFor() throws Exception {
        RawStation receiver = machine();
        int senders = 4, each = 20_000;
        CountDownLatch done = new CountDownLatch(senders);
        List<RawStation> all =
                IntStream.range(0, senders).mapToObj(i -> machine()).toList();
        List<Integer> failures = java.util.Collections.synchronizedList(new ArrayList<>());
        for (int s = 0; s < senders; s++) {
            RawStation sender = all.get(s);
            int id = s;
            Thread.ofPlatform().start(() -> {
                try {
                    for (int i = 0; i < each; i++) {
                        byte[] body = {(byte) id, (byte) (i >>> 16), (byte) (i >>> 8), (byte) i};
                        sender.send(Frames.ethernet(receiver.address(), sender.address(), 0x88b5, body));
                    }
                } catch (RuntimeException e) {
                    failures.add(id);
                } finally {
                    done.countDown();
                }
            });
        }
        done.await();
        port(receiver).roomAvailable();

        assertThat(failures).isEmpty();
        long dropped = port(receiver).drops(false).getOrDefault(DropReason.RECEIVER_FULL, 0L);
        assertThat(receiver.got.size() + dropped).isEqualTo((long) senders * each);
        int[] last = new int[senders];
        java.util.Arrays.fill(last, -1);
        for (RawStation.Frame frame : receiver.got) {
            byte[] b = frame.bytes();
            int number = (b[15] & 0xff) << 16 | (b[16] & 0xff) << 8 | b[17] & 0xff;
            assertThat(number).as("in order").isGreaterThan(last[b[14]]);
            last[b[14]] = number;
        }
    }
}
