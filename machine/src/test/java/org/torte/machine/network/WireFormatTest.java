package org.torte.machine.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** Sizes and offsets of what travels between the guest's driver and the adapter. */
class WireFormatTest {
    private static ByteBuffer view(byte[] message) {
        return ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN);
    }

    @Test
    void messagesHaveTheLengthOfTheirVersion() {
        assertThat(Nvsp.length(Nvsp.VERSION_1)).isEqualTo(0x1c);
        assertThat(Nvsp.length(Nvsp.VERSION_6)).isEqualTo(0x1c);
        assertThat(Nvsp.length(Nvsp.VERSION_6_1)).isEqualTo(0x28);
        ByteBuffer buffer = view(Nvsp.receiveBufferComplete(0x28, Nvsp.SUCCESS, 1728, 10));
        assertThat(buffer.remaining()).isEqualTo(0x28);
        int[] expected = {102, 1, 1, 0, 1728, 10, 17280};
        for (int i = 0; i < expected.length; i++) {
            assertThat(buffer.getInt(4 * i)).as("value %d", i).isEqualTo(expected[i]);
        }
    }

    @Test
    void aNetworkMessageThatIsTooShortIsUnknown() {
        for (int type = 0; type < 140; type++) {
            for (int length = 0; length < 20; length++) {
                ByteBuffer message = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
                if (length >= 4) {
                    message.putInt(0, type);
                }
                assertThat(Nvsp.parse(message)).as("%d, %d bytes", type, length).isNotNull();
            }
        }
        assertThat(Nvsp.parse(view(new byte[] {101, 0, 0, 0, 1, 2, 3, 4, 5, 6})))
                .isEqualTo(new Nvsp.ReceiveBufferOffer(0x04030201, 0x0605));
    }

    @Test
    void answersLieWhereTheDriverLooks() {
        ByteBuffer init = view(Rndis.initializeComplete(7, 0, 0x4000));
        assertThat(init.remaining()).isEqualTo(52).isEqualTo(init.getInt(4));
        assertThat(init.getInt(0)).isEqualTo(0x80000002);
        assertThat(init.getInt(32)).as("messages in one packet").isEqualTo(8);
        assertThat(init.getInt(40)).as("alignment").isEqualTo(3);
        ByteBuffer query = view(Rndis.queryComplete(7, 0, new byte[] {1, 2, 3}));
        assertThat(query.getInt(16)).isEqualTo(3);
        assertThat(query.get(8 + query.getInt(20))).isEqualTo((byte) 1);
        ByteBuffer status = view(Rndis.status(Rndis.MEDIA_CONNECT));
        assertThat(status.getInt(0)).isEqualTo(7);
        assertThat(status.getInt(8)).isEqualTo(0x4001000b);
    }

    @Test
    void whatQueriesAndSetsCarryMustLieInTheMessage() {
        int[][] wrong = {{-1, 20}, {4, 19}, {4, 28}, {5, 24}, {0x7fffffff, 20}, {4, 0x7fffffff}, {4, -8}};
        for (int[] place : wrong) {
            ByteBuffer set = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
            set.putInt(5)
                    .putInt(32)
                    .putInt(1)
                    .putInt(Oid.CURRENT_PACKET_FILTER)
                    .putInt(place[0])
                    .putInt(place[1]);
            set.flip().limit(32);
            assertThat(Rndis.parse(set)).isEqualTo(new Rndis.Malformed());
        }
    }

    @Test
    void offloadsHaveTheSizeOfTheirRevision() {
        int[] sizes = {112, 144, 156};
        for (int revision = 1; revision <= 3; revision++) {
            ByteBuffer offload = view(NdisOffload.capabilities(revision));
            assertThat(offload.remaining()).isEqualTo(sizes[revision - 1]).isEqualTo(offload.getShort(2));
            assertThat(offload.get(0) & 0xff).isEqualTo(0xa7);
            assertThat(offload.getInt(8) & 0x14).as("TCP over IPv4").isEqualTo(0x14);
            assertThat(offload.getInt(24) & 0x15).as("TCP over IPv6").isEqualTo(0x15);
            assertThat(offload.getInt(84)).isEqualTo(62768);
            assertThat(offload.getInt(104)).isEqualTo(5);
        }
    }
}
