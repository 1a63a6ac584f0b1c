package org.torte.management.rest;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.management.Checkpoints;
import org.torte.management.Host;
import org.torte.management.Vm;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.CheckpointTree;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.VmDefinition;

/** Checkpoints of virtual machines. */
final class CheckpointRoutes {
    private static final String ALL = "/api/v1/vms/{vm}/checkpoints";
    private static final String ONE = ALL + "/{checkpoint}";

    private final Host host;

    CheckpointRoutes(Host host) {
        this.host = host;
    }

    /** What is asked for who wants a checkpoint: standard if no kind is given, with a name of the time if there is none. */
    record NewCheckpoint(@Nullable String name, Checkpoint.@Nullable Kind kind) {}

    /** What is changed of one. */
    record CheckpointRename(@JsonProperty(required = true) String name) {}

    /** How one is applied. */
    record Application(@Nullable String keepAs) {}

    /** One, with the bytes that its files take and for how long the machine stood still for it. */
    record CheckpointAnswer(
            String id,
            String name,
            @Nullable String parent,
            String created,
            String owner,
            Checkpoint.Kind kind,
            Checkpoint.Consistency consistency,
            @Nullable Long stoodMillis,
            long size,
            List<Hardware.Disk> disks) {}

    /** What the machine is in now. */
    record NowAnswer(@Nullable String parent, long size, List<Hardware.Disk> disks) {}

    /** All of them, and what is still to be merged. */
    record TreeAnswer(List<CheckpointAnswer> items, NowAnswer now, List<CheckpointTree.Link> merges) {}

    void add(RoutesConfig routes) {
        routes.get(ALL, this::list, Role.VIEWER);
        routes.post(ALL, this::create, Role.OPERATOR);
        routes.get(ONE, this::get, Role.VIEWER);
        routes.patch(ONE, this::rename, Role.OPERATOR);
        routes.delete(ONE, this::remove, Role.OPERATOR);
        routes.post(ONE + "/apply", this::apply, Role.OPERATOR);
        routes.post("/api/v1/vms/{vm}/merge", this::merge, Role.OPERATOR);
    }

    private Vm vm(Context context) {
        return host.find(context.pathParam("vm"));
    }

    private void list(Context context) {
        Requests.only(context);
        Vm vm = vm(context);
        VmDefinition definition = vm.view().definition();
        CheckpointTree tree = definition.checkpoints();
        context.json(new TreeAnswer(
                tree.items().stream().map(one -> answer(vm.checkpoints(), one)).toList(),
                new NowAnswer(
                        tree.current() == null ? null : tree.current().toString(),
                        vm.checkpoints().size(definition.disks(), definition.savedState()),
                        definition.disks()),
                tree.merges()));
    }

    private static CheckpointAnswer answer(Checkpoints checkpoints, Checkpoint one) {
        return new CheckpointAnswer(
                one.id().toString(),
                one.name(),
                one.parent() == null ? null : one.parent().toString(),
                one.created(),
                one.owner(),
                one.kind(),
                one.consistency(),
                one.stoodMillis(),
                checkpoints.size(one.disks(), one.savedState()),
                one.disks());
    }

    private void get(Context context) {
        Requests.only(context);
        Checkpoints checkpoints = vm(context).checkpoints();
        context.json(answer(checkpoints, checkpoints.find(context.pathParam("checkpoint"))));
    }

    private void create(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        NewCheckpoint wish = Requests.body(context, NewCheckpoint.class);
        Checkpoint.Kind kind = wish.kind() == null ? Checkpoint.Kind.STANDARD : wish.kind();
        TaskRoutes.begin(context, vm, () -> vm.checkpoints().create(RestServer.owner(context), wish.name(), kind));
    }

    private void rename(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        CheckpointRename wish = Requests.body(context, CheckpointRename.class);
        Checkpoints checkpoints = vm.checkpoints();
        String old = context.pathParam("checkpoint");
        if (!Requests.whatIf(context, () -> checkpoints.rename(old, wish.name()))) {
            context.json(answer(checkpoints, checkpoints.rename(old, wish.name())));
        }
    }

    private void remove(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        TaskRoutes.begin(
                context, vm, () -> vm.checkpoints().remove(RestServer.owner(context), context.pathParam("checkpoint")));
    }

    private void apply(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        Application wish = Requests.body(context, Application.class);
        TaskRoutes.begin(
                context,
                vm,
                () -> vm.checkpoints()
                        .apply(RestServer.owner(context), context.pathParam("checkpoint"), wish.keepAs()));
    }

    private void merge(Context context) {
        Requests.only(context, "whatIf");
        Vm vm = vm(context);
        TaskRoutes.begin(context, vm, () -> vm.checkpoints().merge(RestServer.owner(context)));
    }
}
