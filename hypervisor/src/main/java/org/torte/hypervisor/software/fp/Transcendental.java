package org.torte.hypervisor.software.fp;

/**
 * The functions of the x87 that go beyond arithmetic, for finite operands that are not zero. Series are summed with 128
 * bits, so a result is the correctly rounded one except when the exact value is closer than about 2^-55 units of the last
 * place to the middle between two numbers; the processors promise 1 ulp (SDM vol. 1, 8.3.10). Always inexact.
 */
public final class Transcendental {
    private static final int SINE_TERMS = 17;
    private static final int EXPONENTIAL_TERMS = 32;
    private static final int LOGARITHM_TERMS = 26;
    private static final int ARCTANGENT_TERMS = 16;

    private static final Wide ONE = new Wide(0, 1L << 63, 0);
    private static final Wide TWO = new Wide(1, 1L << 63, 0);
    private static final Wide PI = new Wide(1, 0xc90fdaa22168c234L, 0xc4c6628b80dc1cd1L);
    private static final Wide HALF_PI = new Wide(0, 0xc90fdaa22168c234L, 0xc4c6628b80dc1cd1L);
    private static final Wide QUARTER_PI = new Wide(-1, 0xc90fdaa22168c234L, 0xc4c6628b80dc1cd1L);
    private static final Wide LN_2 = new Wide(-1, 0xb17217f7d1cf79abL, 0xc9e3b39803f2f6afL);
    private static final Wide LOG2_E = new Wide(0, 0xb8aa3b295c17f0bbL, 0xbe87fed0691d3e88L);
    private static final long ROOT_2 = 0xb504f333f9de6484L;

    /**
     * The 66-bit approximation of pi that x87 processors reduce arguments with (SDM vol. 1, 8.3.8): {@code PI_HIGH * 2^64
     * + PI_LOW} is pi * 2^64.
     */
    private static final long PI_HIGH = 3, PI_LOW = 0x243f6a8885a308d3L;

    private static final Wide[] ODD_RECIPROCALS = oddReciprocals();

    /** Arcus tangents of 0/16 to 16/16. */
    private static final Wide[] ARCTANGENTS = arctangents();

    private final Wide r = new Wide();
    private final Wide z = new Wide();
    private final Wide sum = new Wide();
    private final Wide term = new Wide();
    private final Wide sine = new Wide();
    private final Wide cosine = new Wide();
    private final Wide u = new Wide();
    private int quadrant;

    private static Wide[] oddReciprocals() {
        Wide[] values = new Wide[LOGARITHM_TERMS + 1];
        for (int i = 0; i < values.length; i++) {
            values[i] = new Wide().set(1).divide(2 * i + 1);
        }
        return values;
    }

    private static Wide[] arctangents() {
        // atan(k/16) - atan((k-1)/16) = atan(16 / (256 + k (k-1)))
        Wide[] values = new Wide[17];
        values[0] = new Wide();
        Transcendental scratch = new Transcendental();
        for (int k = 1; k <= 16; k++) {
            scratch.u.set(16).divide(256 + k * (k - 1));
            scratch.arctangentSeries(2 * ARCTANGENT_TERMS - 8);
            values[k] = new Wide().add(values[k - 1], scratch.sum, false);
        }
        return values;
    }

    /** Rounds a wide number, which stands for an inexact value. */
    private static void round(Wide x, SoftFloat soft, Unpacked result) {
        soft.round(x.negative, x.exponent, x.hi, x.lo | 1, FloatFormat.EXTENDED, result);
        soft.flags |= SoftFloat.INEXACT;
    }

    /** Sine and cosine of x, below 2^63 in magnitude, into the fields. */
    private void circular(Unpacked x) {
        reduce(x);
        z.multiply(r, r);
        sum.set(ONE);
        for (int k = SINE_TERMS; k > 0; k--) {
            term.multiply(sum, z).divide(2 * k * (2 * k + 1));
            sum.add(ONE, term, true);
        }
        sine.multiply(sum, r);
        sum.set(ONE);
        for (int k = SINE_TERMS; k > 0; k--) {
            term.multiply(sum, z).divide(2 * k * (2 * k - 1));
            sum.add(ONE, term, true);
        }
        cosine.set(sum);
        if ((quadrant & 1) != 0) {
            term.set(sine);
            sine.set(cosine);
            cosine.set(term);
            cosine.negative = !cosine.negative;
        }
        if ((quadrant & 2) != 0) {
            sine.negative = !sine.negative;
            cosine.negative = !cosine.negative;
        }
    }

    /** r = x minus the nearest multiple of half pi, {@link #quadrant} the multiple modulo 4. */
    private void reduce(Unpacked x) {
        r.set(x);
        quadrant = 0;
        if (x.exponent < -1) {
            return;
        }
        // |x| * 2^65 = significand * 2^(exponent + 2), bit by bit, divided by pi/2 * 2^65
        long high = 0;
        long low = 0;
        int quotient = 0;
        int bits = 64 + x.exponent + 2;
        for (int i = 0; i < bits; i++) {
            high = high << 1 | low >>> 63;
            low = low << 1 | (i < 64 ? x.significand >>> 63 - i & 1 : 0);
            quotient <<= 1;
            if (high > PI_HIGH || high == PI_HIGH && Long.compareUnsigned(low, PI_LOW) >= 0) {
                high -= PI_HIGH + (Long.compareUnsigned(low, PI_LOW) < 0 ? 1 : 0);
                low -= PI_LOW;
                quotient++;
            }
        }
        r.set(x.negative, 62, high, low);
        u.set(false, 62, PI_HIGH, PI_LOW);
        u.exponent--;
        term.set(r);
        term.negative = false;
        term.add(term, u, true);
        if (!term.negative && term.hi != 0) {
            u.exponent++;
            u.negative = x.negative;
            r.add(r, u, true);
            quotient++;
        }
        quadrant = (x.negative ? -quotient : quotient) & 3;
    }

