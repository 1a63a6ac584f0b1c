package org.torte.network;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;

/**
 * The addresses that begin with the same bits.
 *
 * @param high the first 64 bits of an IPv6 address; of an IPv4 address, 0
 * @param low the last 64 bits; of an IPv4 address, its 32 bits
 * @param length the bits that count, 0 to 32 or 128; the others are zero
 * @param ipv6 the family
 */
public record AddressPrefix(long high, long low, int length, boolean ipv6) {
    /** Clears the bits that do not count. */
    public AddressPrefix {
        int bits = ipv6 ? 128 : 32;
        if (length < 0 || length > bits) {
            throw new IllegalArgumentException("a prefix of " + length + " bits");
        }
        high &= mask(Math.min(length, 64), 64);
        low &= ipv6 ? mask(Math.max(length - 64, 0), 64) : mask(length, 32);
    }

    /**
     * Reads an address such as 10.0.0.0/8, fd00::/8 or, meaning one host, 10.0.0.1.
     *
     * @throws IllegalArgumentException when it is something else
     */
    public static AddressPrefix parse(String text) {
        int slash = text.indexOf('/');
        String address = slash < 0 ? text : text.substring(0, slash);
        try {
            // Only literals: a name would be looked up.
            // Java takes 10 for 0.0.0.10, which nobody means who writes 10/8.
            if (!address.matches("([0-9]+\\.){3}[0-9]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")) {
                throw new IllegalArgumentException("not an address: " + text);
            }
            byte[] bytes = InetAddress.getByName(address).getAddress();
            int bits = slash < 0 ? bytes.length * 8 : Integer.parseInt(text.substring(slash + 1));
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            return bytes.length == 4
                    ? new AddressPrefix(0, buffer.getInt() & 0xffff_ffffL, bits, false)
                    : new AddressPrefix(buffer.getLong(), buffer.getLong(), bits, true);
        } catch (UnknownHostException | NumberFormatException e) {
            throw new IllegalArgumentException("not an address: " + text, e);
        }
    }

    /** As {@link #parse} reads it. */
    public String text() {
        ByteBuffer bytes = ipv6
                ? ByteBuffer.allocate(16).putLong(high).putLong(low)
                : ByteBuffer.allocate(4).putInt((int) low);
        try {
            return InetAddress.getByAddress(bytes.array()).getHostAddress() + "/" + length;
        } catch (UnknownHostException e) {
            throw new IllegalStateException(e);
        }
    }

    boolean contains(boolean isIpv6, long addressHigh, long addressLow) {
        return isIpv6 == ipv6
                && (ipv6
                        ? ((addressHigh ^ high) & mask(Math.min(length, 64), 64)) == 0
                                && ((addressLow ^ low) & mask(Math.max(length - 64, 0), 64)) == 0
                        : ((addressLow ^ low) & mask(length, 32)) == 0);
    }

    private static long mask(int ones, int of) {
        return ones == 0 ? 0 : (of == 64 ? -1L << 64 - ones : (-1L << 32 - ones) & 0xffff_ffffL);
    }
}
