package org.torte.management.rest;

import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.torte.management.Host;
import org.torte.management.Problem;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Checkpoint;
import org.torte.network.process.SwitchDefinition;

/** The names of what there is, one a line: what a shell needs to complete them, without reading JSON. */
final class NameRoutes {
    /** Of the many tasks, those that somebody may still want. */
    private static final int TASKS = 100;

    private static final List<String> KINDS = List.of("vm", "checkpoint", "adapter", "switch", "task", "token");

    private final Host host;
    private final Access access;

    NameRoutes(Host host, Access access) {
        this.host = host;
        this.access = access;
    }

    void add(RoutesConfig routes) {
        routes.get("/api/v1/names", this::list, Role.VIEWER);
    }

    private void list(Context context) {
        Requests.only(context, "kind", "vm");
        String kind = Requests.orEmpty(context.queryParam("kind"));
        Stream<String> names = switch (kind) {
            case "vm" -> host.list().stream().map(view -> view.definition().name());
            case "checkpoint" ->
                vm(context).view().definition().checkpoints().items().stream().map(Checkpoint::name);
            case "adapter" ->
                vm(context).view().definition().hardware().adapters().stream().map(Adapter::name);
            case "switch" -> host.switches().list().stream().map(SwitchDefinition::name);
            case "task" -> host.tasks().before(Long.MAX_VALUE, TASKS).stream().map(task -> Long.toString(task.id()));
            case "token" -> tokens(context);
            default ->
                throw Requests.invalid("there is no kind \"" + kind + "\"", "give one of " + String.join(", ", KINDS));
        };
        context.contentType("text/plain; charset=utf-8")
                .result(names.map(name -> name + "\n").collect(Collectors.joining()));
    }

    private Vm vm(Context context) {
        return host.find(Requests.orEmpty(context.queryParam("vm")));
    }

    private Stream<String> tokens(Context context) {
        if (!RestServer.token(context).role().includes(Role.ADMINISTRATOR)) {
            throw new Problem(
                    Problem.Kind.FORBIDDEN, "names of tokens are for administrators", "ask with a token of theirs");
        }
        return access.list().stream().map(Access.Token::name);
    }
}
