package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.GroupCommand;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte checkpoint}. */
@Command(
        name = "torte checkpoint",
        description = "Keeps virtual machines as they are at one moment, and returns them to it.",
        sortOptions = false,
        subcommands = {
            CheckpointCommand.ListCheckpoints.class,
            CheckpointCommand.New.class,
            CheckpointCommand.Apply.class,
            CheckpointCommand.Rename.class,
            CheckpointCommand.Remove.class,
            CheckpointCommand.Merge.class,
        },
        footer = {"", "Exit status: 0 done, 1 Torte failed, 2 wrong usage, or it could not be done."})
public final class CheckpointCommand extends GroupCommand {
    private static final String ALL = "checkpoints";

    private static String one(String checkpoint) {
        return ALL + "/" + ServiceClient.segment(checkpoint);
    }

    /** Shows what a task has to say, which is the result. */
    abstract static class Action extends TaskOfVm {
        @Mixin
        VmParameter vm = new VmParameter();

        int act(String would, String method, String path, @Nullable Object body) {
            begin(method, vm.path(path), body, would + " of").ifPresent(ended -> {
                StringBuilder log = new StringBuilder();
                ended.path("log")
                        .forEach(line ->
                                log.append(Output.printable(line.asText())).append('\n'));
                show(ended, log.toString());
            });
            return 0;
        }
    }

    @Command(name = "list", description = "Lists checkpoints, each below the one it went on from.", sortOptions = false)
    static final class ListCheckpoints extends ServiceOptions {
        @Mixin
        VmParameter vm = new VmParameter();

        @Override
        public Integer call() {
            JsonNode tree = service().get(vm.path(ALL));
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("NAME", "KIND", "CONSISTENT", "AGE", "OWNER", "STOOD", "SIZE"));
            Map<String, List<JsonNode>> after = new HashMap<>();
            for (JsonNode one : tree.path("items")) {
                after.computeIfAbsent(one.path("parent").asText(), _ -> new ArrayList<>())
                        .add(one);
            }
            JsonNode now = tree.path("now");
            add(rows, after, now, "null", "");
            if (tree.path("items").isEmpty()) {
                addNow(rows, now, "");
            }
            StringBuilder text = new StringBuilder(Output.table(rows));
            tree.path("merges")
                    .forEach(link -> text.append("still to be merged: ")
                            .append(link.path("child").asText())
                            .append(" into ")
                            .append(link.path("parent").asText())
                            .append("; torte checkpoint merge goes on with it\n"));
            show(tree, text.toString());
            return 0;
        }

        private static void add(
                List<List<String>> rows,
                Map<String, List<JsonNode>> after,
                JsonNode now,
                String parent,
                String indent) {
            for (JsonNode one : after.getOrDefault(parent, List.of())) {
                rows.add(List.of(
                        indent + one.path("name").asText(),
                        one.path("kind").asText(),
                        one.path("consistency").asText(),
                        age(one.path("created").asText()),
                        one.path("owner").asText(),
                        one.path("stoodMillis").isNumber()
                                ? one.path("stoodMillis").asLong() + " ms"
                                : "",
                        Output.size(one.path("size").asLong())));
                String id = one.path("id").asText();
                add(rows, after, now, id, indent + "  ");
                if (now.path("parent").asText().equals(id)) {
                    addNow(rows, now, indent + "  ");
                }
            }
        }

        private static void addNow(List<List<String>> rows, JsonNode now, String indent) {
            rows.add(List.of(
                    indent + "(now)",
                    "",
                    "",
                    "",
                    "",
                    "",
                    Output.size(now.path("size").asLong())));
        }

        private static String age(String created) {
            long seconds = Math.max(
                    0, Duration.between(Instant.parse(created), Instant.now()).toSeconds());
            if (seconds < 120) {
                return seconds + " s";
            }
            return seconds < 7200
                    ? seconds / 60 + " min"
                    : seconds < 172_800 ? seconds / 3600 + " h" : seconds / 86_400 + " d";
        }
    }

    @Command(
            name = "new",
            description = "Keeps a virtual machine as it is: its disks, and if it runs, its memory.",
            sortOptions = false)
    static final class New extends Action {
        @Parameters(
                index = "1",
                arity = "0..1",
                paramLabel = "NAME",
                description = "what it is to be called (the time)")
        @Nullable
        String name;

        @Option(
                names = "--production",
                description = "without memory: the guest is asked to bring its file systems into order first")
        boolean production;

        @Override
        public Integer call() {
            Map<String, Object> body = new LinkedHashMap<>();
            if (name != null) {
                body.put("name", name);
            }
            body.put("kind", production ? "production" : "standard");
            return act("make a checkpoint", "POST", ALL, body);
        }
    }

    @Command(
            name = "apply",
            description = "Returns a virtual machine that does not run to a checkpoint; what it is now is lost.",
            sortOptions = false)
    static final class Apply extends Action {
        @Parameters(index = "1", paramLabel = "CHECKPOINT", description = "the checkpoint's name or id")
        String name = "";

        @Option(names = "--keep-as", paramLabel = "NAME", description = "keeps what it is now as a checkpoint first")
        @Nullable
        String keepAs;

        @Override
        public Integer call() {
            Map<String, Object> body = keepAs == null ? Map.of() : Map.of("keepAs", keepAs);
            return act("apply the checkpoint " + name, "POST", one(name) + "/apply", body);
        }
    }

    @Command(name = "rename", description = "Gives a checkpoint another name.", sortOptions = false)
    static final class Rename extends ChangeCommand {
        @Mixin
        VmParameter vm = new VmParameter();

        @Parameters(index = "1", paramLabel = "CHECKPOINT", description = "the checkpoint's name or id")
        String name = "";

        @Parameters(index = "2", paramLabel = "NEW", description = "what it is to be called")
        String other = "";

        @Override
        public Integer call() {
            return change(
                    "PATCH",
                    vm.path(one(name)),
                    Map.of("name", other),
                    "call the checkpoint " + name + " of " + vm.name() + " " + other,
                    _ -> "");
        }
    }

    @Command(
            name = "remove",
            description = "Removes a checkpoint; its disks are merged with those that went on from it.",
            sortOptions = false)
    static final class Remove extends Action {
        @Parameters(index = "1", paramLabel = "CHECKPOINT", description = "the checkpoint's name or id")
        String name = "";

        @Override
        public Integer call() {
            return act("remove the checkpoint " + name, "DELETE", one(name), null);
        }
    }

    @Command(name = "merge", description = "Goes on with merges that were interrupted.", sortOptions = false)
    static final class Merge extends Action {
        @Override
        public Integer call() {
            return act("go on with the merges", "POST", "merge", null);
        }
    }
}
