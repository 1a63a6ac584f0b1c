package org.torte.hypervisor.software;

import java.util.function.LongUnaryOperator;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * Executes one decoded instruction: everything that {@link BlockBuilder} does not turn into micro-operations. On entry
 * {@link Cpu#rip} is the instruction's own address; it is moved to the next one before the instruction does its work, so
 * what transfers control just sets it. When an instruction faults the interpreter puts it back.
 */
final class Executor {
    private final Cpu cpu;
    private final long[] r;
    private final Alu alu;
    private final Operands operands;
    private final Atomics atomics;
    private final Stack stack;
    private final BitInstructions bits;
    private final StringInstructions strings;
    private final FarTransfers transfers;
    private final SystemCalls systemCalls;
    private final SegmentInstructions segments;
    private final Interrupts interrupts;
    private final SystemInstructions system;
    private final FloatingPointUnit floatingPoint;
    private int pauses;

    Executor(
            Cpu cpu,
            Atomics atomics,
            Ports ports,
            Segmentation segmentation,
            Interrupts interrupts,
            SystemInstructions system,
            FloatingPointUnit floatingPoint) {
        this.cpu = cpu;
        this.r = cpu.r;
        this.alu = cpu.alu;
        this.atomics = atomics;
        this.transfers = new FarTransfers(cpu, segmentation, interrupts);
        this.systemCalls = new SystemCalls(cpu);
        this.interrupts = interrupts;
        this.system = system;
        this.floatingPoint = floatingPoint;
        operands = new Operands(cpu);
        segments = new SegmentInstructions(cpu, segmentation, operands);
        stack = new Stack(cpu);
        bits = new BitInstructions(cpu, operands, atomics);
        strings = new StringInstructions(cpu, operands, ports);
    }

    /** The linear address of an offset in a segment, checked for an access. */
    long linear(int segment, long offset, int size, boolean write) {
        return operands.linear(segment, offset, size, write);
    }

    void execute(Instruction in) {
        long at = cpu.rip;
        cpu.current = at;
        cpu.rip = advance(at, in.length);
        switch (in.form.operation()) {
            case ADD, OR, ADC, SBB, AND, SUB, XOR -> arithmetic(in);
            case CMP -> alu.sub(operands.read(in, 0), operands.read(in, 1), operands.size(in, 0));
            case TEST -> alu.logic(operands.read(in, 0) & operands.read(in, 1), operands.size(in, 0));
            case INC, DEC, NEG, NOT -> unary(in);
            case MUL, IMUL1 -> multiply(in);
            case IMUL -> {
                int last = in.form.operandCount() - 1;
                operands.write(
                        in, 0, alu.imul(operands.read(in, last - 1), operands.read(in, last), operands.size(in, 0)));
            }
            case DIV -> divide(in, false);
            case IDIV -> divide(in, true);
            case ROL, ROR, RCL, RCR, SHL, SHR, SAR -> shift(in);
            case SHLD, SHRD -> {
                int size = operands.size(in, 0);
                long address = in.memory ? operands.address(in, size, true) : 0;
                long value = operands.readForWrite(in, 0, address);
                int count = (int) operands.read(in, 2);
                if ((count & (size == 8 ? 63 : 31)) != 0 || !in.memory) {
                    boolean left = in.form.operation() == Operation.SHLD;
                    operands.writeBack(in, 0, alu.shiftDouble(left, value, operands.read(in, 1), count, size));
                }
            }
            case MOV, MOVNTI -> operands.write(in, 0, operands.read(in, 1));
            case MOVZX -> operands.write(in, 0, operands.read(in, 1));
            case MOVSX, MOVSXD ->
                operands.write(in, 0, Operands.signExtend(operands.read(in, 1), operands.size(in, 1)));
            case LEA -> operands.write(in, 0, operands.offset(in));
            case XCHG -> exchange(in);
            case CMPXCHG -> compareExchange(in);
            case XADD -> exchangeAdd(in);
            case CMPXCHG8B -> compareExchangeWide(in);
            case BSWAP ->
                operands.write(
                        in,
                        0,
                        operands.size(in, 0) == 8
                                ? Long.reverseBytes(r[in.rm])
                                : operands.size(in, 0) == 4 ? Integer.reverseBytes((int) r[in.rm]) & 0xffffffffL : 0);
            case XLAT -> {
                long offset = Alu.zeroExtend(r[Cpu.RBX] + (r[Cpu.RAX] & 0xff), in.addressSize);
                long value = cpu.mmu.load8(operands.linear(in.segment, offset, 1, false));
                operands.setRegister(Cpu.RAX, 1, true, value);
            }
            case SALC -> operands.setRegister(Cpu.RAX, 1, true, alu.carry() ? 0xff : 0);
            case CONVERT_A ->
                operands.setRegister(
                        Cpu.RAX, in.operandSize, true, Operands.signExtend(r[Cpu.RAX], in.operandSize / 2));
            case CONVERT_D ->
                operands.setRegister(
                        Cpu.RDX, in.operandSize, true, Operands.signExtend(r[Cpu.RAX], in.operandSize) >> 63);
            case SETCC -> operands.write(in, 0, alu.condition(in.opcode & 15) ? 1 : 0);
            case CMOVCC -> {
                long value = operands.read(in, 1);
                operands.write(in, 0, alu.condition(in.opcode & 15) ? value : operands.read(in, 0));
            }
            case DAA, DAS, AAA, AAS, AAM, AAD -> decimal(in);
            case CLC -> alu.setCarry(false);
            case STC -> alu.setCarry(true);
            case CMC -> alu.setCarry(!alu.carry());
            case CLD -> cpu.systemFlags &= ~Cpu.DF;
            case STD -> cpu.systemFlags |= Cpu.DF;
            case CLI -> cli();
            case STI -> sti();
            case LAHF -> operands.setRegister(Cpu.RSP, 1, false, alu.flags() & 0xff | 2);
            case SAHF -> {
                int high = (int) (r[Cpu.RAX] >>> 8);
                alu.setFlags(alu.flags() & Alu.OF | high & (Alu.SF | Alu.ZF | Alu.AF | Alu.PF | Alu.CF));
            }
            case NOP, PREFETCH, LFENCE, SFENCE -> {}
            case CLFLUSH, CLFLUSHOPT, CLWB -> cpu.load(operands.address(in, 1, false), 1);
            case MFENCE -> java.lang.invoke.VarHandle.fullFence();
            case PAUSE -> pause();
            case POP -> {
                Operand operand = in.form.operand(0);
                if (operand.kind() == Operand.Kind.SEGMENT) {
                    segments.pop(operand.register(), in.operandSize, stack);
                } else {
                    stack.execute(in, operands);
                }
            }
            case PUSH, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE -> stack.execute(in, operands);
            case JCC -> {
                if (alu.condition(in.opcode & 15)) {
                    jump(cpu.rip + in.immediate, in.operandSize);
                }
            }
            case JMP -> jump(nearTarget(in), in.operandSize);
            case CALL -> {
                long target = Alu.zeroExtend(nearTarget(in), in.operandSize);
                operands.checkNearTarget(target);
                stack.push(cpu.rip, in.operandSize);
                cpu.rip = target;
            }
            case RET -> {
                long target = stack.peek(0, in.operandSize);
                operands.checkNearTarget(target);
                stack.drop(in.operandSize + (int) in.immediate);
                cpu.rip = target;
            }
            case LOOP, LOOPE, LOOPNE -> loop(in);
            case JRCXZ -> {
                if (Alu.zeroExtend(r[Cpu.RCX], in.addressSize) == 0) {
                    jump(cpu.rip + in.immediate, in.operandSize);
                }
            }
            case BT,
                    BTS,
                    BTR,
                    BTC,
                    BSF,
                    BSR,
                    POPCNT,
                    LZCNT,
                    TZCNT,
                    CRC32,
                    MOVBE,
                    ADCX,
                    ADOX,
                    ANDN,
                    BEXTR,
                    BLSI,
                    BLSMSK,
                    BLSR,
                    BZHI,
                    MULX,
                    PDEP,
                    PEXT,
                    RORX,
                    SARX,
                    SHLX,
                    SHRX -> bits.execute(in);
            case MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS -> {
                if (strings.execute(in)) {
                    cpu.rip = at;
                }
            }
            case IN, OUT -> strings.port(in);
            case BOUND -> bound(in);
            case INT -> interrupts.software((int) in.immediate & 0xff);
            case INT3 -> interrupts.trap(GuestFault.BP);
            case INT1 -> interrupts.debugInterrupt();
            case INTO -> {
                if (alu.overflow()) {
                    interrupts.trap(GuestFault.OF);
                }
            }
            case UD0, UD1, UD2, INVALID -> throw cpu.fault(GuestFault.UD, 0);
            case JMP_FAR, CALL_FAR, RET_FAR, IRET -> transfers.execute(in, operands, stack);
            case SYSCALL, SYSRET, SYSENTER, SYSEXIT -> systemCalls.execute(in);
            case MOV_TO_SREG,
                    MOV_FROM_SREG,
                    LOAD_FAR,
                    ARPL,
                    LAR,
                    LSL,
                    VERR,
                    VERW,
                    LLDT,
                    LTR,
                    SLDT,
                    STR,
                    SWAPGS,
                    RDFSBASE,
                    RDGSBASE,
                    WRFSBASE,
                    WRGSBASE -> segments.execute(in);
            case HLT,
                    CPUID,
                    RDTSC,
                    RDTSCP,
                    RDPID,
                    RDPMC,
                    RDMSR,
                    WRMSR,
                    MOV_TO_CR,
                    MOV_FROM_CR,
                    MOV_TO_DR,
                    MOV_FROM_DR,
                    LGDT,
                    LIDT,
                    SGDT,
                    SIDT,
                    LMSW,
                    SMSW,
                    CLTS,
                    INVD,
                    WBINVD,
                    INVLPG,
                    INVPCID,
                    RDPKRU,
                    WRPKRU,
                    STAC,
                    CLAC,
                    RDRAND,
                    RDSEED,
                    MONITOR,
                    MWAIT,
                    VMCALL,
                    VMMCALL -> system.execute(in, operands);
            default -> floatingPoint.execute(in, vectorAddress(in));
        }
    }

    /**
     * The linear address of the memory operand of an x87 or SIMD instruction, or 0 without one. What the segment forbids
     * comes after an unavailable unit, pending exceptions and misalignment.
     */
    private long vectorAddress(Instruction in) {
        if (in.memory) {
            try {
                return operands.address(in, FloatingPointUnit.memorySize(in), FloatingPointUnit.writesMemory(in.form));
            } catch (GuestFault f) {
                int vector = f.vector;
                floatingPoint.checkAvailable(in);
                if (misaligned(in, FloatingPointUnit.alignment(in.form))) {
                    throw cpu.gp(0);
                }
                throw cpu.fault(vector, 0);
            }
        }
        return switch (in.form.operation()) {
            // Only the selected bytes are accessed, so the unit looks at each; the limit must hold at least the first.
            case MASKMOVQ, MASKMOVDQU ->
                operands.linear(in.segment, Alu.zeroExtend(r[Cpu.RDI], in.addressSize), 1, true);
            default -> 0;
        };
    }

    /** Whether the memory operand's linear address is not a multiple of this power of two. */
    private boolean misaligned(Instruction in, int alignment) {
        return (operands.offset(in) + cpu.segmentBase(in.segment) & alignment - 1) != 0;
    }

    /** The instruction pointer moved on, wrapped as the code size demands. */
    long advance(long rip, int by) {
        return switch (cpu.mode & Cpu.MODE_SIZE) {
            case Cpu.MODE_64 -> rip + by;
            case Cpu.MODE_32 -> rip + by & 0xffffffffL;
            default -> rip + by & 0xffff;
        };
    }

    private void jump(long target, int operandSize) {
        long truncated = Alu.zeroExtend(target, operandSize);
        operands.checkNearTarget(truncated);
        cpu.rip = truncated;
    }

    private long nearTarget(Instruction in) {
        return in.form.operand(0).kind() == Operand.Kind.RELATIVE ? cpu.rip + in.immediate : operands.read(in, 0);
    }

    private void loop(Instruction in) {
        long count = Alu.zeroExtend(r[Cpu.RCX] - 1, in.addressSize);
        boolean go = count != 0
                && switch (in.form.operation()) {
                    case LOOPE -> alu.zero();
                    case LOOPNE -> !alu.zero();
                    default -> true;
                };
        if (go) {
            jump(cpu.rip + in.immediate, in.operandSize);
        }
        operands.setRegister(Cpu.RCX, in.addressSize, true, count);
    }

    // ---- read-modify-write

    /** Replaces operand 0, atomically with LOCK. {@code change} must depend on nothing but the value and the flags. */
    private void modify(Instruction in, LongUnaryOperator change) {
        int size = operands.size(in, 0);
        if (!in.memory) {
            operands.write(in, 0, change.applyAsLong(operands.read(in, 0)));
            return;
        }
        long address = operands.address(in, size, true);
        if (in.lock) {
            long result = alu.result;
            long carries = alu.carries;
            atomics.update(address, size, old -> {
                alu.result = result;
                alu.carries = carries;
                return change.applyAsLong(old);
            });
        } else {
            long old = cpu.mmu.loadForStore(address, size);
            cpu.mmu.storeBack(size, change.applyAsLong(old));
        }
    }

    private void arithmetic(Instruction in) {
        int size = operands.size(in, 0);
        int operation = switch (in.form.operation()) {
            case ADD -> 0;
            case OR -> 1;
            case ADC -> 2;
            case SBB -> 3;
            case AND -> 4;
            case SUB -> 5;
            default -> 6;
        };
        if (!operands.isMemory(in, 0)) {
            operands.write(in, 0, alu.operate(operation, operands.read(in, 0), operands.read(in, 1), size));
            return;
        }
        long other = operands.read(in, 1);
        modify(in, old -> alu.operate(operation, old, other, size));
    }

    private void unary(Instruction in) {
        int size = operands.size(in, 0);
        switch (in.form.operation()) {
            case INC -> modify(in, old -> alu.inc(old, size));
            case DEC -> modify(in, old -> alu.dec(old, size));
            case NEG -> modify(in, old -> alu.neg(old, size));
            default -> modify(in, old -> ~old);
        }
    }

    private void shift(Instruction in) {
        int size = operands.size(in, 0);
        int operation = switch (in.form.operation()) {
            case ROL -> 0;
            case ROR -> 1;
            case RCL -> 2;
            case RCR -> 3;
            case SHL -> 4;
            case SHR -> 5;
            default -> 7;
        };
        int count = (int) operands.read(in, 1);
        modify(in, old -> alu.shift(operation, old, count, size));
    }

    private void exchange(Instruction in) {
        int size = operands.size(in, 0);
        if (in.memory) {
            // One operand is memory, the other ModRM.reg, in either order of the form.
            int memory = operands.isMemory(in, 0) ? 0 : 1;
            long value = operands.read(in, 1 - memory);
            operands.write(in, 1 - memory, atomics.update(operands.address(in, size, true), size, old -> value));
        } else {
            long first = operands.read(in, 0);
            operands.write(in, 0, operands.read(in, 1));
            operands.write(in, 1, first);
        }
    }

    private void exchangeAdd(Instruction in) {
        int size = operands.size(in, 0);
        long addend = operands.read(in, 1);
        long[] old = new long[1];
        modify(in, value -> {
            old[0] = value;
            return alu.add(value, addend, size);
        });
        if (in.memory || in.reg != in.rm) {
            operands.write(in, 1, old[0]);
        } else {
            // XADD of a register with itself: the sum is written last.
            operands.write(in, 0, alu.add(old[0], addend, size));
        }
    }

    private void compareExchange(Instruction in) {
        int size = operands.size(in, 0);
        long expected = Alu.zeroExtend(r[Cpu.RAX], size);
        long replacement = operands.read(in, 1);
        long old;
        if (in.memory) {
            long address = operands.address(in, size, true);
            if (in.lock) {
                old = atomics.update(address, size, value -> value == expected ? replacement : value);
            } else {
                old = cpu.mmu.loadForStore(address, size);
                cpu.mmu.storeBack(size, old == expected ? replacement : old);
            }
        } else {
            old = operands.read(in, 0);
            if (old == expected) {
                operands.write(in, 0, replacement);
            }
        }
        alu.sub(expected, old, size);
        if (old != expected) {
            operands.setRegister(Cpu.RAX, size, true, old);
        }
    }

    private void compareExchangeWide(Instruction in) {
        boolean wide = in.operandSize == 8;
        if (wide && misaligned(in, 16)) {
            throw cpu.gp(0);
        }
        long address = operands.address(in, wide ? 16 : 8, true);
        boolean equal;
        if (wide) {
            long[] values = {r[Cpu.RAX], r[Cpu.RDX]};
            equal = atomics.compareAndSet16(address, in.lock, values, r[Cpu.RBX], r[Cpu.RCX]);
            if (!equal) {
                r[Cpu.RAX] = values[0];
                r[Cpu.RDX] = values[1];
            }
        } else {
            long expected = r[Cpu.RDX] << 32 | r[Cpu.RAX] & 0xffffffffL;
            long replacement = r[Cpu.RCX] << 32 | r[Cpu.RBX] & 0xffffffffL;
            long old = atomics.update(address, 8, value -> value == expected ? replacement : value);
            equal = old == expected;
            if (!equal) {
                r[Cpu.RAX] = old & 0xffffffffL;
                r[Cpu.RDX] = old >>> 32;
            }
        }
        alu.setFlags(alu.flags() & ~Alu.ZF | (equal ? Alu.ZF : 0));
    }

    // ---- multiplication and division

    private void multiply(Instruction in) {
        int size = operands.size(in, 0);
        boolean signed = in.form.operation() == Operation.IMUL1;
        long a = r[Cpu.RAX];
        long b = operands.read(in, 0);
        if (size == 8) {
            long low = a * b;
            long high = signed ? Math.multiplyHigh(a, b) : Math.unsignedMultiplyHigh(a, b);
            r[Cpu.RAX] = low;
            r[Cpu.RDX] = high;
            alu.setProductFlags(low, 8, high != (signed ? low >> 63 : 0));
            return;
        }
        long product = signed
                ? Operands.signExtend(a, size) * Operands.signExtend(b, size)
                : Alu.zeroExtend(a, size) * Alu.zeroExtend(b, size);
        long low = Alu.zeroExtend(product, size);
        boolean wide = signed ? Operands.signExtend(product, size) != product : low != product;
        if (size == 1) {
            operands.setRegister(Cpu.RAX, 2, true, product);
        } else {
            operands.setRegister(Cpu.RAX, size, true, low);
            operands.setRegister(Cpu.RDX, size, true, product >>> 8 * size);
        }
        alu.setProductFlags(low, size, wide);
    }

    private void divide(Instruction in, boolean signed) {
        int size = operands.size(in, 0);
        long divisor = operands.read(in, 0);
        if (divisor == 0) {
            throw cpu.fault(GuestFault.DE, 0);
        }
        if (size == 8) {
            divide128(divisor, signed);
            return;
        }
        long dividend = size == 1
                ? r[Cpu.RAX] & 0xffff
                : Alu.zeroExtend(r[Cpu.RDX], size) << 8 * size | Alu.zeroExtend(r[Cpu.RAX], size);
        long quotient;
        long remainder;
        if (signed) {
            long n = Operands.signExtend(dividend, 2 * size);
            long d = Operands.signExtend(divisor, size);
            quotient = n / d;
            remainder = n % d;
            if (n == Long.MIN_VALUE && d == -1 || Operands.signExtend(quotient, size) != quotient) {
                throw cpu.fault(GuestFault.DE, 0);
            }
        } else {
            quotient = Long.divideUnsigned(dividend, divisor);
            remainder = Long.remainderUnsigned(dividend, divisor);
            if (Alu.zeroExtend(quotient, size) != quotient) {
                throw cpu.fault(GuestFault.DE, 0);
            }
        }
        if (size == 1) {
            operands.setRegister(Cpu.RAX, 2, true, quotient & 0xff | (remainder & 0xff) << 8);
        } else {
            operands.setRegister(Cpu.RAX, size, true, quotient);
            operands.setRegister(Cpu.RDX, size, true, remainder);
        }
    }

    private void divide128(long divisor, boolean signed) {
        long low = r[Cpu.RAX];
        long high = r[Cpu.RDX];
        boolean negative = signed && high < 0;
        boolean flip = signed && high < 0 ^ divisor < 0;
        long d = signed && divisor < 0 ? -divisor : divisor;
        if (negative) {
            high = ~high + (low == 0 ? 1 : 0);
            low = -low;
        }
        if (Long.compareUnsigned(high, d) >= 0) {
            throw cpu.fault(GuestFault.DE, 0);
        }
        long quotient = 0;
        long remainder = high;
        if (high == 0) {
            quotient = Long.divideUnsigned(low, d);
            remainder = Long.remainderUnsigned(low, d);
        } else {
            for (int bit = 63; bit >= 0; bit--) {
                boolean carry = remainder < 0;
                remainder = remainder << 1 | low >>> bit & 1;
                if (carry || Long.compareUnsigned(remainder, d) >= 0) {
                    remainder -= d;
                    quotient |= 1L << bit;
                }
            }
        }
        if (signed && (flip ? Long.compareUnsigned(quotient, Long.MIN_VALUE) > 0 : quotient < 0)) {
            throw cpu.fault(GuestFault.DE, 0);
        }
        r[Cpu.RAX] = flip ? -quotient : quotient;
        r[Cpu.RDX] = negative ? -remainder : remainder;
    }

    private void decimal(Instruction in) {
        int al = (int) r[Cpu.RAX] & 0xff;
        int ah = (int) (r[Cpu.RAX] >>> 8) & 0xff;
        boolean adjust = (al & 15) > 9 || (alu.flags() & Alu.AF) != 0;
        boolean carry = alu.carry();
        switch (in.form.operation()) {
            case DAA, DAS -> {
                boolean add = in.form.operation() == Operation.DAA;
                boolean high = al > 0x99 || carry;
                int result = al;
                if (adjust) {
                    int step = result + (add ? 6 : -6);
                    carry |= !add && step < 0;
                    result = step;
                }
                if (high) {
                    result += add ? 0x60 : -0x60;
                }
                boolean cf = high || !add && adjust && al < 6;
                r[Cpu.RAX] = r[Cpu.RAX] & ~0xffL | result & 0xff;
                alu.logic(result, 1);
                alu.setFlags(alu.flags() | (cf ? Alu.CF : 0) | (adjust ? Alu.AF : 0));
            }
            case AAA, AAS -> {
                int ax = (int) r[Cpu.RAX] & 0xffff;
                if (adjust) {
                    ax = in.form.operation() == Operation.AAA ? ax + 0x106 : ax - 0x106;
                }
                r[Cpu.RAX] = r[Cpu.RAX] & ~0xffffL | ax & 0xff0f;
                alu.setFlags(adjust ? Alu.CF | Alu.AF : 0);
            }
            case AAM -> {
                int base = (int) in.immediate & 0xff;
                if (base == 0) {
                    throw cpu.fault(GuestFault.DE, 0);
                }
                r[Cpu.RAX] = r[Cpu.RAX] & ~0xffffL | al / base << 8 | al % base;
                alu.logic(al % base, 1);
            }
            default -> {
                int result = al + ah * ((int) in.immediate & 0xff) & 0xff;
                r[Cpu.RAX] = r[Cpu.RAX] & ~0xffffL | result;
                alu.logic(result, 1);
            }
        }
    }

    private void bound(Instruction in) {
        int size = in.operandSize;
        long address = operands.address(in, 2 * size, false);
        long index = Operands.signExtend(r[in.reg], size);
        long lower = Operands.signExtend(cpu.mmu.load(address, size), size);
        long upper = Operands.signExtend(cpu.mmu.load(address + size, size), size);
        if (index < lower || index > upper) {
            throw cpu.fault(GuestFault.BR, 0);
        }
    }

    /**
     * Whoever spins for some ten microseconds waits for a processor that the host may not be running: let it. Not more
     * often, because on a busy host each time costs a turn of all others, and guests count their delays in PAUSEs.
     */
    @SuppressWarnings("ThreadPriorityCheck") // a hint to the host's scheduler is all that PAUSE is
    private void pause() {
        if ((++pauses & 1023) == 0) {
            Thread.yield();
        } else {
            Thread.onSpinWait();
        }
    }

    // ---- the interrupt flag

    void cli() {
        if (cpu.protectedMode() && cpu.cpl > cpu.iopl()) {
            throw cpu.gp(0);
        }
        cpu.setSystemFlags(cpu.systemFlags & ~Cpu.IF);
    }

    private void sti() {
        if (cpu.protectedMode() && cpu.cpl > cpu.iopl()) {
            throw cpu.gp(0);
        }
        if ((cpu.systemFlags & Cpu.IF) == 0) {
            cpu.setSystemFlags(cpu.systemFlags | Cpu.IF);
            cpu.setInterruptShadow(true);
        }
    }
}
