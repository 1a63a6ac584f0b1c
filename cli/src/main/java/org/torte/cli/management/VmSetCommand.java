package org.torte.cli.management;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "set",
        description = "Changes a virtual machine; while it runs, its name, notes, limits and automatic start.",
        sortOptions = false)
final class VmSetCommand extends ChangeCommand {
    @Mixin
    VmParameter vm = new VmParameter();

    @Option(names = "--name", paramLabel = "NAME", description = "what it is to be called")
    @Nullable
    String newName;

    @Mixin
    Definition definition = new Definition();

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        if (newName != null) {
            body.put("name", newName);
        }
        body.putAll(definition.given());
        if (body.isEmpty()) {
            throw new UsageException("there is nothing to change; torte vm set --help lists what can be");
        }
        return change(
                "PATCH",
                vm.path(),
                body,
                "change " + vm.name() + ": " + String.join(", ", body.keySet()),
                changed -> Output.list(VmGetCommand.text(changed)));
    }
}
