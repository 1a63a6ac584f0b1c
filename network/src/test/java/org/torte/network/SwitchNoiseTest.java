package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.net.FrameBatch;

/** Frames of any length, tag, address and type from ports of all kinds: what comes out is right, and all else is counted. */
class SwitchNoiseTest {
    private static final long SEED = Long.getLong("torte.seed", 1);
    private static final int ROUNDS = 4000, MOST = 16, MTU = 1500;
    private static final long FIRST = 0x0200_0000_0001L;
    private static final int[] TAGS = {FrameBatch.NO_VLAN, FrameBatch.NO_VLAN, 0, 5, 6, 0x6005, 7, 4095};
    private static final int[] TYPES = {0x0800, 0x86dd, 0x8100, 0x0806, 0x88a8, 0x88b5, 60};

    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final ManualTimers timers = new ManualTimers(clock);
    private final VirtualSwitch network = new VirtualSwitch("noise", timers, RandomSource.seeded(1));
    private final Random random = new Random(SEED);
    private final List<RawStation> stations = new ArrayList<>();
    private final List<SwitchPort> ports = new ArrayList<>();

    private void add(PortSettings settings) {
        SwitchPort port = network.addPort(settings);
        ports.add(port);
        stations.add(new RawStation(FIRST + stations.size()).plugInto(port));
    }

    @SuppressWarnings("ArrayRecordComponent") // compared by what is in it
    private record Sent(byte[] bytes, int tag, int segmentSize) {}

    @Test
    void whatComesOutIsRightAndAllElseIsCounted() {
        System.out.println("torte.seed=" + SEED);
        timers.resume();
        BitSet both = new BitSet();
        both.set(5);
        both.set(6);
        add(PortSettings.named("5").withVlan(new PortVlan.Access(5)));
        add(PortSettings.named("5 too").withVlan(new PortVlan.Access(5)).withGuards(true, true));
        add(PortSettings.named("6").withVlan(new PortVlan.Access(6)).withMtu(9000));
        add(PortSettings.named("trunk").withVlan(PortVlan.trunk(0, both)));
        add(PortSettings.named("spoofer").withVlan(new PortVlan.Access(5)).withMacSpoofing(true));
        long[] sent = new long[ports.size()];
        for (int round = 0; round < ROUNDS; round++) {
            int from = random.nextInt(ports.size());
            List<Sent> frames = new ArrayList<>();
            for (int i = random.nextInt(MOST) + 1; i > 0; i--) {
                Sent frame = frame(from);
                frames.add(frame);
                stations.get(from).add(frame.bytes, frame.tag, 0, frame.segmentSize);
            }
            assertThat(stations.get(from).flush()).isEqualTo(frames.size());
            sent[from] += frames.size();
            for (int to = 0; to < ports.size(); to++) {
                for (RawStation.Frame got : stations.get(to).got) {
                    check("seed " + SEED + ", round " + round, from, to, frames, got);
                }
                stations.get(to).got.clear();
            }
            clock.advance(100_000_000);
            timers.runDue();
        }
        long in = 0, out = 0;
        for (int i = 0; i < ports.size(); i++) {
            assertThat(ports.get(i).statistics().framesSent()).isEqualTo(sent[i]);
            assertThat(ports.get(i).drops(true)).containsKeys(DropReason.RUNT, DropReason.GIANT, DropReason.VLAN);
            in += sent[i];
            out += ports.get(i).statistics().framesReceived()
                    + sum(ports.get(i).drops(true))
                    + sum(ports.get(i).drops(false));
        }
        assertThat(ports.getFirst().drops(true)).containsKey(DropReason.SPOOFED_SOURCE);
        assertThat(out).as("none has vanished without being counted").isGreaterThan(in / 2);
        network.close();
    }

    private static long sum(Map<DropReason, Long> drops) {
        return drops.values().stream().mapToLong(Long::longValue).sum();
    }

