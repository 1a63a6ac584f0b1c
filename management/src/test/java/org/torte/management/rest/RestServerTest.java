package org.torte.management.rest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.management.DataFolder;
import org.torte.management.FakeSwitches;
import org.torte.management.FakeWorkers;
import org.torte.management.Host;
import org.torte.management.definition.Json;

class RestServerTest {
    @TempDir
    Path folder;

    private final HttpClient client = HttpClient.newHttpClient();
    private final FakeWorkers workers = new FakeWorkers();
    private final FakeSwitches switches = new FakeSwitches();
    private DataFolder data;
    private Host host;
    private Access access;
    private RestServer server;
    private int port;
    private String token;
    private String kernel;

    @BeforeEach
    void startServer() throws IOException {
        kernel = Files.writeString(folder.resolve("vmlinuz"), "kernel").toString();
        data = DataFolder.open(folder.resolve("data"));
        host = Host.open(data, workers, switches, InstantSource.system());
        access = new Access(data.tokens(), InstantSource.system());
        token = access.owner();
        server = new RestServer(host, access, InstantSource.system());
        port = server.start(0);
    }

    @AfterEach
    void stopServer() {
        client.shutdownNow();
        server.close();
        host.close();
        data.close();
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                .header("Authorization", "Bearer " + token);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) {
        try {
            return client.send(request.build(), BodyHandlers.ofString());
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private HttpResponse<String> get(String path) {
        return send(request(path));
    }

    private HttpResponse<String> send(String method, String path, Object body) {
        return send(request(path)
                .header("Content-Type", "application/json")
                .method(method, BodyPublishers.ofString(body instanceof String text ? text : Json.text(body))));
    }

    private static JsonNode json(HttpResponse<String> response) {
        return Json.read(response.body().getBytes(StandardCharsets.UTF_8), JsonNode.class, "the answer");
    }

    private JsonNode make(String name) {
        HttpResponse<String> made = send("POST", "/api/v1/vms", Map.of("name", name, "boot", Map.of("kernel", kernel)));
        assertThat(made.statusCode()).as(made.body()).isEqualTo(201);
        return json(made);
    }

    private JsonNode act(String name, String action) {
        HttpResponse<String> accepted = send("POST", "/api/v1/vms/" + name + "/" + action, "");
        assertThat(accepted.statusCode()).as(accepted.body()).isEqualTo(202);
        return json(get(accepted.headers().firstValue("Location").orElseThrow() + "?wait=30"));
    }

    private void refused(HttpResponse<String> answer, int status, String kind, String words) {
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
        assertThat(answer.headers().firstValue("Content-Type")).hasValue("application/problem+json");
        JsonNode problem = json(answer);
        assertThat(problem.path("type").asText()).isEqualTo("urn:torte:problem:" + kind);
        assertThat(problem.path("status").asInt()).isEqualTo(status);
        assertThat(problem.path("detail").asText() + "; "
                        + problem.path("remedy").asText())
                .contains(words);
    }

    @Test
    void aMachineIsMadeStartedChangedStoppedAndRemoved() {
        JsonNode vm = make("web1");
        assertThat(vm.path("state").asText()).isEqualTo("Off");
        assertThat(act("web1", "start").path("state").asText()).isEqualTo("succeeded");
        assertThat(json(get("/api/v1/vms/" + vm.path("id").asText()))
                        .path("state")
                        .asText())
                .isEqualTo("Running");
        assertThat(json(get("/api/v1/vms/web1/guest")).path("state").asText()).isEqualTo("running");
        refused(send("PATCH", "/api/v1/vms/web1", Map.of("processors", 2)), 409, "conflict", "needs a stop");
        refused(send("DELETE", "/api/v1/vms/web1", ""), 409, "conflict", "stop it first");
        assertThat(act("web1", "stop?timeout=30").path("state").asText()).isEqualTo("succeeded");
        assertThat(json(send("PATCH", "/api/v1/vms/web1", Map.of("processors", 2)))
                        .path("processors")
                        .asInt())
                .isEqualTo(2);
        assertThat(send("DELETE", "/api/v1/vms/web1", "").statusCode()).isEqualTo(200);
        refused(get("/api/v1/vms/web1"), 404, "not-found", "torte vm list");
    }

    @Test
    void memoryIsMadeDynamicChangedWhileItRunsAndMadeStaticAgain() {
        make("web1");
        JsonNode made = json(send(
                "PATCH",
                "/api/v1/vms/web1",
                Map.of("dynamicMemory", Map.of("minimum", 64 << 20, "startup", 128 << 20))));
        assertThat(made.path("dynamicMemory").toString())
                .isEqualTo("{\"minimum\":67108864,\"startup\":134217728,\"buffer\":20}");
        assertThat(act("web1", "start").path("state").asText()).isEqualTo("succeeded");
        JsonNode changed =
                json(send("PATCH", "/api/v1/vms/web1", Map.of("dynamicMemory", Map.of("minimum", 32 << 20))));
        assertThat(changed.path("dynamicMemory").path("minimum").asLong()).isEqualTo(32 << 20);
        assertThat(changed.path("dynamicMemory").path("startup").asLong()).isEqualTo(128 << 20);
        refused(send("PATCH", "/api/v1/vms/web1", Map.of("memory", 1 << 30)), 409, "conflict", "needs a stop");
        JsonNode fixed = json(send("PATCH", "/api/v1/vms/web1", Map.of("dynamicMemory", Map.of("enabled", false))));
        assertThat(fixed.path("dynamicMemory").isNull()).isTrue();
    }

    @Test
    void aStartThatTheHostHasNoMemoryForIsRefusedUnlessItIsWanted() {
        make("web1");
        workers.available = 256L << 20;
        for (String query : List.of("", "?whatIf=true")) {
            refused(
                    send("POST", "/api/v1/vms/web1/start" + query, ""),
                    409,
                    "conflict",
                    "start it all the same with --overcommit");
        }
        JsonNode planned = json(send("POST", "/api/v1/vms/web1/start?whatIf=true&overcommit=true", ""));
        assertThat(planned.path("state").asText()).isEqualTo("Off");
        assertThat(json(get("/api/v1/tasks")).path("items")).isEmpty();
        JsonNode memory = json(get("/api/v1/host")).path("memory");
        assertThat(memory.path("free").asLong()).isEqualTo(248L << 20);
        assertThat(get("/metrics").body()).contains("torte_host_memory_bytes{kind=\"free\"} 260046848");
        assertThat(act("web1", "start?overcommit=true").path("state").asText()).isEqualTo("succeeded");
        refused(send("POST", "/api/v1/vms/web1/start?whatIf=true", ""), 409, "conflict", "");
    }

    @Test
    void aDiskCanBeWrittenUnlessItIsSaidNotTo() {
        make("web1");
        List<Map<String, String>> disks = List.of(Map.of("path", kernel, "format", "raw"));
        JsonNode vm = json(send("PATCH", "/api/v1/vms/web1", Map.of("disks", disks)));
        assertThat(vm.path("disks").path(0).path("readOnly").isBoolean()).isTrue();
        assertThat(vm.path("disks").path(0).path("readOnly").asBoolean()).isFalse();
    }

    @Test
    void anAdapterKeepsItsAddressWhateverElseChangesOfIt() {
        make("web1");
        JsonNode first = adapters(List.of(
                Map.of("network", "nat", "forwards", List.of("2222:22", "127.0.0.1:2222:22")),
                Map.of("network", "none")));
        assertThat(first.path(0).path("name").asText()).isEqualTo("net1");
        assertThat(first.path(0).path("forwards").toString()).isEqualTo("[\"127.0.0.1:2222:22\"]");
        assertThat(first.path(0).path("address").asText()).matches("02(:[0-9a-f]{2}){5}");
        assertThat(first.path(1).path("address").asText())
                .matches("02(:[0-9a-f]{2}){5}")
                .isNotEqualTo(first.path(0).path("address").asText());

        JsonNode task = json(send("POST", "/api/v1/vms/web1/clone", Map.of("name", "web2")));
        assertThat(json(get("/api/v1/tasks/" + task.path("id").asLong() + "?wait=30"))
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
        JsonNode cloned = json(get("/api/v1/vms/web2")).path("adapters");
        assertThat(cloned).hasSize(2);
        assertThat(cloned.path(0).path("network").asText()).isEqualTo("nat");
        assertThat(cloned.path(0).path("forwards")).isEmpty();
        assertThat(cloned.path(0).path("address")).isNotEqualTo(first.path(0).path("address"));

        JsonNode second = adapters(List.of(
                Map.of("network", "cable:/run/a", "name", "net2"),
                Map.of("network", "nat", "name", "net1", "services", List.of("80:/run/page.sock")),
                Map.of("network", "none", "name", "third", "address", "00-15-5D-00-00-01")));
        assertThat(second.path(0).path("address")).isEqualTo(first.path(1).path("address"));
        assertThat(second.path(1).path("address")).isEqualTo(first.path(0).path("address"));
        assertThat(second.path(1).path("forwards").toString()).isEqualTo("[]");
        assertThat(second.path(1).path("services").toString()).isEqualTo("[\"80:/run/page.sock\"]");
        assertThat(second.path(2).path("address").asText()).isEqualTo("00:15:5d:00:00:01");
        assertThat(adapters(List.of())).isEmpty();
    }

    @Test
    void whatWasChangedIsToldAlsoWhenTheSwitchProcessSaysNothing() {
        make("web1");
        JsonNode _ = adapters(List.of(Map.of("network", "switch:Default", "forwards", List.of("2222:22"))));
        switches.running = true;
        switches.mute = "the switch process is mute";
        HttpResponse<String> made = send("POST", "/api/v1/switches", Map.of("name", "lab", "type", "private"));
        assertThat(made.statusCode()).as(made.body()).isEqualTo(201);
        assertThat(json(made).path("problem").asText()).contains("is mute");
        assertThat(json(get("/api/v1/switches/lab")).path("problem").asText()).contains("is mute");
        assertThat(json(get("/api/v1/switches"))).hasSize(2);
        HttpResponse<String> changed =
                send("PATCH", "/api/v1/vms/web1/adapters/net1", Map.of("network", "switch:lab", "forwards", List.of()));
        assertThat(changed.statusCode()).as(changed.body()).isEqualTo(200);
        assertThat(json(changed).path("network").asText()).isEqualTo("switch:lab");
        assertThat(json(get("/api/v1/vms/web1/adapters"))
                        .path(0)
                        .path("problem")
                        .asText())
                .contains("is mute");
        HttpResponse<String> removed = send("DELETE", "/api/v1/switches/lab", "");
        assertThat(removed.statusCode()).as(removed.body()).isEqualTo(409);
    }

    private JsonNode adapters(List<Map<String, Object>> wishes) {
        return json(send("PATCH", "/api/v1/vms/web1", Map.of("adapters", wishes)))
                .path("adapters");
    }

    @Test
    void aCheckpointIsMadeShownRenamedAppliedAndRemoved() {
        make("web1");
        String all = "/api/v1/vms/web1/checkpoints";
        JsonNode made = json(send("POST", all, Map.of("name", "one")));
        assertThat(json(get("/api/v1/tasks/" + made.path("id").asText() + "?wait=30"))
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
        JsonNode tree = json(get(all));
        assertThat(tree.path("items")).hasSize(1);
        assertThat(tree.path("now").path("parent"))
                .isEqualTo(tree.path("items").get(0).path("id"));
        JsonNode one = json(send("PATCH", all + "/one", Map.of("name", "two")));
        assertThat(one.path("name").asText()).isEqualTo("two");
        assertThat(one.path("consistency").asText()).isEqualTo("off");
        assertThat(one.path("owner").asText()).isNotEmpty();
        JsonNode applied = json(send("POST", all + "/two/apply", Map.of("keepAs", "three")));
        assertThat(json(get("/api/v1/tasks/" + applied.path("id").asText() + "?wait=30"))
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
        assertThat(json(get(all)).path("items")).hasSize(2);
        JsonNode removed = json(send("DELETE", all + "/three", ""));
        assertThat(json(get("/api/v1/tasks/" + removed.path("id").asText() + "?wait=30"))
                        .path("state")
                        .asText())
                .isEqualTo("succeeded");
        assertThat(json(get(all)).path("items")).hasSize(1);
    }

    @Test
    void aMachineIsExportedAndImportedAndWhatWouldBeDoneIsSaidBefore() {
        make("web1");
        Map<String, String> where = Map.of("folder", folder.resolve("out").toString());
        JsonNode plan = json(send("POST", "/api/v1/vms/web1/export?whatIf=true", where));
        assertThat(plan.path("files").toString()).isEqualTo("[\"vmlinuz\"]");
        assertThat(folder.resolve("out")).doesNotExist();
        HttpResponse<String> accepted = send("POST", "/api/v1/vms/web1/export", where);
        assertThat(accepted.statusCode()).as(accepted.body()).isEqualTo(202);
        JsonNode exported = json(get(accepted.headers().firstValue("Location").orElseThrow() + "?wait=30"));
        assertThat(exported.path("state").asText()).isEqualTo("succeeded");
        assertThat(exported.path("progress").asInt()).isEqualTo(100);

        JsonNode refused = json(send("POST", "/api/v1/imports?whatIf=true", where));
        assertThat(refused.path("problems").findValuesAsText("remedy").toString())
                .contains("--copy");
        Map<String, Object> copy = Map.of("folder", where.get("folder"), "copy", true, "name", "web2");
        JsonNode fine = json(send("POST", "/api/v1/imports?whatIf=true", copy));
        assertThat(fine.path("problems")).isEmpty();
        assertThat(fine.path("name").asText()).isEqualTo("web2");
        accepted = send("POST", "/api/v1/imports", copy);
        JsonNode imported = json(get(accepted.headers().firstValue("Location").orElseThrow() + "?wait=30"));
        assertThat(imported.path("state").asText()).isEqualTo("succeeded");
        assertThat(json(get("/api/v1/vms/" + imported.path("target").asText()))
                        .path("name")
                        .asText())
                .isEqualTo("web2");
    }

    @Test
    void aChangeOfWhatHasChangedIsRefused() {
        make("web1");
        String seen = get("/api/v1/vms/web1").headers().firstValue("ETag").orElseThrow();
        HttpRequest.Builder change = request("/api/v1/vms/web1")
                .header("Content-Type", "application/json")
                .header("If-Match", seen)
                .method("PATCH", BodyPublishers.ofString("{\"notes\":\"mine\"}"));
        assertThat(send(change).statusCode()).isEqualTo(200);

        refused(send(change), 412, "changed", "has changed since you looked");
    }

    @Test
    void aSecretIsToldOnceAndNotKeptForARepetition() throws IOException {
        HttpRequest.Builder create = request("/api/v1/tokens")
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", "k2")
                .POST(BodyPublishers.ofString("{\"name\":\"ci\",\"role\":\"viewer\"}"));
        HttpResponse<String> first = send(create);
        assertThat(first.statusCode()).isEqualTo(201);
        String secret = json(first).path("token").asText();
        assertThat(secret).hasSizeGreaterThan(20);
        refused(send(create), 409, "conflict", "told only once");
        HttpRequest.Builder list = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/api/v1/vms"));
        assertThat(send(list.header("Authorization", "Bearer " + secret)).statusCode())
                .isEqualTo(200);
        try (Stream<Path> files = Files.walk(data.path())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                assertThat(Files.readString(file, StandardCharsets.ISO_8859_1))
                        .as("%s", file)
                        .doesNotContain(secret);
            }
        }
    }

    @Test
    void aRepeatedRequestIsAnsweredAndNotDoneAgain() {
        HttpRequest.Builder create = request("/api/v1/vms")
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", "k1")
                .POST(BodyPublishers.ofString(Json.text(Map.of("name", "web1", "boot", Map.of("kernel", kernel)))));
        HttpResponse<String> first = send(create);
        HttpResponse<String> second = send(create);

        assertThat(first.statusCode()).isEqualTo(201);
        assertThat(second.statusCode()).isEqualTo(201);
        assertThat(json(second)).isEqualTo(json(first));
        assertThat(second.headers().firstValue("Idempotency-Replayed")).hasValue("true");
        refused(
                send(request("/api/v1/vms")
                        .header("Content-Type", "application/json")
                        .header("Idempotency-Key", "k1")
                        .POST(BodyPublishers.ofString("{\"name\":\"web2\"}"))),
                409,
                "conflict",
                "use a new key");
        assertThat(json(get("/api/v1/vms")).path("items")).hasSize(1);
    }

    @Test
    void whoseBodyIsNotReadIsToldThatTheConnectionCloses() throws IOException {
        for (String call : List.of("GET /metrics", "POST /api/v1/tokens")) {
            String authorization = call.startsWith("GET") ? "Authorization: Bearer " + token + "\r\n" : "";
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
                socket.getOutputStream()
                        .write((call + " HTTP/1.1\r\nHost: localhost\r\n" + authorization + "Content-Length: 2\r\n\r\n")
                                .getBytes(StandardCharsets.US_ASCII));
                // To its end: without the close this would wait for ever.
                String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                assertThat(answer).as(call).startsWith("HTTP/1.1 ").containsIgnoringCase("\r\nConnection: close\r\n");
            }
        }
        assertThat(get("/metrics").headers().firstValue("Connection")).isEmpty();
    }

    /** A call of the document: what it needs, and what it may answer with. */
    private record Call(String method, String path, String role, List<Integer> answers, boolean whatIf) {
        /** With what there is, or something that is not. */
        String concrete() {
            return path.replace("{vm}", "web1").replaceAll("\\{[a-z]+}", "1");
        }
    }

    private List<Call> document() {
        List<Call> calls = new ArrayList<>();
        String path = "";
        for (String line :
                get("/openapi.yaml").body().split("\ncomponents:", 2)[0].lines().toList()) {
            Matcher at = Pattern.compile("  (/[^:]*):").matcher(line);
            Matcher method = Pattern.compile("    (get|post|patch|delete):").matcher(line);
            Matcher role = Pattern.compile("      x-role: (\\w+)").matcher(line);
            Matcher answer = Pattern.compile("        '(\\d+)':.*").matcher(line);
            Call last = calls.isEmpty() ? new Call("", "", "", List.of(), false) : calls.getLast();
            if (at.matches()) {
                path = at.group(1);
            } else if (method.matches()) {
                calls.add(new Call(method.group(1).toUpperCase(Locale.ROOT), path, "", new ArrayList<>(), false));
            } else if (role.matches()) {
                calls.set(calls.size() - 1, new Call(last.method, last.path, role.group(1), last.answers, false));
            } else if (answer.matches()) {
                last.answers.add(Integer.valueOf(answer.group(1)));
            } else if (line.contains("parameters/whatIf")) {
                calls.set(calls.size() - 1, new Call(last.method, last.path, last.role, last.answers, true));
            }
        }
        return calls;
    }

    /** Each call of the document with each role, none, and nonsense: what it answers is what the document says. */
    @Test
    void theDocumentsRolesAndAnswersHold() {
        List<String> roles = List.of("viewer", "operator", "administrator");
        make("web1");
        String administrator = token;
        Map<String, String> tokens = new HashMap<>();
        for (String role : roles) {
            JsonNode made = json(send("POST", "/api/v1/tokens", Map.of("name", role, "role", role)));
            tokens.put(role, made.path("token").asText());
        }
        List<Call> calls = document();
        assertThat(calls).hasSizeGreaterThan(40);
        for (Call call : calls) {
            boolean open = call.role.isEmpty();
            assertThat(open || roles.contains(call.role)).as("%s", call).isTrue();
            assertThat(call.whatIf)
                    .as("%s", call)
                    .isEqualTo(!call.method.equals("GET") && !call.path.endsWith("/tickets"));
            for (String role : roles) {
                token = tokens.getOrDefault(role, "");
                boolean allowed = open || roles.indexOf(role) >= roles.indexOf(call.role);
                // A stream that is open has no end, and a machine that is gone answers nothing any more.
                String query = call.path.endsWith("/stream") || call.method.equals("DELETE") ? "?x=1" : "";
                HttpResponse<String> answer = send(call.method, call.concrete() + query, "{}");
                assertThat(answer.statusCode())
                        .as("%s by %s: %s", call, role, answer.body())
                        .isIn(call.answers);
                assertThat(answer.statusCode() == 403)
                        .as("%s by %s", call, role)
                        .isEqualTo(!allowed);
            }
            token = "wrong";
            assertThat(open || send(call.method, call.concrete(), "{}").statusCode() == 401)
                    .as("%s", call)
                    .isTrue();
            token = administrator;
            boolean body = !call.method.equals("GET") && !call.method.equals("DELETE");
            HttpResponse<String> unknown = send(call.method, call.concrete() + "?nonsense=1", body ? "{" : "");
            assertThat(unknown.statusCode()).as("%s: %s", call, unknown.body()).isIn(call.answers);
            assertThat(unknown.statusCode() == 400 || open)
                    .as("%s: %s", call, unknown.body())
                    .isTrue();
        }
    }

    /** Whatever can be asked about by whatIf: it is answered, and all is as it was. */
    @Test
    void whatIsOnlyAskedAboutChangesNothing() throws IOException {
        make("web1");
        List<Map<String, String>> network = List.of(Map.of("network", "switch:Default"));
        assertThat(send("PATCH", "/api/v1/vms/web1", Map.of("adapters", network))
                        .statusCode())
                .isEqualTo(200);
        assertThat(act("web1", "start").path("state").asText()).isEqualTo("succeeded");
        JsonNode task = json(send("POST", "/api/v1/vms/web1/checkpoints", Map.of("name", "one")));
        assertThat(get("/api/v1/tasks/" + task.path("id").asText() + "?wait=30").statusCode())
                .isEqualTo(200);
        assertThat(send("POST", "/api/v1/switches", Map.of("name", "lab", "type", "private"))
                        .statusCode())
                .isEqualTo(201);
        assertThat(send("POST", "/api/v1/tokens", Map.of("name", "ci", "role", "viewer"))
                        .statusCode())
                .isEqualTo(201);
        String tasks = get("/api/v1/tasks").body();
        String before = state();

        for (String call : List.of(
                "POST /api/v1/vms {\"name\":\"web2\",\"boot\":{\"kernel\":\"" + kernel + "\"}}",
                "PATCH /api/v1/vms/web1 {\"notes\":\"x\"}",
                "PATCH /api/v1/vms/web1/adapters/net1 {\"network\":\"switch:lab\"}",
                "POST /api/v1/vms/web1/turn-off",
                "POST /api/v1/vms/web1/pause",
                "POST /api/v1/vms/web1/restart",
                "POST /api/v1/vms/web1/save",
                "POST /api/v1/vms/web1/stop",
                "POST /api/v1/vms/web1/merge",
                "POST /api/v1/vms/web1/clone {\"name\":\"web2\",\"checkpoint\":\"one\"}",
                "POST /api/v1/vms/web1/checkpoints {}",
                "PATCH /api/v1/vms/web1/checkpoints/one {\"name\":\"two\"}",
                "DELETE /api/v1/vms/web1/checkpoints/one",
                "POST /api/v1/switches {\"name\":\"lab2\",\"type\":\"private\"}",
                "PATCH /api/v1/switches/lab {\"mtu\":9000}",
                "DELETE /api/v1/switches/lab",
                "POST /api/v1/tokens {\"name\":\"ci2\",\"role\":\"viewer\"}",
                "DELETE /api/v1/tokens/ci")) {
            String[] words = call.split(" ", 3);
            HttpResponse<String> answer = send(words[0], words[1] + "?whatIf=true", words.length > 2 ? words[2] : "");
            assertThat(answer.statusCode()).as(call + ": " + answer.body()).isIn(200, 204);
            assertThat(state()).as(call).isEqualTo(before);
        }
        assertThat(get("/api/v1/tasks").body()).isEqualTo(tasks);

        for (String call : List.of(
                "POST /api/v1/vms {\"name\":\"web1\",\"boot\":{\"kernel\":\"" + kernel + "\"}}",
                "PATCH /api/v1/vms/web1 {\"processors\":2}",
                "PATCH /api/v1/vms/web1/adapters/net1 {\"network\":\"switch:nowhere\"}",
                "DELETE /api/v1/vms/web1",
                "POST /api/v1/vms/web1/start",
                "POST /api/v1/vms/web1/resume",
                "POST /api/v1/vms/web1/discard",
                "POST /api/v1/vms/web1/clone {\"name\":\"web2\"}",
                "POST /api/v1/vms/web1/checkpoints {\"name\":\"one\"}",
                "PATCH /api/v1/vms/web1/checkpoints/one {\"name\":\"a b\"}",
                "POST /api/v1/vms/web1/checkpoints/one/apply {}",
                "DELETE /api/v1/vms/web1/checkpoints/two",
                "POST /api/v1/switches {\"name\":\"lab\",\"type\":\"private\"}",
                "PATCH /api/v1/switches/lab {\"mtu\":9}",
                "DELETE /api/v1/switches/Default",
                "POST /api/v1/tokens {\"name\":\"ci\",\"role\":\"viewer\"}",
                "DELETE /api/v1/tokens/owner",
                "POST /api/v1/registrations {\"folder\":\"/nowhere\"}",
                "POST /api/v1/tasks/" + task.path("id").asText() + "/cancel")) {
            String[] words = call.split(" ", 3);
            HttpResponse<String> answer = send(words[0], words[1] + "?whatIf=true", words.length > 2 ? words[2] : "");
            assertThat(answer.statusCode()).as(call).isIn(400, 404, 409);
            HttpResponse<String> real = send(words[0], words[1], words.length > 2 ? words[2] : "");
            assertThat(json(real).path("detail"))
                    .as(call)
                    .isEqualTo(json(answer).path("detail"));
        }
        assertThat(state()).isEqualTo(before);
    }

    /** All that can be seen, the numbers of tasks and events apart. */
    private String state() throws IOException {
        StringBuilder all = new StringBuilder();
        for (String path : List.of(
                "vms", "vms/web1/checkpoints", "vms/web1/adapters", "switches", "tokens", "events?limit=1000")) {
            all.append(get("/api/v1/" + path).body());
        }
        try (Stream<Path> files = Files.walk(data.path().resolve("machines"))) {
            files.sorted().forEach(file -> all.append('\n').append(file));
        }
        return all.toString();
    }

    /** What Jetty refuses before a route has it looks as all else does. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "GET /api/v1/vms/a%00b HTTP/1.1\\r\\nHost: localhost|400",
                "GET /api/v1/vms HTTP/1.1|400",
                "GET /api/v1/vms HTTP/1.1\\r\\nHost: localhost\\r\\nSec-WebSocket-Version: 13|404",
                "GET /api/v1/vms HTTP/1.1\\r\\nHost: a b|400",
                "GET /api/v1/../../etc/passwd HTTP/1.1\\r\\nHost: localhost|404",
                "GET nonsense HTTP/1.1\\r\\nHost: localhost|400",
                "HEAD /api/v1/vms/nobody HTTP/1.1\\r\\nHost: localhost|405",
                "GET /api/v1/vms/ HTTP/1.1\\r\\nHost: localhost|404",
            })
    void whatNoRouteSeesIsAProblemToo(String request, int status) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            String head = request.replace("\\r\\n", "\r\n") + "\r\nConnection: close\r\nAuthorization: Bearer " + token;
            socket.getOutputStream().write((head + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(answer).startsWith("HTTP/1.1 " + status).contains("application/problem+json");
        }
    }

    @Test
    void aPortThatIsTakenIsNamedAndAnotherCanBeUsed() {
        try (RestServer second = new RestServer(host, access, InstantSource.system())) {
            assertThatThrownBy(() -> second.start(port)).hasMessageContaining("port " + port + " cannot be used");
            assertThat(second.start(0)).isNotEqualTo(port);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "POST|/api/v1/vms|{\"name\":|400|is not JSON",
                "POST|/api/v1/vms|[]|400|the body",
                "POST|/api/v1/vms|null|400|is empty",
                "POST|/api/v1/vms|{}|400|name",
                "POST|/api/v1/vms|{\"name\":\"a\",\"nmae\":1}|400|nothing is known of \"nmae\"",
                "POST|/api/v1/vms|{\"name\":\"a\",\"name\":\"b\"}|400|Duplicate",
                "POST|/api/v1/vms|{\"name\":\"a b\"}|400|is no name for a virtual machine",
                "POST|/api/v1/vms|{\"name\":\"a\",\"processors\":1.5}|400|processors",
                "POST|/api/v1/vms|{\"name\":\"a\",\"memory\":\"1\"}|400|\"memory\" is not a whole number",
                "POST|/api/v1/vms|{\"name\":1}|400|\"name\" is 1, not a text",
                "POST|/api/v1/vms|{\"name\":null}|400|\"name\" is null",
                "POST|/api/v1/vms|{\"name\":\"a\",\"disks\":[null]}|400|\"disks.0\" is null",
                "POST|/api/v1/vms|{\"name\":\"a\",\"disks\":[{\"path\":null,\"format\":\"raw\"}]}|400|\"disks.0.path\" is null",
                "POST|/api/v1/vms|{\"name\":\"a\",\"boot\":{\"kernel\":\"/a\",\"initrds\":[null]}}|400|null",
                "POST|/api/v1/vms|{\"name\":\"a\",\"boot\":{\"kernel\":\"/tmp\"}}|400|there is no file /tmp",
                "POST|/api/v1/vms|\"a\"|400|it is not an object",
                "POST|/api/v1/vms||400|it is empty",
                "POST|/api/v1/registrations|{\"folder\":null}|400|\"folder\" is null",
                "POST|/api/v1/tokens|{\"name\":\"a\",\"role\":\"king\"}|400|\"role\" is \"king\", not one of viewer, operator, administrator",
                "POST|/api/v1/tokens|{\"name\":\"a\",\"role\":null}|400|\"role\" is null",
                "POST|/api/v1/switches|{\"name\":\"a\",\"type\":null}|400|\"type\" is null",
                "POST|/api/v1/vms/web1/clone|{\"name\":null}|400|\"name\" is null",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[null]}|400|\"adapters.0\" is null",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":null}]}|400|\"adapters.0.network\" is null",
                "PATCH|/api/v1/vms/web1/checkpoints/one|{\"name\":null}|400|\"name\" is null",
                "GET|/api/v1/vms?limit=1&limit=2||400|is there 2 times",
                "GET|/api/v1/names||400|give one of vm, checkpoint",
                "GET|/api/v1/names?kind=checkpoint||400|is no name",
                "GET|/api/v1/names?kind=adapter&vm=nobody||404|there is no virtual machine",
                "GET|/api/v1/tasks/0||400|is no number of a task",
                "PATCH|/api/v1/vms/web1|{\"processors\":0}|400|give 1 to 64",
                "PATCH|/api/v1/vms/web1|{\"automaticStart\":\"soon\"}|400|not one of nothing, ",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{}]}|400|network",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"wifi\"}]}|400|give nat, switch:NAME, none or cable:",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"cable:a\"}]}|400|give nat, switch:NAME, none or cable:",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"none\",\"address\":\"ff:ff:ff:ff:ff:ff\"}]}|400|single station",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"none\",\"address\":\"no\"}]}|400|single station",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"none\",\"forwards\":[\"1:2\"]}]}|400|without nat",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"nat\",\"forwards\":[\"ssh\"]}]}|400|2222:22",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"nat\",\"forwards\":[\"0:1\"]}]}|400|1 to 65535",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"nat\",\"services\":[\"80\"]}]}|400|80:/run",
                "PATCH|/api/v1/vms/web1|{\"adapters\":[{\"network\":\"nat\",\"name\":\"net2\"},{\"network\":\"nat\"}]}|400|is there twice",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{}}|400|has no minimum",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{\"minimum\":1}}|400|2 MiB",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{\"minimum\":1073741824}}|400|startup",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{\"minimum\":2097152,\"startup\":1073741824}}|400|more memory",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{\"minimum\":2097152,\"buffer\":4}}|400|5 to 2000",
                "PATCH|/api/v1/vms/web1|{\"dynamicMemory\":{\"minimum\":2097152,\"enabled\":false}}|400|leave out",
                "POST|/api/v1/vms/web1/start?overcommit=1||400|neither true nor false",
                "POST|/api/v1/vms/web1/export|{}|400|folder",
                "POST|/api/v1/vms/web1/export|{\"folder\":\"out\"}|400|no absolute path",
                "POST|/api/v1/vms/web1/export|{\"folder\":\"/nowhere/out\"}|400|is not there",
                "POST|/api/v1/vms/web1/export|{\"folder\":\"/proc\"}|409|is /proc already",
                "POST|/api/v1/imports|{\"folder\":\"/nowhere\"}|400|cannot be read",
                "POST|/api/v1/imports|{\"folder\":\"/proc/self\",\"copy\":1}|400|copy",
                "POST|/api/v1/imports?whatIf=perhaps|{\"folder\":\"/nowhere\"}|400|neither true nor false",
                "GET|/api/v1/vms?limit=0||400|give 1 to 1000",
                "GET|/api/v1/vms?limt=5||400|nothing is known of the parameter \"limt\"",
                "GET|/api/v1/vms?state=on||400|there is no state",
                "GET|/api/v1/tasks/x||400|is no number of a task",
                "GET|/api/v1/tasks/99999||404|there is no task 99999",
                "GET|/api/v1/nothing||404|there is nothing at",
                "PUT|/api/v1/vms|{}|405|openapi.yaml",
                "POST|/api/v1/vms/web1/stop?timeout=0||400|give 1 to",
                "POST|/api/v1/vms/web1/pause||409|start it first",
                "POST|/api/v1/vms/web1/console/tickets|{}|400|purpose",
                "POST|/api/v1/vms/web1/console/tickets|{\"purpose\":\"both\"}|400|purpose",
                "POST|/api/v1/vms/web1/console/tickets|{\"purpose\":\"view\"}|409|has no console",
                "POST|/api/v1/vms/web1/checkpoints|{\"kind\":\"backup\"}|400|kind",
                "POST|/api/v1/vms/web1/checkpoints|{\"name\":\"a b\"}|400|is no name for a checkpoint",
                "PATCH|/api/v1/vms/web1/checkpoints/one|{}|400|name",
                "DELETE|/api/v1/vms/web1/checkpoints/one||404|torte checkpoint list web1",
                "POST|/api/v1/vms/web1/checkpoints/one/apply|{\"keep\":1}|400|nothing is known of",
            })
    void whatIsWrongIsNamed(String method, String path, String body, int status, String words) {
        make("web1");
        HttpResponse<String> answer = send(method, path, body == null ? "" : body);
        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(status);
        assertThat(answer.body().replace("\\\"", "\""))
                .contains(words)
                .doesNotContain("torte.management", "Exception", "java");
        assertThat(answer.headers().firstValue("Content-Type")).hasValue("application/problem+json");
    }

    @Test
    void figuresOfTheHostAndEachMachineAreThereForPrometheus() {
        make("web1");
        make("db2");
        assertThat(act("web1", "start").path("state").asText()).isEqualTo("succeeded");
        String text = get("/metrics").body();
        assertThat(text)
                .contains("torte_machines{state=\"Running\"} 1\n", "torte_vm_running{vm=\"web1\"} 1\n")
                .contains("torte_vm_running{vm=\"db2\"} 0\n", "torte_vm_responding{vm=\"web1\"} 1\n")
                .contains("torte_vm_memory_bytes{vm=\"db2\"} 536870912\n", "torte_tasks_running 0\n")
                .doesNotContain("torte_vm_responding{vm=\"db2\"}", "torte_vm_cpu_seconds_total{vm=\"db2\"}");
        // Each line is a comment or a sample of the family that was described last.
        String family = "";
        for (String line : text.lines().toList()) {
            if (line.startsWith("# TYPE ")) {
                family = line.split(" ", 4)[2];
            } else if (!line.startsWith("#")) {
                assertThat(line).matches(Pattern.quote(family) + "(\\{[a-z]+=\"[^\"]+\"})? -?[0-9.E]+");
            }
        }
    }

    @Test
    void whatTheGuestsDaemonTellsIsThereIfThereIsOne() {
        make("web1");
        assertThat(act("web1", "start").path("state").asText()).isEqualTo("succeeded");
        assertThat(json(get("/api/v1/vms/web1/guest")).has("pairs")).isFalse();
        workers.pairs = Map.of("OSName", "Debian", "NetworkAddressIPv4", "127.0.0.1;10.1.2.3");
        JsonNode guest = json(get("/api/v1/vms/web1/guest"));
        assertThat(guest.path("pairs").path("OSName").asText()).isEqualTo("Debian");
        assertThat(guest.path("addresses").toString()).isEqualTo("[{\"address\":\"10.1.2.3\",\"from\":\"kvp\"}]");
    }

    @Test
    void namesAreToldOneALine() {
        make("web1");
        make("db2");
        assertThat(get("/api/v1/names?kind=vm").body()).isEqualTo("db2\nweb1\n");
        assertThat(get("/api/v1/names?kind=switch").body()).isEqualTo("Default\n");
        assertThat(get("/api/v1/names?kind=token").body()).isEqualTo("owner\n");
        assertThat(get("/api/v1/names?kind=checkpoint&vm=web1").body()).isEmpty();
        token = json(send("POST", "/api/v1/tokens", Map.of("name", "ci", "role", "operator")))
                .path("token")
                .asText();
        refused(get("/api/v1/names?kind=token"), 403, "forbidden", "for administrators");
    }

    @Test
    void pagesFollowOneAnother() {
        for (int i = 0; i < 7; i++) {
            make("vm" + i);
        }
        List<String> names = new ArrayList<>();
        String cursor = "";
        do {
            JsonNode page = json(get("/api/v1/vms?limit=3&cursor=" + cursor));
            page.path("items").forEach(item -> names.add(item.path("name").asText()));
            cursor = page.path("next").asText("");
        } while (!cursor.isEmpty() && !cursor.equals("null"));
        assertThat(names).containsExactly("vm0", "vm1", "vm2", "vm3", "vm4", "vm5", "vm6");
        assertThat(json(get("/api/v1/vms?name=vm3&state=Off")).path("items")).hasSize(1);
        assertThat(json(get("/api/v1/vms?state=Running")).path("items")).isEmpty();
    }

    @Test
    void theStreamOfEventsIsResumable() throws Exception {
        make("web1");
        HttpRequest.Builder stream = request("/api/v1/events/stream")
                .header("Accept", "text/event-stream")
                .header("Last-Event-ID", "1");
        HttpResponse<java.io.InputStream> open = client.send(stream.build(), BodyHandlers.ofInputStream());
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(open.body(), StandardCharsets.UTF_8))) {
            assertThat(next(lines)).contains("\"type\":\"vm.created\"");
            act("web1", "start");
            Stream<String> types = Stream.generate(() -> next(lines)).limit(4);
            assertThat(types.anyMatch(line -> line.contains("\"type\":\"vm.state\"")))
                    .isTrue();
        }
    }

    private Socket openStream(String lastEvent) throws IOException {
        Socket socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.getOutputStream()
                .write(("GET /api/v1/events/stream HTTP/1.1\r\nHost: localhost:" + port + "\r\nAuthorization: Bearer "
                                + token + "\r\nLast-Event-ID: " + lastEvent + "\r\n\r\n")
                        .getBytes(StandardCharsets.US_ASCII));
        return socket;
    }

    private static String firstEvent(Socket socket) throws IOException {
        return next(new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8)));
    }

    @Test
    void aStreamWhoseReaderHasVanishedEndsWithTheEventsThatFollow() throws IOException {
        make("web1");
        for (int i = 0; i < 20; i++) {
            try (Socket vanishing = openStream("0")) {
                assertThat(firstEvent(vanishing)).contains("\"id\":1");
                // Closing sends a reset, as the end of a process with unread input does.
                vanishing.setSoLinger(true, 0);
            }
        }
        for (int i = 0; i < 1000 && server.eventStreams() > 0; i++) {
            send("PATCH", "/api/v1/vms/web1", Map.of("notes", "change " + i));
        }
        assertThat(server.eventStreams()).isZero();
    }

    @Test
    void openStreamsEndWithTheServiceAndNothingIsLogged() throws IOException {
        make("web1");
        List<String> logged = new CopyOnWriteArrayList<>();
        Handler recorder = new Handler() {
            @Override
            public void publish(LogRecord message) {
                if (message.getLevel().intValue() >= Level.WARNING.intValue()) {
                    logged.add(message.getMessage());
                }
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        Logger root = Logger.getLogger("");
        root.addHandler(recorder);
        try (Socket one = openStream("0");
                Socket other = openStream("1")) {
            assertThat(firstEvent(one)).contains("\"id\":1");
            assertThat(firstEvent(other)).contains("\"id\":2");
            act("web1", "start");
            server.close();
            assertThat(server.eventStreams()).isZero();
            // They have an end.
            one.getInputStream().transferTo(OutputStream.nullOutputStream());
            other.getInputStream().transferTo(OutputStream.nullOutputStream());
        } finally {
            root.removeHandler(recorder);
        }
        assertThat(logged).isEmpty();
    }

    @Test
    void aStreamAfterWhatIsNoEventIsRefused() {
        refused(
                send(request("/api/v1/events/stream").header("Last-Event-ID", "x")),
                400,
                "invalid",
                "Last-Event-ID is no number");
        refused(
                send(request("/api/v1/events/stream").header("Last-Event-ID", "999")),
                400,
                "invalid",
                "there is no event 999 yet");
    }

    private static String next(BufferedReader lines) {
        try {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith("data: ")) {
                    return line;
                }
            }
            throw new AssertionError("the stream has ended");
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** A page of another site reaches a loopback address by a name of its own, or sends its origin. */
    @ParameterizedTest
    @CsvSource({"evil.example, ", "localhost, http://evil.example", "127.0.0.1, null"})
    void pagesOfOtherSitesAreRefused(String name, String origin) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            String request = "GET /api/v1/vms HTTP/1.1\r\nHost: " + name + ":" + port + "\r\nAuthorization: Bearer "
                    + token + "\r\n" + (origin == null ? "" : "Origin: " + origin + "\r\n")
                    + "Connection: close\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(answer).startsWith("HTTP/1.1 403").contains("urn:torte:problem:forbidden");
        }
    }

    @Test
    void aBodyIsBounded() {
        HttpResponse<String> answer = send("POST", "/api/v1/vms", "{\"name\":\"" + "a".repeat(2 << 20) + "\"}");
        refused(answer, 413, "too-large", "more than");
    }

    @Test
    void tokensOpenTheDoorUntilTheyAreRemovedAndTheirSecretIsNotKept() throws IOException {
        String secret = json(send("POST", "/api/v1/tokens", Map.of("name", "ci", "role", "operator")))
                .path("token")
                .asText();
        assertThat(Files.readString(data.tokens())).doesNotContain(secret).contains("ci");
        assertThat(new Access(data.tokens(), InstantSource.system()).find(secret))
                .isPresent();
        String owner = token;
        token = secret;
        assertThat(get("/api/v1/vms").statusCode()).isEqualTo(200);
        token = owner;
        assertThat(send("DELETE", "/api/v1/tokens/ci", "").statusCode()).isEqualTo(204);
        token = secret;
        refused(get("/api/v1/vms"), 401, "unauthenticated", "not one of this service");
    }

    /** The document and the server name the same paths and methods. */
    @Test
    void theDocumentDescribesEveryCall() {
        String document = get("/openapi.yaml").body();
        TreeSet<String> described = new TreeSet<>();
        String path = "";
        for (String line : document.lines().toList()) {
            Matcher at = Pattern.compile("  (/[^:]*):").matcher(line);
            Matcher method = Pattern.compile("    (get|post|patch|delete):").matcher(line);
            if (at.matches()) {
                path = at.group(1);
            } else if (method.matches()) {
                described.add(method.group(1) + " " + path);
            }
        }
        assertThat(described).isEqualTo(new TreeSet<>(server.calls()));
    }
}
