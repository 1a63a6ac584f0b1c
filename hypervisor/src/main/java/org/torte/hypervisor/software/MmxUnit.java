package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** The MMX forms of the packed integer instructions (SDM vol. 1, chapter 9), with those that SSE to SSSE3 added. */
final class MmxUnit {
    private static final long LOW_DWORD = 0xffffffffL;

    private final VectorOperands operands;
    private final FpuState fpu;
    private final CpuContext cpu;

    MmxUnit(VectorOperands operands) {
        this.operands = operands;
        fpu = operands.fpu;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkMmx();
        switch (in.form.operation()) {
            case EMMS -> {
                fpu.empty = 0xff;
                fpu.top = 0;
            }
            case MOVD, MOVQ, MOVNTQ -> move(in, address);
            case MASKMOVQ -> maskedStore(in, address);
            case PMOVMSKB -> {
                operands.enterMmx();
                cpu.setGpr(in.reg, PackedLanes.byteSigns(operands.mmx(in.rm)));
            }
            case PEXTRW -> {
                operands.enterMmx();
                cpu.setGpr(in.reg, operands.mmx(in.rm) >>> 16 * ((int) in.immediate & 3) & 0xffff);
            }
            case PINSRW -> {
                long value = in.memory ? cpu.load(address, 2) : cpu.gpr(in.rm) & 0xffff;
                int shift = 16 * ((int) in.immediate & 3);
                set(in, operands.mmx(in.reg) & ~(0xffffL << shift) | value << shift);
            }
            case PSLLW, PSRLW, PSRAW, PSLLD, PSRLD, PSRAD, PSLLQ, PSRLQ -> shift(in, address);
            case PUNPCKLBW, PUNPCKLWD, PUNPCKLDQ -> unpackLow(in, address);
            default -> set(in, compute(in, operands.mmx(in.reg), operands.sourceMmx(in, address)));
        }
    }

    private void set(Instruction in, long value) {
        operands.enterMmx();
        operands.setMmx(in.reg, value);
    }

    private long compute(Instruction in, long a, long b) {
        Operation operation = in.form.operation();
        return switch (operation) {
            case PUNPCKHBW -> PackedLanes.interleaveBytes((int) (a >>> 32), (int) (b >>> 32));
            case PUNPCKHWD -> PackedLanes.interleaveWords((int) (a >>> 32), (int) (b >>> 32));
            case PUNPCKHDQ -> a >>> 32 | b & LOW_DWORD << 32;
            case PACKSSWB -> PackedLanes.packWords(a, b);
            case PACKUSWB -> PackedLanes.packWordsUnsigned(a, b);
            case PACKSSDW -> PackedLanes.packDwords(a, b);
            case PSHUFW -> PackedLanes.shuffleWords(b, (int) in.immediate);
            case PSHUFB -> PackedLanes.shuffleBytes(a, a, b);
            case PALIGNR -> {
                int count = ((int) in.immediate & 0xff) * 8;
                yield count == 0 ? b : count < 64 ? b >>> count | a << 64 - count : count < 128 ? a >>> count - 64 : 0;
            }
            case PHADDW -> joined(PackedLanes.addAdjacentWords(a), PackedLanes.addAdjacentWords(b));
            case PHADDSW -> joined(PackedLanes.addAdjacentWordsSaturated(a), PackedLanes.addAdjacentWordsSaturated(b));
            case PHSUBW -> joined(PackedLanes.subtractAdjacentWords(a), PackedLanes.subtractAdjacentWords(b));
            case PHSUBSW ->
                joined(PackedLanes.subtractAdjacentWordsSaturated(a), PackedLanes.subtractAdjacentWordsSaturated(b));
            case PHADDD -> joined((int) a + (int) (a >>> 32), (int) b + (int) (b >>> 32));
            case PHSUBD -> joined((int) a - (int) (a >>> 32), (int) b - (int) (b >>> 32));
            default -> PackedLanes.apply(operation, a, b);
        };
    }

    private static long joined(int low, int high) {
        return low & LOW_DWORD | (long) high << 32;
    }

    private void unpackLow(Instruction in, long address) {
        long a = operands.mmx(in.reg);
        // The only MMX forms with a 4-byte memory operand.
        int b = (int) (in.memory ? cpu.load(address, 4) : operands.mmx(in.rm));
        set(
                in,
                switch (in.form.operation()) {
                    case PUNPCKLBW -> PackedLanes.interleaveBytes((int) a, b);
                    case PUNPCKLWD -> PackedLanes.interleaveWords((int) a, b);
                    default -> joined((int) a, b);
                });
    }

    private void shift(Instruction in, long address) {
        boolean immediate = in.opcode >= 0x71 && in.opcode <= 0x73;
        int target = immediate ? in.rm : in.reg;
        long count = immediate ? in.immediate & 0xff : operands.sourceMmx(in, address);
        long result = PackedLanes.shift(in.form.operation(), operands.mmx(target), count);
        operands.enterMmx();
        operands.setMmx(target, result);
    }

    private void move(Instruction in, long address) {
        switch (in.opcode) {
            case 0x6e -> {
                int size = in.operandSize == 8 ? 8 : 4;
                long value = in.memory ? cpu.load(address, size) : cpu.gpr(in.rm);
                set(in, size == 8 ? value : value & LOW_DWORD);
            }
            case 0x7e -> {
                int size = in.operandSize == 8 ? 8 : 4;
                long value = size == 8 ? operands.mmx(in.reg) : operands.mmx(in.reg) & LOW_DWORD;
                if (in.memory) {
                    cpu.store(address, size, value);
                } else {
                    cpu.setGpr(in.rm, value);
                }
                operands.enterMmx();
            }
            case 0x6f -> set(in, operands.sourceMmx(in, address));
            default -> {
                // MOVQ store (7F) and MOVNTQ (E7)
                long value = operands.mmx(in.reg);
                if (in.memory) {
                    cpu.store(address, 8, value);
                    operands.enterMmx();
                } else {
                    operands.enterMmx();
                    operands.setMmx(in.rm, value);
                }
            }
        }
    }

    /** {@code address} is that of DS:rDI. */
    private void maskedStore(Instruction in, long address) {
        int mask = PackedLanes.byteSigns(operands.mmx(in.rm));
        operands.storeMasked(address, 8, operands.mmx(in.reg), 0, mask);
        operands.enterMmx();
    }
}
