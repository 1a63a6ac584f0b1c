package org.torte.hypervisor.software.fp;

/**
 * A number with 128 significant bits, for intermediate results of the transcendental functions: {@code (hi * 2^64 + lo) *
 * 2^(exponent - 127)}, normalized, or zero with hi = 0. Operations truncate, with an error below 4 units of the last
 * place. Mutable; the target may be one of the operands.
 */
final class Wide {
    boolean negative;
    int exponent;
    long hi;
    long lo;

    Wide() {}

    Wide(int exponent, long hi, long lo) {
        this.exponent = exponent;
        this.hi = hi;
        this.lo = lo;
    }

    Wide set(Wide x) {
        return set(x.negative, x.exponent, x.hi, x.lo);
    }

    Wide set(Unpacked x) {
        return set(x.negative, x.exponent, x.kind == Unpacked.ZERO ? 0 : x.significand, 0);
    }

    /** Takes a number that need not be normalized. */
    Wide set(boolean newNegative, int newExponent, long newHi, long newLo) {
        negative = newNegative;
        exponent = newExponent;
        hi = newHi;
        lo = newLo;
        if (hi == 0) {
            if (lo == 0) {
                return this;
            }
            hi = lo;
            lo = 0;
            exponent -= 64;
        }
        int shift = Long.numberOfLeadingZeros(hi);
        if (shift != 0) {
            hi = hi << shift | lo >>> 64 - shift;
            lo <<= shift;
            exponent -= shift;
        }
        return this;
    }

    Wide set(int value) {
        return set(value < 0, 63, Math.abs((long) value), 0);
    }

    /** a + b, or a - b if {@code subtract}. */
    Wide add(Wide a, Wide b, boolean subtract) {
        boolean signB = b.negative ^ subtract;
        if (b.hi == 0) {
            return set(a);
        }
        if (a.hi == 0) {
            return set(signB, b.exponent, b.hi, b.lo);
        }
        boolean swap = a.exponent < b.exponent
                || a.exponent == b.exponent
                        && (Long.compareUnsigned(a.hi, b.hi) < 0
                                || a.hi == b.hi && Long.compareUnsigned(a.lo, b.lo) < 0);
        Wide large = swap ? b : a;
        Wide small = swap ? a : b;
        boolean sign = swap ? signB : a.negative;
        int distance = large.exponent - small.exponent;
        long high = distance < 64 ? small.hi >>> distance : 0;
        long low = distance == 0
                ? small.lo
                : distance < 64
                        ? small.lo >>> distance | small.hi << 64 - distance
                        : distance < 128 ? small.hi >>> distance - 64 : 0;
        if (distance > 126 && a.negative != signB) {
            // Something vanishing is taken away: the result must end up below, for directed rounding.
            low = 1;
        }
        int e = large.exponent;
        if (a.negative == signB) {
            long sumLow = large.lo + low;
            long carry = Long.compareUnsigned(sumLow, low) < 0 ? 1 : 0;
            long sumHigh = large.hi + high + carry;
            boolean overflow = Long.compareUnsigned(sumHigh, large.hi) < 0 || carry != 0 && sumHigh == large.hi;
            if (overflow) {
                return set(sign, e + 1, sumHigh >>> 1 | 1L << 63, sumLow >>> 1 | sumHigh << 63);
            }
            return set(sign, e, sumHigh, sumLow);
        }
        long borrow = Long.compareUnsigned(large.lo, low) < 0 ? 1 : 0;
        return set(sign, e, large.hi - high - borrow, large.lo - low);
    }

    Wide multiply(Wide a, Wide b) {
        boolean sign = a.negative ^ b.negative;
        if (a.hi == 0 || b.hi == 0) {
            return set(sign, 0, 0, 0);
        }
        long high = Math.unsignedMultiplyHigh(a.hi, b.hi);
        long low = a.hi * b.hi;
        long cross = Math.unsignedMultiplyHigh(a.hi, b.lo);
        low += cross;
        high += Long.compareUnsigned(low, cross) < 0 ? 1 : 0;
        cross = Math.unsignedMultiplyHigh(a.lo, b.hi);
        low += cross;
        high += Long.compareUnsigned(low, cross) < 0 ? 1 : 0;
        return set(sign, a.exponent + b.exponent + 1, high, low);
    }

