package org.torte.worker;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.network.NatNetwork;
import org.torte.network.NetworkException;
import org.torte.network.host.PortForward;

/** A machine's place in a NAT network that runs for it alone, and how saved state names it. */
final class NatPlug implements AutoCloseable {
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

    /** What {@link #parse} reads: the name, the forwards, and the folder that the network really has. */
    String text() {
        String forwards = source.forwards().stream().map(PortForward::toString).collect(Collectors.joining(" "));
        return source.name() + "\n" + forwards + "\n" + network.folder().toAbsolutePath();
    }

    /**
     * Reads what saved state says of a network.
     *
     * @throws InputException when it is wrong
     */
    static NetworkSource.Nat parse(String text) {
        String[] lines = text.split("\n", 3);
        if (lines.length < 3) {
            throw new InputException("the saved machine has a NAT network without a folder: it is damaged");
        }
        try {
            List<PortForward> forwards = Arrays.stream(lines[1].split(" ", 0))
                    .filter(forward -> !forward.isEmpty())
                    .map(PortForward::parse)
                    .toList();
            return new NetworkSource.Nat(Path.of(lines[2]), lines[0], forwards);
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
