package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "remove",
        description = {
            "Removes a virtual machine that does not run. If disks are in its folder, that goes to where removed ones are, and",
            "torte vm register takes it in again; --disks deletes it instead. Disks that lie elsewhere always stay."
        },
        sortOptions = false)
final class VmRemoveCommand extends ChangeCommand {
    @Mixin
    VmParameter vm = new VmParameter();

    @Option(names = "--disks", description = "deletes its folder, with the disks in it")
    boolean disks;

    @Override
    public Integer call() {
        return change(
                "DELETE",
                vm.path() + (disks ? "?disks=true" : ""),
                null,
                "remove " + vm.name() + (disks ? " with the disks in its folder" : ""),
                VmRemoveCommand::text);
    }

    private static String text(JsonNode removed) {
        StringBuilder text = new StringBuilder("removed\n");
        if (removed.path("folder").isTextual()) {
            text.append("its folder is ")
                    .append(Output.printable(removed.path("folder").asText()))
                    .append('\n');
        }
        removed.path("disks")
                .forEach(disk -> text.append("its disk stays: ")
                        .append(Output.printable(disk.asText()))
                        .append('\n'));
        return text.toString();
    }
}
