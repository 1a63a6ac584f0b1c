package org.torte.management.process;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.management.Problem;
import org.torte.management.definition.Json;
import org.torte.worker.InputException;
import org.torte.worker.control.ControlClient;

/** A worker that is a process: a connection to its control socket, a thread that reads from it, and an eye on the process. */
final class WorkerProcess implements Worker {
    private static final Duration POLL = Duration.ofMillis(10);
    private static final int LOG_LINES = 10;
    private static final long LOG_BYTES = 16 << 10;

    private final VmFolder folder;
    private final Path control;
    private final ProcessHandle process;
    /** The process as a child, whose exit status can be had; not if an earlier service started it. */
    private final @Nullable Process child;

    private final CompletableFuture<Void> ready = new CompletableFuture<>();
    private final CompletableFuture<WorkerEnd> end = new CompletableFuture<>();
    private final Map<Long, Question> asked = new ConcurrentHashMap<>();
    private final AtomicLong lastId = new AtomicLong();
    private volatile @Nullable ControlClient client;
    private volatile boolean detached;
    private final Pulse pulse;

    private record Question(CompletableFuture<JsonNode> answer, Consumer<String> progress) {}

    WorkerProcess(VmFolder folder, Path control, ProcessHandle process, @Nullable Process child) {
        this.folder = folder;
        this.control = control;
        this.process = process;
        this.child = child;
        // One that an earlier service has started listens already, if it is well.
        pulse = new Pulse(process, child == null);
        CompletableFuture<Void> _ = process.onExit().thenAccept(_ -> exited());
        Thread.ofVirtual().name("worker-" + process.pid()).start(this::converse);
        Thread.ofVirtual().name("worker-pulse-" + process.pid()).start(this::feelPulse);
    }

    @Override
    public long processId() {
        return process.pid();
    }

    @Override
    public CompletableFuture<Void> ready() {
        return ready;
    }

    @Override
    public CompletableFuture<WorkerEnd> end() {
        return end;
    }

    /** Connects as soon as the worker listens, and hands its answers to those who asked, until it is gone. */
    private void converse() {
        try {
            ControlClient connected = connect();
            if (connected == null) {
                return;
            }
            try (connected) {
                client = connected;
                ready.complete(null);
                while (!detached) {
                    answer(connected.receive());
                }
            }
        } catch (IOException e) {
            // It has closed the connection: its process ends, or it was ended.
            client = null;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            ready.completeExceptionally(new Problem(
                    Problem.Kind.FAILED,
                    "the worker says what it should not (" + e.getMessage() + ")",
                    "turn it off",
                    e));
        } finally {
            client = null;
            asked.values().forEach(one -> one.answer().completeExceptionally(gone()));
        }
    }

    private @Nullable ControlClient connect() throws InterruptedException {
        while (process.isAlive() && !detached) {
            if (Files.exists(control)) {
                try {
                    return ControlClient.connect(control);
                } catch (InputException e) {
                    // A socket that an earlier worker left, or one that does not listen: the next look tells.
                    Thread.sleep(POLL);
                }
            }
            Thread.sleep(POLL);
        }
        return null;
    }

