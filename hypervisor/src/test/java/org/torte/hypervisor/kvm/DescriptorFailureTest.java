package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.VirtualProcessor.Exit;

/** A processor's descriptor fails while its guest runs: another file is put in its place. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DescriptorFailureTest {
    /** Without end: out 0x70, al; jmp back. */
    private static final int[] PORTS = {0xe6, 0x70, 0xeb, 0xfc};

    @Test
    void theProcessorStopsWithOneLineAndTheOtherCanBeStopped() throws Exception {
        CountDownLatch[] runs = {new CountDownLatch(1), new CountDownLatch(1)};
        try (BareGuest guest = new BareGuest(2, (processor, _) -> runs[processor].countDown(), PORTS)) {
            guest.partition.resume();
            FutureTask<Exit> first = guest.run(0);
            FutureTask<Exit> second = guest.run(1);
            for (CountDownLatch run : runs) {
                assertThat(run.await(60, TimeUnit.SECONDS)).as("both run").isTrue();
            }

            replace(guest.partition.descriptor(0));

            assertThatThrownBy(() -> first.get(60, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOf(HypervisorException.class)
                    .hasMessage("KVM could not go on with processor 0: error 25; the guest was turned off;"
                            + " --hypervisor software runs it without KVM");
            guest.partition.processor(1).cancel();
            assertThat(second.get(60, TimeUnit.SECONDS)).isEqualTo(Exit.CANCELLED);
        }
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
}
