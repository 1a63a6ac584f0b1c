package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor.Exit;

/** A processor's descriptor fails while its guest runs: another file is put in its place. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DescriptorFailureTest {
    private static final int CODE = 0x10_0000;
    private static final int FLAT_CODE = 0xc09b, FLAT_DATA = 0xc093, TASK = 0x8b, TABLE = 0x82;

    /** Without end: out 0x70, al; jmp back. */
    private static final byte[] PORTS = {(byte) 0xe6, 0x70, (byte) 0xeb, (byte) 0xfc};

    @Test
    void theProcessorStopsWithOneLineAndTheOtherCanBeStopped() throws Exception {
        KvmHypervisor hypervisor = new KvmHypervisor();
        try {
            long _ = hypervisor.tscFrequency();
        } catch (HypervisorException e) {
            assumeTrue(false, e.getMessage());
        }
        CountDownLatch runs = new CountDownLatch(2);
        PausableClock clock = new PausableClock(Clock.system());
        try (GuestMemory memory = GuestMemory.allocate(16 << 20);
                TimerThread timers = new TimerThread(clock, "timers");
                Partition partition = hypervisor.createPartition(new PartitionConfiguration(
                        memory,
                        2,
                        hypervisor.restrict(new CpuidTable.Builder()
                                .leaf(0, 1, 0x68747541, 0x444d4163, 0x69746e65)
                                .leaf(1, 0xa20f12, 0x00000800, 0x0120_2001, 0x078b_fbff)
                                .build()),
                        1_000_000_000L,
                        timers,
                        RandomSource.seeded(1),
                        new Ports(runs)))) {
            memory.write(CODE, PORTS, 0, PORTS.length);
            partition.processor(0).setState(start());
            partition.processor(1).setState(start());
            partition.resume();
            FutureTask<Exit> first = run(partition, 0);
            FutureTask<Exit> second = run(partition, 1);
            assertThat(runs.await(60, TimeUnit.SECONDS)).as("both run").isTrue();

            replace(((KvmPartition) partition).descriptor(0));

            assertThatThrownBy(() -> first.get(60, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOf(HypervisorException.class)
                    .hasMessage("KVM could not go on with processor 0: error 25; the guest was turned off;"
                            + " --hypervisor software runs it without KVM");
            partition.processor(1).cancel();
            assertThat(second.get(60, TimeUnit.SECONDS)).isEqualTo(Exit.CANCELLED);
        }
    }

    private static FutureTask<Exit> run(Partition partition, int index) {
        FutureTask<Exit> end = new FutureTask<>(() -> partition.processor(index).run());
        Thread.ofPlatform().daemon().start(end);
        return end;
    }

    private static CpuState start() {
        CpuState state = new CpuState();
        state.rip = CODE;
        state.cr0 = 0x11;
        for (int i = 0; i < 6; i++) {
            state.segments[i] = new CpuState.Segment(0x10, 0, -1, FLAT_DATA);
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, FLAT_CODE);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, TABLE);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, TASK);
        state.idtLimit = 0xffff;
        return state;
    }

    /** Puts /dev/null in a descriptor's place. */
    private static void replace(int descriptor) {
        Linker linker = Linker.nativeLinker();
        MethodHandle open = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("open"), FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
        MethodHandle dup2 = linker.downcallHandle(
                linker.defaultLookup().findOrThrow("dup2"), FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            int other = (int) open.invokeExact(arena.allocateFrom("/dev/null"), 0);
            assertThat(other).isNotNegative();
            assertThat((int) dup2.invokeExact(other, descriptor)).isEqualTo(descriptor);
            Linux.close(other);
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** Counts down when a processor has written its first port. */
    private static final class Ports implements ExitHandler {
        private final CountDownLatch runs;
        private final boolean[] seen = new boolean[2];

        Ports(CountDownLatch runs) {
            this.runs = runs;
        }

        @Override
        public int readPort(int processor, int port, int size) {
            return 0;
        }

        @Override
        public void writePort(int processor, int port, int size, int value) {
            if (!seen[processor]) {
                seen[processor] = true;
                runs.countDown();
            }
        }

        @Override
        public long readMemory(int processor, long address, int size) {
            return 0;
        }

        @Override
        public void writeMemory(int processor, long address, int size, long value) {}

        @Override
        public boolean readMsr(int processor, int index, MsrValue result) {
            return false;
        }

        @Override
        public boolean writeMsr(int processor, int index, long value) {
            return false;
        }
    }
}