    /** sin x. */
    public void sine(Unpacked x, SoftFloat soft, Unpacked result) {
        circular(x);
        round(sine, soft, result);
    }

    /** cos x. */
    public void cosine(Unpacked x, SoftFloat soft, Unpacked result) {
        circular(x);
        round(cosine, soft, result);
    }

    /** tan x. */
    public void tangent(Unpacked x, SoftFloat soft, Unpacked result) {
        if (x.exponent < -64) {
            // x + x^3/3 is just above x
            sum.set(x);
        } else {
            circular(x);
            sum.divide(sine, cosine);
        }
        round(sum, soft, result);
    }

    /** sum = atan u for a small u. */
    private void arctangentSeries(int terms) {
        z.multiply(u, u);
        sum.set(ODD_RECIPROCALS[terms]);
        for (int k = terms - 1; k >= 0; k--) {
            term.multiply(sum, z);
            sum.add(ODD_RECIPROCALS[k], term, true);
        }
        sum.multiply(sum, u);
    }

    /** The angle of the point (x, y), finite and not zero. */
    public void arctangent(Unpacked y, Unpacked x, SoftFloat soft, Unpacked result) {
        sine.set(y);
        cosine.set(x);
        sine.negative = false;
        cosine.negative = false;
        boolean steep = sine.exponent > cosine.exponent
                || sine.exponent == cosine.exponent && Long.compareUnsigned(sine.hi, cosine.hi) > 0;
        if (steep) {
            r.divide(cosine, sine);
        } else {
            r.divide(sine, cosine);
        }
        // The nearest k/16, so that u = (r - k/16) / (1 + r k/16) is at most 1/32.
        int k = r.exponent < -5 ? 0 : (int) (r.hi >>> 63 - 5 - r.exponent) + 1 >>> 1;
        if (k == 0) {
            u.set(r);
        } else {
            term.set(k);
            term.exponent -= 4;
            sum.multiply(r, term);
            sum.add(sum, ONE, false);
            u.add(r, term, true);
            u.divide(u, sum);
        }
        arctangentSeries(ARCTANGENT_TERMS);
        sum.add(sum, ARCTANGENTS[k], false);
        if (steep) {
            sum.add(HALF_PI, sum, true);
        }
        if (x.negative) {
            sum.add(PI, sum, true);
        }
        sum.negative = y.negative;
        round(sum, soft, result);
    }

    /** {@code quarters} times pi/4, for the angles of points on the axes and at infinity. */
    public void quarters(int quarters, boolean negative, SoftFloat soft, Unpacked result) {
        sum.set(quarters);
        sum.multiply(sum, QUARTER_PI);
        sum.negative = negative;
        round(sum, soft, result);
    }

    /** 2^x - 1 for x from -1 to 1. */
    public void exponential(Unpacked x, SoftFloat soft, Unpacked result) {
        if (x.exponent == 0) {
            // 2^1 - 1 and 2^-1 - 1 are exact, yet flagged like the others.
            result.setFinite(x.negative, x.negative ? -1 : 0, 1L << 63);
            soft.flags |= SoftFloat.INEXACT;
            return;
        }
        r.set(x);
        r.multiply(r, LN_2);
        sum.set(ONE);
        for (int n = EXPONENTIAL_TERMS; n > 1; n--) {
            sum.multiply(sum, r).divide(n);
            sum.add(ONE, sum, false);
        }
        sum.multiply(sum, r);
        round(sum, soft, result);
    }

    /** y * log2 x for a positive x other than 1. */
    public void logarithm(Unpacked y, Unpacked x, SoftFloat soft, Unpacked result) {
        z.set(x);
        logarithm();
        product(y, soft, result);
    }

    /** y * log2 (1 + x) for x above -1. */
    public void logarithmOnePlus(Unpacked y, Unpacked x, SoftFloat soft, Unpacked result) {
        r.set(x);
        if (x.exponent >= -2) {
            z.add(ONE, r, false);
            logarithm();
        } else {
            u.add(TWO, r, false);
            u.divide(r, u);
            logarithmSeries();
        }
        product(y, soft, result);
    }

    private void product(Unpacked y, SoftFloat soft, Unpacked result) {
        r.set(y);
        sum.multiply(sum, r);
        round(sum, soft, result);
    }

    /** sum = log2 z, as e + log2 m with m between the square roots of 1/2 and 2. */
    private void logarithm() {
        int e = z.exponent;
        if (Long.compareUnsigned(z.hi, ROOT_2) > 0) {
            e++;
        }
        z.exponent -= e;
        term.add(z, ONE, false);
        u.add(z, ONE, true);
        u.divide(u, term);
        logarithmSeries();
        term.set(e);
        sum.add(sum, term, false);
    }

    /** sum = log2 ((1 + u) / (1 - u)) = 2 log2(e) atanh u. */
    private void logarithmSeries() {
        z.multiply(u, u);
        sum.set(ODD_RECIPROCALS[LOGARITHM_TERMS]);
        for (int k = LOGARITHM_TERMS - 1; k >= 0; k--) {
            sum.multiply(sum, z);
            sum.add(ODD_RECIPROCALS[k], sum, false);
        }
        sum.multiply(sum, u);
        sum.multiply(sum, LOG2_E);
        if (sum.hi != 0) {
            sum.exponent++;
        }
    }
}
