package org.torte.worker.control;

import java.util.function.Consumer;

/** Tells how far something is, each percent once. For one thread. */
final class Percent {
    private final Consumer<String> progress;
    private long last = -1;

    Percent(Consumer<String> progress) {
        this.progress = progress;
    }

    void advanced(long done, long total) {
        long now = total <= 0 ? 100 : (long) (100.0 * done / total);
        if (now != last) {
            last = now;
            progress.accept(now + " %");
        }
    }
}
