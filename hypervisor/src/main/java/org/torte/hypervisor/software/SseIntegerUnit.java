package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** The XMM forms of the packed integer and logical instructions, SSE2 to SSE4.2 without the string comparisons. */
final class SseIntegerUnit {
    private static final long LOW_DWORD = 0xffffffffL;
    private static final int CF = 1, ZF = 1 << 6;

    private final VectorOperands operands;
    private final long[] xmm;
    private final CpuContext cpu;

    SseIntegerUnit(VectorOperands operands) {
        this.operands = operands;
        xmm = operands.fpu.xmm;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        Operation operation = in.form.operation();
        switch (operation) {
            case PSLLW, PSRLW, PSRAW, PSLLD, PSRLD, PSRAD, PSLLQ, PSRLQ -> shift(in, address);
            case PSLLDQ, PSRLDQ -> shiftBytes(in);
            case PMOVSXBW, PMOVSXBD, PMOVSXBQ, PMOVSXWD, PMOVSXWQ, PMOVSXDQ -> extendSigned(in, address);
            case PMOVZXBW, PMOVZXBD, PMOVZXBQ, PMOVZXWD, PMOVZXWQ, PMOVZXDQ -> extendUnsigned(in, address);
            case PTEST -> {
                operands.source(in, address);
                long a0 = xmm[2 * in.reg];
                long a1 = xmm[2 * in.reg + 1];
                int flags = (operands.lo & a0 | operands.hi & a1) == 0 ? ZF : 0;
                cpu.setArithmeticFlags((operands.lo & ~a0 | operands.hi & ~a1) == 0 ? flags | CF : flags);
            }
            case PACKSSWB, PACKUSWB, PACKSSDW, PACKUSDW -> pack(in, address);
            case PHADDW, PHADDD, PHADDSW, PHSUBW, PHSUBD, PHSUBSW -> horizontal(in, address);
            case PSHUFB, PALIGNR, PBLENDVB, BLENDVPS, BLENDVPD, PBLENDW, BLENDPS, BLENDPD, MPSADBW, PHMINPOSUW ->
                rearrange(in, address);
            default -> {
                operands.source(in, address);
                int target = 2 * in.reg;
                xmm[target] = PackedLanes.apply(operation, xmm[target], operands.lo);
                xmm[target + 1] = PackedLanes.apply(operation, xmm[target + 1], operands.hi);
            }
        }
    }

    private void shift(Instruction in, long address) {
        boolean immediate = in.opcode >= 0x71 && in.opcode <= 0x73;
        long count;
        int target;
        if (immediate) {
            count = in.immediate & 0xff;
            target = 2 * in.rm;
        } else {
            operands.source(in, address);
            count = operands.lo;
            target = 2 * in.reg;
        }
        Operation operation = in.form.operation();
        xmm[target] = PackedLanes.shift(operation, xmm[target], count);
        xmm[target + 1] = PackedLanes.shift(operation, xmm[target + 1], count);
    }

    private void shiftBytes(Instruction in) {
        int count = 8 * Math.min((int) in.immediate & 0xff, 16);
        long lo = xmm[2 * in.rm];
        long hi = xmm[2 * in.rm + 1];
        if (in.form.operation() == Operation.PSRLDQ) {
            operands.setXmm(in.rm, shiftedRight(lo, hi, count), count < 64 ? hi >>> count : 0);
        } else {
            operands.setXmm(in.rm, count < 64 ? lo << count : 0, shiftedLeftUpper(lo, hi, count));
        }
    }

    /** Bits 63:0 of the 128-bit number {@code hi:lo} shifted right by 0 to 128. */
    private static long shiftedRight(long lo, long hi, int count) {
        if (count == 0) {
            return lo;
        }
        if (count < 64) {
            return lo >>> count | hi << 64 - count;
        }
        return count < 128 ? hi >>> count - 64 : 0;
    }

    /** Bits 127:64 of the 128-bit number {@code hi:lo} shifted left by 0 to 128. */
    private static long shiftedLeftUpper(long lo, long hi, int count) {
        if (count == 0) {
            return hi;
        }
        if (count < 64) {
            return hi << count | lo >>> 64 - count;
        }
        return count < 128 ? lo << count - 64 : 0;
    }

