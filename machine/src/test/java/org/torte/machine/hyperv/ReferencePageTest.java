package org.torte.machine.hyperv;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.torte.base.GuestMemory;
import org.torte.base.ManualClock;

/** Time stamps that run at another rate than the host's clock. */
class ReferencePageTest {
    private static final long FREQUENCY = 2_000_000_000L;
    private static final long PAGE = 0x3000;

    private final GuestMemory memory = GuestMemory.allocate(1 << 20);
    private final ManualClock clock = new ManualClock(Instant.EPOCH);
    private final FakePartition partition = new FakePartition(memory, 1);
    private final ReferenceClock time = new ReferenceClock(clock);
    private final ReferencePage page = new ReferencePage(memory, partition, time, FREQUENCY);

    @AfterEach
    void free() {
        memory.close();
    }

    private long shown() {
        return Math.unsignedMultiplyHigh(partition.timeStamp, memory.getLong(PAGE + 8)) + memory.getLong(PAGE + 16);
    }

    @Test
    void aCounterThatRunsTooFastIsFollowedAndTheGuestsTimeNeverStepsBack() {
        page.write(0, PAGE | 1);
        long last = shown();
        for (int second = 0; second < 60; second++) {
            for (int part = 0; part < 4; part++) {
                clock.advance(275_000_000L);
                partition.timeStamp += (long) (275_000_000L * 2 * 1.0001);
                page.follow(0);
                assertThat(shown()).isGreaterThanOrEqualTo(last);
                last = shown();
            }
        }
        // 100 ppm over 66 s are 6.6 ms; the page stays within 0.1 ms.
        assertThat(shown() - time.now()).isBetween(-1000L, 1000L);
    }

    @Test
    void aRestoreWithAnotherFrequencyRewritesThePage() {
        page.write(0, PAGE | 1);
        clock.advance(5_000_000_000L);
        partition.timeStamp = 10_000_000_000L;
        ReferencePage other = new ReferencePage(memory, partition, time, 3_000_000_000L);
        other.restore(PAGE | 1);
        assertThat(memory.getInt(PAGE)).isEqualTo(1);
        other.resume();
        assertThat(memory.getInt(PAGE)).isEqualTo(2);
        clock.advance(1_000_000_000L);
        partition.timeStamp += 3_000_000_000L;
        assertThat(shown()).isBetween(time.now() - 2, time.now() + 2);
    }

    @Test
    void aRestoredPageOutsideOfMemoryIsNeverTouched() {
        page.restore(0x7fff_ffff_f000L | 1);
        page.resume();
        clock.advance(5_000_000_000L);
        page.follow(0);
        assertThat(page.register()).isEqualTo(0x7fff_ffff_f000L | 1);
    }

    @Test
    void aRestoreWhereTheTimeFitsLeavesThePageAlone() {
        page.write(0, PAGE | 1);
        clock.advance(5_000_000_000L);
        partition.timeStamp = 10_000_000_000L;
        page.restore(PAGE | 1);
        page.resume();
        assertThat(memory.getInt(PAGE)).isEqualTo(1);
        assertThat(memory.getLong(PAGE + 16)).isZero();
    }
}
