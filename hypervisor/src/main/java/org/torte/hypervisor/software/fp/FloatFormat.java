package org.torte.hypervisor.software.fp;

/**
 * What a result is rounded to.
 *
 * @param precision significant bits, 1 to 64
 * @param minimum exponent of the smallest normal number
 * @param maximum exponent of the largest finite number
 */
public record FloatFormat(int precision, int minimum, int maximum) {
    /** IEEE single precision. */
    public static final FloatFormat SINGLE = new FloatFormat(24, -126, 127);

    /** IEEE double precision. */
    public static final FloatFormat DOUBLE = new FloatFormat(53, -1022, 1023);

    /** The x87 register format. */
    public static final FloatFormat EXTENDED = new FloatFormat(64, -16382, 16383);

    /** The x87 registers with precision control 2: fewer bits, but the same range. */
    public static final FloatFormat EXTENDED_53 = new FloatFormat(53, -16382, 16383);

    /** The x87 registers with precision control 0. */
    public static final FloatFormat EXTENDED_24 = new FloatFormat(24, -16382, 16383);
}
