package org.torte.management.rest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import org.jspecify.annotations.Nullable;
import org.torte.network.process.SwitchDefinition;

/** Finds things in what the switch process says of itself. */
final class Live {
    private Live() {}

    /** A switch; missing when it does not run. */
    static JsonNode switchOf(JsonNode status, String name) {
        for (JsonNode one : status.path("switches")) {
            if (SwitchDefinition.key(one.path("name").asText()).equals(SwitchDefinition.key(name))) {
                return one;
            }
        }
        return MissingNode.getInstance();
    }

    /** A port; missing when there is none. */
    static JsonNode port(JsonNode status, String id) {
        for (JsonNode one : status.path("ports")) {
            if (one.path("id").asText().equals(id)) {
                return one;
            }
        }
        return MissingNode.getInstance();
    }

    /** What is wrong with a switch, or, with an id, with a port of it. */
    static @Nullable String problem(JsonNode status, String name, String port) {
        if (status.has("unreachable")) {
            return status.path("unreachable").asText();
        }
        for (JsonNode one : status.path("problems")) {
            if (SwitchDefinition.key(one.path("switch").asText()).equals(SwitchDefinition.key(name))
                    && one.path("port").asText().equals(port)) {
                return one.path("message").asText();
            }
        }
        return null;
    }
}
