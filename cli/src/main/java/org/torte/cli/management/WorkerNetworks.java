package org.torte.cli.management;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.management.Switches;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.network.process.SwitchStarter;
import org.torte.worker.InputException;
import org.torte.worker.NetworkSource;

/** The adapters of a definition, as a worker plugs them in. */
final class WorkerNetworks {
    private WorkerNetworks() {}

    /**
     * One for each, in this order. Each NAT network keeps its addresses in the folder of the machine, and moves with it.
     *
     * @param switches where the switches are
     */
    static List<NetworkSource> of(VmFolder machine, VmDefinition definition, @Nullable Path switches) {
        return definition.hardware().adapters().stream()
                .map(one -> new NetworkSource(
                        plug(machine, definition, switches, one),
                        Optional.of(MacAddress.parse(one.address())),
                        LinkState.DEFAULT_MTU))
                .toList();
    }

    private static NetworkSource.Plug plug(
            VmFolder machine, VmDefinition definition, @Nullable Path switches, Adapter adapter) {
        if (adapter.switchName().isPresent()) {
            if (switches == null) {
                throw new InputException("adapter " + adapter.name() + " is at a switch, and it was not said where"
                        + " those are; give --switches");
            }
            return new NetworkSource.Switch(
                    new SwitchStarter(switches, SwitchProcessCommand.command(switches)),
                    Switches.portId(definition.id(), adapter));
        }
        return switch (adapter.network()) {
            case Adapter.NONE -> new NetworkSource.Unplugged();
            case Adapter.NAT ->
                new NetworkSource.Nat(
                        machine.path().resolve("network-" + adapter.name()),
                        Switches.label(definition.name()),
                        adapter.forwards().stream().map(PortForward::parse).toList(),
                        adapter.services().stream().map(HostService::parse).toList());
            default -> new NetworkSource.Cable(Path.of(adapter.network().substring(Adapter.CABLE.length())));
        };
    }
}
