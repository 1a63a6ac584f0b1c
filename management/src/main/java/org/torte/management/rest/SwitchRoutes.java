package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.management.Host;
import org.torte.management.Switches;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;
import org.torte.network.process.SwitchDefinition;

/** Virtual switches. */
final class SwitchRoutes {
    private static final String ALL = "/api/v1/switches";
    private static final String ONE = ALL + "/{switch}";

    private final Host host;

    SwitchRoutes(Host host) {
        this.host = host;
    }

    /** What can be changed. */
    record SwitchChange(
            @Nullable Integer mtu,
            @JsonProperty("interface") @Nullable String hostInterface,
            @Nullable List<String> addresses,
            @Nullable String translation) {}

    /** An adapter that is connected to a switch. */
    record Connected(String vm, String adapter) {}

    /** A switch, with what is known of it while it runs. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record SwitchAnswer(
            String name,
            String type,
            @JsonProperty("interface") @Nullable String hostInterface,
            int mtu,
            List<String> addresses,
            boolean running,
            @Nullable String problem,
            @Nullable String subnet,
            @Nullable String gateway,
            @Nullable String domain,
            @Nullable String names,
            @Nullable String bridge,
            @Nullable String translation,
            List<Connected> adapters) {}

    void add(RoutesConfig routes) {
        routes.get(ALL, this::list, Role.VIEWER);
        routes.post(ALL, this::create, Role.ADMINISTRATOR);
        routes.get(ONE, this::get, Role.VIEWER);
        routes.patch(ONE, this::change, Role.ADMINISTRATOR);
        routes.delete(ONE, this::remove, Role.ADMINISTRATOR);
    }

    private void list(Context context) {
        Requests.only(context);
        JsonNode status = host.switches().status();
        context.json(
                host.switches().list().stream().map(one -> answer(one, status)).toList());
    }

    private void get(Context context) {
        Requests.only(context);
        SwitchDefinition one = host.switches().find(context.pathParam("switch"));
        context.json(answer(one, host.switches().status()));
    }

    private void create(Context context) {
        Requests.only(context, "whatIf");
        Switches.Wish wish = Requests.body(context, Switches.Wish.class);
        if (!Requests.whatIf(context, () -> host.switches().create(wish))) {
            SwitchDefinition made = host.switches().create(wish);
            context.status(201).json(answer(made, host.switches().status()));
        }
    }

    private void change(Context context) throws Exception {
        Requests.only(context, "whatIf");
        SwitchChange wish = Requests.body(context, SwitchChange.class);
        String name = context.pathParam("switch");
        Callable<SwitchDefinition> change = () ->
                host.switches().change(name, wish.mtu(), wish.hostInterface(), wish.addresses(), wish.translation());
        if (!Requests.whatIf(context, change)) {
            context.json(answer(change.call(), host.switches().status()));
        }
    }

    private void remove(Context context) {
        Requests.only(context, "whatIf");
        String name = context.pathParam("switch");
        Callable<Boolean> removal = () -> {
            host.switches().remove(name);
            return true;
        };
        if (!Requests.whatIf(context, removal)) {
            host.switches().remove(name);
            context.status(204);
        }
    }

    private SwitchAnswer answer(SwitchDefinition one, JsonNode status) {
        JsonNode live = Live.switchOf(status, one.name());
        List<Connected> adapters = new ArrayList<>();
        for (Vm.View machine : host.list()) {
            for (Adapter adapter : machine.definition().hardware().adapters()) {
                if (adapter.switchName()
                        .filter(name -> SwitchDefinition.key(name).equals(SwitchDefinition.key(one.name())))
                        .isPresent()) {
                    adapters.add(new Connected(machine.definition().name(), adapter.name()));
                }
            }
        }
        return new SwitchAnswer(
                one.name(),
                one.type().text(),
                one.hostInterface().isEmpty() ? null : one.hostInterface(),
                one.mtu(),
                one.addresses(),
                live.isObject(),
                Live.problem(status, one.name(), ""),
                live.path("subnet").asText(null),
                live.path("gateway").asText(null),
                live.path("domain").asText(null),
                live.path("names").asText(null),
                live.path("bridge").asText(null),
                one.type() == SwitchDefinition.Type.NAT
                        ? live.path("translation").asText(one.translation().text())
                        : null,
                adapters);
    }
}
