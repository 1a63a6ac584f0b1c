package org.torte.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.MemoryUse;
import org.torte.management.process.VmFolder;
import org.torte.management.process.Worker;
import org.torte.management.process.WorkerEnd;
import org.torte.management.process.Workers;

/**
 * A virtual machine of this host. It does one thing at a time, as a task; whoever comes second is told what goes on. Only
 * turning off does not wait: it cancels what goes on, asks the worker to end, and after {@value #QUIT_SECONDS} seconds ends
 * its process. Safe for several threads.
 */
public final class Vm {
    private static final int QUIT_SECONDS = 5;
    private static final Duration START_LIMIT = Duration.ofSeconds(60);
    private static final Duration QUICK_LIMIT = Duration.ofSeconds(20);
    private static final Duration SAVE_LIMIT = Duration.ofMinutes(10);
    private static final Duration END_LIMIT = Duration.ofSeconds(20);

    private final VmFolder folder;
    private final Workers workers;
    private final Tasks tasks;
    private final Events events;
    private final InstantSource clock;
    private final Checkpoints checkpoints;
    private final Admission admission;
    private final Ports ports;

    /** Changed by whoever holds this object's lock; read without, so that nobody needs two machines' locks. */
    private volatile VmDefinition definition;

    private VmState state = VmState.OFF;
    private @Nullable Worker worker;
    /** What is known of a worker that does not answer. */
    private @Nullable String silence;

    /** A worker whose process was ended because it did not answer when it was to be turned off. */
    private @Nullable Worker killed;

    private @Nullable Task holder;
    private @Nullable WorkerEnd lastEnd;
    private @Nullable Instant since;
    private @Nullable MemoryUse memory;
    private boolean removed;

    /**
     * What is to be known of a virtual machine at one moment.
     *
     * @param definition what it is
     * @param state what it does
     * @param folder where it lies
     * @param silence why it is not responding, if it is not
     * @param processId of its worker
     * @param since when it came to run
     * @param memory what its guest has, if that is dynamic and known
     * @param task the number of the task that goes on
     * @param lastEnd why it ended last
     */
    public record View(
            VmDefinition definition,
            VmState state,
            VmFolder folder,
            @Nullable String silence,
            @Nullable Long processId,
            @Nullable Instant since,
            @Nullable MemoryUse memory,
            @Nullable Long task,
            @Nullable WorkerEnd lastEnd) {}

    Vm(
            VmFolder folder,
            VmDefinition definition,
            Workers workers,
            Tasks tasks,
            Events events,
            InstantSource clock,
            Consumer<String> steps,
            Dependents dependents,
            Admission admission,
            Ports ports) {
        this.folder = folder;
        this.definition = definition;
        this.workers = workers;
        this.tasks = tasks;
        this.events = events;
        this.clock = clock;
        this.admission = admission;
        this.ports = ports;
        checkpoints = new Checkpoints(this, folder, events, clock, steps, dependents);
        if (folder.isSaved(definition)) {
            state = VmState.SAVED;
        }
    }

    /** Its checkpoints. */
    public Checkpoints checkpoints() {
        return checkpoints;
    }

    /** Its definition now. Unlike {@link #view} it waits for nobody: whoever holds one machine may ask others for it. */
    VmDefinition definition() {
        return definition;
    }

    /** Where it lies. */
    VmFolder folder() {
        return folder;
    }

    /** Its worker, if it has one. */
    synchronized Optional<Worker> worker() {
        return Optional.ofNullable(worker);
    }

    /** For who holds it: changes its definition, durably. */
    void commit(UnaryOperator<VmDefinition> change) {
        synchronized (this) {
            VmDefinition changed = change.apply(definition);
            if (!changed.equals(definition)) {
                folder.write(changed);
                definition = changed;
            }
        }
    }

    /** Its number. */
    public UUID id() {
        return definition.id();
    }

    /** What is to be known of it now. */
    public synchronized View view() {
        return new View(
                definition,
                shown(),
                folder,
                silence,
                worker == null ? null : worker.processId(),
                since,
                memory,
                holder == null ? null : holder.id(),
                lastEnd);
    }

