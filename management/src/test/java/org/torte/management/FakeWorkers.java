package org.torte.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.operation.LiveDisk;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.HostMemory;
import org.torte.management.process.VmFolder;
import org.torte.management.process.Worker;
import org.torte.management.process.WorkerEnd;
import org.torte.management.process.Workers;

/** Workers that are no processes: they answer at once, unless they are told to keep silent. They outlive their host. */
public final class FakeWorkers implements Workers {
    /** What the daemon of each guest tells; without any, there is none. */
    public volatile Map<String, String> pairs = Map.of();

    final Map<VmFolder, FakeWorker> running = new ConcurrentHashMap<>();
    final Set<String> silent = ConcurrentHashMap.newKeySet();
    public final Set<String> failing = ConcurrentHashMap.newKeySet();
    public final List<String> asked = new CopyOnWriteArrayList<>();
    private UnaryOperator<CompletableFuture<Void>> readiness = ready -> {
        ready.complete(null);
        return ready;
    };
    /** Workers that are started from now on open the disks of their definition, and forget saved state. */
    boolean withDisks;
    /** What is cancelled while it is silent has been done. */
    boolean tooLate;
    /** Told of each step of a worker; one that throws {@link Killed} ends the worker there. */
    Consumer<String> steps = _ -> {};

    private final Map<VmFolder, WorkerEnd> lost = new ConcurrentHashMap<>();

    /** What the host has for programs, in bytes. */
    public volatile long available = 1L << 40;

    /** What was typed at all consoles. */
    public final Queue<String> typed = new ConcurrentLinkedQueue<>();

    /** All consoles say something. */
    public void say(String text) {
        running.values().forEach(worker -> worker.say(text));
    }

    /** How many listen to consoles. */
    public int listening() {
        return running.values().stream()
                .mapToInt(worker -> worker.listeners.size())
                .sum();
    }

