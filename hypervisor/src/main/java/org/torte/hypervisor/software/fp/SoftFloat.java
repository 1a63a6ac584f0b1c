package org.torte.hypervisor.software.fp;

import static org.torte.hypervisor.software.fp.Unpacked.FINITE;
import static org.torte.hypervisor.software.fp.Unpacked.INFINITY;
import static org.torte.hypervisor.software.fp.Unpacked.QUIET;
import static org.torte.hypervisor.software.fp.Unpacked.SIGNALLING;
import static org.torte.hypervisor.software.fp.Unpacked.TOP;
import static org.torte.hypervisor.software.fp.Unpacked.UNSUPPORTED;
import static org.torte.hypervisor.software.fp.Unpacked.ZERO;

/**
 * The arithmetic itself (IEEE 754-2008; Intel SDM vol. 1, chapter 4 and sections 8.5 and 11.5). The fields hold the
 * control bits of the instruction under way and collect its exception flags, whose places are those of MXCSR and of the
 * x87 status word. For one thread; allocates nothing.
 */
public final class SoftFloat {
    /** Exception flags. */
    public static final int INVALID = 1, DENORMAL = 2, ZERO_DIVIDE = 4, OVERFLOW = 8, UNDERFLOW = 16, INEXACT = 32;

    /** Rounding modes, as in MXCSR.RC. */
    public static final int NEAREST = 0, DOWN = 1, UP = 2, TO_ZERO = 3;

    /** {@link #compare}: at least one operand is a NaN. */
    public static final int UNORDERED = 2;

    /** How far an unmasked x87 overflow or underflow moves the exponent of its result (SDM vol. 1, 8.5.4). */
    private static final int WRAP = 24576;

    /** The rounding mode, 0 to 3. */
    public int rounding;

    /** Exceptions that are masked, by flag. */
    public int masks = 0x3f;

    /** MXCSR.FZ: tiny results become zero while underflow is masked. */
    public boolean flushToZero;

    /** Of two NaNs the one with the larger significand is propagated (x87) instead of the first (SSE). */
    public boolean x87;

    /** Flags raised since the caller cleared them. */
    public int flags;

    /** Whether the last rounding increased the magnitude: C1 of the x87. */
    public boolean roundedUp;

    /** a + b or, when {@code subtract}, a - b. */
    public void add(Unpacked a, Unpacked b, boolean subtract, FloatFormat format, Unpacked result) {
        if (a.kind >= QUIET || b.kind >= QUIET) {
            propagate(a, b, result);
            return;
        }
        boolean signB = b.negative ^ subtract;
        if (a.kind == INFINITY && b.kind == INFINITY && a.negative != signB) {
            invalid(result);
            return;
        }
        noteDenormals(a, b);
        if (a.kind == INFINITY || b.kind == INFINITY) {
            result.setInfinity(a.kind == INFINITY ? a.negative : signB);
        } else if (b.kind == ZERO) {
            if (a.kind == ZERO) {
                result.setZero(a.negative == signB ? a.negative : rounding == DOWN);
            } else {
                round(a.negative, a.exponent, a.significand, 0, format, result);
            }
        } else if (a.kind == ZERO) {
            round(signB, b.exponent, b.significand, 0, format, result);
        } else if (a.exponent > b.exponent
                || a.exponent == b.exponent && Long.compareUnsigned(a.significand, b.significand) >= 0) {
            addMagnitudes(a.negative, a, b, a.negative != signB, format, result);
        } else {
            addMagnitudes(signB, b, a, a.negative != signB, format, result);
        }
    }

