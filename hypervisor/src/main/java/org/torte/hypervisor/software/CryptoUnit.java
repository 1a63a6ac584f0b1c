package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** AES-NI (FIPS 197) and PCLMULQDQ. */
final class CryptoUnit {
    private static final int[] SUBSTITUTION = new int[256];
    private static final int[] INVERSE_SUBSTITUTION = new int[256];

    /** SubBytes and MixColumns of a byte in row 0: what it adds to the four rows of its column. */
    private static final int[] ENCRYPT = new int[256];

    /** InvMixColumns of a byte in row 0. */
    private static final int[] INVERSE_MIX = new int[256];

    /** InvSubBytes and InvMixColumns of a byte in row 0. */
    private static final int[] DECRYPT = new int[256];

    static {
        // FIPS 197, 5.1.1: the inverse in GF(2^8), found by walking the powers of a generator (3) and of its inverse
        // (F6), then an affine transformation.
        int p = 1;
        int q = 1;
        do {
            p = times(p, 3);
            q ^= q << 1;
            q ^= q << 2;
            q ^= q << 4;
            q &= 0xff;
            if ((q & 0x80) != 0) {
                q ^= 9;
            }
            SUBSTITUTION[p] = q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^ rotate(q, 4) ^ 0x63;
        } while (p != 1);
        SUBSTITUTION[0] = 0x63;
        for (int i = 0; i < 256; i++) {
            int s = SUBSTITUTION[i];
            INVERSE_SUBSTITUTION[s] = i;
            ENCRYPT[i] = times(s, 2) | s << 8 | s << 16 | times(s, 3) << 24;
            INVERSE_MIX[i] = times(i, 14) | times(i, 9) << 8 | times(i, 13) << 16 | times(i, 11) << 24;
        }
        for (int i = 0; i < 256; i++) {
            DECRYPT[i] = INVERSE_MIX[INVERSE_SUBSTITUTION[i]];
        }
    }

    private final VectorOperands operands;
    private final long[] xmm;

    CryptoUnit(VectorOperands operands) {
        this.operands = operands;
        xmm = operands.fpu.xmm;
    }

    private static int rotate(int x, int n) {
        return (x << n | x >>> 8 - n) & 0xff;
    }

    /** Product in GF(2^8) with a factor below 16. */
    private static int times(int x, int factor) {
        int x2 = x << 1 ^ (x >>> 7) * 0x11b;
        int x4 = x2 << 1 ^ (x2 >>> 7) * 0x11b;
        int x8 = x4 << 1 ^ (x4 >>> 7) * 0x11b;
        return x * (factor & 1) ^ x2 * (factor >>> 1 & 1) ^ x4 * (factor >>> 2 & 1) ^ x8 * (factor >>> 3);
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        operands.source(in, address);
        Operation operation = in.form.operation();
        long lo = xmm[2 * in.reg];
        long hi = xmm[2 * in.reg + 1];
        // The four columns of the state, row 0 in the lowest byte.
        int c0 = (int) lo;
        int c1 = (int) (lo >>> 32);
        int c2 = (int) hi;
        int c3 = (int) (hi >>> 32);
        switch (operation) {
            // ShiftRows takes row r of a column from the r-th column to its right, its inverse from the left.
            case AESENC ->
                setRound(
                        in,
                        mixed(ENCRYPT, c0, c1, c2, c3),
                        mixed(ENCRYPT, c1, c2, c3, c0),
                        mixed(ENCRYPT, c2, c3, c0, c1),
                        mixed(ENCRYPT, c3, c0, c1, c2));
            case AESENCLAST ->
                setRound(
                        in,
                        plain(SUBSTITUTION, c0, c1, c2, c3),
                        plain(SUBSTITUTION, c1, c2, c3, c0),
                        plain(SUBSTITUTION, c2, c3, c0, c1),
                        plain(SUBSTITUTION, c3, c0, c1, c2));
            case AESDEC ->
                setRound(
                        in,
                        mixed(DECRYPT, c0, c3, c2, c1),
                        mixed(DECRYPT, c1, c0, c3, c2),
                        mixed(DECRYPT, c2, c1, c0, c3),
                        mixed(DECRYPT, c3, c2, c1, c0));
            case AESDECLAST ->
                setRound(
                        in,
                        plain(INVERSE_SUBSTITUTION, c0, c3, c2, c1),
                        plain(INVERSE_SUBSTITUTION, c1, c0, c3, c2),
                        plain(INVERSE_SUBSTITUTION, c2, c1, c0, c3),
                        plain(INVERSE_SUBSTITUTION, c3, c2, c1, c0));
            case AESIMC -> {
                int s0 = (int) operands.lo;
                int s1 = (int) (operands.lo >>> 32);
                int s2 = (int) operands.hi;
                int s3 = (int) (operands.hi >>> 32);
                operands.setXmm(
                        in.reg,
                        joined(mixed(INVERSE_MIX, s0, s0, s0, s0), mixed(INVERSE_MIX, s1, s1, s1, s1)),
                        joined(mixed(INVERSE_MIX, s2, s2, s2, s2), mixed(INVERSE_MIX, s3, s3, s3, s3)));
            }
            case AESKEYGENASSIST -> {
                int x1 = substituted((int) (operands.lo >>> 32));
                int x3 = substituted((int) (operands.hi >>> 32));
                int round = (int) in.immediate & 0xff;
                operands.setXmm(
                        in.reg,
                        joined(x1, Integer.rotateRight(x1, 8) ^ round),
                        joined(x3, Integer.rotateRight(x3, 8) ^ round));
            }
            default ->
                multiply(
                        in.reg,
                        (in.immediate & 1) == 0 ? lo : hi,
                        (in.immediate & 16) == 0 ? operands.lo : operands.hi);
        }
    }

    private static long joined(int low, int high) {
        return low & 0xffffffffL | (long) high << 32;
    }

    private static int mixed(int[] table, int row0, int row1, int row2, int row3) {
        return table[row0 & 0xff]
                ^ Integer.rotateLeft(table[row1 >>> 8 & 0xff], 8)
                ^ Integer.rotateLeft(table[row2 >>> 16 & 0xff], 16)
                ^ Integer.rotateLeft(table[row3 >>> 24], 24);
    }

    private static int plain(int[] table, int row0, int row1, int row2, int row3) {
        return table[row0 & 0xff]
                | table[row1 >>> 8 & 0xff] << 8
                | table[row2 >>> 16 & 0xff] << 16
                | table[row3 >>> 24] << 24;
    }

    private static int substituted(int x) {
        return plain(SUBSTITUTION, x, x, x, x);
    }

    /** Adds the round key. */
    private void setRound(Instruction in, int c0, int c1, int c2, int c3) {
        operands.setXmm(in.reg, joined(c0, c1) ^ operands.lo, joined(c2, c3) ^ operands.hi);
    }

    /** The product of two polynomials over GF(2). */
    private void multiply(int target, long a, long b) {
        long lo = 0;
        long hi = 0;
        for (int i = 0; i < 64; i++) {
            long mask = -(b >>> i & 1);
            lo ^= a << i & mask;
            hi ^= a >>> 1 >>> 63 - i & mask;
        }
        operands.setXmm(target, lo, hi);
    }
}
