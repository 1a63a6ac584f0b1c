package org.torte.management.rest;

import io.javalin.http.Context;
import java.time.Duration;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;
import org.torte.management.WhatIf;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;

/** What requests carry, checked. */
final class Requests {
    /** The most that a page holds. */
    static final int MAX_PAGE = 1000;

    private static final int DEFAULT_PAGE = 100;
    private static final Duration MAX_WAIT = Duration.ofSeconds(60);

    private Requests() {}

    /** The body. */
    static <T> T body(Context context, Class<T> type) {
        String media = context.contentType();
        if (media == null || !media.split(";", 2)[0].strip().equalsIgnoreCase("application/json")) {
            throw invalid("the body is not application/json", "send JSON, and Content-Type: application/json");
        }
        return Json.read(context.bodyAsBytes(), type, "the body");
    }

    /** Refuses parameters that mean nothing, which are mistakes. */
    static void only(Context context, String... known) {
        Set<String> unknown = new TreeSet<>(context.queryParamMap().keySet());
        unknown.removeAll(Set.of(known));
        if (!unknown.isEmpty()) {
            throw invalid(
                    "nothing is known of the parameter \"" + unknown.iterator().next() + "\"",
                    known.length == 0 ? "leave it out" : "known are " + String.join(", ", known));
        }
        context.queryParamMap().forEach((name, values) -> {
            if (values.size() > 1) {
                throw invalid("the parameter \"" + name + "\" is there " + values.size() + " times", "give it once");
            }
        });
    }

    /** How many a page holds. */
    static int limit(Context context) {
        return (int) number(context, "limit", DEFAULT_PAGE, 1, MAX_PAGE);
    }

    /** How long to wait for something. */
    static Duration wait(Context context) {
        return Duration.ofSeconds(number(context, "wait", 0, 0, MAX_WAIT.toSeconds()));
    }

    /** Whether a parameter is true. */
    static boolean flag(Context context, String name) {
        return switch (orEmpty(context.queryParam(name))) {
            case "", "false" -> false;
            case "true" -> true;
            default -> throw invalid(name + " is neither true nor false", "give one of them, or leave it out");
        };
    }

    /** A number in a parameter. */
    static long number(Context context, String name, long otherwise, long least, long most) {
        String text = context.queryParam(name);
        if (text == null) {
            return otherwise;
        }
        return number(name, text, least, most);
    }

    /** A number. */
    static long number(String name, String text, long least, long most) {
        try {
            long value = Long.parseLong(text);
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            throw invalid(name + " is no number", "give " + least + " to " + most);
        }
        throw invalid(name + " is " + text, "give " + least + " to " + most);
    }

    /**
     * With whatIf=true asks whether something could be done, and answers that it could.
     *
     * @return whether that was all
     * @throws Problem why it could not
     */
    static boolean whatIf(Context context, Callable<?> operation) {
        if (!flag(context, "whatIf")) {
            return false;
        }
        WhatIf.check(operation);
        context.status(204);
        return true;
    }

    /** What a definition is compared by. */
    static String etag(VmDefinition definition) {
        return '"' + Access.hash(Json.text(definition)).substring(0, 32) + '"';
    }

    /** Refuses a change of what has changed since the caller looked. */
    static void match(Context context, VmDefinition definition) {
        String wanted = context.header("If-Match");
        if (wanted != null && !wanted.equals("*") && !wanted.equals(etag(definition))) {
            throw new Problem(
                    Problem.Kind.CHANGED,
                    definition.name() + " has changed since you looked",
                    "look again, and repeat your change if it is still right");
        }
    }

    static Problem invalid(String cause, String remedy) {
        return new Problem(Problem.Kind.INVALID, cause, remedy);
    }

    static String orEmpty(@Nullable String text) {
        return text == null ? "" : text;
    }
}
