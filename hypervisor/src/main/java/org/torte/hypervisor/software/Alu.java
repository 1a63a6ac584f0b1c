package org.torte.hypervisor.software;

/**
 * Integer arithmetic and the arithmetic flags it leaves (Intel SDM vol. 1, section 3.4.3.1).
 *
 * <p>Flags are kept lazily in two words: {@link #result}, the last result sign-extended from its size, and {@link
 * #carries}, the carry out of each bit moved up so that bit 63 is the carry out of the operand:
 *
 * <pre>
 *  63 CF   62 carry into the top bit (OF = bit 63 xor bit 62)   15..8 PF delta   3 AF   0 SF delta
 * </pre>
 *
 * ZF is result == 0, SF the sign of the result xor its delta, PF the parity of the low byte of the result xor its delta;
 * the deltas are zero except after flags were loaded as such (POPF, SAHF, IRET), which allows every combination.
 * Operands are taken from the low bits of their arguments; results are zero-extended.
 */
final class Alu {
    static final int CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, OF = 0x800;

    /** The six arithmetic flags. */
    static final int FLAGS = CF | PF | AF | ZF | SF | OF;

    private static final long KEEP = 0xC000_0000_0000_0008L;

    long result;
    long carries;

    // ---- conditions

    boolean carry() {
        return carries < 0;
    }

    boolean zero() {
        return result == 0;
    }

    boolean sign() {
        return (result ^ carries << 63) < 0;
    }

    boolean overflow() {
        return (carries ^ carries << 1) < 0;
    }

    boolean parity() {
        return (Integer.bitCount((int) (result ^ carries >>> 8) & 0xff) & 1) == 0;
    }

    boolean less() {
        return (result ^ carries ^ carries << 1 ^ carries << 63) < 0;
    }

    /** The condition in the low nibble of Jcc, SETcc and CMOVcc opcodes. */
    boolean condition(int code) {
        boolean value = switch (code >> 1 & 7) {
            case 0 -> overflow();
            case 1 -> carry();
            case 2 -> zero();
            case 3 -> carry() || zero();
            case 4 -> sign();
            case 5 -> parity();
            case 6 -> less();
            default -> zero() || less();
        };
        return value ^ (code & 1) != 0;
    }

    // ---- the flags as a word

    int flags() {
        return (carry() ? CF : 0)
                | (parity() ? PF : 0)
                | ((carries & 8) != 0 ? AF : 0)
                | (zero() ? ZF : 0)
                | (sign() ? SF : 0)
                | (overflow() ? OF : 0);
    }

    void setFlags(int flags) {
        boolean zf = (flags & ZF) != 0;
        result = zf ? 0 : 1;
        long c = 0;
        if ((flags & CF) != 0) {
            c = Long.MIN_VALUE;
        }
        if ((flags & CF) != 0 ^ (flags & OF) != 0) {
            c |= 1L << 62;
        }
        if ((flags & AF) != 0) {
            c |= 8;
        }
        if ((flags & SF) != 0) {
            c |= 1;
        }
        if ((flags & PF) != 0 ^ zf) {
            c |= 0x100;
        }
        carries = c;
    }

    void setCarry(boolean value) {
        setFlags(flags() & ~CF | (value ? CF : 0));
    }

    /** Sets CF and OF after a shift or multiplication whose result gives the other flags; AF is cleared. */
    private void setShiftFlags(long signExtended, boolean cf, boolean of) {
        result = signExtended;
        carries = (cf ? Long.MIN_VALUE : 0) | (cf ^ of ? 1L << 62 : 0);
    }

    // ---- 64 and 32 bits, for the interpreter's own loop

    long add64(long a, long b) {
        long s = a + b;
        result = s;
        carries = (a & b | (a | b) & ~s) & KEEP;
        return s;
    }

    long add32(long a, long b) {
        int x = (int) a;
        int y = (int) b;
        int s = x + y;
        int c = x & y | (x | y) & ~s;
        result = s;
        carries = (long) c << 32 | c & 8;
        return s & 0xffffffffL;
    }

    long sub64(long a, long b) {
        long s = a - b;
        result = s;
        carries = (~a & b | ~(a ^ b) & s) & KEEP;
        return s;
    }

    long sub32(long a, long b) {
        int x = (int) a;
        int y = (int) b;
        int s = x - y;
        int c = ~x & y | ~(x ^ y) & s;
        result = s;
        carries = (long) c << 32 | c & 8;
        return s & 0xffffffffL;
    }

    long adc64(long a, long b) {
        long s = a + b + (carries >>> 63);
        result = s;
        carries = (a & b | (a | b) & ~s) & KEEP;
        return s;
    }

    long sbb64(long a, long b) {
        long s = a - b - (carries >>> 63);
        result = s;
        carries = (~a & b | ~(a ^ b) & s) & KEEP;
        return s;
    }

    long logic64(long s) {
        result = s;
        carries = 0;
        return s;
    }

    long logic32(long value) {
        int s = (int) value;
        result = s;
        carries = 0;
        return s & 0xffffffffL;
    }

