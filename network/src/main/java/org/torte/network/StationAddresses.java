package org.torte.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.torte.base.net.FrameBatch;

/**
 * The IP addresses that a station says it has, in what it sends to all: ARP (RFC 826), and IPv6 packets to groups, such as
 * neighbour solicitations (RFC 4861). It can say anything: they are for people to see, not to decide by. Bounded. Safe for
 * several threads.
 */
final class StationAddresses {
    /** What is kept; who has more shows those that were seen last. */
    static final int MOST = 16;

    private static final int SOLICITATION = 135, ARP_LENGTH = 28, IPV6_HEADER = 40, ICMPV6 = 58;
    private static final int ALL_HARDWARE = 1 << 16 | 0x0800;

    /** The one seen longest ago first. */
    private final Set<InetAddress> seen = new LinkedHashSet<>();

    /** Somebody else is there. */
    synchronized void clear() {
        seen.clear();
    }

    /** Those that were seen, IPv4 first. */
    synchronized List<InetAddress> all() {
        return Stream.concat(
                        seen.stream().filter(one -> one instanceof Inet4Address),
                        seen.stream().filter(one -> !(one instanceof Inet4Address)))
                .toList();
    }

    /**
     * Looks at a frame that the station has sent to a group.
     *
     * @param skip the bytes of a VLAN tag inside it
     */
    void see(FrameBatch frames, int frame, int skip) {
        MemorySegment bytes = frames.bytes();
        long at = frames.offset(frame) + (long) FrameBatch.ETHERNET_HEADER + skip;
        long end = frames.offset(frame) + (long) frames.length(frame);
        int type = Dissector.unsignedShort(bytes, at - 2);
        if (type == Dissector.ARP && at + ARP_LENGTH <= end) {
            arp(bytes, at, Dissector.mac(bytes, frames.offset(frame) + 6L));
        } else if (type == Dissector.IPV6 && at + IPV6_HEADER <= end) {
            ipv6(bytes, at, end);
        }
    }

    private void arp(MemorySegment bytes, long at, long station) {
        int kinds = Dissector.unsignedShort(bytes, at) << 16 | Dissector.unsignedShort(bytes, at + 2);
        if (kinds == ALL_HARDWARE
                && Dissector.unsignedShort(bytes, at + 4) == 0x0604
                && Dissector.mac(bytes, at + 8) == station) {
            add(bytes.asSlice(at + 14, 4).toArray(JAVA_BYTE));
        }
    }

    private void ipv6(MemorySegment bytes, long at, long end) {
        byte[] source = bytes.asSlice(at + 8, 16).toArray(JAVA_BYTE);
        boolean unspecified = isZero(source);
        if (!unspecified) {
            add(source);
        } else if (bytes.get(JAVA_BYTE, at + 6) == ICMPV6
                && at + IPV6_HEADER + 24 <= end
                && (bytes.get(JAVA_BYTE, at + IPV6_HEADER) & 0xff) == SOLICITATION) {
            add(bytes.asSlice(at + IPV6_HEADER + 8, 16).toArray(JAVA_BYTE)); // it asks whether it may have it
        }
    }

    private static boolean isZero(byte[] address) {
        for (byte one : address) {
            if (one != 0) {
                return false;
            }
        }
        return true;
    }

    private synchronized void add(byte[] address) {
        int first = address[0] & 0xff;
        if (isZero(address) || (address.length == 4 ? first >= 224 || first == 127 : first == 0xff)) {
            return;
        }
        InetAddress one;
        try {
            one = InetAddress.getByAddress(address);
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e); // of another length
        }
        seen.remove(one);
        seen.add(one);
        if (seen.size() > MOST) {
            seen.remove(seen.iterator().next());
        }
    }
}
