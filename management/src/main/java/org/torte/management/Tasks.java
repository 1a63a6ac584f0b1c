package org.torte.management;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.lang.System.Logger.Level;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Json;
import org.torte.management.store.Database;

/**
 * The tasks of a host, those that run and the last {@value #KEPT} that have ended. Safe for several threads.
 *
 * <p>A task is written down before it begins and as it changes. What cannot be written, for want of room say, is kept in
 * memory and written as soon as anything can be; a task that runs is not ended by that.
 */
public final class Tasks {
    /** How many ended ones are kept. */
    public static final int KEPT = 10_000;

    private static final System.Logger LOG = System.getLogger(Tasks.class.getName());

    private final Database database;
    private final Events events;
    private final InstantSource clock;
    private final Map<Long, Task> running = new ConcurrentHashMap<>();
    /** Those of which the database does not have the latest. */
    private final Map<Long, Task> unwritten = new ConcurrentHashMap<>();

    private final AtomicLong last;

    /** The work of a task. */
    @FunctionalInterface
    interface Work {
        /** Does it; returning means that it is done. */
        void run(Task task);
    }

    Tasks(Database database, Events events, InstantSource clock) {
        this.database = database;
        this.events = events;
        this.clock = clock;
        last = new AtomicLong(database.query(row -> row.getLong(1), "SELECT coalesce(max(id), 0) FROM task")
                .getFirst());
        endInterrupted();
    }

    /** What ran when the service ended: nobody knows how far it came, so it says that, and what to look at. */
    private void endInterrupted() {
        String failure = Json.text(new Task.Failure(
                Problem.Kind.FAILED,
                "the service ended while this was going on",
                "look at the state of the virtual machine, and ask again for what is missing"));
        database.update(
                "UPDATE task SET state = 'FAILED', ended = ?, problem = ? WHERE state = 'RUNNING'",
                clock.millis(),
                failure);
    }

    /**
     * Begins a task that runs on a thread of its own.
     *
     * @param before runs first, on the caller's thread, and may refuse; no task remains then, or one that has failed if it
     *     cannot be removed
     * @throws Problem UNAVAILABLE when it cannot be written down
     */
    Task start(String kind, String target, String targetName, String owner, Consumer<Task> before, Work work) {
        return start(kind, target, targetName, owner, before, work, true);
    }

    /** As {@link #start}, but also when it cannot be written down: for what must always be possible. */
    Task startAnyway(String kind, String target, String targetName, String owner, Consumer<Task> before, Work work) {
        return start(kind, target, targetName, owner, before, work, false);
    }

    private Task start(
            String kind,
            String target,
            String targetName,
            String owner,
            Consumer<Task> before,
            Work work,
            boolean durable) {
        boolean mustBeWritten = !WhatIf.asked() && (durable || unwritten.size() >= KEPT);
        long id = last.incrementAndGet();
        Task task = new Task(
                this,
                new Task.View(
                        id, kind, target, targetName, Task.State.RUNNING, 0, now(), null, owner, List.of(), null));
        if (mustBeWritten) {
            write(task.view());
        }
        try {
            before.accept(task);
            WhatIf.wouldChange();
        } catch (RuntimeException e) {
            if (!forget("DELETE FROM task WHERE id = ?", id)) {
                task.end(Task.State.FAILED, now(), failure(problem(e)));
            }
            throw e;
        }
        running.put(id, task);
        if (!mustBeWritten) {
            writeWith(task);
        }
        tell(task);
        Thread.ofVirtual().name("task-" + id).start(() -> run(task, work));
        return task;
    }

    private void run(Task task, Work work) {
        Task.State state = Task.State.SUCCEEDED;
        Task.Failure failure = null;
        try {
            work.run(task);
        } catch (Throwable e) {
            Problem problem = problem(e);
            state = problem.kind() == Problem.Kind.CANCELLED ? Task.State.CANCELLED : Task.State.FAILED;
            failure = failure(problem);
            if (!(e instanceof Problem)) {
                LOG.log(Level.ERROR, "task " + task.id() + " failed", e);
            }
        }
        finish(task, state, failure);
    }

    /** In milliseconds, as the database keeps it. */
    private Instant now() {
        return Instant.ofEpochMilli(clock.millis());
    }

    private void finish(Task task, Task.State state, Task.@Nullable Failure failure) {
        task.end(state, now(), failure);
        running.remove(task.id());
        boolean _ = forget("DELETE FROM task WHERE id <= ? AND state <> 'RUNNING'", task.id() - KEPT);
    }

