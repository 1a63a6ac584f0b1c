package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.torte.management.Host;
import org.torte.management.Import;
import org.torte.management.NewVm;
import org.torte.management.Problem;
import org.torte.management.Task;
import org.torte.management.Vm;
import org.torte.management.VmState;
import org.torte.management.definition.VmDefinition;
import org.torte.management.rest.Answers.Page;
import org.torte.management.rest.Answers.VmAnswer;

/** Virtual machines. */
final class VmRoutes {
    private static final String ONE = "/api/v1/vms/{vm}";
    private static final long DEFAULT_STOP = 120;
    private static final long MAX_STOP = 24 * 3600;

    private final Host host;

    VmRoutes(Host host) {
        this.host = host;
    }

    /** What a folder elsewhere is taken in with. */
    record Registration(@JsonProperty(required = true) String folder) {}

    /** What a clone is to be called, and what it is to be like. */
    record NewClone(
            @JsonProperty(required = true) String name,
            @Nullable String checkpoint) {}

    /** Where a machine is copied to, and what of it. */
    record NewExport(
            @JsonProperty(required = true) String folder,
            @Nullable String checkpoint) {}

    /** What would be copied. */
    record ExportAnswer(List<String> files, long bytes) {}

    /** What is taken in, and how. */
    record NewImport(
            @JsonProperty(required = true) String folder,
            @Nullable String name,
            @Nullable Boolean copy) {}

    /** What is in the way, and its repair. */
    record Obstacle(String cause, String remedy) {}

    /** What would become of a folder. */
    record ImportAnswer(
            String folder,
            @Nullable String name,
            @Nullable String id,
            boolean copy,
            long bytes,
            List<Obstacle> problems,
            List<String> notes) {}

    void add(RoutesConfig routes) {
        routes.get("/api/v1/vms", this::list, Role.VIEWER);
        routes.post("/api/v1/vms", this::create, Role.ADMINISTRATOR);
        routes.post("/api/v1/registrations", this::register, Role.ADMINISTRATOR);
        routes.get(ONE, this::get, Role.VIEWER);
        routes.patch(ONE, this::change, Role.ADMINISTRATOR);
        routes.delete(ONE, this::remove, Role.ADMINISTRATOR);
        routes.post(ONE + "/clone", this::cloneIt, Role.ADMINISTRATOR);
        routes.post(ONE + "/export", this::export, Role.ADMINISTRATOR);
        routes.post("/api/v1/imports", this::importIt, Role.ADMINISTRATOR);
        routes.get(ONE + "/guest", this::guest, Role.VIEWER);
        routes.post(ONE + "/start", this::start, Role.OPERATOR);
        action(routes, "turn-off", Vm::turnOff);
        action(routes, "pause", Vm::pause);
        action(routes, "resume", Vm::resume);
        action(routes, "restart", Vm::restart);
        action(routes, "save", Vm::save);
        action(routes, "discard", Vm::discard);
        routes.post(ONE + "/stop", this::stop, Role.OPERATOR);
    }

    private void action(RoutesConfig routes, String name, BiFunction<Vm, String, Task> action) {
        routes.post(
                ONE + "/" + name,
                context -> {
                    Requests.only(context, "whatIf");
                    Vm vm = vm(context);
                    TaskRoutes.begin(context, vm, () -> action.apply(vm, RestServer.owner(context)));
                },
                Role.OPERATOR);
    }

    private Vm vm(Context context) {
        return host.find(context.pathParam("vm"));
    }

    private void list(Context context) {
        Requests.only(context, "limit", "cursor", "state", "name");
        int limit = Requests.limit(context);
        String after = Requests.orEmpty(context.queryParam("cursor"));
        String state = context.queryParam("state");
        String name = VmDefinition.key(Requests.orEmpty(context.queryParam("name")));
        if (state != null
                && List.of(VmState.values()).stream()
                        .noneMatch(one -> one.label().equals(state))) {
            throw Requests.invalid("there is no state \"" + state + "\"", "give one such as Running or Off");
        }
        List<VmAnswer> found = host.list().stream()
                .filter(view -> VmDefinition.key(view.definition().name()).compareTo(after) > 0)
                .filter(view -> state == null || view.state().label().equals(state))
                .filter(view -> VmDefinition.key(view.definition().name()).startsWith(name))
                .limit(limit + 1L)
                .map(Answers::of)
                .toList();
        boolean more = found.size() > limit;
        List<VmAnswer> page = more ? found.subList(0, limit) : found;
        context.json(new Page<>(page, more ? VmDefinition.key(page.getLast().name()) : null));
    }

