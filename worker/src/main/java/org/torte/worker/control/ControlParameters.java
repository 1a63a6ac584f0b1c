package org.torte.worker.control;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
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
        try {
            Path path = Path.of(text(name));
            if (path.isAbsolute()) {
                return path;
            }
        } catch (InvalidPathException e) {
            throw bad("the parameter \"" + name + "\" is no path: " + e.getReason());
        }
        throw bad("the parameter \"" + name + "\" must be an absolute path");
    }

    static ControlException bad(String message) {
        return new ControlException(ControlException.Code.BAD_REQUEST, message);
    }
}
