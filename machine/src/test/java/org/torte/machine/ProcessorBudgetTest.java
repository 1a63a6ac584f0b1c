package org.torte.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Processors that run whenever they may, looked at a hundred times a second. */
class ProcessorBudgetTest {
    private static final long TICK = 10_000_000, MOST = 10 * TICK;

    private final ProcessorBudget budget = new ProcessorBudget(2);
    private final long[] used = {77, 1L << 40};

    /** What a processor uses of so many ticks when it takes all that it gets. */
    private long use(int processor, int ticks, int percent) {
        long before = used[processor];
        boolean runs = budget.mayRun(processor, used[processor]);
        for (int i = 0; i < ticks; i++) {
            used[processor] += runs ? TICK : 0;
            budget.grant(TICK * percent / 100, MOST * percent / 100);
            // One that runs is stopped to be looked at; one that stands is woken.
            runs = runs ? budget.mayRun(processor, used[processor]) : !budget.holds(processor);
        }
        return used[processor] - before;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 10, 33, 50, 90, 100})
    void aProcessorThatTakesAllItGetsHasItsPercentage(int percent) {
        budget.limit(true);
        assertThat(use(0, 10_000, percent)).isCloseTo(10_000 * TICK * percent / 100, within(2 * TICK));
    }

    @Test
    void anotherLimitHoldsFromWhenItIsSet() {
        budget.limit(true);
        assertThat(use(0, 1000, 50)).isCloseTo(500 * TICK, within(2 * TICK));
        assertThat(use(0, 1000, 20)).isCloseTo(200 * TICK, within(2 * TICK));
        budget.limit(false);
        assertThat(use(0, 1000, 50)).isEqualTo(1000 * TICK);
        budget.limit(true);
        assertThat(use(0, 1000, 50)).isCloseTo(500 * TICK, within(2 * TICK));
    }

    @Test
    void whoWasIdleCatchesUpForAMomentOnly() {
        budget.limit(true);
        assertThat(budget.mayRun(1, used[1])).isFalse();
        for (int i = 0; i < 1000; i++) {
            budget.grant(TICK / 2, MOST / 2);
        }
        assertThat(use(1, 1000, 50)).isCloseTo(500 * TICK + MOST / 2, within(2 * TICK));
    }
}
