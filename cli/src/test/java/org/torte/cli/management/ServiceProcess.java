package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.torte.management.DataFolder;
import org.torte.management.Problem;
import org.torte.management.definition.Json;

/** {@code torte service} as a process of its own, and its REST interface. Safe for several threads. */
final class ServiceProcess implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final int STARTS = 5;

    private final Path data;
    private final List<String> options;
    private final HttpClient client = HttpClient.newHttpClient();
    private @Nullable Process process;
    private volatile DataFolder.Address address = new DataFolder.Address("", "", 0);

    /** An answer; what it says when it is no JSON is nothing. */
    record Answer(int status, JsonNode body) {
        boolean good() {
            return status < 300;
        }
    }

    /**
     * One that does not run yet.
     *
     * @param options of its Java and its workers'
     */
    ServiceProcess(Path data, String... options) {
        this.data = data;
        this.options = List.of(options);
    }

    /** Starts it, and returns when it answers. */
    synchronized void start() throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED"));
        command.addAll(options);
        command.addAll(List.of(
                "-cp",
                System.getProperty("java.class.path"),
                "org.torte.cli.Torte",
                "service",
                "--data",
                data.toString()));
        Process started = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log().toFile()))
                .start();
        process = started;
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!answers(started.pid())) {
            if (!started.isAlive() || System.nanoTime() > until) {
                throw new IOException("the service does not start: " + Files.readString(log()));
            }
            Thread.sleep(20);
        }
    }

    private boolean answers(long pid) throws InterruptedException {
        try {
            DataFolder.Address found = DataFolder.announced(data);
            if (found.processId() != pid) {
                return false;
            }
            address = found;
            return call("GET", "/api/v1/host", null).good();
        } catch (IOException | Problem e) {
            return false;
        }
    }

    /** The number of the process that answered last. */
    long processId() {
        return address.processId();
    }

    /** Where a WebSocket of it is. */
    URI socket(String path) {
        return URI.create(address.url().replaceFirst("^http", "ws") + path);
    }

    Path log() {
        return data.resolveSibling(data.getFileName() + ".log");
    }

    /** Ends it as SIGKILL does. */
    synchronized void kill() throws InterruptedException {
        Process running = process;
        if (running != null) {
            running.destroyForcibly();
            running.waitFor();
        }
    }

    /** Ends it as SIGTERM does, and says how it ended. */
    synchronized int end() throws InterruptedException {
        Process running = process;
        if (running == null) {
            return 0;
        }
        running.destroy();
        return running.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS) ? running.exitValue() : -1;
    }

    /**
     * Asks.
     *
     * @throws IOException when it does not answer, and perhaps has done what was asked
     */
    Answer call(String method, String path, @Nullable Object body) throws IOException, InterruptedException {
        DataFolder.Address at = address;
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(at.url() + path))
                .timeout(PATIENCE)
                .header("Authorization", "Bearer " + at.token());
        if (body == null) {
            request.method(method, BodyPublishers.noBody());
        } else {
            request.header("Content-Type", "application/json").method(method, BodyPublishers.ofString(Json.text(body)));
        }
        HttpResponse<byte[]> response = client.send(request.build(), BodyHandlers.ofByteArray());
        if (response.statusCode() == 401) {
            // The next service listens already, and nobody knows its token yet.
            throw new IOException("another service answers");
        }
        byte[] text = response.body();
        return new Answer(
                response.statusCode(),
                text.length == 0
                        ? Json.MAPPER.createObjectNode()
                        : Json.read(text, JsonNode.class, new String(text, StandardCharsets.UTF_8)));
    }

    /** The body of a good answer. */
    JsonNode get(String path) throws IOException, InterruptedException {
        Answer answer = call("GET", path, null);
        if (!answer.good()) {
            throw new AssertionError(path + ": " + answer);
        }
        return answer.body();
    }

    /** Waits for the end of a task, and returns it. */
    JsonNode await(JsonNode task) throws IOException, InterruptedException {
        JsonNode now = task;
        while (now.path("state").asText().equals("running")) {
            now = get("/api/v1/tasks/" + now.path("id").asLong() + "?wait=10");
        }
        return now;
    }

    /** Asks for something that is a task, and fails unless that succeeds. */
    JsonNode done(String method, String path, @Nullable Object body) throws IOException, InterruptedException {
        Answer answer = call(method, path, body);
        JsonNode task = answer.status() == 202 ? await(answer.body()) : answer.body();
        if (!task.path("state").asText().equals("succeeded")) {
            throw new AssertionError(method + " " + path + ": " + answer + ", then " + task);
        }
        return task;
    }

    /** Starts a machine. A host that is busy enough does not come to it within the service's own deadline. */
    void startMachine(String path) throws IOException, InterruptedException {
        JsonNode task = Json.MAPPER.createObjectNode();
        for (int i = 0; i < STARTS; i++) {
            task = await(call("POST", path + "/start", null).body());
            if (!task.path("problem").path("kind").asText().equals("timeout")) {
                break;
            }
        }
        if (!task.path("state").asText().equals("succeeded")) {
            throw new AssertionError(path + " does not start: " + task);
        }
    }

    /** Processes that have the data folder on their command line, this service's own included. */
    List<ProcessHandle> processes() {
        return ProcessHandle.allProcesses()
                .filter(one -> commandLine(one.pid()).contains(data.toString()))
                .toList();
    }

    private static String commandLine(long pid) {
        try {
            return new String(
                    Files.readAllBytes(Path.of("/proc", Long.toString(pid), "cmdline")), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            // It has ended.
            return "";
        }
    }

    @Override
    public void close() throws InterruptedException {
        kill();
        // Whatever a test that failed has left: only what was started here has this folder.
        processes().forEach(ProcessHandle::destroyForcibly);
        client.close();
    }
}
