package org.torte.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.UnaryOperator;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.process.Worker;
import org.torte.management.process.WorkerEnd;
import org.torte.management.process.Workers;

/** Workers that are no processes: they answer at once, unless they are told to keep silent. They outlive their host. */
public final class FakeWorkers implements Workers {
    final Map<VmFolder, FakeWorker> running = new ConcurrentHashMap<>();
    final Set<String> silent = ConcurrentHashMap.newKeySet();
    final Set<String> failing = ConcurrentHashMap.newKeySet();
    final List<String> asked = new CopyOnWriteArrayList<>();
    private UnaryOperator<CompletableFuture<Void>> readiness = ready -> {
        ready.complete(null);
        return ready;
    };
    private final Map<VmFolder, WorkerEnd> lost = new ConcurrentHashMap<>();

    /** Workers that are started from now on are not ready until they are told. */
    void startSlowly() {
        readiness = ready -> ready;
    }

    /** Workers that are started from now on fail. */
    void failToStart(String cause) {
        readiness = ready -> {
            ready.completeExceptionally(new Problem(Problem.Kind.FAILED, cause, "mend it"));
            return ready;
        };
    }

    void loseAll() {
        running.forEach((folder, worker) -> {
            lost.put(folder, new WorkerEnd(WorkerEnd.Cause.DIED, "the host went down"));
            worker.kill();
        });
    }

    FakeWorker of(Vm vm) {
        return Optional.ofNullable(running.get(vm.view().folder())).orElseThrow();
    }

    @Override
    public Worker start(VmFolder folder, VmDefinition definition) {
        FakeWorker worker = new FakeWorker(folder);
        running.put(folder, worker);
        return worker;
    }

    @Override
    public Optional<Worker> find(VmFolder folder, VmDefinition definition) {
        return Optional.ofNullable(running.get(folder));
    }

    @Override
    public Optional<WorkerEnd> lost(VmFolder folder) {
        return Optional.ofNullable(lost.remove(folder));
    }

    /** One of them. */
    final class FakeWorker implements Worker {
        final CompletableFuture<Void> ready;
        final CompletableFuture<WorkerEnd> end = new CompletableFuture<>();
        private final VmFolder folder;
        private final List<CompletableFuture<JsonNode>> unanswered = new ArrayList<>();
        private String state = "running";

        FakeWorker(VmFolder folder) {
            this.folder = folder;
            ready = readiness.apply(new CompletableFuture<>());
        }

        @Override
        public long processId() {
            return 4711;
        }

        @Override
        public CompletableFuture<Void> ready() {
            return ready;
        }

        @Override
        public CompletableFuture<WorkerEnd> end() {
            return end;
        }

        @Override
        public synchronized CompletableFuture<JsonNode> ask(String command, Map<String, ?> arguments) {
            asked.add(command);
            if (failing.contains(command)) {
                return CompletableFuture.failedFuture(new Problem(Problem.Kind.FAILED, "it fails", "mend it"));
            }
            if (silent.contains(command)) {
                CompletableFuture<JsonNode> never = new CompletableFuture<>();
                unanswered.add(never);
                return never;
            }
            switch (command) {
                case "pause" -> state = "paused";
                case "resume" -> state = "running";
                case "shutdown" -> finish(WorkerEnd.Cause.POWERED_OFF);
                case "stop" -> finish(WorkerEnd.Cause.TURNED_OFF);
                case "save" -> {
                    try {
                        Files.writeString(Path.of(String.valueOf(arguments.get("file"))), "memory");
                    } catch (IOException e) {
                        throw new UncheckedIOException(e);
                    }
                    finish(WorkerEnd.Cause.SAVED);
                }
                default -> {}
            }
            return CompletableFuture.completedFuture(Json.MAPPER.valueToTree(Map.of("state", state)));
        }

        void finish(WorkerEnd.Cause cause) {
            running.remove(folder, this);
            end.complete(new WorkerEnd(cause, Names.of(cause)));
        }

        @Override
        public void kill() {
            finish(WorkerEnd.Cause.DIED);
        }

        @Override
        public void detach() {}
    }
}