    /** |large| plus or minus |small|, with the given sign. */
    private void addMagnitudes(
            boolean sign, Unpacked large, Unpacked small, boolean subtract, FloatFormat format, Unpacked result) {
        int distance = large.exponent - small.exponent;
        long high = shiftedHigh(small.significand, distance);
        long low = shiftedLow(small.significand, distance);
        int exponent = large.exponent;
        if (!subtract) {
            long sum = large.significand + high;
            if (Long.compareUnsigned(sum, high) < 0) {
                low = sum << 63 | low >>> 1 | low & 1;
                sum = sum >>> 1 | TOP;
                exponent++;
            }
            round(sign, exponent, sum, low, format, result);
            return;
        }
        long difference = large.significand - high - (low != 0 ? 1 : 0);
        low = -low;
        if (difference == 0) {
            if (low == 0) {
                result.setZero(rounding == DOWN);
                return;
            }
            difference = low;
            low = 0;
            exponent -= 64;
        }
        int shift = Long.numberOfLeadingZeros(difference);
        if (shift > 0) {
            difference = difference << shift | low >>> 64 - shift;
            low <<= shift;
        }
        round(sign, exponent - shift, difference, low, format, result);
    }

    /** Bits 127:64 of {@code x * 2^64} shifted right. */
    private static long shiftedHigh(long x, int distance) {
        return distance < 64 ? x >>> distance : 0;
    }

    /** Bits 63:0 of {@code x * 2^64} shifted right, with a sticky lowest bit. */
    private static long shiftedLow(long x, int distance) {
        if (distance == 0) {
            return 0;
        }
        if (distance < 64) {
            return x << 64 - distance;
        }
        if (distance == 64) {
            return x;
        }
        if (distance < 128) {
            return x >>> distance - 64 | (x << 128 - distance != 0 ? 1 : 0);
        }
        return 1;
    }

    /** a * b. */
    public void multiply(Unpacked a, Unpacked b, FloatFormat format, Unpacked result) {
        if (a.kind >= QUIET || b.kind >= QUIET) {
            propagate(a, b, result);
            return;
        }
        boolean sign = a.negative ^ b.negative;
        if (a.kind == INFINITY && b.kind == ZERO || a.kind == ZERO && b.kind == INFINITY) {
            invalid(result);
            return;
        }
        noteDenormals(a, b);
        if (a.kind == INFINITY || b.kind == INFINITY) {
            result.setInfinity(sign);
        } else if (a.kind == ZERO || b.kind == ZERO) {
            result.setZero(sign);
        } else {
            long high = Math.unsignedMultiplyHigh(a.significand, b.significand);
            long low = a.significand * b.significand;
            int exponent = a.exponent + b.exponent + 1;
            if (high >= 0) {
                high = high << 1 | low >>> 63;
                low <<= 1;
                exponent--;
            }
            round(sign, exponent, high, low, format, result);
        }
    }

    /** a / b. */
    public void divide(Unpacked a, Unpacked b, FloatFormat format, Unpacked result) {
        if (a.kind >= QUIET || b.kind >= QUIET) {
            propagate(a, b, result);
            return;
        }
        boolean sign = a.negative ^ b.negative;
        if (a.kind == INFINITY && b.kind == INFINITY || a.kind == ZERO && b.kind == ZERO) {
            invalid(result);
            return;
        }
        if (b.kind == ZERO) {
            if (a.kind == FINITE) {
                flags |= ZERO_DIVIDE;
            }
            result.setInfinity(sign);
            return;
        }
        noteDenormals(a, b);
        if (a.kind == INFINITY) {
            result.setInfinity(sign);
        } else if (a.kind == ZERO || b.kind == INFINITY) {
            result.setZero(sign);
        } else {
            int exponent = a.exponent - b.exponent;
            long high = a.significand;
            long low = 0;
            if (Long.compareUnsigned(high, b.significand) >= 0) {
                low = high << 63;
                high >>>= 1;
            } else {
                exponent--;
            }
            long quotient = divide128(high, low, b.significand);
            long remainder = low - quotient * b.significand;
            round(sign, exponent, quotient, fractionBits(remainder, b.significand), format, result);
        }
    }

    /** The bits after an integer quotient, as a half bit and a sticky bit: {@code remainder / divisor}. */
    private static long fractionBits(long remainder, long divisor) {
        if (remainder == 0) {
            return 0;
        }
        int order = Long.compareUnsigned(remainder, divisor - remainder);
        return order < 0 ? 1 : order == 0 ? TOP : TOP | 1;
    }

