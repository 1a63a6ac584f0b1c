package org.torte.disk;

import java.util.UUID;
import org.torte.base.RandomSource;

/** Identifiers of disks and of their versions. */
public final class Identifiers {
    private Identifiers() {}

    /** A random identifier: RFC 9562, version 4. */
    public static UUID random(RandomSource source) {
        long high = source.nextLong() & ~0xf000L | 0x4000L;
        return new UUID(high, source.nextLong() & ~(3L << 62) | 2L << 62);
    }
}
