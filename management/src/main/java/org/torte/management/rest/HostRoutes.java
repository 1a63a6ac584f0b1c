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
import org.torte.management.Host;
import org.torte.management.Vm;
import org.torte.management.VmState;
import org.torte.management.memory.MemoryUse;

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
        Requests.only(context);
        NewToken wish = Requests.body(context, NewToken.class);
        Repetition.secret(context);
        context.status(201)
                .json(Map.of("name", wish.name(), "role", wish.role(), "token", access.add(wish.name(), wish.role())));
    }

    private void removeToken(Context context) {
        Requests.only(context);
        access.remove(context.pathParam("token"));
        context.status(204);
    }

    /** In the text format of Prometheus. */
    private void metrics(Context context) {
        Requests.only(context);
        StringBuilder text = new StringBuilder();
        text.append("# HELP torte_machines Virtual machines of this host by state.\n# TYPE torte_machines gauge\n");
        Map<VmState, Long> counts = host.counts();
        for (VmState state : VmState.values()) {
            text.append("torte_machines{state=\"")
                    .append(state.label())
                    .append("\"} ")
                    .append(counts.getOrDefault(state, 0L))
                    .append('\n');
        }
        host.memory().ifPresent(memory -> memoryMetrics(memory, text));
        guestMetrics(text);
        Runtime runtime = Runtime.getRuntime();
        text.append("# HELP torte_service_memory_bytes Heap in use by the service.\n")
                .append("# TYPE torte_service_memory_bytes gauge\n")
                .append("torte_service_memory_bytes ")
                .append(runtime.totalMemory() - runtime.freeMemory())
                .append('\n');
        text.append("# HELP torte_events_total Events since the data folder was made.\n")
                .append("# TYPE torte_events_total counter\n")
                .append("torte_events_total ")
                .append(host.events().last())
                .append('\n');
        context.contentType("text/plain; version=0.0.4; charset=utf-8")
                .result(text.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static void memoryMetrics(Host.Memory memory, StringBuilder text) {
        text.append("# HELP torte_host_memory_bytes Memory of the host: all of it, and what other machines can have.\n")
                .append("# TYPE torte_host_memory_bytes gauge\n")
                .append("torte_host_memory_bytes{kind=\"total\"} ")
                .append(memory.total())
                .append("\ntorte_host_memory_bytes{kind=\"free\"} ")
                .append(memory.free())
                .append('\n');
    }

    /** Names are letters, digits, dots, dashes and underscores, so that nothing has to be quoted. */
    private void guestMetrics(StringBuilder text) {
        StringBuilder demand = new StringBuilder();
        StringBuilder assigned = new StringBuilder();
        for (Vm.View vm : host.list()) {
            MemoryUse use = vm.memory();
            if (use == null) {
                continue;
            }
            String name = "{vm=\"" + vm.definition().name() + "\"} ";
            assigned.append("torte_vm_memory_assigned_bytes")
                    .append(name)
                    .append(use.assigned())
                    .append('\n');
            if (use.demand() != null) {
                demand.append("torte_vm_memory_demand_bytes")
                        .append(name)
                        .append(use.demand())
                        .append('\n');
            }
        }
        text.append("# HELP torte_vm_memory_assigned_bytes What guests with dynamic memory have.\n")
                .append("# TYPE torte_vm_memory_assigned_bytes gauge\n")
                .append(assigned)
                .append("# HELP torte_vm_memory_demand_bytes What guests with dynamic memory need.\n")
                .append("# TYPE torte_vm_memory_demand_bytes gauge\n")
                .append(demand);
    }
}
