package org.torte.cli;

import java.time.Duration;
import java.util.Locale;

/** The numbers with units that people write on command lines. */
public final class Quantities {
    private Quantities() {}

    /**
     * A size such as {@code 512M} or {@code 2GiB}; units are powers of 1024.
     *
     * @throws UsageException when it is not one
     */
    public static long bytes(String option, String text) {
        String number = text.toUpperCase(Locale.ROOT);
        if (number.endsWith("IB")) {
            number = number.substring(0, number.length() - 2);
        } else if (number.endsWith("B")) {
            number = number.substring(0, number.length() - 1);
        }
        int unit = number.isEmpty() ? -1 : "KMGT".indexOf(number.charAt(number.length() - 1));
        if (unit < 0) {
            throw new UsageException(option + " takes a size with a unit, such as 512M or 2G, not \"" + text + "\"");
        }
        long value = digits(number.substring(0, number.length() - 1));
        int shift = 10 * (unit + 1);
        if (value < 0) {
            throw new UsageException(option + " takes a size such as 512M or 2G, not \"" + text + "\"");
        }
        if (value > Long.MAX_VALUE >> shift) {
            throw new UsageException(option + " " + text + " is more than any machine has; give a size such as 2G");
        }
        return value << shift;
    }

    /**
     * A duration such as {@code 60s}, {@code 500ms}, {@code 5m} or {@code 1h}.
     *
     * @throws UsageException when it is not one, or not positive
     */
    public static Duration duration(String option, String text) {
        int end = 0;
        while (end < text.length() && Character.digit(text.charAt(end), 10) >= 0) {
            end++;
        }
        long value = digits(text.substring(0, end));
        long unit = switch (text.substring(end)) {
            case "ms" -> 1;
            case "", "s" -> 1000;
            case "m", "min" -> 60_000;
            case "h" -> 3_600_000;
            default -> 0;
        };
        if (value <= 0 || unit == 0 || value > 1_000_000_000L) {
            throw new UsageException(option + " takes a time such as 60s, 500ms or 5m, not \"" + text + "\"");
        }
        return Duration.ofMillis(value * unit);
    }

    /**
     * A whole number, decimal or after {@code 0x} hexadecimal.
     *
     * @throws UsageException when it is not one
     */
    public static int integer(String option, String text) {
        try {
            return Integer.decode(text);
        } catch (NumberFormatException e) {
            throw new UsageException(option + " takes a whole number, not \"" + text + "\"", e);
        }
    }

    /** The value of a string of decimal digits, or -1. */
    private static long digits(String text) {
        if (text.isEmpty() || text.length() > 18) {
            return -1;
        }
        long value = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < '0' || c > '9') {
                return -1;
            }
            value = value * 10 + (c - '0');
        }
        return value;
    }
}