    private Sent frame(int from) {
        int length = switch (random.nextInt(8)) {
            case 0 -> random.nextInt(20);
            case 1 -> random.nextInt(1500, 1530);
            case 2 -> random.nextInt(9000, 9020);
            default -> random.nextInt(14, 400);
        };
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        if (length >= 14) {
            put(bytes, 0, random.nextInt(10) == 0 ? 0xffff_ffff_ffffL : address());
            put(bytes, 6, random.nextInt(4) == 0 ? address() : FIRST + from);
            int type = TYPES[random.nextInt(TYPES.length)];
            bytes[12] = (byte) (type >>> 8);
            bytes[13] = (byte) type;
        }
        int tag = TAGS[random.nextInt(TAGS.length)];
        return new Sent(bytes, tag, random.nextInt(10) == 0 ? 1448 : 0);
    }

    private long address() {
        return switch (random.nextInt(5)) {
            case 0 -> random.nextLong() >>> 16;
            case 1 -> 0x0180_c200_0000L + random.nextInt(32);
            default -> FIRST + random.nextInt(stations.size());
        };
    }

    private static void put(byte[] bytes, int at, long address) {
        for (int i = 0; i < 6; i++) {
            bytes[at + i] = (byte) (address >>> 40 - 8 * i);
        }
    }

    private static long take(byte[] bytes, int at) {
        long address = 0;
        for (int i = 0; i < 6; i++) {
            address = address << 8 | bytes[at + i] & 0xff;
        }
        return address;
    }

    private void check(String when, int from, int to, List<Sent> frames, RawStation.Frame got) {
        assertThat(to).as(when).isNotEqualTo(from);
        Sent sent = frames.stream()
                .filter(one -> one.segmentSize == got.segmentSize())
                .filter(one -> Arrays.equals(one.bytes, got.bytes()) || Arrays.equals(untagged(one), got.bytes()))
                .findFirst()
                .orElseThrow(() -> new AssertionError(when + ": a frame that nobody sent"));
        int tag = tag(sent);
        int vid = tag == FrameBatch.NO_VLAN || (tag & 0xfff) == 0 ? untagged(from) : tag & 0xfff;
        assertThat(has(from, vid) && has(to, vid)).as("%s: VLAN %d", when, vid).isTrue();
        assertThat(got.vlan() == FrameBatch.NO_VLAN ? untagged(to) : got.vlan() & 0xfff)
                .as(when)
                .isEqualTo(vid);
        assertThat(got.bytes().length).as(when).isGreaterThanOrEqualTo(14);
        if (got.segmentSize() == 0) {
            assertThat(got.bytes().length - 14).as(when).isLessThanOrEqualTo(to == 2 ? 9000 : MTU);
        }
        long source = take(got.bytes(), 6);
        long target = take(got.bytes(), 0);
        assertThat(source == FIRST + from || (from == 4 && (source >>> 40 & 1) == 0 && !known(source, vid)))
                .as("%s: from %x", when, source)
                .isTrue();
        assertThat(target & ~0xfL).as(when).isNotEqualTo(0x0180_c200_0000L);
        if (known(target, vid)) {
            assertThat(target).as("%s: it was for another one", when).isEqualTo(FIRST + to);
        }
    }

    /** Whether an address is that of a port in a VLAN. */
    private boolean known(long address, int vid) {
        return address >= FIRST && address < FIRST + stations.size() && has((int) (address - FIRST), vid);
    }

    private static int untagged(int port) {
        return port == 3 ? 0 : port == 2 ? 6 : 5;
    }

    private static boolean has(int port, int vid) {
        return port == 3 ? vid == 0 || vid == 5 || vid == 6 : vid == untagged(port);
    }

    private static int tag(Sent sent) {
        byte[] bytes = sent.bytes;
        boolean inside = sent.tag == FrameBatch.NO_VLAN && bytes[12] == (byte) 0x81 && bytes[13] == 0;
        return inside ? (bytes[14] & 0xff) << 8 | bytes[15] & 0xff : sent.tag;
    }

    private static byte[] untagged(Sent sent) {
        if (sent.bytes.length < 18 || sent.tag != FrameBatch.NO_VLAN || sent.bytes[12] != (byte) 0x81) {
            return sent.bytes;
        }
        byte[] without = new byte[sent.bytes.length - 4];
        System.arraycopy(sent.bytes, 0, without, 0, 12);
        System.arraycopy(sent.bytes, 16, without, 12, without.length - 12);
        return without;
    }
}
