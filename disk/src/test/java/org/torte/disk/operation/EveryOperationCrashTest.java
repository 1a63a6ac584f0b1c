package org.torte.disk.operation;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.torte.disk.crash.CrashStates;

/** The same with all subsets of up to twelve modifications, and each write torn at all multiples of 512. */
@Tag("long")
class EveryOperationCrashTest extends OperationCrashTest {
    @Override
    CrashStates crashes(long seed) {
        return new CrashStates(12, 60, 0, new SplittableRandom(seed));
    }
}
