package org.torte.hypervisor.software.fp;

/**
 * A floating-point number taken apart: {@code significand * 2^(exponent - 63)} with the significand's top bit set. One
 * mutable object per operand of a unit, so that arithmetic allocates nothing.
 */
public final class Unpacked {
    /** Values of {@link #kind}; everything from QUIET on is handled as a NaN. */
    public static final int ZERO = 0, FINITE = 1, INFINITY = 2, QUIET = 3, SIGNALLING = 4, UNSUPPORTED = 5;

    /** The integer bit of a significand. */
    static final long TOP = 1L << 63;

    /** The bit that makes a NaN quiet. */
    static final long QUIET_BIT = 1L << 62;

    /** What it is. */
    public int kind;

    /** The sign, of zeroes and NaNs too. */
    public boolean negative;

    /** Unbiased exponent of finite numbers. */
    public int exponent;

    /** Of finite numbers with the top bit set, except in results below the format's smallest normal number; of NaNs the payload. */
    public long significand;

    /** Whether the operand was encoded as a denormal number (or pseudo-denormal). */
    public boolean denormal;

    /** Takes a single-precision number. */
    public void set32(int bits, boolean denormalsAreZero) {
        negative = bits < 0;
        denormal = false;
        int field = bits >>> 23 & 0xff;
        long fraction = (bits & 0x7fffffL) << 40;
        setFields(field, 0xff, 127, fraction, denormalsAreZero);
    }

    /** Takes a double-precision number. */
    public void set64(long bits, boolean denormalsAreZero) {
        negative = bits < 0;
        denormal = false;
        int field = (int) (bits >>> 52) & 0x7ff;
        long fraction = (bits & 0xfffffffffffffL) << 11;
        setFields(field, 0x7ff, 1023, fraction, denormalsAreZero);
    }

    /** The fraction is aligned below the top bit. */
    private void setFields(int field, int special, int bias, long fraction, boolean denormalsAreZero) {
        if (field == special) {
            significand = fraction | TOP;
            kind = fraction == 0 ? INFINITY : (fraction & QUIET_BIT) != 0 ? QUIET : SIGNALLING;
        } else if (field != 0) {
            kind = FINITE;
            exponent = field - bias;
            significand = fraction | TOP;
        } else if (fraction == 0 || denormalsAreZero) {
            kind = ZERO;
            significand = 0;
        } else {
            kind = FINITE;
            denormal = true;
            int shift = Long.numberOfLeadingZeros(fraction);
            exponent = 1 - bias - shift;
            significand = fraction << shift;
        }
    }

    /** Takes a double-extended number: significand with integer bit, sign and biased exponent. */
    public void set80(long bits, int signExponent) {
        negative = (signExponent & 0x8000) != 0;
        denormal = false;
        int field = signExponent & 0x7fff;
        significand = bits;
        if (field == 0) {
            if (bits == 0) {
                kind = ZERO;
                return;
            }
            kind = FINITE;
            denormal = true;
            int shift = Long.numberOfLeadingZeros(bits);
            exponent = -16382 - shift;
            significand = bits << shift;
        } else if (bits >= 0) {
            kind = UNSUPPORTED;
        } else if (field != 0x7fff) {
            kind = FINITE;
            exponent = field - 16383;
        } else if (bits == TOP) {
            kind = INFINITY;
        } else {
            kind = (bits & QUIET_BIT) != 0 ? QUIET : SIGNALLING;
        }
    }

    /** Takes a signed integer, exactly. */
    public void setInteger(long value) {
        negative = value < 0;
        denormal = false;
        if (value == 0) {
            kind = ZERO;
            significand = 0;
            return;
        }
        long magnitude = negative ? -value : value;
        int shift = Long.numberOfLeadingZeros(magnitude);
        kind = FINITE;
        exponent = 63 - shift;
        significand = magnitude << shift;
    }

    /** Copies all fields. */
    public void set(Unpacked other) {
        kind = other.kind;
        negative = other.negative;
        exponent = other.exponent;
        significand = other.significand;
        denormal = other.denormal;
    }

    void setZero(boolean sign) {
        kind = ZERO;
        negative = sign;
        significand = 0;
        denormal = false;
    }

    void setInfinity(boolean sign) {
        kind = INFINITY;
        negative = sign;
        significand = TOP;
        denormal = false;
    }

    void setFinite(boolean sign, int newExponent, long newSignificand) {
        kind = FINITE;
        negative = sign;
        exponent = newExponent;
        significand = newSignificand;
        denormal = false;
    }

    /** The indefinite NaN, the answer to invalid operations. */
    void setIndefinite() {
        kind = QUIET;
        negative = true;
        significand = TOP | QUIET_BIT;
        denormal = false;
    }

    /** The number as single precision; it must have been rounded to that. */
    public int get32() {
        int sign = negative ? 1 << 31 : 0;
        return switch (kind) {
            case ZERO -> sign;
            case FINITE -> sign | (significand < 0 ? exponent + 127 << 23 : 0) | (int) (significand << 1 >>> 41);
            case INFINITY -> sign | 0x7f800000;
            default -> sign | 0x7f800000 | (int) (significand << 1 >>> 41);
        };
    }

    /** The number as double precision; it must have been rounded to that. */
    public long get64() {
        long sign = negative ? 1L << 63 : 0;
        return switch (kind) {
            case ZERO -> sign;
            case FINITE -> sign | (significand < 0 ? (long) (exponent + 1023) << 52 : 0) | significand << 1 >>> 12;
            case INFINITY -> sign | 0x7ffL << 52;
            default -> sign | 0x7ffL << 52 | significand << 1 >>> 12;
        };
    }

    /** Sign and exponent of the number as double-extended precision; {@link #significand} is the rest. */
    public int signExponent80() {
        int sign = negative ? 0x8000 : 0;
        return switch (kind) {
            case ZERO -> sign;
            case FINITE -> significand < 0 ? sign | exponent + 16383 : sign;
            default -> sign | 0x7fff;
        };
    }
}
