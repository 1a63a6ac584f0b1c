package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.VirtualProcessor;

class LastingInterpreterTest {
    private static final int ROUNDS = 0x8a_0000;
    private static final int CODE = 0x1000;

    @Test
    void whoInterpretsForLongGoesOnInAClassOfItsOwn() {
        SoftwarePartition[] made = new SoftwarePartition[1];
        NoDevices ending = new NoDevices() {
            @Override
            public void writePort(int index, int port, int size, int value) {
                made[0].processor(0).cancel();
            }
        };
        try (GuestMemory memory = GuestMemory.allocate(1 << 20);
                SoftwarePartition partition = new SoftwarePartition(new PartitionConfiguration(
                        memory,
                        1,
                        TestKernel.cpuid(),
                        1_000_000_000,
                        new ManualTimers(),
                        RandomSource.seeded(1),
                        ending,
                        TranslatorMode.ON))) {
            made[0] = partition;
            assumeTrue(partition.translatorStatistics().isPresent(), "this host does not allow translated code");
            // mov ecx, ROUNDS; l: dec ecx; jnz l; out 0xf4, al
            byte[] code = HexFormat.of().parseHex("66b900008a00 6649 75fc e6f4".replace(" ", ""));
            memory.write(CODE, code, 0, code.length);
            SoftwareProcessor processor = (SoftwareProcessor) partition.processor(0);
            CpuState state = processor.state();
            state.segments[CpuState.CS] = new CpuState.Segment(0, 0, 0xffff, state.segments[CpuState.CS].attributes());
            state.rip = CODE;
            processor.setState(state);
            assertThat(processor.interpretation().getClass().isHidden()).isFalse();

            assertThat(processor.run()).isEqualTo(VirtualProcessor.Exit.CANCELLED);

            assertThat(processor.interpretation().getClass().isHidden()).isTrue();
            assertThat(processor.register(Cpu.RCX)).isZero();
            assertThat(processor.instructions()).isEqualTo(2L * ROUNDS + 2);
        }
    }
}
