package org.torte.cli.management;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(name = "new", description = "Makes a virtual machine.", sortOptions = false)
final class VmNewCommand extends ChangeCommand {
    @Parameters(index = "0", paramLabel = "NAME", description = "what it is to be called")
    String name = "";

    @Option(
            names = "--image",
            paramLabel = "FILE",
            description = "a disk image that stays as it is: the first disk keeps only what differs from it")
    @Nullable
    String image;

    @Mixin
    Definition definition = new Definition();

    @Override
    public Integer call() {
        Map<String, Object> body = new LinkedHashMap<>();
        body.put("name", name);
        body.putAll(definition.given());
        if (image != null) {
            body.put("image", Definition.disk("--image", image));
        }
        return change(
                "POST",
                "/api/v1/vms",
                body,
                "make the virtual machine " + name,
                vm -> Output.list(VmGetCommand.text(vm)));
    }
}