    /** All guests power off. */
    public void powerOff() {
        running.values().forEach(worker -> worker.finish(WorkerEnd.Cause.POWERED_OFF));
    }

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
        if (withDisks) {
            for (Hardware.Disk disk : definition.disks()) {
                worker.disks.add(LiveDisk.open(folder.resolve(disk.path()), DiskFormat.VHDX, DiskOptions.readWrite()));
            }
            folder.forgetSavedState(definition);
        }
        running.put(folder, worker);
        return worker;
    }

    @Override
    public Optional<Worker> find(VmFolder folder, VmDefinition definition) {
        if (failing.contains("find " + definition.name())) {
            throw new Problem(Problem.Kind.UNAVAILABLE, "its folder cannot be used", "make it writable");
        }
        return Optional.ofNullable(running.get(folder));
    }

    @Override
    public Optional<WorkerEnd> lost(VmFolder folder) {
        return Optional.ofNullable(lost.remove(folder));
    }

    @Override
    public void sweep() {}

    @Override
    public HostMemory memory() {
        return new HostMemory() {
            @Override
            public long total() {
                return available;
            }

            @Override
            public long available() {
                return available;
            }

            @Override
            public Resident of(long processId) {
                return Resident.NONE;
            }
        };
    }

    /** The process ended here. */
    static final class Killed extends Error {
        private static final long serialVersionUID = 1;
    }

    /** One of them. */
    final class FakeWorker implements Worker {
        final CompletableFuture<Void> ready;
        final CompletableFuture<WorkerEnd> end = new CompletableFuture<>();
        private final VmFolder folder;
        /** What was asked while it was silent, with what it does about it when that is cancelled. */
        private final IdentityHashMap<CompletableFuture<JsonNode>, Supplier<CompletableFuture<JsonNode>>> unanswered =
                new IdentityHashMap<>();

        final List<LiveDisk> disks = new CopyOnWriteArrayList<>();
        private String state = "running";
        /** What it says of its guest's memory, if it has dynamic memory. */
        final Map<String, Object> memory = new ConcurrentHashMap<>();

        private final List<ConsoleListener> listeners = new CopyOnWriteArrayList<>();
        private final StringBuilder said = new StringBuilder();
        /** To be told that it is silent. */
        volatile Consumer<Optional<String>> watcher = _ -> {};

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
        public synchronized CompletableFuture<JsonNode> ask(
                String command, Map<String, ?> arguments, Consumer<String> progress) {
            asked.add(command);
            if (failing.contains(command)) {
                return CompletableFuture.failedFuture(new Problem(Problem.Kind.FAILED, "it fails", "mend it"));
            }
            if (silent.contains(command)) {
                CompletableFuture<JsonNode> never = new CompletableFuture<>();
                unanswered.put(never, () -> checkpoints(command, arguments));
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
                case "memory" -> {
                    if (arguments.get("size") instanceof Long size) {
                        memory.put("wanted", size);
                        memory.put("assigned", size);
                    }
                    return CompletableFuture.completedFuture(Json.MAPPER.valueToTree(memory));
                }
                case "kvp.get" -> {
                    return CompletableFuture.completedFuture(Json.MAPPER.valueToTree(Map.of("pairs", pairs)));
                }
                case "console.write" -> typed.add(String.valueOf(arguments.get("bytes")));
                case "checkpoint.new", "checkpoint.merge", "checkpoint.disks" -> {
                    progress.accept("merging");
                    progress.accept("42 %");
                    return checkpoints(command, arguments);
                }
                default -> {}
            }
            return CompletableFuture.completedFuture(
                    Json.MAPPER.valueToTree(Map.of("state", state, "key-value-pairs", !pairs.isEmpty())));
        }

        @Override
        @SuppressWarnings("UndefinedEquals")
        public synchronized void cancel(CompletableFuture<JsonNode> question) {
            asked.add("cancel");
            Supplier<CompletableFuture<JsonNode>> work = unanswered.remove(question);
            if (work != null && tooLate) {
                question.complete(work.get().join());
            } else if (work != null) {
                question.completeExceptionally(new Problem(Problem.Kind.CANCELLED, "cancelled", "ask again"));
            }
        }

        private CompletableFuture<JsonNode> checkpoints(String command, Map<String, ?> arguments) {
            try {
                Map<String, Object> answer = new TreeMap<>();
                if (command.equals("checkpoint.new")) {
                    steps.accept("worker: begin");
                    for (Map.Entry<?, ?> child : children(arguments).entrySet()) {
                        disks.get(Integer.parseInt(String.valueOf(child.getKey())))
                                .checkpoint(Path.of(String.valueOf(child.getValue())));
                        steps.accept("worker: disk " + child.getKey());
                    }
                    // Memory is durable, and has its name, only when the machine has gone on.
                    if (arguments.get("memory") != null) {
                        Files.writeString(Path.of(String.valueOf(arguments.get("memory"))), "memory");
                        steps.accept("worker: memory");
                    }
                    answer.put("stood-ms", 1);
                    answer.put("frozen", asked.contains("freeze"));
                } else if (command.equals("checkpoint.merge")) {
                    Path file = Path.of(String.valueOf(arguments.get("file")));
                    for (LiveDisk disk : disks) {
                        if (disk.layers().contains(file)) {
                            disk.merge(file, (_, _) -> {
                                steps.accept("worker: merging");
                                return true;
                            });
                        }
                    }
                    steps.accept("worker: merged");
                } else {
                    Map<String, String> files = new TreeMap<>();
                    for (int i = 0; i < disks.size(); i++) {
                        files.put(
                                Integer.toString(i),
                                disks.get(i).layers().getFirst().toString());
                    }
                    answer.put("disks", files);
                }
                return CompletableFuture.completedFuture(Json.MAPPER.valueToTree(answer));
            } catch (Killed e) {
                finish(WorkerEnd.Cause.DIED);
                return CompletableFuture.failedFuture(new Problem(Problem.Kind.FAILED, "the worker is gone", "look"));
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        private static Map<?, ?> children(Map<String, ?> arguments) {
            return arguments.get("disks") instanceof Map<?, ?> given ? given : Map.of();
        }

        void finish(WorkerEnd.Cause cause) {
            disks.forEach(LiveDisk::close);
            running.remove(folder, this);
            end.complete(new WorkerEnd(cause, Names.of(cause)));
            listeners.forEach(ConsoleListener::ended);
        }

        private synchronized void say(String text) {
            said.append(text);
            byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
            listeners.forEach(listener -> listener.said(bytes, false));
        }

        @Override
        public Listening listen(ConsoleListener listener) {
            Thread.ofVirtual().start(() -> {
                synchronized (this) {
                    listener.said(said.toString().getBytes(StandardCharsets.ISO_8859_1), true);
                    listeners.add(listener);
                }
            });
            return () -> listeners.remove(listener);
        }

        @Override
        public void watch(Consumer<Optional<String>> listener) {
            watcher = listener;
        }

        @Override
        public void kill() {
            finish(WorkerEnd.Cause.DIED);
        }

        @Override
        public void detach() {}
    }
}
