package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/** Instructions that do on the host what they do in the guest, with other registers and a checked operand in memory. */
final class PlainInstructions {
    private static final int AND = 4, COMPARE = 7;

    private final BlockCode code;
    private final Assembler hot;
    private final GuestBlock block;
    private final Encoding encoding = new Encoding();

    PlainInstructions(BlockCode code) {
        this.code = code;
        hot = code.hot;
        block = code.block;
    }

    void same(Instruction in, boolean last) {
        boolean flags = Flags.read(in) != 0 || Flags.written(in) != 0;
        encoding.parse(block.page, block.start + block.offsets[code.index], in.length, in.form.hasModrm());
        Place place = null;
        if (in.memory) {
            int size = Selection.memorySize(in);
            boolean whole = in.lock
                    || in.form.operation() == Operation.XCHG
                    || in.form.operation() == Operation.CMPXCHG8B
                    || in.form.needsAlignment();
            code.spillFlags();
            BlockCode.Alignment alignment = whole ? BlockCode.Alignment.NATURAL : BlockCode.Alignment.ANY;
            place = code.access(code.addressOf(in), size, Selection.writesMemory(in), alignment, hot.position(), last);
        }
        if (flags) {
            code.needFlags(code.live());
        }
        if (in.form.hasModrm()) {
            withModrm(in, place);
        } else {
            prefixes(in);
            if (encoding.wide) {
                hot.one(0x48);
            }
            hot.copy(block.page, encoding.immediateStart - opcodeLength(), opcodeLength() + encoding.immediateLength);
        }
        if (Flags.written(in) != 0) {
            code.flagsAreInHost();
        }
    }

    private int opcodeLength() {
        return encoding.opcode > 0xffff ? 3 : encoding.opcode > 0xff ? 2 : 1;
    }

    /** REPNE and REP are part of the opcode behind 0F only; elsewhere, and with LOCK, they would be hints to the host. */
    private void prefixes(Instruction in) {
        if (encoding.operandSize) {
            hot.one(0x66);
        }
        if (encoding.repeat != 0 && encoding.opcode > 0xff && !in.lock) {
            hot.one(encoding.repeat);
        }
        if (in.lock) {
            hot.one(0xf0);
        }
    }

