package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.management.DataFolder;
import org.torte.management.Problem;
import org.torte.management.definition.Json;

/** Asks the service of a data folder, which is started if it does not run. */
final class ServiceClient {
    private static final Duration START_LIMIT = Duration.ofSeconds(30);
    private static final Duration END_LIMIT = Duration.ofSeconds(20);

    private final Path data;
    private final HttpClient http = HttpClient.newBuilder()
            .connectTimeout(Duration.ofSeconds(5))
            .sslContext(noCertificates())
            .build();
    private DataFolder.@Nullable Address address;
    private boolean started;

    ServiceClient(Path data) {
        this.data = data;
    }

    /** The service is asked on a loopback address without TLS; reading the host's certificates would take longer than asking. */
    private static SSLContext noCertificates() {
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[0], null);
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every JDK has TLS", e);
        }
    }

    /** The answer to a GET. */
    JsonNode get(String path) {
        return call("GET", path, null);
    }

    /** The answer to a GET, if there is one just now. */
    Optional<JsonNode> find(String path) {
        try {
            return Optional.of(get(path));
        } catch (UsageException e) {
            return Optional.empty();
        }
    }

    /** The answer to a request with a body, or without. */
    JsonNode call(String method, String path, @Nullable Object body) {
        HttpRequest.Builder request = request(path).timeout(Duration.ofSeconds(90));
        if (body == null) {
            request.method(method, BodyPublishers.noBody());
        } else {
            request.header("Content-Type", "application/json").method(method, BodyPublishers.ofString(Json.text(body)));
        }
        HttpResponse<byte[]> response = send(request.build(), BodyHandlers.ofByteArray());
        if (response.statusCode() >= 400) {
            throw problem(response.body());
        }
        return response.body().length == 0
                ? Json.MAPPER.createObjectNode()
                : Json.read(response.body(), JsonNode.class, "the service's answer");
    }

    /** A stream of events, after one, or from now on. */
    InputStream events(Optional<Long> after) {
        HttpRequest.Builder request = request("/api/v1/events/stream").header("Accept", "text/event-stream");
        after.ifPresent(id -> request.header("Last-Event-ID", id.toString()));
        HttpResponse<InputStream> response = send(request.build(), BodyHandlers.ofInputStream());
        if (response.statusCode() >= 400) {
            throw new UsageException("the service refuses the stream of events (" + response.statusCode() + ")");
        }
        return response.body();
    }

    private HttpRequest.Builder request(String path) {
        DataFolder.Address at = address();
        return HttpRequest.newBuilder(URI.create(at.url() + path)).header("Authorization", "Bearer " + at.token());
    }

    private <T> HttpResponse<T> send(HttpRequest request, HttpResponse.BodyHandler<T> handler) {
        try {
            return http.send(request, handler);
        } catch (IOException e) {
            throw new UsageException(
                    "the service of " + data + " does not answer (" + e.getMessage() + "); look at " + log(data)
                            + ", and start it again with torte service",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UsageException("interrupted", e);
        }
    }

    private static UsageException problem(byte[] body) {
        JsonNode problem = Json.read(body, JsonNode.class, "the service's answer");
        return new UsageException(
                problem.path("detail").asText() + "; " + problem.path("remedy").asText());
    }

    private DataFolder.Address address() {
        DataFolder.Address known = address;
        if (known == null) {
            known = running().orElseGet(this::start);
            address = known;
        }
        return known;
    }

    /** The address of the service that runs, if one does. */
    private Optional<DataFolder.Address> running() {
        try {
            DataFolder.Address found = DataFolder.announced(data);
            return ProcessHandle.of(found.processId()).isPresent() && answers(found)
                    ? Optional.of(found)
                    : Optional.empty();
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException | Problem e) {
            throw new UsageException(
                    DataFolder.address(data) + " cannot be read (" + e.getMessage()
                            + "); ask as the user of the service, or give another folder with --data",
                    e);
        }
    }

    private boolean answers(DataFolder.Address found) {
        try {
            HttpRequest request = HttpRequest.newBuilder(URI.create(found.url() + "/api/v1/host"))
                    .header("Authorization", "Bearer " + found.token())
                    .timeout(Duration.ofSeconds(10))
                    .build();
            return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private DataFolder.Address start() {
        Path log = log(data);
        try {
            Files.createDirectories(data);
            Process process = new ProcessBuilder(SelfCommand.of("service", "--data", data.toString()))
                    .redirectInput(
                            ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            long until = System.nanoTime() + START_LIMIT.toNanos();
            while (System.nanoTime() < until) {
                boolean alive = process.isAlive();
                Optional<DataFolder.Address> found = running();
                if (found.isPresent()) {
                    started = true;
                    return found.get();
                }
                if (!alive) {
                    break;
                }
                Thread.sleep(20);
            }
            String last = Files.readAllLines(log).reversed().stream()
                    .filter(line -> !line.isBlank())
                    .findFirst()
                    .orElse("it says nothing");
            throw new UsageException("the service could not be started: " + last.replaceFirst("^torte: ", ""));
        } catch (IOException e) {
            throw new UsageException(
                    "the service could not be started (" + e.getMessage()
                            + "); give a data folder that can be written with --data",
                    e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new UsageException("interrupted", e);
        }
    }

    /**
     * Ends the service if this client has started it, unless a virtual machine runs: who has started that relies on it.
     *
     * @return whether none is left that this client has started
     */
    boolean endIfStarted() {
        DataFolder.Address known = address;
        if (!started || known == null) {
            return true;
        }
        for (JsonNode vm : get("/api/v1/vms?limit=1000").path("items")) {
            if (vm.path("processId").isNumber()) {
                return false;
            }
        }
        Optional<ProcessHandle> process = ProcessHandle.of(known.processId());
        process.ifPresent(ProcessHandle::destroy);
        try {
            if (process.isPresent()) {
                process.get().onExit().get(END_LIMIT.toSeconds(), TimeUnit.SECONDS);
            }
            started = false;
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } catch (ExecutionException | TimeoutException e) {
            return false;
        }
    }

    /** Where a service that was started on demand writes what it has to say. */
    static Path log(Path data) {
        return data.resolve("service.log");
    }

    /** Waits for the end of a task; tells how it goes. */
    JsonNode await(JsonNode task) {
        JsonNode now = task;
        while (now.path("state").asText().equals("running")) {
            now = get("/api/v1/tasks/" + now.path("id").asLong() + "?wait=30");
        }
        if (!now.path("state").asText().equals("succeeded")) {
            JsonNode problem = now.path("problem");
            throw new UsageException(
                    problem.path("cause").asText(now.path("state").asText()) + "; "
                            + problem.path("remedy").asText("look at torte task get " + now.path("id")));
        }
        return now;
    }

    /** The name or id of a thing as part of a path. */
    static String segment(String name) {
        if (name.isEmpty()) {
            throw new UsageException("the name is empty; give the name of something that there is");
        }
        return java.net.URLEncoder.encode(name, java.nio.charset.StandardCharsets.UTF_8)
                .replace("+", "%20");
    }

    /** Parameters as part of a path. */
    static String query(Map<String, String> parameters) {
        StringBuilder text = new StringBuilder();
        parameters.forEach((name, value) ->
                text.append(text.isEmpty() ? '?' : '&').append(name).append('=').append(segment(value)));
        return text.toString();
    }
}
