package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.output.Output;
import org.torte.management.VmState;
import org.torte.management.definition.Json;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(name = "list", description = "Lists virtual machines.", sortOptions = false)
final class VmListCommand extends ServiceOptions {
    @Option(
            names = "--state",
            paramLabel = "STATE",
            completionCandidates = States.class,
            description = "only those in this state, such as Running")
    @Nullable
    String state;

    /** The states that there are. */
    static final class States extends ArrayList<String> {
        private static final long serialVersionUID = 1;

        States() {
            for (VmState state : VmState.values()) {
                add(state.label());
            }
        }
    }

    @Override
    public Integer call() {
        ArrayNode all = Json.MAPPER.createArrayNode();
        Map<String, String> parameters = new LinkedHashMap<>();
        parameters.put("limit", "1000");
        if (state != null) {
            parameters.put("state", state);
        }
        JsonNode page;
        do {
            page = service().get("/api/v1/vms" + ServiceClient.query(parameters));
            page.path("items").forEach(all::add);
            parameters.put("cursor", page.path("next").asText());
        } while (page.path("next").isTextual());
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("NAME", "STATE", "PROCESSORS", "MEMORY", "ID"));
        for (JsonNode vm : all) {
            rows.add(List.of(
                    vm.path("name").asText(),
                    vm.path("state").asText(),
                    vm.path("processors").asText(),
                    Output.size(vm.path("memory").asLong()),
                    vm.path("id").asText()));
        }
        show(all, Output.table(rows));
        return 0;
    }
}
