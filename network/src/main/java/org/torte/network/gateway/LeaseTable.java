package org.torte.network.gateway;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.base.Clock;
import org.torte.base.net.MacAddress;
import org.torte.network.NetworkException;

/**
 * Who has which IPv4 address of a network. A station keeps its address as long as nobody else needs it, over restarts too.
 *
 * <p>Machines, which the switch knows, and other stations, such as those behind a bridge in a machine, get theirs from
 * halves of their own, so that no machine can take the others' addresses away by inventing stations. Safe for several
 * threads.
 */
final class LeaseTable {
    private static final String FILE = "leases";
    private static final String FIRST_LINE = "torte leases 1";
    private static final int RESERVED = 16;

    private final Subnet subnet;
    private final StateFolder folder;
    private final Clock clock;
    private final Owners owners;
    private final Map<MacAddress, Lease> byStation = new HashMap<>();
    private final Map<Integer, Lease> byAddress = new HashMap<>();
    private final Map<String, MacAddress> machines = new HashMap<>();
    /** Addresses that somebody else was found to use, and until when they are left alone. */
    private final Map<Integer, Long> declined = new HashMap<>();

    /** Learns whose an address is. */
    interface Owners {
        /** An address is a station's from now on; 0 for nobody's. */
        void lease(int address, long station);
    }

    /**
     * Reads the leases of earlier runs.
     *
     * @throws IOException when there are some that cannot be read
     */
    LeaseTable(Subnet subnet, StateFolder folder, Clock clock, Owners owners) throws IOException {
        this.subnet = subnet;
        this.folder = folder;
        this.clock = clock;
        this.owners = owners;
        for (String line : folder.read(FILE, FIRST_LINE).orElse(List.of())) {
            Lease lease = parse(line);
            if (subnet.contains(lease.address())) {
                put(lease);
            }
        }
    }

