package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.List;
import org.torte.hypervisor.LastSteps;

/** The runs of instructions that a processor executed last, for crash reports. Kept up at every block, by its thread alone. */
final class Trail {
    static final int SIZE = 32;

    /** The runs, each at its number modulo the size, as {@link Block#trace(long, int)} packs them. */
    final long[] runs = new long[SIZE];

    /** How many there have been; the interpreter writes the next one before it is whole. */
    long count;

    /** Translated code is left behind so many bytes of a translation; all that is known of what it did. */
    void left(long rip, int bytes) {
        long run = Block.translatedTrace(rip, bytes);
        if (bytes > 0 && (count == 0 || runs[(int) (count - 1) & SIZE - 1] != run)) {
            runs[(int) count++ & SIZE - 1] = run;
        }
    }

    /** The runs, oldest first. */
    List<LastSteps.Run> last() {
        List<LastSteps.Run> last = new ArrayList<>();
        for (long i = Math.max(0, count - SIZE); i < count; i++) {
            last.add(Block.run(runs[(int) i & SIZE - 1]));
        }
        return last;
    }
}
