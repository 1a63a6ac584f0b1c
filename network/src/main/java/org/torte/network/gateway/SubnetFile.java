package org.torte.network.gateway;

import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.util.List;
import java.util.Optional;
import org.torte.base.RandomSource;
import org.torte.base.net.MacAddress;

/** Chooses a network's addresses once, and keeps them. */
final class SubnetFile {
    private static final String FILE = "subnet";
    private static final String FIRST_LINE = "torte subnet 1";
    private static final int TRIES = 256;

    private SubnetFile() {}

    /**
     * The network's addresses: those of the first time, or new ones that no interface of the host uses now.
     *
     * @throws IOException when they cannot be read or written
     */
    static Subnet load(StateFolder folder, RandomSource random) throws IOException {
        Optional<List<String>> lines = folder.read(FILE, FIRST_LINE);
        if (lines.isPresent()) {
            return parse(folder, lines.get());
        }
        Subnet chosen = choose(random);
        folder.write(
                FILE,
                FIRST_LINE,
                List.of(
                        Subnet.text(chosen.network()) + "/" + chosen.prefixLength(),
                        Long.toHexString(chosen.prefix6()),
                        chosen.gatewayMac().toString()));
        return chosen;
    }

    private static Subnet parse(StateFolder folder, List<String> lines) throws IOException {
        try {
            String[] network = lines.get(0).split("/", -1);
            return new Subnet(
                    Subnet.number((Inet4Address) InetAddress.ofLiteral(network[0])),
                    Integer.parseInt(network[1]),
                    Long.parseUnsignedLong(lines.get(1), 16),
                    MacAddress.parse(lines.get(2)));
        } catch (IllegalArgumentException | IndexOutOfBoundsException | ClassCastException e) {
            throw new IOException(folder.file(FILE) + " is damaged; move it away for new addresses", e);
        }
    }

    private static Subnet choose(RandomSource random) throws IOException {
        List<InterfaceAddress> taken = NetworkInterface.networkInterfaces()
                .flatMap(face -> face.getInterfaceAddresses().stream())
                .filter(address -> address.getAddress() instanceof Inet4Address)
                .toList();
        Subnet subnet = Subnet.random(random);
        for (int i = 0; i < TRIES && overlaps(subnet, taken); i++) {
            subnet = Subnet.random(random);
        }
        return subnet;
    }

    private static boolean overlaps(Subnet subnet, List<InterfaceAddress> taken) {
        return taken.stream()
                .anyMatch(address -> subnet.overlaps(
                        Subnet.number((Inet4Address) address.getAddress()), address.getNetworkPrefixLength()));
    }
}