    private void extendSigned(Instruction in, long address) {
        switch (in.form.operation()) {
            case PMOVSXBW -> {
                long b = operands.source64(in, address);
                operands.setXmm(in.reg, signedBytesToWords((int) b), signedBytesToWords((int) (b >>> 32)));
            }
            case PMOVSXBD -> {
                int b = (int) operands.source32(in, address);
                operands.setXmm(in.reg, joined((byte) b, (byte) (b >> 8)), joined((byte) (b >> 16), b >> 24));
            }
            case PMOVSXBQ -> {
                long b = source16(in, address);
                operands.setXmm(in.reg, (byte) b, (byte) (b >> 8));
            }
            case PMOVSXWD -> {
                long b = operands.source64(in, address);
                operands.setXmm(
                        in.reg, joined((short) b, (short) (b >> 16)), joined((short) (b >> 32), (short) (b >> 48)));
            }
            case PMOVSXWQ -> {
                int b = (int) operands.source32(in, address);
                operands.setXmm(in.reg, (short) b, b >> 16);
            }
            default -> {
                long b = operands.source64(in, address);
                operands.setXmm(in.reg, b << 32 >> 32, b >> 32);
            }
        }
    }

    private static long signedBytesToWords(int x) {
        return (byte) x & 0xffffL
                | ((byte) (x >> 8) & 0xffffL) << 16
                | ((byte) (x >> 16) & 0xffffL) << 32
                | (long) (x >> 24) << 48;
    }

