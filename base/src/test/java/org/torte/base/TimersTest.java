package org.torte.base;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TimersTest {
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final ManualTimers timers = new ManualTimers(clock);
    private final List<String> fired = new ArrayList<>();

    TimersTest() {
        timers.resume();
    }

    @Test
    void firesAtTheDeadlineAndOncePerArming() {
        timers.create(() -> fired.add("a")).arm(100);
        clock.advance(99);
        assertThat(timers.runDue()).isZero();
        clock.advance(1);
        assertThat(timers.runDue()).isEqualTo(1);
        clock.advance(1000);
        assertThat(timers.runDue()).isZero();
    }

    @Test
    void armingAgainReplacesTheDeadlineAndCancellingForgetsIt() {
        Timers.Timer a = timers.create(() -> fired.add("a"));
        Timers.Timer b = timers.create(() -> fired.add("b"));
        a.arm(10);
        b.arm(20);
        a.arm(30);
        b.cancel();
        clock.advance(25);
        assertThat(timers.runDue()).isZero();
        clock.advance(5);
        timers.runDue();
        assertThat(fired).containsExactly("a");
    }

    @Test
    void nothingFiresWhilePaused() {
        timers.create(() -> fired.add("a")).arm(0);
        timers.pause();
        assertThat(timers.runDue()).isZero();
        timers.resume();
        assertThat(timers.runDue()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void timersFireInTheOrderOfTheirDeadlinesWhateverHappensBetween(long seed) {
        RandomSource random = RandomSource.seeded(seed);
        int count = 200;
        long[] deadlines = new long[count];
        List<Timers.Timer> all = new ArrayList<>();
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            all.add(timers.create(() -> order.add(number)));
        }
        for (int step = 0; step < 2000; step++) {
            int i = (int) Long.remainderUnsigned(random.nextLong(), count);
            if ((random.nextLong() & 3) == 0) {
                all.get(i).cancel();
                deadlines[i] = -1;
            } else {
                deadlines[i] = random.nextLong() >>> 40;
                all.get(i).arm(deadlines[i]);
            }
        }
        clock.advance(1L << 24);
        timers.runDue();
        List<Long> times = order.stream().map(i -> deadlines[i]).toList();
        assertThat(times).as("seed %d", seed).isSorted().doesNotContain(-1L);
        for (int i = 0; i < count; i++) {
            assertThat(order.contains(i)).as("seed %d, timer %d", seed, i).isEqualTo(deadlines[i] > 0);
        }
    }

    @Test
    void threadFiresTimersArmedFromOtherThreadsAndFromCallbacks() throws InterruptedException {
        CountDownLatch done = new CountDownLatch(3);
        try (TimerThread thread = new TimerThread(Clock.system(), "test-timers")) {
            AtomicReference<Timers.Timer> self = new AtomicReference<>();
            self.set(thread.create(() -> {
                done.countDown();
                self.get().arm(thread.clock().nanos() + 1000);
            }));
            self.get().arm(thread.clock().nanos() + 1_000_000);
            thread.resume();
            assertThat(done.await(20, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void pauseReturnsOnlyWhenNoCallbackRuns() throws InterruptedException {
        AtomicInteger inside = new AtomicInteger();
        CountDownLatch entered = new CountDownLatch(1);
        try (TimerThread thread = new TimerThread(Clock.system(), "test-timers")) {
            AtomicReference<Timers.Timer> self = new AtomicReference<>();
            self.set(thread.create(() -> {
                inside.incrementAndGet();
                entered.countDown();
                for (int i = 0; i < 100_000; i++) {
                    Thread.onSpinWait();
                }
                inside.decrementAndGet();
                self.get().arm(0);
            }));
            self.get().arm(0);
            thread.resume();
            assertThat(entered.await(20, TimeUnit.SECONDS)).isTrue();
            for (int i = 0; i < 50; i++) {
                thread.pause();
                assertThat(inside).hasValue(0);
                thread.resume();
            }
        }
    }

    @Test
    void aFailingCallbackLeavesTheOtherTimersWorking() throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        try (TimerThread thread = new TimerThread(Clock.system(), "test-timers")) {
            thread.create(() -> {
                        throw new IllegalStateException("expected by the test");
                    })
                    .arm(Long.MIN_VALUE);
            thread.create(done::countDown).arm(thread.clock().nanos());
            thread.resume();
            assertThat(done.await(20, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void pausableClockStandsFollowsAndContinuesFromASetTime() {
        PausableClock machine = new PausableClock(clock);
        clock.advance(50);
        assertThat(machine.nanos()).isZero();
        machine.resume();
        clock.advance(7);
        assertThat(machine.nanos()).isEqualTo(7);
        machine.pause();
        clock.advance(100);
        assertThat(machine.nanos()).isEqualTo(7);
        machine.set(1000);
        machine.resume();
        clock.advance(1);
        assertThat(machine.nanos()).isEqualTo(1001);
        assertThat(machine.wallTime()).isEqualTo(Instant.EPOCH.plusNanos(158));
    }

    @Test
    void machineCodeIsToldHowFarARunningClockIsAhead() {
        assertThat(new PausableClock(clock).ahead()).isNull();
        PausableClock machine = new PausableClock(Clock.system());
        MemorySegment ahead = Objects.requireNonNull(machine.ahead());
        assertThat(ahead.get(JAVA_LONG, 0)).isEqualTo(Clock.NOT_NOW);
        machine.set(1_000_000);
        for (int i = 0; i < 3; i++) {
            machine.resume();
            long before = machine.nanos();
            long told = System.nanoTime() + ahead.get(JAVA_LONG, 0);
            assertThat(told).isBetween(before, machine.nanos());
            machine.pause();
            assertThat(ahead.get(JAVA_LONG, 0)).isEqualTo(Clock.NOT_NOW);
        }
        assertThat(Objects.requireNonNull(Clock.system().ahead()).get(JAVA_LONG, 0))
                .isZero();
    }
}
