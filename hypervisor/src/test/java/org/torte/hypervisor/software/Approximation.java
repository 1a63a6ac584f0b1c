package org.torte.hypervisor.software;

/** How close two results must be, of instructions whose results the manuals only bound. */
enum Approximation {
    /** Equal. */
    NONE,
    /** RCPPS and its relatives: a relative error of up to 1.5 * 2^-12 each (Intel SDM vol. 2). */
    RECIPROCAL,
    /** x87 functions: less than one unit in the last place each (Intel SDM vol. 1, 8.3.10). */
    TRANSCENDENTAL;

    private static final double RECIPROCAL_ERROR = 1.5 / 4096;

    /** Whether two packed pairs of floats are close enough. */
    static boolean reciprocals(long a, long b) {
        return reciprocal((int) a, (int) b) && reciprocal((int) (a >>> 32), (int) (b >>> 32));
    }

    private static boolean reciprocal(int a, int b) {
        if (a == b || tiny(a) && tiny(b) && (a ^ b) >= 0) {
            return true;
        }
        float x = Float.intBitsToFloat(a);
        float y = Float.intBitsToFloat(b);
        // Both may be off, in different directions.
        return Math.abs((double) x - y) <= 2.001 * RECIPROCAL_ERROR * Math.abs((double) y);
    }

    /** Zero, or so close to the smallest normal number that processors may make it zero (Intel SDM vol. 2, RCPPS). */
    private static boolean tiny(int a) {
        int magnitude = a & Integer.MAX_VALUE;
        return magnitude == 0 || magnitude >= 0x80_0000 && magnitude <= 0x80_1000;
    }

    /** Whether two x87 numbers are neighbours at most. */
    static boolean neighbours(long significand, int signExponent, long otherSignificand, int otherSignExponent) {
        if (signExponent == otherSignExponent) {
            return Math.abs(significand - otherSignificand) <= 1;
        }
        long top = 1L << 63;
        return otherSignExponent == signExponent + 1 && significand == -1 && otherSignificand == top
                || signExponent == otherSignExponent + 1 && otherSignificand == -1 && significand == top;
    }
}
