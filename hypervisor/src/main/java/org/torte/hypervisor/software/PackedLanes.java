package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Operation;

/**
 * The packed integer instructions that work on each 64-bit half of a register by itself, so that one function serves MMX
 * and both halves of XMM. Bytes and words are worked on in parallel inside a long where carries can be kept apart.
 */
final class PackedLanes {
    private static final long BYTE_SIGNS = 0x8080808080808080L;
    private static final long WORD_SIGNS = 0x8000800080008000L;
    private static final long DWORD_SIGNS = 0x8000000080000000L;
    private static final long BYTE_ONES = 0x0101010101010101L;
    private static final long WORD_ONES = 0x0001000100010001L;
    private static final long EVEN_BYTES = 0x00ff00ff00ff00ffL;
    private static final long LOW_DWORD = 0xffffffffL;

    private PackedLanes() {}

    /** The result for one half: {@code a} from the destination, {@code b} from the source. */
    static long apply(Operation operation, long a, long b) {
        return switch (operation) {
            case PAND, ANDPS, ANDPD -> a & b;
            case PANDN, ANDNPS, ANDNPD -> ~a & b;
            case POR, ORPS, ORPD -> a | b;
            case PXOR, XORPS, XORPD -> a ^ b;
            case PADDB -> addBytes(a, b);
            case PADDW -> addWords(a, b);
            case PADDD -> addDwords(a, b);
            case PADDQ -> a + b;
            case PSUBB -> subtractBytes(a, b);
            case PSUBW -> subtractWords(a, b);
            case PSUBD -> subtractDwords(a, b);
            case PSUBQ -> a - b;
            case PCMPEQB -> ~expandBytes(nonZeroBytes(a ^ b));
            case PCMPEQW -> ~expandWords(nonZeroWords(a ^ b));
            case PCMPEQD -> equalDwords(a, b);
            case PCMPEQQ -> a == b ? -1 : 0;
            case PCMPGTB -> expandBytes(lessUnsignedBytes(b ^ BYTE_SIGNS, a ^ BYTE_SIGNS));
            case PCMPGTW -> expandWords(lessUnsignedWords(b ^ WORD_SIGNS, a ^ WORD_SIGNS));
            case PCMPGTD -> greaterDwords(a, b);
            case PCMPGTQ -> a > b ? -1 : 0;
            case PMINUB -> select(expandBytes(lessUnsignedBytes(a, b)), a, b);
            case PMAXUB -> select(expandBytes(lessUnsignedBytes(a, b)), b, a);
            case PMINUW -> select(expandWords(lessUnsignedWords(a, b)), a, b);
            case PMAXUW -> select(expandWords(lessUnsignedWords(a, b)), b, a);
            case PMINUD -> select(greaterDwords(b ^ DWORD_SIGNS, a ^ DWORD_SIGNS), a, b);
            case PMAXUD -> select(greaterDwords(b ^ DWORD_SIGNS, a ^ DWORD_SIGNS), b, a);
            case PMINSB -> select(expandBytes(lessUnsignedBytes(a ^ BYTE_SIGNS, b ^ BYTE_SIGNS)), a, b);
            case PMAXSB -> select(expandBytes(lessUnsignedBytes(a ^ BYTE_SIGNS, b ^ BYTE_SIGNS)), b, a);
            case PMINSW -> select(expandWords(lessUnsignedWords(a ^ WORD_SIGNS, b ^ WORD_SIGNS)), a, b);
            case PMAXSW -> select(expandWords(lessUnsignedWords(a ^ WORD_SIGNS, b ^ WORD_SIGNS)), b, a);
            case PMINSD -> select(greaterDwords(b, a), a, b);
            case PMAXSD -> select(greaterDwords(b, a), b, a);
            default -> applyArithmetic(operation, a, b);
        };
    }

