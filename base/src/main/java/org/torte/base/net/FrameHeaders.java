package org.torte.base.net;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Where the headers of a frame are: Ethernet with VLAN tags (IEEE 802.3 and 802.1Q), IPv4 (RFC 791) or IPv6 with extension
 * headers (RFC 8200), TCP (RFC 9293) or UDP (RFC 768). Every length is checked against the frame's. Made once and used again
 * and again; not for several threads.
 */
public final class FrameHeaders {
    /** IP's numbers of what follows it. */
    public static final int TCP = 6, UDP = 17;

    /** Ethernet's numbers of what follows it. */
    public static final int IPV4 = 0x0800, IPV6 = 0x86dd, ARP = 0x0806;

    private static final int VLAN = 0x8100, SERVICE_VLAN = 0x88a8, MAX_TAGS = 2, TAG = 4;
    private static final int IPV4_HEADER = 20, IPV6_HEADER = 40;
    private static final int HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, DESTINATION = 60, MAX_EXTENSIONS = 8;
    private static final int TCP_HEADER = 20, UDP_HEADER = 8;
    private static final int MORE_FRAGMENTS_OR_OFFSET = 0x3fff;

    private static final ValueLayout.OfShort SHORT = JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private int etherType;
    private int ip;
    private int ipEnd;
    private int protocol;
    private int transport;
    private int payload;

    /** What nothing is known about yet. */
    public FrameHeaders() {}

    /** Looks at a frame of a batch. */
    public void parse(FrameBatch batch, int frame) {
        parse(batch.bytes(), batch.offset(frame), batch.length(frame), batch.segmentSize(frame) > 0);
    }

    /**
     * Looks at a frame.
     *
     * @param large whether it is a large send, in which IP's own lengths mean nothing
     */
    public void parse(MemorySegment bytes, int offset, int length, boolean large) {
        etherType = 0;
        ip = -1;
        ipEnd = -1;
        protocol = -1;
        transport = -1;
        payload = -1;
        int end = offset + length;
        int at = offset + FrameBatch.ETHERNET_HEADER;
        if (at > end) {
            return;
        }
        etherType = bytes.get(SHORT, at - 2) & 0xffff;
        for (int i = 0; i < MAX_TAGS && (etherType == VLAN || etherType == SERVICE_VLAN) && at + TAG <= end; i++) {
            etherType = bytes.get(SHORT, at + 2) & 0xffff;
            at += TAG;
        }
        if (etherType == IPV4) {
            parseIpv4(bytes, at, end, large);
        } else if (etherType == IPV6) {
            parseIpv6(bytes, at, end, large);
        }
    }

    private void parseIpv4(MemorySegment bytes, int at, int end, boolean large) {
        if (at + IPV4_HEADER > end || (bytes.get(JAVA_BYTE, at) & 0xf0) != 0x40) {
            return;
        }
        int header = (bytes.get(JAVA_BYTE, at) & 0xf) << 2;
        int total = large ? end - at : bytes.get(SHORT, at + 2) & 0xffff;
        if (header < IPV4_HEADER || header > total || at + total > end) {
            return;
        }
        ip = at;
        ipEnd = at + total;
        boolean fragment = (bytes.get(SHORT, at + 6) & MORE_FRAGMENTS_OR_OFFSET) != 0;
        parseTransport(bytes, at + header, bytes.get(JAVA_BYTE, at + 9) & 0xff, fragment);
    }

    private void parseIpv6(MemorySegment bytes, int at, int end, boolean large) {
        if (at + IPV6_HEADER > end || (bytes.get(JAVA_BYTE, at) & 0xf0) != 0x60) {
            return;
        }
        int total = large ? end - at : IPV6_HEADER + (bytes.get(SHORT, at + 4) & 0xffff);
        if (at + total > end) {
            return;
        }
        ip = at;
        ipEnd = at + total;
        int next = bytes.get(JAVA_BYTE, at + 6) & 0xff;
        int position = at + IPV6_HEADER;
        for (int i = 0; i < MAX_EXTENSIONS; i++) {
            if (next != HOP_BY_HOP && next != ROUTING && next != DESTINATION) {
                parseTransport(bytes, position, next, next == FRAGMENT);
                return;
            }
            if (position + 8 > ipEnd || next == ROUTING && bytes.get(JAVA_BYTE, position + 3) != 0) {
                return; // with segments left, the checksum is about another destination
            }
            next = bytes.get(JAVA_BYTE, position) & 0xff;
            position += 8 + ((bytes.get(JAVA_BYTE, position + 1) & 0xff) << 3);
        }
    }

    private void parseTransport(MemorySegment bytes, int at, int number, boolean fragment) {
        if (fragment) {
            return;
        }
        if (number == TCP && at + TCP_HEADER <= ipEnd) {
            int header = (bytes.get(JAVA_BYTE, at + 12) & 0xf0) >> 2;
            if (header < TCP_HEADER || at + header > ipEnd) {
                return;
            }
            payload = at + header;
        } else if (number == UDP && at + UDP_HEADER <= ipEnd) {
            payload = at + UDP_HEADER;
        } else {
            return;
        }
        protocol = number;
        transport = at;
    }

    /** What follows the Ethernet header and its tags, such as {@link #IPV4}; 0 when there is no whole header. */
    public int etherType() {
        return etherType;
    }

    /** Whether there is a whole IPv4 header. */
    public boolean isIpv4() {
        return etherType == IPV4 && ip >= 0;
    }

    /** Whether there is a whole IPv6 header. */
    public boolean isIpv6() {
        return etherType == IPV6 && ip >= 0;
    }

    /** Whether there is a whole TCP header, and the packet is no fragment. */
    public boolean isTcp() {
        return protocol == TCP;
    }

    /** Whether there is a whole UDP header, and the packet is no fragment. */
    public boolean isUdp() {
        return protocol == UDP;
    }

    /** Where the IP header begins, as an offset like the frame's; -1 when there is none. */
    public int ip() {
        return ip;
    }

    /** Where the IP packet ends; what may follow fills the frame up. */
    public int ipEnd() {
        return ipEnd;
    }

    /** Where the TCP or UDP header begins; -1 when there is none. */
    public int transport() {
        return transport;
    }

    /** Where what TCP or UDP carries begins. */
    public int payload() {
        return payload;
    }
}
