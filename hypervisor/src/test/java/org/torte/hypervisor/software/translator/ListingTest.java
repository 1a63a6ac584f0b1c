package org.torte.hypervisor.software.translator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A listing has the guest's instructions on the left and those of the host on the right. */
class ListingTest {
    @Test
    void blocksBeginWhereBranchesLead() {
        // sub ecx, 1; jne back to it; mov rax, [rbx]; ret
        List<String> lines = Listing.of(HexFormat.of().parseHex("83e90175fb488b03c3"), 0x40_1000);
        assertThat(lines).filteredOn(line -> line.contains(" instructions, ")).hasSize(2);
        assertThat(lines).anyMatch(line -> line.matches("401000: 2 instructions, \\d+ bytes hot, \\d+ cold"));
        assertThat(lines).anyMatch(line -> line.matches("401005: 2 instructions, \\d+ bytes hot, \\d+ cold"));
        assertThat(lines).anyMatch(line -> line.matches(" +sub r11,0x2"));
        assertThat(lines).anyMatch(line -> line.matches("  sub ecx,0x1 +sub ecx,0x1"));
        assertThat(lines).anyMatch(line -> line.startsWith("  jne 0x401000 "));
        assertThat(lines).anyMatch(line -> line.matches("  mov rax,qword ptr \\[rbx\\] +.*"));
        assertThat(lines).anyMatch(line -> line.matches(" +mov rax,qword ptr \\[rbx\\+r12\\*1\\]"));
    }

    @Test
    void whatIsInterpretedSaysSo() {
        assertThat(Listing.of(new byte[] {0x0f, 0x0b}, 0x1000))
                .anyMatch(line -> line.startsWith("  ud2 (interpreted)"));
    }

    @Test
    void codeBeyondThePageIsRefused() {
        assertThatThrownBy(() -> Listing.of(new byte[2], 0x1fff)).isInstanceOf(IllegalArgumentException.class);
    }
}
