package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;
import org.torte.network.host.PortForward;
import org.torte.worker.NetworkSource;

/** The value of {@code --network}: {@code PLUG[,mac=ADDRESS][,mtu=BYTES]}; for {@code nat} also its name and forwards. */
final class NetworkOption {
    private static final String CABLE = "cable:", NAT = "nat", MAC = "mac=", MTU = "mtu=";
    private static final String NAME = "name=", FORWARD = "forward=";

    private NetworkOption() {}

    /** What follows the last commas are options if it looks like one; file names may have commas, too. */
    static NetworkSource parse(String text) {
        String plug = text;
        Optional<MacAddress> address = Optional.empty();
        int mtu = LinkState.DEFAULT_MTU;
        Optional<String> name = Optional.empty();
        List<PortForward> forwards = new ArrayList<>();
        while (true) {
            int comma = plug.lastIndexOf(',');
            String option = comma < 0 ? "" : plug.substring(comma + 1);
            if (option.startsWith(MAC)) {
                address = Optional.of(address(option.substring(MAC.length())));
            } else if (option.startsWith(MTU)) {
                mtu = Quantities.integer("mtu= of --network", option.substring(MTU.length()));
            } else if (option.startsWith(NAME)) {
                name = Optional.of(option.substring(NAME.length()));
            } else if (option.startsWith(FORWARD)) {
                forwards.addFirst(forward(option.substring(FORWARD.length())));
            } else {
                break;
            }
            plug = plug.substring(0, comma);
        }
        if (plug.equals(NAT)) {
            return new NetworkSource(new NetworkSource.Nat(folder(), name.orElse("guest"), forwards), address, mtu);
        }
        if (name.isPresent() || !forwards.isEmpty()) {
            throw new UsageException("name= and forward= are for --network nat, not \"" + text + "\"");
        }
        return new NetworkSource(plug(plug), address, mtu);
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
