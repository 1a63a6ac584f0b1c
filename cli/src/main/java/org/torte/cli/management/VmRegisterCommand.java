package org.torte.cli.management;

import java.nio.file.Path;
import java.util.Map;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(
        name = "register",
        description = "Takes in the folder of a virtual machine that lies elsewhere, and leaves it there.",
        sortOptions = false)
final class VmRegisterCommand extends ChangeCommand {
    @Parameters(index = "0", paramLabel = "FOLDER", description = "the folder with its definition.json")
    Path folder = Path.of("");

    @Override
    public Integer call() {
        String path = folder.toAbsolutePath().normalize().toString();
        return change(
                "POST",
                "/api/v1/registrations",
                Map.of("folder", path),
                "take in " + path,
                vm -> Output.list(VmGetCommand.text(vm)));
    }
}
