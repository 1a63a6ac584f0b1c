package org.torte.hypervisor.software.translator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

    @ParameterizedTest
    @CsvSource({
        "8b03c3, 2, true, 'mov eax, [rbx]; ret: the check of the address destroys them'",
        "89c858e800100000, 3, true, 'mov eax, ecx; pop rax; call to another page'",
        "0fa2, 1, true, 'cpuid, which is interpreted'",
        "89c80f5803c3, 3, true, 'mov eax, ecx; addps xmm0, [rbx]; ret: first it is asked whether there are XMM registers'",
        "89c87402, 2, false, 'mov eax, ecx; je: needs them in the host'",
        "8d4101eb00, 2, false, 'lea eax, [rcx + 1]; jmp: passes them on'",
        "ffc08b03c3, 3, false, 'inc eax; mov eax, [rbx]; ret: leaves CF alone'",
        "85c08b03c3, 3, false, 'test eax, eax; mov eax, [rbx]; ret: they are dead'"
    })
    void itIsKnownWhereFlagsAreSavedFirst(String code, int instructions, boolean saves, String what) {
        assertThat(block(HexFormat.of().parseHex(code), instructions, offset -> 0)
                        .savesFlagsFirst())
                .as(what)
                .isEqualTo(saves);
    }

    private static int liveBehind(IntUnaryOperator decoded) {
        GuestBlock block = block(CODE, 2, decoded);
        return block.live[block.size()];
    }

    private static GuestBlock block(byte[] code, int instructions, IntUnaryOperator decoded) {
        byte[] page = Arrays.copyOf(code, 4096);
        return new GuestBlock(
                page, RIP, new int[] {instructions}, new Selection(HostFeatures.read()), in -> {}, decoded);
    }
}
