package org.torte.management.definition;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.torte.management.Problem;

/**
 * Reads definitions of all versions. Version 1 has no checkpoints; up to version 2, what {@link Hardware} has stands in the
 * definition and in each checkpoint itself, and there are no network adapters; up to version 3, processors have no
 * limit; up to version 4, memory follows nothing; up to version 5, adapters have no ports of
 * switches; up to version 6, checkpoints do not say for how long the machine stood; up to version 7, nothing is said of the
 * translator.
 */
public final class DefinitionUpgrade {
    /** The oldest version that can be read. */
    public static final int OLDEST = 1;

    private static final int LAST_FLAT = 2;
    private static final List<String> HARDWARE = List.of("processors", "memory", "boot", "disks", "hypervisor");

    private DefinitionUpgrade() {}

    /**
     * A definition as it is now, and the version in which it was written.
     *
     * @param written from {@link #OLDEST} to {@link VmDefinition#VERSION}
     */
    public record Found(VmDefinition definition, int written) {}

    /**
     * Reads a definition.
     *
     * @param what it is, for the error
     * @throws Problem INVALID, which says where and what
     */
    public static Found read(byte[] text, String what) {
        JsonNode tree = Json.read(text, JsonNode.class, what);
        int version = tree.path("version").asInt(0);
        if (version < OLDEST || version > VmDefinition.VERSION) {
            throw new Problem(
                    Problem.Kind.INVALID,
                    what + " has version " + version + ", which this Torte does not know",
                    "use the Torte that wrote it; this one writes version " + VmDefinition.VERSION);
        }
        if (version == VmDefinition.VERSION || !(tree instanceof ObjectNode definition)) {
            return new Found(Json.read(text, VmDefinition.class, what), version);
        }
        if (version <= LAST_FLAT) {
            nest(definition);
            tree.path("checkpoints").path("items").forEach(DefinitionUpgrade::nest);
            nest(tree.path("checkpoints").path("pending").path("checkpoint"));
        }
        definition.put("version", VmDefinition.VERSION);
        byte[] upgraded = Json.text(definition).getBytes(StandardCharsets.UTF_8);
        return new Found(Json.read(upgraded, VmDefinition.class, what), version);
    }

    private static void nest(JsonNode node) {
        if (!(node instanceof ObjectNode flat)) {
            return;
        }
        ObjectNode hardware = Json.MAPPER.createObjectNode();
        for (String name : HARDWARE) {
            JsonNode value = flat.remove(name);
            if (value != null) {
                hardware.set(name, value);
            }
        }
        flat.set("hardware", hardware);
    }
}
