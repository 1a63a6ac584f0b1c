package org.torte.machine.vmbus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.machine.hyperv.HypercallStatus;
import org.torte.machine.vmbus.TestGuest.OpenChannel;
import org.torte.machine.vmbus.TestGuest.Received;

@Timeout(120)
class VmbusTest {
    private static final int BUFFER = 0x777;

    private final TestGuest guest = new TestGuest();
    private final EchoDevice echo = new EchoDevice("echo");

    @AfterEach
    void close() {
        guest.close();
    }

    private OpenChannel openEcho(int ringPages) {
        guest.bus.attach(echo);
        guest.connect(TestGuest.NEWEST);
        return guest.open(guest.offers().getFirst(), ringPages);
    }

    private static Received received(OpenChannel channel) {
        return Objects.requireNonNull(channel.receive());
    }

    @ParameterizedTest
    @ValueSource(ints = {0x20004, 0x30000, 0x40000, 0x40001, 0x50000, 0x50001, 0x50002, 0x50003})
    void aGuestOfEveryVersionConnectsAndUsesAChannel(int version) {
        guest.bus.attach(echo);
        assertThat(guest.connect(version)).isTrue();
        OpenChannel channel = guest.open(guest.offers().getFirst(), 3);
        assertThat(channel.send(9, new byte[] {1, 2, 3})).isTrue();
        Received answer = received(channel);
        assertThat(answer.type()).isEqualTo(Packet.COMPLETION);
        assertThat(answer.transaction()).isEqualTo(9);
        assertThat(answer.data().getLong()).isEqualTo(0x030201);
        assertThat(guest.interrupts).containsExactly(channel.id);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 0xd, 0x10001, 0x20003, 0x50004, 0x60000, -1})
    void otherVersionsAreRefused(int version) {
        assertThat(guest.connect(version)).isFalse();
        assertThat(guest.post(3)).isEqualTo(HypercallStatus.SUCCESS);
        assertThat(guest.messages).isEmpty();
        assertThat(guest.connect(TestGuest.NEWEST)).isTrue();
    }

    @Test
    void anOfferSaysWhatTheDeviceIs() {
        guest.bus.attach(echo);
        guest.connect(TestGuest.NEWEST);
        guest.post(3);
        ByteBuffer offer = guest.messages.element();
        assertThat(offer.remaining()).isEqualTo(196);
        assertThat(offer.getLong(8)).isEqualTo(0x6677445500112233L);
        assertThat(offer.order(ByteOrder.BIG_ENDIAN).getLong(16)).isEqualTo(0x8899aabbccddeeffL);
        offer.order(ByteOrder.LITTLE_ENDIAN);
        assertThat(offer.getShort(56)).as("flags").isEqualTo((short) 0x11);
        assertThat(offer.getInt(60)).as("message pipe").isEqualTo(4);
        assertThat(offer.getInt(184)).isEqualTo(1);
        assertThat(offer.getShort(190)).as("an interrupt of its own").isEqualTo((short) 1);
        assertThat(offer.getInt(192)).isEqualTo(0x2001);
    }

    @Test
    void packetsOfAllSizesGoAroundTheRingInOrder() {
        OpenChannel channel = openEcho(3);
        long seed = 20261123;
        Random random = new Random(seed);
        for (int i = 0; i < 3000; i++) {
            byte[] data = new byte[8 * random.nextInt(1, 400)];
            random.nextBytes(data);
            assertThat(channel.send(i, data)).isTrue();
            Received answer = received(channel);
            assertThat(answer.transaction()).as("seed %d", seed).isEqualTo(i);
            assertThat(answer.data().array()).isEqualTo(data);
        }
        assertThat(guest.failures).isEmpty();
    }

    @Test
    void theGuestIsInterruptedOnlyForARingThatWasEmpty() {
        OpenChannel channel = openEcho(4);
        for (int i = 0; i < 5; i++) {
            channel.send(i, new byte[8]);
        }
        assertThat(guest.interrupts).hasSize(1);
        while (channel.receive() != null) {}
        guest.memory.putInt(channel.control(false, 8), 1);
        channel.send(6, new byte[8]);
        assertThat(guest.interrupts).as("masked").hasSize(1);
    }

    @Test
    void aFullRingIsWaitedForAndNothingIsLost() {
        OpenChannel channel = openEcho(2);
        int sent = 0;
        while (channel.send(sent, new byte[512])) {
            sent++;
        }
        assertThat(guest.memory.getInt(channel.control(false, 12)))
                .as("bytes waited for")
                .isPositive();
        int received = 0;
        while (channel.receive() != null) {
            received++;
        }
        assertThat(received).isEqualTo(sent);
        assertThat(guest.memory.getInt(channel.control(false, 12))).isZero();
    }

    @Test
    void aRingThatMakesNoSenseIsLeftAloneUntilItIsOpenedAgain() {
        OpenChannel channel = openEcho(3);
        int[] indices = {8192, -8, 4, Integer.MIN_VALUE, Integer.MAX_VALUE};
        for (int index : indices) {
            guest.memory.putInt(channel.control(true, 0), index);
            channel.signal();
            guest.memory.putInt(channel.control(true, 0), 0);
            assertThat(channel.receive()).isNull();
            guest.post(7, channel.id);
            guest.post(11, channel.id, channel.handle);
            guest.expect(12);
            channel = guest.open(channel.id, 3);
        }
        byte[][] packets = {
            channel.packet(6, 0, 1, new byte[0], new byte[8]),
            channel.packet(6, 0, 1, new byte[0], new byte[8]),
            channel.packet(6, 0, 1, new byte[0], new byte[8])
        };
        packets[0][2] = 1; // data begin inside the header
        packets[1][4] = 100; // longer than what is there
        packets[2][2] = 4; // data begin after the end
        for (byte[] packet : packets) {
            channel.write(packet);
            channel.signal();
            assertThat(channel.receive()).isNull();
            guest.post(7, channel.id);
            channel = guest.open(channel.id, 3);
        }
        channel.send(1, new byte[8]);
        assertThat(channel.receive()).isNotNull();
        assertThat(guest.failures).isEmpty();
    }

    @Test
    void ringsMustLieInRamAndBeDivisible() {
        guest.bus.attach(echo);
        guest.connect(TestGuest.NEWEST);
        int id = guest.offers().getFirst();
        assertThat(guest.createGpadl(id, BUFFER, 4096, 0, TestGuest.RAM / 4096)).isFalse();
        assertThat(guest.createGpadl(id, BUFFER, 4096, 0, -1)).isFalse();
        assertThat(guest.createGpadl(id, BUFFER, 8192, 0, 5))
                .as("too few pages")
                .isFalse();
        assertThat(guest.createGpadl(id, BUFFER, 0, 0, 5)).isFalse();
        assertThat(guest.createGpadl(id, BUFFER, 100, 4096, 5)).isFalse();
        assertThat(guest.createGpadl(99, BUFFER, 4096, 0, 5))
                .as("no such channel")
                .isFalse();
        assertThat(guest.createGpadl(id, BUFFER, 4 * 4096, 0, 5, 6, 7, 8)).isTrue();
        assertThat(guest.createGpadl(id, BUFFER, 4096, 0, 5)).as("twice").isFalse();
        for (int downstream : new int[] {0, 1, 3, 4, -1, 5}) {
            assertThat(guest.openRaw(id, BUFFER, 0, downstream)).isFalse();
        }
        assertThat(guest.openRaw(id, BUFFER, 4, 2)).as("no such processor").isFalse();
        assertThat(guest.openRaw(id, BUFFER + 1, 0, 2)).isFalse();
        assertThat(guest.openRaw(id, BUFFER, 0, 2)).isTrue();
        assertThat(guest.openRaw(id, BUFFER, 0, 2)).as("twice").isFalse();
    }

    @Test
    void aRingMayHaveTheSamePageTwice() {
        guest.bus.attach(echo);
        guest.connect(TestGuest.NEWEST);
        int id = guest.offers().getFirst();
        assertThat(guest.createGpadl(id, BUFFER, 4 * 4096, 0, 5, 5, 5, 5)).isTrue();
        assertThat(guest.openRaw(id, BUFFER, 0, 2)).isTrue();
        for (int i = 0; i < 1000; i++) {
            guest.memory.putInt(5 * 4096, 8 * i % 4096);
            assertThat(guest.bus.signal(0x2000 | id, 0)).isEqualTo(HypercallStatus.SUCCESS);
        }
        assertThat(guest.failures).isEmpty();
    }

    @Test
    void buffersTakenBackAreForgotten() {
        OpenChannel channel = openEcho(3);
        assertThat(guest.createGpadl(channel.id, BUFFER, 300 * 4096, 0, guest.pages(300, false)))
                .isTrue();
        guest.post(11, channel.id, BUFFER);
        assertThat(guest.expect(12).getInt()).isEqualTo(BUFFER);
        assertThat(guest.createGpadl(channel.id, BUFFER, 4096, 0, 9)).isTrue();
        guest.post(11, channel.id, channel.handle);
        guest.expect(12);
        assertThat(echo.events).as("without its rings a channel is closed").containsExactly("open", "close");
    }

    @Test
    void devicesComeAndGoWhileTheGuestRuns() {
        guest.connect(TestGuest.NEWEST);
        assertThat(guest.offers()).isEmpty();
        guest.bus.attach(echo);
        int id = guest.expect(1).getInt(184);
        guest.open(id, 3);
        assertThat(id).isEqualTo(1);
        assertThat(guest.doorbells()).containsExactly(0x2001);
        guest.bus.detach(echo);
        assertThat(guest.doorbells()).isEmpty();
        assertThat(guest.expect(2).getInt()).isEqualTo(id);
        assertThat(echo.events).containsExactly("open", "close");
        assertThat(guest.bus.signal(0x2000 | id, 0)).isEqualTo(HypercallStatus.SUCCESS);
        guest.bus.attach(new EchoDevice("other"));
        assertThat(guest.expect(1).getInt(184)).as("the number is not free yet").isNotEqualTo(id);
        guest.post(13, id);
        guest.bus.attach(new EchoDevice("third"));
        assertThat(guest.expect(1).getInt(184)).isEqualTo(id);
        assertThatThrownBy(() -> guest.bus.attach(new EchoDevice("third")))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aGuestThatUnloadsOrStartsAnewFindsEverythingAgain() {
        OpenChannel channel = openEcho(3);
        guest.post(16);
        guest.expect(17);
        assertThat(echo.events).containsExactly("open", "close");
        guest.connect(0x40000);
        assertThat(guest.offers()).containsExactly(channel.id);
        guest.open(channel.id, 3);
        guest.connect(TestGuest.NEWEST);
        assertThat(guest.offers()).containsExactly(channel.id);
        guest.open(channel.id, 3).send(1, new byte[8]);
        assertThat(guest.interrupts).hasSize(1);
        guest.bus.reset();
        assertThat(echo.events).endsWith("close", "reset");
    }

    @Test
    void theProcessorThatIsInterruptedCanBeChanged() {
        OpenChannel channel = openEcho(3);
        guest.post(22, channel.id, 3);
        ByteBuffer response = guest.expect(24);
        assertThat(response.getInt()).isEqualTo(channel.id);
        assertThat(response.getInt()).isZero();
        guest.post(22, channel.id, 4);
        assertThat(guest.expect(24).getInt(12)).isNotZero();
    }

    @Test
    void withoutRoomForTheAnswerMessagesAreToBeRepeated() {
        guest.bus.attach(echo);
        guest.connect(TestGuest.NEWEST);
        guest.room = 2;
        assertThat(guest.post(3)).isEqualTo(HypercallStatus.INSUFFICIENT_BUFFERS);
        assertThat(guest.bus.post(2, 1, new byte[8])).isEqualTo(HypercallStatus.INVALID_CONNECTION_ID);
        assertThat(guest.bus.post(4, 2, new byte[8])).isEqualTo(HypercallStatus.INVALID_PARAMETER);
        assertThat(guest.bus.post(4, 1, new byte[7])).isEqualTo(HypercallStatus.INVALID_PARAMETER);
        assertThat(guest.bus.signal(0x3001, 0)).isEqualTo(HypercallStatus.INVALID_CONNECTION_ID);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void noiseInMessagesAndRingsHarmsNobody(long seed) {
        Random random = new Random(seed);
        guest.bus.attach(echo);
        guest.bus.attach(new EchoDevice("other"));
        guest.connect(TestGuest.NEWEST);
        guest.offers();
        int[] types = {3, 5, 5, 5, 7, 8, 8, 8, 8, 9, 11, 13, 22, 22, 0, 21, 99};
        for (int i = 0; i < 20_000; i++) {
            int type = random.nextInt(500) == 0 ? 16 : types[random.nextInt(types.length)];
            ByteBuffer message = ByteBuffer.allocate(8 + 4 * random.nextInt(58)).order(ByteOrder.LITTLE_ENDIAN);
            message.putInt(type).putInt(0);
            while (message.hasRemaining()) {
                message.putInt(random.nextInt(4) == 0 ? random.nextInt() : random.nextInt(8));
            }
            if (type == 8 && message.capacity() >= 36) {
                message.putInt(8, 1 + random.nextInt(2)).putInt(12, random.nextInt(20));
                message.putShort(16, (short) (message.capacity() - 20 + 8 * random.nextInt(20)));
                message.putShort(18, (short) (random.nextInt(20) == 0 ? 2 : 1));
                message.putInt(20, 4096 * random.nextInt(1, 10)).putInt(24, 0);
                for (int at = 28; at + 8 <= message.capacity(); at += 8) {
                    message.putLong(at, random.nextInt(40) == 0 ? random.nextLong() : random.nextInt(64));
                }
            }
            guest.bus.post(4, 1, message.array());
            guest.messages.clear();
            for (int j = 0; j < 20; j++) {
                guest.memory.putInt(4096L * random.nextInt(64) + 4L * random.nextInt(20), random.nextInt(64) * 8);
            }
            guest.bus.signal(0x2000 | random.nextInt(4), 0);
            assertThat(guest.failures).as("seed %d, message %d", seed, i).isEmpty();
        }
        guest.connect(TestGuest.NEWEST);
        OpenChannel channel = guest.open(guest.offers().getFirst(), 4);
        channel.send(1, new byte[8]);
        assertThat(channel.receive()).isNotNull();
    }

    @Test
    void savedInTheMiddleTheChannelGoesOn() throws IOException {
        OpenChannel channel = openEcho(3);
        channel.send(1, new byte[64]);
        guest.bus.stop();
        channel.write(channel.packet(6, 1, 2, new byte[0], new byte[] {42}));
        byte[] saved = save(guest.bus);
        guest.bus.reset();

        Vmbus other = new Vmbus(guest.bus.host(), guest);
        EchoDevice again = new EchoDevice("echo");
        other.attach(again);
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        reader.readRest(guest.memory);
        other.restore(reader.section("bus", 1));
        assertThat(save(other)).isEqualTo(saved);
        assertThat(again.events).containsExactly("open");
        other.start();
        assertThat(channel.receive()).extracting(Received::transaction).isEqualTo(1L);
        assertThat(channel.receive()).extracting(Received::transaction).isEqualTo(2L);
    }

    private static byte[] save(Vmbus bus) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("bus", 1, bus::save);
        writer.finish();
        return out.toByteArray();
    }

    @Test
    void betweenThreadsNoSignalIsLost() {
        int count = 30_000;
        Random random = new Random(20261123);
        try (ExecutorService threads = Executors.newCachedThreadPool();
                TestGuest busy = new TestGuest(threads)) {
            busy.bus.attach(echo);
            busy.connect(TestGuest.NEWEST);
            OpenChannel channel = busy.open(busy.offers().getFirst(), 2);
            int sent = 0;
            int received = 0;
            while (received < count) {
                int burst = random.nextInt(6);
                for (int i = 0; i < burst && sent < count; i++) {
                    if (channel.send(sent, new byte[8 * random.nextInt(1, 30)])) {
                        sent++;
                    }
                }
                int wanted = random.nextInt(3) == 0 ? sent : received;
                do {
                    Received answer = channel.receive();
                    if (answer != null) {
                        assertThat(answer.transaction()).isEqualTo(received);
                        received++;
                    } else {
                        Thread.onSpinWait();
                    }
                } while (received < wanted);
            }
            busy.bus.stop();
            assertThat(busy.failures).isEmpty();
            assertThat(channel.signals).isPositive().isLessThanOrEqualTo(count);
        }
    }

    @Test
    void aFaultOfADeviceIsReportedAndEndsItsChannel() {
        IllegalStateException fault = new IllegalStateException("expected by the test");
        VmbusDevice broken = new FaultyDevice(fault);
        guest.bus.attach(broken);
        guest.connect(TestGuest.NEWEST);
        guest.open(guest.offers().getFirst(), 3);
        assertThat(guest.failures).isEqualTo(List.of(fault));
        guest.bus.stop();
        guest.bus.detach(broken);
    }
}
