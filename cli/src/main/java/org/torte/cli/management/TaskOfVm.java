package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Option;

/** A change that takes a while: a task, whose end is waited for unless it is not to be. */
abstract class TaskOfVm extends ChangeCommand {
    // Without both values picocli would turn an option that is on by default the other way round.
    @Option(
            names = "--wait",
            negatable = true,
            defaultValue = "true",
            fallbackValue = "true",
            description = "waits for the end (the default), or does not")
    boolean wait;

    /**
     * Begins a task.
     *
     * @param would what would be done, up to the name of the machine that does it, for people
     * @return the task, if it was begun and waited for; else everything has been told
     */
    Optional<JsonNode> begin(String method, String path, @Nullable Object body, String would) {
        if (!whatIf) {
            return await(service().call(method, path, body));
        }
        JsonNode vm = service().call(method, asked(path), body);
        show(
                vm,
                "would " + Output.printable(would) + " " + vm.path("name").asText() + ", which is "
                        + vm.path("state").asText() + "\n");
        return Optional.empty();
    }

    /** Waits for the end of a task that has begun, if that is wanted. */
    Optional<JsonNode> await(JsonNode task) {
        if (wait) {
            return Optional.of(service().await(task));
        }
        show(task, "task " + task.path("id").asText() + " has begun\n");
        return Optional.empty();
    }

    /** Tells on the error stream what a task has to say, which is not the result. */
    static void tell(JsonNode task) {
        task.path("log").forEach(line -> System.err.println("torte: " + Output.printable(line.asText())));
    }
}
