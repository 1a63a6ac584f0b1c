package org.torte.network.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.torte.network.NetworkException;

/**
 * All that the switch process has to know: its switches and the ports of machines. The service writes it, whole.
 *
 * @param switches each name once
 * @param ports each id once; a switch that is not there has no ports
 */
public record NetworkConfiguration(List<SwitchDefinition> switches, List<PortDefinition> ports) {
    /** The version of the file. */
    public static final int VERSION = 1;

    private static final long LONGEST = 64 << 20;

    /** Checks that nothing is there twice. */
    public NetworkConfiguration {
        switches = List.copyOf(switches);
        ports = List.copyOf(ports);
        Set<String> seen = new HashSet<>();
        for (SwitchDefinition one : switches) {
            if (!seen.add(SwitchDefinition.key(one.name()))) {
                throw new NetworkException("the switch " + one.name() + " is there twice");
            }
        }
        seen.clear();
        for (PortDefinition one : ports) {
            if (!seen.add(one.id())) {
                throw new NetworkException("the port " + one.id() + " is there twice");
            }
        }
    }

    /** Nothing but the switch that is there from the start. */
    public static NetworkConfiguration standard() {
        return new NetworkConfiguration(List.of(SwitchDefinition.standard()), List.of());
    }

    /**
     * Reads the file.
     *
     * @throws NetworkException when it cannot be read, or is wrong
     */
    public static NetworkConfiguration read(Path file) {
        try {
            if (!Files.exists(file)) {
                return standard();
            }
            if (Files.size(file) > LONGEST) {
                throw new NetworkException(file + " is longer than " + LONGEST + " bytes");
            }
            JsonFields fields = JsonFields.parse(Files.readString(file), file.toString());
            long version = fields.number("version", 0);
            if (version != VERSION) {
                throw new NetworkException(file + " has version " + version + ", which this Torte does not know");
            }
            return new NetworkConfiguration(
                    fields.objects("switches").stream()
                            .map(SwitchDefinition::read)
                            .toList(),
                    fields.objects("ports").stream().map(PortDefinition::read).toList());
        } catch (IOException | ArithmeticException | IllegalArgumentException e) {
            throw new NetworkException(file + " cannot be read: " + e.getMessage(), e);
        }
    }

    /** The file's content. */
    public byte[] text() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("version", VERSION);
        map.put("switches", switches.stream().map(SwitchDefinition::toMap).toList());
        map.put("ports", ports.stream().map(PortDefinition::toMap).toList());
        return JsonFields.write(map).getBytes(StandardCharsets.UTF_8);
    }
}
