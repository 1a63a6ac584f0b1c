package org.torte.management.rest;

import io.javalin.http.Context;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;
import org.torte.management.store.Database;

/**
 * Requests that come again with the same Idempotency-Key get the same answer and do nothing, for a day. Errors are not
 * remembered: they did nothing either. Of an answer that holds a secret it is remembered only that there was one.
 */
final class Repetition {
    private static final System.Logger LOG = System.getLogger(Repetition.class.getName());

    private static final Duration KEPT = Duration.ofDays(1);
    private static final int MAX_KEY = 200;
    private static final String KEY = "repetition.key";
    private static final String REQUEST = "repetition.request";
    private static final String SECRET = "repetition.secret";
    /** In place of a secret answer; no answer is empty. */
    private static final String UNTOLD = "";

    private final Database database;
    private final InstantSource clock;
    /** Keys whose first request is being answered. */
    private final Map<String, Boolean> busy = new ConcurrentHashMap<>();

    private record Answer(String request, int status, String body) {}

    Repetition(Database database, InstantSource clock) {
        this.database = database;
        this.clock = clock;
    }

    /** The answer to this request holds a secret. */
    static void secret(Context context) {
        context.attribute(SECRET, true);
    }

    /** Before a request is answered: gives the old answer and is true, if there is one. */
    boolean answered(Context context, String owner) {
        String given = context.header("Idempotency-Key");
        if (given == null || !context.method().name().equals("POST")) {
            return false;
        }
        if (given.isEmpty() || given.length() > MAX_KEY) {
            throw Requests.invalid("the Idempotency-Key has " + given.length() + " characters", "give 1 to " + MAX_KEY);
        }
        String key = owner + " " + given;
        String request =
                Access.hash(context.path() + "?" + Requests.orEmpty(context.queryString()) + "\n" + context.body());
        if (busy.putIfAbsent(key, true) != null) {
            throw new Problem(
                    Problem.Kind.CONFLICT, "the first request with this Idempotency-Key is not done", "ask again");
        }
        boolean first = false;
        try {
            first = !replayed(context, key, request);
        } finally {
            if (!first) {
                busy.remove(key);
            }
        }
        if (first) {
            context.attribute(KEY, key);
            context.attribute(REQUEST, request);
        }
        return !first;
    }

    private boolean replayed(Context context, String key, String request) {
        database.update("DELETE FROM answer WHERE time < ?", clock.millis() - KEPT.toMillis());
        List<Answer> answers = database.query(
                row -> new Answer(row.getString(1), row.getInt(2), row.getString(3)),
                "SELECT request, status, body FROM answer WHERE key = ?",
                key);
        if (answers.isEmpty()) {
            return false;
        }
        Answer answer = answers.getFirst();
        if (!answer.request().equals(request)) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "this Idempotency-Key came with another request before",
                    "use a new key for a new request");
        }
        if (answer.body().equals(UNTOLD)) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "this has been done, and its secret is told only once",
                    "remove what was made, and ask with a new key");
        }
        context.status(answer.status())
                .header("Idempotency-Replayed", "true")
                .contentType("application/json")
                .result(answer.body());
        return true;
    }

    /** After a request was answered. */
    void remember(Context context) {
        @Nullable String key = context.attribute(KEY);
        @Nullable String request = context.attribute(REQUEST);
        if (key == null || request == null) {
            return;
        }
        try {
            String body = context.result();
            if (context.statusCode() < 300 && body != null) {
                database.update(
                        "INSERT OR IGNORE INTO answer (key, time, request, status, body) VALUES (?, ?, ?, ?, ?)",
                        key,
                        clock.millis(),
                        request,
                        context.statusCode(),
                        context.attribute(SECRET) == null ? body : UNTOLD);
            }
        } catch (Problem e) {
            // It has been done, and that is what counts; asked once more it would be done once more.
            LOG.log(Level.WARNING, "an answer is not kept for a repetition: " + e.line());
        } finally {
            busy.remove(key);
        }
    }
}
