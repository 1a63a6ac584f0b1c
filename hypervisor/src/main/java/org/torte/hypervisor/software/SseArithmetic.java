package org.torte.hypervisor.software;

import org.torte.hypervisor.software.fp.FloatFormat;
import org.torte.hypervisor.software.fp.SoftFloat;
import org.torte.hypervisor.software.fp.Unpacked;

/**
 * One element's worth of SSE arithmetic on bit patterns, with the exceptions collected in {@link #flags}.
 *
 * <p>Java's own arithmetic rounds to nearest and tells no flags. It is used when MXCSR has that mode and masks
 * everything, no operand is special or denormal and the result is a normal number, so that inexactness is the only flag
 * in question; whether it is raised follows from an error term that is computed exactly, or does not matter because
 * the sticky flag is set already. Everything else goes to {@link SoftFloat}.
 */
final class SseArithmetic {
    /** Numbers of the two-operand operations. */
    static final int ADD = 0, SUBTRACT = 1, MULTIPLY = 2, DIVIDE = 3, MINIMUM = 4, MAXIMUM = 5;

    /** Rounding control and masks of MXCSR, and their value for nearest and everything masked. */
    private static final int PLAIN_MASK = 0x7f80, PLAIN = 0x1f80;

    private static final int DAZ = 1 << 6, FZ = 1 << 15, PE = 1 << 5;
    private static final int OSXMMEXCPT = 1 << 10;
    private static final long HIDDEN = 1L << 52;

    /** Flags of the instruction under way; {@link #commit} takes and clears them. */
    int flags;

    private final FpuState fpu;
    private final CpuContext cpu;
    private final SoftFloat soft = new SoftFloat();
    private final Unpacked a = new Unpacked();
    private final Unpacked b = new Unpacked();
    private final Unpacked result = new Unpacked();

    SseArithmetic(FpuState fpu, CpuContext cpu) {
        this.fpu = fpu;
        this.cpu = cpu;
    }

    /**
     * Ends an instruction's computation, before it writes its result: sets the flags in MXCSR and raises #XM (#UD without
     * CR4.OSXMMEXCPT) if one is unmasked. Unmasked exceptions found before computing keep those of the rounding from
     * showing (SDM vol. 1, 11.5.2.2).
     */
    void commit() {
        int raised = flags;
        if (raised == 0) {
            return;
        }
        flags = 0;
        int unmasked = raised & ~(fpu.mxcsr >>> 7) & 0x3f;
        if ((unmasked & (SoftFloat.INVALID | SoftFloat.DENORMAL | SoftFloat.ZERO_DIVIDE)) != 0) {
            raised &= SoftFloat.INVALID | SoftFloat.DENORMAL | SoftFloat.ZERO_DIVIDE;
        }
        fpu.mxcsr |= raised;
        if (unmasked != 0) {
            throw cpu.fault((cpu.cr4() & OSXMMEXCPT) != 0 ? GuestFault.XM : GuestFault.UD, 0);
        }
    }

    private boolean plain() {
        return (fpu.mxcsr & PLAIN_MASK) == PLAIN;
    }

    private boolean inexactKnown() {
        return (fpu.mxcsr & PE) != 0;
    }

    /** Neither NaN, infinity nor denormal. */
    private static boolean ordinary(double x) {
        double m = Math.abs(x);
        return m >= Double.MIN_NORMAL && m <= Double.MAX_VALUE || m == 0;
    }

    private static boolean ordinary(float x) {
        float m = Math.abs(x);
        return m >= Float.MIN_NORMAL && m <= Float.MAX_VALUE || m == 0;
    }

