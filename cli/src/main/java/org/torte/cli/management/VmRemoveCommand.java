package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
        name = "remove",
        description = "Removes a virtual machine that does not run. Its disks stay, and are named.",
        sortOptions = false)
final class VmRemoveCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "NAME", description = "its name or its id")
    String name = "";

    @Option(names = "--what-if", description = "says what would be done, and does nothing")
    boolean whatIf;

    @Override
    public Integer call() {
        String path = "/api/v1/vms/" + ServiceClient.segment(name);
        if (whatIf) {
            JsonNode vm = service().get(path);
            show(
                    vm,
                    "would remove " + vm.path("name").asText() + ", which is "
                            + vm.path("state").asText() + "\n");
            return 0;
        }
        JsonNode removed = service().call("DELETE", path, null);
        StringBuilder text = new StringBuilder("removed\n");
        removed.path("disks")
                .forEach(disk ->
                        text.append("its disk stays: ").append(disk.asText()).append('\n'));
        show(removed, text.toString());
        return 0;
    }
}
