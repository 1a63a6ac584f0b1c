package org.torte.hypervisor.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.VirtualProcessor.Exit;
import org.torte.hypervisor.shared.ProcessorImage;

/** What only KVM has to take care of, on this host's KVM. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class KvmPartitionTest {
    private static final long MESSAGE_ADDRESS = 0xfee0_0000L;
    private static final int FIRST_VECTOR = 0x20, VECTORS = 0x100 - FIRST_VECTOR;

    /** Turns the local APIC on: mov dword [0xfee000f0], 0x1ff; out 0x70, al. */
    private static final int[] APIC_ON = {0xc7, 0x05, 0xf0, 0, 0xe0, 0xfe, 0xff, 1, 0, 0, 0xe6, 0x70};

    /** jmp dword 0xd0000000, where there is no RAM: relative to the instruction after it, at 0x100005. */
    private static final int[] JUMP_OUT = {0xe9, 0xfb, 0xff, 0xef, 0xcf};

    @Test
    void messagesThatComeWhileItIsPausedAndResumedAreNotLost() throws Exception {
        List<BareGuest> self = new ArrayList<>();
        try (BareGuest guest = new BareGuest(
                1, (_, _) -> self.getFirst().partition.processor(0).cancel(), APIC_ON)) {
            self.add(guest);
            guest.partition.resume();
            assertThat(guest.run(0).get(60, TimeUnit.SECONDS)).isEqualTo(Exit.CANCELLED);

            CyclicBarrier together = new CyclicBarrier(2);
            Thread sender = Thread.ofPlatform().daemon().start(() -> {
                for (int vector = FIRST_VECTOR; vector < 0x100; vector++) {
                    await(together);
                    guest.partition.signalMessage(MESSAGE_ADDRESS, vector);
                    await(together);
                }
            });
            for (int i = 0; i < VECTORS; i++) {
                await(together);
                guest.partition.pause();
                guest.partition.resume();
                await(together);
            }
            assertThat(sender.join(java.time.Duration.ofSeconds(60))).isTrue();

            ProcessorImage image = ((KvmProcessor) guest.partition.processor(0)).save();
            List<Integer> lost = new ArrayList<>();
            for (int vector = FIRST_VECTOR; vector < 0x100; vector++) {
                if (!image.unfinished(vector)) {
                    lost.add(vector);
                }
            }
            assertThat(lost).isEmpty();
        }
    }

    private static void await(CyclicBarrier barrier) {
        try {
            barrier.await(60, TimeUnit.SECONDS);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void aGuestThatLeavesItsMemoryEndsWithOneLine() {
        try (BareGuest guest = new BareGuest(1, (_, _) -> {}, JUMP_OUT)) {
            guest.partition.resume();
            assertThatThrownBy(() -> guest.run(0).get(60, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOf(HypervisorException.class)
                    .hasMessageStartingWith(
                            "KVM could not go on with processor 0: KVM cannot emulate the instruction at 0x")
                    .hasMessageEndingWith("; the guest was turned off; --hypervisor software runs it without KVM");
        }
    }

    @Test
    void theInstructionThatKvmCannotEmulateIsShownWhereKvmTellsIt() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment run = arena.allocate(4096, 8);
            run.set(ValueLayout.JAVA_INT, 32, 1);
            assertThat(Failures.internal(run, 0x1234)).isEqualTo("KVM cannot emulate the instruction at 0x1234");
            run.set(ValueLayout.JAVA_INT, 36, 3);
            run.set(ValueLayout.JAVA_LONG, 40, 1);
            run.set(ValueLayout.JAVA_INT, 48, 0xffc9_0f03);
            assertThat(Failures.internal(run, 0x1234))
                    .isEqualTo("KVM cannot emulate the instruction at 0x1234, which begins with 0f c9 ff");
            run.set(ValueLayout.JAVA_INT, 32, 3);
            assertThat(Failures.internal(run, 0x1234)).isEqualTo("KVM's internal error 3");
        }
    }

    @Test
    void errorsOfTheHostHaveWords() {
        assertThat(Failures.running(14)).isEqualTo("the host has no memory for a page of the guest (error 14)");
        assertThat(Failures.running(5)).contains("given the machine up");
        assertThat(Failures.running(25)).isEqualTo("error 25");
    }

    @Test
    void aClosedPartitionReachesNoDescriptorThatMayBeSomebodyElses() {
        BareGuest guest = new BareGuest(1, (_, _) -> {}, 0xf4);
        guest.partition.startDirtyTracking();
        guest.close();
        assertThatThrownBy(guest.partition::takeDirtyPages).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(guest.partition::stopDirtyTracking).isInstanceOf(IllegalStateException.class);
    }
}
