package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.torte.hypervisor.TranslatorMode;

/** Instructions that lock, interpreted; {@link TranslatorTest} has them translated. */
class LockHammerTest {
    @Test
    void whatThreeProcessorsLockIsWhole() {
        assertThat(LockHammer.run(3, 1280, TranslatorMode.OFF)).isEmpty();
    }
}
