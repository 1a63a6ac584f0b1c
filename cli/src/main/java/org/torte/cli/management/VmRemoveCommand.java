package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "remove",
        description = {
            "Removes a virtual machine that does not run. If disks are in its folder, that goes to where removed ones are, and",
            "torte vm register takes it in again; --disks deletes it instead. Disks that lie elsewhere always stay."
        },
        sortOptions = false)
final class VmRemoveCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "VM", description = "its name or its id")
    String name = "";

    @Option(names = "--disks", description = "deletes its folder, with the disks in it")
    boolean disks;

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    @Override
    public Integer call() {
        String path = "/api/v1/vms/" + ServiceClient.segment(name);
        if (whatIf) {
            JsonNode vm = service().get(path);
            show(
                    vm,
                    "would remove " + vm.path("name").asText() + (disks ? " with the disks in its folder" : "")
                            + ", which is "
                            + vm.path("state").asText() + "\n");
            return 0;
        }
        JsonNode removed = service().call("DELETE", path + (disks ? "?disks=true" : ""), null);
        StringBuilder text = new StringBuilder("removed\n");
        if (removed.path("folder").isTextual()) {
            text.append("its folder is ")
                    .append(Output.printable(removed.path("folder").asText()))
                    .append('\n');
        }
        removed.path("disks")
                .forEach(disk ->
                        text.append("its disk stays: ").append(disk.asText()).append('\n'));
        show(removed, text.toString());
        return 0;
    }
}
