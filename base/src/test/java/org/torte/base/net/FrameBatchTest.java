package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

class FrameBatchTest {
    private static int append(FrameBatch batch, byte[] frame) {
        int offset = batch.append(frame.length);
        if (offset >= 0) {
            MemorySegment.copy(frame, 0, batch.bytes(), JAVA_BYTE, offset, frame.length);
        }
        return offset;
    }

    @Test
    void framesKeepTheirBytesAndWhatIsKnownAboutThem() {
        FrameBatch batch = new FrameBatch(3, FrameBatch.MAX_LENGTH);
        FrameBatch copy = new FrameBatch(3, FrameBatch.MAX_LENGTH);
        Random random = new Random(1);
        byte[] first = new byte[61];
        byte[] second = new byte[1514];
        random.nextBytes(first);
        random.nextBytes(second);
        append(batch, first);
        append(batch, second);
        batch.describe(0, FrameBatch.TRANSPORT_CHECKSUM_NEEDED, 1448, 0x2005);
        assertThat(copy.append(batch, 1)).isTrue();
        assertThat(copy.append(batch, 0)).isTrue();
        assertThat(copy.size()).isEqualTo(2);
        assertThat(copy.view(0).toArray(JAVA_BYTE)).isEqualTo(second);
        assertThat(copy.view(1).toArray(JAVA_BYTE)).isEqualTo(first);
        assertThat(copy.flags(0)).isZero();
        assertThat(copy.vlan(0)).isEqualTo(FrameBatch.NO_VLAN);
        assertThat(copy.has(1, FrameBatch.TRANSPORT_CHECKSUM_NEEDED)).isTrue();
        assertThat(copy.segmentSize(1)).isEqualTo(1448);
        assertThat(copy.vlan(1)).isEqualTo(0x2005);
        assertThat(new MacAddress(copy.source(1)).bytes()).isEqualTo(java.util.Arrays.copyOfRange(first, 6, 12));
    }

    @Test
    void itIsFullByFramesOrByBytes() {
        FrameBatch few = new FrameBatch(2, FrameBatch.MAX_LENGTH);
        assertThat(few.append(14)).isZero();
        assertThat(few.append(14)).isPositive();
        assertThat(few.append(14)).isNegative();
        FrameBatch small = new FrameBatch(10, FrameBatch.MAX_LENGTH);
        assertThat(small.append(FrameBatch.MAX_LENGTH)).isZero();
        assertThat(small.append(60)).isNegative();
        small.clear();
        assertThat(small.append(60)).isZero();
        small.trimLast(14);
        assertThat(small.length(0)).isEqualTo(14);
        assertThat(small.append(60)).isEqualTo(16);
        small.removeLast();
        assertThat(small.append(FrameBatch.MAX_LENGTH - 32)).isEqualTo(16);
        assertThatThrownBy(() -> small.length(2)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatIllegalArgumentException().isThrownBy(() -> small.append(FrameBatch.MAX_LENGTH + 1));
    }

    @Test
    void addressesAreReadInTheUsualForms() {
        MacAddress address = new MacAddress(0x00155d0a0b0cL);
        for (String text : new String[] {"00:15:5d:0a:0b:0c", "00-15-5D-0A-0B-0C", "00155d0A0b0c"}) {
            assertThat(MacAddress.parse(text)).isEqualTo(address);
        }
        assertThat(address).hasToString("00:15:5d:0a:0b:0c");
        for (String text :
                new String[] {"", "00:15:5d:0a:0b", "00:15:5d:0a:0b-0c", "00:15:5d:0a:0b:0g", "0:15:5d:a:b:c"}) {
            assertThatIllegalArgumentException().isThrownBy(() -> MacAddress.parse(text));
        }
        assertThat(MacAddress.BROADCAST.isGroup()).isTrue();
        assertThat(address.isGroup() || address.isLocal()).isFalse();
        assertThat(MacAddress.parse("02:00:00:00:00:01").isLocal()).isTrue();
    }
}
