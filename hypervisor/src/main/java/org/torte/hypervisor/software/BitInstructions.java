package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Bit tests and scans, POPCNT, CRC32, MOVBE, ADX and the BMI groups. */
final class BitInstructions {
    private static final int CRC32C = 0x82f63b78;

    private final Cpu cpu;
    private final Alu alu;
    private final Operands operands;
    private final Atomics atomics;

    BitInstructions(Cpu cpu, Operands operands, Atomics atomics) {
        this.cpu = cpu;
        this.alu = cpu.alu;
        this.operands = operands;
        this.atomics = atomics;
    }

    void execute(Instruction in) {
        switch (in.form.operation()) {
            case BT, BTS, BTR, BTC -> bitTest(in);
            case BSF, BSR -> {
                long value = operands.read(in, 1);
                if (value != 0) {
                    operands.write(
                            in,
                            0,
                            in.form.operation() == Operation.BSF
                                    ? Long.numberOfTrailingZeros(value)
                                    : 63 - Long.numberOfLeadingZeros(value));
                } else if (operands.size(in, 0) == 4) {
                    // The destination stays, but processors clear its upper half.
                    operands.write(in, 0, operands.read(in, 0));
                }
                alu.setFlags(value == 0 ? Alu.ZF | Alu.PF : 0);
            }
            case POPCNT -> {
                long value = operands.read(in, 1);
                operands.write(in, 0, Long.bitCount(value));
                alu.setFlags(value == 0 ? Alu.ZF : 0);
            }
            case LZCNT -> count(in, Long.numberOfLeadingZeros(operands.read(in, 1)) - (64 - 8 * operands.size(in, 0)));
            case TZCNT ->
                count(in, Math.min(Long.numberOfTrailingZeros(operands.read(in, 1)), 8 * operands.size(in, 0)));
            case CRC32 -> {
                int size = operands.size(in, 1);
                long data = operands.read(in, 1);
                int crc = (int) operands.read(in, 0);
                for (int i = 0; i < size; i++) {
                    crc ^= (int) (data >>> 8 * i) & 0xff;
                    for (int bit = 0; bit < 8; bit++) {
                        crc = crc >>> 1 ^ (CRC32C & -(crc & 1));
                    }
                }
                operands.write(in, 0, crc & 0xffffffffL);
            }
            case MOVBE -> {
                int size = operands.size(in, 0);
                operands.write(in, 0, Long.reverseBytes(operands.read(in, 1)) >>> 64 - 8 * size);
            }
            case ADCX -> addCarry(in, Alu.CF);
            case ADOX -> addCarry(in, Alu.OF);
            default -> general(in);
        }
    }

    /** The BMI groups: three-operand forms on registers of 4 or 8 bytes. */
    private void general(Instruction in) {
        int size = operands.size(in, 0);
        int bits = 8 * size;
        long a = operands.read(in, 1);
        switch (in.form.operation()) {
            case ANDN -> operands.write(in, 0, alu.logic(~a & operands.read(in, 2), size));
            case BLSI -> {
                operands.write(in, 0, alu.logic(a & -a, size));
                alu.setCarry(a != 0);
            }
            case BLSMSK -> {
                operands.write(in, 0, alu.logic(a ^ a - 1, size));
                alu.setCarry(a == 0);
            }
            case BLSR -> {
                operands.write(in, 0, alu.logic(a & a - 1, size));
                alu.setCarry(a == 0);
            }
            case BEXTR -> {
                long control = operands.read(in, 2);
                int start = (int) control & 0xff;
                int length = (int) (control >>> 8) & 0xff;
                long value = start >= bits ? 0 : a >>> start;
                operands.write(in, 0, alu.logic(length >= 64 ? value : value & (1L << length) - 1, size));
            }
            case BZHI -> {
                int index = (int) operands.read(in, 2) & 0xff;
                operands.write(in, 0, alu.logic(index >= bits ? a : a & (1L << index) - 1, size));
                alu.setCarry(index >= bits);
            }
            case MULX -> {
                long b = operands.read(in, 2);
                long x = Alu.zeroExtend(cpu.r[Cpu.RDX], size);
                long low = x * b;
                long high = size == 8 ? Math.unsignedMultiplyHigh(x, b) : low >>> 32;
                // The high half is written last: it stays when both destinations are the same register.
                operands.write(in, 1, low);
                operands.write(in, 0, high);
            }
            case PDEP -> operands.write(in, 0, Long.expand(a, operands.read(in, 2)));
            case PEXT -> operands.write(in, 0, Long.compress(a, operands.read(in, 2)));
            case RORX -> {
                int n = (int) in.immediate & bits - 1;
                operands.write(
                        in, 0, size == 8 ? Long.rotateRight(a, n) : Integer.rotateRight((int) a, n) & 0xffffffffL);
            }
            case SARX -> operands.write(in, 0, Operands.signExtend(a, size) >> ((int) operands.read(in, 2) & bits - 1));
            case SHLX -> operands.write(in, 0, a << ((int) operands.read(in, 2) & bits - 1));
            default -> operands.write(in, 0, a >>> ((int) operands.read(in, 2) & bits - 1));
        }
    }

    private void count(Instruction in, int result) {
        operands.write(in, 0, result);
        boolean none = result == 8 * operands.size(in, 0);
        alu.setFlags((none ? Alu.CF : 0) | (result == 0 ? Alu.ZF : 0));
    }

    private void addCarry(Instruction in, int flag) {
        int size = operands.size(in, 0);
        int flags = alu.flags();
        long a = operands.read(in, 0);
        long b = operands.read(in, 1);
        long s = a + b + ((flags & flag) != 0 ? 1 : 0);
        boolean carry = size == 8 ? (a & b | (a | b) & ~s) < 0 : s >>> 32 != 0;
        operands.write(in, 0, Alu.zeroExtend(s, size));
        alu.setFlags(flags & ~flag | (carry ? flag : 0));
    }

    private void bitTest(Instruction in) {
        int size = operands.size(in, 0);
        long offset = operands.read(in, 1);
        int bit = (int) offset & 8 * size - 1;
        Operation operation = in.form.operation();
        long old;
        if (!in.memory) {
            old = operands.read(in, 0);
            if (operation != Operation.BT) {
                operands.write(in, 0, change(operation, old, bit));
            }
        } else {
            // A register operand reaches any distance from the address; an immediate stays within it.
            boolean register = in.form.operand(1).place() == org.torte.hypervisor.x86.Operand.Place.REG;
            long distance = register ? (Operands.signExtend(offset, size) >> 3) & -(long) size : 0;
            long at = Alu.zeroExtend(operands.offset(in) + distance, in.addressSize);
            long address = operands.linear(in.segment, at, size, operation != Operation.BT);
            if (operation == Operation.BT) {
                old = cpu.mmu.load(address, size);
            } else if (in.lock) {
                old = atomics.update(address, size, value -> change(operation, value, bit));
            } else {
                old = cpu.mmu.loadForStore(address, size);
                cpu.mmu.storeBack(size, change(operation, old, bit));
            }
        }
        alu.setCarry((old >>> bit & 1) != 0);
    }

    private static long change(Operation operation, long value, int bit) {
        return switch (operation) {
            case BTS -> value | 1L << bit;
            case BTR -> value & ~(1L << bit);
            default -> value ^ 1L << bit;
        };
    }
}