    /** Takes over a worker that an earlier service has started, or notes how it ended. */
    void adopt() {
        Optional<Worker> found = workers.find(folder, definition);
        if (found.isEmpty()) {
            workers.lost(folder).ifPresent(end -> {
                synchronized (this) {
                    lastEnd = end;
                }
                events.add("vm.ended", id().toString(), Map.of("cause", Names.of(end.cause()), "detail", end.detail()));
            });
            return;
        }
        Worker running = found.get();
        ports.found(definition());
        synchronized (this) {
            attach(running);
            to(VmState.STARTING);
        }
        CompletableFuture<?> _ = running.ready()
                .thenCompose(_ -> running.ask("status", Map.of()))
                .whenComplete((status, e) -> {
                    synchronized (this) {
                        if (is(running) && holder == null) {
                            if (e == null) {
                                to(stateOf(status));
                            } else if (!running.ready().isCompletedExceptionally()) {
                                // One that cannot say how it is runs all the same; its end would be told.
                                to(VmState.RUNNING);
                            }
                        }
                    }
                });
    }

    /** Before anybody can ask for anything: ends what an earlier service has left half done, if that takes no time. */
    void settle() {
        if (worker().isEmpty()) {
            checkpoints.settle();
        }
    }

    private static VmState stateOf(JsonNode status) {
        return status.path("state").asText().equals("paused") ? VmState.PAUSED : VmState.RUNNING;
    }

    /** Lets it run, if the host has the memory for it: from the beginning, or from where it was saved. */
    public Task start(String owner) {
        return start(owner, false);
    }

    /**
     * Lets it run: from the beginning, or from where it was saved.
     *
     * @param overcommit whether the host has the memory for it or not
     */
    public Task start(String owner, boolean overcommit) {
        return begin("vm.start", owner, VmState.STARTING, this::refuseUnlessOff, task -> {
            checkpoints.settle();
            if (overcommit) {
                run(task);
                return;
            }
            try (Admission.Held _ = admission.admit(definition())) {
                run(task);
            }
        });
    }

    private void run(Task task) {
        Worker started = startWorker();
        try {
            task.await(
                    started.ready(),
                    START_LIMIT,
                    "starting the worker",
                    "look at the end of " + folder.run().resolve("worker.log"));
        } catch (Problem e) {
            started.kill();
            awaitEnd(started);
            throw e;
        }
        synchronized (this) {
            if (is(started)) {
                to(VmState.RUNNING);
                return;
            }
        }
        throw ended();
    }

    private Worker startWorker() {
        ports.begin(definition());
        boolean done = false;
        try {
            Worker started = workers.start(folder, definition());
            synchronized (this) {
                attach(started);
            }
            done = true;
            return started;
        } finally {
            if (!done) {
                ports.end(id());
            }
        }
    }

    /** What the guest of a worker is known to have. */
    synchronized void uses(long processId, MemoryUse now) {
        if (worker != null
                && worker.processId() == processId
                && definition.hardware().dynamicMemory() != null) {
            memory = now;
        }
    }

    /**
     * Asks the guest to shut down, and waits until it has.
     *
     * @param limit how long it may take
     */
    public Task stop(String owner, Duration limit) {
        return begin("vm.stop", owner, VmState.STOPPING, refuseUnless(VmState.RUNNING), task -> {
            Worker asked = current();
            task.await(asked.ask("shutdown", Map.of()), QUICK_LIMIT, "asking the guest to shut down", TURN_OFF);
            task.await(asked.end(), limit, "the guest's shutting down", TURN_OFF);
        });
    }

    private static final String TURN_OFF = "look at its console, or turn it off with torte vm stop --turn-off";

    /** Turns it off like pulling its plug, whatever goes on. */
    public Task turnOff(String owner) {
        return tasks.startAnyway(
                "vm.turn-off",
                id().toString(),
                view().definition().name(),
                owner,
                _ -> {
                    synchronized (this) {
                        refuseRemoved();
                        if (state == VmState.SAVED) {
                            throw conflict(
                                    "is saved, not running",
                                    "start it, or discard its saved state with torte vm discard");
                        }
                    }
                },
                task -> {
                    Worker running;
                    Task other;
                    boolean mute;
                    synchronized (this) {
                        running = worker;
                        other = holder;
                        mute = silence != null;
                        if (running != null) {
                            to(VmState.STOPPING);
                            killed = mute ? running : killed;
                        }
                    }
                    if (other != null) {
                        other.cancel();
                    }
                    if (running == null) {
                        awaitTask(other);
                        return;
                    }
                    if (mute) {
                        task.log("the worker does not answer; its process is ended");
                        running.kill();
                    } else if (!running.ready().isDone()) {
                        // Nobody listens there yet.
                        running.kill();
                    }
                    CompletableFuture<?> asked = running.ask("stop", Map.of());
                    try {
                        running.end().get(QUIT_SECONDS, TimeUnit.SECONDS);
                    } catch (java.util.concurrent.TimeoutException e) {
                        task.log("the worker did not end within " + QUIT_SECONDS + " s; its process is ended");
                        running.kill();
                    } catch (java.util.concurrent.ExecutionException e) {
                        throw Tasks.problem(e);
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                        return;
                    } finally {
                        asked.cancel(false);
                    }
                    task.await(
                            running.end(),
                            END_LIMIT,
                            "ending the worker's process",
                            "end process " + running.processId());
                    awaitTask(other);
                });
    }