    private void create(Context context) {
        Requests.only(context, "whatIf");
        NewVm wish = Requests.body(context, NewVm.class);
        if (!Requests.whatIf(context, () -> host.create(wish))) {
            show(context.status(201), host.create(wish).view());
        }
    }

    private void register(Context context) {
        Requests.only(context, "whatIf");
        Path folder =
                absolute("folder", Requests.body(context, Registration.class).folder());
        if (!Requests.whatIf(context, () -> host.register(folder))) {
            show(context.status(201), host.register(folder).view());
        }
    }

    private void get(Context context) {
        Requests.only(context);
        show(context, vm(context).view());
    }

    static void show(Context context, Vm.View view) {
        context.header("ETag", Requests.etag(view.definition())).json(Answers.of(view));
    }

    private void change(Context context) {
        Requests.only(context, "whatIf");
        VmChange wish = Requests.body(context, VmChange.class);
        Vm vm = vm(context);
        UnaryOperator<VmDefinition> change = old -> {
            Requests.match(context, old);
            return wish.apply(old);
        };
        if (!Requests.whatIf(context, () -> host.change(vm, change))) {
            show(context, host.change(vm, change));
        }
    }

    private void remove(Context context) {
        Requests.only(context, "disks", "whatIf");
        Vm vm = vm(context);
        Requests.match(context, vm.view().definition());
        boolean disks = Requests.flag(context, "disks");
        if (!Requests.whatIf(context, () -> host.remove(vm, disks))) {
            context.json(Answers.of(host.remove(vm, disks)));
        }
    }

    private void cloneIt(Context context) {
        Requests.only(context, "whatIf");
        Vm source = vm(context);
        NewClone wish = Requests.body(context, NewClone.class);
        TaskRoutes.begin(
                context, source, () -> host.clone(source, RestServer.owner(context), wish.name(), wish.checkpoint()));
    }

    private void export(Context context) {
        Requests.only(context, "whatIf");
        Vm source = vm(context);
        NewExport wish = Requests.body(context, NewExport.class);
        Path folder = absolute("folder", wish.folder());
        if (Requests.flag(context, "whatIf")) {
            Host.ExportPlan plan = host.planExport(source, folder, wish.checkpoint());
            context.json(new ExportAnswer(plan.files(), plan.bytes()));
            return;
        }
        TaskRoutes.accepted(context, host.export(source, RestServer.owner(context), folder, wish.checkpoint()));
    }

    private void importIt(Context context) {
        Requests.only(context, "whatIf");
        NewImport wish = Requests.body(context, NewImport.class);
        Import.Wish what =
                new Import.Wish(absolute("folder", wish.folder()), wish.name(), wish.copy() != null && wish.copy());
        if (!Requests.flag(context, "whatIf")) {
            TaskRoutes.accepted(context, host.importVm(RestServer.owner(context), what));
            return;
        }
        Import plan = host.planImport(what);
        context.json(new ImportAnswer(
                plan.folder().toString(),
                plan.definition().map(VmDefinition::name).orElse(null),
                plan.definition().map(one -> one.id().toString()).orElse(null),
                plan.copy(),
                plan.bytes(),
                plan.problems().stream()
                        .map(one -> new Obstacle(one.cause(), one.remedy()))
                        .toList(),
                plan.notes()));
    }

    private static Path absolute(String what, String path) {
        if (!path.startsWith("/") || path.length() > 4096 || path.indexOf('\0') >= 0) {
            throw Requests.invalid(what + " is no absolute path", "give one that starts with /");
        }
        return Path.of(path).normalize();
    }

    private void start(Context context) {
        Requests.only(context, "overcommit", "whatIf");
        Vm vm = vm(context);
        boolean overcommit = Requests.flag(context, "overcommit");
        TaskRoutes.begin(context, vm, () -> host.start(vm, RestServer.owner(context), overcommit));
    }

    private void stop(Context context) {
        Requests.only(context, "timeout", "whatIf");
        Duration limit = Duration.ofSeconds(Requests.number(context, "timeout", DEFAULT_STOP, 1, MAX_STOP));
        Vm vm = vm(context);
        TaskRoutes.begin(context, vm, () -> vm.stop(RestServer.owner(context), limit));
    }

    /** What the worker says of the guest: heartbeat, addresses, clock, memory. */
    private void guest(Context context) {
        Requests.only(context);
        Vm vm = vm(context);
        context.future(() -> GuestStatus.of(vm, host.switches()).handle((status, e) -> {
            if (e == null) {
                context.json(status);
                return null;
            }
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw cause instanceof Problem problem
                    ? problem
                    : new Problem(Problem.Kind.TIMEOUT, "the worker does not answer", "try again, or turn it off", e);
        }));
    }
}
