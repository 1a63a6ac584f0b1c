package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;

/** SSE to SSE4.1 instructions that move data between XMM registers, memory and general registers, without arithmetic. */
final class SseMoveUnit {
    private static final long LOW_DWORD = 0xffffffffL;

    private final VectorOperands operands;
    private final long[] xmm;
    private final CpuContext cpu;

    SseMoveUnit(VectorOperands operands) {
        this.operands = operands;
        xmm = operands.fpu.xmm;
        cpu = operands.cpu;
    }

    void execute(Instruction in, long address) {
        operands.checkSse();
        switch (in.form.operation()) {
            case MOVUPS, MOVUPD -> moveFull(in, address, in.opcode == 0x11, false);
            case MOVDQU -> moveFull(in, address, in.opcode == 0x7f, false);
            case LDDQU -> moveFull(in, address, false, false);
            case MOVAPS, MOVAPD -> moveFull(in, address, in.opcode == 0x29, true);
            case MOVDQA -> moveFull(in, address, in.opcode == 0x7f, true);
            case MOVNTPS, MOVNTPD, MOVNTDQ -> moveFull(in, address, true, true);
            case MOVNTDQA -> moveFull(in, address, false, true);
            case MOVSS -> moveScalar(in, address, 4, LOW_DWORD);
            case MOVSD_SSE -> moveScalar(in, address, 8, -1);
            case MOVLPS, MOVLPD -> {
                if (in.opcode == 0x13) {
                    cpu.store(address, 8, xmm[2 * in.reg]);
                } else {
                    xmm[2 * in.reg] = cpu.load(address, 8);
                }
            }
            case MOVHPS, MOVHPD -> {
                if (in.opcode == 0x17) {
                    cpu.store(address, 8, xmm[2 * in.reg + 1]);
                } else {
                    xmm[2 * in.reg + 1] = cpu.load(address, 8);
                }
            }
            case MOVHLPS -> xmm[2 * in.reg] = xmm[2 * in.rm + 1];
            case MOVLHPS -> xmm[2 * in.reg + 1] = xmm[2 * in.rm];
            case MOVD -> moveGeneral(in, address);
            case MOVQ -> moveQuad(in, address);
            case MOVQ2DQ -> {
                operands.checkMmx();
                long value = operands.mmx(in.rm);
                operands.enterMmx();
                operands.setXmm(in.reg, value, 0);
            }
            case MOVDQ2Q -> {
                operands.checkMmx();
                operands.enterMmx();
                operands.setMmx(in.reg, xmm[2 * in.rm]);
            }
            case MASKMOVDQU -> {
                int mask = PackedLanes.byteSigns(xmm[2 * in.rm]) | PackedLanes.byteSigns(xmm[2 * in.rm + 1]) << 8;
                operands.storeMasked(address, 16, xmm[2 * in.reg], xmm[2 * in.reg + 1], mask);
            }
            case PMOVMSKB ->
                cpu.setGpr(
                        in.reg, PackedLanes.byteSigns(xmm[2 * in.rm]) | PackedLanes.byteSigns(xmm[2 * in.rm + 1]) << 8);
            case MOVMSKPS -> cpu.setGpr(in.reg, dwordSigns(xmm[2 * in.rm]) | dwordSigns(xmm[2 * in.rm + 1]) << 2);
            case MOVMSKPD -> cpu.setGpr(in.reg, xmm[2 * in.rm] >>> 63 | xmm[2 * in.rm + 1] >>> 63 << 1);
            default -> shuffle(in, address);
        }
    }

    private static long dwordSigns(long x) {
        return x >>> 31 & 1 | x >>> 63 << 1;
    }