    /** One of the two-operand operations in double precision. */
    long binary64(int operation, long x, long y) {
        double p = Double.longBitsToDouble(x);
        double q = Double.longBitsToDouble(y);
        if (plain() && ordinary(p) && ordinary(q)) {
            switch (operation) {
                case ADD, SUBTRACT -> {
                    double s = operation == ADD ? q : -q;
                    double r = p + s;
                    if (ordinary(r)) {
                        if (!inexactKnown() && sumError(p, s, r) != 0) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return Double.doubleToRawLongBits(r);
                    }
                }
                case MULTIPLY -> {
                    double r = p * q;
                    double m = Math.abs(r);
                    if (m > Double.MIN_NORMAL && m <= Double.MAX_VALUE) {
                        long bits = Double.doubleToRawLongBits(r);
                        if (!inexactKnown() && !exactProduct(x, y, bits)) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return bits;
                    }
                    if (p == 0 || q == 0) {
                        return Double.doubleToRawLongBits(r);
                    }
                }
                case DIVIDE -> {
                    double r = p / q;
                    double m = Math.abs(r);
                    if (m > Double.MIN_NORMAL && m <= Double.MAX_VALUE && q != 0) {
                        long bits = Double.doubleToRawLongBits(r);
                        if (!inexactKnown() && !equalsProduct(bits, y, x)) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return bits;
                    }
                    if (p == 0 && q != 0) {
                        return Double.doubleToRawLongBits(r);
                    }
                }
                case MINIMUM -> {
                    return p < q ? x : y;
                }
                default -> {
                    return p > q ? x : y;
                }
            }
        }
        return slowBinary64(operation, x, y);
    }

    /** What rounding took from p + q = r, exactly (Knuth, TAOCP vol. 2, 4.2.2 theorem B). */
    private static double sumError(double p, double q, double r) {
        double virtual = r - p;
        return (p - (r - virtual)) + (q - virtual);
    }

    /**
     * Whether r is x * y exactly, for normal numbers: their product has as many trailing zero bits as both together, and
     * 105 or 106 bits, of which 53 fit. When rounding has carried r into the next power of two it was not exact, and the
     * count is too small for either length.
     */
    private static boolean exactProduct(long x, long y, long r) {
        int zeroes = Long.numberOfTrailingZeros(x | HIDDEN) + Long.numberOfTrailingZeros(y | HIDDEN);
        int carry = exponent(r) - exponent(x) - exponent(y) + 1023;
        return zeroes >= 52 + carry;
    }

    private static int exponent(long x) {
        return (int) (x >>> 52) & 0x7ff;
    }

    /**
     * Whether r * y is x exactly, for a rounded quotient (or square root) r of normal numbers. The difference is below
     * 2^53 units of the last place of the product, so comparing the low 64 bits is enough.
     */
    private static boolean equalsProduct(long r, long y, long x) {
        if (x << 1 == 0) {
            return true;
        }
        int shift = exponent(x) - exponent(r) - exponent(y) + 1023 + 52;
        long product = (r & HIDDEN - 1 | HIDDEN) * (y & HIDDEN - 1 | HIDDEN);
        return product == (x & HIDDEN - 1 | HIDDEN) << shift;
    }

    private void prepare() {
        int mxcsr = fpu.mxcsr;
        soft.rounding = mxcsr >>> 13 & 3;
        soft.masks = mxcsr >>> 7 & 0x3f;
        soft.flushToZero = (mxcsr & FZ) != 0;
        soft.flags = 0;
    }

    private boolean daz() {
        return (fpu.mxcsr & DAZ) != 0;
    }

    private long slowBinary64(int operation, long x, long y) {
        a.set64(x, daz());
        b.set64(y, daz());
        if (operation >= MINIMUM) {
            return chooseFirst(operation)
                    ? a.kind == Unpacked.ZERO ? x & Long.MIN_VALUE : x
                    : b.kind == Unpacked.ZERO ? y & Long.MIN_VALUE : y;
        }
        compute(operation, FloatFormat.DOUBLE);
        return result.get64();
    }

    private void compute(int operation, FloatFormat format) {
        prepare();
        switch (operation) {
            case ADD -> soft.add(a, b, false, format, result);
            case SUBTRACT -> soft.add(a, b, true, format, result);
            case MULTIPLY -> soft.multiply(a, b, format, result);
            default -> soft.divide(a, b, format, result);
        }
        flags |= soft.flags;
    }

    /** MIN and MAX: the second operand unless the first is strictly smaller or larger. */
    private boolean chooseFirst(int operation) {
        prepare();
        int order = soft.compare(a, b, true);
        flags |= soft.flags;
        return order == (operation == MINIMUM ? -1 : 1);
    }

