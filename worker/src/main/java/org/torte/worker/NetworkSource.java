package org.torte.worker;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.network.process.SwitchStarter;

/**
 * What an adapter of a machine is plugged into.
 *
 * @param plug the network
 * @param address the adapter's address; without one it follows from the machine's identity
 * @param mtu the most bytes of a frame after its Ethernet header, 576 to 65535
 */
public record NetworkSource(Plug plug, Optional<MacAddress> address, int mtu) {
    /** What there is to plug into. */
    public sealed interface Plug {}

    /** One end of a cable to another machine on this host, which gives the same path. */
    public record Cable(Path path) implements Plug {}

    /** Nothing: the guest sees an adapter whose cable is not plugged in. */
    public record Unplugged() implements Plug {}

    /**
     * A port of a switch in the switch process, which looks after what is there.
     *
     * @param process where that process is, and what starts it when it is missing
     * @param port the id of the port
     */
    public record Switch(SwitchStarter process, String port) implements Plug {}

    /** Gives back every frame; for tests. */
    public record Loopback() implements Plug {}

    /**
     * A network of its own that translates addresses, so that the machine reaches what the host reaches.
     *
     * @param folder where the network's addresses and leases are kept
     * @param name what the machine is called in the network's domain
     * @param forwards ports of the host that lead to it
     * @param services what the host offers to it
     */
    public record Nat(Path folder, String name, List<PortForward> forwards, List<HostService> services)
            implements Plug {
        private static final String LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

        /** Checks the name and copies the lists. */
        public Nat {
            forwards = List.copyOf(forwards);
            services = List.copyOf(services);
            if (!name.matches(LABEL)) {
                throw new InputException(
                        "a machine's name in a network is of letters in lower case, digits and hyphens, 63 at most, not \""
                                + name + "\"; give another name=");
            }
        }
    }

    /** Checks the ranges. */
    public NetworkSource {
        if (plug instanceof Nat && mtu != LinkState.DEFAULT_MTU) {
            throw new InputException("the MTU of a NAT network is " + LinkState.DEFAULT_MTU + " bytes; leave mtu= out");
        }
        if (mtu < LinkState.MIN_MTU || mtu > LinkState.MAX_MTU) {
            throw new InputException("the MTU of a network is " + LinkState.MIN_MTU + " to " + LinkState.MAX_MTU
                    + " bytes, not " + mtu + "; give another mtu=");
        }
        if (address.isPresent() && (address.get().isGroup() || address.get().value() == 0)) {
            throw new InputException("the address " + address.get()
                    + " is not one of a single station; give one whose first byte is even, such as 02:00:00:00:00:01");
        }
    }

    /** This adapter, plugged into what another one is. */
    NetworkSource movedTo(NetworkSource other) {
        return new NetworkSource(other.plug, address, other.mtu);
    }

    /** A plug for frames of the usual size, with an address that follows from the machine's identity. */
    public static NetworkSource of(Plug plug) {
        return new NetworkSource(plug, Optional.empty(), LinkState.DEFAULT_MTU);
    }
}
