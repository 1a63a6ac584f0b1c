package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "export",
        description = {
            "Copies a virtual machine into a new folder that needs nothing outside of it: its definition and checkpoints, all files",
            "of its disks, its kernel. Memory is not part of it. The machine must be off; of one that runs, name a checkpoint."
        },
        sortOptions = false)
final class VmExportCommand extends TaskOfVm {
    @Mixin
    VmParameter vm = new VmParameter();

    @Parameters(index = "1", paramLabel = "FOLDER", description = "the folder, which is not there yet")
    Path folder = Path.of("");

    @Option(
            names = "--checkpoint",
            paramLabel = "CHECKPOINT",
            description = "exports what the machine was at this checkpoint, without its memory, and those before it")
    @Nullable
    String checkpoint;

    @Override
    public Integer call() {
        Path target = folder.toAbsolutePath().normalize();
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("folder", target.toString());
        if (checkpoint != null) {
            body.put("checkpoint", checkpoint);
        }
        if (whatIf) {
            JsonNode plan = service().call("POST", asked(vm.path("export")), body);
            show(
                    plan,
                    "would copy " + plan.path("files").size() + " files with "
                            + (plan.path("bytes").asLong() >> 20) + " MiB to " + Output.printable(target.toString())
                            + "\n");
            return 0;
        }
        await(service().call("POST", vm.path("export"), body)).ifPresent(done -> {
            tell(done);
            show(done, Output.printable(target.toString()) + "\n");
        });
        return 0;
    }
}
