package org.torte.network.process;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.torte.network.NetworkException;

/** Takes values out of JSON that somebody else wrote; what is missing or of another kind is refused by name. */
record JsonFields(Map<?, ?> values, String what) {
    static JsonFields parse(String text, String what) {
        try {
            // The text "null" is read as no map at all.
            Map<String, Object> values = JSON.std.mapFrom(text);
            if (values == null) {
                throw new NetworkException(what + " is no JSON object");
            }
            return new JsonFields(values, what);
        } catch (IOException e) {
            throw new NetworkException(what + " is no JSON object: " + e.getMessage(), e);
        }
    }

    static String write(Object value) {
        try {
            return JSON.std.asString(value);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    String string(String name) {
        return get(name, String.class);
    }

    String string(String name, String otherwise) {
        return values.containsKey(name) ? string(name) : otherwise;
    }

    long number(String name, long otherwise) {
        return values.containsKey(name) ? get(name, Number.class).longValue() : otherwise;
    }

    boolean flag(String name) {
        return values.containsKey(name) && get(name, Boolean.class);
    }

    <T> List<T> list(String name, Function<Object, T> reader) {
        List<T> list = new ArrayList<>();
        if (values.containsKey(name)) {
            for (Object each : get(name, List.class)) {
                list.add(reader.apply(each));
            }
        }
        return list;
    }

    List<String> strings(String name) {
        return list(name, each -> {
            if (each instanceof String text) {
                return text;
            }
            throw wrong(name);
        });
    }

    List<JsonFields> objects(String name) {
        return list(name, each -> {
            if (each instanceof Map<?, ?> map) {
                return new JsonFields(map, what + ", " + name);
            }
            throw wrong(name);
        });
    }

    private <T> T get(String name, Class<T> type) {
        Object value = values.get(name);
        if (!type.isInstance(value)) {
            throw wrong(name);
        }
        return type.cast(value);
    }

    private NetworkException wrong(String name) {
        return new NetworkException(what + ": \"" + name + "\" is missing or wrong");
    }
}
