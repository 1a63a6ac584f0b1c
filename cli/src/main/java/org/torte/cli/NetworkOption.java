package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.HostService;
import org.torte.network.host.PortForward;
import org.torte.worker.NetworkSource;

/** The value of {@code --network}: {@code PLUG[,mac=ADDRESS][,mtu=BYTES]}; for {@code nat} also its name and forwards. */
public final class NetworkOption {
    private static final String CABLE = "cable:", NAT = "nat";
    private static final Set<String> OPTIONS = Set.of("mac", "mtu", "name", "forward", "service");

    private NetworkOption() {}

    /**
     * A value in its parts.
     *
     * @param plug what is plugged into
     * @param options names and values, in the order given
     */
    public record Parts(String plug, List<Map.Entry<String, String>> options) {
        /** The values of an option that may be repeated. */
        public List<String> all(String name) {
            return options.stream()
                    .filter(option -> option.getKey().equals(name))
                    .map(Map.Entry::getValue)
                    .toList();
        }

        /** The value of an option, the last one if it is repeated. */
        public Optional<String> last(String name) {
            return all(name).stream().reduce((_, later) -> later);
        }
    }

    /** What follows the last commas are options if it looks like one of those known; file names may have commas, too. */
    public static Parts split(String text, Set<String> known) {
        String plug = text;
        List<Map.Entry<String, String>> options = new ArrayList<>();
        while (true) {
            int comma = plug.lastIndexOf(',');
            int equals = plug.indexOf('=', comma + 1);
            if (comma < 0 || equals < 0 || !known.contains(plug.substring(comma + 1, equals))) {
                return new Parts(plug, options);
            }
            options.addFirst(Map.entry(plug.substring(comma + 1, equals), plug.substring(equals + 1)));
            plug = plug.substring(0, comma);
        }
    }

    /** Reads the value of {@code torte run --network}. */
    static NetworkSource parse(String text) {
        Parts parts = split(text, OPTIONS);
        Optional<MacAddress> address = parts.last("mac").map(NetworkOption::address);
        int mtu = parts.last("mtu")
                .map(value -> Quantities.integer("mtu= of --network", value))
                .orElse(LinkState.DEFAULT_MTU);
        Optional<String> name = parts.last("name");
        List<PortForward> forwards =
                parts.all("forward").stream().map(NetworkOption::forward).toList();
        List<HostService> services =
                parts.all("service").stream().map(NetworkOption::service).toList();
        if (parts.plug().equals(NAT)) {
            return new NetworkSource(
                    new NetworkSource.Nat(folder(), name.orElse("guest"), forwards, services), address, mtu);
        }
        if (name.isPresent() || !forwards.isEmpty() || !services.isEmpty()) {
            throw new UsageException("name=, forward= and service= are for --network nat, not \"" + text + "\"");
        }
        return new NetworkSource(plug(parts.plug()), address, mtu);
    }

    /** Where the network of those who name none keeps its addresses, by the XDG base directory specification. */
    private static Path folder() {
        String state = System.getenv("XDG_STATE_HOME");
        Path base = state != null && state.startsWith("/")
                ? Path.of(state)
                : Path.of(System.getProperty("user.home"), ".local", "state");
        return base.resolve("torte").resolve("networks").resolve("default");
    }

    private static PortForward forward(String text) {
        try {
            return PortForward.parse(text);
        } catch (NetworkException e) {
            throw new UsageException(String.valueOf(e.getMessage()), e);
        }
    }

    private static HostService service(String text) {
        try {
            return HostService.parse(text);
        } catch (NetworkException e) {
            throw new UsageException(String.valueOf(e.getMessage()), e);
        }
    }

    private static NetworkSource.Plug plug(String text) {
        if (text.equals("loopback")) {
            return new NetworkSource.Loopback();
        }
        if (text.startsWith(CABLE) && text.length() > CABLE.length()) {
            try {
                return new NetworkSource.Cable(Path.of(text.substring(CABLE.length())));
            } catch (InvalidPathException e) {
                throw new UsageException("--network takes the path of a file after cable:, not \"" + text + "\"", e);
            }
        }
        throw new UsageException(
                "--network takes nat, cable:PATH or loopback, perhaps with ,mac= and ,mtu= after it, not \"" + text
                        + "\"");
    }

    private static MacAddress address(String text) {
        try {
            return MacAddress.parse(text);
        } catch (IllegalArgumentException e) {
            throw new UsageException(
                    "mac= of --network takes an address like 02:00:00:00:00:01, not \"" + text + "\"", e);
        }
    }
}
