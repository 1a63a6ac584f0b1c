package org.torte.management;

import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Something that takes a while. It runs on a thread of its own, can be watched, and can be cancelled as long as it has
 * not passed the point from which there is no way back. Safe for several threads.
 */
public final class Task {
    /** How far it is. */
    public enum State {
        /** At it. */
        RUNNING,
        /** Done. */
        SUCCEEDED,
        /** Not done; its problem says why. */
        FAILED,
        /** Not done, because somebody said so. */
        CANCELLED;

        /** Whether nothing will change any more. */
        public boolean isEnd() {
            return this != RUNNING;
        }
    }

    /**
     * What is to be known of a task at one moment.
     *
     * @param id its number, which is never used twice
     * @param kind what it does, such as vm.start
     * @param target the id of the virtual machine it is about
     * @param targetName the name that had when the task began
     * @param state how far it is
     * @param progress percent
     * @param created when it began
     * @param ended when it ended
     * @param owner whose token asked for it
     * @param log what it has said, line by line
     * @param problem why it was not done
     */
    public record View(
            long id,
            String kind,
            String target,
            String targetName,
            State state,
            int progress,
            Instant created,
            @Nullable Instant ended,
            String owner,
            List<String> log,
            @Nullable Failure problem) {}

    /**
     * Why a task failed, in the words of {@link Problem}.
     *
     * @param kind of the problem
     * @param cause what was wrong
     * @param remedy what to do
     */
    public record Failure(Problem.Kind kind, String cause, String remedy) {}

    private final Tasks tasks;
    private final long id;
    private final CountDownLatch done = new CountDownLatch(1);
    private final CompletableFuture<Void> cancelled = new CompletableFuture<>();
    private View view;

    Task(Tasks tasks, View view) {
        this.tasks = tasks;
        this.view = view;
        id = view.id();
    }

    /** Its number. */
    public long id() {
        return id;
    }

    /** What is to be known of it now. */
    public synchronized View view() {
        return view;
    }

    /** Waits for its end, and says whether it has come. */
    public boolean await(long limit, TimeUnit unit) throws InterruptedException {
        return done.await(limit, unit);
    }

    /** Asks it to stop; what it has done is undone or said in its problem. */
    public void cancel() {
        cancelled.complete(null);
    }

    /** Completes when somebody wants it to stop. */
    CompletableFuture<Void> cancelled() {
        return cancelled;
    }

    /** For those who do it: how far they are, in percent. */
    public void progress(int percent) {
        synchronized (this) {
            if (view.progress() == percent) {
                return;
            }
            view = with(view.state(), percent, view.ended(), view.log(), view.problem());
        }
        tasks.changed(this);
    }

    /** For those who do it: a line for people. */
    public void log(String line) {
        synchronized (this) {
            List<String> lines = new java.util.ArrayList<>(view.log());
            if (lines.size() < 1000) {
                lines.add(line);
            }
            view = with(view.state(), view.progress(), view.ended(), List.copyOf(lines), view.problem());
        }
        tasks.changed(this);
    }

    /** For those who do it: waits for something, no longer than the deadline, and only until it is cancelled. */
    <T> T await(CompletableFuture<T> future, java.time.Duration limit, String what, String remedy) {
        try {
            CompletableFuture.anyOf(future, cancelled).get(limit.toNanos(), TimeUnit.NANOSECONDS);
            if (!future.isDone()) {
                throw new Problem(Problem.Kind.CANCELLED, "cancelled", "start it again");
            }
            return future.join();
        } catch (java.util.concurrent.TimeoutException e) {
            throw new Problem(Problem.Kind.TIMEOUT, what + " took longer than " + limit.toSeconds() + " s", remedy, e);
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.CompletionException e) {
            throw Tasks.problem(e.getCause() == null ? e : e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "the service is stopping", "start it again", e);
        }
    }

    void end(State state, Instant now, @Nullable Failure problem) {
        synchronized (this) {
            view = with(state, state == State.SUCCEEDED ? 100 : view.progress(), now, view.log(), problem);
        }
        tasks.changed(this);
        done.countDown();
    }

    private View with(State state, int progress, @Nullable Instant ended, List<String> log, @Nullable Failure problem) {
        return new View(
                view.id(),
                view.kind(),
                view.target(),
                view.targetName(),
                state,
                progress,
                view.created(),
                ended,
                view.owner(),
                log,
                problem);
    }
}
