package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import org.torte.management.definition.Json;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "set",
        aliases = "rename",
        description = "Changes a virtual machine; while it runs, its name, notes, limits and automatic start.",
        sortOptions = false)
final class VmSetCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "VM", description = "its name or its id")
    String name = "";

    @Option(names = "--name", paramLabel = "NAME", description = "what it is to be called")
    @Nullable
    String newName;

    @Mixin
    Definition definition = new Definition();

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        if (newName != null) {
            body.put("name", newName);
        }
        body.putAll(definition.given());
        if (body.isEmpty()) {
            throw new UsageException("there is nothing to change; torte vm set --help lists what can be");
        }
        String path = "/api/v1/vms/" + ServiceClient.segment(name);
        if (whatIf) {
            JsonNode vm = service().get(path);
            show(
                    Json.MAPPER.valueToTree(body),
                    "would change " + vm.path("name").asText() + ": " + Output.printable(body.toString()) + "\n");
            return 0;
        }
        JsonNode vm = service().call("PATCH", path, body);
        show(vm, Output.list(VmGetCommand.text(vm)));
        return 0;
    }
}