    /** This divided by a number from 1 to 2^31. */
    Wide divide(int divisor) {
        if (hi == 0) {
            return this;
        }
        // Three digits of the quotient, so that normalizing loses nothing.
        long d = divisor;
        long high = Long.divideUnsigned(hi, d);
        long rest = hi - high * d;
        long upper = Long.divideUnsigned(rest << 32 | lo >>> 32, d);
        rest = (rest << 32 | lo >>> 32) - upper * d;
        long lower = Long.divideUnsigned(rest << 32 | lo & 0xffffffffL, d);
        rest = (rest << 32 | lo & 0xffffffffL) - lower * d;
        long next = Long.divideUnsigned(rest << 32, d);
        long low = (upper << 32) + lower;
        int shift = Long.numberOfLeadingZeros(high);
        if (shift == 0) {
            return set(negative, exponent, high, low);
        }
        // high is not zero: the divisor is below 2^32 and hi at least 2^63.
        return set(
                negative,
                exponent - shift,
                high << shift | low >>> 64 - shift,
                low << shift | (shift <= 32 ? next >>> 32 - shift : next << shift - 32));
    }

    Wide divide(Wide a, Wide b) {
        boolean sign = a.negative ^ b.negative;
        if (a.hi == 0) {
            return set(sign, 0, 0, 0);
        }
        long q1 = digit(a, b);
        int e1 = digitExponent;
        long bHi = b.hi;
        long bLo = b.lo;
        int bExponent = b.exponent;
        // rest = |a| - q1 * |b|, which loses nothing that the second digit needs
        long pHigh = Math.unsignedMultiplyHigh(q1, bHi);
        long pLow = q1 * bHi;
        long cross = Math.unsignedMultiplyHigh(q1, bLo);
        pLow += cross;
        pHigh += Long.compareUnsigned(pLow, cross) < 0 ? 1 : 0;
        Wide product = new128(e1 + bExponent + 1, pHigh, pLow);
        Wide rest = scratch2.set(false, a.exponent, a.hi, a.lo);
        rest.add(rest, product, true);
        Wide quotient = scratch1.set(sign, e1, q1, 0);
        if (rest.hi != 0) {
            boolean below = rest.negative;
            divisor.set(false, bExponent, bHi, bLo);
            rest.negative = false;
            long q2 = digit(rest, divisor);
            rest.set(below ^ sign, digitExponent, q2, 0);
            return add(quotient, rest, false);
        }
        return set(quotient);
    }

    // Per object, so that nothing is allocated while computing; created on first use.
    private Wide scratch1 = this;
    private Wide scratch2 = this;
    private Wide divisor = this;
    private int digitExponent;

    private Wide new128(int e, long high, long low) {
        if (scratch1 == this) {
            scratch1 = new Wide();
            scratch2 = new Wide();
            divisor = new Wide();
        }
        return scratch1.set(false, e, high, low);
    }

    /** The first 64 bits of |a| / |b|, about, normalized; {@link #digitExponent} is the exponent. */
    private long digit(Wide a, Wide b) {
        if (b.hi == 1L << 63) {
            digitExponent = a.exponent - b.exponent;
            return a.hi;
        }
        boolean less = Long.compareUnsigned(a.hi, b.hi) < 0;
        digitExponent = a.exponent - b.exponent - (less ? 1 : 0);
        return less
                ? SoftFloat.divide128(a.hi, a.lo, b.hi)
                : SoftFloat.divide128(a.hi >>> 1, a.lo >>> 1 | a.hi << 63, b.hi);
    }
}
