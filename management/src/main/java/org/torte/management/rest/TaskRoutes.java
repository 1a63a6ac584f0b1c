package org.torte.management.rest;

import io.javalin.config.RoutesConfig;
import io.javalin.http.Context;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.torte.management.Host;
import org.torte.management.Problem;
import org.torte.management.Task;
import org.torte.management.Vm;
import org.torte.management.WhatIf;
import org.torte.management.definition.VmDefinition;
import org.torte.management.rest.Answers.Page;
import org.torte.management.rest.Answers.TaskAnswer;

/** Tasks. */
final class TaskRoutes {
    private final Host host;

    TaskRoutes(Host host) {
        this.host = host;
    }

    void add(RoutesConfig routes) {
        routes.get("/api/v1/tasks", this::list, Role.VIEWER);
        routes.get("/api/v1/tasks/{task}", this::get, Role.VIEWER);
        routes.post("/api/v1/tasks/{task}/cancel", this::cancel, Role.OPERATOR);
    }

    /** The answer to a request that began a task. */
    static void accepted(Context context, Task task) {
        context.status(202).header("Location", "/api/v1/tasks/" + task.id()).json(Answers.of(task.view()));
    }

    /** Begins a task of a machine; with whatIf=true asks whether it could begin, and shows the machine. */
    static void begin(Context context, Vm vm, Supplier<Task> task) {
        if (Requests.flag(context, "whatIf")) {
            WhatIf.check(task::get);
            VmRoutes.show(context, vm.view());
        } else {
            accepted(context, task.get());
        }
    }

    private void list(Context context) {
        Requests.only(context, "limit", "cursor");
        int limit = Requests.limit(context);
        long before = Requests.number(context, "cursor", Long.MAX_VALUE, 1, Long.MAX_VALUE);
        List<TaskAnswer> found =
                host.tasks().before(before, limit + 1).stream().map(Answers::of).toList();
        boolean more = found.size() > limit;
        List<TaskAnswer> page = more ? found.subList(0, limit) : found;
        context.json(new Page<>(page, more ? Long.toString(page.getLast().id()) : null));
    }

    private void get(Context context) throws InterruptedException {
        Requests.only(context, "wait");
        Duration wait = Requests.wait(context);
        long id = id(context);
        Task running = host.tasks().running(id).orElse(null);
        if (running != null && wait.isPositive()) {
            // The answer is the same whether its end has come or not: what is known of it then.
            boolean _ = running.await(wait.toMillis(), TimeUnit.MILLISECONDS);
        }
        context.json(Answers.of(host.tasks().find(id).orElseThrow(() -> unknown(id))));
    }

    private void cancel(Context context) {
        Requests.only(context, "whatIf");
        long id = id(context);
        Task task = host.tasks()
                .running(id)
                .orElseThrow(() -> host.tasks()
                        .find(id)
                        .map(view -> new Problem(
                                Problem.Kind.CONFLICT, "task " + id + " has ended already", "nothing needs to be done"))
                        .orElseGet(() -> unknown(id)));
        if (!Requests.whatIf(context, () -> task)) {
            task.cancel();
            accepted(context, task);
        }
    }

    private static long id(Context context) {
        String text = context.pathParam("task");
        if (!text.matches("[1-9]\\d{0,17}")) {
            throw Requests.invalid(
                    "\"" + VmDefinition.printable(text) + "\" is no number of a task",
                    "torte task list shows those that there are");
        }
        return Long.parseLong(text);
    }

    private static Problem unknown(long id) {
        return new Problem(
                Problem.Kind.NOT_FOUND, "there is no task " + id, "torte task list shows those that there are");
    }
}
