package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import org.torte.management.definition.Json;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "new", description = "Makes a virtual machine.", sortOptions = false)
final class VmNewCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "NAME", description = "what it is to be called")
    String name = "";

    @Option(
            names = "--image",
            paramLabel = "FILE",
            description = "a disk image that stays as it is: the first disk keeps only what differs from it")
    @Nullable
    String image;

    @Mixin
    Definition definition = new Definition();

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("name", name);
        body.putAll(definition.given());
        if (image != null) {
            body.put("image", Definition.disk("--image", image));
        }
        if (whatIf) {
            show(Json.MAPPER.valueToTree(body), "would make the virtual machine " + Output.printable(name) + "\n");
            return 0;
        }
        JsonNode vm = service().call("POST", "/api/v1/vms", body);
        show(vm, Output.list(VmGetCommand.text(vm)));
        return 0;
    }
}
