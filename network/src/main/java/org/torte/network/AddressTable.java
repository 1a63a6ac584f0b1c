package org.torte.network;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * Where stations are: the addresses of adapters, which are known, and others, which are learned from what they send, are
 * forgotten after a while, and are bounded, each port's apart, so that nobody can push out others. Looking up takes no
 * lock and allocates nothing; a new address allocates one entry.
 */
final class AddressTable {
    /** How long an address is remembered after it was last seen, in nanoseconds (IEEE 802.1Q-2018, table 8-6). */
    static final long AGEING = 300_000_000_000L;

    private static final long REFRESH = 1_000_000_000L;
    private static final int WAYS = 8;
    private static final int SETS = 4096;
    private static final long VLAN_SHIFT = 48;

    /** A learned address. */
    static final class Entry {
        private final long key;
        private final SwitchPort port;
        private volatile long seen;

        private Entry(long key, SwitchPort port, long seen) {
            this.key = key;
            this.port = port;
            this.seen = seen;
        }

        long address() {
            return key & (1L << VLAN_SHIFT) - 1;
        }

        int vlan() {
            return (int) (key >>> VLAN_SHIFT);
        }

        SwitchPort port() {
            return port;
        }
    }

    /** The adapters' own addresses: a hash table that is replaced when one changes. */
    private static final class Known {
        private final long[] addresses;
        private final SwitchPort[] ports;

        private Known(long[] addresses, SwitchPort[] ports) {
            this.addresses = addresses;
            this.ports = ports;
        }
    }

    private final AtomicReferenceArray<@Nullable Entry> entries = new AtomicReferenceArray<>(SETS * WAYS);
    private final long seed;
    private volatile Known known = new Known(new long[] {-1}, new SwitchPort[1]);

    /**
     * An empty table.
     *
     * @param seed random, so that nobody can choose addresses that share a set
     */
    AddressTable(long seed) {
        this.seed = seed | 1;
    }

    /** Tells the adapters' addresses: of each of the ports that have one. */
    void know(SwitchPort[] ports) {
        int size = Integer.highestOneBit(Math.max(ports.length, 1)) * 4;
        long[] addresses = new long[size];
        SwitchPort[] owners = new SwitchPort[size];
        Arrays.fill(addresses, -1);
        for (SwitchPort port : ports) {
            long address = port.ownAddress();
            if (address >= 0) {
                int at = hash(address) & size - 1;
                while (addresses[at] >= 0) {
                    at = at + 1 & size - 1;
                }
                addresses[at] = address;
                owners[at] = port;
            }
        }
        known = new Known(addresses, owners);
    }

    /** The port whose adapter has this address, in this VLAN if there are several; null if there is none in it. */
    @Nullable
    SwitchPort known(long address, int vlan) {
        Known now = known;
        int mask = now.addresses.length - 1;
        for (int at = hash(address) & mask; now.addresses[at] >= 0; at = at + 1 & mask) {
            if (now.addresses[at] == address && now.ports[at].contains(vlan)) {
                return now.ports[at];
            }
        }
        return null;
    }

    /** Where a station was seen not too long ago, or null. */
    @Nullable
    SwitchPort learned(long address, int vlan, long now) {
        Entry entry = find(address | (long) vlan << VLAN_SHIFT);
        return entry != null && now - entry.seen < AGEING ? entry.port : null;
    }

    private @Nullable Entry find(long key) {
        int set = (hash(key) & SETS - 1) * WAYS;
        for (int i = set; i < set + WAYS; i++) {
            Entry entry = entries.getAcquire(i);
            if (entry != null && entry.key == key) {
                return entry;
            }
        }
        return null;
    }

    /** Notes that a station is at a port; false when the port has too many. */
    boolean learn(long address, int vlan, SwitchPort port, int limit, long now) {
        long key = address | (long) vlan << VLAN_SHIFT;
        Entry entry = find(key);
        if (entry != null && entry.port == port) {
            if (now - entry.seen > REFRESH) {
                entry.seen = now;
            }
            return true;
        }
        return add(key, port, limit, now);
    }

    private synchronized boolean add(long key, SwitchPort port, int limit, long now) {
        if (port.learned >= limit && !(now - port.swept > REFRESH && sweep(port, limit, now))) {
            return false;
        }
        int set = (hash(key) & SETS - 1) * WAYS;
        int free = -1;
        for (int i = set; i < set + WAYS; i++) {
            Entry entry = entries.get(i);
            if (entry == null || entry.key == key || now - entry.seen >= AGEING) {
                free = i;
                if (entry != null && entry.key == key) {
                    break;
                }
            }
        }
        if (free < 0) {
            return false;
        }
        Entry old = entries.get(free);
        if (old != null) {
            old.port.learned--;
        }
        port.learned++;
        entries.setRelease(free, new Entry(key, port, now));
        return true;
    }

    /** Forgets what has not been seen at a port for too long; whether it has room now. */
    private boolean sweep(SwitchPort port, int limit, long now) {
        port.swept = now;
        for (int i = 0; i < entries.length(); i++) {
            Entry entry = entries.get(i);
            if (entry != null && entry.port == port && now - entry.seen >= AGEING) {
                entries.setRelease(i, null);
                port.learned--;
            }
        }
        return port.learned < limit;
    }

    /** Forgets all that was learned at a port. */
    synchronized void forget(SwitchPort port) {
        for (int i = 0; i < entries.length(); i++) {
            Entry entry = entries.get(i);
            if (entry != null && entry.port == port) {
                entries.setRelease(i, null);
            }
        }
        port.learned = 0;
    }

    /** All that is remembered, newest knowledge, for showing. */
    java.util.List<Entry> snapshot(long now) {
        java.util.List<Entry> all = new java.util.ArrayList<>();
        for (int i = 0; i < entries.length(); i++) {
            Entry entry = entries.get(i);
            if (entry != null && now - entry.seen < AGEING) {
                all.add(entry);
            }
        }
        return all;
    }

    private int hash(long key) {
        long mixed = (key ^ seed) * 0x9e37_79b9_7f4a_7c15L;
        mixed = (mixed ^ mixed >>> 32) * (seed | 1);
        return (int) (mixed >>> 32);
    }
}
