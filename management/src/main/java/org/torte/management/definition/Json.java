package org.torte.management.definition;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.exc.InvalidNullException;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.exc.ValueInstantiationException;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.type.LogicalType;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collection;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
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
            // No list holds a null, and no text is made of a number.
            .defaultSetterInfo(JsonSetter.Value.forContentNulls(Nulls.FAIL))
            .annotationIntrospector(new Required())
            .withCoercionConfig(
                    LogicalType.Textual,
                    text -> text.setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
            .build();

    /** What is required is neither left out nor null. */
    private static final class Required extends JacksonAnnotationIntrospector {
        private static final long serialVersionUID = 1L;

        @Override
        public JsonSetter.Value findSetterInfo(Annotated member) {
            JsonSetter.Value found = super.findSetterInfo(member);
            JsonProperty property = _findAnnotation(member, JsonProperty.class);
            return property != null && property.required() ? found.withValueNulls(Nulls.FAIL) : found;
        }
    }

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

    /** In words of JSON: what Jackson says is about types of Java, which say nothing to a user. */
    private static String explain(JsonMappingException e) {
        String path = e.getPath().stream()
                .map(part -> part.getFieldName() == null ? String.valueOf(part.getIndex()) : part.getFieldName())
                .collect(Collectors.joining("."));
        String what = path.isEmpty() ? "it" : "\"" + path + "\"";
        return switch (e) {
                    case UnrecognizedPropertyException _ -> "nothing is known of " + what;
                    case InvalidNullException _ -> what + " is null";
                    case InvalidFormatException format
                    when format.getTargetType() != null
                            && format.getTargetType().isEnum() ->
                        what + " is " + MAPPER.valueToTree(format.getValue()) + ", not one of "
                                + Arrays.stream(format.getTargetType().getEnumConstants())
                                        .map(one -> MAPPER.valueToTree(one).asText())
                                        .collect(Collectors.joining(", "));
                    case InvalidFormatException format ->
                        what + " is " + MAPPER.valueToTree(format.getValue()) + ", not " + kind(format.getTargetType());
                    case MismatchedInputException missing
                    when missing.getOriginalMessage().startsWith("Missing required creator property") ->
                        missing.getOriginalMessage()
                                .replaceFirst(
                                        "^Missing required creator property '([^']*)'.*",
                                        "\"$1\" is missing in " + what);
                    case MismatchedInputException empty
                    when empty.getOriginalMessage().startsWith("No content") -> "it is empty";
                    case MismatchedInputException other -> what + " is not " + kind(other.getTargetType());
                    case ValueInstantiationException _ -> "something that is needed is null or missing in " + what;
                    default -> what + ": " + firstLine(e.getOriginalMessage());
                }
                + place(e.getLocation());
    }

    /** What of JSON a type of Java is. */
    private static String kind(@Nullable Class<?> type) {
        if (type == null) {
            return "what is wanted";
        }
        if (type == String.class || type.isEnum()) {
            return "a text";
        }
        if (type == boolean.class || type == Boolean.class) {
            return "true or false";
        }
        if (type.isPrimitive() || Number.class.isAssignableFrom(type)) {
            return "a whole number";
        }
        return Collection.class.isAssignableFrom(type) || type.isArray() ? "a list" : "an object";
    }

    private static String place(JsonLocation location) {
        return location == null ? "" : " (line " + location.getLineNr() + ", column " + location.getColumnNr() + ")";
    }

    private static String firstLine(String message) {
        String line = message.lines().findFirst().orElse("");
        // Jackson says where something began by a description of the source, which is the caller's own.
        int source = line.indexOf(" (start marker at ");
        line = (source < 0 ? line : line.substring(0, source)).replaceAll("\\p{Cntrl}", "?");
        return line.length() > 300 ? line.substring(0, 300) + "..." : line;
    }
}
