package org.torte.network.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameOffloads;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.RawStation;
import org.torte.network.gateway.Subnet;

/**
 * Frames whose offloads do not fit what is in them, as a worker that has been taken over may hand in: what the host's kernel is
 * told of them stays within the frame, and libslirp goes on.
 */
class HostileOffloadsTest {
    private static final long SEED = Long.getLong("torte.seed", System.nanoTime());
    private static final int FRAMES = Integer.getInteger("torte.rounds", 1) * 100_000;
    private static final int[] SIZES = {0, 0, 0, 1, 7, 47, 48, 536, 1448, 9000, 0xffff};
    private static final int[] LENGTHS = {14, 20, 34, 54, 60, 74, 90, 200, 600, 1514, 9014, 60_000};

    @TempDir
    private Path folder;

    private final Random random = new Random(SEED);

    /** Appends a frame that is nearly right: bytes, flags and sizes are at random, headers mostly such that they are looked at. */
    private void append(FrameBatch batch, MacAddress to, MacAddress from, int source, int target) {
        int length = LENGTHS[random.nextInt(LENGTHS.length)] + random.nextInt(6);
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        ByteBuffer frame = ByteBuffer.wrap(bytes);
        frame.put(to.bytes()).put(from.bytes());
        int at = 14;
        if (length >= 40) {
            boolean six = random.nextInt(4) == 0 && length >= 60;
            if (random.nextInt(8) == 0) {
                frame.putShort(12, (short) 0x8100);
                at += 4;
            }
            frame.putShort(at - 2, (short) (six ? 0x86dd : 0x0800));
            int total = random.nextInt(8) == 0 ? random.nextInt(0x10000) : length - at;
            int protocol = new int[] {6, 6, 6, 17, 17, 1, 44, 0}[random.nextInt(8)];
            if (six) {
                frame.put(at, (byte) 0x60)
                        .putShort(at + 4, (short) (total - 40))
                        .put(at + 6, (byte) protocol);
            } else {
                frame.put(at, (byte) (random.nextInt(8) == 0 ? 0x40 | random.nextInt(16) : 0x45))
                        .putShort(at + 2, (short) total)
                        .putShort(at + 6, (short) (random.nextInt(4) == 0 ? random.nextInt(0x4000) : 0))
                        .put(at + 8, (byte) 64)
                        .put(at + 9, (byte) protocol)
                        .putInt(at + 12, source)
                        .putInt(at + 16, target);
                if (protocol == 6 && length >= at + 40) {
                    frame.putShort(at + 22, (short) (80 + random.nextInt(3)));
                    frame.put(at + 32, (byte) (random.nextInt(4) == 0 ? random.nextInt(256) : 0x50));
                }
            }
        }
        int offset = batch.append(length);
        MemorySegment.copy(bytes, 0, batch.bytes(), JAVA_BYTE, offset, length);
        int vlan = random.nextInt(4) == 0 ? random.nextInt(0x10000) : FrameBatch.NO_VLAN;
        batch.describe(batch.size() - 1, random.nextInt(16), SIZES[random.nextInt(SIZES.length)], vlan);
    }

    @Test
    void whatTheKernelIsToldOfAFrameStaysWithinIt() {
        System.out.println("torte.seed=" + SEED);
        VirtioHeader header = new VirtioHeader();
        FrameBatch batch = new FrameBatch(1, FrameBatch.MAX_LENGTH);
        MacAddress to = new MacAddress(0x02_0000_0000_01L);
        int large = 0;
        for (int i = 0; i < FRAMES; i++) {
            batch.clear();
            append(batch, to, to, random.nextInt(), random.nextInt());
            int count = header.describe(batch, 0);
            int tag = batch.vlan(0) == FrameBatch.NO_VLAN ? 0 : 4;
            long head = header.pieces().get(JAVA_LONG, 8);
            long rest = count == 1 ? 0 : header.pieces().get(JAVA_LONG, 24);
            String when = "seed " + SEED + ", frame " + i;
            assertThat(head + rest - VirtioHeader.SIZE).as(when).isEqualTo(batch.length(0) + tag);
            MemorySegment told =
                    MemorySegment.ofAddress(header.pieces().get(JAVA_LONG, 0)).reinterpret(VirtioHeader.SIZE);
            int begins = told.get(JAVA_SHORT_UNALIGNED, 6) & 0xffff;
            int stored = begins + (told.get(JAVA_SHORT_UNALIGNED, 8) & 0xffff);
            if ((told.get(JAVA_BYTE, 0) & 1) != 0) {
                assertThat(stored + 2).as(when).isLessThanOrEqualTo(batch.length(0) + tag);
            }
            if (told.get(JAVA_BYTE, 1) != 0) {
                large++;
                assertThat(told.get(JAVA_BYTE, 0) & 1).as(when).isOne();
                assertThat(told.get(JAVA_SHORT_UNALIGNED, 2) & 0xffff)
                        .as(when)
                        .isBetween(begins, batch.length(0) + tag);
                assertThat(told.get(JAVA_SHORT_UNALIGNED, 4) & 0xffff)
                        .as(when)
                        .isGreaterThanOrEqualTo(FrameOffloads.MIN_SEGMENT);
            }
        }
        assertThat(large).as("large sends among them").isGreaterThan(FRAMES / 100);
    }

    /** An error that this finds ends the JVM. */
    @Test
    @Tag("long")
    void libslirpGoesOnWhateverItIsGiven() {
        System.out.println("torte.seed=" + SEED);
        try {
            Slirp.require();
        } catch (NetworkException e) {
            assumeTrue(false, e.getMessage());
        }
        try (Namespaces spaces = new Namespaces("busybox", "ip")) {
            String host = spaces.add("h"), server = spaces.add("s");
            spaces.run(
                    "ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server);
            spaces.run("ip", "-n", host, "addr", "add", "198.51.100.1/24", "dev", "eth0");
            spaces.run("ip", "-n", server, "addr", "add", "198.51.100.2/24", "dev", "eth0");
            spaces.run("ip", "-n", host, "link", "set", "eth0", "up");
            spaces.run("ip", "-n", server, "link", "set", "eth0", "up");
            spaces.start(server, "busybox", "httpd", "-f", "-p", "80", "-h", folder.toString());
            spaces.within(host, this::giveNoise);
        }
    }

    private void giveNoise() {
        RawStation guest = new RawStation(0x00155d010203L);
        try (TimerThread timers = new TimerThread(Clock.system(), "test-timers");
                NatNetwork nat = NatNetwork.open(folder.resolve("nat"), Nat.Kind.USER, timers, RandomSource.secure())) {
            timers.resume();
            NetworkPort port = nat.addMachine("web1", guest.address(), java.util.List.of());
            guest.plugInto(port);
            Subnet subnet = nat.gateway().subnet();
            int own = nat.gateway().leaseOf("web1").orElseThrow().address();
            int server = 0xc633_6402;
            FrameBatch batch = new FrameBatch(16, 1 << 20);
            for (int i = 0; i < FRAMES / 10; i++) {
                batch.clear();
                for (int k = random.nextInt(8); k >= 0; k--) {
                    append(batch, subnet.gatewayMac(), guest.address(), own, server);
                }
                port.send(batch, 0);
                synchronized (guest) {
                    guest.got.clear();
                }
            }
            assertThat(nat.nat().failed()).as("seed " + SEED).isFalse();
            PortForward forward = PortForward.parse("2222:22");
            nat.addForward("web1", forward); // answered by the thread of the stack
            nat.removeForward(forward);
        }
    }
}
