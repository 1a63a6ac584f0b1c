package org.torte.management.rest;

import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import io.javalin.http.sse.SseClient;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.torte.management.Events;
import org.torte.management.Events.Event;
import org.torte.management.Problem;
import org.torte.management.definition.Json;
import org.torte.management.rest.Answers.EventAnswer;
import org.torte.management.rest.Answers.Page;

/** Events: a page of them, or a stream that can be resumed with Last-Event-ID. */
final class EventRoutes {
    private static final int MAX_STREAMS = 200;
    private static final int BATCH = 500;
    private static final long KEEP_ALIVE_SECONDS = 15;

    private final Events events;
    private final Semaphore streams = new Semaphore(MAX_STREAMS);

    EventRoutes(Events events) {
        this.events = events;
    }

    void add(RoutesConfig routes) {
        routes.get("/api/v1/events", this::list, Role.VIEWER);
        routes.sse("/api/v1/events/stream", this::stream, Role.VIEWER);
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

    /** Each stream has a thread that reads what is new from the database: a slow reader costs no memory. */
    private void stream(SseClient client) {
        String last = client.ctx().header("Last-Event-ID");
        long from = last == null ? events.last() : Requests.number("Last-Event-ID", last, 0, Long.MAX_VALUE);
        if (!streams.tryAcquire()) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE, "there are " + MAX_STREAMS + " event streams already", "close some");
        }
        client.keepAlive();
        Semaphore news = new Semaphore(1);
        AutoCloseable listening = events.listen(_ -> news.release());
        Thread.ofVirtual().name("events").start(() -> {
            try (listening) {
                long at = from;
                while (!client.terminated()) {
                    news.drainPermits();
                    List<Event> batch = events.after(at, BATCH);
                    for (Event event : batch) {
                        client.sendEvent(event.type(), Json.text(Answers.of(event)), Long.toString(event.id()));
                        at = event.id();
                    }
                    if (batch.isEmpty() && !news.tryAcquire(KEEP_ALIVE_SECONDS, TimeUnit.SECONDS)) {
                        client.sendComment("here");
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            } catch (Exception e) {
                // The client has gone, or the service is closing: either way there is nobody to tell.
                return;
            } finally {
                streams.release();
                client.close();
            }
        });
    }
}
