package org.torte.network.cable;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkAdapter;

@Timeout(120)
class CableTest {
    @TempDir
    Path folder;

    /** Keeps what comes, as much as it may. */
    private static final class Station implements NetworkAdapter {
        final List<byte[]> received = new ArrayList<>();
        final List<Integer> tags = new ArrayList<>();
        int room = Integer.MAX_VALUE;
        int roomNews;

        @Override
        public MacAddress address() {
            return new MacAddress(2);
        }

        @Override
        public synchronized int receive(FrameBatch frames, int first) {
            int taken = Math.min(room, frames.size() - first);
            for (int i = first; i < first + taken; i++) {
                received.add(frames.view(i).toArray(JAVA_BYTE));
                tags.add(frames.vlan(i));
            }
            room -= taken;
            notifyAll();
            return taken;
        }

        @Override
        public synchronized void linkChanged() {
            notifyAll();
        }

        @Override
        public synchronized void roomAvailable() {
            roomNews++;
            notifyAll();
        }

        synchronized void await(BooleanSupplier condition) throws InterruptedException {
            while (!condition.getAsBoolean()) {
                wait();
            }
        }
    }

    private static byte[] frame(Random random, int length) {
        byte[] frame = new byte[length];
        random.nextBytes(frame);
        return frame;
    }

    private static void append(FrameBatch batch, byte[] frame, int segment, int vlan) {
        int offset = batch.append(frame.length);
        MemorySegment.copy(frame, 0, batch.bytes(), JAVA_BYTE, offset, frame.length);
        batch.describe(batch.size() - 1, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, segment, vlan);
    }

    @Test
    void framesOfAllSizesArriveInOrderAlsoAtASlowReceiver() throws InterruptedException {
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        Station left = new Station();
        Station right = new Station();
        right.room = 10;
        Path path = folder.resolve("cable");
        try (CableEnd first = CableEnd.open(path, 9000);
                CableEnd second = CableEnd.open(path, 1500)) {
            first.plug(left);
            second.plug(right);
            left.await(() -> first.link().up());
            right.await(() -> second.link().up());
            assertThat(first.link().mtu()).isEqualTo(1500);
            List<byte[]> sent = new ArrayList<>();
            FrameBatch batch = new FrameBatch(64, 1 << 20);
            boolean waited = false;
            for (int round = 0; round < 100; round++) {
                batch.clear();
                for (int i = 0; i < 10; i++) {
                    boolean large = random.nextInt(4) == 0;
                    byte[] frame = frame(random, random.nextInt(14, large ? 65_537 : 1515));
                    append(batch, frame, large ? 1448 : 0, random.nextInt(-1, 65_536));
                    sent.add(frame);
                }
                for (int taken = 0; taken < batch.size(); ) {
                    int news = left.roomNews;
                    int more = first.send(batch, taken);
                    taken += more;
                    if (taken < batch.size()) {
                        waited = true;
                        synchronized (right) {
                            right.room = 1000;
                        }
                        second.roomAvailable();
                        left.await(() -> left.roomNews > news);
                    }
                }
            }
            assertThat(waited)
                    .as("a receiver that takes nothing stops the sender")
                    .isTrue();
            right.await(() -> right.received.size() == sent.size());
            for (int i = 0; i < sent.size(); i++) {
                assertThat(right.received.get(i)).as("frame %d", i).isEqualTo(sent.get(i));
            }
            // The last ones are counted when the call that brought them has come back, for which this waits.
            second.unplug();
            assertThat(first.statistics().framesSent()).isEqualTo(sent.size());
            assertThat(second.statistics().framesReceived()).isEqualTo(sent.size());
            batch.clear();
            append(batch, new byte[1600], 0, -1);
            append(batch, new byte[13], 0, -1);
            assertThat(first.send(batch, 0)).isEqualTo(2);
            assertThat(first.statistics().sentDropped()).isEqualTo(2);
        }
    }

    @Test
    void theLinkFollowsTheOtherEndWhicheverGoes() throws InterruptedException {
        Path path = folder.resolve("cable");
        Station left = new Station();
        Station right = new Station();
        CableEnd first = CableEnd.open(path, 1500);
        first.plug(left);
        assertThat(first.link().up()).isFalse();
        CableEnd second = CableEnd.open(path, 1500);
        second.plug(right);
        left.await(() -> first.link().up());
        right.await(() -> second.link().up());
        first.close();
        right.await(() -> !second.link().up());
        Station again = new Station();
        try (CableEnd third = CableEnd.open(path, 1500)) {
            third.plug(again);
            again.await(() -> third.link().up());
            right.await(() -> second.link().up());
            second.close();
            again.await(() -> !third.link().up());
        }
        assertThat(path).doesNotExist();
    }

    @Test
    void aSocketThatIsLeftOverIsReplaced() throws IOException, InterruptedException {
        Path path = folder.resolve("cable");
        try (var left = java.nio.channels.ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            left.bind(UnixDomainSocketAddress.of(path));
        }
        assertThat(path).exists();
        Station station = new Station();
        try (CableEnd first = CableEnd.open(path, 1500);
                CableEnd second = CableEnd.open(path, 1500)) {
            second.plug(station);
            station.await(() -> second.link().up());
            assertThat(first.link().mtu()).isEqualTo(1500);
        }
    }

    @Test
    void anEndThatTalksNonsenseIsLeft() throws IOException, InterruptedException {
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        Path path = folder.resolve("cable");
        Station station = new Station();
        try (CableEnd end = CableEnd.open(path, 1500)) {
            end.plug(station);
            for (int i = 0; i < 40; i++) {
                try (SocketChannel other = SocketChannel.open(UnixDomainSocketAddress.of(path))) {
                    ByteBuffer out = ByteBuffer.allocate(400);
                    boolean greets = i % 2 == 0;
                    if (greets) {
                        CableFormat.putGreeting(out, 1500);
                        out.putInt(60).putShort((short) 0).putShort((short) 0).putInt(-1);
                        out.position(out.position() + 60);
                        out.putInt(random.nextBoolean() ? random.nextInt(14) : -random.nextInt(1, 1 << 30));
                    }
                    while (out.hasRemaining()) {
                        out.put((byte) random.nextInt(1, 256));
                    }
                    out.flip();
                    other.write(out);
                    ByteBuffer in = ByteBuffer.allocate(1000);
                    while (other.read(in) >= 0) {
                        assertThat(in.position())
                                .as("seed %d, round %d", seed, i)
                                .isLessThanOrEqualTo(16);
                    }
                } catch (IOException e) {
                    assertThat(e).hasMessageMatching("(?i).*(reset|broken pipe).*");
                }
            }
            Station right = new Station();
            try (CableEnd second = CableEnd.open(path, 1500)) {
                second.plug(right);
                right.await(() -> second.link().up());
            }
        }
        assertThat(station.received).as("whole frames before the nonsense").hasSizeBetween(1, 20);
    }

    @Test
    void pathsThatCannotBeUsedAreRefusedWithTheReason() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        assertThatThrownBy(() -> CableEnd.open(file, 1500))
                .isInstanceOf(CableException.class)
                .hasMessageContaining("there is a file");
        assertThatThrownBy(() -> CableEnd.open(folder.resolve("none/cable"), 1500))
                .isInstanceOf(CableException.class)
                .hasMessageContaining("no folder");
        assertThatThrownBy(() -> CableEnd.open(folder.resolve("x".repeat(120)), 1500))
                .isInstanceOf(CableException.class)
                .hasMessageContaining("give a shorter one");
    }
}
