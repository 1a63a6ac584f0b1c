package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "clone",
        description = {
            "Makes a virtual machine like another: the same hardware, disks that keep only what differs, addresses of its own.",
            "The other one must be off, and gets a checkpoint that the clone is based on; or name one with --checkpoint."
        },
        sortOptions = false)
final class VmCloneCommand extends TaskOfVm {
    @Mixin
    VmParameter vm = new VmParameter();

    @Parameters(index = "1", paramLabel = "NEW-NAME", description = "what the clone is to be called")
    String newName = "";

    @Option(
            names = "--checkpoint",
            paramLabel = "CHECKPOINT",
            description = "the clone is like this checkpoint, without its memory")
    @Nullable
    String checkpoint;

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("name", newName);
        if (checkpoint != null) {
            body.put("checkpoint", checkpoint);
        }
        begin("POST", vm.path("clone"), body, "make " + newName + " like").ifPresent(done -> {
            tell(done);
            JsonNode clone = service().get("/api/v1/vms/" + ServiceClient.segment(newName));
            show(clone, Output.list(VmGetCommand.text(clone)));
        });
        return 0;
    }
}
