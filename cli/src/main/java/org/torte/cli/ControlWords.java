package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The commands of {@code torte control} and of Ctrl-A c, as requests and results of the control protocol. */
final class ControlWords {
    /** A request of the protocol. */
    record Request(String method, Map<String, Object> parameters) {}

    private ControlWords() {}

    /** Words of a line, separated by blanks; quotation marks keep blanks together. */
    static List<String> split(String line) {
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        boolean quoted = false;
        boolean inWord = false;
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            if (c == '"') {
                quoted = !quoted;
                inWord = true;
            } else if (c == ' ' && !quoted) {
                if (inWord) {
                    words.add(word.toString());
                    word.setLength(0);
                    inWord = false;
                }
            } else {
                word.append(c);
                inWord = true;
            }
        }
        if (inWord) {
            words.add(word.toString());
        }
        return words;
    }

    /**
     * Reads a command.
     *
     * @throws UsageException when it is none
     */
    static Request parse(List<String> words) {
        if (words.isEmpty()) {
            throw new UsageException("a command is missing, such as status; torte control --help lists them");
        }
        String command = words.getFirst();
        List<String> rest = words.subList(1, words.size());
        return switch (command) {
            case "status", "pause", "resume", "stop", "heartbeat", "thaw" -> new Request(command, none(command, rest));
            case "shutdown", "restart" -> forced(command, rest);
            case "save" -> save(rest);
            case "kvp" -> pairs(rest);
            case "freeze" -> {
                count(command, "[SECONDS]", rest, 0, 1);
                yield new Request(
                        command,
                        rest.isEmpty() ? Map.of() : Map.of("hold", Quantities.integer("freeze", rest.getFirst())));
            }
            case "memory" -> {
                count(command, "[SIZE]", rest, 0, 1);
                yield new Request(
                        command,
                        rest.isEmpty() ? Map.of() : Map.of("size", Quantities.bytes("memory", rest.getFirst())));
            }
            case "processor-limit" -> {
                count(command, "[PERCENT]", rest, 0, 1);
                yield new Request(
                        command,
                        rest.isEmpty() ? Map.of() : Map.of("percent", Quantities.integer(command, rest.getFirst())));
            }
            case "disk" -> disk(rest);
            case "capture" -> capture(rest);
            case "type" -> {
                count(command, "TEXT", rest, 1, 1);
                yield new Request(command, Map.of("text", rest.getFirst()));
            }
            default ->
                throw new UsageException("there is no command \"" + command + "\"; torte control --help lists them");
        };
    }

    private static void count(String command, String form, List<String> rest, int least, int most) {
        if (rest.size() < least || rest.size() > most) {
            throw new UsageException("it is: " + command + (form.isEmpty() ? "" : " " + form));
        }
    }

    private static Map<String, Object> none(String command, List<String> rest) {
        count(command, "", rest, 0, 0);
        return Map.of();
    }

    private static Request forced(String command, List<String> rest) {
        count(command, "[force]", rest, 0, 1);
        if (!rest.isEmpty() && !rest.getFirst().equals("force")) {
            throw new UsageException("it is: " + command + " [force]");
        }
        return new Request(command, Map.of("force", !rest.isEmpty()));
    }

    private static Request save(List<String> rest) {
        count("save", "FILE [keep-running]", rest, 1, 2);
        if (rest.size() == 2 && !rest.get(1).equals("keep-running")) {
            throw new UsageException("it is: save FILE [keep-running]");
        }
        return new Request("save", Map.of("file", absolute(rest.getFirst()), "keep-running", rest.size() == 2));
    }

    private static Request pairs(List<String> rest) {
        String what = rest.isEmpty() ? "" : rest.getFirst();
        return switch (what) {
            case "get" -> {
                count("kvp get", "[KEY [POOL]]", rest, 1, 3);
                Map<String, Object> parameters = new LinkedHashMap<>();
                if (rest.size() > 1 && !rest.get(1).equals("*")) {
                    parameters.put("key", rest.get(1));
                }
                if (rest.size() > 2) {
                    parameters.put("pool", rest.get(2));
                }
                yield new Request("kvp.get", parameters);
            }
            case "set" -> {
                count("kvp set", "KEY VALUE", rest, 3, 3);
                yield new Request("kvp.set", Map.of("key", rest.get(1), "value", rest.get(2)));
            }
            case "remove" -> {
                count("kvp remove", "KEY", rest, 2, 2);
                yield new Request("kvp.remove", Map.of("key", rest.get(1)));
            }
            default -> throw new UsageException("it is: kvp get [KEY [POOL]], kvp set KEY VALUE or kvp remove KEY");
        };
    }

    private static Request disk(List<String> rest) {
        String what = rest.isEmpty() ? "" : rest.getFirst();
        if (what.equals("add") && rest.size() == 2) {
            var source = DiskOption.parse("disk add", rest.get(1));
            return new Request(
                    "disk.add",
                    Map.of(
                            "file",
                            source.file().toAbsolutePath().toString(),
                            "format",
                            source.format().name().toLowerCase(java.util.Locale.ROOT),
                            "read-only",
                            source.readOnly()));
        }
        if (what.equals("remove") && rest.size() == 2) {
            return new Request("disk.remove", Map.of("unit", Quantities.integer("disk remove", rest.get(1))));
        }
        if (what.equals("list") && rest.size() == 1) {
            return new Request("disk.list", Map.of());
        }
        if (what.equals("grow") && rest.size() == 3) {
            return new Request(
                    "disk.grow",
                    Map.of(
                            "unit",
                            Quantities.integer("disk grow", rest.get(1)),
                            "size",
                            Quantities.bytes("disk grow", rest.get(2))));
        }
        if (what.equals("merge") && (rest.size() == 2 || rest.size() == 3)) {
            Map<String, Object> parameters = new LinkedHashMap<>();
            parameters.put("unit", Quantities.integer("disk merge", rest.get(1)));
            if (rest.size() == 3) {
                parameters.put("file", absolute(rest.get(2)));
            }
            return new Request("disk.merge", parameters);
        }
        throw new UsageException(
                "it is: disk list, disk add FILE[,ro][,format=F], disk remove UNIT, disk grow UNIT SIZE"
                        + " or disk merge UNIT [FILE]");
    }

    private static Request capture(List<String> rest) {
        String what = rest.isEmpty() ? "" : rest.getFirst();
        if (what.equals("start") && (rest.size() == 3 || rest.size() == 4)) {
            Map<String, Object> parameters = new LinkedHashMap<>();
            parameters.put("adapter", Quantities.integer("capture start", rest.get(1)));
            parameters.put("file", absolute(rest.get(2)));
            if (rest.size() == 4) {
                parameters.put("length", Quantities.integer("capture start", rest.get(3)));
            }
            return new Request("capture.start", parameters);
        }
        if (what.equals("stop") && rest.size() == 2) {
            return new Request("capture.stop", Map.of("adapter", Quantities.integer("capture stop", rest.get(1))));
        }
        throw new UsageException("it is: capture start ADAPTER FILE [LENGTH] or capture stop ADAPTER");
    }

    private static String absolute(String file) {
        try {
            return Path.of(file).toAbsolutePath().toString();
        } catch (InvalidPathException e) {
            throw new UsageException("\"" + file + "\" is no path", e);
        }
    }

    /** A result for people: one {@code name: value} a line. */
    static String text(Map<String, Object> result) {
        StringBuilder out = new StringBuilder();
        add("", result, out);
        return out.toString();
    }

    private static void add(String name, Object value, StringBuilder out) {
        switch (value) {
            case Map<?, ?> map ->
                map.forEach((key, inner) -> add(name.isEmpty() ? key + "" : name + "." + key, inner, out));
            case List<?> list -> {
                for (int i = 0; i < list.size(); i++) {
                    add(name + "." + i, list.get(i), out);
                }
            }
            default ->
                out.append(printable(name))
                        .append(": ")
                        .append(printable(String.valueOf(value)))
                        .append('\n');
        }
    }

    /** What guests say may be meant for the terminal. */
    private static String printable(String text) {
        StringBuilder line = new StringBuilder(text.length());
        text.codePoints().forEach(c -> line.appendCodePoint(Character.isISOControl(c) ? '?' : c));
        return line.toString();
    }
}