    /** One of the two-operand operations in single precision. */
    int binary32(int operation, int x, int y) {
        float p = Float.intBitsToFloat(x);
        float q = Float.intBitsToFloat(y);
        if (plain() && ordinary(p) && ordinary(q)) {
            switch (operation) {
                case ADD, SUBTRACT -> {
                    float s = operation == ADD ? q : -q;
                    float r = p + s;
                    if (ordinary(r)) {
                        if (!inexactKnown() && sumError(p, s, r) != 0) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return Float.floatToRawIntBits(r);
                    }
                }
                case MULTIPLY -> {
                    float r = p * q;
                    float m = Math.abs(r);
                    if (m > Float.MIN_NORMAL && m <= Float.MAX_VALUE || p == 0 || q == 0) {
                        // 48 bits: exact in double precision
                        if ((double) p * q != r) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return Float.floatToRawIntBits(r);
                    }
                }
                case DIVIDE -> {
                    float r = p / q;
                    float m = Math.abs(r);
                    if (q != 0 && (m > Float.MIN_NORMAL && m <= Float.MAX_VALUE || p == 0)) {
                        if ((double) r * q != p) {
                            flags |= SoftFloat.INEXACT;
                        }
                        return Float.floatToRawIntBits(r);
                    }
                }
                case MINIMUM -> {
                    return p < q ? x : y;
                }
                default -> {
                    return p > q ? x : y;
                }
            }
        }
        return slowBinary32(operation, x, y);
    }

    private static float sumError(float p, float q, float r) {
        float virtual = r - p;
        return (p - (r - virtual)) + (q - virtual);
    }

    private int slowBinary32(int operation, int x, int y) {
        a.set32(x, daz());
        b.set32(y, daz());
        if (operation >= MINIMUM) {
            return chooseFirst(operation)
                    ? a.kind == Unpacked.ZERO ? x & Integer.MIN_VALUE : x
                    : b.kind == Unpacked.ZERO ? y & Integer.MIN_VALUE : y;
        }
        compute(operation, FloatFormat.SINGLE);
        return result.get32();
    }

    /** The square root in double precision. */
    long squareRoot64(long x) {
        double p = Double.longBitsToDouble(x);
        if (plain() && p >= Double.MIN_NORMAL && p <= Double.MAX_VALUE) {
            long bits = Double.doubleToRawLongBits(Math.sqrt(p));
            if (!inexactKnown() && !equalsProduct(bits, bits, x)) {
                flags |= SoftFloat.INEXACT;
            }
            return bits;
        }
        a.set64(x, daz());
        prepare();
        soft.squareRoot(a, FloatFormat.DOUBLE, result);
        flags |= soft.flags;
        return result.get64();
    }

    /** The square root in single precision. */
    int squareRoot32(int x) {
        float p = Float.intBitsToFloat(x);
        if (plain() && p >= Float.MIN_NORMAL && p <= Float.MAX_VALUE) {
            // Rounding the root of double precision again cannot go wrong: 53 bits are more than 2 * 24 + 2.
            float r = (float) Math.sqrt(p);
            if ((double) r * r != p) {
                flags |= SoftFloat.INEXACT;
            }
            return Float.floatToRawIntBits(r);
        }
        a.set32(x, daz());
        prepare();
        soft.squareRoot(a, FloatFormat.SINGLE, result);
        flags |= soft.flags;
        return result.get32();
    }

    /** -1, 0, 1 or {@link SoftFloat#UNORDERED}; quiet NaNs raise the invalid flag if {@code signalling}. */
    int compare64(long x, long y, boolean signalling) {
        double p = Double.longBitsToDouble(x);
        double q = Double.longBitsToDouble(y);
        if (ordinary(p) && ordinary(q)) {
            return p < q ? -1 : p > q ? 1 : 0;
        }
        a.set64(x, daz());
        b.set64(y, daz());
        return slowCompare(signalling);
    }

    /** As {@link #compare64}. */
    int compare32(int x, int y, boolean signalling) {
        float p = Float.intBitsToFloat(x);
        float q = Float.intBitsToFloat(y);
        if (ordinary(p) && ordinary(q)) {
            return p < q ? -1 : p > q ? 1 : 0;
        }
        a.set32(x, daz());
        b.set32(y, daz());
        return slowCompare(signalling);
    }

