package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.hypervisor.HypervisorException;
import org.torte.machine.CpuModels;

/** A whole machine with the processor that nearly every host has, on this host's KVM as on the software processor. */
@Timeout(120)
class KvmMachineTest {
    @TempDir
    Path folder;

    /** What the guest says; it then reads the RTC's register D, whose top bit says that the clock is good, and powers off. */
    private static final int[] CODE = {
        0xba, 0xf8, 0x03, 0x00, 0x00, // mov edx, 0x3f8
        0xb0, 0x48, 0xee, // mov al, 'H'; out dx, al
        0xb0, 0x69, 0xee, // mov al, 'i'; out dx, al
        0xb0, 0x0d, 0xe6, 0x70, 0xe4, 0x71, // mov al, 0xd; out 0x70, al; in al, 0x71
        0xc0, 0xe8, 0x07, 0x04, 0x30, 0xee, // shr al, 7; add al, '0'; out dx, al
        0xba, 0x04, 0x04, 0x00, 0x00, // mov edx, 0x404
        0x66, 0xb8, 0x00, 0x34, 0x66, 0xef, // mov ax, 0x3400; out dx, ax
        0xf4, 0xeb, 0xfd, // hlt, again and again
    };

    @ParameterizedTest
    @ValueSource(strings = {"software", "kvm"})
    void aGuestSpeaksAndPowersOff(String hypervisor) throws IOException {
        assumeUsable(hypervisor);
        ByteArrayOutputStream console = new ByteArrayOutputStream();
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(SmallKernel.write(folder, CODE))
                .hypervisor(hypervisor)
                .cpuModel(CpuModels.BASELINE)
                .memory(16 << 20)
                .consoleOutput(console)
                .build()) {
            machine.start();
            assertThat(machine.awaitExit(Duration.ofSeconds(60))).isInstanceOf(ExitReport.PoweredOff.class);
        }
        assertThat(console.toString(StandardCharsets.US_ASCII)).isEqualTo("Hi1");
    }

    @Test
    void aModelThatNobodyKnowsIsNamed() throws IOException {
        VirtualMachine.Builder builder =
                VirtualMachine.builder().kernel(SmallKernel.write(folder, CODE)).cpuModel("i486");
        assertThatThrownBy(builder::build)
                .isInstanceOf(InputException.class)
                .hasMessage("there is no processor model \"i486\"; --cpu-model takes x86-64-v2 or x86-64-v1");
    }

    private static void assumeUsable(String hypervisor) {
        try {
            Backends.Choice _ = Backends.choose(hypervisor);
        } catch (HypervisorException e) {
            assumeTrue(false, e.getMessage());
        }
    }
}
