package org.torte.worker;

import java.util.List;
import org.torte.machine.GuestCrash;

/** What a guest's operating system reported about its own failure, in words. */
final class GuestFailure {
    private static final int MAX_LENGTH = 300;

    private GuestFailure() {}

    /** One line without control characters: the line that names the cause, or else the last one, or the numbers. */
    static String describe(GuestCrash crash) {
        List<String> lines =
                crash.message().lines().filter(line -> !line.isBlank()).toList();
        String line = lines.stream()
                .filter(text -> text.contains("Kernel panic"))
                .findFirst()
                .orElse(
                        lines.isEmpty()
                                ? "codes %x %x %x %x %x"
                                        .formatted(crash.p0(), crash.p1(), crash.p2(), crash.p3(), crash.p4())
                                : lines.getLast());
        String clean = line.strip().replaceAll("\\p{Cntrl}|[^\\p{Print}]", "?");
        return clean.length() > MAX_LENGTH ? clean.substring(0, MAX_LENGTH) + "..." : clean;
    }
}