    /** {@code high:low / divisor} for high &lt; divisor with its top bit set: two digits of 32 bits (Knuth 4.3.1 D). */
    static long divide128(long high, long low, long divisor) {
        long d1 = divisor >>> 32;
        long d0 = divisor & 0xffffffffL;
        long q1 = quotientDigit(high, low >>> 32, d1, d0);
        long rest = (high << 32 | low >>> 32) - q1 * divisor;
        long q0 = quotientDigit(rest, low & 0xffffffffL, d1, d0);
        return (q1 << 32) + q0;
    }

    private static long quotientDigit(long high, long next, long d1, long d0) {
        long q = Long.divideUnsigned(high, d1);
        long r = high - q * d1;
        while (q >>> 32 != 0 || Long.compareUnsigned(q * d0, r << 32 | next) > 0) {
            q--;
            r += d1;
            if (r >>> 32 != 0) {
                break;
            }
        }
        return q;
    }

    /** The square root of a. */
    public void squareRoot(Unpacked a, FloatFormat format, Unpacked result) {
        if (a.kind >= QUIET) {
            propagate(a, a, result);
            return;
        }
        if (a.kind == ZERO) {
            result.setZero(a.negative);
            return;
        }
        if (a.negative) {
            invalid(result);
            return;
        }
        noteDenormals(a, a);
        if (a.kind == INFINITY) {
            result.setInfinity(false);
            return;
        }
        // value = n * 2^(exponent - 127) for the 128-bit n = high:low, made so that the exponent is even
        long high = a.significand;
        long low = 0;
        if ((a.exponent & 1) == 0) {
            low = high << 63;
            high >>>= 1;
        }
        long root = squareRoot128(high, low);
        long squareHigh = Math.unsignedMultiplyHigh(root, root);
        long squareLow = root * root;
        long restLow = low - squareLow;
        long restHigh = high - squareHigh - (Long.compareUnsigned(low, squareLow) < 0 ? 1 : 0);
        // (root + 1/2)^2 = root^2 + root + 1/4, so the half bit is set when the rest exceeds root.
        long extra = 0;
        if (restHigh != 0 || Long.compareUnsigned(restLow, root) > 0) {
            extra = TOP | 1;
        } else if (restLow != 0) {
            extra = 1;
        }
        round(false, a.exponent >> 1, root, extra, format, result);
    }

    /** The integer square root of {@code high:low}, which must be at least 2^126. */
    static long squareRoot128(long high, long low) {
        // 53 bits from the hardware, then one step of Newton's method, then off by at most a few.
        double approximation = Math.sqrt((high >>> 1) * 0x1p65);
        long root = approximation >= 0x1p64 ? -1L : (long) (approximation * 0.5) << 1;
        root |= TOP;
        if (Long.compareUnsigned(high, root) < 0) {
            long quotient = divide128(high, low, root);
            root = (root >>> 1) + (quotient >>> 1) + (root & quotient & 1);
            root |= TOP;
        }
        while (isSquareAbove(root, high, low)) {
            root--;
        }
        while (root != -1L && !isSquareAbove(root + 1, high, low)) {
            root++;
        }
        return root;
    }

    private static boolean isSquareAbove(long root, long high, long low) {
        int order = Long.compareUnsigned(Math.unsignedMultiplyHigh(root, root), high);
        return order > 0 || order == 0 && Long.compareUnsigned(root * root, low) > 0;
    }

    /** -1, 0 or 1 as a is below, equal to or above b, or {@link #UNORDERED}. Quiet NaNs are invalid if {@code signalling}. */
    public int compare(Unpacked a, Unpacked b, boolean signalling) {
        if (a.kind >= QUIET || b.kind >= QUIET) {
            if (signalling || a.kind > QUIET || b.kind > QUIET) {
                flags |= INVALID;
            }
            return UNORDERED;
        }
        noteDenormals(a, b);
        if (a.kind == ZERO && b.kind == ZERO) {
            return 0;
        }
        if (a.kind == ZERO) {
            return b.negative ? 1 : -1;
        }
        if (b.kind == ZERO || a.negative != b.negative) {
            return a.negative ? -1 : 1;
        }
        int order = Integer.compare(a.kind, b.kind);
        if (order == 0 && a.kind == FINITE) {
            order = Integer.compare(a.exponent, b.exponent);
            if (order == 0) {
                order = Long.compareUnsigned(a.significand, b.significand);
            }
        }
        return Integer.signum(a.negative ? -order : order);
    }

