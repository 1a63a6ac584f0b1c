package org.torte.testing;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.torte.worker.ExitReport;
import org.torte.worker.VirtualMachine;

class GuestCrashTest {
    private static final int BASE = 0x10_0000;

    @TempDir
    Path folder;

    @Test
    void aTripleFaultIsReportedWithRegistersAndTheLastInstructions() throws IOException {
        // xor ecx, ecx; mov eax, 0x600d; l: inc ecx; cmp ecx, 3; jne l; push 0; push 0; lidt [esp]; ud2
        ExitReport end = run("31c9 b80d600000 41 83f903 75fa 6a00 6a00 0f011c24 0f0b");

        assertThat(end)
                .isInstanceOfSatisfying(
                        ExitReport.Crashed.class,
                        crash -> assertThat(crash.text())
                                .contains("triple fault on processor 0")
                                .contains("rax 000000000000600d")
                                .contains("rcx 0000000000000003")
                                .contains("#UD, #GP, #DF, #GP, shutdown")
                                .containsPattern(
                                        "(?s)inc ecx.*jne.*inc ecx.*jne.*inc ecx.*jne.*push.*lidt.*=> 0000000000100035 +ud2"));
    }

    @Test
    void aJumpIntoTheVoidIsReportedWithWhereItCameFrom() throws IOException {
        // mov esp, 0x100000; mov eax, 0xd0000000; jmp eax
        ExitReport end = run("bc00001000 b8000000d0 ffe0");

        assertThat(end)
                .isInstanceOfSatisfying(
                        ExitReport.Crashed.class,
                        crash -> assertThat(crash.text())
                                .containsPattern("(?s)mov eax,0xd0000000.*jmp eax.*=> 00000000d0000000"));
    }

    @Test
    void whereTranslatedCodeWasLeftIsInTheReport() throws IOException {
        // Long mode with one page of 2 MiB at 0; then, until it is translated, l: inc rcx; cmp rcx, 100000; jne l; and
        // a
        // load from where no page is.
        ExitReport end = run("c7050010200003202000 c7050020200003302000 c7050030200083000000 0f20e083c8200f22e0"
                + "b8001020000f22d8 b9800000c00f320d000100000f30 0f20c00d000000800f22c0 0f01158e001000 ea760010000800"
                + "31c9 48ffc1 4881f9a0860100 75f4 488b042500005000 ebfe"
                + "0f0098001000 8d7426000000 000000000000 ffff0000009baf00");

        assertThat(end)
                .isInstanceOfSatisfying(
                        ExitReport.Crashed.class,
                        crash -> assertThat(crash.text())
                                .contains("rcx 00000000000186a0")
                                .contains("#PF, ")
                                .containsPattern("(?s)translated code.*inc rcx.*jne.*=> 0000000000100084 +mov rax,"));
    }

    /** Runs code as a multiboot kernel whose code begins at 0x100020. */
    private ExitReport run(String code) throws IOException {
        byte[] bytes = HexFormat.of().parseHex(code.replace(" ", ""));
        ByteBuffer image = ByteBuffer.allocate(32 + bytes.length).order(ByteOrder.LITTLE_ENDIAN);
        int magic = 0x1badb002;
        int flags = 0x10000;
        image.putInt(magic).putInt(flags).putInt(-(magic + flags));
        image.putInt(BASE).putInt(BASE).putInt(0).putInt(0).putInt(BASE + 32).put(bytes);
        Path kernel = folder.resolve("kernel");
        Files.write(kernel, image.array());
        try (VirtualMachine machine =
                VirtualMachine.builder().kernel(kernel).memory(4 << 20).build()) {
            machine.start();
            return machine.awaitExit(Duration.ofMinutes(1));
        }
    }
}
