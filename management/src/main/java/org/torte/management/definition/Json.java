package org.torte.management.definition;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.stream.Collectors;
import org.torte.management.Problem;

/** JSON, strictly: nothing unknown, nothing twice, no number for a text, and every error says where. */
public final class Json {
    /** For everything that the service reads and writes. */
    public static final JsonMapper MAPPER = JsonMapper.builder()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .enable(DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
            .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .disable(SerializationFeature.FAIL_ON_EMPTY_BEANS)
            .build();

    private Json() {}

    /** Writes a value, for people to read. */
    public static byte[] pretty(Object value) {
        try {
            byte[] text = MAPPER.writerWithDefaultPrettyPrinter().writeValueAsBytes(value);
            byte[] line = java.util.Arrays.copyOf(text, text.length + 1);
            line[text.length] = '\n';
            return line;
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Writes a value in one line. */
    public static String text(Object value) {
        try {
            return MAPPER.writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Reads a value.
     *
     * @param what it is, for the error
     * @throws Problem INVALID, which says where and what
     */
    public static <T> T read(byte[] text, Class<T> type, String what) {
        try {
            T value = MAPPER.readValue(text, type);
            if (value == null) {
                throw new Problem(Problem.Kind.INVALID, what + " is empty", "give an object");
            }
            return value;
        } catch (JsonMappingException e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (cause instanceof Problem problem) {
                    throw new Problem(problem.kind(), what + ": " + problem.cause(), problem.remedy(), e);
                }
            }
            throw new Problem(Problem.Kind.INVALID, what + ": " + explain(e), "correct it", e);
        } catch (JsonProcessingException e) {
            throw new Problem(
                    Problem.Kind.INVALID,
                    what + " is not JSON" + place(e.getLocation()) + ": " + firstLine(e.getOriginalMessage()),
                    "correct it",
                    e);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String explain(JsonMappingException e) {
        String path = e.getPath().stream()
                .map(part -> part.getFieldName() == null ? String.valueOf(part.getIndex()) : part.getFieldName())
                .collect(Collectors.joining("."));
        if (e instanceof UnrecognizedPropertyException) {
            return "nothing is known of \"" + path + "\"" + place(e.getLocation());
        }
        String message = firstLine(e.getOriginalMessage());
        return (path.isEmpty() ? "" : "\"" + path + "\": ") + message + place(e.getLocation());
    }

    private static String place(JsonLocation location) {
        return location == null ? "" : " (line " + location.getLineNr() + ", column " + location.getColumnNr() + ")";
    }

    /** Jackson adds types of Java to its messages, which say nothing to a user. */
    private static String firstLine(String message) {
        String line = message.lines().findFirst().orElse("");
        line = line.replaceAll("`?(?:java|org)\\.[A-Za-z0-9_.$]*?([A-Za-z0-9_]+)`?", "$1")
                .replaceAll("\\p{Cntrl}", "?");
        return line.length() > 300 ? line.substring(0, 300) + "..." : line;
    }
}
