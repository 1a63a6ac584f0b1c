package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "get", description = "Shows a virtual machine.", sortOptions = false)
final class VmGetCommand extends ServiceOptions {
    @Mixin
    VmParameter vm = new VmParameter();

    @Override
    public Integer call() {
        JsonNode now = service().get(vm.path());
        Map<String, String> lines = new LinkedHashMap<>();
        if (!output.json()) {
            lines.putAll(text(now));
            addGuest(now, lines);
        }
        show(now, Output.list(lines));
        return 0;
    }

    private static void addAdapters(JsonNode vm, Map<String, String> lines) {
        for (JsonNode adapter : vm.path("adapters")) {
            List<String> parts = new ArrayList<>(List.of(
                    adapter.path("network").asText(), adapter.path("address").asText()));
            adapter.path("forwards").forEach(forward -> parts.add("forward " + forward.asText()));
            adapter.path("services").forEach(service -> parts.add("service " + service.asText()));
            lines.put("adapter " + adapter.path("name").asText(), String.join(", ", parts));
        }
    }

    private static void addMemory(JsonNode vm, Map<String, String> lines) {
        String most = Output.size(vm.path("memory").asLong());
        JsonNode dynamic = vm.path("dynamicMemory");
        if (!dynamic.isObject()) {
            lines.put("memory", most);
            return;
        }
        lines.put(
                "memory",
                Output.size(dynamic.path("minimum").asLong()) + " to " + most + ", starts with "
                        + Output.size(dynamic.path("startup").asLong()) + ", buffer "
                        + dynamic.path("buffer").asText() + " %");
        JsonNode use = vm.path("memoryUse");
        if (use.isObject()) {
            String demand = use.path("demand").isNumber()
                    ? Output.size(use.path("demand").asLong())
                    : "not told yet";
            lines.put("memory now", Output.size(use.path("assigned").asLong()) + " assigned, demand " + demand);
        }
    }

    /** What is known of the guest, which its worker tells while it runs; nothing if it does not tell. */
    private void addGuest(JsonNode vm, Map<String, String> lines) {
        if (!vm.path("processId").isNumber()) {
            return;
        }
        JsonNode guest = service()
                .find("/api/v1/vms/" + ServiceClient.segment(vm.path("id").asText()) + "/guest")
                .orElse(MissingNode.getInstance());
        if (guest.path("heartbeat").isObject()) {
            lines.put("heartbeat", guest.path("heartbeat").path("state").asText());
        }
        String system = Stream.of("OSName", "OSVersion", "ProcessorArchitecture")
                .map(key -> guest.path("pairs").path(key).asText())
                .filter(text -> !text.isEmpty())
                .collect(Collectors.joining(" "));
        if (!system.isEmpty()) {
            lines.put("guest", system);
        }
        String name = guest.path("pairs").path("FullyQualifiedDomainName").asText();
        if (!name.isEmpty()) {
            lines.put("guest's name", name);
        }
        JsonNode clock = guest.path("clock");
        if (clock.isObject()) {
            lines.put("guest's clock", clock(clock));
        }
        for (JsonNode address : guest.path("addresses")) {
            lines.merge(
                    "addresses",
                    Output.printable(address.path("address").asText()) + " ("
                            + Output.printable(address.path("from").asText()) + ")",
                    (a, b) -> a + ", " + b);
        }
    }

    private static String clock(JsonNode clock) {
        long skew = clock.path("skewMillis").asLong();
        String uncertain = " (within " + clock.path("uncertainMillis").asLong() + " ms)";
        return (skew == 0 ? "as the host's" : Math.abs(skew) + (skew > 0 ? " ms ahead" : " ms behind")) + uncertain;
    }

    /** For people. */
    static Map<String, String> text(JsonNode vm) {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("name", vm.path("name").asText());
        lines.put("id", vm.path("id").asText());
        lines.put("state", vm.path("state").asText());
        if (vm.path("silence").isTextual()) {
            lines.put("not responding", vm.path("silence").asText());
        }
        if (vm.path("since").isTextual()) {
            lines.put("since", vm.path("since").asText());
        }
        if (!vm.path("notes").asText().isEmpty()) {
            lines.put("notes", vm.path("notes").asText());
        }
        int limit = vm.path("processorLimit").asInt(100);
        lines.put(
                "processors", vm.path("processors").asText() + (limit == 100 ? "" : ", " + limit + " % each at most"));
        addMemory(vm, lines);
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
        addAdapters(vm, lines);
        lines.put("hypervisor", vm.path("hypervisor").asText());
        if (vm.path("translator").asText().equals("off")) {
            lines.put("translator", "off");
        }
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
