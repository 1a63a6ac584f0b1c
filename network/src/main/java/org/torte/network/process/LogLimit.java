package org.torte.network.process;

import java.util.function.Consumer;
import org.torte.base.Clock;

/**
 * Hands on so many lines a minute, and counts the others: what others do is logged, but they cannot fill a disk with it.
 * Lines are cut where they are long, and have no control characters. Safe for several threads.
 */
final class LogLimit implements Consumer<String> {
    /** Lines of a minute. */
    static final int LINES = 60;

    /** Characters of a line. */
    static final int LONGEST = 500;

    private static final long MINUTE = 60_000_000_000L;

    private final Consumer<String> log;
    private final Clock clock;
    private long began;
    private int lines;
    private long left;

    LogLimit(Consumer<String> log, Clock clock) {
        this.log = log;
        this.clock = clock;
        began = clock.nanos();
    }

    @Override
    public synchronized void accept(String line) {
        long now = clock.nanos();
        if (now - began >= MINUTE) {
            began = now;
            lines = 0;
        }
        if (lines == LINES) {
            left++;
            return;
        }
        lines++;
        if (left > 0) {
            log.accept(left + " lines before this one were left out");
            left = 0;
        }
        log.accept(printable(line));
    }

    private static String printable(String line) {
        String cut = line.length() > LONGEST ? line.substring(0, LONGEST) + "..." : line;
        return cut.replaceAll("\\p{Cntrl}", "?");
    }
}
