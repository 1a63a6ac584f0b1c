package org.torte.hypervisor.oracle;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/** Random states before an instruction: edge cases and random bits, with addresses that mostly lie in the data. */
public final class StateGenerator {
    private static final int RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7;
    private static final int STATUS = 0x8D5;

    /** A bit of MXCSR that AMD's processors have and no model here. */
    private static final int MISALIGNED_SSE = 1 << 17;

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
        0x4020_0000,
        0x7E80_0000,
        0xFE7F_FFFF
    };

    /** A state takes some 150 vectors, of which its program uses a few: they come from a pool, a new one for so many states. */
    private static final int POOL = 4096, POOL_STATES = 1024;

    private final RandomGenerator random;
    private final long[] pool = new long[POOL];
    private int states;

    public StateGenerator(RandomGenerator random) {
        this.random = random;
    }

    /** An address for a memory operand: mostly in the windows, sometimes across the edges of what may be accessed. */
    static long target(RandomGenerator random) {
        long middle = AddressSpace.DATA + 0x1000;
        return switch (random.nextInt(20)) {
            case 0 -> AddressSpace.DATA - 16 + random.nextInt(20);
            case 1 -> middle - 16 + random.nextInt(20);
            case 2 -> AddressSpace.CONSTANTS - 16 + random.nextInt(20);
            case 3 -> AddressSpace.CONSTANTS + 0x1000 - 16 + random.nextInt(20);
            case 4 -> AddressSpace.CONSTANTS + 16L * random.nextInt(250);
            case 5 -> AddressSpace.CONSTANTS - 0x48 + random.nextInt(16);
            case 6, 7, 8, 9 -> middle - 96 + random.nextInt(400);
            default -> middle - 64 + 16L * random.nextInt(20);
        };
    }

    /** Where FXSAVE, XSAVE and their relatives may find 576 bytes, mostly aligned as they want it. */
    private long stateTarget() {
        long middle = AddressSpace.DATA + 0x1000;
        return switch (random.nextInt(24)) {
            case 0 -> AddressSpace.CONSTANTS - 0x40;
            case 1 -> AddressSpace.CONSTANTS + 0x1000 - 64L * random.nextInt(12);
            case 2 -> AddressSpace.DATA - 0x40;
            case 3 -> middle + random.nextInt(64);
            case 4, 5 -> middle + 16L * random.nextInt(8);
            default -> middle - 64 + 64L * random.nextInt(4);
        };
    }

    /**
     * A selector for a far transfer: mostly one that code can run with. Calls from compatibility to 64-bit mode take the
     * host's kernel half a second.
     */
    static int codeSelector(RandomGenerator random, Instruction in, CodeMode mode) {
        int selector = codeSelector(random);
        boolean callsLong = in.form.operation() == Operation.CALL_FAR
                && mode != CodeMode.LONG
                && (selector | 3) == AddressSpace.FLAT_CODE_64;
        return callsLong ? AddressSpace.CODE_32 : selector;
    }

    private static int codeSelector(RandomGenerator random) {
        return switch (random.nextInt(16)) {
            case 0 -> anySelector(random);
            case 1, 2 -> AddressSpace.CODE_32;
            case 3, 4 -> AddressSpace.FLAT_CODE_32;
            case 5, 6 -> AddressSpace.CODE_16;
            case 7 -> AddressSpace.SHORT_CODE_16;
            case 8, 9 -> AddressSpace.SHORT_CODE_32;
            default -> AddressSpace.FLAT_CODE_64;
        };
    }

    /** Any of the known selectors with any RPL, null ones, and one beyond the table. */
    private static int anySelector(RandomGenerator random) {
        int selector = switch (random.nextInt(8)) {
            case 0 -> 0;
            case 1 -> AddressSpace.FLAT_DATA;
            case 2 -> random.nextBoolean() ? AddressSpace.FLAT_CODE_32 : AddressSpace.FLAT_CODE_64;
            default -> random.nextInt(AddressSpace.LDT.size() + 1) << 3 | 7;
        };
        return random.nextInt(4) == 0 ? selector & ~3 | random.nextInt(4) : selector;
    }

    /** Fills in the whole state before a program. */
    public void fill(CaseRecord record, TestProgram program) {
        if (states++ % POOL_STATES == 0) {
            Arrays.setAll(pool, i -> newVector());
        }
        for (int i = 0; i < 6; i++) {
            record.setSelector(i, program.selectors()[i]);
        }
        record.setCode(program.address(), program.code());
        for (int i = 0; i < 16; i++) {
            setRegister(record, program, i, integer());
        }
        record.setFlags(0x202
                | random.nextInt() & (random.nextInt(3) == 0 ? STATUS | 0x400 : STATUS)
                | (random.nextInt(20) == 0 ? 0x4_0000 : 0));
        floatingPoint(record.fx(), program);
        data(record, program);
        // In reverse order, so that the first instruction that uses a register has it as it needs it.
        for (Instruction in : program.instructions().reversed()) {
            registersFor(record, program, in);
            if (in.memory && in.form.hasModrm()) {
                address(record, program, in);
            }
        }
    }

    private void data(CaseRecord record, TestProgram program) {
        MemorySegment data = record.data();
        boolean whole = false;
        for (Instruction in : program.instructions()) {
            whole |= movesState(in);
        }
        long pointers = AddressSpace.CODE + 0x100 - AddressSpace.base(program.selectors()[CaseRecord.CS]);
        int filled = 0;
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            int used = whole ? window.size() : Math.min(window.size(), 0x200);
            for (int i = 0; i < used; i += 8) {
                long choice = random.nextLong();
                // One in three is a place in the code.
                long pointer = pointers + ((choice >>> 32) * 0x600 >>> 32);
                data.set(
                        JAVA_LONG_UNALIGNED,
                        filled + i,
                        (choice >>> 16 & 0xFF) < 85 ? pointer : pool[(int) choice & POOL - 1]);
            }
            data.asSlice(filled + used, window.size() - used).fill((byte) 0);
            filled += window.size();
        }
    }

    private static boolean movesState(Instruction in) {
        return switch (in.form.operation()) {
            case FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR -> true;
            default -> false;
        };
    }

    private static void setRegister(CaseRecord record, TestProgram program, int number, long value) {
        record.setRegister(number, program.mode() == CodeMode.LONG ? value : value & 0xFFFF_FFFFL);
    }

    /** Writes to the windows, as far as the address lies in one. */
    private static void poke(CaseRecord record, long address, int size, long value) {
        int filled = 0;
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            for (int i = 0; i < size; i++) {
                long at = address + i - window.address();
                if (at >= 0 && at < window.size()) {
                    record.data().set(JAVA_BYTE, filled + at, (byte) (value >>> 8 * i));
                }
            }
            filled += window.size();
        }
    }

    private long stack() {
        return switch (random.nextInt(16)) {
            case 0 -> AddressSpace.DATA - 8 + random.nextInt(24);
            case 1 -> AddressSpace.CONSTANTS - 16 + random.nextInt(40);
            case 2 -> target(random);
            default -> AddressSpace.DATA + 0x1000 + 8L * random.nextInt(33) - random.nextInt(8) / 7;
        };
    }

    private void setStack(CaseRecord record, TestProgram program, int register, long address) {
        setRegister(record, program, register, address - program.base(CaseRecord.SS));
    }

    /** Registers that the operation uses without naming them, and what it has to find in memory. */
    private void registersFor(CaseRecord record, TestProgram program, Instruction in) {
        switch (in.form.operation()) {
            case PUSH, POP, PUSHF, PUSHA, POPA, CALL, CALL_FAR, RET, ENTER, LEAVE -> {
                long top = stack();
                setStack(record, program, RSP, top);
                setStack(record, program, RBP, stack());
                if (in.form.operandCount() == 1 && in.form.operand(0).kind() == Operand.Kind.SEGMENT) {
                    poke(record, top, in.operandSize, anySelector(random));
                }
            }
            case RET_FAR, IRET -> {
                long top = stack();
                setStack(record, program, RSP, top);
                int selector = codeSelector(random);
                int size = in.operandSize;
                poke(record, top, size, codePointer(selector));
                poke(record, top + size, size, selector);
                if (in.form.operation() == Operation.IRET) {
                    poke(record, top + 2L * size, size, random.nextInt() & 0xED5);
                    poke(record, top + 3L * size, size, stack());
                    poke(
                            record,
                            top + 4L * size,
                            size,
                            random.nextInt(8) == 0 ? anySelector(random) : AddressSpace.FLAT_DATA);
                }
            }
            case POPF -> {
                // NT and ID would outlive the case, TF would end it.
                MemorySegment data = record.data();
                for (int i = 0; i < AddressSpace.WINDOW_BYTES; i += 2) {
                    short word = data.get(JAVA_SHORT_UNALIGNED, i);
                    data.set(JAVA_SHORT_UNALIGNED, i, (short) (word & (i % 4 == 0 ? 0xED5 : 0)));
                }
                setStack(record, program, RSP, AddressSpace.DATA + 0x1000 + 4L * random.nextInt(66));
            }
            case MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS, MASKMOVQ, MASKMOVDQU -> {
                int source = in.segment >= 0 ? in.segment : CaseRecord.DS;
                boolean masked =
                        in.form.operation() == Operation.MASKMOVQ || in.form.operation() == Operation.MASKMOVDQU;
                offset(record, program, in, RSI, target(random) - program.base(source));
                offset(record, program, in, RDI, target(random) - program.base(masked ? source : CaseRecord.ES));
                offset(record, program, in, RCX, random.nextInt(random.nextInt(4) == 0 ? 80 : 7));
            }
            case XLAT ->
                offset(
                        record,
                        program,
                        in,
                        RBX,
                        AddressSpace.DATA + 0x1000 + random.nextInt(20) - program.base(in.segment));
            case DIV, IDIV -> {
                if (random.nextInt(3) != 0) {
                    long high = random.nextInt(3) - 1;
                    setRegister(record, program, RDX, high);
                    if (in.form.operand(0) == Operand.EB) {
                        record.setRegister(RAX, random.nextInt(0x800));
                    }
                }
            }
            case SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD ->
                record.setRegister(RCX, record.register(RCX) & ~0xFFL | random.nextInt(70));
            case PCMPESTRI, PCMPESTRM -> {
                setRegister(record, program, RAX, random.nextInt(40) - 20);
                setRegister(record, program, RDX, random.nextInt(40) - 20);
            }
            case XSAVE, XSAVEOPT, XRSTOR -> {
                // Only the components that both sides know.
                record.setRegister(RAX, random.nextInt(4));
                record.setRegister(RDX, random.nextInt(8) == 0 ? 1 << 30 : 0);
            }
            default -> {}
        }
        switch (in.form.operation()) {
            case JMP, CALL -> {
                if (in.form.hasModrm() && !in.memory && in.rm != RSP) {
                    setRegister(record, program, in.rm, codePointer(program.selectors()[CaseRecord.CS]));
                }
            }
            case MOV_TO_SREG, LAR, LSL, VERR, VERW, ARPL -> {
                if (!in.memory) {
                    setRegister(record, program, in.rm, (long) random.nextInt() << 16 | anySelector(random));
                }
            }
            case CMPXCHG -> {
                if (!in.memory && random.nextBoolean()) {
                    record.setRegister(in.rm, record.register(RAX));
                }
            }
            case BT, BTS, BTR, BTC -> {
                if (in.memory && in.form.operand(1) == Operand.GV) {
                    setRegister(record, program, in.reg, random.nextInt(1024) - 512);
                }
            }
            case WRFSBASE, WRGSBASE -> record.setRegister(in.rm, random.nextInt(4) == 0 ? integer() : target(random));
            default -> {}
        }
    }

    /** Sets a register to an offset as wide as the instruction's addresses are; above that it is random. */
    private void offset(CaseRecord record, TestProgram program, Instruction in, int register, long offset) {
        long mask = in.addressSize == 8 ? -1 : (1L << 8 * in.addressSize) - 1;
        setRegister(record, program, register, offset & mask | random.nextLong() & ~mask);
    }

    /** Makes the effective address one in the data, if base or index can be chosen. */
    private void address(CaseRecord record, TestProgram program, Instruction in) {
        long linear = movesState(in) ? stateTarget() : target(random);
        long target = linear - program.base(in.segment);
        if (in.base >= 0 && in.base < 16) {
            long rest = target - in.displacement;
            if (in.index == in.base) {
                offset(record, program, in, in.base, rest / (1 + (1 << in.scale)));
            } else {
                if (in.index >= 0) {
                    long index = random.nextInt(8) - 4;
                    if (in.index == RSP || in.index == RCX || in.index == RDX || in.index == RAX) {
                        index = record.register(in.index);
                    }
                    offset(record, program, in, in.index, index);
                    rest -= index << in.scale;
                }
                offset(record, program, in, in.base, rest);
            }
        } else if (in.index >= 0) {
            offset(record, program, in, in.index, (target - in.displacement) >> in.scale);
        } else if (in.base == Instruction.NONE) {
            linear = in.displacement + program.base(in.segment);
        } else {
            return;
        }
        content(record, program, in, linear);
    }

    /** What an instruction must find at its memory operand so that it does not always fault. */
    private void content(CaseRecord record, TestProgram program, Instruction in, long address) {
        switch (in.form.operation()) {
            case JMP_FAR, CALL_FAR -> {
                int selector = codeSelector(random, in, program.mode());
                poke(record, address, in.operandSize, codePointer(selector));
                poke(record, address + in.operandSize, 2, selector);
            }
            case LOAD_FAR -> poke(record, address + in.operandSize, 2, anySelector(random));
            case MOV_TO_SREG, LAR, LSL, VERR, VERW, ARPL -> poke(record, address, 2, anySelector(random));
            case LDMXCSR ->
                poke(record, address, 4, random.nextInt() & (random.nextInt(8) == 0 ? ~MISALIGNED_SSE : 0xFFFF));
            case FXRSTOR, XRSTOR -> {
                poke(record, address, 2, 0x37F & ~(random.nextInt(4) == 0 ? random.nextInt(64) : 0));
                poke(record, address + 8, 8, random.nextLong() >>> 17);
                poke(record, address + 16, 8, random.nextLong() >>> 17);
                poke(record, address + 24, 4, random.nextInt() & (random.nextInt(16) == 0 ? ~MISALIGNED_SSE : 0xFFFF));
                if (in.form.operation() == Operation.XRSTOR) {
                    poke(record, address + 512, 8, random.nextInt(4) | (random.nextInt(16) == 0 ? 1L << 62 : 0));
                    for (int i = 8; i < 64; i += 8) {
                        poke(record, address + 512 + i, 8, random.nextInt(60) == 0 ? 1 : 0);
                    }
                }
            }
            default -> {}
        }
    }

    private long codePointer(int codeSegment) {
        return AddressSpace.CODE + 0x100 + random.nextInt(0x600) - AddressSpace.base(codeSegment);
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
    private long newVector() {
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

    private void floatingPoint(MemorySegment fx, TestProgram program) {
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
        if (random.nextInt(3) == 0) {
            mxcsr |= random.nextInt(64);
        }
        fx.set(JAVA_SHORT_UNALIGNED, 0, (short) control);
        int conditions = random.nextInt() & (random.nextInt(8) == 0 ? 0x477F : 0x4700);
        fx.set(JAVA_SHORT_UNALIGNED, 2, (short) (random.nextInt(8) << 11 | conditions));
        fx.set(JAVA_SHORT_UNALIGNED, 4, (short) (random.nextInt(3) == 0 ? random.nextInt(256) : 0xFF));
        fx.set(JAVA_SHORT_UNALIGNED, 6, (short) random.nextInt(0x800));
        fx.set(JAVA_LONG_UNALIGNED, 8, random.nextLong() & 0x7FFF_FFFF_FFFFL);
        fx.set(JAVA_LONG_UNALIGNED, 16, random.nextLong() & 0x7FFF_FFFF_FFFFL);
        fx.set(JAVA_INT_UNALIGNED, 24, mxcsr);
        for (int i = 0; i < 8; i++) {
            extended(fx, 32 + 16 * i);
        }
        for (int i = 160; i < CaseRecord.FX_SIZE; i += 8) {
            fx.set(JAVA_LONG_UNALIGNED, i, pool[random.nextInt() & POOL - 1]);
        }
        if (program.form().operation().name().startsWith("PCMP") && random.nextBoolean()) {
            for (int i = 160; i < CaseRecord.FX_SIZE; i++) {
                fx.set(JAVA_BYTE, i, (byte) random.nextInt(4));
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
