package org.torte.network;

import java.util.HexFormat;
import java.util.Optional;

/**
 * An EUI-48 address (IEEE 802-2014, section 8).
 *
 * @param value the six bytes, the first one sent in bits 47 to 40; bits above are zero
 */
public record MacAddress(long value) {
    /** The address that every station listens to. */
    public static final MacAddress BROADCAST = new MacAddress(0xffff_ffff_ffffL);

    private static final long LARGEST = 0xffff_ffff_ffffL;
    private static final long GROUP = 1L << 40;
    private static final long LOCAL = 1L << 41;

    /** Checks that the value has 48 bits. */
    public MacAddress {
        if ((value & ~LARGEST) != 0) {
            throw new IllegalArgumentException("a MAC address has 48 bits: " + Long.toHexString(value));
        }
    }

    /** The address in the six bytes at {@code offset}. */
    public static MacAddress of(byte[] bytes, int offset) {
        long value = 0;
        for (int i = 0; i < 6; i++) {
            value = value << 8 | (bytes[offset + i] & 0xff);
        }
        return new MacAddress(value);
    }

    /** The address written as six hexadecimal bytes with colons or hyphens between, or with nothing; empty if it is none. */
    public static Optional<MacAddress> parse(String text) {
        String digits = text;
        if (text.length() == 17) {
            char separator = text.charAt(2);
            if (separator != ':' && separator != '-') {
                return Optional.empty();
            }
            for (int i = 2; i < 17; i += 3) {
                if (text.charAt(i) != separator) {
                    return Optional.empty();
                }
            }
            digits = text.replace(String.valueOf(separator), "");
        }
        if (digits.length() != 12 || !digits.chars().allMatch(HexFormat::isHexDigit)) {
            return Optional.empty();
        }
        return Optional.of(new MacAddress(HexFormat.fromHexDigitsToLong(digits)));
    }

    /** Whether it names several stations: multicast or broadcast. Such an address is never a source. */
    public boolean isGroup() {
        return (value & GROUP) != 0;
    }

    /** Whether it was assigned locally rather than by a maker. */
    public boolean isLocal() {
        return (value & LOCAL) != 0;
    }

    /** Stores the six bytes at {@code offset}. */
    public void put(byte[] bytes, int offset) {
        for (int i = 0; i < 6; i++) {
            bytes[offset + i] = (byte) (value >>> 40 - 8 * i);
        }
    }

    /** Six hexadecimal bytes in lower case with colons between. */
    @Override
    public String toString() {
        byte[] bytes = new byte[6];
        put(bytes, 0);
        return HexFormat.ofDelimiter(":").formatHex(bytes);
    }
}
