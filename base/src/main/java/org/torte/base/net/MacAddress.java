package org.torte.base.net;

import java.util.HexFormat;

/**
 * The address of an Ethernet station (IEEE 802-2014, section 8).
 *
 * @param value 48 bits, the byte that is sent first highest
 */
public record MacAddress(long value) {
    /** How many bytes it has. */
    public static final int LENGTH = 6;

    /** Everybody. */
    public static final MacAddress BROADCAST = new MacAddress(0xffff_ffff_ffffL);

    private static final long GROUP = 1L << 40, LOCAL = 2L << 40;

    /** Checks the range. */
    public MacAddress {
        if (value >>> 48 != 0) {
            throw new IllegalArgumentException("an address has 48 bits: " + Long.toHexString(value));
        }
    }

    /**
     * Reads six pairs of hexadecimal digits, with colons or hyphens between them or nothing.
     *
     * @throws IllegalArgumentException when it is something else
     */
    public static MacAddress parse(String text) {
        String digits = text.matches("(?:..:){5}..|(?:..-){5}..") ? text.replaceAll("[:-]", "") : text;
        if (!digits.matches("[0-9a-fA-F]{12}")) {
            throw new IllegalArgumentException("not an Ethernet address: " + text);
        }
        return new MacAddress(HexFormat.fromHexDigitsToLong(digits));
    }

    /** Whether it stands for several stations: multicast or broadcast. */
    public boolean isGroup() {
        return (value & GROUP) != 0;
    }

    /** Whether it was given by an administrator or a program and not by a maker of hardware. */
    public boolean isLocal() {
        return (value & LOCAL) != 0;
    }

    /** Six pairs of digits with colons. */
    @Override
    public String toString() {
        return HexFormat.ofDelimiter(":").formatHex(bytes());
    }

    /** Its bytes in the order in which they are sent. */
    public byte[] bytes() {
        byte[] bytes = new byte[LENGTH];
        for (int i = 0; i < LENGTH; i++) {
            bytes[i] = (byte) (value >>> 8 * (LENGTH - 1 - i));
        }
        return bytes;
    }
}