    long inc64(long a) {
        long s = a + 1;
        result = s;
        keepCarry(a & ~s);
        return s;
    }

    long dec64(long a) {
        long s = a - 1;
        result = s;
        keepCarry(~a & s | ~a & 1 & ~s);
        return s;
    }

    long inc32(long a) {
        int x = (int) a;
        int s = x + 1;
        result = s;
        int c = x & ~s;
        keepCarry((long) c << 32 | c & 8);
        return s & 0xffffffffL;
    }

    long dec32(long a) {
        int x = (int) a;
        int s = x - 1;
        result = s;
        int c = ~x & s | ~x & 1 & ~s;
        keepCarry((long) c << 32 | c & 8);
        return s & 0xffffffffL;
    }

    /** SHL by a constant from 1 to 63. */
    long shl64(long a, int n) {
        long s = a << n;
        setShiftFlags(s, (a >>> 64 - n & 1) != 0, (a << n - 1 ^ s) < 0);
        return s;
    }

    /** SHL by a constant from 1 to 31. */
    long shl32(long a, int n) {
        int s = (int) a << n;
        setShiftFlags(s, ((int) a >>> 32 - n & 1) != 0, ((int) a << n - 1 ^ s) < 0);
        return s & 0xffffffffL;
    }

    /** SHR by a constant from 1 to 63. */
    long shr64(long a, int n) {
        long s = a >>> n;
        setShiftFlags(s, (a >>> n - 1 & 1) != 0, n == 1 ? a < 0 : (s & 1L << 62) != 0);
        return s;
    }

    /** SHR by a constant from 1 to 31. */
    long shr32(long a, int n) {
        int s = (int) a >>> n;
        setShiftFlags(s, ((int) a >>> n - 1 & 1) != 0, n == 1 ? (int) a < 0 : (s & 1 << 30) != 0);
        return s & 0xffffffffL;
    }

    /** SAR by a constant from 1 to 63. */
    long sar64(long a, int n) {
        long s = a >> n;
        setShiftFlags(s, (a >> n - 1 & 1) != 0, false);
        return s;
    }

    /** Takes OF and AF from the carries {@code c} of an increment or decrement and leaves CF as it is. */
    private void keepCarry(long c) {
        long cf = carries & Long.MIN_VALUE;
        long of = (c ^ c << 1) & Long.MIN_VALUE;
        carries = cf | (cf ^ of) >>> 1 | c & 8;
    }

    // ---- any size: 1, 2, 4 or 8 bytes

    private static long signExtend(long value, int size) {
        return switch (size) {
            case 1 -> (byte) value;
            case 2 -> (short) value;
            case 4 -> (int) value;
            default -> value;
        };
    }

    static long zeroExtend(long value, int size) {
        return switch (size) {
            case 1 -> value & 0xff;
            case 2 -> value & 0xffff;
            case 4 -> value & 0xffffffffL;
            default -> value;
        };
    }

    private long arithmetic(long s, long c, int size) {
        result = signExtend(s, size);
        carries = size == 8 ? c & KEEP : c << 64 - 8 * size | c & 8;
        return zeroExtend(s, size);
    }

    long add(long a, long b, int size) {
        long s = a + b;
        return arithmetic(s, a & b | (a | b) & ~s, size);
    }

    long adc(long a, long b, int size) {
        long s = a + b + (carries >>> 63);
        return arithmetic(s, a & b | (a | b) & ~s, size);
    }

    long sub(long a, long b, int size) {
        long s = a - b;
        return arithmetic(s, ~a & b | ~(a ^ b) & s, size);
    }

    long sbb(long a, long b, int size) {
        long s = a - b - (carries >>> 63);
        return arithmetic(s, ~a & b | ~(a ^ b) & s, size);
    }

    long logic(long s, int size) {
        result = signExtend(s, size);
        carries = 0;
        return zeroExtend(s, size);
    }

    long inc(long a, int size) {
        long cf = carries & Long.MIN_VALUE;
        long s = add(a, 1, size);
        restoreCarry(cf);
        return s;
    }

    long dec(long a, int size) {
        long cf = carries & Long.MIN_VALUE;
        long s = sub(a, 1, size);
        restoreCarry(cf);
        return s;
    }

    private void restoreCarry(long cf) {
        long of = (carries ^ carries << 1) & Long.MIN_VALUE;
        carries = cf | (cf ^ of) >>> 1 | carries & 8;
    }

    long neg(long a, int size) {
        return sub(0, a, size);
    }

    /** The eight classic operations by their number in opcodes: ADD OR ADC SBB AND SUB XOR CMP. */
    long operate(int operation, long a, long b, int size) {
        return switch (operation) {
            case 0 -> add(a, b, size);
            case 1 -> logic(a | b, size);
            case 2 -> adc(a, b, size);
            case 3 -> sbb(a, b, size);
            case 4 -> logic(a & b, size);
            case 5, 7 -> sub(a, b, size);
            default -> logic(a ^ b, size);
        };
    }

