package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.hypervisor.software.translator.PageFilter;

class JumpCacheTest {
    /** INVLPG takes any address, and a page that the filter takes for another one is looked through. */
    @ParameterizedTest
    @ValueSource(longs = {0, -4096, Long.MAX_VALUE, Long.MIN_VALUE})
    void theLastPageOfAnyPartOfTheAddressSpaceCanBeForgotten(long address) {
        Mmu.JumpCache jumps = new Mmu.JumpCache();
        long other = lookingLike(address);
        jumps.put(other, Block.NONE, false);

        assertTimeoutPreemptively(Duration.ofSeconds(20), () -> jumps.clearPage(address));

        assertThat(jumps.find(other)).isSameAs(Block.NONE);
    }

    @Test
    void aPageIsForgottenFromItsFirstByteToItsLast() {
        Mmu.JumpCache jumps = new Mmu.JumpCache();
        for (long rip : new long[] {0x1fff, 0x2000, 0x2fff, 0x3000}) {
            jumps.put(rip, Block.NONE, false);
        }

        jumps.clearPage(0x2800);

        assertThat(jumps.find(0x1fff)).isNotNull();
        assertThat(jumps.find(0x2000)).isNull();
        assertThat(jumps.find(0x2fff)).isNull();
        assertThat(jumps.find(0x3000)).isNotNull();
    }

    /** A canonical page that {@link PageFilter} does not tell from that of an address. */
    private static long lookingLike(long address) {
        for (long page = 0x10_0000; ; page += 0x1000) {
            PageFilter filter = new PageFilter();
            filter.add(page);
            if (filter.mayContain(address)) {
                return page;
            }
        }
    }
}
