package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Sizes and places of fields, as the guests' drivers declare them. */
class WireFormatTest {
    private static ByteBuffer view(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static byte[] range(ByteBuffer buffer, int from, int to) {
        byte[] bytes = new byte[to - from];
        buffer.get(from, bytes);
        return bytes;
    }

    private static byte[] utf16(String text) {
        return text.getBytes(StandardCharsets.UTF_16LE);
    }

    @Test
    void aMessageHasAPipeHeaderAndAHeaderOfTwentyBytes() {
        byte[] bytes = ServiceMessage.request(
                        new ServiceVersion(3, 1), 5, new ServiceVersion(7, 9), 0xfe, new byte[] {1, 2, 3})
                .bytes();
        ByteBuffer out = view(bytes);
        assertThat(bytes).hasSize(8 + 20 + 3);
        assertThat(out.getInt(0)).isEqualTo(1);
        assertThat(out.getInt(4)).isEqualTo(23);
        assertThat(out.getShort(8)).isEqualTo((short) 3);
        assertThat(out.getShort(10)).isEqualTo((short) 1);
        assertThat(out.getShort(12)).isEqualTo((short) 5);
        assertThat(out.getShort(14)).isEqualTo((short) 7);
        assertThat(out.getShort(16)).isEqualTo((short) 9);
        assertThat(out.getShort(18)).isEqualTo((short) 3);
        assertThat(out.getInt(20)).isZero();
        assertThat(out.get(24)).isEqualTo((byte) 0xfe);
        assertThat(out.get(25)).isEqualTo((byte) 3);
        assertThat(out.get(28)).isEqualTo((byte) 1);
        ServiceMessage back = Objects.requireNonNull(ServiceMessage.parse(out));
        assertThat(back.bytes()).isEqualTo(bytes);
        assertThat(back.isAnswer()).isFalse();
    }

    @Test
    void messagesThatAreShorterThanTheySayAreCutOrRefused() {
        byte[] bytes = ServiceMessage.request(new ServiceVersion(3, 0), 1, new ServiceVersion(3, 0), 1, new byte[40])
                .bytes();
        assertThat(ServiceMessage.parse(view(Arrays.copyOf(bytes, 27)))).isNull();
        byte[] longer = bytes.clone();
        view(longer).putInt(4, 61);
        assertThat(ServiceMessage.parse(view(longer))).isNull();
        byte[] body = bytes.clone();
        view(body).putShort(18, (short) -1);
        assertThat(Objects.requireNonNull(ServiceMessage.parse(view(body))).body())
                .hasSize(40);
        byte[] other = bytes.clone();
        view(other).putInt(0, 2);
        assertThat(ServiceMessage.parse(view(other))).isNull();
    }

    @Test
    void versionsAreOfferedBehindTheirCounts() {
        List<ServiceVersion> versions = List.of(new ServiceVersion(5, 0), new ServiceVersion(4, 1));
        ByteBuffer offer = view(Negotiation.offer(versions));
        assertThat(offer.remaining()).isEqualTo(8 + 4 * 4);
        assertThat(offer.getShort(0)).isEqualTo((short) 2);
        assertThat(offer.getShort(2)).isEqualTo((short) 2);
        assertThat(offer.getInt(8)).isEqualTo(3);
        assertThat(offer.getInt(12)).isEqualTo(1);
        assertThat(offer.getInt(16)).isEqualTo(5);
        assertThat(offer.getInt(20)).isEqualTo(1 << 16 | 4);
        ByteBuffer answer = view(new byte[16]).putShort(0, (short) 1).putShort(2, (short) 1);
        answer.putInt(8, 1).putInt(12, 1 << 16 | 4);
        assertThat(Negotiation.parse(answer, versions))
                .isEqualTo(new Negotiation(new ServiceVersion(1, 0), new ServiceVersion(4, 1)));
        assertThat(Negotiation.parse(answer.position(0).putInt(12, 6), versions))
                .isNull();
        assertThat(Negotiation.parse(answer.position(0).putShort(0, (short) 0), versions))
                .isNull();
        assertThat(Negotiation.parse(answer.position(0).limit(15), versions)).isNull();
    }

    @Test
    void shutdownHasReasonTimeFlagsAndAText() {
        ByteBuffer body = view(Shutdown.body(Shutdown.Kind.RESTART, true, "bye"));
        assertThat(body.remaining()).isEqualTo(12 + 2048);
        assertThat(body.getInt(4)).isZero();
        assertThat(body.getInt(8)).isEqualTo(3);
        assertThat(range(body, 12, 20)).isEqualTo(utf16("bye\0"));
        assertThat(view(Shutdown.body(Shutdown.Kind.POWER_OFF, false, "x".repeat(3000)))
                        .getShort(2058))
                .isZero();
    }

    @Test
    void timesAreFileTimes() {
        Instant time = Instant.parse("1970-01-01T00:00:01.0000007Z");
        ByteBuffer body = view(TimeSync.body(new ServiceVersion(4, 0), time, 99, 1));
        assertThat(body.remaining()).isEqualTo(24);
        assertThat(body.getLong(0)).isEqualTo(116_444_736_000_000_000L + 10_000_007);
        assertThat(body.getLong(8)).isEqualTo(99);
        assertThat(body.get(16)).isEqualTo((byte) 1);
        ByteBuffer old = view(TimeSync.body(new ServiceVersion(3, 0), time, 99, 2));
        assertThat(old.remaining()).isEqualTo(25);
        assertThat(old.getLong(8)).isZero();
        assertThat(old.get(24)).isEqualTo((byte) 2);
    }

    @Test
    void keysAndValuesAreInPlacesOfFixedSize() {
        ByteBuffer set = view(KeyValueMessage.set(KeyValueExchange.Pool.EXTERNAL, "key", "välue"));
        assertThat(set.remaining()).isEqualTo(4 + 12 + 512 + 2048);
        assertThat(set.get(0)).isEqualTo((byte) 1);
        assertThat(set.get(1)).isZero();
        assertThat(set.getInt(4)).isEqualTo(1);
        assertThat(set.getInt(8)).isEqualTo(8);
        assertThat(set.getInt(12)).isEqualTo(12);
        assertThat(range(set, 16, 24)).isEqualTo(utf16("key\0"));
        assertThat(range(set, 528, 540)).isEqualTo(utf16("välue\0"));
        ByteBuffer delete = view(KeyValueMessage.delete(KeyValueExchange.Pool.AUTO_EXTERNAL, "k"));
        assertThat(delete.remaining()).isEqualTo(4 + 4 + 512);
        assertThat(delete.get(0)).isEqualTo((byte) 2);
        assertThat(delete.get(1)).isEqualTo((byte) 3);
        assertThat(delete.getInt(4)).isEqualTo(4);
        ByteBuffer enumerate = view(KeyValueMessage.enumerate(KeyValueExchange.Pool.AUTO, 7));
        assertThat(enumerate.remaining()).isEqualTo(4 + 4 + 12 + 512 + 2048);
        assertThat(enumerate.get(0)).isEqualTo((byte) 3);
        assertThat(enumerate.get(1)).isEqualTo((byte) 2);
        assertThat(enumerate.getInt(4)).isEqualTo(7);
    }

    @Test
    void enumeratedPairsAreTextsOrNumbers() {
        ByteBuffer answer = view(KeyValueMessage.enumerate(KeyValueExchange.Pool.AUTO, 0));
        answer.putInt(8, 1).putInt(12, 6).putInt(16, 4).put(20, utf16("ab\0")).put(532, utf16("c\0"));
        assertThat(KeyValueMessage.parseEnumerated(answer)).isEqualTo(new KeyValueMessage.Pair("ab", "c"));
        answer.putInt(8, 4).putInt(532, -1);
        assertThat(KeyValueMessage.parseEnumerated(answer)).isEqualTo(new KeyValueMessage.Pair("ab", "4294967295"));
        answer.putInt(8, 8).putLong(532, -1);
        assertThat(KeyValueMessage.parseEnumerated(answer))
                .isEqualTo(new KeyValueMessage.Pair("ab", "18446744073709551615"));
        for (int[] wrong : new int[][] {{12, 513}, {12, -1}, {16, 2049}, {16, -1}, {8, 3}}) {
            ByteBuffer copy = view(range(answer, 0, answer.capacity())).putInt(wrong[0], wrong[1]);
            assertThat(KeyValueMessage.parseEnumerated(copy)).isNull();
        }
        assertThat(KeyValueMessage.parseEnumerated(answer.limit(2579))).isNull();
    }

    @Test
    void memoryMessagesHaveTheirLengthInTheHeader() {
        ByteBuffer answer = view(MemoryMessage.answer(MemoryMessage.VERSION_ANSWER, 5, true));
        assertThat(answer.remaining()).isEqualTo(16);
        assertThat(answer.getShort(0)).isEqualTo((short) 2);
        assertThat(answer.getShort(2)).isEqualTo((short) 16);
        assertThat(answer.getInt(4)).isEqualTo(5);
        assertThat(answer.getLong(8)).isEqualTo(1);
        ByteBuffer balloon = view(MemoryMessage.balloon(6, 1234));
        assertThat(balloon.remaining()).isEqualTo(16);
        assertThat(balloon.getShort(0)).isEqualTo((short) 6);
        assertThat(balloon.getInt(8)).isEqualTo(1234);
        ByteBuffer back = view(MemoryMessage.giveBack(7, List.of(new MemoryMessage.Range(0x12_3456_789aL, 3))));
        assertThat(back.remaining()).isEqualTo(24);
        assertThat(back.getShort(0)).isEqualTo((short) 8);
        assertThat(back.getInt(12)).isEqualTo(1);
        assertThat(back.getLong(16)).isEqualTo(3L << 40 | 0x12_3456_789aL);
        assertThat(MemoryMessage.Range.parse(back.getLong(16))).isEqualTo(new MemoryMessage.Range(0x12_3456_789aL, 3));
        assertThat(MemoryMessage.Range.parse(-1).count()).isEqualTo(MemoryMessage.Range.MAX_COUNT);
    }

    @Test
    void keysGoDownAndUpByTheirScanCodes() {
        assertThat(KeyStroke.of("aA "))
                .extracting(KeyStroke::packed)
                .containsExactly(0x1e, 0x9e, 0x2a, 0x1e, 0x9e, 0xaa, 0x39, 0xb9);
        assertThat(KeyStroke.of("1=\t\nzZ/?`~\\|"))
                .extracting(KeyStroke::code)
                .containsExactly(
                        0x02, 0x02, 0x0d, 0x0d, 0x0f, 0x0f, 0x1c, 0x1c, 0x2c, 0x2c, 0x2a, 0x2c, 0x2c, 0x2a, 0x35, 0x35,
                        0x2a, 0x35, 0x35, 0x2a, 0x29, 0x29, 0x2a, 0x29, 0x29, 0x2a, 0x2b, 0x2b, 0x2a, 0x2b, 0x2b, 0x2a);
        ByteBuffer message = view(new KeyStroke(0x48, true, true).message());
        assertThat(message.remaining()).isEqualTo(12);
        assertThat(message.getInt(0)).isEqualTo(3);
        assertThat(message.getShort(4)).isEqualTo((short) 0x48);
        assertThat(message.getInt(8)).isEqualTo(6);
        assertThat(KeyStroke.unpack(new KeyStroke(0x48, true, true).packed()))
                .isEqualTo(new KeyStroke(0x48, true, true));
    }
}
