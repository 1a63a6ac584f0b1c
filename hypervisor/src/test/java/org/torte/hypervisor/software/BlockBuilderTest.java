package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;

class BlockBuilderTest {
    /** The last page of RAM; its last instruction goes on into a device. */
    private static final long PAGE = LitmusMachine.MEMORY - 0x1000, CODE = PAGE + 0xff8;

    /** Who decodes a block again and again sees no events meanwhile. */
    @Test
    void codeIsExecutedThoughItsPageIsWrittenToAllTheTime() throws Exception {
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            LitmusMachine.putTables(memory);
            Writer writer = new Writer();
            try (Partition partition = new SoftwareHypervisor()
                    .createPartition(new PartitionConfiguration(
                            memory,
                            1,
                            TestKernel.cpuid(),
                            1_000_000_000L,
                            new ManualTimers(),
                            RandomSource.seeded(1),
                            writer))) {
                writer.partition = partition;
                writer.end = partition.processor(0)::cancel;
                // inc ebx, three times; nop; the first byte of mov eax, 0
                byte[] code = HexFormat.of().parseHex("ffc3ffc3ffc390b8");
                memory.write(CODE, code, 0, code.length);
                CpuState state = LitmusMachine.entry(0, 0);
                state.rip = CODE;
                state.gpr[Cpu.RBX] = 0;
                partition.processor(0).setState(state);

                Thread thread = Thread.ofPlatform().daemon().start(partition.processor(0)::run);

                boolean ended = thread.join(Duration.ofSeconds(30));
                writer.partition = null; // lets it end before its memory goes
                thread.join();

                assertThat(ended).isTrue();
                assertThat(partition.processor(0).register(Cpu.RBX)).isEqualTo(3);
            }
        }
    }

    /** A device that writes to the page before it whenever it is read, which decoding that page does. */
    private static final class Writer extends NoDevices {
        /** The constant's four bytes, then out 0xf4, al; hlt. */
        private static final byte[] BYTES = {0, 0, 0, 0, (byte) 0xe6, (byte) 0xf4, (byte) 0xf4};

        private volatile @Nullable Partition partition;
        private volatile Runnable end = () -> {};

        @Override
        public long readMemory(int processor, long address, int size) {
            Partition written = partition;
            if (written != null) {
                written.memoryWritten(PAGE + 0x800, 1);
            }
            int at = (int) (address - LitmusMachine.MEMORY);
            return at < BYTES.length ? BYTES[at] & 0xff : 0x90;
        }

        @Override
        public void writePort(int processor, int port, int size, int value) {
            end.run();
        }
    }
}
