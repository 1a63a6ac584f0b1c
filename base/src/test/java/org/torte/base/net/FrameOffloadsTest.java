package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FrameOffloadsTest {
    private final FrameOffloads offloads = new FrameOffloads();
    private final FrameBatch batch = new FrameBatch(64, 1 << 20);

    /** A frame with an IP and a TCP or UDP header whose checksums are rubbish. */
    private static byte[] frame(boolean ipv4, boolean tcp, int tags, byte[] payload, boolean large) {
        int transport = tcp ? 32 : 8;
        ByteBuffer frame = ByteBuffer.allocate(14 + 4 * tags + (ipv4 ? 24 : 48) + transport + payload.length);
        frame.put(HexFormat.of().parseHex("00155d00000200155d000001"));
        for (int i = 0; i < tags; i++) {
            frame.putShort((short) 0x8100).putShort((short) 5);
        }
        int length = transport + payload.length;
        if (ipv4) {
            frame.putShort((short) 0x0800);
            frame.put((byte) 0x46).put((byte) 0).putShort((short) (large ? 0 : 24 + length));
            frame.putShort((short) 0xfffe).putShort((short) 0x4000);
            frame.put((byte) 64).put((byte) (tcp ? 6 : 17)).putShort((short) 0x1234);
            frame.putInt(0x0a000001).putInt(0x0a000002).putInt(0x01010101);
        } else {
            frame.putShort((short) 0x86dd);
            frame.putInt(0x60000000).putShort((short) (large ? 0 : 8 + length));
            frame.put((byte) 60).put((byte) 64);
            frame.putLong(0xfe80000000000000L)
                    .putLong(1)
                    .putLong(0xfe80000000000000L)
                    .putLong(2);
            frame.put((byte) (tcp ? 6 : 17))
                    .put((byte) 0)
                    .putShort((short) 0x0104)
                    .putInt(0);
        }
        frame.putShort((short) 1000).putShort((short) 2000);
        if (tcp) {
            frame.putInt(0xfffffff0).putInt(77).putShort((short) 0x8099).putShort((short) 500);
            frame.putShort((short) 0x5555).putShort((short) 0);
            frame.put(new byte[] {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2});
        } else {
            frame.putShort((short) length).putShort((short) 0x5555);
        }
        frame.put(payload);
        return frame.array();
    }

    private static void append(FrameBatch batch, byte[] frame, int flags, int segment) {
        int offset = batch.append(frame.length);
        MemorySegment.copy(frame, 0, batch.bytes(), JAVA_BYTE, offset, frame.length);
        batch.describe(batch.size() - 1, flags, segment, FrameBatch.NO_VLAN);
    }

    /** The checksum as RFC 1071 defines it, 16 bits at a time. */
    private static int slowSum(byte[] bytes, int from, int to, int start) {
        int sum = start;
        for (int i = from; i < to; i++) {
            sum += (i - from & 1) == 0 ? (bytes[i] & 0xff) << 8 : bytes[i] & 0xff;
            sum = (sum & 0xffff) + (sum >> 16);
        }
        return sum;
    }

    private static void assertRight(byte[] frame, int ip, boolean ipv4, boolean tcp) {
        int header = ipv4 ? 24 : 48;
        if (ipv4) {
            assertThat(slowSum(frame, ip, ip + header, 0)).isEqualTo(0xffff);
        }
        int length = frame.length - ip - header;
        int start = (tcp ? 6 : 17) + length;
        int addresses = ipv4 ? slowSum(frame, ip + 12, ip + 20, start) : slowSum(frame, ip + 8, ip + 40, start);
        assertThat(slowSum(frame, ip + header, frame.length, addresses)).isEqualTo(0xffff);
    }

    @ParameterizedTest
    @CsvSource({"true,true", "true,false", "false,true", "false,false"})
    void checksumsAreThoseOfTheDefinition(boolean ipv4, boolean tcp) {
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        for (int length = 0; length < 200; length++) {
            batch.clear();
            int tags = random.nextInt(3);
            byte[] payload = new byte[length < 190 ? length : random.nextInt(60_000)];
            random.nextBytes(payload);
            append(batch, new byte[random.nextInt(14)], 0, 0);
            append(
                    batch,
                    frame(ipv4, tcp, tags, payload, false),
                    FrameBatch.IP_CHECKSUM_NEEDED | FrameBatch.TRANSPORT_CHECKSUM_NEEDED,
                    0);
            assertThat(offloads.transportChecksumRight(batch, 1)).isFalse();
            offloads.completeChecksums(batch, 1);
            assertRight(batch.view(1).toArray(JAVA_BYTE), 14 + 4 * tags, ipv4, tcp);
            assertThat(offloads.transportChecksumRight(batch, 1)).isTrue();
            assertThat(offloads.ipChecksumRight(batch, 1)).isEqualTo(ipv4);
            assertThat(batch.has(1, FrameBatch.TRANSPORT_CHECKSUM_GOOD)).isTrue();
            assertThat(batch.has(1, FrameBatch.TRANSPORT_CHECKSUM_NEEDED | FrameBatch.IP_CHECKSUM_NEEDED))
                    .isFalse();
        }
    }

    @ParameterizedTest
    @CsvSource({"true,50000,1448", "false,60000,1440", "true,100,1448", "true,2896,1448", "true,0,100", "false,48,48"})
    void aLargeSendIsCutIntoPiecesThatAreRight(boolean ipv4, int length, int segment) {
        byte[] payload = new byte[length];
        new Random(7).nextBytes(payload);
        append(batch, frame(ipv4, true, 1, payload, true), FrameBatch.TRANSPORT_CHECKSUM_NEEDED, segment);
        batch.describe(0, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, segment, 9);
        FrameBatch target = new FrameBatch(8, FrameBatch.MAX_LENGTH);
        int pieces = offloads.pieces(batch, 0);
        assertThat(pieces).isEqualTo(Math.max(1, (length + segment - 1) / segment));
        ByteArrayOutputStream together = new ByteArrayOutputStream();
        int head = 18 + (ipv4 ? 24 : 48) + 32;
        int tcp = head - 32;
        int piece = 0;
        while (piece < pieces) {
            target.clear();
            int next = offloads.cut(batch, 0, piece, target);
            for (int i = 0; i < target.size(); i++, piece++) {
                byte[] bytes = target.view(i).toArray(JAVA_BYTE);
                ByteBuffer view = ByteBuffer.wrap(bytes);
                assertRight(bytes, 18, ipv4, true);
                assertThat(target.vlan(i)).isEqualTo(9);
                assertThat(view.getInt(tcp + 4)).isEqualTo(0xfffffff0 + piece * segment);
                boolean last = piece == pieces - 1;
                int flags = 0x99 & ~(last ? 0 : 9) & ~(piece == 0 ? 0 : 0x80);
                assertThat(view.get(tcp + 13) & 0xff).isEqualTo(flags);
                if (ipv4) {
                    assertThat(view.getShort(20) & 0xffff).isEqualTo(bytes.length - 18);
                    assertThat(view.getShort(22)).isEqualTo((short) (0xfffe + piece));
                } else {
                    assertThat(view.getShort(22) & 0xffff).isEqualTo(bytes.length - 18 - 40);
                }
                together.write(bytes, head, bytes.length - head);
            }
            assertThat(next).isEqualTo(piece);
        }
        assertThat(together.toByteArray()).isEqualTo(payload);
        assertThat(offloads.completeWhole(batch, 0)).isTrue();
        batch.describe(0, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 0, FrameBatch.NO_VLAN);
        offloads.completeChecksums(batch, 0);
        assertRight(batch.view(0).toArray(JAVA_BYTE), 18, ipv4, true);
    }

    @Test
    void whatCannotBeCutIsNotCut() {
        append(batch, frame(true, false, 0, new byte[5000], true), 0, 1448);
        append(batch, frame(true, true, 0, new byte[5000], true), 0, 47);
        append(batch, new byte[5], 0, 1448);
        for (int i = 0; i < 3; i++) {
            assertThat(offloads.pieces(batch, i)).isZero();
            assertThat(offloads.completeWhole(batch, i)).isFalse();
        }
    }

    @Test
    void noBytesMakeItThrowOrReachOutOfTheFrame() {
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        FrameBatch target = new FrameBatch(100, FrameBatch.MAX_LENGTH);
        byte[][] patterns = {
            frame(true, true, 0, new byte[64], false), frame(false, true, 1, new byte[64], false),
            frame(true, false, 2, new byte[64], false), frame(false, false, 0, new byte[64], false)
        };
        for (int i = 0; i < 100_000; i++) {
            byte[] frame = patterns[random.nextInt(4)].clone();
            for (int j = random.nextInt(6); j > 0; j--) {
                frame[12 + random.nextInt(frame.length - 12)] = (byte) random.nextInt();
            }
            frame = java.util.Arrays.copyOf(frame, random.nextInt(frame.length + 1));
            batch.clear();
            append(batch, new byte[] {1, 2, 3}, 0, 0);
            append(batch, frame, random.nextInt(16), random.nextInt(4) == 0 ? random.nextInt(200) : 0);
            append(batch, new byte[] {4, 5, 6}, 0, 0);
            offloads.completeChecksums(batch, 1);
            target.clear();
            offloads.cut(batch, 1, 0, target);
            offloads.completeWhole(batch, 1);
            assertThat(batch.view(0).toArray(JAVA_BYTE)).containsExactly(1, 2, 3);
            assertThat(batch.view(2).toArray(JAVA_BYTE)).containsExactly(4, 5, 6);
        }
    }
}
