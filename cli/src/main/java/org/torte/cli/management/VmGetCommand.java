package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

@Command(name = "get", description = "Shows a virtual machine.", sortOptions = false)
final class VmGetCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "NAME", description = "its name or its id")
    String name = "";

    @Override
    public Integer call() {
        JsonNode vm = service().get("/api/v1/vms/" + ServiceClient.segment(name));
        show(vm, Output.list(text(vm)));
        return 0;
    }

    /** For people. */
    static Map<String, String> text(JsonNode vm) {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("name", vm.path("name").asText());
        lines.put("id", vm.path("id").asText());
        lines.put("state", vm.path("state").asText());
        if (vm.path("since").isTextual()) {
            lines.put("since", vm.path("since").asText());
        }
        if (!vm.path("notes").asText().isEmpty()) {
            lines.put("notes", vm.path("notes").asText());
        }
        lines.put("processors", vm.path("processors").asText());
        lines.put("memory", Output.size(vm.path("memory").asLong()));
        JsonNode boot = vm.path("boot");
        lines.put("starts from", boot.path("kernel").asText("its first disk"));
        boot.path("initrds").forEach(initrd -> lines.merge("initrd", initrd.asText(), (a, b) -> a + ", " + b));
        if (!boot.path("commandLine").asText().isEmpty()) {
            lines.put("command line", boot.path("commandLine").asText());
        }
        int count = 0;
        for (JsonNode disk : vm.path("disks")) {
            lines.put(
                    "disk " + count++,
                    disk.path("path").asText() + " (" + disk.path("format").asText()
                            + (disk.path("readOnly").asBoolean() ? ", read-only)" : ")"));
        }
        lines.put("hypervisor", vm.path("hypervisor").asText());
        lines.put("automatic start", vm.path("automaticStart").asText());
        lines.put("folder", vm.path("folder").asText());
        if (vm.path("processId").isNumber()) {
            lines.put("worker", "process " + vm.path("processId").asText());
        }
        if (vm.path("task").isNumber()) {
            lines.put("busy with", "task " + vm.path("task").asText());
        }
        if (vm.path("lastEnd").isObject()) {
            lines.put(
                    "last end",
                    vm.path("lastEnd").path("cause").asText() + ": "
                            + vm.path("lastEnd").path("detail").asText());
        }
        return lines;
    }
}
