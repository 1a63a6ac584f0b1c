package org.torte.machine.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.base.net.FrameBatch;

class ReceiveScalingTest {
    /** The key and the hashes of "Verifying the RSS Hash Calculation" in the documentation of Windows' drivers. */
    static final byte[] KEY =
            HexFormat.of().parseHex("6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa");

    static final int EVERYTHING = 1 | 0x100 | 0x200 | 0x400 | 0x1000;

    /** Parameters whose table has {@code entries}. */
    static byte[] parameters(int hash, byte[] key, int... entries) {
        int table = ReceiveScaling.PARAMETERS_SIZE + 16;
        ByteBuffer out =
                ByteBuffer.allocate(table + 4 * entries.length + key.length).order(ByteOrder.LITTLE_ENDIAN);
        out.put((byte) 0x89)
                .put((byte) 2)
                .putShort((short) table)
                .putShort((short) 0)
                .putShort((short) 0);
        out.putInt(hash).putInt(4 * entries.length).putInt(table);
        out.putInt(key.length).putInt(table + 4 * entries.length);
        out.position(table);
        for (int entry : entries) {
            out.putInt(entry);
        }
        return out.put(key).array();
    }

    /** A frame with these addresses and, if {@code protocol} has them, ports. */
    static byte[] frame(String from, int fromPort, String to, int toPort, int protocol) throws UnknownHostException {
        byte[] source = InetAddress.getByName(from).getAddress();
        byte[] target = InetAddress.getByName(to).getAddress();
        boolean four = source.length == 4;
        ByteBuffer frame = ByteBuffer.allocate(14 + (four ? 20 : 40) + 20);
        frame.position(12);
        frame.putShort((short) (four ? 0x0800 : 0x86dd));
        if (four) {
            frame.put((byte) 0x45).put((byte) 0).putShort((short) 40).putInt(0);
            frame.put((byte) 64).put((byte) protocol).putShort((short) 0);
        } else {
            frame.putInt(0x6000_0000).putShort((short) 20).put((byte) protocol).put((byte) 64);
        }
        frame.put(source).put(target).putShort((short) fromPort).putShort((short) toPort);
        frame.position(frame.position() + 8);
        frame.put((byte) 0x50);
        return frame.array();
    }

    private static int entry(ReceiveScaling scaling, byte[] frame) {
        FrameBatch batch = new FrameBatch(4, FrameBatch.MAX_LENGTH);
        int at = batch.append(frame.length);
        MemorySegment.copy(MemorySegment.ofArray(frame), JAVA_BYTE, 0, batch.bytes(), JAVA_BYTE, at, frame.length);
        return scaling.channel(batch, 0);
    }

    private static ReceiveScaling scaling() {
        ReceiveScaling scaling = new ReceiveScaling();
        scaling.reset();
        return scaling;
    }

    @ParameterizedTest
    @CsvSource({
        "66.9.149.187, 2794, 161.142.100.80, 1766, 323e8fc2, 51ccc178",
        "199.92.111.2, 14230, 65.69.140.83, 4739, d718262a, c626b0ea",
        "24.19.198.95, 12898, 12.22.207.184, 38024, d2d0a5de, 5c2b394a",
        "38.27.205.30, 48228, 209.142.163.6, 2217, 82989176, afc7327f",
        "153.39.163.191, 44251, 202.188.127.2, 1303, 5d1809c5, 10e828a2",
        "3ffe:2501:200:1fff::7, 2794, 3ffe:2501:200:3::1, 1766, 2cc18cd5, 40207d3d",
        "3ffe:501:8::260:97ff:fe40:efab, 14230, ff02::1, 4739, 0f0c461c, dde51bbf",
        "3ffe:1900:4545:3:200:f8ff:fe21:67cf, 44251, fe80::200:f8ff:fe21:67cf, 38024, 4b61e985, 02d1feef",
    })
    void theHashIsTheOneOfTheSpecification(
            String from, int fromPort, String to, int toPort, String addresses, String withPorts) throws Exception {
        int[] entries = IntStream.range(1000, 1128).toArray();
        ReceiveScaling scaling = scaling();
        assertThat(scaling.set(parameters(EVERYTHING, KEY, entries))).isZero();
        assertThat(entry(scaling, frame(from, fromPort, to, toPort, 17)))
                .as("another protocol")
                .isEqualTo(1000 + (Integer.parseUnsignedInt(addresses, 16) & 127));
        assertThat(entry(scaling, frame(from, fromPort, to, toPort, 6)))
                .as("TCP")
                .isEqualTo(1000 + (Integer.parseUnsignedInt(withPorts, 16) & 127));
        assertThat(scaling.set(parameters(0x501, KEY, entries))).isZero();
        assertThat(entry(scaling, frame(from, fromPort, to, toPort, 6)))
                .as("TCP, of which only the addresses count")
                .isEqualTo(1000 + (Integer.parseUnsignedInt(addresses, 16) & 127));
    }

    @Test
    void itChoosesTheFirstChannelUntilItIsSetAndAfterItIsSwitchedOff() throws Exception {
        byte[] frame = frame("10.0.0.1", 1, "10.0.0.2", 2, 6);
        ReceiveScaling scaling = scaling();
        assertThat(entry(scaling, frame)).isZero();
        assertThat(scaling.set(parameters(EVERYTHING, KEY, 7))).isZero();
        assertThat(entry(scaling, frame)).isEqualTo(7);
        assertThat(entry(scaling, new byte[20])).as("no IP").isEqualTo(7);
        byte[] off = parameters(EVERYTHING, KEY, 7);
        off[4] = 0x10;
        assertThat(scaling.set(off)).isZero();
        assertThat(entry(scaling, frame)).isZero();
    }

    @Test
    void whatMakesNoSenseIsRefusedAndChangesNothing() throws Exception {
        ReceiveScaling scaling = scaling();
        assertThat(scaling.set(parameters(EVERYTHING, KEY, 7))).isZero();
        assertThat(scaling.set(new byte[27])).isEqualTo(Rndis.INVALID_LENGTH);
        for (int at : new int[] {0, 8, 12, 13, 18, 20, 26}) {
            byte[] wrong = parameters(EVERYTHING, KEY, 3, 4);
            wrong[at] = (byte) (at == 8 ? 0 : wrong[at] + 3);
            assertThat(scaling.set(wrong)).as("byte %d", at).isEqualTo(Rndis.INVALID_DATA);
        }
        assertThat(scaling.set(parameters(EVERYTHING, KEY, new int[129]))).isEqualTo(Rndis.INVALID_DATA);
        assertThat(scaling.set(parameters(EVERYTHING, KEY))).isEqualTo(Rndis.INVALID_DATA);
        assertThat(entry(scaling, frame("10.0.0.1", 1, "10.0.0.2", 2, 6))).isEqualTo(7);
    }
}
