package org.torte.network.host;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.torte.network.NetworkException;

/** An object of the JSON that iproute2 prints, or of a journal. What is not there is empty, zero or false. */
record Shown(Map<?, ?> values) {
    /**
     * Reads an array of objects; no text at all is an empty one.
     *
     * @throws NetworkException when it is something else
     */
    static List<Shown> parse(String text, String what) {
        if (text.isBlank()) {
            return List.of();
        }
        try {
            return objects(JSON.std.anyFrom(text));
        } catch (IOException e) {
            throw new NetworkException(what + " gives no JSON: " + e.getMessage(), e);
        }
    }

    /** Those of the elements of a list that are objects with something in them: ip prints empty ones for what it leaves out. */
    private static List<Shown> objects(Object value) {
        List<Shown> found = new ArrayList<>();
        if (value instanceof List<?> list) {
            for (Object one : list) {
                if (one instanceof Map<?, ?> map && !map.isEmpty()) {
                    found.add(new Shown(map));
                }
            }
        }
        return found;
    }

    boolean has(String name) {
        return values.containsKey(name);
    }

    String text(String name) {
        Object value = values.get(name);
        return value instanceof String || value instanceof Number ? value.toString() : "";
    }

    long number(String name) {
        return values.get(name) instanceof Number number ? number.longValue() : 0;
    }

    boolean flag(String name) {
        return Boolean.TRUE.equals(values.get(name));
    }

    Shown object(String name) {
        return new Shown(values.get(name) instanceof Map<?, ?> map ? map : Map.of());
    }

    List<Shown> list(String name) {
        Object value = values.get(name);
        return value == null ? List.of() : objects(value);
    }

    List<String> texts(String name) {
        return values.get(name) instanceof List<?> list
                ? list.stream().map(String::valueOf).toList()
                : List.of();
    }
}
