package org.torte.network.gateway;

import org.jspecify.annotations.Nullable;
import org.torte.base.net.MacAddress;

/**
 * An address that a station has, or had: it gets the same one again.
 *
 * @param station whose it is
 * @param address the IPv4 address
 * @param expires when it ends, in seconds since 1970; in the past when it has ended
 * @param name what the station calls itself, a label in lower case, if it said so and nobody else is called that
 */
public record Lease(
        MacAddress station,
        int address,
        long expires,
        @Nullable String name) {
    Lease until(long newExpiry, @Nullable String newName) {
        return new Lease(station, address, newExpiry, newName == null ? name : newName);
    }

    String line() {
        return station + " " + Subnet.text(address) + " " + expires + (name == null ? "" : " " + name);
    }
}
