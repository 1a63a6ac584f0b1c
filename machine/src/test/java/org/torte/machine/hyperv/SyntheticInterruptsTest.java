package org.torte.machine.hyperv;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.hypervisor.ExitHandler.MsrValue;
import org.torte.machine.hyperv.FakePartition.Interrupt;

class SyntheticInterruptsTest {
    private static final int CONTROL = 0x40000080, EVENTS = 0x40000082, MESSAGES = 0x40000083, END = 0x40000084;
    private static final int SOURCE = 0x40000090, TIMER = 0x400000b0;
    private static final long EVENT_PAGE = 0x3000, MESSAGE_PAGE = 0x4000;
    private static final int MASKED = 1 << 16;
    private static final long SECOND = 10_000_000;

    private final GuestMemory memory = GuestMemory.allocate(1 << 20);
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final ManualTimers timers = new ManualTimers(clock);
    private final FakePartition partition = new FakePartition(memory, 2);
    private final HypervInterface hyperv =
            new HypervInterface(memory, partition, timers, 1_000_000_000L, 2, TestPower.NONE, crash -> {});

    @BeforeEach
    void enable() {
        timers.resume();
        memory.putLong(EVENT_PAGE + 8, -1);
        memory.putLong(MESSAGE_PAGE + 16, -1);
        write(EVENTS, EVENT_PAGE | 1);
        write(MESSAGES, MESSAGE_PAGE | 1);
        write(SOURCE + 2, 0xf3);
        write(CONTROL, 1);
    }

    @AfterEach
    void close() {
        memory.close();
    }

    private void write(int msr, long value) {
        assertThat(hyperv.writeMsr(1, msr, value)).isTrue();
    }

    private long read(int msr) {
        MsrValue value = new MsrValue();
        assertThat(hyperv.readMsr(1, msr, value)).isTrue();
        return value.value;
    }

    private static long slot(int sint) {
        return MESSAGE_PAGE + 256L * sint;
    }

    private int pending(int sint) {
        return memory.getByte(slot(sint) + 5);
    }

    @Test
    void pagesReadAsZeroesOnceTheyAreEnabledAndMustBeRam() {
        assertThat(memory.getLong(EVENT_PAGE + 8)).isZero();
        assertThat(memory.getLong(MESSAGE_PAGE + 16)).isZero();
        assertThat(hyperv.writeMsr(1, MESSAGES, 1L << 40 | 1)).isFalse();
        assertThat(hyperv.writeMsr(1, EVENTS, 1L << 20 | 1)).isFalse();
        assertThat(read(EVENTS)).isEqualTo(EVENT_PAGE | 1);
    }

