package org.torte.worker.control;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The parameters of one request, each of which must be known, of the right kind, and in its range. */
final class ControlParameters {
    private final Map<String, Object> values;

    ControlParameters(Map<String, Object> values) {
        this.values = values;
    }

    /** Throws when there are others than these. */
    void allow(String... names) {
        for (String given : values.keySet()) {
            if (!java.util.Arrays.asList(names).contains(given)) {
                throw bad("there is no parameter \"" + given + "\"");
            }
        }
    }

    String text(String name) {
        if (values.get(name) instanceof String text) {
            return text;
        }
        throw bad("the parameter \"" + name + "\" must be a string");
    }

    String text(String name, String otherwise) {
        return values.get(name) == null ? otherwise : text(name);
    }

    boolean flag(String name) {
        Object value = values.get(name);
        if (value == null) {
            return false;
        }
        if (value instanceof Boolean flag) {
            return flag;
        }
        throw bad("the parameter \"" + name + "\" must be true or false");
    }

    boolean has(String name) {
        return values.get(name) != null;
    }

    long number(String name, long least, long most, @Nullable Long otherwise) {
        Object value = values.get(name);
        if (value == null && otherwise != null) {
            return otherwise;
        }
        if (value instanceof Integer || value instanceof Long) {
            long number = ((Number) value).longValue();
            if (number >= least && number <= most) {
                return number;
            }
        }
        throw bad("the parameter \"" + name + "\" must be a whole number from " + least + " to " + most);
    }

    /** An absolute path: the worker's folder is nobody's business. */
    Path path(String name) {
        return path(name, text(name));
    }

    private static Path path(String name, String text) {
        try {
            Path path = Path.of(text);
            if (path.isAbsolute()) {
                return path;
            }
        } catch (InvalidPathException e) {
            throw bad("the parameter \"" + name + "\" is no path: " + e.getReason());
        }
        throw bad("the parameter \"" + name + "\" must be an absolute path");
    }

    /** Absolute paths by the numbers of units. */
    Map<Integer, Path> paths(String name) {
        Map<Integer, Path> paths = new TreeMap<>();
        if (values.get(name) instanceof Map<?, ?> given) {
            given.forEach((unit, text) -> {
                if (!String.valueOf(unit).matches("\\d{1,4}") || !(text instanceof String file)) {
                    throw bad("the parameter \"" + name + "\" has paths by the numbers of units");
                }
                paths.put(Integer.valueOf(String.valueOf(unit)), path(name, file));
            });
            return paths;
        }
        throw bad("the parameter \"" + name + "\" must be an object");
    }

    static ControlException bad(String message) {
        return new ControlException(ControlException.Code.BAD_REQUEST, message);
    }
}
