package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.torte.cli.ExitStatus;
import org.torte.cli.output.Output;
import org.torte.management.definition.Json;
import picocli.CommandLine.Option;

/** A command that changes something, and can ask the service whether it could. */
abstract class ChangeCommand extends ServiceOptions {
    @Option(names = "--what-if", description = "says what would be done, or why it cannot be, and does nothing")
    boolean whatIf;

    /**
     * Asks for a change.
     *
     * @param would what would be done, for people
     * @param text what the answer says, for people
     */
    int change(String method, String path, @Nullable Object body, String would, Function<JsonNode, String> text) {
        JsonNode answer = service().call(method, whatIf ? asked(path) : path, body);
        if (!whatIf) {
            show(answer, text.apply(answer));
        } else {
            JsonNode json = body == null ? answer : Json.MAPPER.valueToTree(body);
            show(json, "would " + Output.printable(would) + "\n");
        }
        return ExitStatus.OK;
    }

    /** The path with which the service is asked whether something could be done. */
    static String asked(String path) {
        return path + (path.contains("?") ? "&" : "?") + "whatIf=true";
    }
}