    /** Rounds a to another format; {@code flagDenormal} says whether a denormal operand is an exception. */
    public void convert(Unpacked a, boolean flagDenormal, FloatFormat format, Unpacked result) {
        if (a.kind >= QUIET) {
            propagate(a, a, result);
            return;
        }
        if (flagDenormal) {
            noteDenormals(a, a);
        }
        if (a.kind == FINITE) {
            round(a.negative, a.exponent, a.significand, 0, format, result);
        } else {
            result.set(a);
        }
    }

    /**
     * The signed integer of {@code bits} bits next to a; when there is none, the invalid flag and the most negative one.
     *
     * @param mode the rounding mode
     */
    public long toInteger(Unpacked a, int bits, int mode) {
        roundedUp = false;
        long indefinite = -1L << bits - 1;
        if (a.kind == ZERO) {
            return 0;
        }
        if (a.kind != FINITE || a.exponent >= bits) {
            flags |= INVALID;
            return indefinite;
        }
        int shift = 63 - a.exponent;
        long magnitude = shiftedHigh(a.significand, shift);
        long fraction = shiftedLow(a.significand, shift);
        boolean up = fraction != 0 && roundsUp(mode, a.negative, (magnitude & 1) != 0, fraction);
        if (up) {
            magnitude++;
        }
        long limit = a.negative ? indefinite : ~indefinite;
        if (Long.compareUnsigned(magnitude, a.negative ? -limit : limit) > 0) {
            flags |= INVALID;
            return indefinite;
        }
        if (fraction != 0) {
            flags |= INEXACT;
            roundedUp = up;
        }
        return a.negative ? -magnitude : magnitude;
    }

    /** Rounds a to an integral number; denormal operands raise nothing here. */
    public void roundToIntegral(Unpacked a, int mode, Unpacked result) {
        roundedUp = false;
        if (a.kind >= QUIET) {
            propagate(a, a, result);
            return;
        }
        result.set(a);
        if (a.kind != FINITE || a.exponent >= 63) {
            return;
        }
        int shift = 63 - a.exponent;
        long magnitude = shiftedHigh(a.significand, shift);
        long fraction = shiftedLow(a.significand, shift);
        if (fraction == 0) {
            return;
        }
        flags |= INEXACT;
        if (roundsUp(mode, a.negative, (magnitude & 1) != 0, fraction)) {
            magnitude++;
            roundedUp = true;
        }
        if (magnitude == 0) {
            result.setZero(a.negative);
        } else {
            int zeroes = Long.numberOfLeadingZeros(magnitude);
            result.setFinite(a.negative, 63 - zeroes, magnitude << zeroes);
        }
    }

    /** Whether to increase a magnitude whose discarded part, below the binary point, is {@code fraction}, not zero. */
    private static boolean roundsUp(int mode, boolean negative, boolean odd, long fraction) {
        return switch (mode) {
            case NEAREST -> fraction < 0 && (fraction != TOP || odd);
            case DOWN -> negative;
            case UP -> !negative;
            default -> false;
        };
    }

    /** The NaN that an operation with at least one NaN operand gives; pass the same object twice for one operand. */
    public void propagate(Unpacked a, Unpacked b, Unpacked result) {
        if (a.kind == UNSUPPORTED || b.kind == UNSUPPORTED) {
            invalid(result);
            return;
        }
        if (a.kind == SIGNALLING || b.kind == SIGNALLING) {
            flags |= INVALID;
        }
        result.set(x87 ? chooseNaN(a, b) : a.kind >= QUIET ? a : b);
        result.kind = QUIET;
        result.significand |= Unpacked.QUIET_BIT;
    }

