package org.torte.base;

import java.security.SecureRandom;
import java.util.SplittableRandom;

/** Where a virtual machine gets randomness from. Implementations are safe for use by several threads. */
@FunctionalInterface
public interface RandomSource {
    /** 64 random bits. */
    long nextLong();

    /** Unpredictable bits from the host. */
    static RandomSource secure() {
        SecureRandom random = new SecureRandom();
        return random::nextLong;
    }

    /** The same bits on every run with the same seed. */
    static RandomSource seeded(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return () -> {
            synchronized (random) {
                return random.nextLong();
            }
        };
    }
}
