package org.torte.management;

import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.torte.management.definition.Json;
import org.torte.management.store.Database;

/**
 * What has happened on this host, numbered from 1 without gaps, the last {@value #KEPT} kept. Safe for several threads;
 * listeners are called in order and must not block.
 */
public final class Events {
    /** How many are kept. */
    public static final int KEPT = 100_000;

    private static final int PRUNE_EVERY = 1000;

    private final Database database;
    private final InstantSource clock;
    private final List<Consumer<Event>> listeners = new CopyOnWriteArrayList<>();
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
        String text = Json.text(data);
        long id = database.insert(
                "INSERT INTO event (time, type, subject, data) VALUES (?, ?, ?, ?)",
                now.toEpochMilli(),
                type,
                subject,
                text);
        last = id;
        if (id % PRUNE_EVERY == 0) {
            database.update("DELETE FROM event WHERE id <= ?", id - KEPT);
        }
        Event event = new Event(id, now, type, subject, text);
        listeners.forEach(listener -> listener.accept(event));
    }

    /** The number of the last one; 0 when there has been none. */
    public synchronized long last() {
        return last;
    }

    /** Those after a number, oldest first, no more than a limit. */
    public List<Event> after(long id, int limit) {
        return database.query(
                row -> new Event(
                        row.getLong(1),
                        Instant.ofEpochMilli(row.getLong(2)),
                        row.getString(3),
                        row.getString(4),
                        row.getString(5)),
                "SELECT id, time, type, subject, data FROM event WHERE id > ? ORDER BY id LIMIT ?",
                id,
                limit);
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
