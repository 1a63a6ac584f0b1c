package org.torte.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class PageBacklogTest {
    @Test
    void eachPageIsTakenOnceForEachTimeThatItBeginsToWait() {
        long seed = Long.getLong("torte.seed", 1);
        System.out.println("seed " + seed);
        SplittableRandom random = new SplittableRandom(seed);
        PageBacklog backlog = new PageBacklog();
        BitSet waiting = new BitSet();
        for (int i = 0; i < 2000; i++) {
            if (random.nextBoolean()) {
                BitSet written = new BitSet();
                for (int k = random.nextInt(200); k > 0; k--) {
                    written.set(random.nextInt(100 + 2 * i));
                }
                waiting.or(written);
                assertThat(backlog.add(written.toLongArray())).isEqualTo(written.cardinality());
            } else {
                int most = 1 + random.nextInt(300);
                BitSet taken = BitSet.valueOf(backlog.take(most));
                assertThat(taken.cardinality()).isLessThan(most + 64);
                assertThat(taken.cardinality()).isGreaterThanOrEqualTo(Math.min(most, waiting.cardinality()));
                BitSet strangers = (BitSet) taken.clone();
                strangers.andNot(waiting);
                assertThat(strangers.isEmpty()).isTrue();
                waiting.andNot(taken);
            }
            assertThat(backlog.count()).isEqualTo(waiting.cardinality());
        }
    }

    @Test
    void aPageThatIsWrittenAllTheTimeKeepsNoOtherFromItsTurn() {
        PageBacklog backlog = new PageBacklog();
        assertThat(backlog.add(new long[] {-1, -1, -1})).isEqualTo(192);
        BitSet taken = new BitSet();
        for (int i = 0; i < 3; i++) {
            taken.or(BitSet.valueOf(backlog.take(1)));
            assertThat(backlog.add(new long[] {1})).isEqualTo(1);
        }
        assertThat(taken.cardinality()).isEqualTo(192);
    }
}
