package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code torte host}. */
@Command(
        name = "torte host",
        description = "Shows the service of this host, and definitions that it cannot read.",
        sortOptions = false)
public final class HostCommand extends ServiceOptions {
    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "shows this")
    boolean help;

    @Override
    public Integer call() {
        JsonNode host = service().get("/api/v1/host");
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("service", "process " + host.path("processId").asText());
        lines.put("data", host.path("data").asText());
        host.path("machines")
                .properties()
                .forEach(state -> lines.put(state.getKey(), state.getValue().asText()));
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
}
