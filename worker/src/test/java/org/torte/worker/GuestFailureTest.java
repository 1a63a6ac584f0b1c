package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.torte.machine.GuestCrash;

class GuestFailureTest {
    private static String describe(String message) {
        return GuestFailure.describe(new GuestCrash(1, 2, 3, 4, 0xabc, message));
    }

    @Test
    void theLineThatNamesTheCauseIsChosen() {
        assertThat(describe("<4>[1.0] something\n<0>[2.0] Kernel panic - not syncing: test\n<0>[2.1] ---[ end ]---\n"))
                .isEqualTo("<0>[2.0] Kernel panic - not syncing: test");
        assertThat(describe("first\nlast\n\n")).isEqualTo("last");
        assertThat(describe("")).isEqualTo("codes 1 2 3 4 abc");
    }

    @Test
    void aGuestCannotReachTheTerminal() {
        assertThat(describe("\033[2Jboo\007")).isEqualTo("?[2Jboo?");
        assertThat(describe("x".repeat(100_000))).hasSizeLessThan(400);
    }
}