    /** With the memory operand at {@code place}, or null if there is none. */
    private void withModrm(Instruction in, @Nullable Place place) {
        int regOperand = -1;
        int rmOperand = -1;
        for (int i = 0; i < in.form.operandCount(); i++) {
            Operand operand = in.form.operand(i);
            if (operand.place() == Operand.Place.REG) {
                regOperand = i;
            } else if (operand.isRm() && place == null) {
                rmOperand = i;
            }
        }
        int reg = in.modrm >> 3 & 7;
        int rm = in.modrm & 7;
        boolean regInMemory = false;
        boolean rmInMemory = false;
        boolean high = false;
        Place operandPlace = place;
        if (rmOperand >= 0) {
            rm = in.rm;
            if (in.form.operand(rmOperand).kind() == Operand.Kind.GPR) {
                rmInMemory = Registers.inMemory(rm);
                rm = rmInMemory ? R12 : mapped(in, rmOperand);
            }
        }
        if (regOperand >= 0) {
            reg = in.reg;
            if (in.form.operand(regOperand).kind() == Operand.Kind.GPR) {
                regInMemory = Registers.inMemory(reg);
                boolean same = rmInMemory && in.rm == reg;
                reg = regInMemory ? (same ? R12 : R13) : mapped(in, regOperand);
                high = place != null && Selection.isHigh(in, regOperand);
            }
        }
        if (rmInMemory) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        }
        if (regInMemory && reg == R13) {
            hot.load(R13, R14, Trampolines.gpr(in.reg));
        }
        if (high && place != null) {
            // No REX prefix can be beside AH to BH, so they change places with AL to BL meanwhile.
            reg = in.reg - 4;
            if (place.base() == reg) {
                place.toR12(hot);
                operandPlace = Place.R12_ITSELF;
            }
            exchangeHalves(reg);
        }
        prefixes(in);
        if (operandPlace != null) {
            operandPlace.operand(hot, 0, encoding.wide, in.rex, encoding.opcode, reg);
        } else {
            hot.registers(0, encoding.wide, in.rex, encoding.opcode, reg, rm);
        }
        hot.copy(block.page, encoding.immediateStart, encoding.immediateLength);
        if (high) {
            exchangeHalves(reg);
        }
        if (rmInMemory && Selection.writesRegister(in, rmOperand)) {
            hot.store(R14, Trampolines.gpr(in.rm), R12);
        }
        if (regInMemory && Selection.writesRegister(in, regOperand)) {
            hot.store(R14, Trampolines.gpr(in.reg), reg);
        }
    }

    /** XCHG AL, AH, or the same for another of RAX to RBX. */
    private void exchangeHalves(int register) {
        hot.registers(0, false, false, 0x86, register, register + 4);
    }

    /** The host's number for an operand; AH to BH keep theirs. */
    private static int mapped(Instruction in, int operand) {
        int register = Selection.register(in, operand);
        return Selection.isHigh(in, operand) ? register : Registers.host(register);
    }

    void lea(Instruction in) {
        Address address = Address.of(in, block.rip + block.offsets[code.index] + in.length, false);
        boolean kept = Registers.inMemory(in.reg);
        int size = in.operandSize;
        if (address.isConstant()) {
            hot.constant(R12, size == 4 ? address.constant() & 0xffffffffL : address.constant());
        } else if (!kept && size >= 4) {
            boolean narrow = address.narrow() || size == 4;
            new Address(-1, address.base(), address.index(), address.scale(), address.displacement(), narrow)
                    .emitInto(hot, Registers.host(in.reg));
            return;
        } else {
            address.emitInto(hot, R12);
        }
        if (size == 4) {
            hot.move32(R12, R12);
        }
        code.setRegister(in.reg, size, R12);
    }

    void moveConstant(Instruction in) {
        int size = in.form.operand(0).size(in);
        boolean kept = Registers.inMemory(in.rm);
        int register = kept ? R12 : Registers.host(in.rm);
        if (size >= 4) {
            hot.constant(register, size == 4 ? in.immediate & 0xffffffffL : in.immediate);
            if (kept) {
                hot.store(R14, Trampolines.gpr(in.rm), R12);
            }
        } else if (size == 2) {
            hot.constant(R12, in.immediate & 0xffff);
            code.setRegister(in.rm, 2, R12);
        } else {
            if (kept) {
                hot.load(R12, R14, Trampolines.gpr(in.rm));
            }
            hot.registers(0, false, register >= RSP, 0xc6, 0, register);
            hot.one((int) in.immediate);
            if (kept) {
                hot.store(R14, Trampolines.gpr(in.rm), R12);
            }
        }
    }

    void byteSwap(Instruction in) {
        boolean kept = Registers.inMemory(in.rm);
        int register = kept ? R12 : Registers.host(in.rm);
        if (kept) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        }
        int rex = (in.operandSize == 8 ? 8 : 0) | register >> 3;
        if (rex != 0) {
            hot.one(0x40 | rex);
        }
        hot.bytes(0x0f, 0xc8 | register & 7);
        if (kept) {
            hot.store(R14, Trampolines.gpr(in.rm), R12);
        }
    }

    void exchangeAccumulator(Instruction in) {
        boolean kept = Registers.inMemory(in.rm);
        int register = kept ? R12 : Registers.host(in.rm);
        if (kept) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        }
        hot.registers(in.operandSize == 2 ? 0x66 : 0, in.operandSize == 8, false, 0x87, RAX, register);
        if (kept) {
            hot.store(R14, Trampolines.gpr(in.rm), R12);
        }
    }

    /** DIV and IDIV, guarded so that they cannot fault: the quotient must be sure to fit. */
    void divide(Instruction in, boolean last) {
        int size = in.operandSize;
        boolean wide = size == 8;
        if (in.memory) {
            code.operandToLoad(in, size, last).operand(hot, 0, wide, false, 0x8b, R12);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        } else {
            hot.move(R12, Registers.host(in.rm));
        }
        code.spillFlags();
        if (in.form.operation() == Operation.DIV) {
            hot.registers(0, wide, false, 0x3b, RDX, R12);
            code.interpretIf(ABOVE_EQUAL, last);
            hot.registers(0, wide, false, 0xf7, 6, R12);
        } else {
            // Only what CDQ and CQO leave, and not by 0 or -1.
            hot.registers(0, wide, false, 0x8b, R13, RAX);
            hot.shift(7, wide, R13, wide ? 63 : 31);
            hot.registers(0, wide, false, 0x3b, R13, RDX);
            code.interpretIf(NOT_EQUAL, last);
            hot.memory(0, wide, false, 0x8d, R13, R12, NONE, 0, 1);
            hot.immediate(COMPARE, wide, R13, 1);
            code.interpretIf(BELOW_EQUAL, last);
            hot.registers(0, wide, false, 0xf7, 7, R12);
        }
        code.flagsAreInHost();
    }

    /** BT, BTS, BTR, BTC of memory with the offset in a register, taken modulo the size once the operand is found. */
    void bitString(Instruction in, boolean last) {
        int size = in.operandSize;
        boolean write = in.form.operation() != Operation.BT;
        code.spillFlags();
        Address address = code.addressOf(in).ofBit(in.reg, size);
        Place place = code.access(
                address,
                size,
                write,
                in.lock ? BlockCode.Alignment.NATURAL : BlockCode.Alignment.ANY,
                hot.position(),
                last);
        if (Registers.inMemory(in.reg)) {
            hot.load(R13, R14, Trampolines.gpr(in.reg));
        } else {
            hot.move(R13, Registers.host(in.reg));
        }
        hot.immediate(AND, false, R13, 8 * size - 1);
        hot.store(R14, SCRATCH2, R13);
        code.needFlags(code.live());
        hot.load(R13, R14, SCRATCH2);
        if (in.lock) {
            hot.one(0xf0);
        }
        int opcode = switch (in.form.operation()) {
            case BT -> 0x0fa3;
            case BTS -> 0x0fab;
            case BTR -> 0x0fb3;
            default -> 0x0fbb;
        };
        place.operand(hot, size == 2 ? 0x66 : 0, size == 8, false, opcode, R13);
        code.flagsAreInHost();
    }
}
