package org.torte.management.process;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Whether a worker answers. It is asked every {@link #EVERY}, unless a question is open; one that is open for {@link
 * #DEADLINE} says that the worker hangs, until an answer comes. Safe for several threads.
 */
final class Pulse {
    /** How often it is looked after. */
    static final Duration EVERY = Duration.ofMillis(250);

    /** How long an answer may take: with {@link #EVERY} twice, a hang is noticed within 2 s. */
    static final Duration DEADLINE = Duration.ofMillis(1250);

    private final ProcessHandle process;
    /** When the question was asked that has no answer yet, by the host's monotonic clock; 0 if there is none. */
    private long asked;

    private Optional<String> told = Optional.empty();
    private Consumer<Optional<String>> listener = _ -> {};

    /**
     * Of a process.
     *
     * @param open whether something is expected of it already
     */
    Pulse(ProcessHandle process, boolean open) {
        this.process = process;
        asked = open ? now() : 0;
    }

    private static long now() {
        return System.nanoTime() | 1;
    }

    /** Whether it is to be asked now, which counts as done. */
    synchronized boolean isDue() {
        if (asked != 0) {
            return false;
        }
        asked = now();
        return true;
    }

    /** It has said something. */
    void felt() {
        Consumer<Optional<String>> who;
        synchronized (this) {
            asked = 0;
            if (told.isEmpty()) {
                return;
            }
            told = Optional.empty();
            who = listener;
        }
        who.accept(Optional.empty());
    }

    /** Tells when it has been silent for too long. */
    void look() {
        Consumer<Optional<String>> who;
        Optional<String> what;
        synchronized (this) {
            if (asked == 0 || told.isPresent() || now() - asked < DEADLINE.toNanos()) {
                return;
            }
            told = Optional.of("its worker, process " + process.pid() + ", does not answer" + state());
            what = told;
            who = listener;
        }
        who.accept(what);
    }

    void watch(Consumer<Optional<String>> newListener) {
        Optional<String> now;
        synchronized (this) {
            listener = newListener;
            now = told;
        }
        if (now.isPresent()) {
            newListener.accept(now);
        }
    }

    /** What the kernel says of the process (proc(5), the third field of stat). */
    private String state() {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(process.pid()), "stat"));
            return switch (stat.charAt(stat.lastIndexOf(')') + 2)) {
                case 'T', 't' -> "; somebody has stopped it (kill -CONT " + process.pid() + " lets it go on)";
                case 'D' -> "; it waits for the host's storage";
                case 'Z' -> "; it is ending";
                default -> "; the host may be overloaded";
            };
        } catch (IOException | IndexOutOfBoundsException e) {
            // It has just ended, which is told elsewhere.
            return "";
        }
    }
}
