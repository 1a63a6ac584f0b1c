package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** The names of what there is, for shells that complete them: those that a running service tells at once, else none. */
@Command(name = "names", hidden = true, description = "Prints the names of what there is.")
public final class NamesCommand extends ServiceOptions {
    @Parameters(index = "0", paramLabel = "KIND", description = "VM, CHECKPOINT, ADAPTER, SWITCH, TASK or TOKEN")
    String kind = "";

    @Parameters(index = "1", arity = "0..1", paramLabel = "VM", description = "whose checkpoints or adapters")
    String vm = "";

    @Override
    public Integer call() {
        String ofVm = "/api/v1/vms/" + ServiceClient.segment(vm);
        switch (kind) {
            case "VM" -> print("/api/v1/vms?limit=1000", "name");
            case "CHECKPOINT" -> print(ofVm + "/checkpoints", "name");
            case "ADAPTER" -> print(ofVm + "/adapters", "name");
            case "SWITCH" -> print("/api/v1/switches", "name");
            case "TASK" -> print("/api/v1/tasks?limit=100", "id");
            case "TOKEN" -> print("/api/v1/tokens", "name");
            default -> {
                // A script of another Torte: there is nothing to tell.
            }
        }
        return 0;
    }

    private void print(String path, String member) {
        service().peek(path).ifPresent(answer -> {
            for (JsonNode one : answer.isArray() ? answer : answer.path("items")) {
                System.out.println(Output.printable(one.path(member).asText()));
            }
        });
    }
}
