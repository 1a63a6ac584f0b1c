package org.torte.hypervisor.software.fp;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SoftFloatTest {
    private static final long SEED = 0x746f727465L;
    private static final int CASES = 60_000;

    private final Random random = new Random(SEED);
    private final SoftFloat soft = new SoftFloat();
    private final Unpacked a = new Unpacked();
    private final Unpacked b = new Unpacked();
    private final Unpacked result = new Unpacked();

    /** Doubles with few or many bits, near each other in size, tiny, huge and special. */
    private long operand() {
        long sign = random.nextLong() & Long.MIN_VALUE;
        long fraction = random.nextLong() >>> 12 & -1L << random.nextInt(53);
        return switch (random.nextInt(6)) {
            case 0 -> random.nextLong();
            case 1 -> sign | fraction;
            case 2 -> sign | (long) (0x7fe - random.nextInt(2)) << 52 | fraction;
            case 3 -> sign | (long) random.nextInt(0x7ff) << 52 | fraction;
            case 4 -> sign | random.nextInt(2) * 0x7ffL << 52;
            default -> sign | (long) (1023 - 40 + random.nextInt(80)) << 52 | fraction;
        };
    }

    @Test
    void doublesRoundedToNearestAreThoseOfJava() {
        for (int i = 0; i < CASES; i++) {
            long x = operand();
            long y = operand();
            double p = Double.longBitsToDouble(x);
            double q = Double.longBitsToDouble(y);
            double expected = switch (compute(i & 3, x, y, FloatFormat.DOUBLE)) {
                case 0 -> p + q;
                case 1 -> p - q;
                case 2 -> p * q;
                default -> p / q;
            };
            double actual = Double.longBitsToDouble(result.get64());
            assertThat(actual)
                    .as("operation %d on %x and %x, seed %x", i & 3, x, y, SEED)
                    .isEqualTo(Double.valueOf(expected));
        }
    }

    @Test
    void squareRootsAreThoseOfJava() {
        for (int i = 0; i < CASES; i++) {
            long x = operand() & Long.MAX_VALUE;
            a.set64(x, false);
            soft.squareRoot(a, FloatFormat.DOUBLE, result);
            assertThat(Double.longBitsToDouble(result.get64()))
                    .as("square root of %x, seed %x", x, SEED)
                    .isEqualTo(Double.valueOf(Math.sqrt(Double.longBitsToDouble(x))));
        }
    }

    private int compute(int operation, long x, long y, FloatFormat format) {
        a.set64(x, false);
        b.set64(y, false);
        soft.flags = 0;
        switch (operation) {
            case 0 -> soft.add(a, b, false, format, result);
            case 1 -> soft.add(a, b, true, format, result);
            case 2 -> soft.multiply(a, b, format, result);
            default -> soft.divide(a, b, format, result);
        }
        return operation;
    }

    private static BigDecimal exact(Unpacked x) {
        if (x.kind == Unpacked.ZERO) {
            return BigDecimal.ZERO;
        }
        BigDecimal magnitude = new BigDecimal(new BigInteger(Long.toUnsignedString(x.significand)));
        int shift = x.exponent - 63;
        BigDecimal power = new BigDecimal(BigInteger.ONE.shiftLeft(Math.abs(shift)));
        BigDecimal value = shift >= 0 ? magnitude.multiply(power) : magnitude.divide(power);
        return x.negative ? value.negate() : value;
    }

    /** The next number away from zero at the same exponent, as the distance of one unit of the last place. */
    private static BigDecimal unit(Unpacked x, int precision) {
        Unpacked one = new Unpacked();
        one.setFinite(false, x.exponent - precision + 1, 1L << 63);
        return exact(one);
    }

    @Test
    void everyRoundingModePicksTheRightNeighbour() {
        FloatFormat[] formats = {
            FloatFormat.SINGLE,
            FloatFormat.DOUBLE,
            FloatFormat.EXTENDED,
            FloatFormat.EXTENDED_24,
            FloatFormat.EXTENDED_53
        };
        for (int i = 0; i < CASES / 10; i++) {
            FloatFormat format = formats[i % formats.length];
            soft.rounding = random.nextInt(4);
            a.setFinite(random.nextBoolean(), random.nextInt(60) - 30, random.nextLong() | 1L << 63);
            b.setFinite(random.nextBoolean(), random.nextInt(60) - 30, random.nextLong() | 1L << 63);
            soft.flags = 0;
            boolean product = random.nextBoolean();
            BigDecimal expected;
            if (product) {
                soft.multiply(a, b, format, result);
                expected = exact(a).multiply(exact(b));
            } else {
                soft.add(a, b, false, format, result);
                expected = exact(a).add(exact(b));
            }
            BigDecimal error = exact(result).subtract(expected);
            BigDecimal unit = unit(result, format.precision());
            String what = "case " + i + " mode " + soft.rounding + " " + format + ", seed " + SEED;
            assertThat((soft.flags & SoftFloat.INEXACT) != 0).as(what).isEqualTo(error.signum() != 0);
            int outward = error.signum() * (result.negative ? -1 : 1);
            assertThat(soft.roundedUp).as(what).isEqualTo(outward > 0);
            switch (soft.rounding) {
                case SoftFloat.NEAREST ->
                    assertThat(error.abs().multiply(BigDecimal.TWO)).as(what).isLessThanOrEqualTo(unit);
                case SoftFloat.DOWN -> assertThat(error.signum()).as(what).isLessThanOrEqualTo(0);
                case SoftFloat.UP -> assertThat(error.signum()).as(what).isGreaterThanOrEqualTo(0);
                default -> assertThat(outward).as(what).isLessThanOrEqualTo(0);
            }
            assertThat(error.abs()).as(what).isLessThan(unit);
        }
    }

    @Test
    void tininessIsDetectedAfterRounding() {
        // Both become the smallest normal number, but only the first would with an unbounded exponent, too.
        soft.round(false, -1023, -1L, -1L, FloatFormat.DOUBLE, result);
        assertThat(soft.flags).isEqualTo(SoftFloat.INEXACT);
        assertThat(result.get64()).isEqualTo(0x0010000000000000L);
        soft.flags = 0;
        soft.round(false, -1023, -1L << 11, 0, FloatFormat.DOUBLE, result);
        assertThat(soft.flags).isEqualTo(SoftFloat.INEXACT | SoftFloat.UNDERFLOW);
    }

    @Test
    void theTranscendentalFunctionsAgreeWithStrictMathToItsPrecision() {
        soft.x87 = true;
        Transcendental functions = new Transcendental();
        double ln2 = Math.log(2);
        for (int i = 0; i < 4000; i++) {
            double x = (random.nextDouble() * 2 - 1) * Math.pow(2, random.nextInt(10) - 5);
            double y = random.nextDouble() * 4 - 2;
            near(StrictMath.sin(x), x, () -> functions.sine(a, soft, result));
            near(StrictMath.cos(x), x, () -> functions.cosine(a, soft, result));
            near(StrictMath.tan(x), x, () -> functions.tangent(a, soft, result));
            double small = x / 32;
            near(StrictMath.expm1(small * ln2), small, () -> functions.exponential(a, soft, result));
            b.set64(Double.doubleToRawLongBits(y), false);
            near(StrictMath.atan2(y, x), x, () -> functions.arctangent(b, a, soft, result));
            near(y * StrictMath.log(Math.abs(x)) / ln2, Math.abs(x), () -> functions.logarithm(b, a, soft, result));
            near(
                    y * StrictMath.log1p(small / 4) / ln2,
                    small / 4,
                    () -> functions.logarithmOnePlus(b, a, soft, result));
        }
    }

    private void near(double expected, double x, Runnable function) {
        a.set64(Double.doubleToRawLongBits(x), false);
        function.run();
        Unpacked rounded = new Unpacked();
        new SoftFloat().convert(result, false, FloatFormat.DOUBLE, rounded);
        double actual = Double.longBitsToDouble(rounded.get64());
        // The references themselves are off by one or two units, more where they divide by a rounded logarithm.
        assertThat(Math.abs(actual - expected))
                .as("%s instead of %s for %s, seed %x", actual, expected, x, SEED)
                .isLessThanOrEqualTo(6 * Math.ulp(expected) + Math.ulp(x) * 1e-3);
    }

    @Test
    void transcendentalResultsHaveAll64Bits() {
        // Values from a 60-digit calculator.
        Transcendental functions = new Transcendental();
        a.setInteger(1);
        functions.sine(a, soft, result);
        assertThat(result.significand).isEqualTo(0xd76aa47848677021L);
        functions.cosine(a, soft, result);
        assertThat(result.significand).isEqualTo(0x8a51407da8345c92L);
        functions.quarters(1, false, soft, result);
        assertThat(result.significand).isEqualTo(0xc90fdaa22168c235L);
        b.setInteger(1);
        a.setInteger(10);
        functions.logarithm(b, a, soft, result);
        assertThat(result.significand).isEqualTo(0xd49a784bcd1b8afeL);
    }
}
