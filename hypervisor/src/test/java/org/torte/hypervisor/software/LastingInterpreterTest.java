package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
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
        Ending ending = new Ending();
        try (GuestMemory memory = GuestMemory.allocate(1 << 20);
                SoftwarePartition partition = new SoftwarePartition(configuration(memory, ending))) {
            assumeTrue(partition.translatorStatistics().isPresent(), "this host does not allow translated code");
            SoftwareProcessor processor = (SoftwareProcessor) partition.processor(0);
            assertGoesOnInAnotherClass(processor, memory, ending);
        }
    }

    /** The JVM has been told the same, because nobody knew that yet. */
    @Test
    void whereTheHostHasNoTranslatorToo() {
        Ending ending = new Ending();
        try (GuestMemory memory = GuestMemory.allocate(1 << 20)) {
            InterruptRouter router = new InterruptRouter();
            Rendezvous rendezvous = new Rendezvous();
            PhysicalMemory physical = new PhysicalMemory(memory, 36, ending, router.ioApic());
            SoftwareProcessor processor =
                    new SoftwareProcessor(0, configuration(memory, ending), physical, router, rendezvous, null);
            router.connect(List.of(processor.cpu().apic));
            rendezvous.connect(new Cpu[] {processor.cpu()});
            assertGoesOnInAnotherClass(processor, memory, ending);
        }
    }

    private static void assertGoesOnInAnotherClass(SoftwareProcessor processor, GuestMemory memory, Ending ending) {
        ending.processor = processor;
        // mov ecx, ROUNDS; l: dec ecx; jnz l; out 0xf4, al
        byte[] code = HexFormat.of().parseHex("66b900008a00 6649 75fc e6f4".replace(" ", ""));
        memory.write(CODE, code, 0, code.length);
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

    private static PartitionConfiguration configuration(GuestMemory memory, Ending ending) {
        return new PartitionConfiguration(
                memory,
                1,
                TestKernel.cpuid(),
                1_000_000_000,
                new ManualTimers(),
                RandomSource.seeded(1),
                ending,
                TranslatorMode.ON);
    }

    private static final class Ending extends NoDevices {
        private @Nullable SoftwareProcessor processor;

        @Override
        public void writePort(int index, int port, int size, int value) {
            Objects.requireNonNull(processor).cancel();
        }
    }
}