    private int slowCompare(boolean signalling) {
        prepare();
        int order = soft.compare(a, b, signalling);
        flags |= soft.flags;
        return order;
    }

    /** The rounding mode of MXCSR. */
    int rounding() {
        return fpu.mxcsr >>> 13 & 3;
    }

    /** A double as a signed integer of 32 or 64 bits in the given rounding mode. */
    long toInteger64(long x, int bits, int mode) {
        double p = Double.longBitsToDouble(x);
        if (Math.abs(p) < 0x1p31 && (mode == SoftFloat.TO_ZERO || mode == SoftFloat.NEAREST)) {
            // Smaller than any result that could be out of range after rounding, except 2^31 itself.
            long r = mode == SoftFloat.TO_ZERO ? (long) p : (long) Math.rint(p);
            if (bits == 64 || r == (int) r) {
                if (r != p && !(daz() && Math.abs(p) < Double.MIN_NORMAL)) {
                    flags |= SoftFloat.INEXACT;
                }
                return r;
            }
        }
        a.set64(x, daz());
        return slowToInteger(bits, mode);
    }

    /** A float as a signed integer of 32 or 64 bits in the given rounding mode. */
    long toInteger32(int x, int bits, int mode) {
        float p = Float.intBitsToFloat(x);
        if (Math.abs(p) < 0x1p31f && (mode == SoftFloat.TO_ZERO || mode == SoftFloat.NEAREST)) {
            long r = mode == SoftFloat.TO_ZERO ? (long) p : (long) Math.rint(p);
            if (r != (double) p && !(daz() && Math.abs(p) < Float.MIN_NORMAL)) {
                flags |= SoftFloat.INEXACT;
            }
            return r;
        }
        a.set32(x, daz());
        return slowToInteger(bits, mode);
    }

    private long slowToInteger(int bits, int mode) {
        prepare();
        long value = soft.toInteger(a, bits, mode);
        flags |= soft.flags;
        return value;
    }

    /** A signed integer in double precision. */
    long fromInteger64(long value) {
        double r = (double) value;
        if (value == (int) value || r < 0x1p63 && (long) r == value) {
            return Double.doubleToRawLongBits(r);
        }
        a.setInteger(value);
        return convert(FloatFormat.DOUBLE).get64();
    }

    /** A signed integer in single precision. */
    int fromInteger32(long value) {
        float r = (float) value;
        if (r < 0x1p63f && (long) r == value) {
            return Float.floatToRawIntBits(r);
        }
        a.setInteger(value);
        return convert(FloatFormat.SINGLE).get32();
    }

    /** Single to double precision. */
    long widen(int x) {
        float p = Float.intBitsToFloat(x);
        if (ordinary(p)) {
            return Double.doubleToRawLongBits(p);
        }
        a.set32(x, daz());
        return convert(FloatFormat.DOUBLE).get64();
    }

    /** Double to single precision. */
    int narrow(long x) {
        double p = Double.longBitsToDouble(x);
        float r = (float) p;
        float m = Math.abs(r);
        if (plain() && (m > Float.MIN_NORMAL && m <= Float.MAX_VALUE || p == 0)) {
            if (r != p) {
                flags |= SoftFloat.INEXACT;
            }
            return Float.floatToRawIntBits(r);
        }
        a.set64(x, daz());
        return convert(FloatFormat.SINGLE).get32();
    }

    private Unpacked convert(FloatFormat format) {
        prepare();
        soft.convert(a, true, format, result);
        flags |= soft.flags;
        return result;
    }

    /** ROUNDSD and ROUNDPD: bits 1:0 of {@code control} the mode, 2 use that of MXCSR, 3 inexactness is not flagged. */
    long roundToIntegral64(long x, int control) {
        a.set64(x, daz());
        roundToIntegral(control);
        return result.get64();
    }

    /** ROUNDSS and ROUNDPS. */
    int roundToIntegral32(int x, int control) {
        a.set32(x, daz());
        roundToIntegral(control);
        return result.get32();
    }

    private void roundToIntegral(int control) {
        prepare();
        soft.roundToIntegral(a, (control & 4) != 0 ? soft.rounding : control & 3, result);
        flags |= (control & 8) != 0 ? soft.flags & ~SoftFloat.INEXACT : soft.flags;
    }
}
