package org.torte.management;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.lang.System.Logger.Level;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.Json;
import org.torte.management.store.Database;

/** The tasks of a host, those that run and the last {@value #KEPT} that have ended. Safe for several threads. */
public final class Tasks {
    /** How many ended ones are kept. */
    public static final int KEPT = 10_000;

    private static final System.Logger LOG = System.getLogger(Tasks.class.getName());

    private final Database database;
    private final Events events;
    private final InstantSource clock;
    private final Map<Long, Task> running = new ConcurrentHashMap<>();

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
     * @param before runs first, on the caller's thread, and may refuse; no task remains then
     */
    Task start(String kind, String target, String targetName, String owner, Consumer<Task> before, Work work) {
        Instant now = now();
        long id = database.insert(
                "INSERT INTO task (kind, target, target_name, state, progress, created, owner, log) "
                        + "VALUES (?, ?, ?, 'RUNNING', 0, ?, ?, '[]')",
                kind,
                target,
                targetName,
                now.toEpochMilli(),
                owner);
        Task task = new Task(
                this,
                new Task.View(id, kind, target, targetName, Task.State.RUNNING, 0, now, null, owner, List.of(), null));
        try {
            before.accept(task);
        } catch (RuntimeException e) {
            database.update("DELETE FROM task WHERE id = ?", id);
            throw e;
        }
        running.put(id, task);
        changed(task);
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
            failure = new Task.Failure(problem.kind(), problem.cause(), problem.remedy());
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
        database.update("DELETE FROM task WHERE id <= ? AND state <> 'RUNNING'", task.id() - KEPT);
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
        Task.View view = task.view();
        database.update(
                "UPDATE task SET state = ?, progress = ?, ended = ?, log = ?, problem = ? WHERE id = ?",
                view.state().name(),
                view.progress(),
                view.ended() == null ? null : view.ended().toEpochMilli(),
                Json.text(view.log()),
                view.problem() == null ? null : Json.text(view.problem()),
                view.id());
        events.add(
                "task.changed",
                String.valueOf(view.id()),
                Map.of(
                        "kind", view.kind(),
                        "target", view.target(),
                        "state", Names.of(view.state()),
                        "progress", view.progress()));
    }

    /** A task that runs. */
    public Optional<Task> running(long id) {
        return Optional.ofNullable(running.get(id));
    }

    /** A task, whether it runs or has ended. */
    public Optional<Task.View> find(long id) {
        Task task = running.get(id);
        return task != null
                ? Optional.of(task.view())
                : database.query(Tasks::view, SELECT + " WHERE id = ?", id).stream()
                        .findFirst();
    }

    /** Tasks with smaller numbers than one, the latest first, no more than a limit. */
    public List<Task.View> before(long id, int limit) {
        return database.query(Tasks::view, SELECT + " WHERE id < ? ORDER BY id DESC LIMIT ?", id, limit);
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
