package org.torte.hypervisor.oracle;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Random states before an instruction: edge cases and random bits, with addresses that mostly lie in the data. */
public final class StateGenerator {
    private static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
    private static final int STATUS = 0x8D5;

    private static final long[] DOUBLES = {
        0,
        Long.MIN_VALUE,
        0x3FF0_0000_0000_0000L,
        0xBFF0_0000_0000_0000L,
        0x7FF0_0000_0000_0000L,
        0xFFF0_0000_0000_0000L,
        0x7FF8_0000_0000_0000L,
        0x7FF0_0000_0000_0001L,
        0xFFF4_0000_0000_0000L,
        1,
        0x000F_FFFF_FFFF_FFFFL,
        0x0010_0000_0000_0000L,
        0x7FEF_FFFF_FFFF_FFFFL,
        0x41DF_FFFF_FFC0_0000L,
        0x41E0_0000_0000_0000L,
        0xC1E0_0000_0020_0000L,
        0x43E0_0000_0000_0000L,
        0xC3E0_0000_0000_0000L,
        0x3FE0_0000_0000_0000L,
        0x3FF8_0000_0000_0000L,
        0x4004_0000_0000_0000L,
        0x36A0_0000_0000_0000L
    };
    private static final int[] FLOATS = {
        0,
        0x8000_0000,
        0x3F80_0000,
        0xBF80_0000,
        0x7F80_0000,
        0xFF80_0000,
        0x7FC0_0000,
        0x7F80_0001,
        0xFFA0_0000,
        1,
        0x007F_FFFF,
        0x0080_0000,
        0x7F7F_FFFF,
        0x4EFF_FFFF,
        0x4F00_0000,
        0xCF00_0000,
        0x5F00_0000,
        0xDF00_0000,
        0x3F00_0000,
        0x3FC0_0000,
        0x4020_0000
    };

    private final Random random;

    public StateGenerator(Random random) {
        this.random = random;
    }

    /** An address for a memory operand: mostly in the data, sometimes across its end, where nothing is mapped. */
    static long target(Random random) {
        return CaseRecord.DATA
                + switch (random.nextInt(10)) {
                    case 0 -> CaseRecord.DATA_SIZE - 16 + random.nextInt(20);
                    case 1, 2 -> random.nextInt(CaseRecord.DATA_SIZE - 32);
                    default -> random.nextInt(12) * 16;
                };
    }

    /** Fills in everything but the code. */
    public void fill(CaseRecord record, Instruction in) {
        for (int i = 0; i < 16; i++) {
            record.setRegister(i, integer());
        }
        record.setFlags(0x202 | random.nextInt() & (random.nextInt(3) == 0 ? STATUS | 0x400 : STATUS));
        floatingPoint(record.fx(), in);
        MemorySegment data = record.data();
        for (int i = 0; i < CaseRecord.DATA_SIZE; i += 8) {
            data.set(JAVA_LONG_UNALIGNED, i, random.nextInt(3) == 0 ? codePointer() : vector());
        }
        registersFor(record, in);
        if (in.memory && in.form.hasModrm()) {
            address(record, in);
        }
    }

    /** Registers that the operation uses without naming them. */
    private void registersFor(CaseRecord record, Instruction in) {
        switch (in.form.operation()) {
            case PUSH, POP, PUSHF, CALL, RET, ENTER, LEAVE -> {
                record.setRegister(RSP, CaseRecord.DATA + 8L * random.nextInt(33) - random.nextInt(8) / 7);
                record.setRegister(RBP, CaseRecord.DATA + 8L * random.nextInt(33));
            }
            case POPF -> {
                // NT and ID would outlive the case, TF would end it.
                for (int i = 0; i < CaseRecord.DATA_SIZE; i += 2) {
                    short word = record.data().get(JAVA_SHORT_UNALIGNED, i);
                    record.data().set(JAVA_SHORT_UNALIGNED, i, (short) (word & (i % 4 == 0 ? 0xED5 : 0)));
                }
                record.setRegister(RSP, CaseRecord.DATA + 8L * random.nextInt(33));
            }
            case MOVS, CMPS, STOS, LODS, SCAS, MASKMOVQ, MASKMOVDQU -> {
                record.setRegister(RSI, target(random));
                record.setRegister(RDI, target(random));
                record.setRegister(RCX, random.nextInt(7));
            }
            case XLAT -> record.setRegister(RBX, CaseRecord.DATA + random.nextInt(20));
            case DIV, IDIV -> {
                if (random.nextInt(3) != 0) {
                    long high = random.nextInt(3) - 1;
                    record.setRegister(RDX, high);
                    if (in.form.operand(0) == Operand.EB) {
                        record.setRegister(RAX, random.nextInt(0x800));
                    }
                }
            }
            case SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD ->
                record.setRegister(RCX, record.register(RCX) & ~0xFFL | random.nextInt(70));
            case PCMPESTRI, PCMPESTRM -> {
                record.setRegister(RAX, random.nextInt(40) - 20);
                record.setRegister(RDX, random.nextInt(40) - 20);
            }
            default -> {}
        }
        switch (in.form.operation()) {
            case JMP, CALL -> {
                if (in.form.hasModrm() && !in.memory && in.rm != RSP) {
                    record.setRegister(in.rm, codePointer());
                }
            }
            case CMPXCHG -> {
                if (!in.memory && random.nextBoolean()) {
                    record.setRegister(in.rm, record.register(RAX));
                }
            }
            case BT, BTS, BTR, BTC -> {
                if (in.memory && in.form.operand(1) == Operand.GV) {
                    record.setRegister(in.reg, random.nextInt(1024) - 512);
                }
            }
            default -> {}
        }
    }