    /** SDM vol. 1, table 4-7. */
    private static Unpacked chooseNaN(Unpacked a, Unpacked b) {
        if (a.kind < QUIET) {
            return b;
        }
        if (b.kind < QUIET) {
            return a;
        }
        if (a.kind != b.kind) {
            return a.kind == QUIET ? a : b;
        }
        int order = Long.compareUnsigned(a.significand, b.significand);
        if (order == 0) {
            return a.negative ? b : a;
        }
        return order > 0 ? a : b;
    }

    /** Raises the invalid flag and gives the indefinite NaN. */
    public void invalid(Unpacked result) {
        flags |= INVALID;
        result.setIndefinite();
    }

    /** Raises the denormal flag if an operand is one. */
    public void noteDenormals(Unpacked a, Unpacked b) {
        if (a.denormal || b.denormal) {
            flags |= DENORMAL;
        }
    }

    /**
     * Rounds {@code (significand + extra / 2^64) * 2^(exponent - 63)}, whose significand has its top bit set, and raises
     * what flags that takes. Tininess is detected after rounding.
     */
    public void round(
            boolean negative, int exponent, long significand, long extra, FloatFormat format, Unpacked result) {
        int drop = 64 - format.precision();
        int e = exponent;
        long s = significand;
        long x = extra;
        boolean tiny = false;
        boolean wrapped = false;
        if (e < format.minimum()) {
            tiny = e < format.minimum() - 1 || !(increments(negative, s, x, drop) && (s | (1L << drop) - 1) == -1L);
            if (tiny && (masks & UNDERFLOW) == 0) {
                // The exponent that a handler sees (x87), or one nobody sees (SSE has no result then): no denormal.
                flags |= UNDERFLOW;
                e += WRAP;
                wrapped = true;
            } else {
                if (tiny && flushToZero) {
                    flags |= UNDERFLOW | INEXACT;
                    roundedUp = false;
                    result.setZero(negative);
                    return;
                }
                int shift = format.minimum() - e;
                long lost = x;
                x = shift < 64 ? s << 64 - shift | x >>> shift : shiftedLow(s, shift);
                if (shift >= 64 ? lost != 0 : lost << 64 - shift != 0) {
                    x |= 1;
                }
                s = shiftedHigh(s, shift);
                e = format.minimum();
            }
        }
        long below = (1L << drop) - 1;
        boolean inexact = (s & below) != 0 || x != 0;
        roundedUp = inexact && increments(negative, s, x, drop);
        s &= ~below;
        if (roundedUp) {
            s += 1L << drop;
            if (s == 0) {
                s = TOP;
                e++;
            }
        }
        if (inexact) {
            flags |= tiny && !wrapped ? INEXACT | UNDERFLOW : INEXACT;
        }
        if (e > format.maximum() && !wrapped) {
            flags |= OVERFLOW;
            if ((masks & OVERFLOW) != 0) {
                overflow(negative, drop, format, result);
                return;
            }
            e -= WRAP;
            if (e > format.maximum()) {
                flags |= INEXACT;
                roundedUp = true;
                result.setInfinity(negative);
                return;
            }
        }
        if (wrapped && e < format.minimum()) {
            flags |= INEXACT;
            result.setZero(negative);
        } else if (s == 0) {
            result.setZero(negative);
        } else {
            result.setFinite(negative, e, s);
        }
    }

    private boolean increments(boolean negative, long s, long x, int drop) {
        long fraction = drop == 0 ? x : s << 64 - drop | (x != 0 ? 1 : 0);
        return fraction != 0 && roundsUp(rounding, negative, (s >>> drop & 1) != 0, fraction);
    }

    private void overflow(boolean negative, int drop, FloatFormat format, Unpacked result) {
        flags |= INEXACT;
        if (rounding == NEAREST || rounding == (negative ? DOWN : UP)) {
            roundedUp = true;
            result.setInfinity(negative);
        } else {
            roundedUp = false;
            result.setFinite(negative, format.maximum(), -1L << drop);
        }
    }
}
