package org.torte.cli.management;

import java.util.Map;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(name = "rename", description = "Gives a virtual machine another name.", sortOptions = false)
final class VmRenameCommand extends ChangeCommand {
    @Mixin
    VmParameter vm = new VmParameter();

    @Parameters(index = "1", paramLabel = "NEW-NAME", description = "what it is to be called")
    String other = "";

    @Override
    public Integer call() {
        return change("PATCH", vm.path(), Map.of("name", other), "call " + vm.name() + " " + other, _ -> "");
    }
}