    private Lease parse(String line) throws IOException {
        String[] parts = line.split(" ", -1);
        try {
            return new Lease(
                    MacAddress.parse(parts[0]),
                    Subnet.number((Inet4Address) InetAddress.ofLiteral(parts[1])),
                    Long.parseLong(parts[2]),
                    parts.length > 3 ? parts[3] : null);
        } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException | ClassCastException e) {
            throw new IOException(
                    folder.file(FILE) + ": not a lease: '" + line + "'; move the file away to start afresh", e);
        }
    }

    private void put(Lease lease) {
        Lease old = byStation.put(lease.station(), lease);
        if (old != null && old.address() != lease.address()) {
            byAddress.remove(old.address());
            owners.lease(old.address(), 0);
        }
        owners.lease(lease.address(), lease.station().value());
        Lease other = byAddress.put(lease.address(), lease);
        if (other != null && !other.station().equals(lease.station())) {
            byStation.remove(other.station());
        }
    }

    private long now() {
        return clock.wallTime().getEpochSecond();
    }

    /**
     * Says that a machine has this name, which nobody else gets, and reserves an address for it.
     *
     * @return nothing when there is none left
     * @throws NetworkException when another machine has the name
     */
    synchronized Optional<Lease> machine(String name, MacAddress station) {
        MacAddress other = machines.putIfAbsent(name, station);
        if (other != null && !other.equals(station)) {
            throw new NetworkException(
                    "another machine of the network is called " + name + ", with the address " + other);
        }
        Optional<Lease> lease = offer(station);
        if (lease.isPresent() && !byStation.containsKey(station)) {
            put(lease.get());
            save();
        }
        return lease;
    }

    /** Says that the machine is gone; its lease stays. */
    synchronized void machineGone(String name) {
        machines.remove(name);
    }

    /** The address that a station has or would get; nothing when there is none left. Promises nothing. */
    synchronized Optional<Lease> offer(MacAddress station) {
        Lease lease = byStation.get(station);
        return lease != null ? Optional.of(lease) : free(station);
    }

    private Optional<Lease> free(MacAddress station) {
        long now = now();
        int hosts = subnet.broadcast() - subnet.network() - 1;
        int half = (hosts - RESERVED) / 2;
        int first = subnet.network() + 1 + RESERVED + (machines.containsValue(station) ? 0 : half);
        int start = Math.floorMod(Long.hashCode(station.value() * 0x9e37_79b9_7f4a_7c15L), half);
        Lease oldest = null;
        for (int i = 0; i < half; i++) {
            int address = first + (start + i) % half;
            if (declined.getOrDefault(address, 0L) > now) {
                continue;
            }
            Lease taken = byAddress.get(address);
            if (taken == null) {
                return Optional.of(new Lease(station, address, 0, null));
            }
            if (taken.expires() <= now && (oldest == null || taken.expires() < oldest.expires())) {
                oldest = taken;
            }
        }
        return oldest == null ? Optional.empty() : Optional.of(new Lease(station, oldest.address(), 0, null));
    }

    /**
     * Gives a station the address that {@link #offer} told; it is on disk on return.
     *
     * @param seconds for how long
     * @param claimed what the station calls itself
     * @return nothing when the station may not have that address
     */
    synchronized Optional<Lease> grant(MacAddress station, int address, int seconds, @Nullable String claimed) {
        Optional<Lease> offered = offer(station);
        if (offered.isEmpty() || offered.get().address() != address) {
            return Optional.empty();
        }
        long now = now();
        Lease before = offered.get();
        Lease lease = before.until(now + seconds, nameFor(station, claimed));
        put(lease);
        // A renewal soon after the last one says nothing new that would be worth a write to the disk.
        boolean news = before.expires() - now < seconds * 3L / 4 || !lease.equals(before.until(lease.expires(), null));
        if (news) {
            save();
        }
        return Optional.of(lease);
    }

    private @Nullable String nameFor(MacAddress station, @Nullable String claimed) {
        if (claimed == null || !isLabel(claimed)) {
            return null;
        }
        MacAddress machine = machines.get(claimed);
        boolean free = machine == null
                ? byStation.values().stream()
                        .noneMatch(other ->
                                claimed.equals(other.name()) && !other.station().equals(station))
                : machine.equals(station);
        return free ? claimed : null;
    }

    /** Ends a lease now; the station still gets the same address again. */
    synchronized void release(MacAddress station, int address) {
        Lease lease = byStation.get(station);
        if (lease != null && lease.address() == address && lease.expires() > now()) {
            put(new Lease(station, address, now(), lease.name()));
            save();
        }
    }

    /** Takes back an address that its station has found in use, and leaves it alone for ten minutes. */
    synchronized void decline(MacAddress station, int address) {
        Lease lease = byStation.get(station);
        if (lease != null && lease.address() == address) {
            byStation.remove(station);
            byAddress.remove(address);
            owners.lease(address, 0);
            declined.values().removeIf(until -> until <= now());
            declined.put(address, now() + 600);
            save();
        }
    }

    /** The address of a machine or station by its name, the machine's first. */
    synchronized Optional<Lease> named(String name) {
        MacAddress machine = machines.get(name);
        if (machine != null) {
            return Optional.ofNullable(byStation.get(machine));
        }
        return byStation.values().stream()
                .filter(lease -> name.equals(lease.name()))
                .findFirst();
    }

    /** Whether a machine has this name, with or without an address. */
    synchronized boolean isMachine(String name) {
        return machines.containsKey(name);
    }

    /** The name of whoever has an address. */
    synchronized Optional<String> nameOf(int address) {
        Lease lease = byAddress.get(address);
        if (lease == null) {
            return Optional.empty();
        }
        for (Map.Entry<String, MacAddress> machine : machines.entrySet()) {
            if (machine.getValue().equals(lease.station())) {
                return Optional.of(machine.getKey());
            }
        }
        return Optional.ofNullable(lease.name());
    }

    /** The addresses of machines, also those that they have not asked for yet. */
    synchronized List<Lease> machines() {
        return machines.values().stream()
                .map(byStation::get)
                .filter(Objects::nonNull)
                .toList();
    }

    synchronized List<Lease> all() {
        return List.copyOf(byStation.values());
    }

    private void save() {
        List<String> lines = new ArrayList<>();
        byAddress.values().stream()
                .sorted((a, b) -> Integer.compareUnsigned(a.address(), b.address()))
                .forEach(lease -> lines.add(lease.line()));
        try {
            folder.write(FILE, FIRST_LINE, lines);
        } catch (IOException e) {
            throw new UncheckedIOException("the leases cannot be written", e);
        }
    }

    /** Whether it can be a name: letters, digits and hyphens in lower case (RFC 1123, section 2.1), 63 at most. */
    static boolean isLabel(String text) {
        return text.matches("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
    }
}
