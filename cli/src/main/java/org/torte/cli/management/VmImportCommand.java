package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "import",
        description = {
            "Takes in a folder that torte vm export made, here or elsewhere, after a look at all that could be wrong with it.",
            "It is used where it lies, unless --copy is given. What belongs to the other host (cables, forwarded ports, services",
            "of the host, automatic start) is left out, and named."
        },
        sortOptions = false)
final class VmImportCommand extends TaskOfVm {
    private static final String PATH = "/api/v1/imports";

    @Parameters(index = "0", paramLabel = "FOLDER", description = "the folder with its definition.json")
    Path folder = Path.of("");

    @Option(
            names = "--copy",
            description =
                    "copies it into the data folder, with an id and addresses of its own; the folder stays as it is")
    boolean copy;

    @Option(names = "--name", paramLabel = "NAME", description = "what it is to be called")
    @Nullable
    String name;

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("folder", folder.toAbsolutePath().normalize().toString());
        body.put("copy", copy);
        if (name != null) {
            body.put("name", name);
        }
        if (whatIf) {
            JsonNode plan = service().call("POST", asked(PATH), body);
            show(plan, text(plan));
            return plan.path("problems").isEmpty() ? 0 : 2;
        }
        await(service().call("POST", PATH, body)).ifPresent(done -> {
            tell(done);
            JsonNode vm = service().get("/api/v1/vms/" + done.path("target").asText());
            show(vm, Output.list(VmGetCommand.text(vm)));
        });
        return 0;
    }

    private static String text(JsonNode plan) {
        StringBuilder text = new StringBuilder();
        for (JsonNode problem : plan.path("problems")) {
            text.append("problem: ")
                    .append(Output.printable(problem.path("cause").asText() + "; "
                            + problem.path("remedy").asText()))
                    .append('\n');
        }
        for (JsonNode note : plan.path("notes")) {
            text.append("note: ").append(Output.printable(note.asText())).append('\n');
        }
        if (plan.path("problems").isEmpty()) {
            text.append("would take in ")
                    .append(Output.printable(plan.path("name").asText()))
                    .append(
                            plan.path("copy").asBoolean()
                                    ? " as a copy of " + (plan.path("bytes").asLong() >> 20) + " MiB\n"
                                    : " where it lies\n");
        }
        return text.toString();
    }
}
