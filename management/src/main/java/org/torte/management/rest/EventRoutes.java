package org.torte.management.rest;

import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.torte.management.Events;
import org.torte.management.Events.Event;
import org.torte.management.Problem;
import org.torte.management.definition.Json;
import org.torte.management.rest.Answers.EventAnswer;
import org.torte.management.rest.Answers.Page;

/** Events: a page of them, or a stream that can be resumed with Last-Event-ID. */
final class EventRoutes implements AutoCloseable {
    private static final int MAX_STREAMS = 200;
    private static final int BATCH = 500;
    private static final long KEEP_ALIVE_SECONDS = 15;
    private static final long END_SECONDS = 1;

    private static final System.Logger LOG = System.getLogger(EventRoutes.class.getName());

    private final Events events;
    private final Semaphore free = new Semaphore(MAX_STREAMS);
    /** What each open stream waits for. */
    private final Set<Semaphore> streams = ConcurrentHashMap.newKeySet();

    private volatile boolean closed;

    EventRoutes(Events events) {
        this.events = events;
    }

    void add(RoutesConfig routes) {
        routes.get("/api/v1/events", this::list, Role.VIEWER);
        routes.get("/api/v1/events/stream", this::stream, Role.VIEWER);
    }

    private void list(Context context) {
        Requests.only(context, "limit", "cursor");
        int limit = Requests.limit(context);
        long after = Requests.number(context, "cursor", 0, 0, Long.MAX_VALUE);
        List<EventAnswer> page =
                events.after(after, limit).stream().map(Answers::of).toList();
        context.json(new Page<>(
                page, page.size() == limit ? Long.toString(page.getLast().id()) : null));
    }

    /**
     * Each stream is a request that is not over, and reads what is new from the database in the thread of the request: a
     * slow reader costs no memory, and one that has vanished ends it with the next that is written. The format is that of
     * server-sent events (HTML Living Standard, 9.2).
     */
    private void stream(Context context) {
        Requests.only(context);
        String last = context.header("Last-Event-ID");
        long at = last == null ? events.last() : Requests.number("Last-Event-ID", last, 0, Long.MAX_VALUE);
        if (at > events.last()) {
            throw Requests.invalid(
                    "there is no event " + at + " yet, the last is " + events.last(),
                    "leave Last-Event-ID out, or give the number of one");
        }
        if (!free.tryAcquire()) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE, "there are " + MAX_STREAMS + " event streams already", "close some");
        }
        Semaphore news = new Semaphore(1);
        streams.add(news);
        try (Events.Listening _ = events.listen(_ -> news.release())) {
            context.contentType("text/event-stream").header("Connection", "close");
            HttpServletResponse response = context.res();
            response.flushBuffer();
            while (!closed) {
                news.drainPermits();
                List<Event> batch = events.after(at, BATCH);
                for (Event event : batch) {
                    write(
                            response,
                            "id: " + event.id() + "\nevent: " + event.type() + "\ndata: " + Json.text(Answers.of(event))
                                    + "\n\n");
                    at = event.id();
                }
                if (batch.isEmpty() && !closed && !news.tryAcquire(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS)) {
                    write(response, ": here\n\n");
                }
            }
        } catch (IOException e) {
            // The client has gone: there is nobody to tell.
            LOG.log(Level.DEBUG, "an event stream has ended", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            streams.remove(news);
            free.release();
        }
    }

    private static void write(HttpServletResponse response, String text) throws IOException {
        response.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
        response.flushBuffer();
    }

    /** How many streams are open. */
    int open() {
        return streams.size();
    }

    /** Ends all streams, and each that comes from now on. Those whose readers take nothing end with their connections. */
    @Override
    public void close() {
        closed = true;
        streams.forEach(Semaphore::release);
        try {
            if (!free.tryAcquire(MAX_STREAMS, END_SECONDS, TimeUnit.SECONDS)) {
                LOG.log(Level.DEBUG, "{0} event streams are still open", streams.size());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
