package org.torte.network.host;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.torte.network.NetworkException;

/** The forwards of a network that {@link Relay}s carry. Safe for several threads. */
final class Relays implements AutoCloseable {
    private record Made(Relay relay, RelayTarget target) {
        void end() {
            relay.close();
            target.gone().run();
        }
    }

    private final Map<PortForward, Made> all = new HashMap<>();

    /**
     * Listens for a forward.
     *
     * @param target makes where it leads
     * @throws NetworkException when the host's port is taken or not allowed; then nothing has changed
     */
    synchronized void add(PortForward forward, Supplier<RelayTarget> target) {
        if (all.containsKey(forward)) {
            throw new NetworkException(forward.where() + " is in use: forward another one");
        }
        RelayTarget made = target.get();
        try {
            InetSocketAddress at = new InetSocketAddress(forward.hostAddress(), forward.hostPort());
            all.put(forward, new Made(Relay.open(at, made.address()), made));
        } catch (IOException e) {
            made.gone().run();
            throw new NetworkException(forward.where() + reason(String.valueOf(e.getMessage())), e);
        }
    }

    private static String reason(String message) {
        if (message.contains("in use")) {
            return " is in use: forward another one";
        }
        if (message.contains("ermission")) {
            return " needs root: forward one above 1023";
        }
        return " cannot be forwarded: " + message + "; the host has to have that address";
    }

    /** Stops listening; connections that exist go on. */
    synchronized void remove(PortForward forward) {
        Made made = all.remove(forward);
        if (made != null) {
            made.end();
        }
    }

    @Override
    public synchronized void close() {
        List.copyOf(all.values()).forEach(Made::end);
        all.clear();
    }
}
