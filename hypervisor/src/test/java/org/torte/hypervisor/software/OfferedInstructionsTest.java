package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

class OfferedInstructionsTest {
    private static Operation operation(CpuidTable cpuid, int mode, String hex) {
        byte[] code = new byte[16];
        byte[] given = HexFormat.of().parseHex(hex);
        System.arraycopy(given, 0, code, 0, given.length);
        Instruction in = new Instruction();
        Decoder.decode(offset -> code[offset] & 0xff, mode, in);
        new OfferedInstructions(cpuid).apply(in, mode == 64);
        return in.form.operation();
    }

    @Test
    void whatCpuidDoesNotShowIsUndefined() {
        CpuidTable none = new CpuidTable.Builder().build();
        CpuidTable aes = new CpuidTable.Builder().leaf(1, 0, 0, 1 << 25, 0).build();
        String aesenc = "660f38dcc1";
        assertThat(operation(none, 64, aesenc)).isEqualTo(Operation.INVALID);
        assertThat(operation(aes, 64, aesenc)).isEqualTo(Operation.AESENC);
        assertThat(operation(none, 64, "4801c8")).isEqualTo(Operation.ADD);
    }

    @Test
    void bitCountsWithoutTheirFeaturesAreBitScans() {
        CpuidTable none = new CpuidTable.Builder().build();
        assertThat(operation(none, 64, "f30fbcc1")).isEqualTo(Operation.BSF);
        assertThat(operation(none, 64, "f30fbdc1")).isEqualTo(Operation.BSR);
    }

    @Test
    void someFeaturesAreAboutOneModeOrSize() {
        CpuidTable exchange = new CpuidTable.Builder().leaf(1, 0, 0, 0, 1 << 8).build();
        assertThat(operation(exchange, 64, "0fc70e")).isEqualTo(Operation.CMPXCHG8B);
        assertThat(operation(exchange, 64, "480fc70e")).isEqualTo(Operation.INVALID);
        assertThat(operation(exchange, 32, "9f")).isEqualTo(Operation.LAHF);
        assertThat(operation(exchange, 64, "9f")).isEqualTo(Operation.INVALID);
    }
}