    /** Removes rows, if that is possible now. */
    private boolean forget(String sql, long id) {
        try {
            database.update(sql, id);
            return true;
        } catch (Problem e) {
            LOG.log(Level.WARNING, "a task is kept longer: " + e.line());
            return false;
        }
    }

    private static Task.Failure failure(Problem problem) {
        return new Task.Failure(problem.kind(), problem.cause(), problem.remedy());
    }

    /** What users are told of an exception. */
    static Problem problem(Throwable e) {
        if (e instanceof CompletionException && e.getCause() != null) {
            return problem(e.getCause());
        }
        if (e instanceof Problem problem) {
            return problem;
        }
        if (e instanceof CancellationException) {
            return new Problem(Problem.Kind.CANCELLED, "cancelled", "start it again", e);
        }
        return new Problem(
                Problem.Kind.FAILED, "Torte failed (" + e + ")", "look at the log of the service, and report it", e);
    }

    void changed(Task task) {
        writeWith(task);
        tell(task);
    }

    private void tell(Task task) {
        Task.View view = task.view();
        events.add(
                "task.changed",
                String.valueOf(view.id()),
                Map.of(
                        "kind", view.kind(),
                        "target", view.target(),
                        "state", Names.of(view.state()),
                        "progress", view.progress()));
    }

    /** Writes a task that has changed, and what else is not written yet, if that is possible now. */
    private void writeWith(Task changed) {
        synchronized (unwritten) {
            unwritten.put(changed.id(), changed);
            try {
                unwritten.values().removeIf(task -> {
                    Task.View view = task.view();
                    write(view);
                    // Whoever has changed it since comes here next.
                    return task.view().equals(view);
                });
            } catch (Problem e) {
                LOG.log(Level.WARNING, unwritten.size() + " tasks are kept in memory: " + e.line());
            }
        }
    }

    private void write(Task.View view) {
        database.update(
                "INSERT OR REPLACE INTO task "
                        + "(id, kind, target, target_name, state, progress, created, ended, owner, log, problem) "
                        + "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                view.id(),
                view.kind(),
                view.target(),
                view.targetName(),
                view.state().name(),
                view.progress(),
                view.created().toEpochMilli(),
                view.ended() == null ? null : view.ended().toEpochMilli(),
                view.owner(),
                Json.text(view.log()),
                view.problem() == null ? null : Json.text(view.problem()));
    }

    /** A task that runs. */
    public Optional<Task> running(long id) {
        return Optional.ofNullable(running.get(id));
    }

    /** A task, whether it runs or has ended. */
    public Optional<Task.View> find(long id) {
        Task task = running.get(id);
        if (task == null) {
            task = unwritten.get(id);
        }
        return task != null
                ? Optional.of(task.view())
                : database.query(Tasks::view, SELECT + " WHERE id = ?", id).stream()
                        .findFirst();
    }

    /** Tasks with smaller numbers than one, the latest first, no more than a limit. */
    public List<Task.View> before(long id, int limit) {
        SortedMap<Long, Task.View> found = new TreeMap<>(Comparator.reverseOrder());
        for (Task.View view :
                database.query(Tasks::view, SELECT + " WHERE id < ? ORDER BY id DESC LIMIT ?", id, limit)) {
            found.put(view.id(), view);
        }
        for (Task task : unwritten.values()) {
            if (task.id() < id) {
                found.put(task.id(), task.view());
            }
        }
        return found.values().stream().limit(limit).toList();
    }

    private static final String SELECT =
            "SELECT id, kind, target, target_name, state, progress, created, ended, owner, log, problem FROM task";

    private static Task.View view(ResultSet row) throws SQLException {
        long ended = row.getLong(8);
        Instant end = row.wasNull() ? null : Instant.ofEpochMilli(ended);
        String problem = row.getString(11);
        try {
            return new Task.View(
                    row.getLong(1),
                    row.getString(2),
                    row.getString(3),
                    row.getString(4),
                    Task.State.valueOf(row.getString(5)),
                    row.getInt(6),
                    Instant.ofEpochMilli(row.getLong(7)),
                    end,
                    row.getString(9),
                    List.of(Json.MAPPER.readValue(row.getString(10), String[].class)),
                    problem == null ? null : Json.MAPPER.readValue(problem, Task.Failure.class));
        } catch (JsonProcessingException | IllegalArgumentException e) {
            throw new SQLException("a task is damaged", e);
        }
    }
}
