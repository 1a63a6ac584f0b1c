package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/** The SHA extensions (FIPS 180-4; Intel SDM vol. 2, SHA1RNDS4 and its relatives). */
final class ShaUnit {
    private static final int[] SHA1_CONSTANTS = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};

    private final VectorOperands operands;
    private final long[] xmm;

    ShaUnit(VectorOperands operands) {
        this.operands = operands;
        xmm = operands.fpu.xmm;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        operands.sourceUnaligned(in, address);
        long a0 = xmm[2 * in.reg];
        long a1 = xmm[2 * in.reg + 1];
        long b0 = operands.lo;
        long b1 = operands.hi;
        switch (in.form.operation()) {
            case SHA1NEXTE ->
                operands.setXmm(in.reg, b0, joined((int) b1, high(b1) + Integer.rotateLeft(high(a1), 30)));
            case SHA1MSG1 -> operands.setXmm(in.reg, a0 ^ b1, a1 ^ a0);
            case SHA1MSG2 -> {
                int w16 = Integer.rotateLeft(high(a1) ^ (int) b1, 1);
                int w17 = Integer.rotateLeft((int) a1 ^ high(b0), 1);
                int w18 = Integer.rotateLeft(high(a0) ^ (int) b0, 1);
                int w19 = Integer.rotateLeft((int) a0 ^ w16, 1);
                operands.setXmm(in.reg, joined(w19, w18), joined(w17, w16));
            }
            case SHA1RNDS4 -> sha1Rounds(in, a0, a1, b0, b1);
            case SHA256MSG1 ->
                operands.setXmm(
                        in.reg,
                        joined((int) a0 + sigma0(high(a0)), high(a0) + sigma0((int) a1)),
                        joined((int) a1 + sigma0(high(a1)), high(a1) + sigma0((int) b0)));
            case SHA256MSG2 -> {
                int w16 = (int) a0 + sigma1((int) b1);
                int w17 = high(a0) + sigma1(high(b1));
                int w18 = (int) a1 + sigma1(w16);
                int w19 = high(a1) + sigma1(w17);
                operands.setXmm(in.reg, joined(w16, w17), joined(w18, w19));
            }
            default -> sha256Rounds(in, a0, a1, b0, b1);
        }
    }

    private static int high(long x) {
        return (int) (x >>> 32);
    }

    private static long joined(int low, int high) {
        return low & 0xffffffffL | (long) high << 32;
    }

    private void sha1Rounds(Instruction in, long a0, long a1, long b0, long b1) {
        int function = (int) in.immediate & 3;
        int a = high(a1);
        int b = (int) a1;
        int c = high(a0);
        int d = (int) a0;
        // The first word already contains E.
        int e = 0;
        for (int i = 0; i < 4; i++) {
            long half = i < 2 ? b1 : b0;
            int word = (i & 1) == 0 ? high(half) : (int) half;
            int f = switch (function) {
                case 0 -> b & c ^ ~b & d;
                case 2 -> b & c ^ b & d ^ c & d;
                default -> b ^ c ^ d;
            };
            int next = f + Integer.rotateLeft(a, 5) + word + e + SHA1_CONSTANTS[function];
            e = d;
            d = c;
            c = Integer.rotateLeft(b, 30);
            b = a;
            a = next;
        }
        operands.setXmm(in.reg, joined(d, c), joined(b, a));
    }

    private static int sigma0(int x) {
        return Integer.rotateRight(x, 7) ^ Integer.rotateRight(x, 18) ^ x >>> 3;
    }

    private static int sigma1(int x) {
        return Integer.rotateRight(x, 17) ^ Integer.rotateRight(x, 19) ^ x >>> 10;
    }

    private void sha256Rounds(Instruction in, long a0, long a1, long b0, long b1) {
        int a = high(b1);
        int b = (int) b1;
        int c = high(a1);
        int d = (int) a1;
        int e = high(b0);
        int f = (int) b0;
        int g = high(a0);
        int h = (int) a0;
        for (int i = 0; i < 2; i++) {
            int sum1 = Integer.rotateRight(e, 6) ^ Integer.rotateRight(e, 11) ^ Integer.rotateRight(e, 25);
            int sum0 = Integer.rotateRight(a, 2) ^ Integer.rotateRight(a, 13) ^ Integer.rotateRight(a, 22);
            int majority = a & b ^ a & c ^ b & c;
            int t = (e & f ^ ~e & g) + sum1 + (int) (xmm[0] >>> 32 * i) + h;
            h = g;
            g = f;
            f = e;
            e = t + d;
            d = c;
            c = b;
            b = a;
            a = t + majority + sum0;
        }
        operands.setXmm(in.reg, joined(f, e), joined(b, a));
    }
}
