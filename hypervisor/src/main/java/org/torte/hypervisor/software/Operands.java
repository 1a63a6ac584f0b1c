package org.torte.hypervisor.software;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** Where the operands of a decoded instruction are: effective addresses, segment checks, registers of every size. */
final class Operands {
    private final Cpu cpu;
    private final long[] r;
    private final Mmu mmu;

    Operands(Cpu cpu) {
        this.cpu = cpu;
        r = cpu.r;
        mmu = cpu.mmu;
    }

    static long signExtend(long value, int size) {
        return switch (size) {
            case 1 -> (byte) value;
            case 2 -> (short) value;
            case 4 -> (int) value;
            default -> value;
        };
    }

    int size(Instruction in, int number) {
        return in.form.operand(number).size(in);
    }

    boolean isMemory(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        return operand.isMemory() || operand.place() == Operand.Place.RM && in.memory;
    }

    // ---- memory

    /** The effective address: the offset in its segment. */
    long offset(Instruction in) {
        long offset = in.displacement;
        if (in.base == Instruction.RIP) {
            offset += cpu.rip;
        } else if (in.base >= 0) {
            offset += r[in.base];
        }
        if (in.index >= 0) {
            offset += r[in.index] << in.scale;
        }
        return Alu.zeroExtend(offset, in.addressSize);
    }

    /** The linear address of the memory operand, after the checks for an access of {@code size} bytes. */
    long address(Instruction in, int size, boolean write) {
        return linear(in.segment, offset(in), size, write);
    }

    /** The selector of a far pointer in memory, behind its offset of {@code size} bytes. */
    int farSelector(Instruction in, int size) {
        long at = Alu.zeroExtend(offset(in) + size, in.addressSize);
        return (int) mmu.load16(linear(in.segment, at, 2, false));
    }

    /** The linear address of an offset in a segment (Intel SDM vol. 3, section 5.3 to 5.5), checked for an access. */
    long linear(int segment, long offset, int size, boolean write) {
        if ((cpu.mode & Cpu.MODE_SIZE) == Cpu.MODE_64) {
            if (segment == Cpu.SS) {
                long last = offset + size - 1;
                if (offset << 16 >> 16 != offset || last << 16 >> 16 != last) {
                    throw cpu.fault(GuestFault.SS, 0);
                }
            }
            return segment >= Cpu.FS ? offset + r[Cpu.BASE + segment] : offset;
        }
        int attributes = cpu.attributes[segment];
        if (!cpu.realSegments()) {
            boolean code = (attributes & 8) != 0;
            boolean permitted = (attributes & Cpu.ATTRIBUTE_P) != 0
                    && (write ? !code && (attributes & 2) != 0 : !code || (attributes & 2) != 0);
            if (!permitted) {
                throw cpu.fault(segment == Cpu.SS ? GuestFault.SS : GuestFault.GP, 0);
            }
        }
        long limit = cpu.limit[segment] & 0xffffffffL;
        long last = offset + size - 1;
        boolean inside;
        if ((attributes & 0xc) == 4) {
            // Expand-down: what lies above the limit is valid.
            inside = offset > limit && last <= ((attributes & Cpu.ATTRIBUTE_DB) != 0 ? 0xffffffffL : 0xffff);
        } else {
            inside = last <= limit;
        }
        if (!inside) {
            throw cpu.fault(segment == Cpu.SS ? GuestFault.SS : GuestFault.GP, 0);
        }
        return offset + r[Cpu.BASE + segment] & 0xffffffffL;
    }

    /** Faults if a near transfer to this instruction pointer would leave the code segment or canonical space. */
    void checkNearTarget(long target) {
        if ((cpu.mode & Cpu.MODE_SIZE) == Cpu.MODE_64) {
            if (target << 16 >> 16 != target) {
                throw cpu.gp(0);
            }
        } else if (Long.compareUnsigned(target, cpu.limit[Cpu.CS] & 0xffffffffL) > 0) {
            throw cpu.gp(0);
        }
    }

    // ---- operands by number

    /** An operand's value, zero-extended from its size (immediates as the form extends them). */
    long read(Instruction in, int number) {
        Operand operand = in.form.operand(number);
        return switch (operand.place()) {
            case REG -> register(in.reg, operand.size(in), in.rex);
            case RM, RM_REGISTER, RM_MEMORY -> {
                int size = operand.size(in);
                yield in.memory ? mmu.load(address(in, size, false), size) : register(in.rm, size, in.rex);
            }
            case OPCODE -> register(in.rm, operand.size(in), in.rex);
            case VVVV -> register(in.vvvv, operand.size(in), true);
            case FIXED -> operand == Operand.ONE ? 1 : register(operand.register(), operand.size(in), true);
            case IMMEDIATE -> in.immediate;
            case OFFSET -> {
                int size = operand.size(in);
                yield mmu.load(linear(in.segment, in.displacement, size, false), size);
            }
            default -> throw new AssertionError(operand);
        };
    }

    /** Operand {@code number}, which may be memory at {@code address}, read for {@link #writeBack}. */
    long readForWrite(Instruction in, int number, long address) {
        return in.memory ? mmu.loadForStore(address, size(in, number)) : read(in, number);
    }

    /** Writes what {@link #readForWrite} read; cannot fault. */
    void writeBack(Instruction in, int number, long value) {
        if (in.memory) {
            mmu.storeBack(size(in, number), value);
        } else {
            write(in, number, value);
        }
    }

    void write(Instruction in, int number, long value) {
        Operand operand = in.form.operand(number);
        int size = operand.size(in);
        switch (operand.place()) {
            case REG -> setRegister(in.reg, size, in.rex, value);
            case RM, RM_REGISTER, RM_MEMORY -> {
                if (in.memory) {
                    mmu.store(address(in, size, true), size, value);
                } else {
                    setRegister(in.rm, size, in.rex, value);
                }
            }
            case OPCODE -> setRegister(in.rm, size, in.rex, value);
            case VVVV -> setRegister(in.vvvv, size, true, value);
            case FIXED -> setRegister(operand.register(), size, true, value);
            case OFFSET -> mmu.store(linear(in.segment, in.displacement, size, true), size, value);
            default -> throw new AssertionError(operand);
        }
    }

    // ---- registers

    /** A register of 1, 2, 4 or 8 bytes, zero-extended; without {@code rex} bytes 4 to 7 are AH, CH, DH and BH. */
    long register(int number, int size, boolean rex) {
        if (size == 1 && number >= 4 && number < 8 && !rex) {
            return r[number - 4] >>> 8 & 0xff;
        }
        return Alu.zeroExtend(r[number], size);
    }

    /** Sets a register; 4 bytes clear the upper half, 1 and 2 leave the rest. */
    void setRegister(int number, int size, boolean rex, long value) {
        switch (size) {
            case 1 -> {
                if (number >= 4 && number < 8 && !rex) {
                    r[number - 4] = r[number - 4] & ~0xff00L | (value & 0xff) << 8;
                } else {
                    r[number] = r[number] & ~0xffL | value & 0xff;
                }
            }
            case 2 -> r[number] = r[number] & ~0xffffL | value & 0xffff;
            case 4 -> r[number] = value & 0xffffffffL;
            default -> r[number] = value;
        }
    }
}