    private static void awaitTask(@Nullable Task other) {
        try {
            if (other != null && !other.await(END_LIMIT.toSeconds(), TimeUnit.SECONDS)) {
                throw new Problem(
                        Problem.Kind.TIMEOUT,
                        "task " + other.id() + " did not stop",
                        "look at it with torte task get " + other.id());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Lets it stand still. */
    public Task pause(String owner) {
        return simple("vm.pause", "pause", owner, VmState.RUNNING, VmState.PAUSING, VmState.PAUSED);
    }

    /** Lets it go on. */
    public Task resume(String owner) {
        return simple("vm.resume", "resume", owner, VmState.PAUSED, VmState.RESUMING, VmState.RUNNING);
    }

    /** Asks the guest to start again. */
    public Task restart(String owner) {
        return simple("vm.restart", "restart", owner, VmState.RUNNING, VmState.RUNNING, VmState.RUNNING);
    }

    private Task simple(String kind, String command, String owner, VmState from, VmState by, VmState to) {
        return begin(kind, owner, by, refuseUnless(from), task -> {
            Worker asked = current();
            task.await(asked.ask(command, Map.of()), QUICK_LIMIT, "the worker's answer", TURN_OFF);
            synchronized (this) {
                if (is(asked)) {
                    to(to);
                    return;
                }
            }
            throw ended();
        });
    }

    /** Writes its memory and devices to its folder, and ends its worker. */
    public Task save(String owner) {
        return begin("vm.save", owner, VmState.SAVING, refuseUnless(VmState.RUNNING, VmState.PAUSED), task -> {
            Worker asked = current();
            task.await(
                    asked.ask(
                            "save",
                            Map.of("file", folder.savedState(definition()).toString())),
                    SAVE_LIMIT,
                    "saving",
                    "try again; the machine goes on");
            task.await(asked.end(), END_LIMIT, "the worker's end", TURN_OFF);
            if (!folder.isSaved(definition())) {
                throw ended();
            }
        });
    }

    /** Throws away its saved state, so that it starts from the beginning. */
    public Task discard(String owner) {
        return begin(
                "vm.discard",
                owner,
                VmState.SAVED,
                () -> {
                    if (shown() != VmState.SAVED) {
                        throw conflict("is " + shown().label() + ", not Saved", "there is nothing to discard");
                    }
                },
                _ -> folder.forgetSavedState(definition()));
    }

    /**
     * Changes its definition, durably.
     *
     * @param change makes the new one of the old one
     */
    VmDefinition change(UnaryOperator<VmDefinition> change) {
        VmDefinition old;
        VmDefinition changed;
        CompletableFuture<?> told = CompletableFuture.completedFuture(null);
        synchronized (this) {
            refuseRemoved();
            refuseHeld();
            old = definition;
            changed = change.apply(old);
            if (changed.equals(old)) {
                return old;
            }
            boolean rebuilt = !changed.hardware().replaces(old.hardware());
            if (worker != null && (rebuilt || changed.translator() != old.translator())) {
                throw conflict(
                        "runs, and what you change needs a stop",
                        "stop it first; name, notes, processorLimit, dynamicMemory, automaticStart and adapters at"
                                + " switches can be changed now");
            }
            if (state == VmState.SAVED && rebuilt) {
                throw conflict(
                        "is saved with the hardware it has", "start and stop it first, or discard its saved state");
            }
            if (!changed.disks().equals(old.disks()) && !old.checkpoints().empty()) {
                throw conflict("has checkpoints, which have the disks that it has", "remove them first");
            }
            WhatIf.wouldChange();
            folder.write(changed);
            definition = changed;
            if (worker != null && !changed.processorLimit().equals(old.processorLimit())) {
                told = worker.ask("processor-limit", Map.of("percent", changed.processorLimit()));
            }
            if (worker != null
                    && changed.hardware().dynamicMemory() == null
                    && old.hardware().dynamicMemory() != null) {
                // From now on nobody moves it: the guest has all of it, now or when its driver comes.
                CompletableFuture<?> _ =
                        worker.ask("memory", Map.of("size", changed.hardware().memory()));
                memory = null;
            }
        }
        awaitLimit(told, changed);
        events.add("vm.changed", changed.id().toString(), Map.of("name", changed.name()));
        return changed;
    }

    private static void awaitLimit(CompletableFuture<?> told, VmDefinition changed) {
        try {
            Object _ = told.get(QUICK_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            throw new Problem(
                    Problem.Kind.FAILED,
                    changed.name()
                            + " has the limit of processors from its next start on, but its worker did not take it ("
                            + (e.getCause() == null ? "no answer" : e.getCause().getMessage()) + ")",
                    "restart it",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Marks it as removed, which only one that does not run can be. */
    synchronized void remove() {
        refuseRemoved();
        refuseHeld();
        if (worker != null) {
            throw conflict("is " + state.label(), "stop it first");
        }
        if (!definition.checkpoints().empty()) {
            throw conflict("has checkpoints", "remove them first, so that its disks are whole");
        }
        WhatIf.wouldChange();
        removed = true;
    }

    /** Lets go of its worker, which goes on by itself. */
    synchronized void detach() {
        if (worker != null) {
            worker.detach();
        }
    }

    /** The worker's answer to a question that changes nothing. */
    public CompletableFuture<JsonNode> ask(String command, Map<String, ?> arguments) {
        Worker asked;
        synchronized (this) {
            asked = worker;
        }
        return asked == null
                ? CompletableFuture.failedFuture(conflict("does not run", "start it first"))
                : asked.ask(command, arguments);
    }

    /**
     * Has somebody hear its console; see {@link Worker#listen}.
     *
     * @throws Problem CONFLICT when there is none: it does not run, or its worker does not answer
     */
    public Worker.Listening console(Worker.ConsoleListener listener) {
        return withConsole().listen(listener);
    }

    /**
     * Refuses who wants its console when there is none.
     *
     * @throws Problem as {@link #console}
     */
    public void requireConsole() {
        withConsole();
    }

    private synchronized Worker withConsole() {
        if (worker == null || !worker.ready().isDone()) {
            throw conflict("is " + state.label() + " and has no console", "start it first");
        }
        if (silence != null) {
            throw conflict("does not answer", "wait until it does, or turn it off");
        }
        return worker;
    }

    /**
     * Begins a task that is the only one.
     *
     * @param by the state meanwhile, if it is another
     * @param check refuses, holding the lock
     */
    Task begin(String kind, String owner, @Nullable VmState by, Runnable check, Tasks.Work work) {
        View now = view();
        return tasks.start(
                kind,
                now.definition().id().toString(),
                now.definition().name(),
                owner,
                task -> {
                    synchronized (this) {
                        refuseRemoved();
                        refuseHeld();
                        check.run();
                        WhatIf.wouldChange();
                        holder = task;
                        if (by != null) {
                            to(by);
                        }
                    }
                },
                task -> {
                    try {
                        work.run(task);
                    } finally {
                        release(task);
                    }
                });
    }

    /** After work, done or not, the state is what the worker says; what failed half way left a machine that runs. */
    private void release(Task task) {
        Worker running;
        synchronized (this) {
            if (task.equals(holder)) {
                holder = null;
            }
            running = worker;
            if (running == null) {
                folder.sweep();
                to(folder.isSaved(definition) ? VmState.SAVED : VmState.OFF);
                return;
            }
            if (state == VmState.RUNNING || state == VmState.PAUSED) {
                return;
            }
        }
        VmState actual = VmState.RUNNING;
        try {
            actual = stateOf(running.ask("status", Map.of()).get(QUICK_LIMIT.toSeconds(), TimeUnit.SECONDS));
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            // Whoever watches the worker ends it when it does not answer; until then it counts as running.
            task.log("the worker does not say how it is");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        synchronized (this) {
            if (is(running) && holder == null) {
                to(actual);
            }
        }
    }

    private void attach(Worker started) {
        worker = started;
        silence = null;
        memory = null;
        since = clock.instant();
        started.watch(what -> silent(started, what));
        CompletableFuture<Void> _ = started.end().thenAccept(end -> ended(started, end));
    }

    private void ended(Worker which, WorkerEnd how) {
        WorkerEnd end = how;
        synchronized (this) {
            if (!is(which)) {
                return;
            }
            if (which.equals(killed) && how.cause() == WorkerEnd.Cause.DIED) {
                end = new WorkerEnd(
                        WorkerEnd.Cause.TURNED_OFF,
                        "it was turned off; its worker did not answer, and its process was ended");
            }
            worker = null;
            silence = null;
            memory = null;
            since = null;
            lastEnd = end;
            if (holder == null) {
                // Otherwise its task still writes there, and does that when it ends.
                folder.sweep();
            }
            to(folder.isSaved(definition) ? VmState.SAVED : VmState.OFF);
        }
        ports.end(id());
        events.add("vm.ended", id().toString(), Map.of("cause", Names.of(end.cause()), "detail", end.detail()));
    }

    /** Whether a worker is still the one: it may have ended, and another have begun. */
    private boolean is(Worker which) {
        return which.equals(worker);
    }

    private void awaitEnd(Worker which) {
        try {
            which.end().get(END_LIMIT.toSeconds(), TimeUnit.SECONDS);
        } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
            throw new Problem(
                    Problem.Kind.FAILED, "the worker's process does not end", "end process " + which.processId(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void to(VmState next) {
        VmState before = shown();
        state = next;
        if (shown() != before) {
            events.add("vm.state", definition.id().toString(), Map.of("state", shown().label()));
        }
    }

    /** The state that users see; one that is to end is on its way there whether it answers or not. */
    private VmState shown() {
        return silence == null || state == VmState.STOPPING ? state : VmState.NOT_RESPONDING;
    }

    /** A worker has stopped answering, or answers again. */
    private void silent(Worker which, Optional<String> what) {
        synchronized (this) {
            if (!is(which)) {
                return;
            }
            silence = what.orElse(null);
            events.add(
                    "vm.state",
                    definition.id().toString(),
                    Map.of("state", shown().label(), "detail", what.orElse("its worker answers again")));
        }
    }

    private synchronized Worker current() {
        if (worker == null) {
            throw ended();
        }
        return worker;
    }

    private synchronized Problem ended() {
        return new Problem(
                Problem.Kind.FAILED,
                definition.name() + " has ended" + (lastEnd == null ? "" : ": " + lastEnd.detail()),
                "start it again");
    }

    void refuseUnlessOff() {
        if (state != VmState.OFF && state != VmState.SAVED) {
            throw conflict("is " + shown().label() + " already", "nothing needs to be done");
        }
    }

    private Runnable refuseUnless(VmState... allowed) {
        return () -> {
            for (VmState one : allowed) {
                if (shown() == one) {
                    return;
                }
            }
            throw conflict("is " + shown().label() + ", not " + allowed[0].label(), hint());
        };
    }

    /** For who holds the lock: refuses while it is on the way from one state to another. */
    void refuseUnlessSteady() {
        refuseUnless(VmState.RUNNING, VmState.PAUSED, VmState.OFF, VmState.SAVED)
                .run();
    }

    /** For who holds the lock: refuses unless its disks are whole by themselves. */
    void refuseUnlessWhole(String remedy) {
        if (shown() != VmState.OFF) {
            throw conflict("is " + shown().label(), remedy);
        }
    }

    /** For who holds the lock: refuses while it has a worker. */
    void refuseUnlessStopped(String why) {
        if (state != VmState.OFF && state != VmState.SAVED) {
            int end = why.indexOf("; ");
            throw conflict("is " + state.label() + ", and " + why.substring(0, end), why.substring(end + 2));
        }
    }

    private String hint() {
        return switch (shown()) {
            case OFF, SAVED -> "start it first";
            case PAUSED -> "resume it first";
            default -> "wait for it, or turn it off";
        };
    }

    private void refuseHeld() {
        Task other = holder;
        if (other != null) {
            Task.View at = other.view();
            throw conflict(
                    "is busy with task " + at.id() + " (" + at.kind() + " by " + at.owner() + ", since "
                            + Duration.between(at.created(), clock.instant()).toSeconds() + " s)",
                    "wait for it, cancel it with torte task cancel " + at.id() + ", or turn the machine off");
        }
    }

    private void refuseRemoved() {
        if (removed) {
            throw new Problem(
                    Problem.Kind.NOT_FOUND, definition.name() + " has been removed", "look with torte vm list");
        }
    }

    private Problem conflict(String what, String remedy) {
        return new Problem(Problem.Kind.CONFLICT, definition.name() + " " + what, remedy);
    }
}
