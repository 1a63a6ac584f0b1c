package org.torte.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import org.torte.base.net.FrameBatch;

/**
 * Reads the headers of a frame for rules and guards, into fields, so that nothing is allocated. Every length is checked:
 * frames come from hostile guests. Not for several threads.
 */
final class Dissector {
    static final int IPV4 = 0x0800, IPV6 = 0x86dd, ARP = 0x0806, VLAN_TAG = 0x8100, SERVICE_TAG = 0x88a8;
    static final int ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58, SCTP = 132;

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    /** Extension headers of IPv6 that are followed before a packet counts as malformed. */
    private static final int MAX_EXTENSIONS = 8;

    /** VLAN tags that are looked through. */
    private static final int MAX_TAGS = 4;

    /** Below are lengths of IEEE 802.3, with an IEEE 802.2 header behind. */
    private static final int LEAST_TYPE = 0x600;

    /** The header of RFC 1042 before an Ethernet type. */
    private static final long SNAP = 0xaaaa_0300_0000L;

    private static final int NONE = -1;

    long destinationMac;
    long sourceMac;
    int etherType;
    boolean ipv6;
    /** The protocol above IP, or -1 where it is not IP or cannot be told. */
    int protocol;

    long sourceHigh;
    long sourceLow;
    long destinationHigh;
    long destinationLow;
    /** A fragment after the first one: it has no header of what is above IP. */
    boolean laterFragment;

    boolean hasPorts;
    int sourcePort;
    int destinationPort;
    /** The type of an ICMP message, or -1. */
    int icmpType;

    static int unsignedShort(MemorySegment bytes, long at) {
        return bytes.get(SHORT, at) & 0xffff;
    }

    /** The 48 bits at {@code at}, of which 8 bytes can be read. */
    static long mac(MemorySegment bytes, long at) {
        return bytes.get(LONG, at) >>> 16;
    }

    boolean isIp() {
        return etherType == IPV4 || etherType == IPV6;
    }

    /**
     * Reads a frame of 14 bytes at least.
     *
     * @return false when it is an IP packet whose headers are not whole or contradict themselves
     */
    boolean read(FrameBatch frames, int frame) {
        MemorySegment bytes = frames.bytes();
        long at = frames.offset(frame);
        long end = at + frames.length(frame);
        destinationMac = mac(bytes, at);
        sourceMac = mac(bytes, at + 6);
        at += FrameBatch.ETHERNET_HEADER;
        protocol = NONE;
        icmpType = NONE;
        hasPorts = false;
        laterFragment = false;
        etherType = unsignedShort(bytes, at - 2);
        // Receivers look through stacked tags and 802.2 headers, and so must who judges for them (CVE-2021-27853).
        for (int tags = 0; etherType == VLAN_TAG || etherType == SERVICE_TAG; tags++) {
            if (tags == MAX_TAGS || end - at < 4) {
                return false;
            }
            etherType = unsignedShort(bytes, at + 2);
            at += 4;
        }
        if (etherType < LEAST_TYPE && end - at >= 8 && bytes.get(LONG, at) >>> 16 == SNAP) {
            etherType = unsignedShort(bytes, at + 6);
            at += 8;
        }
        return switch (etherType) {
            case IPV4 -> ipv4(bytes, at, end);
            case IPV6 -> ipv6(bytes, at, end);
            default -> true;
        };
    }

    private boolean ipv4(MemorySegment bytes, long at, long end) {
        ipv6 = false;
        if (end - at < 20) {
            return false;
        }
        int first = bytes.get(JAVA_BYTE, at) & 0xff;
        int header = (first & 15) * 4;
        if (first >>> 4 != 4 || header < 20 || header > end - at) {
            return false;
        }
        protocol = bytes.get(JAVA_BYTE, at + 9) & 0xff;
        sourceHigh = 0;
        sourceLow = bytes.get(INT, at + 12) & 0xffff_ffffL;
        destinationHigh = 0;
        destinationLow = bytes.get(INT, at + 16) & 0xffff_ffffL;
        if ((unsignedShort(bytes, at + 6) & 0x1fff) != 0) {
            laterFragment = true;
            return true;
        }
        return transport(bytes, at + header, end);
    }

    private boolean ipv6(MemorySegment bytes, long at, long end) {
        ipv6 = true;
        if (end - at < 40 || bytes.get(JAVA_BYTE, at) >>> 4 != 6) {
            return false;
        }
        sourceHigh = bytes.get(LONG, at + 8);
        sourceLow = bytes.get(LONG, at + 16);
        destinationHigh = bytes.get(LONG, at + 24);
        destinationLow = bytes.get(LONG, at + 32);
        int next = bytes.get(JAVA_BYTE, at + 6) & 0xff;
        long header = at + 40;
        for (int count = 0; count <= MAX_EXTENSIONS; count++) {
            switch (next) {
                // Hop-by-hop options, routing, destination options, mobility, HIP, shim6: RFC 6564's common layout.
                case 0, 43, 60, 135, 139, 140 -> {
                    if (end - header < 8) {
                        return false;
                    }
                    next = bytes.get(JAVA_BYTE, header) & 0xff;
                    header += 8 + 8 * (bytes.get(JAVA_BYTE, header + 1) & 0xff);
                }
                case 51 -> { // authentication (RFC 4302), counted in words of 4 bytes
                    if (end - header < 8) {
                        return false;
                    }
                    next = bytes.get(JAVA_BYTE, header) & 0xff;
                    header += 8 + 4 * (bytes.get(JAVA_BYTE, header + 1) & 0xff);
                }
                case 44 -> { // fragment
                    if (end - header < 8) {
                        return false;
                    }
                    next = bytes.get(JAVA_BYTE, header) & 0xff;
                    if ((unsignedShort(bytes, header + 2) & 0xfff8) != 0) {
                        laterFragment = true;
                        protocol = next;
                        return true;
                    }
                    header += 8;
                }
                default -> {
                    protocol = next;
                    return transport(bytes, header, end);
                }
            }
        }
        return false;
    }

    private boolean transport(MemorySegment bytes, long at, long end) {
        switch (protocol) {
            case TCP, UDP, SCTP -> {
                if (end - at < 8) {
                    return false;
                }
                hasPorts = true;
                sourcePort = unsignedShort(bytes, at);
                destinationPort = unsignedShort(bytes, at + 2);
            }
            case ICMP, ICMPV6 -> {
                if (end - at < 4) {
                    return false;
                }
                icmpType = bytes.get(JAVA_BYTE, at) & 0xff;
            }
            default -> {}
        }
        return true;
    }
}
