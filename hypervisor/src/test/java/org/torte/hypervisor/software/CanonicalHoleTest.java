package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.hypervisor.oracle.AddressSpace;

/** What an access that has bytes in the hole between the canonical halves is, aligned or not, while alignment is checked. */
class CanonicalHoleTest {
    private static final int ALIGNMENT_CHECK = 1 << 18;

    @ParameterizedTest
    @CsvSource({
        "7ffffffffff9, 13",
        "7fffffffffff, 13",
        "800000000001, 13",
        "7ffffffffff8, 14",
        "7ffffffffff1, 17",
        "30001001, 17"
    })
    void readingEightBytes(String address, int vector) {
        try (InterpreterUnderTest machine = new InterpreterUnderTest()) {
            byte[] code = HexFormat.of().parseHex("488b03"); // mov rax, [rbx]
            MemorySegment.copy(
                    code, 0, machine.memory.segment(), JAVA_BYTE, InterpreterUnderTest.CODE_FRAME, code.length);
            machine.enterLongUserMode();
            machine.cpu.setFlags(ALIGNMENT_CHECK | 2);
            machine.cpu.r[Cpu.RBX] = Long.parseLong(address, 16);
            machine.cpu.rip = AddressSpace.CODE;
            machine.interpreter.execute(false);
            GuestFault fault = machine.interpreter.fault;
            assertThat(fault == null ? -1 : fault.vector).isEqualTo(vector);
        }
    }
}
