package org.torte.hypervisor.software.translator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;

class GuestBlockTest {
    private static final long RIP = 0x40_0000;

    /** ADD EAX, EBX; JMP to what follows: STI; ADD ECX, EDX. */
    private static final byte[] CODE = HexFormat.of().parseHex("01d8eb00fb01d1");

    private static final int SECOND = 4, STI = 1, ALL = 3;

    @Test
    void flagsAreDeadWhereDecodedCodeReplacesThem() {
        assertThat(liveBehind(offset -> offset == SECOND ? ALL : 0)).isZero();
    }

    @Test
    void bytesBehindTheDecodedBlockDoNotCountBecauseNobodyNoticesThatTheyChange() {
        assertThat(liveBehind(offset -> offset == SECOND ? STI : 0)).isEqualTo(Flags.ALL);
    }

    @Test
    void flagsAreLiveWhereNothingHasBeenDecoded() {
        assertThat(liveBehind(offset -> 0)).isEqualTo(Flags.ALL);
    }

    private static int liveBehind(IntUnaryOperator decoded) {
        byte[] page = new byte[4096];
        System.arraycopy(CODE, 0, page, 0, CODE.length);
        GuestBlock block =
                new GuestBlock(page, RIP, new int[] {2}, new Selection(HostFeatures.read()), in -> {}, decoded);
        return block.live[block.size()];
    }
}
