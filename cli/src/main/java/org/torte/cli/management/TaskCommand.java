package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.torte.cli.GroupCommand;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte task}. */
@Command(
        name = "torte task",
        description = "Shows what goes on and has gone on, and cancels it.",
        sortOptions = false,
        subcommands = {TaskCommand.ListTasks.class, TaskCommand.Get.class, TaskCommand.Cancel.class})
public final class TaskCommand extends GroupCommand {
    @Command(name = "list", description = "Lists tasks, the latest first.", sortOptions = false)
    static final class ListTasks extends ServiceOptions {
        @Option(names = "--limit", paramLabel = "N", description = "how many, 1 to 1000 (default: 20)")
        int limit = 20;

        @Override
        public Integer call() {
            JsonNode tasks = service()
                    .get("/api/v1/tasks" + ServiceClient.query(Map.of("limit", Integer.toString(limit))))
                    .path("items");
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("TASK", "WHAT", "MACHINE", "STATE", "BY", "BEGUN"));
            for (JsonNode task : tasks) {
                rows.add(List.of(
                        task.path("id").asText(),
                        task.path("kind").asText(),
                        task.path("targetName").asText(),
                        task.path("state").asText(),
                        task.path("owner").asText(),
                        task.path("created").asText()));
            }
            show(tasks, Output.table(rows));
            return 0;
        }
    }

    @Command(name = "get", description = "Shows a task.", sortOptions = false)
    static final class Get extends ServiceOptions {
        @Parameters(index = "0", paramLabel = "TASK", description = "its number")
        String id = "";

        @Option(names = "--wait", description = "waits for its end")
        boolean wait;

        @Override
        public Integer call() {
            JsonNode task = service().get("/api/v1/tasks/" + ServiceClient.segment(id));
            if (wait) {
                task = service().await(task);
            }
            Map<String, String> lines = new LinkedHashMap<>();
            lines.put("task", task.path("id").asText());
            lines.put("what", task.path("kind").asText());
            lines.put("machine", task.path("targetName").asText());
            lines.put(
                    "state",
                    task.path("state").asText() + ", " + task.path("progress").asText() + " %");
            lines.put("by", task.path("owner").asText());
            lines.put("begun", task.path("created").asText());
            if (task.path("ended").isTextual()) {
                lines.put("ended", task.path("ended").asText());
            }
            task.path("log").forEach(line -> lines.merge("log", line.asText(), (a, b) -> a + " | " + b));
            if (task.path("problem").isObject()) {
                lines.put("problem", task.path("problem").path("cause").asText());
                lines.put("remedy", task.path("problem").path("remedy").asText());
            }
            show(task, Output.list(lines));
            return 0;
        }
    }

    @Command(name = "cancel", description = "Asks a task to stop.", sortOptions = false)
    static final class Cancel extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "TASK", description = "its number")
        String id = "";

        @Override
        public Integer call() {
            return change(
                    "POST",
                    "/api/v1/tasks/" + ServiceClient.segment(id) + "/cancel",
                    null,
                    "cancel the task " + id,
                    _ -> "");
        }
    }
}