    /** Makes the effective address one in the data, if base or index can be chosen. */
    private void address(CaseRecord record, Instruction in) {
        long target = target(random);
        long high = in.addressSize == 4 ? (long) random.nextInt() << 32 : 0;
        if (in.base >= 0 && in.base < 16) {
            long rest = target - in.displacement;
            if (in.index == in.base) {
                record.setRegister(in.base, rest / (1 + (1 << in.scale)) | high);
            } else {
                if (in.index >= 0) {
                    long index = random.nextInt(8) - 4;
                    if (in.index == RSP || in.index == RCX || in.index == RDX || in.index == RAX) {
                        index = record.register(in.index);
                    }
                    record.setRegister(in.index, index);
                    rest -= index << in.scale;
                }
                record.setRegister(in.base, in.addressSize == 4 ? rest & 0xFFFF_FFFFL | high : rest);
            }
        } else if (in.index >= 0) {
            record.setRegister(in.index, (target - in.displacement) >> in.scale);
        }
    }

    private long codePointer() {
        return CaseRecord.CODE_PAGE + 0x100 + random.nextInt(0x600);
    }

    private long integer() {
        int shift = random.nextInt(64);
        return switch (random.nextInt(8)) {
            case 0 -> random.nextInt(5) - 2;
            case 1 -> 1L << shift;
            case 2 -> (1L << shift) - 1;
            case 3 -> -1L << shift;
            case 4 -> random.nextInt();
            case 5 -> random.nextLong() >>> shift;
            default -> random.nextLong();
        };
    }

    /** Eight bytes as integers, floats or doubles. */
    private long vector() {
        return switch (random.nextInt(6)) {
            case 0 -> DOUBLES[random.nextInt(DOUBLES.length)];
            case 1 ->
                FLOATS[random.nextInt(FLOATS.length)] & 0xFFFF_FFFFL
                        | (long) FLOATS[random.nextInt(FLOATS.length)] << 32;
            case 2 -> Double.doubleToRawLongBits(random.nextGaussian() * Math.scalb(1.0, random.nextInt(80) - 20));
            case 3 ->
                Float.floatToRawIntBits((float) (random.nextGaussian() * 100)) & 0xFFFF_FFFFL
                        | (long) Float.floatToRawIntBits((float) random.nextGaussian()) << 32;
            case 4 -> integer();
            default -> random.nextLong();
        };
    }

    private void floatingPoint(MemorySegment fx, Instruction in) {
        fx.fill((byte) 0);
        int control = 0x37F;
        int mxcsr = 0x1F80;
        if (random.nextInt(3) == 0) {
            control = control & ~0xF00 | random.nextInt(4) << 10 | new int[] {0, 2, 3}[random.nextInt(3)] << 8;
            mxcsr |= random.nextInt(4) << 13 | random.nextInt(4) / 3 << 15 | random.nextInt(4) / 3 << 6;
        }
        if (random.nextInt(10) == 0) {
            mxcsr &= ~(random.nextInt(64) << 7);
        }
        if (random.nextInt(10) == 0) {
            control &= ~random.nextInt(64);
        }
        fx.set(JAVA_SHORT_UNALIGNED, 0, (short) control);
        int conditions = random.nextInt() & 0x4700;
        fx.set(JAVA_SHORT_UNALIGNED, 2, (short) (random.nextInt(8) << 11 | conditions));
        fx.set(JAVA_SHORT_UNALIGNED, 4, (short) (random.nextInt(3) == 0 ? random.nextInt(256) : 0xFF));
        fx.set(JAVA_INT_UNALIGNED, 24, mxcsr);
        for (int i = 0; i < 8; i++) {
            extended(fx, 32 + 16 * i);
        }
        for (int i = 160; i < CaseRecord.FX_SIZE; i += 8) {
            fx.set(JAVA_LONG_UNALIGNED, i, vector());
        }
        if (in.form.operation().name().startsWith("PCMP") && random.nextBoolean()) {
            for (int i = 160; i < CaseRecord.FX_SIZE; i++) {
                fx.set(java.lang.foreign.ValueLayout.JAVA_BYTE, i, (byte) random.nextInt(4));
            }
        }
    }

    private void extended(MemorySegment fx, int at) {
        long significand = random.nextLong() | Long.MIN_VALUE;
        int exponent = 0x3FFF + random.nextInt(140) - 70;
        switch (random.nextInt(12)) {
            case 0 -> {
                significand = 0;
                exponent = 0;
            }
            case 1 -> {
                significand = Long.MIN_VALUE;
                exponent = 0x7FFF;
            }
            case 2 -> exponent = 0x7FFF;
            case 3 -> significand = Long.MIN_VALUE;
            case 4 -> {
                significand &= Long.MAX_VALUE;
                exponent = 0;
            }
            case 5 -> significand = random.nextLong();
            case 6 -> exponent = random.nextInt(0x8000);
            case 7 -> {
                significand = (long) random.nextInt(1000) << 54 | Long.MIN_VALUE;
                exponent = 0x3FFF + random.nextInt(12);
            }
            default -> {}
        }
        fx.set(JAVA_LONG_UNALIGNED, at, significand);
        fx.set(JAVA_SHORT_UNALIGNED, at + 8, (short) (exponent | random.nextInt(2) << 15));
    }
}
