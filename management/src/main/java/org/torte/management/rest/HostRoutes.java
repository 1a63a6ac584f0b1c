package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.torte.management.Host;

/** The host, its tokens, and the description of all this. */
final class HostRoutes {
    private final Host host;
    private final Access access;

    HostRoutes(Host host, Access access) {
        this.host = host;
        this.access = access;
    }

    /** What is asked for who wants a token. */
    record NewToken(
            @JsonProperty(required = true) String name,
            @JsonProperty(required = true) Role role) {}

    void add(RoutesConfig routes) {
        routes.get("/openapi.yaml", HostRoutes::document);
        routes.get("/api/v1/host", this::show, Role.VIEWER);
        routes.get("/api/v1/tokens", this::tokens, Role.ADMINISTRATOR);
        routes.post("/api/v1/tokens", this::addToken, Role.ADMINISTRATOR);
        routes.delete("/api/v1/tokens/{token}", this::removeToken, Role.ADMINISTRATOR);
        routes.get("/metrics", this::metrics, Role.VIEWER);
    }

    private static void document(Context context) throws IOException {
        try (InputStream text = HostRoutes.class.getResourceAsStream("openapi.yaml")) {
            if (text == null) {
                throw new IllegalStateException("openapi.yaml is missing");
            }
            context.contentType("application/yaml").result(text.readAllBytes());
        }
    }

    private void show(Context context) {
        Requests.only(context);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("processId", ProcessHandle.current().pid());
        answer.put("data", host.data().path().toString());
        Map<String, Long> states = new TreeMap<>();
        host.counts().forEach((state, count) -> states.put(state.label(), count));
        answer.put("machines", states);
        host.memory().ifPresent(memory -> answer.put("memory", memory));
        List<Map<String, String>> problems = new ArrayList<>();
        host.unreadable()
                .forEach((folder, problem) -> problems.add(
                        Map.of("folder", folder.toString(), "cause", problem.cause(), "remedy", problem.remedy())));
        answer.put("unreadable", problems);
        context.json(answer);
    }

    private void tokens(Context context) {
        Requests.only(context);
        context.json(access.list().stream()
                .map(token -> Map.of("name", token.name(), "role", token.role(), "created", token.created()))
                .toList());
    }

    private void addToken(Context context) {
        Requests.only(context, "whatIf");
        NewToken wish = Requests.body(context, NewToken.class);
        if (Requests.whatIf(context, () -> access.add(wish.name(), wish.role()))) {
            return;
        }
        Repetition.secret(context);
        context.status(201)
                .json(Map.of("name", wish.name(), "role", wish.role(), "token", access.add(wish.name(), wish.role())));
    }

    private void removeToken(Context context) {
        Requests.only(context, "whatIf");
        String name = context.pathParam("token");
        Callable<Boolean> removal = () -> {
            access.remove(name);
            return true;
        };
        if (!Requests.whatIf(context, removal)) {
            access.remove(name);
            context.status(204);
        }
    }

    private void metrics(Context context) {
        Requests.only(context);
        context.contentType("text/plain; version=0.0.4; charset=utf-8")
                .result(Metrics.of(host).getBytes(StandardCharsets.UTF_8));
    }
}