    private void moveFull(Instruction in, long address, boolean store, boolean aligned) {
        if (!in.memory) {
            int from = store ? in.reg : in.rm;
            int to = store ? in.rm : in.reg;
            operands.setXmm(to, xmm[2 * from], xmm[2 * from + 1]);
            return;
        }
        if (aligned) {
            operands.checkAligned(address);
        }
        if (store) {
            operands.store128(address, xmm[2 * in.reg], xmm[2 * in.reg + 1]);
        } else {
            cpu.checkAlignment(address, 16);
            long lo = cpu.load(address, 8);
            xmm[2 * in.reg + 1] = cpu.load(address + 8, 8);
            xmm[2 * in.reg] = lo;
        }
    }

    /** MOVSS and MOVSD: loads clear the rest of the register, moves between registers keep it. */
    private void moveScalar(Instruction in, long address, int size, long mask) {
        boolean store = in.opcode == 0x11;
        if (!in.memory) {
            int from = store ? in.reg : in.rm;
            int to = store ? in.rm : in.reg;
            xmm[2 * to] = xmm[2 * to] & ~mask | xmm[2 * from] & mask;
        } else if (store) {
            cpu.store(address, size, xmm[2 * in.reg] & mask);
        } else {
            operands.setXmm(in.reg, cpu.load(address, size), 0);
        }
    }

    private void moveGeneral(Instruction in, long address) {
        int size = in.operandSize == 8 ? 8 : 4;
        long mask = size == 8 ? -1 : LOW_DWORD;
        if (in.opcode == 0x6e) {
            operands.setXmm(in.reg, in.memory ? cpu.load(address, size) : cpu.gpr(in.rm) & mask, 0);
        } else if (in.memory) {
            cpu.store(address, size, xmm[2 * in.reg] & mask);
        } else {
            cpu.setGpr(in.rm, xmm[2 * in.reg] & mask);
        }
    }

    private void moveQuad(Instruction in, long address) {
        if (in.opcode != 0xd6) {
            operands.setXmm(in.reg, operands.source64(in, address), 0);
        } else if (in.memory) {
            cpu.store(address, 8, xmm[2 * in.reg]);
        } else {
            operands.setXmm(in.rm, xmm[2 * in.reg], 0);
        }
    }

    private void shuffle(Instruction in, long address) {
        switch (in.form.operation()) {
            case PEXTRB -> extract(in, address, 1, 15);
            case PEXTRW -> {
                if (in.opcode == 0xc5) {
                    cpu.setGpr(in.reg, element(in.rm, (int) in.immediate & 7, 2));
                } else {
                    extract(in, address, 2, 7);
                }
            }
            case PEXTRD -> extract(in, address, in.operandSize == 8 ? 8 : 4, in.operandSize == 8 ? 1 : 3);
            case EXTRACTPS -> extract(in, address, 4, 3);
            case PINSRB -> insert(in, address, 1, 15);
            case PINSRW -> insert(in, address, 2, 7);
            case PINSRD -> insert(in, address, in.operandSize == 8 ? 8 : 4, in.operandSize == 8 ? 1 : 3);
            case INSERTPS -> insertSingle(in, address);
            case MOVDDUP -> {
                long value = operands.source64(in, address);
                operands.setXmm(in.reg, value, value);
            }
            default -> {
                operands.source(in, address);
                shuffle(in, xmm[2 * in.reg], xmm[2 * in.reg + 1], operands.lo, operands.hi);
            }
        }
    }

