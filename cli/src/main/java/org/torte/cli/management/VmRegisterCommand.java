package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.Map;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
        name = "register",
        description = "Takes in the folder of a virtual machine that lies elsewhere, and leaves it there.",
        sortOptions = false)
final class VmRegisterCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "FOLDER", description = "the folder with its definition.json")
    Path folder = Path.of("");

    @Override
    public Integer call() {
        JsonNode vm = service()
                .call(
                        "POST",
                        "/api/v1/registrations",
                        Map.of("folder", folder.toAbsolutePath().normalize().toString()));
        show(vm, Output.list(VmGetCommand.text(vm)));
        return 0;
    }
}
