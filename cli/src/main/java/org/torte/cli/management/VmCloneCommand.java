package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "clone",
        description = {
            "Makes a virtual machine like another: the same hardware, disks that keep only what differs, addresses of its own.",
            "The other one must be off, and gets a checkpoint that the clone is based on; or name one with --checkpoint."
        },
        sortOptions = false)
final class VmCloneCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "VM", description = "the name or id of the one that there is")
    String name = "";

    @Parameters(index = "1", paramLabel = "NEW-NAME", description = "what the clone is to be called")
    String newName = "";

    @Option(
            names = "--checkpoint",
            paramLabel = "CHECKPOINT",
            description = "the clone is like this checkpoint, without its memory")
    @Nullable
    String checkpoint;

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    @Override
    public Integer call() {
        String path = "/api/v1/vms/" + ServiceClient.segment(name);
        if (whatIf) {
            JsonNode vm = service().get(path);
            show(
                    vm,
                    "would clone " + vm.path("name").asText() + ", which is "
                            + vm.path("state").asText() + ", as " + Output.printable(newName) + "\n");
            return 0;
        }
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("name", newName);
        if (checkpoint != null) {
            body.put("checkpoint", checkpoint);
        }
        JsonNode task = service().await(service().call("POST", path + "/clone", body));
        task.path("log").forEach(line -> System.err.println("torte: " + Output.printable(line.asText())));
        JsonNode clone = service().get("/api/v1/vms/" + ServiceClient.segment(newName));
        show(clone, Output.list(VmGetCommand.text(clone)));
        return 0;
    }
}