    /** Asks again and again whether somebody is there. */
    private void feelPulse() {
        try {
            while (process.isAlive() && !detached) {
                if (client != null && pulse.isDue()) {
                    CompletableFuture<JsonNode> _ = ask("ping", Map.of());
                }
                pulse.look();
                Thread.sleep(Pulse.EVERY);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void watch(Consumer<Optional<String>> listener) {
        pulse.watch(listener);
    }

    @Override
    public Listening listen(ConsoleListener listener) {
        return new WorkerConsole(control, listener);
    }

    private void answer(Map<String, Object> line) {
        pulse.felt();
        if (!(line.get("id") instanceof Number id)) {
            return;
        }
        if (line.get("progress") instanceof String said) {
            Question question = asked.get(id.longValue());
            if (question != null) {
                question.progress().accept(said);
            }
            return;
        }
        Question question = asked.remove(id.longValue());
        if (question == null) {
            return;
        }
        CompletableFuture<JsonNode> waiting = question.answer();
        if (line.get("error") instanceof Map<?, ?> error) {
            waiting.completeExceptionally(problem(error));
        } else {
            waiting.complete(Json.MAPPER.valueToTree(line.get("result")));
        }
    }

    private static Problem problem(Map<?, ?> error) {
        String message = String.valueOf(error.get("message"));
        int end = message.indexOf("; ");
        return new Problem(
                switch (String.valueOf(error.get("code"))) {
                    case "bad-request" -> Problem.Kind.INVALID;
                    case "wrong-state", "busy" -> Problem.Kind.CONFLICT;
                    case "timeout" -> Problem.Kind.TIMEOUT;
                    case "cancelled" -> Problem.Kind.CANCELLED;
                    default -> Problem.Kind.FAILED;
                },
                end < 0 ? message : message.substring(0, end),
                end < 0 ? "look at the console of the guest" : message.substring(end + 2));
    }

    @Override
    public CompletableFuture<JsonNode> ask(String command, Map<String, ?> arguments, Consumer<String> progress) {
        ControlClient to = client;
        if (to == null) {
            return CompletableFuture.failedFuture(gone());
        }
        long id = lastId.incrementAndGet();
        CompletableFuture<JsonNode> answer = new CompletableFuture<>();
        asked.put(id, new Question(answer, progress));
        try {
            synchronized (this) {
                to.send(Json.text(Map.of("id", id, "method", command, "params", arguments)));
            }
        } catch (IOException e) {
            asked.remove(id);
            return CompletableFuture.failedFuture(gone());
        }
        if (client == null) {
            // It went in between, and whoever told those who wait may have missed this one.
            answer.completeExceptionally(gone());
        }
        return answer;
    }

    /** It is about this very answer, not one like it. */
    @Override
    @SuppressWarnings("ReferenceEquality")
    public void cancel(CompletableFuture<JsonNode> asked) {
        this.asked.forEach((id, question) -> {
            if (question.answer() == asked) {
                CompletableFuture<JsonNode> _ = ask("cancel", Map.of("request", id));
            }
        });
    }

    private static Problem gone() {
        return new Problem(Problem.Kind.FAILED, "the worker is gone", "look at why it ended with torte vm get");
    }

    private void exited() {
        if (detached) {
            return;
        }
        WorkerEnd why = WorkerRecord.end(folder).orElseGet(() -> {
            String status = child == null ? "" : " with status " + status(child.exitValue());
            return new WorkerEnd(
                    WorkerEnd.Cause.DIED,
                    "the worker's process " + process.pid() + " ended without a word" + status + log(folder));
        });
        WorkerRecord.forget(folder);
        removeSocket(control);
        ready.completeExceptionally(new Problem(
                Problem.Kind.FAILED, why.detail(), "look at " + folder.run().resolve("worker.log")));
        end.complete(why);
    }

    /** One whose process was killed leaves its socket. */
    static void removeSocket(Path control) {
        try {
            Files.deleteIfExists(control);
        } catch (IOException e) {
            // The next worker replaces it.
            return;
        }
    }

    /** A status, and the signal that it means (128 and its number, as shells have it). */
    private static String status(int value) {
        return value > 128 && value < 128 + 65 ? value + " (signal " + (value - 128) + ")" : Integer.toString(value);
    }

    /** The end of a worker's log. */
    static String log(VmFolder folder) {
        Path file = folder.run().resolve("worker.log");
        try {
            long size = Files.size(file);
            try (var channel = Files.newByteChannel(file)) {
                channel.position(Math.max(0, size - LOG_BYTES));
                byte[] bytes = new byte[(int) Math.min(size, LOG_BYTES)];
                int length = Math.max(0, channel.read(java.nio.ByteBuffer.wrap(bytes)));
                List<String> lines = new String(bytes, 0, length, StandardCharsets.UTF_8)
                        .lines()
                        .toList();
                List<String> last = lines.subList(Math.max(0, lines.size() - LOG_LINES), lines.size());
                return last.isEmpty() ? "" : ": " + String.join(" | ", last);
            }
        } catch (IOException e) {
            return "";
        }
    }

    @Override
    public void kill() {
        process.destroyForcibly();
    }

    @Override
    public void detach() {
        detached = true;
        Optional.ofNullable(client).ifPresent(ControlClient::close);
    }
}
