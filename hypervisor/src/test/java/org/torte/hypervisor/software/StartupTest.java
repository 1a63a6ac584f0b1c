package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

/** INIT and SIPI to a processor that the host does not run just then. */
class StartupTest {
    private static final int INTERRUPT_COMMAND = 0x300, DESTINATION = 0x310;
    private static final int INIT = 0x4500, STARTUP = 0x4600;

    private static final class Host extends NoDevices {
        private @Nullable Partition partition;
        private int started = -1;

        @Override
        public void writePort(int processor, int port, int size, int value) {
            started = value & 0xff;
            Objects.requireNonNull(partition).processor(processor).cancel();
        }
    }

    private static int startedWith(int... commands) {
        Host host = new Host();
        try (GuestMemory memory = GuestMemory.allocate(1 << 20);
                Partition partition = new SoftwareHypervisor()
                        .createPartition(new PartitionConfiguration(
                                memory,
                                2,
                                TestKernel.cpuid(),
                                1_000_000_000L,
                                new ManualTimers(),
                                RandomSource.seeded(1),
                                host))) {
            host.partition = partition;
            for (int page = 8; page <= 9; page++) {
                // mov al, page; out 0xf4, al; hlt
                memory.putLong(page << 12, 0xf4_f4_e6_00_b0L | (long) page << 8);
            }
            LocalApic sender = ((SoftwareProcessor) partition.processor(0)).cpu().apic;
            for (int command : commands) {
                sender.writeMemory(DESTINATION, 4, 1 << 24);
                sender.writeMemory(INTERRUPT_COMMAND, 4, command);
            }
            if (commands[commands.length - 1] == INIT) {
                partition.processor(1).cancel();
            }
            partition.processor(1).run();
            return host.started;
        }
    }

    @Test
    void aProcessorThatHearsOfInitAndSipiAtOnceStarts() {
        assertThat(startedWith(INIT, STARTUP | 8, STARTUP | 8)).isEqualTo(8);
    }

    @Test
    void theLastInitCounts() {
        assertThat(startedWith(INIT, STARTUP | 8, INIT, STARTUP | 9)).isEqualTo(9);
    }

    @Test
    void aSipiBeforeInitIsForgotten() {
        assertThat(startedWith(STARTUP | 8, INIT)).isEqualTo(-1);
    }
}
