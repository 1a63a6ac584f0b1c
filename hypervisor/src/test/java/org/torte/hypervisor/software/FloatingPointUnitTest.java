package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.MessageDigest;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Instruction;

class FloatingPointUnitTest {
    private static final long MEMORY = 0x1000;
    private static final long CR0_EM = 4, CR0_TS = 8, CR4_OSFXSR = 0x200, CR4_OSXMMEXCPT = 0x400, CR4_OSXSAVE = 0x40000;

    private final FpuState state = new FpuState();
    private final Context cpu = new Context();
    private final FloatingPointUnit unit = new FloatingPointUnit(state, cpu);

    /** A processor in 64-bit mode with a page of memory. */
    private static final class Context implements CpuContext {
        final ByteBuffer memory = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
        final long[] gpr = new long[16];
        int flags;
        long cr0 = 0x33;
        long cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;

        private int offset(long address, int size) {
            if (address < MEMORY || address + size > MEMORY + 4096) {
                throw fault(GuestFault.PF, 0);
            }
            return (int) (address - MEMORY);
        }

        @Override
        public long load(long address, int size) {
            int at = offset(address, size);
            return switch (size) {
                case 1 -> memory.get(at) & 0xff;
                case 2 -> memory.getShort(at) & 0xffff;
                case 4 -> memory.getInt(at) & 0xffffffffL;
                default -> memory.getLong(at);
            };
        }

        @Override
        public void store(long address, int size, long value) {
            int at = offset(address, size);
            for (int i = 0; i < size; i++) {
                memory.put(at + i, (byte) (value >>> 8 * i));
            }
        }

        @Override
        public void checkStore(long address, int size) {
            offset(address, size);
        }

        @Override
        public void checkAlignment(long address, int size) {}

        @Override
        public int selector(int segment) {
            return 0;
        }

        @Override
        public long gpr(int register) {
            return gpr[register];
        }

        @Override
        public void setGpr(int register, long value) {
            gpr[register] = value;
        }

        @Override
        public void setArithmeticFlags(int newFlags) {
            flags = newFlags;
        }

        @Override
        public int arithmeticFlags() {
            return flags;
        }

        @Override
        public long cr0() {
            return cr0;
        }

        @Override
        public long cr4() {
            return cr4;
        }

        @Override
        public boolean longMode() {
            return true;
        }

        @Override
        public int cpl() {
            return 3;
        }

        @Override
        public long instructionPointer() {
            return 0x401000;
        }

        @Override
        public long segmentBase(int segment) {
            return 0;
        }

        @Override
        public GuestFault fault(int vector, int errorCode) {
            return new GuestFault().with(vector, errorCode);
        }
    }

    /** Executes an instruction given in hexadecimal; a memory operand is at {@link #MEMORY} plus its displacement. */
    private void run(String hex) {
        byte[] code = HexFormat.of().parseHex(hex.replace(" ", ""));
        Instruction in = new Instruction();
        Decoder.decode(offset -> offset < code.length ? code[offset] & 0xff : 0x90, 64, in);
        assertThat(FloatingPointUnit.handles(in.form)).as(hex).isTrue();
        unit.execute(in, in.memory ? MEMORY + in.displacement : 0);
    }

    private void faults(int vector, String hex) {
        try {
            run(hex);
        } catch (GuestFault fault) {
            assertThat(fault.vector).as(hex).isEqualTo(vector);
            return;
        }
        fail(hex + " does not fault");
    }

    private void setXmm(int register, long lo, long hi) {
        state.xmm[2 * register] = lo;
        state.xmm[2 * register + 1] = hi;
    }

    private void assertXmm(int register, long lo, long hi) {
        assertThat(new long[] {state.xmm[2 * register], state.xmm[2 * register + 1]})
                .containsExactly(lo, hi);
    }

    @Test
    void availabilityIsCheckedInTheOrderOfTheManual() {
        cpu.cr0 |= CR0_EM | CR0_TS;
        faults(GuestFault.UD, "0f 58 c1");
        faults(GuestFault.UD, "0f fc c1");
        faults(GuestFault.NM, "d8 c1");
        cpu.cr0 &= ~CR0_EM;
        faults(GuestFault.NM, "0f 58 c1");
        faults(GuestFault.NM, "0f fc c1");
        cpu.cr4 = 0;
        faults(GuestFault.UD, "0f 58 c1");
        faults(GuestFault.UD, "0f ae 21");
        faults(GuestFault.UD, "0f 01 d0");
    }

    @Test
    void misalignedOperandsFaultUnlessTheInstructionAllowsThem() {
        faults(GuestFault.GP, "66 0f fc 40 08");
        faults(GuestFault.GP, "0f 28 40 01");
        faults(GuestFault.GP, "0f 29 40 01");
        run("0f 10 40 01");
        run("66 0f 3a 63 40 01 00");
    }

    @Test
    void aStoreOverTheEndOfMemoryChangesNothing() {
        setXmm(0, -1, -1);
        faults(GuestFault.PF, "0f 11 80 f8 0f 00 00");
        assertThat(cpu.memory.getLong(4088)).isZero();
    }

