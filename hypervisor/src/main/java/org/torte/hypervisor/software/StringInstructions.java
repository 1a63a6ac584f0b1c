package org.torte.hypervisor.software;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS with their repeat prefixes, and IN and OUT. A repeated move or store that goes
 * up works on whole pages where it can; every other repetition is one element at a time. Registers are up to date
 * whenever anything can fault, and after a bounded number of elements a repeated instruction lets interrupts in.
 */
final class StringInstructions {
    /** Elements after which a repeated instruction looks for events. */
    private static final int BATCH = 1024;

    private final Cpu cpu;
    private final long[] r;
    private final Mmu mmu;
    private final Operands operands;
    private final Ports ports;
    private final MemorySegment ram;

    StringInstructions(Cpu cpu, Operands operands, Ports ports) {
        this.cpu = cpu;
        this.r = cpu.r;
        this.mmu = cpu.mmu;
        this.operands = operands;
        this.ports = ports;
        this.ram = mmu.ram();
    }

    /** Executes one string instruction; returns whether it is to be executed again, for its count is not at its end. */
    boolean execute(Instruction in) {
        Operation operation = in.form.operation();
        int size = size(in);
        if (operation == Operation.INS || operation == Operation.OUTS) {
            ports.check((int) r[Cpu.RDX] & 0xffff, size);
        }
        if (in.repeat == 0) {
            element(in, operation, size);
            return false;
        }
        boolean compares = operation == Operation.CMPS || operation == Operation.SCAS;
        // Traps come after each repetition.
        boolean stepping = (cpu.systemFlags & Cpu.TF) != 0 || cpu.breakpoints.armed();
        int budget = BATCH;
        while (true) {
            long count = Alu.zeroExtend(r[Cpu.RCX], in.addressSize);
            if (count == 0) {
                return false;
            }
            if (budget <= 0) {
                return true;
            }
            long done = stepping ? 0 : bulk(in, operation, size, count);
            if (done == 0) {
                element(in, operation, size);
                done = 1;
            }
            operands.setRegister(Cpu.RCX, in.addressSize, true, count - done);
            budget -= done == 1 ? 1 : 64;
            if (compares && cpu.alu.zero() == (in.repeat == 0xf2)) {
                return false;
            }
            if (stepping) {
                return count != 1;
            }
        }
    }

    /** IN and OUT. */
    void port(Instruction in) {
        boolean input = in.form.operation() == Operation.IN;
        int size = operands.size(in, input ? 0 : 1);
        int port = (int) operands.read(in, input ? 1 : 0) & 0xffff;
        ports.check(port, size);
        if (input) {
            operands.setRegister(Cpu.RAX, size, true, ports.read(port, size));
        } else {
            ports.write(port, size, r[Cpu.RAX]);
        }
    }

    private int size(Instruction in) {
        for (int i = 0; i < in.form.operandCount(); i++) {
            if (in.form.operand(i).isMemory()) {
                return in.form.operand(i).size(in);
            }
        }
        return in.operandSize;
    }

    private void element(Instruction in, Operation operation, int size) {
        long step = (cpu.systemFlags & Cpu.DF) != 0 ? -size : size;
        switch (operation) {
            case MOVS -> {
                long value = mmu.load(source(in, size), size);
                mmu.store(destination(in, size, true), size, value);
                advance(in, Cpu.RSI, step);
                advance(in, Cpu.RDI, step);
            }
            case STOS -> {
                mmu.store(destination(in, size, true), size, r[Cpu.RAX]);
                advance(in, Cpu.RDI, step);
            }
            case LODS -> {
                operands.setRegister(Cpu.RAX, size, true, mmu.load(source(in, size), size));
                advance(in, Cpu.RSI, step);
            }
            case CMPS -> {
                // Of two that fault, AMD's processors report the second.
                long right = mmu.load(destination(in, size, false), size);
                long left = mmu.load(source(in, size), size);
                cpu.alu.sub(left, right, size);
                advance(in, Cpu.RSI, step);
                advance(in, Cpu.RDI, step);
            }
            case SCAS -> {
                long right = mmu.load(destination(in, size, false), size);
                cpu.alu.sub(r[Cpu.RAX], right, size);
                advance(in, Cpu.RDI, step);
            }
            case INS -> {
                long at = destination(in, size, true);
                mmu.checkStore(at, size);
                mmu.store(at, size, ports.read((int) r[Cpu.RDX] & 0xffff, size));
                advance(in, Cpu.RDI, step);
            }
            default -> {
                ports.write((int) r[Cpu.RDX] & 0xffff, size, mmu.load(source(in, size), size));
                advance(in, Cpu.RSI, step);
            }
        }
    }

    private void advance(Instruction in, int register, long step) {
        operands.setRegister(register, in.addressSize, true, r[register] + step);
    }

    private long source(Instruction in, int size) {
        return operands.linear(in.segment, Alu.zeroExtend(r[Cpu.RSI], in.addressSize), size, false);
    }

    private long destination(Instruction in, int size, boolean write) {
        return operands.linear(Cpu.ES, Alu.zeroExtend(r[Cpu.RDI], in.addressSize), size, write);
    }

    /** Moves or stores as many elements as lie in one page on each side; returns how many, 0 if it must go one by one. */
    private long bulk(Instruction in, Operation operation, int size, long count) {
        if (operation != Operation.MOVS && operation != Operation.STOS || (cpu.systemFlags & Cpu.DF) != 0) {
            return 0;
        }
        if ((cpu.mode & Cpu.MODE_SIZE) != Cpu.MODE_64 || in.addressSize != 8 || count < 4) {
            return 0;
        }
        long to = r[Cpu.RDI];
        long target = mmu.writablePage(to, 1);
        if (target == Mmu.INVALID) {
            return 0;
        }
        long elements = Math.min(count, (0x1000 - (to & 0xfff)) / size);
        target += to & 0xfff;
        if (operation == Operation.STOS) {
            if (elements > 0) {
                fill(target, elements, size, r[Cpu.RAX]);
                r[Cpu.RDI] += elements * size;
            }
            return elements;
        }
        long from = source(in, 1);
        long origin = mmu.readablePage(from, 1);
        if (origin == Mmu.INVALID) {
            return 0;
        }
        elements = Math.min(elements, (0x1000 - (from & 0xfff)) / size);
        origin += from & 0xfff;
        long bytes = elements * size;
        if (target > origin && target < origin + bytes) {
            // Overlapping upwards: each element must see the ones before it.
            return 0;
        }
        if (elements > 0) {
            MemorySegment.copy(ram, origin, ram, target, bytes);
            r[Cpu.RSI] += bytes;
            r[Cpu.RDI] += bytes;
        }
        return elements;
    }

    private void fill(long target, long elements, int size, long value) {
        MemorySegment area = ram.asSlice(target, elements * size);
        if (size == 1 || (value & 0xff) * 0x0101010101010101L >>> 64 - 8 * size == Alu.zeroExtend(value, size)) {
            area.fill((byte) value);
            return;
        }
        for (long i = 0; i < elements; i++) {
            switch (size) {
                case 2 -> area.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2, (short) value);
                case 4 -> area.set(ValueLayout.JAVA_INT_UNALIGNED, i * 4, (int) value);
                default -> area.set(ValueLayout.JAVA_LONG_UNALIGNED, i * 8, value);
            }
        }
    }
}
