package org.torte.network.gateway;

import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.base.RandomSource;
import org.torte.base.net.MacAddress;

/**
 * The addresses of a network, which stay what they are once they have been chosen.
 *
 * @param network the first IPv4 address; the low bits are zero
 * @param prefixLength how many of its bits count, 16 to 28
 * @param prefix6 the first 64 bits of the network's IPv6 addresses, a unique local prefix (RFC 4193)
 * @param gatewayMac the gateway's Ethernet address
 */
public record Subnet(int network, int prefixLength, long prefix6, MacAddress gatewayMac) {
    /** The domain of the machines' names. */
    public static final String DOMAIN = "torte";

    private static final Pattern ZEROS = Pattern.compile("(?<![0-9a-f])0(?::0)+(?![0-9a-f])");
    private static final int MIN_PREFIX = 16, MAX_PREFIX = 28;

    /** Checks the ranges. */
    public Subnet {
        if (prefixLength < MIN_PREFIX
                || prefixLength > MAX_PREFIX
                || (network & ~mask(prefixLength)) != 0
                || prefix6 >>> 56 != 0xfd
                || gatewayMac.isGroup()) {
            throw new IllegalArgumentException("no network for machines: " + text(network) + "/" + prefixLength);
        }
    }

    /** A network of 4094 hosts somewhere in 172.16.0.0/12 (RFC 1918), where few others choose theirs by hand. */
    public static Subnet random(RandomSource random) {
        long bits = random.nextLong();
        int network = 0xac10_0000 | (int) (bits & 0xff) << 12;
        long prefix6 = 0xfd00_0000_0000_0000L | (bits >>> 8 & 0xff_ffff_ffffL) << 16;
        // A locally administered address: only this network sees it.
        long mac = 0x0254_0000_0000L | random.nextLong() & 0xffff_ffffL;
        return new Subnet(network, 20, prefix6, new MacAddress(mac));
    }

    private static int mask(int length) {
        return -1 << 32 - length;
    }

    /** The network mask. */
    public int mask() {
        return mask(prefixLength);
    }

    /** The gateway's IPv4 address, the first one. */
    public int gateway() {
        return network + 1;
    }

    /** The IPv4 address at which the host offers services, the second one. */
    public int host() {
        return network + 2;
    }

    /** The address of all IPv4 hosts of the network. */
    public int broadcast() {
        return network | ~mask();
    }

    /** Whether an IPv4 address belongs to the network. */
    public boolean contains(int address) {
        return (address & mask()) == network;
    }

    /** The first of the network's IPv6 addresses, which nobody has. */
    public byte[] network6() {
        return ByteBuffer.allocate(16).putLong(prefix6).putLong(0).array();
    }

    /** The gateway's global IPv6 address, ::1 of the prefix. */
    public byte[] gateway6() {
        return ByteBuffer.allocate(16).putLong(prefix6).putLong(1).array();
    }

    /** The IPv6 address of the host, where it is at the switch itself: ::2 of the prefix. */
    public byte[] host6() {
        return ByteBuffer.allocate(16).putLong(prefix6).putLong(2).array();
    }

    /** The gateway's link-local IPv6 address, made from its Ethernet address (RFC 4291, appendix A). */
    public byte[] linkLocal6() {
        long mac = gatewayMac.value();
        long id = (mac >>> 24 ^ 0x02_0000L) << 40 | 0xff_fe00_0000L | mac & 0xff_ffffL;
        return ByteBuffer.allocate(16).putLong(0xfe80L << 48).putLong(id).array();
    }

    /** Whether it has addresses in common with another IPv4 network. */
    public boolean overlaps(int otherNetwork, int otherLength) {
        int common = otherLength == 0 ? 0 : mask(Math.min(prefixLength, otherLength));
        return ((network ^ otherNetwork) & common) == 0;
    }

    /** An IPv4 address as a number. */
    public static int number(Inet4Address address) {
        return ByteBuffer.wrap(address.getAddress()).getInt();
    }

    /** An IPv4 address from its number. */
    public static Inet4Address address(int number) {
        return (Inet4Address) of(ByteBuffer.allocate(4).putInt(number).array());
    }

    /** An IPv6 address from its bytes. */
    static Inet6Address address6(byte[] bytes) {
        try {
            return Inet6Address.getByAddress(null, bytes, -1);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static InetAddress of(byte[] bytes) {
        try {
            return InetAddress.getByAddress(bytes);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** An IPv4 address in the usual notation. */
    public static String text(int address) {
        return (address >>> 24) + "." + (address >>> 16 & 255) + "." + (address >>> 8 & 255) + "." + (address & 255);
    }

    /** An IPv6 address in one of its notations. */
    public static String text(byte[] address6) {
        return address6(address6).getHostAddress();
    }

    /** An IPv6 address as RFC 5952 wants it written: the longest run of zeros is left out. Without a zone. */
    public static String text(Inet6Address address) {
        String whole = address6(address.getAddress()).getHostAddress();
        Matcher zeros = ZEROS.matcher(whole);
        int from = 0, to = 0;
        while (zeros.find()) {
            if (zeros.end() - zeros.start() > to - from) {
                from = zeros.start();
                to = zeros.end();
            }
        }
        if (to == 0) {
            return whole;
        }
        return (from == 0 ? ":" : whole.substring(0, from)) + (to == whole.length() ? ":" : whole.substring(to));
    }
}
