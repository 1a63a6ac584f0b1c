package org.torte.hypervisor.software;

import static org.torte.hypervisor.software.MicroOp.*;

import org.jspecify.annotations.Nullable;

/**
 * Executes blocks of micro-operations. The loop in {@link #execute} is what every guest instruction goes through: it
 * must stay below the 8000 bytes of bytecode above which HotSpot does not compile a method, so only frequent operations
 * are in it and the rest is in {@link #rare} and {@link Executor}.
 */
final class Interpreter extends Interpretation {
    /** Instructions after which {@link #execute} returns, so that somebody can see how many there are. */
    private static final int SLICE = 1 << 22;

    private static final int LEFT = 0, TAKEN = 1, NEXT_BLOCK = 2, INDIRECT = 3;

    private final Cpu cpu;
    private final Mmu mmu;
    private final Executor executor;
    private final BlockBuilder builder;
    private final @Nullable TranslatedCode translated;

    /** With null for {@code translated} everything is interpreted. */
    Interpreter(Cpu cpu, Executor executor, BlockBuilder builder, @Nullable TranslatedCode translated) {
        this.translated = translated;
        this.cpu = cpu;
        this.mmu = cpu.mmu;
        this.executor = executor;
        this.builder = builder;
    }

    @Override
    @SuppressWarnings("ShortCircuitBoolean")
    void execute(boolean single) {
        Cpu cpu = this.cpu;
        Mmu mmu = this.mmu;
        Alu alu = cpu.alu;
        Events events = cpu.events;
        long[] r = cpu.r;
        long rip = cpu.rip;
        Block block = Block.NONE;
        int pc = 1;
        long count = 0;
        Trail trail = cpu.trail;
        long[] runs = trail.runs;
        TranslatedCode translated = this.translated;
        long executedBefore = translated == null ? 0 : translated.executed;
        fault = null;
        try {
            r[Cpu.START] = rip;
            block = single ? builder.find(rip, cpu.mode | Cpu.MODE_SINGLE) : builder.lookUp(rip);
            if (translated != null) {
                translated.resuming = false;
                if (!single && translated.isHot(block)) {
                    Block hot = block;
                    block = Block.NONE;
                    block = translated.run(hot, rip);
                    rip = cpu.rip;
                }
                if (block == Block.NONE) {
                    return;
                }
            }
            while (true) {
                long[] code = block.code;
                runs[(int) trail.count & Trail.SIZE - 1] = rip & Block.TRACE_ADDRESS | block.trace;
                pc = 0;
                int exit;
                inner:
                while (true) {
                    long u = code[pc++];
                    switch ((int) u & 0xff) {
                        case EXIT -> {
                            count += block.instructionsBefore(pc - 1);
                            rip = rip + block.starts[pc - 1] & block.ripMask;
                            exit = LEFT;
                            break inner;
                        }
                        case MOV64 -> r[d(u)] = r[a(u)];
                        case MOV32 -> r[d(u)] = r[a(u)] & 0xffffffffL;
                        case MOVI -> r[d(u)] = u >> 32;
                        case MERGE8 -> r[d(u)] = r[d(u)] & ~0xffL | r[a(u)] & 0xff;
                        case ZX8 -> r[d(u)] = r[a(u)] & 0xff;
                        case ZX16 -> r[d(u)] = r[a(u)] & 0xffff;
                        case SX32_64 -> r[d(u)] = (int) r[a(u)];
                        case LEA64 -> r[d(u)] = address(r, u);
                        case LEA32 -> r[d(u)] = address(r, u) & 0xffffffffL;
                        case LOAD8 -> r[d(u)] = mmu.load8(address(r, u));
                        case LOAD16 -> r[d(u)] = mmu.load16(address(r, u));
                        case LOAD32 -> r[d(u)] = mmu.load32(address(r, u));
                        case LOAD64 -> r[d(u)] = mmu.load64(address(r, u));
                        case LOAD_SX32_64 -> r[d(u)] = (int) mmu.load32(address(r, u));
                        case LOAD_FOR_STORE -> r[d(u)] = mmu.loadForStore(address(r, u), extra(u));
                        case STORE_BACK -> mmu.storeBack(extra(u), r[d(u)]);
                        case STORE8 -> mmu.store8(address(r, u), r[d(u)]);
                        case STORE32 -> mmu.store32(address(r, u), r[d(u)]);
                        case STORE64 -> mmu.store64(address(r, u), r[d(u)]);
                        case PUSH64 -> {
                            long sp = r[Cpu.RSP] - 8;
                            mmu.store64(sp, r[a(u)]);
                            r[Cpu.RSP] = sp;
                        }
                        case POP64 -> {
                            long sp = r[Cpu.RSP];
                            long value = mmu.load64(sp);
                            r[Cpu.RSP] = sp + 8;
                            r[d(u)] = value;
                        }
                        case ADD64 -> r[d(u)] = alu.add64(r[a(u)], r[b(u)]);
                        case ADD32 -> r[d(u)] = alu.add32(r[a(u)], r[b(u)]);
                        case ADD64I -> r[d(u)] = alu.add64(r[a(u)], u >> 32);
                        case ADD32I -> r[d(u)] = alu.add32(r[a(u)], u >> 32);
                        case SUB64 -> r[d(u)] = alu.sub64(r[a(u)], r[b(u)]);
                        case SUB32 -> r[d(u)] = alu.sub32(r[a(u)], r[b(u)]);
                        case SUB64I -> r[d(u)] = alu.sub64(r[a(u)], u >> 32);
                        case SUB32I -> r[d(u)] = alu.sub32(r[a(u)], u >> 32);
                        case CMP64 -> alu.sub64(r[a(u)], r[b(u)]);
                        case CMP32 -> alu.sub32(r[a(u)], r[b(u)]);
                        case CMP64I -> alu.sub64(r[a(u)], u >> 32);
                        case CMP32I -> alu.sub32(r[a(u)], u >> 32);
                        case CMP8 -> alu.sub(r[a(u)], r[b(u)], 1);
                        case CMP8I -> alu.sub(r[a(u)], u >> 32, 1);
                        case AND64 -> r[d(u)] = alu.logic64(r[a(u)] & r[b(u)]);
                        case AND32 -> r[d(u)] = alu.logic32(r[a(u)] & r[b(u)]);
                        case AND64I -> r[d(u)] = alu.logic64(r[a(u)] & u >> 32);
                        case AND32I -> r[d(u)] = alu.logic32(r[a(u)] & u >> 32);
                        case OR64 -> r[d(u)] = alu.logic64(r[a(u)] | r[b(u)]);
                        case OR32 -> r[d(u)] = alu.logic32(r[a(u)] | r[b(u)]);
                        case OR64I -> r[d(u)] = alu.logic64(r[a(u)] | u >> 32);
                        case OR32I -> r[d(u)] = alu.logic32(r[a(u)] | u >> 32);
                        case XOR64 -> r[d(u)] = alu.logic64(r[a(u)] ^ r[b(u)]);
                        case XOR32 -> r[d(u)] = alu.logic32(r[a(u)] ^ r[b(u)]);
                        case TEST64 -> alu.logic64(r[a(u)] & r[b(u)]);
                        case TEST32 -> alu.logic32(r[a(u)] & r[b(u)]);
                        case TEST64I -> alu.logic64(r[a(u)] & u >> 32);
                        case TEST32I -> alu.logic32(r[a(u)] & u >> 32);
                        case TEST8 -> alu.logic(r[a(u)] & r[b(u)], 1);
                        case TEST8I -> alu.logic(r[a(u)] & u >> 32, 1);
                        case INC64 -> r[d(u)] = alu.inc64(r[a(u)]);
                        case INC32 -> r[d(u)] = alu.inc32(r[a(u)]);
                        case DEC64 -> r[d(u)] = alu.dec64(r[a(u)]);
                        case DEC32 -> r[d(u)] = alu.dec32(r[a(u)]);
                        case SHL64I -> r[d(u)] = alu.shl64(r[a(u)], extra(u));
                        case SHL32I -> r[d(u)] = alu.shl32(r[a(u)], extra(u));
                        case SHR64I -> r[d(u)] = alu.shr64(r[a(u)], extra(u));
                        case SHR32I -> r[d(u)] = alu.shr32(r[a(u)], extra(u));
                        case SAR64I -> r[d(u)] = alu.sar64(r[a(u)], extra(u));
                        case SETCC -> r[d(u)] = alu.condition(extra(u)) ? 1 : 0;
                        case CMOV64 -> r[d(u)] = alu.condition(extra(u)) ? r[a(u)] : r[b(u)];
                        case CMOV32 -> r[d(u)] = (alu.condition(extra(u)) ? r[a(u)] : r[b(u)]) & 0xffffffffL;
                        case NEXT -> {
                            exit = NEXT_BLOCK;
                            break inner;
                        }
                        case JUMP -> {
                            exit = TAKEN;
                            break inner;
                        }
                        case JUMP_INDIRECT -> {
                            rip = canonical(r[a(u)]);
                            exit = INDIRECT;
                            break inner;
                        }
                        case RET64 -> {
                            long sp = r[Cpu.RSP];
                            rip = canonical(mmu.load64(sp));
                            r[Cpu.RSP] = sp + 8 + (u >>> 32);
                            exit = INDIRECT;
                            break inner;
                        }
                        case CALL64 -> {
                            long sp = r[Cpu.RSP] - 8;
                            mmu.store64(sp, rip + block.length);
                            r[Cpu.RSP] = sp;
                            exit = TAKEN;
                            break inner;
                        }
                        case CALL64_INDIRECT -> {
                            // Before RSP moves: it may be the operand.
                            long target = canonical(r[a(u)]);
                            long sp = r[Cpu.RSP] - 8;
                            mmu.store64(sp, rip + block.length);
                            r[Cpu.RSP] = sp;
                            rip = target;
                            exit = INDIRECT;
                            break inner;
                        }
                        case JCC -> {
                            exit = alu.overflow() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 1 -> {
                            exit = alu.overflow() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 2 -> {
                            exit = alu.carry() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 3 -> {
                            exit = alu.carry() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 4 -> {
                            exit = alu.zero() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 5 -> {
                            exit = alu.zero() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 6 -> {
                            exit = alu.carry() || alu.zero() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 7 -> {
                            exit = alu.carry() || alu.zero() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 8 -> {
                            exit = alu.sign() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 9 -> {
                            exit = alu.sign() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 10 -> {
                            exit = alu.parity() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 11 -> {
                            exit = alu.parity() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 12 -> {
                            exit = alu.less() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 13 -> {
                            exit = alu.less() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case JCC + 14 -> {
                            exit = alu.less() || alu.zero() ? TAKEN : NEXT_BLOCK;
                            break inner;
                        }
                        case JCC + 15 -> {
                            exit = alu.less() || alu.zero() ? NEXT_BLOCK : TAKEN;
                            break inner;
                        }
                        case COMPLEX -> {
                            cpu.rip = rip + block.starts[pc - 1] & block.ripMask;
                            executor.execute(block.complex[(int) (u >>> 32)]);
                        }
                        case COMPLEX_END -> {
                            cpu.rip = rip + block.starts[pc - 1] & block.ripMask;
                            executor.execute(block.complex[(int) (u >>> 32)]);
                            rip = cpu.rip;
                            exit = INDIRECT;
                            break inner;
                        }
                        case MOVI_WIDE -> r[d(u)] = code[pc++];
                        default -> rare(u, r, alu);
                    }
                }
                Block previous = block;
                Block found = null;
                switch (exit) {
                    case TAKEN -> {
                        rip = rip + block.target & block.ripMask;
                        found = block.taken;
                        count += block.instructions;
                    }
                    case NEXT_BLOCK -> {
                        rip = rip + block.length & block.ripMask;
                        found = block.next;
                        count += block.instructions;
                    }
                    case INDIRECT -> count += block.instructions;
                    default ->
                        runs[(int) trail.count & Trail.SIZE - 1] = block.trace(r[Cpu.START], block.starts[pc - 1]);
                }
                trail.count++;
                r[Cpu.START] = rip;
                block = Block.NONE;
                pc = 1;
                // Tests of what never changes in the loop are hidden from the JVM's compiler: of each it makes two
                // loops.
                if (single | events.due() | count >= SLICE) {
                    cpu.rip = rip;
                    return;
                }
                translated = this.translated;
                if (translated != null && translated.resuming) {
                    found = translated.resume(rip);
                    rip = cpu.rip;
                    if (found == Block.NONE) {
                        return;
                    }
                    block = found;
                    continue;
                }
                if (found == null || found.dead) {
                    found = builder.lookUp(rip);
                    if (found.linkable) {
                        if (exit == TAKEN && previous.targetInPage) {
                            previous.taken = found;
                        } else if (exit == NEXT_BLOCK && previous.nextInPage) {
                            previous.next = found;
                        }
                    }
                }
                if (translated != null && translated.isHot(found)) {
                    found = translated.run(found, rip);
                    rip = cpu.rip;
                    if (found == Block.NONE) {
                        return;
                    }
                }
                block = found;
            }
        } catch (GuestFault f) {
            cpu.rip = r[Cpu.START] + block.starts[pc - 1] & block.ripMask;
            count += block.instructionsBefore(pc - 1);
            if (block != Block.NONE) {
                // The run ends with the instruction that faulted.
                runs[(int) trail.count++ & Trail.SIZE - 1] = block.trace(r[Cpu.START], block.starts[pc - 1] + 1);
            }
            if (f.nonCanonical && usesStack(block.code[pc - 1])) {
                f.vector = GuestFault.SS;
            }
            fault = f;
        } finally {
            instructions += count;
            interpreted += count;
            if (translated != null) {
                instructions += translated.executed - executedBefore;
            }
        }
    }

    private static long address(long[] r, long u) {
        return r[a(u)] + (r[b(u)] << scale(u)) + (u >> 32);
    }

    private void rare(long u, long[] r, Alu alu) {
        switch ((int) u & 0xff) {
            case MERGE8H -> r[d(u)] = r[d(u)] & ~0xff00L | (r[a(u)] & 0xff) << 8;
            case MERGE16 -> r[d(u)] = r[d(u)] & ~0xffffL | r[a(u)] & 0xffff;
            case HIGH8 -> r[d(u)] = r[a(u)] >>> 8 & 0xff;
            case SX8_32 -> r[d(u)] = (byte) r[a(u)] & 0xffffffffL;
            case SX8_64 -> r[d(u)] = (byte) r[a(u)];
            case SX16_32 -> r[d(u)] = (short) r[a(u)] & 0xffffffffL;
            case SX16_64 -> r[d(u)] = (short) r[a(u)];
            case LEA16 -> r[d(u)] = address(r, u) & 0xffff;
            case SEGMENT_READ -> r[d(u)] = executor.linear(b(u), r[a(u)] + (u >> 32), extra(u), false);
            case SEGMENT_WRITE -> r[d(u)] = executor.linear(b(u), r[a(u)] + (u >> 32), extra(u), true);
            case LOAD_SX8_32 -> r[d(u)] = (byte) mmu.load8(address(r, u)) & 0xffffffffL;
            case LOAD_SX8_64 -> r[d(u)] = (byte) mmu.load8(address(r, u));
            case LOAD_SX16_32 -> r[d(u)] = (short) mmu.load16(address(r, u)) & 0xffffffffL;
            case LOAD_SX16_64 -> r[d(u)] = (short) mmu.load16(address(r, u));
            case STORE16 -> mmu.store16(address(r, u), r[d(u)]);
            case XOR64I -> r[d(u)] = alu.logic64(r[a(u)] ^ u >> 32);
            case XOR32I -> r[d(u)] = alu.logic32(r[a(u)] ^ u >> 32);
            case ADC64 -> r[d(u)] = alu.adc64(r[a(u)], r[b(u)]);
            case SBB64 -> r[d(u)] = alu.sbb64(r[a(u)], r[b(u)]);
            case SAR32I -> r[d(u)] = alu.shift(7, r[a(u)], extra(u), 4);
            case IMUL64 -> r[d(u)] = alu.imul(r[a(u)], r[b(u)], 8);
            case IMUL32 -> r[d(u)] = alu.imul(r[a(u)], r[b(u)], 4);
            case NOT64 -> r[d(u)] = ~r[a(u)];
            case NOT32 -> r[d(u)] = ~r[a(u)] & 0xffffffffL;
            case ALU -> r[d(u)] = alu.operate(extra(u) & 7, r[a(u)], r[b(u)], 1 << (extra(u) >> 4));
            case SHIFT -> r[d(u)] = alu.shift(extra(u) & 7, r[a(u)], (int) r[b(u)], 1 << (extra(u) >> 4));
            case UNARY -> r[d(u)] = unary(extra(u) & 3, r[a(u)], 1 << (extra(u) >> 4), alu);
            case CLI -> executor.cli();
            case CLD -> cpu.systemFlags &= ~Cpu.DF;
            case BIT_TEST -> alu.setCarry((r[a(u)] >>> (r[b(u)] & extra(u)) & 1) != 0);
            default -> throw new AssertionError("micro-operation " + (u & 0xff));
        }
    }

    private static long unary(int operation, long value, int size, Alu alu) {
        return switch (operation) {
            case 0 -> alu.inc(value, size);
            case 1 -> alu.dec(value, size);
            case 2 -> alu.neg(value, size);
            default -> Alu.zeroExtend(~value, size);
        };
    }

    /** The target of an indirect near branch: it is the branch that faults if it is not canonical. */
    private long canonical(long target) {
        if (target << 16 >> 16 != target) {
            throw cpu.gp(0);
        }
        return target;
    }
}
