package org.torte.worker.guest;

import java.util.List;
import java.util.Optional;
import org.torte.worker.InputException;

/**
 * What a new system is told before its first start. Every value is checked for what it may hold, so that it can be written
 * into files and scripts as it is.
 *
 * @param hostName its name
 * @param user a user who may become root with sudo
 * @param password the user's password; without one the user logs in on the console without being asked, and over the
 *     network by key only
 * @param keys public keys with which the user may log in over the network
 * @param address the address of its network with the length of the prefix, or nothing for DHCP
 * @param gateway the way out of that network, if there is one
 * @param nameServers the name servers, for a fixed address
 */
public record GuestSettings(
        String hostName,
        String user,
        Optional<String> password,
        List<String> keys,
        Optional<String> address,
        Optional<String> gateway,
        List<String> nameServers) {
    private static final String ADDRESS = "[0-9a-fA-F.:]{2,45}";

    /**
     * Checks all of it.
     *
     * @throws InputException when something is not what it should be
     */
    public GuestSettings {
        keys = List.copyOf(keys);
        nameServers = List.copyOf(nameServers);
        require(hostName.matches("[a-z0-9]([a-z0-9-]{0,62})(\\.[a-z0-9-]{1,63})*"), "--hostname", hostName, "web1");
        require(user.matches("[a-z_][a-z0-9_-]{0,31}") && !user.equals("root"), "--user", user, "admin");
        if (password.isPresent() && !password.get().matches("[ -~]{1,200}")) {
            throw new InputException("the password has characters that a console cannot type; give printable ASCII");
        }
        for (String key : keys) {
            require(
                    key.matches("(ssh|ecdsa|sk)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [ -~]*)?"),
                    "--ssh-key",
                    key,
                    "ssh-ed25519 AAAA...");
        }
        address.ifPresent(text -> require(text.matches(ADDRESS + "/[0-9]{1,3}"), "--address", text, "192.168.1.5/24"));
        gateway.ifPresent(text -> require(text.matches(ADDRESS), "--gateway", text, "192.168.1.1"));
        for (String server : nameServers) {
            require(server.matches(ADDRESS), "--dns", server, "192.168.1.1");
        }
        if (address.isEmpty() && (gateway.isPresent() || !nameServers.isEmpty())) {
            throw new InputException("--gateway and --dns go with a fixed --address; DHCP tells them by itself");
        }
    }

    private static void require(boolean good, String option, String value, String example) {
        if (!good) {
            throw new InputException(option + " takes something like " + example + ", not \"" + value + "\"");
        }
    }

    /** The configuration of systemd-networkd for all Ethernet interfaces. */
    public String network() {
        StringBuilder text = new StringBuilder("[Match]\nType=ether\n\n[Network]\n");
        address.ifPresentOrElse(
                fixed -> text.append("Address=").append(fixed).append('\n'), () -> text.append("DHCP=yes\n"));
        gateway.ifPresent(way -> text.append("Gateway=").append(way).append('\n'));
        for (String server : nameServers) {
            text.append("DNS=").append(server).append('\n');
        }
        return text.toString();
    }
}
