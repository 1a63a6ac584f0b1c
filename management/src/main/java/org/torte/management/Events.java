package org.torte.management;

import java.lang.System.Logger.Level;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.torte.management.definition.Json;
import org.torte.management.store.Database;

/**
 * What has happened on this host, numbered from 1 without gaps, the last {@value #KEPT} kept. Safe for several threads;
 * listeners are called in order and must not block. What cannot be written down, for want of room say, is kept in memory
 * and written with the next one that can be.
 */
public final class Events {
    /** How many are kept. */
    public static final int KEPT = 100_000;

    private static final int PRUNE_EVERY = 1000;

    private static final System.Logger LOG = System.getLogger(Events.class.getName());

    private final Database database;
    private final InstantSource clock;
    private final List<Consumer<Event>> listeners = new CopyOnWriteArrayList<>();
    private final Deque<Event> unwritten = new ArrayDeque<>();
    private long last;

    /**
     * Something that has happened.
     *
     * @param id its number
     * @param time when
     * @param type such as vm.state
     * @param subject what it happened to: the id of a virtual machine or task, or nothing for the host
     * @param data what there is to know, by type
     */
    public record Event(long id, Instant time, String type, String subject, String data) {}

    Events(Database database, InstantSource clock) {
        this.database = database;
        this.clock = clock;
        last = database.query(row -> row.getLong(1), "SELECT coalesce(max(id), 0) FROM event")
                .getFirst();
    }

    /** Notes an event. */
    public synchronized void add(String type, String subject, Map<String, ?> data) {
        Instant now = Instant.ofEpochMilli(clock.millis());
        Event event = new Event(++last, now, type, subject, Json.text(data));
        unwritten.add(event);
        writeAll();
        listeners.forEach(listener -> listener.accept(event));
    }

    private void writeAll() {
        try {
            for (Event event; (event = unwritten.peek()) != null; unwritten.remove()) {
                database.update(
                        "INSERT INTO event (id, time, type, subject, data) VALUES (?, ?, ?, ?, ?)",
                        event.id(),
                        event.time().toEpochMilli(),
                        event.type(),
                        event.subject(),
                        event.data());
            }
            if (last % PRUNE_EVERY == 0) {
                database.update("DELETE FROM event WHERE id <= ?", last - KEPT);
            }
        } catch (Problem e) {
            LOG.log(Level.WARNING, unwritten.size() + " events are kept in memory: " + e.line());
            if (unwritten.size() > KEPT) {
                unwritten.remove();
            }
        }
    }

    /** The number of the last one; 0 when there has been none. */
    public synchronized long last() {
        return last;
    }

    /** Those after a number, oldest first, no more than a limit. */
    public List<Event> after(long id, int limit) {
        List<Event> kept;
        synchronized (this) {
            kept = List.copyOf(unwritten);
        }
        List<Event> found = new ArrayList<>(database.query(
                row -> new Event(
                        row.getLong(1),
                        Instant.ofEpochMilli(row.getLong(2)),
                        row.getString(3),
                        row.getString(4),
                        row.getString(5)),
                "SELECT id, time, type, subject, data FROM event WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                id,
                kept.isEmpty() ? Long.MAX_VALUE : kept.getFirst().id(),
                limit));
        for (Event event : kept) {
            if (event.id() > id && found.size() < limit) {
                found.add(event);
            }
        }
        return found;
    }

    /** Ends with its closing. */
    public interface Listening extends AutoCloseable {
        @Override
        void close();
    }

    /** Is told of every event from now on, until what it gives is closed. */
    public Listening listen(Consumer<Event> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }
}