    private void extendUnsigned(Instruction in, long address) {
        switch (in.form.operation()) {
            case PMOVZXBW -> {
                long b = operands.source64(in, address);
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveBytes((int) b, 0),
                        PackedLanes.interleaveBytes((int) (b >>> 32), 0));
            }
            case PMOVZXBD -> {
                long b = operands.source32(in, address);
                operands.setXmm(in.reg, b & 0xff | (b >>> 8 & 0xff) << 32, b >>> 16 & 0xff | (b >>> 24 & 0xff) << 32);
            }
            case PMOVZXBQ -> {
                long b = source16(in, address);
                operands.setXmm(in.reg, b & 0xff, b >>> 8);
            }
            case PMOVZXWD -> {
                long b = operands.source64(in, address);
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveWords((int) b, 0),
                        PackedLanes.interleaveWords((int) (b >>> 32), 0));
            }
            case PMOVZXWQ -> {
                long b = operands.source32(in, address);
                operands.setXmm(in.reg, b & 0xffff, b >>> 16);
            }
            default -> {
                long b = operands.source64(in, address);
                operands.setXmm(in.reg, b & LOW_DWORD, b >>> 32);
            }
        }
    }

    private long source16(Instruction in, long address) {
        return in.memory ? cpu.load(address, 2) : xmm[2 * in.rm] & 0xffff;
    }

    private static long joined(int low, int high) {
        return low & LOW_DWORD | (long) high << 32;
    }

    private void pack(Instruction in, long address) {
        operands.source(in, address);
        long a0 = xmm[2 * in.reg];
        long a1 = xmm[2 * in.reg + 1];
        long b0 = operands.lo;
        long b1 = operands.hi;
        switch (in.form.operation()) {
            case PACKSSWB -> operands.setXmm(in.reg, PackedLanes.packWords(a0, a1), PackedLanes.packWords(b0, b1));
            case PACKUSWB ->
                operands.setXmm(in.reg, PackedLanes.packWordsUnsigned(a0, a1), PackedLanes.packWordsUnsigned(b0, b1));
            case PACKSSDW -> operands.setXmm(in.reg, PackedLanes.packDwords(a0, a1), PackedLanes.packDwords(b0, b1));
            default ->
                operands.setXmm(in.reg, PackedLanes.packDwordsUnsigned(a0, a1), PackedLanes.packDwordsUnsigned(b0, b1));
        }
    }

    private void horizontal(Instruction in, long address) {
        operands.source(in, address);
        long a0 = xmm[2 * in.reg];
        long a1 = xmm[2 * in.reg + 1];
        Operation operation = in.form.operation();
        operands.setXmm(
                in.reg,
                joined(adjacent(operation, a0), adjacent(operation, a1)),
                joined(adjacent(operation, operands.lo), adjacent(operation, operands.hi)));
    }

    private static int adjacent(Operation operation, long x) {
        return switch (operation) {
            case PHADDW -> PackedLanes.addAdjacentWords(x);
            case PHADDSW -> PackedLanes.addAdjacentWordsSaturated(x);
            case PHSUBW -> PackedLanes.subtractAdjacentWords(x);
            case PHSUBSW -> PackedLanes.subtractAdjacentWordsSaturated(x);
            case PHADDD -> (int) x + (int) (x >>> 32);
            default -> (int) x - (int) (x >>> 32);
        };
    }

    private void rearrange(Instruction in, long address) {
        operands.source(in, address);
        long a0 = xmm[2 * in.reg];
        long a1 = xmm[2 * in.reg + 1];
        long b0 = operands.lo;
        long b1 = operands.hi;
        int control = (int) in.immediate & 0xff;
        switch (in.form.operation()) {
            case PSHUFB ->
                operands.setXmm(in.reg, PackedLanes.shuffleBytes(a0, a1, b0), PackedLanes.shuffleBytes(a0, a1, b1));
            case PALIGNR -> {
                int count = 8 * control;
                if (count < 128) {
                    operands.setXmm(in.reg, window(b0, b1, a0, count), window(b1, a0, a1, count));
                } else {
                    int rest = Math.min(count - 128, 128);
                    operands.setXmm(in.reg, shiftedRight(a0, a1, rest), rest < 64 ? a1 >>> rest : 0);
                }
            }
            case PBLENDVB ->
                blend(
                        in,
                        PackedLanes.expandBytes(xmm[0] & 0x8080808080808080L),
                        PackedLanes.expandBytes(xmm[1] & 0x8080808080808080L));
            case BLENDVPS ->
                blend(in, dwordMask(xmm[0] >>> 31, xmm[0] >>> 63), dwordMask(xmm[1] >>> 31, xmm[1] >>> 63));
            case BLENDVPD -> blend(in, xmm[0] >> 63, xmm[1] >> 63);
            case BLENDPS -> blend(in, dwordMask(control, control >>> 1), dwordMask(control >>> 2, control >>> 3));
            case BLENDPD -> blend(in, -(control & 1L), -(control >>> 1 & 1L));
            case PBLENDW -> blend(in, wordMask(control), wordMask(control >>> 4));
            case MPSADBW -> {
                // Bit 2: where the 11 destination bytes start; bits 1:0: which 4 source bytes.
                int from = (control & 4) * 8;
                long source = ((control & 2) == 0 ? b0 : b1) >>> 32 * (control & 1) & LOW_DWORD;
                long low = from == 0 ? a0 : a0 >>> 32 | a1 << 32;
                long high = from == 0 ? a1 : a1 >>> 32;
                operands.setXmm(
                        in.reg,
                        fourDifferences(low, high, source),
                        fourDifferences(low >>> 32 | high << 32, high >>> 32, source));
            }
            default -> {
                int best = 0;
                long minimum = 0xffff + 1;
                for (int i = 0; i < 8; i++) {
                    long value = (i < 4 ? b0 : b1) >>> 16 * (i & 3) & 0xffff;
                    if (value < minimum) {
                        minimum = value;
                        best = i;
                    }
                }
                operands.setXmm(in.reg, minimum | (long) best << 16, 0);
            }
        }
    }

    /** 64 bits of the 192-bit number {@code c:b:a} from bit {@code count}, 0 to 127. */
    private static long window(long a, long b, long c, int count) {
        return count < 64 ? shiftedRight(a, b, count) : shiftedRight(b, c, count - 64);
    }

    private static long dwordMask(long low, long high) {
        return -(low & 1) & LOW_DWORD | -(high & 1) << 32;
    }

    private static long wordMask(int bits) {
        long mask = 0;
        for (int i = 0; i < 4; i++) {
            mask |= (-(bits >>> i & 1L) & 0xffff) << 16 * i;
        }
        return mask;
    }

    private void blend(Instruction in, long maskLow, long maskHigh) {
        int target = 2 * in.reg;
        xmm[target] ^= (xmm[target] ^ operands.lo) & maskLow;
        xmm[target + 1] ^= (xmm[target + 1] ^ operands.hi) & maskHigh;
    }

    /** Sums of absolute differences of the 4 bytes of {@code source} with those at bytes 0, 1, 2 and 3 of {@code hi:lo}. */
    private static long fourDifferences(long lo, long hi, long source) {
        long result = 0;
        for (int i = 0; i < 4; i++) {
            long window = shiftedRight(lo, hi, 8 * i);
            int sum = 0;
            for (int j = 0; j < 32; j += 8) {
                sum += Math.abs((int) (window >>> j & 0xff) - (int) (source >>> j & 0xff));
            }
            result |= (long) sum << 16 * i;
        }
        return result;
    }
}
