package org.torte.cli.output;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import picocli.CommandLine;

/** What commands show: for people, or with {@code -o json} for programs. */
public enum Output {
    TEXT,
    JSON;

    /** Reads it from the command line. */
    public static final class Named implements CommandLine.ITypeConverter<Output> {
        @Override
        public Output convert(String name) {
            return switch (name) {
                case "text" -> TEXT;
                case "json" -> JSON;
                default ->
                    throw new CommandLine.TypeConversionException("--output takes text or json, not \"" + name + "\"");
            };
        }
    }

    /** A byte count for people: the largest unit that shows it with one decimal at most, and the bytes when that rounds. */
    public static String size(long bytes) {
        String[] units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        int unit = 0;
        double value = bytes;
        while (value >= 1024 && unit < units.length - 1) {
            value /= 1024;
            unit++;
        }
        String number =
                value == Math.rint(value) ? String.valueOf((long) value) : String.format(Locale.ROOT, "%.1f", value);
        return number + " " + units[unit];
    }

    /** Names and values below each other. */
    public static String list(Map<String, String> values) {
        int width = values.keySet().stream().mapToInt(String::length).max().orElse(0);
        StringBuilder out = new StringBuilder();
        values.forEach((name, value) -> out.append(name)
                .append(':')
                .repeat(" ", width - name.length() + 1)
                .append(printable(value))
                .append('\n'));
        return out.toString();
    }

    /** Rows below each other; the first is the heading. */
    public static String table(List<List<String>> rows) {
        int columns = rows.getFirst().size();
        int[] width = new int[columns];
        for (List<String> row : rows) {
            for (int i = 0; i < columns; i++) {
                width[i] = Math.max(width[i], row.get(i).length());
            }
        }
        StringBuilder out = new StringBuilder();
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < columns; i++) {
                line.append(printable(row.get(i)))
                        .repeat(" ", width[i] - row.get(i).length() + 2);
            }
            out.append(line.toString().stripTrailing()).append('\n');
        }
        return out.toString();
    }

    /** Text without control characters, whatever file names hold. */
    public static String printable(String text) {
        StringBuilder line = new StringBuilder(text.length());
        text.codePoints().forEach(c -> line.appendCodePoint(Character.isISOControl(c) ? '?' : c));
        return line.toString();
    }
}