    private static long applyArithmetic(Operation operation, long a, long b) {
        return switch (operation) {
            case PADDUSB -> addUnsignedSaturatedBytes(a, b);
            case PADDUSW -> addUnsignedSaturatedWords(a, b);
            case PSUBUSB -> subtractUnsignedSaturatedBytes(a, b);
            case PSUBUSW -> subtractUnsignedSaturatedWords(a, b);
            case PADDSB -> addSignedSaturatedBytes(a, b);
            case PADDSW -> addSignedSaturatedWords(a, b);
            case PSUBSB -> subtractSignedSaturatedBytes(a, b);
            case PSUBSW -> subtractSignedSaturatedWords(a, b);
            // (a + b + 1) / 2 without a carry between elements: (a | b) - (a ^ b) / 2
            case PAVGB -> subtractBytes(a | b, (a ^ b) >>> 1 & ~BYTE_SIGNS);
            case PAVGW -> subtractWords(a | b, (a ^ b) >>> 1 & ~WORD_SIGNS);
            case PMULLW -> multiplyLow(a, b);
            case PMULHW -> multiplyHigh(a, b);
            case PMULHUW -> multiplyHighUnsigned(a, b);
            case PMULHRSW -> multiplyHighRounded(a, b);
            case PMULLD -> (a >>> 32) * (b >>> 32) << 32 | a * b & LOW_DWORD;
            case PMULUDQ -> (a & LOW_DWORD) * (b & LOW_DWORD);
            case PMULDQ -> (long) (int) a * (int) b;
            case PMADDWD -> multiplyAddWords(a, b);
            case PMADDUBSW -> multiplyAddBytes(a, b);
            case PSADBW -> sumOfDifferences(a, b);
            case PSIGNB -> signBytes(a, b);
            case PSIGNW -> signWords(a, b);
            case PSIGND -> (long) signed((int) (a >> 32), (int) (b >> 32)) << 32 | signed((int) a, (int) b) & LOW_DWORD;
            case PABSB -> absolute(b, expandBytes(b & BYTE_SIGNS), BYTE_ONES, BYTE_SIGNS);
            case PABSW -> absolute(b, expandWords(b & WORD_SIGNS), WORD_ONES, WORD_SIGNS);
            case PABSD -> (long) Math.abs((int) (b >> 32)) << 32 | Math.abs((int) b) & LOW_DWORD;
            default -> throw new IllegalArgumentException("not a lane operation: " + operation);
        };
    }

    /** One half of a shift by a count that is the same for all elements; counts are unsigned 64-bit numbers. */
    static long shift(Operation operation, long a, long count) {
        boolean large = count < 0 || count > 63;
        int n = large ? 64 : (int) count;
        return switch (operation) {
            case PSLLW -> n > 15 ? 0 : a << n & WORD_ONES * (0xffff << n & 0xffff);
            case PSRLW -> n > 15 ? 0 : a >>> n & WORD_ONES * (0xffff >>> n);
            case PSRAW -> shiftRightArithmeticWords(a, Math.min(n, 15));
            case PSLLD -> n > 31 ? 0 : (long) ((int) (a >> 32) << n) << 32 | (int) a << n & LOW_DWORD;
            case PSRLD -> n > 31 ? 0 : a >>> 32 >>> n << 32 | (a & LOW_DWORD) >>> n;
            case PSRAD -> {
                int m = Math.min(n, 31);
                yield a >> 32 >> m << 32 | (int) a >> m & LOW_DWORD;
            }
            case PSLLQ -> large ? 0 : a << n;
            case PSRLQ -> large ? 0 : a >>> n;
            default -> throw new IllegalArgumentException("not a shift: " + operation);
        };
    }

    private static long select(long mask, long whenSet, long whenClear) {
        return whenClear ^ (whenClear ^ whenSet) & mask;
    }

    /** Each byte that has its top bit set becomes FF, each other 00; only top bits may be set. */
    static long expandBytes(long signs) {
        return (signs << 1) - (signs >>> 7);
    }

    static long expandWords(long signs) {
        return (signs << 1) - (signs >>> 15);
    }

