package org.torte.worker;

import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.gateway.Subnet;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;

/** A machine's place in a NAT network that runs for it alone, and how saved state names it. */
final class NatPlug implements AutoCloseable {
    private static final String SERVICE = "service=";

    private final NetworkSource.Nat source;
    private final TimerThread timers;
    private final NatNetwork network;
    private final NetworkPort port;

    private NatPlug(NetworkSource.Nat source, TimerThread timers, NatNetwork network, NetworkPort port) {
        this.source = source;
        this.timers = timers;
        this.network = network;
        this.port = port;
    }

    /**
     * Starts the network.
     *
     * @param sameFolder whether no folder beside it will do when it is in use, as for a guest that has its addresses
     * @throws InputException when it cannot be; nothing is open then
     */
    static NatPlug open(NetworkSource.Nat source, MacAddress address, boolean sameFolder) {
        TimerThread timers = new TimerThread(Clock.system(), "torte-network-timers");
        NatNetwork network = null;
        boolean done = false;
        try {
            timers.resume();
            network = NatNetwork.open(source.folder(), false, timers, RandomSource.secure());
            if (sameFolder && !network.folder().equals(source.folder())) {
                throw new InputException("the saved machine's network in " + source.folder()
                        + " is in use; end the machine that uses it first");
            }
            source.services().forEach(network::offer);
            NatPlug plug =
                    new NatPlug(source, timers, network, network.addMachine(source.name(), address, source.forwards()));
            done = true;
            return plug;
        } catch (NetworkException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        } catch (UncheckedIOException e) {
            throw new InputException(e.getMessage() + ": " + e.getCause());
        } finally {
            if (!done) {
                if (network != null) {
                    network.close();
                }
                timers.close();
            }
        }
    }

    NetworkPort port() {
        return port;
    }

    /** The addresses that the guest has, those of its lease first. */
    List<NetworkState.Known> addresses(MacAddress station) {
        long now = Instant.now().getEpochSecond();
        List<String> leased = network.gateway().leases().stream()
                .filter(lease -> lease.station().equals(station) && lease.expires() > now)
                .map(lease -> Subnet.text(lease.address()))
                .toList();
        Stream<String> seen = network.gateway().seen(station).stream()
                .map(InetAddress::getHostAddress)
                .filter(text -> !leased.contains(text));
        return Stream.concat(
                        leased.stream().map(text -> new NetworkState.Known(text, NetworkState.Source.DHCP)),
                        seen.map(text -> new NetworkState.Known(text, NetworkState.Source.NEIGHBOUR)))
                .toList();
    }

    /** What {@link #parse} reads: the name, the forwards and services, and the folder that the network really has. */
    String text() {
        String forwards = Stream.concat(
                        source.forwards().stream().map(PortForward::toString),
                        source.services().stream()
                                .map(service ->
                                        SERVICE + URLEncoder.encode(service.toString(), StandardCharsets.UTF_8)))
                .collect(Collectors.joining(" "));
        return source.name() + "\n" + forwards + "\n" + network.folder().toAbsolutePath();
    }

    /**
     * Reads what saved state says of a network.
     *
     * @throws InputException when it is wrong
     */
    static NetworkSource.Nat parse(String saved) {
        String[] lines = saved.split("\n", 3);
        if (lines.length < 3) {
            throw new InputException("the saved machine has a NAT network without a folder: it is damaged");
        }
        try {
            List<PortForward> forwards = new ArrayList<>();
            List<HostService> services = new ArrayList<>();
            for (String word : lines[1].split(" ", 0)) {
                if (word.startsWith(SERVICE)) {
                    String text = URLDecoder.decode(word.substring(SERVICE.length()), StandardCharsets.UTF_8);
                    services.add(HostService.parse(text));
                } else if (!word.isEmpty()) {
                    forwards.add(PortForward.parse(word));
                }
            }
            return new NetworkSource.Nat(Path.of(lines[2]), lines[0], forwards, services);
        } catch (NetworkException | IllegalArgumentException e) {
            throw new InputException("the saved machine has a wrong NAT network: " + e.getMessage());
        }
    }

    /** Ends the network; the machine's link is down. */
    @Override
    public void close() {
        network.close();
        timers.close();
    }
}
