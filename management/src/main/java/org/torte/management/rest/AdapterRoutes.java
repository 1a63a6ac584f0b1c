package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.management.Host;
import org.torte.management.Problem;
import org.torte.management.Switches;
import org.torte.management.Vm;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Port;
import org.torte.management.definition.VmDefinition;
import org.torte.network.NetworkException;
import org.torte.network.host.PortForward;

/** Network adapters of virtual machines. */
final class AdapterRoutes {
    private static final String ALL = "/api/v1/vms/{vm}/adapters";
    private static final String ONE = ALL + "/{adapter}";

    private final Host host;

    AdapterRoutes(Host host) {
        this.host = host;
    }

    /** What is changed of an adapter; what is not given stays. */
    record AdapterChange(
            @Nullable String network,
            @Nullable List<String> forwards,
            @Nullable List<String> addForwards,
            @Nullable List<String> removeForwards,
            @Nullable Boolean disconnected,
            @Nullable String vlan,
            @Nullable Boolean macSpoofing,
            @Nullable Boolean dhcpGuard,
            @Nullable Boolean routerGuard,
            @Nullable List<String> rules,
            @Nullable Long bandwidth,
            @Nullable String mirroring) {
        Adapter apply(Adapter old) {
            String to = network == null ? old.network() : network;
            Port was = to.startsWith(Adapter.SWITCH) ? old.port() : Port.STANDARD;
            Port wanted = new Port(
                    disconnected == null ? was.disconnected() : disconnected,
                    vlan == null ? was.vlan() : vlan,
                    macSpoofing == null ? was.macSpoofing() : macSpoofing,
                    dhcpGuard == null ? was.dhcpGuard() : dhcpGuard,
                    routerGuard == null ? was.routerGuard() : routerGuard,
                    rules == null ? was.rules() : rules,
                    bandwidth == null ? was.bandwidth() : bandwidth,
                    mirroring == null ? was.mirroring() : mirroring);
            // In one piece: what goes together is given together, such as a network without forwards and none of them.
            return new Adapter(old.name(), old.address(), to, forwards(old.forwards()), old.services(), wanted);
        }

        private List<String> forwards(List<String> old) {
            List<String> all = new ArrayList<>(forwards == null ? old : forwards);
            if (addForwards != null) {
                addForwards.forEach(text -> all.add(text(text)));
            }
            if (removeForwards != null) {
                for (String text : removeForwards) {
                    if (!all.remove(text(text))) {
                        throw new Problem(
                                Problem.Kind.NOT_FOUND,
                                "there is no forward " + VmDefinition.printable(text),
                                "torte adapter list shows those that there are");
                    }
                }
            }
            return all;
        }

        private static String text(String forward) {
            try {
                return PortForward.parse(forward).toString();
            } catch (NetworkException e) {
                throw Requests.invalid(String.valueOf(e.getMessage()), "correct it");
            }
        }
    }

    /** An adapter, with what the switch knows of its port while there is one. */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record AdapterAnswer(
            String name,
            String address,
            String network,
            List<String> forwards,
            List<String> services,
            @Nullable Port port,
            @Nullable JsonNode live,
            @Nullable String problem) {}

    void add(RoutesConfig routes) {
        routes.get(ALL, this::list, Role.VIEWER);
        routes.get(ONE, this::get, Role.VIEWER);
        routes.patch(ONE, this::change, Role.ADMINISTRATOR);
    }

    private Vm vm(Context context) {
        return host.find(context.pathParam("vm"));
    }

    private void list(Context context) {
        Requests.only(context);
        VmDefinition definition = vm(context).view().definition();
        JsonNode status = host.switches().status();
        context.json(definition.hardware().adapters().stream()
                .map(one -> answer(definition.id(), one, status))
                .toList());
    }

    private void get(Context context) {
        Requests.only(context);
        VmDefinition definition = vm(context).view().definition();
        Adapter one = find(definition, context.pathParam("adapter"));
        context.json(answer(definition.id(), one, host.switches().status()));
    }

    private void change(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        AdapterChange wish = Requests.body(context, AdapterChange.class);
        String name = context.pathParam("adapter");
        UnaryOperator<VmDefinition> change = old -> {
            Requests.match(context, old);
            Adapter adapter = find(old, name);
            List<Adapter> all = old.hardware().adapters().stream()
                    .map(one -> one.equals(adapter) ? wish.apply(one) : one)
                    .toList();
            return old.withHardware(old.hardware().withAdapters(all));
        };
        if (!Requests.whatIf(context, () -> host.change(vm, change))) {
            VmDefinition changed = host.change(vm, change).definition();
            context.json(
                    answer(changed.id(), find(changed, name), host.switches().status()));
        }
    }

    private static Adapter find(VmDefinition definition, String name) {
        return definition.hardware().adapters().stream()
                .filter(one -> VmDefinition.key(one.name()).equals(VmDefinition.key(name)))
                .findFirst()
                .orElseThrow(() -> new Problem(
                        Problem.Kind.NOT_FOUND,
                        definition.name() + " has no adapter \"" + VmDefinition.printable(name) + "\"",
                        "torte adapter list " + definition.name() + " shows those that it has"));
    }

    private static AdapterAnswer answer(UUID machine, Adapter one, JsonNode status) {
        String id = Switches.portId(machine, one);
        JsonNode live = Live.port(status, id);
        if (live.deepCopy() instanceof ObjectNode shown) {
            shown.remove("id");
            shown.remove("switch");
            live = shown;
        }
        return new AdapterAnswer(
                one.name(),
                one.address(),
                one.network(),
                one.forwards(),
                one.services(),
                one.switchName().isPresent() ? one.port() : null,
                live.isObject() ? live : null,
                one.switchName().map(name -> Live.problem(status, name, id)).orElse(null));
    }
}