    private static long nonZeroBytes(long x) {
        return ((x & ~BYTE_SIGNS) + ~BYTE_SIGNS | x) & BYTE_SIGNS;
    }

    private static long nonZeroWords(long x) {
        return ((x & ~WORD_SIGNS) + ~WORD_SIGNS | x) & WORD_SIGNS;
    }

    /** The top bit of each byte where a &lt; b. */
    private static long lessUnsignedBytes(long a, long b) {
        // Hacker's Delight 2-18: the borrow of each element's subtraction.
        return (~a & b | ~(a ^ b) & subtractBytes(a, b)) & BYTE_SIGNS;
    }

    private static long lessUnsignedWords(long a, long b) {
        return (~a & b | ~(a ^ b) & subtractWords(a, b)) & WORD_SIGNS;
    }

    private static long equalDwords(long a, long b) {
        long x = a ^ b;
        return (x >>> 32 == 0 ? LOW_DWORD << 32 : 0) | ((int) x == 0 ? LOW_DWORD : 0);
    }

    private static long greaterDwords(long a, long b) {
        return ((int) (a >> 32) > (int) (b >> 32) ? LOW_DWORD << 32 : 0) | ((int) a > (int) b ? LOW_DWORD : 0);
    }

    private static long addBytes(long a, long b) {
        return (a & ~BYTE_SIGNS) + (b & ~BYTE_SIGNS) ^ (a ^ b) & BYTE_SIGNS;
    }

    static long addWords(long a, long b) {
        return (a & ~WORD_SIGNS) + (b & ~WORD_SIGNS) ^ (a ^ b) & WORD_SIGNS;
    }

    private static long addDwords(long a, long b) {
        return (a & ~DWORD_SIGNS) + (b & ~DWORD_SIGNS) ^ (a ^ b) & DWORD_SIGNS;
    }

    private static long subtractBytes(long a, long b) {
        return (a | BYTE_SIGNS) - (b & ~BYTE_SIGNS) ^ (a ^ ~b) & BYTE_SIGNS;
    }

    static long subtractWords(long a, long b) {
        return (a | WORD_SIGNS) - (b & ~WORD_SIGNS) ^ (a ^ ~b) & WORD_SIGNS;
    }

    private static long subtractDwords(long a, long b) {
        return (a | DWORD_SIGNS) - (b & ~DWORD_SIGNS) ^ (a ^ ~b) & DWORD_SIGNS;
    }

    private static long addUnsignedSaturatedBytes(long a, long b) {
        long sum = addBytes(a, b);
        return sum | expandBytes((a & b | (a | b) & ~sum) & BYTE_SIGNS);
    }

    private static long addUnsignedSaturatedWords(long a, long b) {
        long sum = addWords(a, b);
        return sum | expandWords((a & b | (a | b) & ~sum) & WORD_SIGNS);
    }

    private static long subtractUnsignedSaturatedBytes(long a, long b) {
        return subtractBytes(a, b) & ~expandBytes(lessUnsignedBytes(a, b));
    }

    private static long subtractUnsignedSaturatedWords(long a, long b) {
        return subtractWords(a, b) & ~expandWords(lessUnsignedWords(a, b));
    }

    private static long addSignedSaturatedBytes(long a, long b) {
        long sum = addBytes(a, b);
        long overflow = expandBytes(~(a ^ b) & (a ^ sum) & BYTE_SIGNS);
        return select(overflow, (a >>> 7 & BYTE_ONES) + ~BYTE_SIGNS, sum);
    }

    static long addSignedSaturatedWords(long a, long b) {
        long sum = addWords(a, b);
        long overflow = expandWords(~(a ^ b) & (a ^ sum) & WORD_SIGNS);
        return select(overflow, (a >>> 15 & WORD_ONES) + ~WORD_SIGNS, sum);
    }

    private static long subtractSignedSaturatedBytes(long a, long b) {
        long difference = subtractBytes(a, b);
        long overflow = expandBytes((a ^ b) & (a ^ difference) & BYTE_SIGNS);
        return select(overflow, (a >>> 7 & BYTE_ONES) + ~BYTE_SIGNS, difference);
    }

