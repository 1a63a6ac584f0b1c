package org.torte.network.process;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.base.RandomSource;
import org.torte.base.Timers;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.PortSettings;
import org.torte.network.PortVlan;
import org.torte.network.SwitchPort;
import org.torte.network.VirtualSwitch;
import org.torte.network.gateway.Subnet;
import org.torte.network.host.HostEnd;
import org.torte.network.host.HostNames;
import org.torte.network.host.PortForward;

/** A switch that runs. Its caller sees to it that one thread at a time uses it. */
final class LiveSwitch implements AutoCloseable {
    private final SwitchDefinition definition;
    private final VirtualSwitch network;
    /** Null when it is none that translates addresses. */
    private final @Nullable NatNetwork nat;

    /** Null when the host has no part in it. */
    private final @Nullable HostEnd host;

    private List<VirtualSwitch.Mirror> mirrors = List.of();
    private List<SwitchPort> sources = List.of();
    private List<SwitchPort> destinations = List.of();

    private @Nullable HostNames names;

    private LiveSwitch(
            SwitchDefinition definition, VirtualSwitch network, @Nullable NatNetwork nat, @Nullable HostEnd host) {
        this.definition = definition;
        this.network = network;
        this.nat = nat;
        this.host = host;
    }

    /**
     * Starts it.
     *
     * @param folder where a network that translates addresses keeps them
     * @throws NetworkException why it cannot be
     */
    static LiveSwitch open(SwitchDefinition definition, Path folder, Timers timers, RandomSource random) {
        return switch (definition.type()) {
            case PRIVATE ->
                new LiveSwitch(definition, new VirtualSwitch(definition.name(), timers, random), null, null);
            case NAT -> {
                NatNetwork nat = NatNetwork.open(folder, definition.translation(), timers, random);
                if (!nat.folder().equals(folder)) {
                    nat.close();
                    throw new NetworkException("the network of " + folder + " is in use by another process; end that");
                }
                yield definition.servesHost()
                        ? natWithHost(definition, folder, nat, random)
                        : new LiveSwitch(definition, nat.network(), nat, null);
            }
            case INTERNAL ->
                withHost(
                        definition,
                        HostEnd.internal(
                                folder, definition.hostInterface(), definition.mtu(), definition.addresses(), random),
                        timers,
                        random);
            case EXTERNAL ->
                withHost(
                        definition,
                        HostEnd.external(folder, definition.hostInterface(), definition.mtu(), random),
                        timers,
                        random);
        };
    }

    /** The host is at a port that has all VLANs: without tags it is in the network of the ports that know of none. */
    private static LiveSwitch withHost(SwitchDefinition definition, HostEnd host, Timers timers, RandomSource random) {
        VirtualSwitch network = new VirtualSwitch(definition.name(), timers, random);
        BitSet tagged = new BitSet();
        tagged.set(1, PortVlan.LARGEST + 1);
        host.start(network.addPort(
                PortSettings.uplink("host").withMtu(definition.mtu()).withVlan(PortVlan.trunk(0, tagged))));
        return new LiveSwitch(definition, network, null, host);
    }

    /** The host is one more station, with the address that is kept for it, and no way to elsewhere. */
    private static LiveSwitch natWithHost(
            SwitchDefinition definition, Path folder, NatNetwork nat, RandomSource random) {
        boolean done = false;
        try {
            Subnet subnet = nat.gateway().subnet();
            HostEnd host = HostEnd.internal(
                    folder,
                    definition.hostInterface(),
                    definition.mtu(),
                    List.of(
                            Subnet.text(subnet.host()) + "/" + subnet.prefixLength(),
                            Subnet.text(subnet.host6()) + "/64"),
                    random);
            nat.gateway().hostIsAt(host.tap().address());
            host.start(nat.network().addPort(PortSettings.named("host").withGuards(true, true)));
            done = true;
            LiveSwitch made = new LiveSwitch(definition, nat.network(), nat, host);
            made.names = HostNames.tell(definition.hostInterface(), Subnet.text(subnet.gateway()));
            return made;
        } finally {
            if (!done) {
                nat.close();
            }
        }
    }

    SwitchDefinition definition() {
        return definition;
    }

    VirtualSwitch network() {
        return network;
    }

    @Nullable
    NatNetwork nat() {
        return nat;
    }

    /** Why the switch has to be made again; empty when it works. */
    String broken() {
        HostEnd end = host;
        if (end != null && end.tap().gone()) {
            return "somebody has removed the host's interface";
        }
        NatNetwork gateway = nat;
        return gateway != null && gateway.nat().failed() ? "its NAT has ended" : "";
    }

    /** Whether the host resolves its machines' names, for people; empty if they have none. */
    String names() {
        if (nat == null) {
            return "";
        }
        return names == null ? HostNames.withoutInterface(definition.name()) : names.state();
    }

    @Nullable
    HostEnd host() {
        return host;
    }

    /**
     * Makes a port, without forwards.
     *
     * @throws NetworkException when there is no address or room for it
     */
    SwitchPort add(PortDefinition port) {
        NatNetwork gateway = nat;
        try {
            return gateway == null
                    ? network.addPort(port.settings(definition.mtu(), false))
                    : gateway.addMachine(
                            port.machine(), port.address(), List.of(), port.settings(definition.mtu(), true));
        } catch (IllegalStateException e) {
            throw new NetworkException(String.valueOf(e.getMessage()), e);
        }
    }

    void configure(SwitchPort live, PortDefinition port) {
        live.configure(port.settings(definition.mtu(), nat != null));
    }

    void remove(PortDefinition port, SwitchPort live, Collection<PortForward> forwards) {
        NatNetwork gateway = nat;
        forgetMirrors();
        if (gateway == null) {
            live.close();
        } else {
            gateway.removeMachine(port.machine(), live, forwards);
        }
    }

    /**
     * Lets a port of the host lead to a machine.
     *
     * @throws NetworkException why it cannot
     */
    void addForward(PortDefinition port, PortForward forward) {
        NatNetwork gateway = nat;
        if (gateway == null) {
            throw new NetworkException("ports of the host are forwarded by switches of type nat only, which "
                    + definition.name() + " is not");
        }
        gateway.addForward(port.machine(), forward);
    }

    void removeForward(PortForward forward) {
        NatNetwork gateway = nat;
        if (gateway != null) {
            gateway.removeForward(forward);
        }
    }

    private void forgetMirrors() {
        mirrors.forEach(VirtualSwitch.Mirror::close);
        mirrors = List.of();
        sources = List.of();
        destinations = List.of();
    }

    /** Shows each of the one to each of the others, and nothing else any more. */
    void mirror(List<SwitchPort> from, List<SwitchPort> to) {
        if (from.equals(sources) && to.equals(destinations)) {
            return;
        }
        forgetMirrors();
        sources = List.copyOf(from);
        destinations = List.copyOf(to);
        List<VirtualSwitch.Mirror> made = new ArrayList<>();
        for (SwitchPort source : sources) {
            for (SwitchPort destination : destinations) {
                made.add(network.mirror(source, destination));
            }
        }
        mirrors = made;
    }

    /**
     * Ends it for good: what it has made at the host is undone.
     *
     * @throws NetworkException what could not be undone; it has ended all the same
     */
    void remove() {
        HostEnd end = host;
        if (names != null) {
            names.forget();
        }
        close();
        if (end != null) {
            end.undo();
        }
    }

    /** Ends it; what it has made at the host is there for the next one. */
    @Override
    public void close() {
        forgetMirrors();
        if (host != null) {
            host.close();
        }
        if (nat == null) {
            network.close();
        } else {
            nat.close();
        }
    }
}