    @Test
    void messagesWaitInLineUntilTheGuestHasTakenThoseBefore() {
        for (byte i = 1; i <= 3; i++) {
            assertThat(hyperv.post(1, 2, 1, new byte[] {i, 9})).isTrue();
        }
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(1, 0xf3));
        for (int i = 1; i <= 3; i++) {
            assertThat(memory.getInt(slot(2))).isEqualTo(1);
            assertThat(memory.getByte(slot(2) + 4)).isEqualTo(2);
            assertThat(memory.getShort(slot(2) + 16)).isEqualTo(i | 9 << 8);
            assertThat(pending(2)).isEqualTo(i < 3 ? 1 : 0);
            partition.takeInterrupts();
            memory.putInt(slot(2), 0);
            write(END, 0);
            assertThat(partition.takeInterrupts()).hasSize(i < 3 ? 1 : 0);
        }
        assertThat(memory.getInt(slot(2))).isZero();
    }

    @Test
    void aMaskedSourceKeepsItsMessagesForLater() {
        write(SOURCE + 3, MASKED);
        hyperv.post(1, 3, 5, new byte[240]);
        assertThat(memory.getInt(slot(3))).isZero();
        write(SOURCE + 3, 0x55);
        assertThat(memory.getInt(slot(3))).isEqualTo(5);
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(1, 0x55));
    }

    @Test
    void theLineIsBounded() {
        int taken = 0;
        while (hyperv.post(1, 2, 1, new byte[0])) {
            taken++;
        }
        assertThat(taken).isEqualTo(SyntheticInterrupts.MAX_WAITING + 1);
        assertThat(hyperv.room(1, 2)).isZero();
        hyperv.discard(1, 2);
        assertThat(hyperv.room(1, 2)).isEqualTo(SyntheticInterrupts.MAX_WAITING);
    }

    @Test
    void anEventInterruptsOnlyWhenItsFlagWasClear() {
        hyperv.signal(1, 2, 2047);
        hyperv.signal(1, 2, 2047);
        hyperv.signal(1, 2, 33);
        assertThat(partition.takeInterrupts()).hasSize(2);
        assertThat(memory.getInt(EVENT_PAGE + 2 * 256 + 252)).isEqualTo(1 << 31);
        assertThat(memory.getInt(EVENT_PAGE + 2 * 256 + 4)).isEqualTo(2);
        write(EVENTS, 0);
        hyperv.signal(1, 2, 1);
        assertThat(partition.takeInterrupts()).isEmpty();
    }

    @Test
    void vectorsBelow16AreRefusedUnlessNobodyIsInterrupted() {
        assertThat(hyperv.writeMsr(1, SOURCE + 4, 15)).isFalse();
        assertThat(hyperv.writeMsr(1, SOURCE + 4, MASKED)).isTrue();
        assertThat(hyperv.writeMsr(1, SOURCE + 4, 1 << 18)).isTrue();
        hyperv.post(1, 4, 1, new byte[0]);
        assertThat(memory.getInt(slot(4))).isEqualTo(1);
        assertThat(partition.takeInterrupts()).isEmpty();
    }

    @Test
    void automaticEndOfInterruptIsToldToTheBackEnd() {
        write(SOURCE + 5, 0x60 | 1 << 17);
        assertThat(partition.automatic).containsExactly(new Interrupt(1, 0x60));
        write(SOURCE + 5, 0x61 | 1 << 17);
        assertThat(partition.automatic).containsExactly(new Interrupt(1, 0x61));
        write(SOURCE + 5, MASKED);
        assertThat(partition.automatic).isEmpty();
    }

    private void pass(long units) {
        clock.advance(units * 100);
        timers.runDue();
    }

    @Test
    void aDirectOneShotTimerInterruptsOnceAtItsTime() {
        write(TIMER, 1 << 12 | 0xed << 4 | 8);
        write(TIMER + 1, SECOND);
        assertThat(read(TIMER) & 1).isEqualTo(1);
        pass(SECOND - 1);
        assertThat(partition.takeInterrupts()).isEmpty();
        pass(1);
        assertThat(partition.takeInterrupts()).containsExactly(new Interrupt(1, 0xed));
        assertThat(read(TIMER) & 1).isZero();
        write(TIMER + 1, SECOND / 2);
        timers.runDue();
        assertThat(partition.takeInterrupts()).as("a time that has passed").hasSize(1);
    }

    @Test
    void aPeriodicTimerSendsMessagesWithItsTimes() {
        write(TIMER + 3, 1000);
        write(TIMER + 2, 2 << 16 | 3);
        pass(1000);
        assertThat(memory.getInt(slot(2))).isEqualTo(0x80000010);
        assertThat(memory.getInt(slot(2) + 16)).isEqualTo(1);
        assertThat(memory.getLong(slot(2) + 24)).isEqualTo(1000);
        assertThat(memory.getLong(slot(2) + 32)).isEqualTo(1000);
        memory.putInt(slot(2), 0);
        pass(1000);
        assertThat(memory.getLong(slot(2) + 24)).isEqualTo(2000);
    }

    @Test
    void aLatePeriodicTimerCatchesUpAndALazyOneDoesNot() {
        write(TIMER, 1 << 12 | 0x40 << 4 | 2);
        write(TIMER + 1, 10_000);
        write(TIMER, 1 << 12 | 0x40 << 4 | 3);
        write(TIMER + 2, 1 << 12 | 0x41 << 4 | 6);
        write(TIMER + 3, 10_000);
        write(TIMER + 2, 1 << 12 | 0x41 << 4 | 7);
        pass(50_000);
        for (int i = 0; i < 10; i++) {
            pass(100);
        }
        List<Interrupt> got = partition.takeInterrupts();
        assertThat(got.stream().filter(i -> i.vector() == 0x40)).hasSize(5);
        assertThat(got.stream().filter(i -> i.vector() == 0x41)).hasSize(1);
    }

    @Test
    void messagesOfATimerThatNobodyTakesDoNotPileUp() {
        write(TIMER + 1, 1);
        write(TIMER, 2 << 16 | 7);
        for (int i = 0; i < 1000; i++) {
            pass(1000);
        }
        assertThat(hyperv.room(1, 2)).isGreaterThan(SyntheticInterrupts.MAX_WAITING - 10);
        memory.putInt(slot(2), 0);
        write(END, 0);
        for (int i = 0; i < 20; i++) {
            memory.putInt(slot(2), 0);
            write(END, 0);
            pass(1000);
        }
        assertThat(memory.getLong(slot(2) + 24)).isGreaterThan(1000 * 1000);
    }

    @Test
    void aTimerWithoutATargetOrCountStaysOff() {
        write(TIMER + 1, 100);
        write(TIMER, 1);
        assertThat(read(TIMER) & 1).isZero();
        write(TIMER, 1 << 12 | 5 << 4 | 1);
        assertThat(read(TIMER) & 1).isZero();
        write(TIMER, 1 << 12 | 0x50 << 4 | 1);
        assertThat(read(TIMER) & 1).isEqualTo(1);
        write(TIMER + 1, 0);
        assertThat(read(TIMER) & 1).isZero();
        write(TIMER + 1, -1);
        write(TIMER, 1 << 12 | 0x50 << 4 | 1);
        pass(1_000_000);
        assertThat(partition.takeInterrupts()).isEmpty();
    }
}