    /**
     * The shifts and rotations by their number in opcodes: ROL ROR RCL RCR SHL SHR SAL SAR. A count of zero leaves the
     * flags alone; OF, undefined for counts above one, is what processors compute.
     */
    long shift(int operation, long value, int count, int size) {
        int bits = 8 * size;
        int n = count & (size == 8 ? 63 : 31);
        if (n == 0) {
            return zeroExtend(value, size);
        }
        long a = zeroExtend(value, size);
        return switch (operation) {
            case 0, 1 -> rotate(operation == 0, a, n, bits, size);
            case 2, 3 -> rotateThroughCarry(operation == 2, a, n, bits, size);
            case 4, 6 -> {
                boolean cf = n <= bits && (a >>> bits - n & 1) != 0;
                long s = n >= 64 ? 0 : signExtend(a << n, size);
                setShiftFlags(s, cf, cf ^ s < 0);
                yield zeroExtend(s, size);
            }
            case 5 -> {
                boolean cf = (a >>> n - 1 & 1) != 0;
                long s = a >>> n;
                long extended = signExtend(s, size);
                setShiftFlags(extended, cf, (a >>> bits - 1 & 1) != 0 && n == 1 || n > 1 && (s >>> bits - 2 & 1) != 0);
                yield s;
            }
            default -> {
                long wide = signExtend(a, size);
                boolean cf = (wide >> n - 1 & 1) != 0;
                long s = wide >> n;
                setShiftFlags(s, cf, false);
                yield zeroExtend(s, size);
            }
        };
    }

    private long rotate(boolean left, long a, int n, int bits, int size) {
        int m = n % bits;
        long s = a;
        if (m != 0) {
            int up = left ? m : bits - m;
            s = zeroExtend(a << up | a >>> bits - up, size);
        }
        boolean top = (s >>> bits - 1 & 1) != 0;
        boolean cf = left ? (s & 1) != 0 : top;
        boolean of = left ? cf ^ top : top ^ (s >>> bits - 2 & 1) != 0;
        setCarryAndOverflow(cf, of);
        return s;
    }

    private long rotateThroughCarry(boolean left, long a, int n, int bits, int size) {
        int m = n % (bits + 1);
        if (m == 0) {
            return a;
        }
        long carry = carries >>> 63;
        int up = left ? m : bits + 1 - m;
        // The operand and CF above it form a number of bits + 1 bits that turns left by `up`.
        long s = up == bits ? carry << bits - 1 : (up >= 64 ? 0 : a << up) | carry << up - 1;
        if (up > 1) {
            s |= a >>> bits + 1 - up;
        }
        boolean cf = (a >>> bits - up & 1) != 0;
        s = zeroExtend(s, size);
        boolean top = (s >>> bits - 1 & 1) != 0;
        boolean of = left ? cf ^ top : top ^ (s >>> bits - 2 & 1) != 0;
        setCarryAndOverflow(cf, of);
        return s;
    }

    private void setCarryAndOverflow(boolean cf, boolean of) {
        carries = carries & 0x3fff_ffff_ffff_ffffL | (cf ? Long.MIN_VALUE : 0) | (cf ^ of ? 1L << 62 : 0);
    }

    /** SHLD or SHRD: shifts {@code a}, filling with the bits of {@code fill}. */
    long shiftDouble(boolean left, long a, long fill, int count, int size) {
        int n = count & (size == 8 ? 63 : 31);
        long x = zeroExtend(a, size);
        if (n == 0) {
            return x;
        }
        int bits = 8 * size;
        long f = zeroExtend(fill, size);
        long s;
        boolean cf;
        if (size == 2) {
            // Counts above 16 are undefined; like processors, rotate through a, fill, a.
            long wide = x << 32 | f << 16 | x;
            if (left) {
                s = wide << n >>> 32 & 0xffff;
                cf = (wide >>> 48 - n & 1) != 0;
            } else {
                s = wide >>> n & 0xffff;
                cf = (wide >>> n - 1 & 1) != 0;
            }
        } else if (left) {
            s = x << n | f >>> bits - n;
            cf = (x >>> bits - n & 1) != 0;
        } else {
            s = x >>> n | f << bits - n;
            cf = (x >>> n - 1 & 1) != 0;
        }
        long extended = signExtend(s, size);
        boolean of = ((extended ^ signExtend(x, size)) & Long.MIN_VALUE) != 0;
        setShiftFlags(extended, cf, of);
        return zeroExtend(s, size);
    }

    /** The low half of a signed product; CF and OF say whether it lost anything. */
    long imul(long a, long b, int size) {
        long x = signExtend(a, size);
        long y = signExtend(b, size);
        long product = x * y;
        boolean lost = size == 8 ? Math.multiplyHigh(x, y) != product >> 63 : signExtend(product, size) != product;
        setShiftFlags(signExtend(product, size), lost, lost);
        return zeroExtend(product, size);
    }

    /** Flags of MUL and one-operand IMUL: CF and OF say whether the upper half matters. */
    void setProductFlags(long low, int size, boolean wide) {
        setShiftFlags(signExtend(low, size), wide, wide);
    }
}