    @Test
    void anUnmaskedExceptionSetsItsFlagAndKeepsTheResult() {
        state.mxcsr &= ~(1 << 9);
        setXmm(0, Double.doubleToRawLongBits(1), 7);
        setXmm(1, 0, 0);
        faults(GuestFault.XM, "f2 0f 5e c1");
        assertXmm(0, Double.doubleToRawLongBits(1), 7);
        assertThat(state.mxcsr & 0x3f).isEqualTo(4);
        cpu.cr4 &= ~CR4_OSXMMEXCPT;
        faults(GuestFault.UD, "f2 0f 5e c1");
    }

    @Test
    void inexactnessIsFlaggedExactlyWhenSomethingWasLost() {
        setXmm(0, Double.doubleToRawLongBits(3), 0);
        setXmm(1, Double.doubleToRawLongBits(0.5), 0);
        run("f2 0f 58 c1");
        run("f2 0f 59 c1");
        run("f2 0f 5e c1");
        assertThat(state.mxcsr).isEqualTo(0x1f80);
        setXmm(1, Double.doubleToRawLongBits(0x1p-60), 0);
        run("f2 0f 58 c1");
        assertThat(state.mxcsr).isEqualTo(0x1fa0);
    }

    @Test
    void aesRoundsAgreeWithFips197() {
        // Appendix B: the state at the start of round 1, and after it with the second round key.
        setXmm(0, little("193de3bea0f4e22b"), little("9ac68d2ae9f84808"));
        setXmm(1, little("a0fafe1788542cb1"), little("23a339392a6c7605"));
        run("66 0f 38 dc c1");
        assertXmm(0, little("a49c7ff2689f352b"), little("6b5bea43026a5049"));
        setXmm(0, little("2b7e151628aed2a6"), little("abf7158809cf4f3c"));
        run("66 0f 3a df c8 01");
        // Appendix A.1: SubWord of 09cf4f3c, rotated and with the first round constant, is 8b84eb01.
        assertThat(state.xmm[3] >>> 32).isEqualTo(0x01eb848bL);
    }

    private static long little(String bytes) {
        return Long.reverseBytes(Long.parseUnsignedLong(bytes, 16));
    }

    @Test
    void sha256OfOneBlockIsThatOfTheJdk() throws Exception {
        byte[] padded = new byte[64];
        padded[0] = 'a';
        padded[1] = 'b';
        padded[2] = 'c';
        padded[3] = (byte) 0x80;
        padded[63] = 24;
        ByteBuffer big = ByteBuffer.wrap(padded);
        int[] w = new int[64];
        for (int i = 0; i < 16; i++) {
            w[i] = big.getInt(4 * i);
        }
        for (int i = 16; i < 64; i += 4) {
            setWords(1, w, i - 16);
            setWords(2, w, i - 12);
            run("0f 38 cc ca");
            setWords(3, w, i - 7);
            for (int j = 0; j < 2; j++) {
                state.xmm[2 + j] = lanes(state.xmm[2 + j], state.xmm[6 + j]);
            }
            setWords(2, w, i - 4);
            run("0f 38 cd ca");
            for (int j = 0; j < 4; j++) {
                w[i + j] = (int) (state.xmm[2 + (j >> 1)] >>> 32 * (j & 1));
            }
        }
        int[] h = new int[8];
        int[] k = new int[64];
        constants(h, k);
        // SHA256RNDS2 keeps A, B, E, F in one register and C, D, G, H in the other, the first on top.
        setXmm(2, pair(h[5], h[4]), pair(h[1], h[0]));
        setXmm(1, pair(h[7], h[6]), pair(h[3], h[2]));
        for (int i = 0; i < 64; i += 2) {
            setXmm(0, pair(w[i] + k[i], w[i + 1] + k[i + 1]), 0);
            run("0f 38 cb ca");
            long lo = state.xmm[2];
            long hi = state.xmm[3];
            setXmm(1, state.xmm[4], state.xmm[5]);
            setXmm(2, lo, hi);
        }
        int[] out = {
            h[0] + (int) (state.xmm[5] >>> 32), h[1] + (int) state.xmm[5],
            h[2] + (int) (state.xmm[3] >>> 32), h[3] + (int) state.xmm[3],
            h[4] + (int) (state.xmm[4] >>> 32), h[5] + (int) state.xmm[4],
            h[6] + (int) (state.xmm[2] >>> 32), h[7] + (int) state.xmm[2]
        };
        ByteBuffer digest = ByteBuffer.allocate(32);
        for (int value : out) {
            digest.putInt(value);
        }
        assertThat(digest.array())
                .isEqualTo(MessageDigest.getInstance("SHA-256").digest(new byte[] {'a', 'b', 'c'}));
    }

    private static long pair(int low, int high) {
        return low & 0xffffffffL | (long) high << 32;
    }

    private static long lanes(long a, long b) {
        return pair((int) a + (int) b, (int) (a >>> 32) + (int) (b >>> 32));
    }

