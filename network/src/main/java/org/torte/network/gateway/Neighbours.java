package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.Map;
import org.torte.base.net.MacAddress;

/**
 * Which station has which address, as seen in what stations send. Bounded: the address that was not seen for the longest
 * time is forgotten. Looking up an address that is known allocates nothing. Safe for several threads.
 *
 * <p>IPv4 has a slot for each address of the network, so that nobody can push out others. IPv6 addresses are bounded for
 * each station: hosts make up new ones all the time.
 */
final class Neighbours {
    private static final int MAX_STATIONS = 8192;
    private static final int MAX_ADDRESSES = 32;

    private final Subnet subnet;
    private final long[] ipv4;
    /** Whose an IPv4 address is, by its lease: nobody else may use it. */
    private final long[] leased;

    private final Map<Address, Long> ipv6 = new java.util.HashMap<>();
    private final LinkedHashMap<Long, LinkedHashMap<Address, Boolean>> stations = new LinkedHashMap<>(16, 0.75f, true);

    record Address(long high, long low) {
        static Address of(byte[] bytes) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return new Address(buffer.getLong(), buffer.getLong());
        }
    }

    Neighbours(Subnet subnet) {
        this.subnet = subnet;
        ipv4 = new long[subnet.broadcast() - subnet.network() + 1];
        leased = new long[ipv4.length];
    }

    /** An address of the network is a station's from now on; 0 for nobody's. */
    void lease(int address, long station) {
        leased[address - subnet.network()] = station;
    }

    /** A station has used an IPv4 address; false when it must not, because it is somebody else's. */
    boolean seen(int address, long station) {
        if (!subnet.contains(address)) {
            return true;
        }
        int index = address - subnet.network();
        long owner = leased[index];
        if (address == subnet.gateway() || address == subnet.host() && owner == 0 || owner != 0 && owner != station) {
            return false;
        }
        ipv4[index] = station;
        return true;
    }

    /** The station that has an IPv4 address, or 0. */
    long station(int address) {
        if (!subnet.contains(address)) {
            return 0;
        }
        int index = address - subnet.network();
        return leased[index] != 0 ? leased[index] : ipv4[index];
    }

    /** A station has used an IPv6 address. */
    synchronized void seen(long high, long low, long station) {
        Address address = new Address(high, low);
        Long owner = ipv6.get(address);
        if (owner != null && owner == station) {
            return;
        }
        if (owner != null) {
            forget(owner, address);
        }
        LinkedHashMap<Address, Boolean> its = stations.get(station);
        if (its == null) {
            its = new LinkedHashMap<>();
            stations.put(station, its);
            if (stations.size() > MAX_STATIONS) {
                Map.Entry<Long, LinkedHashMap<Address, Boolean>> oldest = stations.firstEntry();
                stations.remove(oldest.getKey());
                oldest.getValue().keySet().forEach(ipv6::remove);
            }
        }
        if (its.size() == MAX_ADDRESSES) {
            Address oldest = its.firstEntry().getKey();
            its.remove(oldest);
            ipv6.remove(oldest);
        }
        its.put(address, true);
        ipv6.put(address, station);
    }

    private void forget(long station, Address address) {
        LinkedHashMap<Address, Boolean> its = stations.get(station);
        if (its != null) {
            its.remove(address);
        }
    }

    /** The station that has an IPv6 address, or 0. */
    synchronized long station(long high, long low) {
        return ipv6.getOrDefault(new Address(high, low), 0L);
    }

    /** The addresses that a station has used: what can be shown of a guest that has no lease. */
    synchronized java.util.List<java.net.InetAddress> addresses(MacAddress station) {
        java.util.List<java.net.InetAddress> all = new java.util.ArrayList<>();
        for (int i = 0; i < ipv4.length; i++) {
            if (ipv4[i] == station.value()) {
                all.add(Subnet.address(subnet.network() + i));
            }
        }
        LinkedHashMap<Address, Boolean> its = stations.get(station.value());
        if (its != null) {
            for (Address address : its.keySet()) {
                all.add(Subnet.address6(ByteBuffer.allocate(16)
                        .putLong(address.high)
                        .putLong(address.low)
                        .array()));
            }
        }
        return all;
    }
}
