package org.torte.cli.management;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.worker.NetworkSource;

/** The adapters of a definition, as a worker plugs them in. */
final class WorkerNetworks {
    private static final int MAX_LABEL = 63;

    private WorkerNetworks() {}

    /** One for each, in this order. Each NAT network keeps its addresses in the folder of the machine, and moves with it. */
    static List<NetworkSource> of(VmFolder machine, VmDefinition definition) {
        return definition.hardware().adapters().stream()
                .map(one -> new NetworkSource(
                        plug(machine, definition, one),
                        Optional.of(MacAddress.parse(one.address())),
                        LinkState.DEFAULT_MTU))
                .toList();
    }

    private static NetworkSource.Plug plug(VmFolder machine, VmDefinition definition, Adapter adapter) {
        return switch (adapter.network()) {
            case Adapter.NONE -> new NetworkSource.Unplugged();
            case Adapter.NAT ->
                new NetworkSource.Nat(
                        machine.path().resolve("network-" + adapter.name()),
                        label(definition.name()),
                        adapter.forwards().stream().map(PortForward::parse).toList(),
                        adapter.services().stream().map(HostService::parse).toList());
            default -> new NetworkSource.Cable(Path.of(adapter.network().substring(Adapter.CABLE.length())));
        };
    }

    /** The name of a machine as it can be in the domain of its network (RFC 1123, section 2.1). */
    static String label(String name) {
        String label = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
        return label.substring(0, Math.min(label.length(), MAX_LABEL)).replaceAll("^-+|-+$", "");
    }
}