    private void setWords(int register, int[] w, int from) {
        setXmm(register, pair(w[from], w[from + 1]), pair(w[from + 2], w[from + 3]));
    }

    /** FIPS 180-4, 4.2.2 and 5.3.3: fractions of the roots of the first primes. */
    private static void constants(int[] h, int[] k) {
        int found = 0;
        for (int n = 2; found < 64; n++) {
            if (BigInteger.valueOf(n).isProbablePrime(40)) {
                BigDecimal cube = root(n, 3);
                k[found] = fraction(cube);
                if (found < 8) {
                    h[found] = fraction(root(n, 2));
                }
                found++;
            }
        }
    }

    private static BigDecimal root(int n, int degree) {
        BigInteger scaled = BigInteger.valueOf(n).shiftLeft(40 * degree);
        BigInteger low = BigInteger.ZERO;
        for (int bit = 45; bit >= 0; bit--) {
            BigInteger next = low.setBit(bit);
            if (next.pow(degree).compareTo(scaled) <= 0) {
                low = next;
            }
        }
        return new BigDecimal(low);
    }

    private static int fraction(BigDecimal scaled) {
        return scaled.toBigInteger().shiftRight(8).intValue();
    }

    @Test
    void x87ArithmeticKeeps64BitsAndObeysPrecisionControl() {
        run("db e3");
        run("d9 e8");
        run("d9 eb");
        run("de f9");
        // ST(1) / ST(0), and the pi of the x87 is a little too large
        assertThat(state.significand[state.top]).isEqualTo(0xa2f9836e4e44152aL);
        cpu.memory.putShort(0, (short) 0x027f);
        run("d9 28");
        run("d9 e8");
        run("d9 eb");
        run("de f9");
        assertThat(state.significand[state.top]).isEqualTo(0xa2f9836e4e441800L);
    }

    @Test
    void anEmptyStackGivesTheIndefiniteNumberOrAPendingException() {
        run("db e3");
        run("d9 fa");
        assertThat(state.statusWord()).isEqualTo(0x41);
        assertThat(state.signExponent[0]).isEqualTo(0xffff);
        run("db e3");
        cpu.memory.putShort(0, (short) 0x037e);
        run("d9 28");
        run("d9 fa");
        assertThat(state.statusWord()).isEqualTo(0x80c1);
        faults(GuestFault.MF, "d9 fa");
        faults(GuestFault.MF, "9b");
        run("df e0");
        assertThat(cpu.gpr[0]).isEqualTo(0x80c1);
        run("db e2");
        run("9b");
    }

    @Test
    void decimalStoresAndLoadsAreInverse() {
        run("db e3");
        cpu.memory.putLong(0, -123456789012345678L);
        run("df 28");
        run("df 70 10");
        assertThat(cpu.memory.getLong(16)).isEqualTo(0x3456789012345678L);
        assertThat(cpu.memory.getShort(24)).isEqualTo((short) 0x8012);
        run("df 60 10");
        run("df 78 20");
        assertThat(cpu.memory.getLong(32)).isEqualTo(-123456789012345678L);
    }

    @Test
    void mmxRegistersAreTheSignificandsOfTheX87() {
        run("db e3");
        cpu.memory.putLong(0, 0x0102030405060708L);
        run("0f 6f 08");
        assertThat(state.significand[1]).isEqualTo(0x0102030405060708L);
        assertThat(state.signExponent[1]).isEqualTo(0xffff);
        assertThat(state.tagWord()).isNotEqualTo(0xffff);
        run("0f 77");
        assertThat(state.tagWord()).isEqualTo(0xffff);
    }

    @Test
    void theWholeStateSurvivesFxsaveAndXsave() {
        run("db e3");
        run("d9 eb");
        // The pointers are saved for handlers of pending exceptions.
        state.control &= ~1;
        state.status |= 1;
        state.updateErrorSummary();
        for (int i = 0; i < 32; i++) {
            state.xmm[i] = i * 0x0101010101010101L;
        }
        state.mxcsr = 0x1fa1;
        state.xcr0 = 3;
        cpu.gpr[0] = 3;
        run("48 0f ae 80 00 01 00 00");
        run("48 0f ae a0 00 04 00 00");
        assertThat(cpu.memory.getLong(1024 + 512)).isEqualTo(3);
        long[] before = state.xmm.clone();
        for (String restore : new String[] {"48 0f ae 88 00 01 00 00", "48 0f ae a8 00 04 00 00"}) {
            state.reset();
            state.xcr0 = 3;
            run(restore);
            assertThat(state.xmm).isEqualTo(before);
            assertThat(state.mxcsr).isEqualTo(0x1fa1);
            assertThat(state.significand[7]).isEqualTo(0xc90fdaa22168c235L);
            assertThat(state.instructionPointer).isEqualTo(0x401000);
            assertThat(state.tagWord()).isEqualTo(0x3fff);
        }
        cpu.memory.putInt(256 + 24, 0x10000);
        faults(GuestFault.GP, "48 0f ae 88 00 01 00 00");
    }
}
