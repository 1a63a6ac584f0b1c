package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.cli.HelpOption;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code torte host}. */
@Command(
        name = "torte host",
        description = "Shows the service of this host, its memory, and definitions that it cannot read.",
        sortOptions = false)
public final class HostCommand extends ServiceOptions {
    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() {
        JsonNode host = service().get("/api/v1/host");
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("service", "process " + host.path("processId").asText());
        lines.put("data", host.path("data").asText());
        host.path("machines")
                .properties()
                .forEach(state -> lines.put(state.getKey(), state.getValue().asText()));
        addMemory(host.path("memory"), lines);
        int count = 0;
        for (JsonNode problem : host.path("unreadable")) {
            lines.put(
                    "problem " + ++count,
                    problem.path("cause").asText() + "; "
                            + problem.path("remedy").asText());
        }
        show(host, Output.list(lines));
        return 0;
    }

    private static void addMemory(JsonNode memory, Map<String, String> lines) {
        if (memory.isObject()) {
            lines.put(
                    "memory",
                    Output.size(memory.path("total").asLong()) + ", "
                            + Output.size(memory.path("available").asLong())
                            + " available; of that machines that run may still take "
                            + Output.size(memory.path("claimed").asLong()) + ", the host keeps "
                            + Output.size(memory.path("reserve").asLong()));
            lines.put(
                    "for machines", Output.size(memory.path("free").asLong()) + " free, processes of workers included");
        }
    }
}
