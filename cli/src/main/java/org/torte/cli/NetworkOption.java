package org.torte.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.worker.NetworkSource;

/** The value of {@code --network}: {@code PLUG[,mac=ADDRESS][,mtu=BYTES]}. */
final class NetworkOption {
    private static final String CABLE = "cable:", MAC = "mac=", MTU = "mtu=";

    private NetworkOption() {}

    /** What follows the last commas are options if it looks like one; file names may have commas, too. */
    static NetworkSource parse(String text) {
        String plug = text;
        Optional<MacAddress> address = Optional.empty();
        int mtu = LinkState.DEFAULT_MTU;
        while (true) {
            int comma = plug.lastIndexOf(',');
            String option = comma < 0 ? "" : plug.substring(comma + 1);
            if (option.startsWith(MAC)) {
                address = Optional.of(address(option.substring(MAC.length())));
            } else if (option.startsWith(MTU)) {
                mtu = Quantities.integer("mtu= of --network", option.substring(MTU.length()));
            } else {
                break;
            }
            plug = plug.substring(0, comma);
        }
        return new NetworkSource(plug(plug), address, mtu);
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
                "--network takes cable:PATH or loopback, perhaps with ,mac= and ,mtu= after it, not \"" + text + "\"");
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