    private void shuffle(Instruction in, long a0, long a1, long b0, long b1) {
        int order = (int) in.immediate & 0xff;
        switch (in.form.operation()) {
            case MOVSLDUP -> operands.setXmm(in.reg, (b0 & LOW_DWORD) * 0x100000001L, (b1 & LOW_DWORD) * 0x100000001L);
            case MOVSHDUP -> operands.setXmm(in.reg, (b0 >>> 32) * 0x100000001L, (b1 >>> 32) * 0x100000001L);
            case UNPCKLPS, PUNPCKLDQ ->
                operands.setXmm(in.reg, a0 & LOW_DWORD | b0 << 32, a0 >>> 32 | b0 & LOW_DWORD << 32);
            case UNPCKHPS, PUNPCKHDQ ->
                operands.setXmm(in.reg, a1 & LOW_DWORD | b1 << 32, a1 >>> 32 | b1 & LOW_DWORD << 32);
            case UNPCKLPD, PUNPCKLQDQ -> operands.setXmm(in.reg, a0, b0);
            case UNPCKHPD, PUNPCKHQDQ -> operands.setXmm(in.reg, a1, b1);
            case SHUFPD -> operands.setXmm(in.reg, (order & 1) == 0 ? a0 : a1, (order & 2) == 0 ? b0 : b1);
            case SHUFPS ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.dword(a0, a1, order) | PackedLanes.dword(a0, a1, order >>> 2) << 32,
                        PackedLanes.dword(b0, b1, order >>> 4) | PackedLanes.dword(b0, b1, order >>> 6) << 32);
            case PSHUFD ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.dword(b0, b1, order) | PackedLanes.dword(b0, b1, order >>> 2) << 32,
                        PackedLanes.dword(b0, b1, order >>> 4) | PackedLanes.dword(b0, b1, order >>> 6) << 32);
            case PSHUFLW -> operands.setXmm(in.reg, PackedLanes.shuffleWords(b0, order), b1);
            case PSHUFHW -> operands.setXmm(in.reg, b0, PackedLanes.shuffleWords(b1, order));
            case PUNPCKLBW ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveBytes((int) a0, (int) b0),
                        PackedLanes.interleaveBytes((int) (a0 >>> 32), (int) (b0 >>> 32)));
            case PUNPCKHBW ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveBytes((int) a1, (int) b1),
                        PackedLanes.interleaveBytes((int) (a1 >>> 32), (int) (b1 >>> 32)));
            case PUNPCKLWD ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveWords((int) a0, (int) b0),
                        PackedLanes.interleaveWords((int) (a0 >>> 32), (int) (b0 >>> 32)));
            case PUNPCKHWD ->
                operands.setXmm(
                        in.reg,
                        PackedLanes.interleaveWords((int) a1, (int) b1),
                        PackedLanes.interleaveWords((int) (a1 >>> 32), (int) (b1 >>> 32)));
            default -> throw cpu.fault(GuestFault.UD, 0);
        }
    }

    /** Element {@code index} of {@code size} bytes, zero-extended. */
    private long element(int register, int index, int size) {
        int offset = index * size;
        long half = xmm[2 * register + (offset >>> 3)];
        return size == 8 ? half : half >>> 8 * (offset & 7) & (1L << 8 * size) - 1;
    }

    private void extract(Instruction in, long address, int size, int indexMask) {
        long value = element(in.reg, (int) in.immediate & indexMask, size);
        if (in.memory) {
            cpu.store(address, size, value);
        } else {
            cpu.setGpr(in.rm, value);
        }
    }

    private void insert(Instruction in, long address, int size, int indexMask) {
        long mask = size == 8 ? -1 : (1L << 8 * size) - 1;
        long value = in.memory ? cpu.load(address, size) : cpu.gpr(in.rm) & mask;
        int offset = ((int) in.immediate & indexMask) * size;
        int shift = 8 * (offset & 7);
        int half = 2 * in.reg + (offset >>> 3);
        xmm[half] = xmm[half] & ~(mask << shift) | value << shift;
    }

    /** INSERTPS: bits 7:6 choose the source element (not for memory), 5:4 the target, 3:0 which become zero. */
    private void insertSingle(Instruction in, long address) {
        int control = (int) in.immediate;
        long value = in.memory ? cpu.load(address, 4) : element(in.rm, control >>> 6 & 3, 4);
        int target = control >>> 4 & 3;
        int half = 2 * in.reg + (target >>> 1);
        int shift = 32 * (target & 1);
        xmm[half] = xmm[half] & ~(LOW_DWORD << shift) | value << shift;
        for (int i = 0; i < 4; i++) {
            if ((control >>> i & 1) != 0) {
                xmm[2 * in.reg + (i >>> 1)] &= ~(LOW_DWORD << 32 * (i & 1));
            }
        }
    }
}