    static long subtractSignedSaturatedWords(long a, long b) {
        long difference = subtractWords(a, b);
        long overflow = expandWords((a ^ b) & (a ^ difference) & WORD_SIGNS);
        return select(overflow, (a >>> 15 & WORD_ONES) + ~WORD_SIGNS, difference);
    }

    /** Negates the elements under {@code mask}, which is all ones or zeroes in each. */
    private static long absolute(long b, long mask, long ones, long signs) {
        long x = b ^ mask;
        long y = mask & ones;
        return (x & ~signs) + y ^ x & signs;
    }

    private static long multiplyLow(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= ((a >>> i) * (b >>> i) & 0xffff) << i;
        }
        return result;
    }

    private static long multiplyHigh(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= ((short) (a >>> i) * (short) (b >>> i) >>> 16 & 0xffffL) << i;
        }
        return result;
    }

    private static long multiplyHighUnsigned(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= ((a >>> i & 0xffff) * (b >>> i & 0xffff) >>> 16) << i;
        }
        return result;
    }

    private static long multiplyHighRounded(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= (((short) (a >>> i) * (short) (b >>> i) >> 14) + 1 >> 1 & 0xffffL) << i;
        }
        return result;
    }

    private static long multiplyAddWords(long a, long b) {
        int low = (short) a * (short) b + (short) (a >>> 16) * (short) (b >>> 16);
        int high = (short) (a >>> 32) * (short) (b >>> 32) + (short) (a >>> 48) * (short) (b >>> 48);
        return (long) high << 32 | low & LOW_DWORD;
    }

    private static long multiplyAddBytes(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            int sum = (int) (a >>> i & 0xff) * (byte) (b >>> i) + (int) (a >>> i + 8 & 0xff) * (byte) (b >>> i + 8);
            result |= (saturateWord(sum) & 0xffffL) << i;
        }
        return result;
    }

    private static long sumOfDifferences(long a, long b) {
        long mask = expandBytes(lessUnsignedBytes(a, b));
        long differences = subtractBytes(a, b) & ~mask | subtractBytes(b, a) & mask;
        long pairs = (differences & EVEN_BYTES) + (differences >>> 8 & EVEN_BYTES);
        return pairs * WORD_ONES >>> 48;
    }

    private static long signBytes(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 8) {
            result |= (signed((byte) (a >>> i), (byte) (b >>> i)) & 0xffL) << i;
        }
        return result;
    }

    private static long signWords(long a, long b) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= (signed((short) (a >>> i), (short) (b >>> i)) & 0xffffL) << i;
        }
        return result;
    }

    private static int signed(int a, int b) {
        return b < 0 ? -a : b == 0 ? 0 : a;
    }

    private static long shiftRightArithmeticWords(long a, int n) {
        long result = 0;
        for (int i = 0; i < 64; i += 16) {
            result |= ((short) (a >>> i) >> n & 0xffffL) << i;
        }
        return result;
    }

    static int saturateWord(int value) {
        return Math.max(Short.MIN_VALUE, Math.min(Short.MAX_VALUE, value));
    }

    /** Four dwords (two of each half) to words with signed saturation. */
    static long packDwords(long low, long high) {
        return saturateWord((int) low) & 0xffffL
                | (saturateWord((int) (low >> 32)) & 0xffffL) << 16
                | (saturateWord((int) high) & 0xffffL) << 32
                | (long) saturateWord((int) (high >> 32)) << 48;
    }

    /** Four signed dwords to words with unsigned saturation. */
    static long packDwordsUnsigned(long low, long high) {
        return saturateUnsignedWord((int) low)
                | saturateUnsignedWord((int) (low >> 32)) << 16
                | saturateUnsignedWord((int) high) << 32
                | saturateUnsignedWord((int) (high >> 32)) << 48;
    }

    private static long saturateUnsignedWord(int value) {
        return Math.max(0, Math.min(0xffff, value));
    }

    /** Eight signed words to bytes with signed saturation. */
    static long packWords(long low, long high) {
        return packWordsHalf(low) | packWordsHalf(high) << 32;
    }

    private static long packWordsHalf(long words) {
        long result = 0;
        for (int i = 0; i < 4; i++) {
            int value = Math.max(Byte.MIN_VALUE, Math.min(Byte.MAX_VALUE, (short) (words >>> 16 * i)));
            result |= (value & 0xffL) << 8 * i;
        }
        return result;
    }

    /** Eight signed words to bytes with unsigned saturation. */
    static long packWordsUnsigned(long low, long high) {
        return packWordsUnsignedHalf(low) | packWordsUnsignedHalf(high) << 32;
    }

    private static long packWordsUnsignedHalf(long words) {
        long result = 0;
        for (int i = 0; i < 4; i++) {
            result |= (long) Math.max(0, Math.min(0xff, (short) (words >>> 16 * i))) << 8 * i;
        }
        return result;
    }

    /** The bytes of two dwords in turn: b0 of a, b0 of b, b1 of a, ... */
    static long interleaveBytes(int a, int b) {
        return spreadBytes(a) | spreadBytes(b) << 8;
    }

    private static long spreadBytes(int x) {
        long y = x & LOW_DWORD;
        y = (y | y << 16) & 0x0000ffff0000ffffL;
        return (y | y << 8) & EVEN_BYTES;
    }

    /** The words of two dwords in turn. */
    static long interleaveWords(int a, int b) {
        return spreadWords(a) | spreadWords(b) << 16;
    }

    private static long spreadWords(int x) {
        long y = x & LOW_DWORD;
        return (y | y << 16) & 0x0000ffff0000ffffL;
    }

    /** The top bit of each byte, gathered into 8 bits. */
    static int byteSigns(long x) {
        return (int) ((x >>> 7 & BYTE_ONES) * 0x0102040810204080L >>> 56);
    }

    /** Adds the elements next to each other: the two words of each dword, for one operand: results in two words. */
    static int addAdjacentWords(long x) {
        long sums = addWords(x, x >>> 16);
        return (int) (sums & 0xffff | sums >>> 16 & 0xffff0000L);
    }

    static int subtractAdjacentWords(long x) {
        long differences = subtractWords(x, x >>> 16);
        return (int) (differences & 0xffff | differences >>> 16 & 0xffff0000L);
    }

    static int addAdjacentWordsSaturated(long x) {
        long sums = addSignedSaturatedWords(x, x >>> 16);
        return (int) (sums & 0xffff | sums >>> 16 & 0xffff0000L);
    }

    static int subtractAdjacentWordsSaturated(long x) {
        long differences = subtractSignedSaturatedWords(x, x >>> 16);
        return (int) (differences & 0xffff | differences >>> 16 & 0xffff0000L);
    }

    /** The 8 bytes of {@code hi:lo} that {@code indices} name, 4 bits each; a set top bit gives zero. */
    static long shuffleBytes(long lo, long hi, long indices) {
        long result = 0;
        for (int i = 0; i < 64; i += 8) {
            int index = (int) (indices >>> i);
            if ((index & 0x80) == 0) {
                long half = (index & 8) == 0 ? lo : hi;
                result |= (half >>> 8 * (index & 7) & 0xff) << i;
            }
        }
        return result;
    }

    /** Four words of {@code x} by an immediate of 2 bits each. */
    static long shuffleWords(long x, int order) {
        return x >>> 16 * (order & 3) & 0xffff
                | (x >>> 16 * (order >>> 2 & 3) & 0xffff) << 16
                | (x >>> 16 * (order >>> 4 & 3) & 0xffff) << 32
                | x >>> 16 * (order >>> 6 & 3) << 48;
    }

    /** Dword number {@code index & 3} of {@code hi:lo}. */
    static long dword(long lo, long hi, int index) {
        return ((index & 2) == 0 ? lo : hi) >>> 32 * (index & 1) & LOW_DWORD;
    }
}
