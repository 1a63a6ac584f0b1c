package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LocalApicTest {
    private static final long ADDRESSES = (1L << 40) - 1;
    private static final long ENABLED = LocalApic.BASE_ENABLED;
    private static final long X2APIC = LocalApic.BASE_ENABLED | LocalApic.BASE_X2APIC;

    private final ManualTimers timers = new ManualTimers();
    private final InterruptRouter router = new InterruptRouter();
    private final List<LocalApic> apics = new ArrayList<>();
    private final List<Events> events = new ArrayList<>();
    private final List<TimeStampCounter> counters = new ArrayList<>();

    @BeforeEach
    void makeThreeProcessors() {
        for (int i = 0; i < 3; i++) {
            Events e = new Events();
            TimeStampCounter tsc = new TimeStampCounter(timers.clock(), 2_000_000_000L);
            LocalApic apic = new LocalApic(i, router, e, timers, tsc);
            apic.writeMemory(0xf0, 4, 0x1ff);
            apic.writeMemory(0xd0, 4, 1 << 24 + i);
            events.add(e);
            counters.add(tsc);
            apics.add(apic);
        }
        router.connect(apics);
    }

    private LocalApic apic(int i) {
        return apics.get(i);
    }

    private boolean pending(int processor, int event) {
        return events.get(processor).isPending(event);
    }

    private void x2apic(int i) {
        assertThat(apic(i).setBaseRegister(apic(i).baseRegister() | X2APIC, ADDRESSES, true))
                .isTrue();
    }

    @Test
    void afterPowerUpOnlyTheFirstIsTheBootstrapProcessorAndAllEntriesAreMasked() {
        LocalApic fresh = new LocalApic(1, router, new Events(), timers, counters.getFirst());
        assertThat(fresh.baseRegister()).isEqualTo(0xfee0_0800L);
        assertThat(apic(0).baseRegister()).isEqualTo(0xfee0_0900L);
        assertThat(fresh.readMemory(0xf0, 4)).isEqualTo(0xff);
        assertThat(fresh.readMemory(0xe0, 4)).isEqualTo(0xffff_ffffL);
        for (int register = 0x320; register <= 0x370; register += 0x10) {
            assertThat(fresh.readMemory(register, 4)).isEqualTo(0x10000);
        }
        assertThat(fresh.readMemory(0x20, 4)).isEqualTo(1 << 24);
    }

    @Test
    void theHighestVectorIsDeliveredFirstAndBlocksItsClassUntilEndOfInterrupt() {
        apic(0).request(0x31, false);
        apic(0).request(0x45, false);
        apic(0).request(0x41, false);
        assertThat(pending(0, Events.INTERRUPT)).isTrue();
        assertThat(apic(0).acknowledge()).isEqualTo(0x45);
        assertThat(apic(0).readMemory(0xa0, 4)).isEqualTo(0x40);
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
        assertThat(pending(0, Events.INTERRUPT)).isFalse();
        apic(0).request(0x52, false);
        assertThat(apic(0).acknowledge()).isEqualTo(0x52);
        apic(0).endOfInterrupt();
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
        apic(0).endOfInterrupt();
        assertThat(pending(0, Events.INTERRUPT)).isTrue();
        assertThat(apic(0).acknowledge()).isEqualTo(0x41);
        apic(0).endOfInterrupt();
        assertThat(apic(0).acknowledge()).isEqualTo(0x31);
        apic(0).endOfInterrupt();
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
    }

    @Test
    void theTaskPriorityHoldsBackItsClassAndBelow() {
        apic(0).setCr8(5);
        apic(0).request(0x5f, false);
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
        assertThat(apic(0).cr8()).isEqualTo(5);
        assertThat(apic(0).readMemory(0x80, 4)).isEqualTo(0x50);
        apic(0).setCr8(4);
        assertThat(pending(0, Events.INTERRUPT)).isTrue();
        assertThat(apic(0).acknowledge()).isEqualTo(0x5f);
    }

    @Test
    void requestAndServiceRegistersShowVectors() {
        apic(0).request(0x21, false);
        apic(0).request(0xfe, true);
        assertThat(apic(0).readMemory(0x210, 4)).isEqualTo(2);
        assertThat(apic(0).readMemory(0x270, 4)).isEqualTo(1 << 30);
        assertThat(apic(0).readMemory(0x1f0, 4)).isEqualTo(1 << 30);
        assertThat(apic(0).acknowledge()).isEqualTo(0xfe);
        assertThat(apic(0).readMemory(0x270, 4)).isZero();
        assertThat(apic(0).readMemory(0x170, 4)).isEqualTo(1 << 30);
    }

    @Test
    void illegalVectorsAreReportedNotDelivered() {
        apic(0).writeMemory(0x370, 4, 0x60);
        apic(0).writeMemory(0x300, 4, 0x0c000005 & 0xfff | 0x40000);
        assertThat(apic(0).readMemory(0x280, 4)).isZero();
        apic(0).writeMemory(0x280, 4, 0);
        assertThat(apic(0).readMemory(0x280, 4)).isEqualTo(0x20);
        assertThat(apic(0).acknowledge()).isEqualTo(0x60);
        apic(0).writeMemory(0x280, 4, 0);
        assertThat(apic(0).readMemory(0x280, 4)).isZero();
        apic(0).request(3, false);
        apic(0).readMemory(0x40, 4);
        apic(0).writeMemory(0x280, 4, 0);
        assertThat(apic(0).readMemory(0x280, 4)).isEqualTo(0xc0);
    }

    @Test
    void interProcessorInterruptsReachTheirDestinations() {
        apic(0).writeMemory(0x310, 4, 2 << 24);
        apic(0).writeMemory(0x300, 4, 0x40fd);
        assertThat(apic(2).acknowledge()).isEqualTo(0xfd);
        assertThat(apic(1).acknowledge()).isEqualTo(-1);
        apic(0).writeMemory(0x310, 4, 6 << 24); // logical flat: processors 1 and 2
        apic(0).writeMemory(0x300, 4, 0x48fe);
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
        assertThat(apic(1).acknowledge()).isEqualTo(0xfe);
        apic(2).endOfInterrupt();
        assertThat(apic(2).acknowledge()).isEqualTo(0xfe);
        apic(0).writeMemory(0x300, 4, 0x40031); // self
        assertThat(apic(0).acknowledge()).isEqualTo(0x31);
        apic(0).writeMemory(0x300, 4, 0xc0400); // NMI to the others
        assertThat(pending(0, Events.NMI)).isFalse();
        assertThat(pending(1, Events.NMI)).isTrue();
        assertThat(pending(2, Events.NMI)).isTrue();
        assertThat(apic(0).readMemory(0x310, 4)).isEqualTo(6 << 24);
    }

    @Test
    void clusterModelMatchesClusterAndMember() {
        for (int i = 0; i < 3; i++) {
            apic(i).writeMemory(0xe0, 4, 0x0fffffff);
            apic(i).writeMemory(0xd0, 4, (i == 2 ? 0x21 : 0x11 << 0 | 1 << i) << 24);
        }
        apic(0).writeMemory(0x310, 4, 0x12 << 24);
        apic(0).writeMemory(0x300, 4, 0x4870);
        assertThat(apic(1).acknowledge()).isEqualTo(0x70);
        assertThat(apic(2).acknowledge()).isEqualTo(-1);
        apic(0).writeMemory(0x310, 4, 0xf1 << 24);
        apic(0).writeMemory(0x300, 4, 0x4880);
        assertThat(apic(2).acknowledge()).isEqualTo(0x80);
    }

    @Test
    void startupFollowsInitAndALaterInitDiscardsIt() {
        apic(0).writeMemory(0x310, 4, 1 << 24);
        apic(0).writeMemory(0x300, 4, 0xc500); // INIT, assert, level
        assertThat(pending(1, Events.INIT)).isTrue();
        apic(0).writeMemory(0x300, 4, 0x8500); // de-assert: nothing
        apic(0).writeMemory(0x300, 4, 0x0699);
        assertThat(pending(1, Events.STARTUP)).isTrue();
        assertThat(apic(1).startupVector()).isEqualTo(0x99);
        apic(0).writeMemory(0x300, 4, 0xc500);
        assertThat(pending(1, Events.STARTUP)).isFalse();
        assertThat(pending(2, Events.INIT)).isFalse();
    }

    @Test
    void lowestPriorityGoesToTheLeastBusyAndEqualsTakeTurns() {
        apic(0).setCr8(3);
        apic(1).setCr8(2);
        apic(2).setCr8(3);
        apic(0).writeMemory(0x310, 4, 7 << 24);
        apic(0).writeMemory(0x300, 4, 0x4990);
        assertThat(apic(1).acknowledge()).isEqualTo(0x90);
        apic(1).endOfInterrupt();
        apics.forEach(a -> a.setCr8(0));
        int[] taken = new int[3];
        for (int n = 0; n < 9; n++) {
            apic(0).writeMemory(0x300, 4, 0x4990);
            for (int i = 0; i < 3; i++) {
                if (apic(i).acknowledge() == 0x90) {
                    taken[i]++;
                    apic(i).endOfInterrupt();
                }
            }
        }
        assertThat(taken).containsExactly(3, 3, 3);
    }

    @Test
    void x2apicHasWideDestinationsLogicalIdsAndSelfInterrupts() {
        for (int i = 0; i < 3; i++) {
            x2apic(i);
        }
        assertThat(apic(1).pageAddress()).isEqualTo(-1);
        assertThat(apic(1).readMsr(LocalApic.ID)).isEqualTo(1);
        assertThat(apic(2).readMsr(LocalApic.LDR)).isEqualTo(4);
        assertThat(apic(0).writeMsr(LocalApic.ICR, 2L << 32 | 0x40)).isTrue();
        assertThat(apic(2).acknowledge()).isEqualTo(0x40);
        assertThat(apic(0).writeMsr(LocalApic.ICR, 3L << 32 | 0x850)).isTrue();
        assertThat(apic(0).acknowledge()).isEqualTo(0x50);
        assertThat(apic(1).acknowledge()).isEqualTo(0x50);
        assertThat(apic(0).writeMsr(LocalApic.ICR, 0x1_0003L << 32 | 0x850)).isTrue();
        assertThat(apic(1).deliverable()).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.ICR, 0xffff_ffffL << 32 | 0x60)).isTrue();
        assertThat(apics).allMatch(a -> a.acknowledge() == 0x60);
        assertThat(apic(0).writeMsr(LocalApic.SELF_IPI, 0x70)).isTrue();
        assertThat(apic(0).acknowledge()).isEqualTo(0x70);
        assertThat(apic(0).writeMsr(LocalApic.EOI, 0)).isTrue();
        assertThat(apic(0).readMsr(LocalApic.PPR)).isEqualTo(0x60);
    }

    @Test
    void x2apicRefusesReservedRegistersAndBits() {
        assertThat(apic(0).msrReadable(LocalApic.ID)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.EOI, 0)).isFalse();
        x2apic(0);
        for (int unreadable : new int[] {0, 1, 4, 0x09, 0x0b, 0x0c, 0x0e, 0x29, 0x2f, 0x31, 0x3a, 0x3d, 0x3f}) {
            assertThat(apic(0).msrReadable(unreadable)).as("%#x", unreadable).isFalse();
        }
        for (int unwritable : new int[] {0x02, 0x03, 0x0a, 0x0d, 0x0e, 0x10, 0x18, 0x20, 0x31, 0x39}) {
            assertThat(apic(0).writeMsr(unwritable, 0)).as("%#x", unwritable).isFalse();
        }
        assertThat(apic(0).writeMsr(LocalApic.EOI, 1)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.TPR, 0x100)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.SVR, 0x1000)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.ESR, 1)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.DIVIDE, 4)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.ICR, 1 << 20 | 0x40)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.SELF_IPI, 0x140)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.LVT_LINT0, 1 << 17)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.TPR, 1L << 32)).isFalse();
        assertThat(apic(0).writeMsr(LocalApic.TPR, 0x20)).isTrue();
    }

    @Test
    void modesChangeOnlyAlongTheAllowedPaths() {
        long page = LocalApic.DEFAULT_BASE;
        assertThat(apic(0).setBaseRegister(page | LocalApic.BASE_X2APIC, ADDRESSES, true))
                .isFalse();
        assertThat(apic(0).setBaseRegister(page | X2APIC, ADDRESSES, false)).isFalse();
        assertThat(apic(0).setBaseRegister(page | ENABLED | 1, ADDRESSES, true)).isFalse();
        assertThat(apic(0).setBaseRegister(1L << 40 | ENABLED, ADDRESSES, true)).isFalse();
        assertThat(apic(0).setBaseRegister(page | X2APIC, ADDRESSES, true)).isTrue();
        assertThat(apic(0).setBaseRegister(page | ENABLED, ADDRESSES, true)).isFalse();
        assertThat(apic(0).setBaseRegister(page, ADDRESSES, true)).isTrue();
        assertThat(apic(0).pageAddress()).isEqualTo(-1);
        assertThat(apic(0).setBaseRegister(page | X2APIC, ADDRESSES, true)).isFalse();
        assertThat(apic(0).setBaseRegister(0x1234_5000L | ENABLED, ADDRESSES, true))
                .isTrue();
        assertThat(apic(0).pageAddress()).isEqualTo(0x1234_5000L);
        assertThat(apic(0).readMemory(0xf0, 4)).as("disabling resets").isEqualTo(0xff);
    }

    @Test
    void softwareDisabledAcceptsOnlyMessagesWithoutVector() {
        apic(1).writeMemory(0x350, 4, 0x700);
        apic(1).writeMemory(0xf0, 4, 0xff);
        assertThat(apic(1).readMemory(0x350, 4)).isEqualTo(0x10700);
        apic(0).writeMemory(0x310, 4, 1 << 24);
        apic(0).writeMemory(0x300, 4, 0x4040);
        apic(0).writeMemory(0x300, 4, 0x4400);
        assertThat(apic(1).acknowledge()).isEqualTo(-1);
        assertThat(pending(1, Events.NMI)).isTrue();
        apic(1).writeMemory(0x350, 4, 0x700);
        assertThat(apic(1).readMemory(0x350, 4)).as("stays masked").isEqualTo(0x10700);
    }

    @Test
    void the8259IsAcknowledgedThroughAnUnmaskedLint0() {
        LocalApic apic = apic(0);
        apic.setExternal(true, () -> {
            apic.setExternal(false, () -> 0);
            return 0x08;
        });
        assertThat(apic.acknowledge()).isEqualTo(-1);
        apic.setCr8(15);
        apic.writeMemory(0x350, 4, 0x700);
        assertThat(pending(0, Events.INTERRUPT)).isTrue();
        assertThat(apic.acknowledge()).isEqualTo(8);
        assertThat(apic.readMemory(0x100, 4)).as("not in service").isZero();
        assertThat(apic.acknowledge()).isEqualTo(-1);
        assertThat(apic.setBaseRegister(LocalApic.DEFAULT_BASE, ADDRESSES, true))
                .isTrue();
        apic.setExternal(true, () -> 0x77);
        assertThat(pending(0, Events.INTERRUPT)).isTrue();
        assertThat(apic.acknowledge()).as("a disabled APIC passes the pin on").isEqualTo(0x77);
    }

    @Test
    void lint1DeliversAsItsEntrySays() {
        apic(0).pulseLint1();
        assertThat(pending(0, Events.NMI)).isFalse();
        apic(0).writeMemory(0x360, 4, 0x400);
        apic(0).pulseLint1();
        assertThat(pending(0, Events.NMI)).isTrue();
    }

    @Test
    void theOneShotTimerCountsDownAndFiresOnce() {
        LocalApic apic = apic(0);
        apic.writeMemory(0x320, 4, 0xec);
        apic.writeMemory(0x3e0, 4, 0x3); // divide by 16
        apic.writeMemory(0x380, 4, 1000);
        timers.advance(8000);
        assertThat(apic.readMemory(0x390, 4)).isEqualTo(500);
        timers.advance(7999);
        assertThat(apic.acknowledge()).isEqualTo(-1);
        assertThat(apic.readMemory(0x390, 4)).isEqualTo(1);
        timers.advance(1);
        assertThat(apic.readMemory(0x390, 4)).isZero();
        assertThat(apic.acknowledge()).isEqualTo(0xec);
        timers.advance(1_000_000);
        apic.endOfInterrupt();
        assertThat(apic.acknowledge()).isEqualTo(-1);
        assertThat(apic.readMemory(0x380, 4)).isEqualTo(1000);
    }

    @Test
    void thePeriodicTimerFiresEveryPeriodWithoutDrift() {
        LocalApic apic = apic(0);
        apic.writeMemory(0x3e0, 4, 0xb); // divide by 1
        apic.writeMemory(0x320, 4, 0x200ec);
        apic.writeMemory(0x380, 4, 1_000_000);
        int count = 0;
        for (int i = 0; i < 100; i++) {
            timers.advance(100_000);
            if (apic.acknowledge() == 0xec) {
                count++;
                apic.endOfInterrupt();
            }
        }
        assertThat(count).isEqualTo(10);
        timers.advance(250_000);
        assertThat(apic.readMemory(0x390, 4)).isEqualTo(750_000);
        apic.writeMemory(0x380, 4, 0);
        timers.advance(10_000_000);
        assertThat(apic.acknowledge()).isEqualTo(-1);
    }

    @Test
    void aHostilePeriodDoesNotKeepTheTimerThreadBusy() {
        apic(0).writeMemory(0x320, 4, 0x200ec);
        apic(0).writeMemory(0x3e0, 4, 0xb);
        apic(0).writeMemory(0x380, 4, 1);
        timers.advance(1_000_000);
        assertThat(timers.fired).isLessThanOrEqualTo(1 + 1_000_000 / (int) ApicTimer.MIN_PERIOD);
        assertThat(apic(0).acknowledge()).isEqualTo(0xec);
    }

    @Test
    void theDeadlineTimerFiresWhenTheCounterGetsThere() {
        LocalApic apic = apic(0);
        apic.timer().setTscDeadline(1000);
        assertThat(apic.timer().tscDeadline()).as("ignored in other modes").isZero();
        apic.writeMemory(0x320, 4, 0x400ec);
        long deadline = counters.getFirst().read() + 2_000_000;
        apic.timer().setTscDeadline(deadline);
        assertThat(apic.timer().tscDeadline()).isEqualTo(deadline);
        timers.advance(999_999);
        assertThat(apic.acknowledge()).isEqualTo(-1);
        timers.advance(2);
        assertThat(apic.acknowledge()).isEqualTo(0xec);
        assertThat(apic.timer().tscDeadline()).isZero();
        apic.endOfInterrupt();
        apic.timer().setTscDeadline(1);
        assertThat(apic.acknowledge()).as("in the past: at once").isEqualTo(0xec);
        apic.endOfInterrupt();
        apic.timer().setTscDeadline(deadline + 10_000_000);
        apic.timer().setTscDeadline(0);
        timers.advance(100_000_000);
        assertThat(apic.acknowledge()).isEqualTo(-1);
        apic.timer().setTscDeadline(-1);
        timers.advance(100_000_000);
        assertThat(apic.acknowledge()).as("unsigned").isEqualTo(-1);
    }

    @Test
    void postponedDeadlinesDoNotMoveTheHostTimer() {
        apic(0).writeMemory(0x320, 4, 0x400ec);
        for (int i = 1; i <= 100; i++) {
            apic(0).timer().setTscDeadline(2_000_000L * i);
        }
        assertThat(timers.armings).isEqualTo(1);
        timers.advance(99_999_999);
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
        timers.advance(2);
        assertThat(apic(0).acknowledge()).isEqualTo(0xec);
    }

    @Test
    void writingTheCounterMovesTheDeadline() {
        apic(0).writeMemory(0x320, 4, 0x400ec);
        TimeStampCounter tsc = counters.getFirst();
        tsc.write(0);
        apic(0).timer().setTscDeadline(2_000_000);
        tsc.write(1_990_000);
        assertThat(tsc.adjust()).isEqualTo(1_990_000);
        apic(0).timer().tscChanged();
        timers.advance(5_001);
        assertThat(apic(0).acknowledge()).isEqualTo(0xec);
    }

    @Test
    void aMaskedTimerExpiresSilently() {
        apic(0).writeMemory(0x3e0, 4, 0xb);
        apic(0).writeMemory(0x320, 4, 0x100ec);
        apic(0).writeMemory(0x380, 4, 1000);
        timers.advance(2000);
        apic(0).writeMemory(0x320, 4, 0xec);
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
    }

    @Test
    void partsOfRegistersCanBeReadButNotWritten() {
        apic(0).writeMemory(0xd0, 4, 0x5500_0000);
        assertThat(apic(0).readMemory(0xd3, 1)).isEqualTo(0x55);
        assertThat(apic(0).readMemory(0xd2, 2)).isEqualTo(0x5500);
        assertThat(apic(0).readMemory(0xd4, 4)).isZero();
        apic(0).writeMemory(0xd3, 1, 0x77);
        apic(0).writeMemory(0xd4, 4, 0x7700_0000);
        assertThat(apic(0).readMemory(0xd0, 4)).isEqualTo(0x5500_0000);
    }

    @Test
    void concurrentSendersLoseNothing() throws InterruptedException {
        int senders = 3;
        int rounds = 20_000;
        CountDownLatch done = new CountDownLatch(senders);
        AtomicBoolean[] consumed = new AtomicBoolean[senders];
        List<Thread> threads = new ArrayList<>();
        for (int s = 0; s < senders; s++) {
            int vector = 0x40 + 0x10 * s;
            AtomicBoolean taken = new AtomicBoolean(true);
            consumed[s] = taken;
            threads.add(Thread.ofPlatform().start(() -> {
                for (int i = 0; i < rounds; i++) {
                    while (!taken.compareAndSet(true, false)) {
                        Thread.onSpinWait();
                    }
                    apic(0).request(vector, false);
                }
                done.countDown();
            }));
        }
        int received = 0;
        while (received < senders * rounds) {
            events.getFirst().await(Events.INTERRUPT);
            for (int vector = apic(0).acknowledge(); vector >= 0; vector = apic(0).acknowledge()) {
                received++;
                apic(0).endOfInterrupt();
                consumed[vector - 0x40 >> 4].set(true);
            }
        }
        done.await();
        for (Thread thread : threads) {
            thread.join();
        }
        assertThat(apic(0).acknowledge()).isEqualTo(-1);
    }
}
