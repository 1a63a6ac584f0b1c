package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import java.util.ArrayList;
import java.util.List;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * Writes the host code of one {@link GuestBlock}: the hot code, and apart from it the cold stubs by which it is left.
 * Everything that can fault in the guest is checked before the first architectural change of its instruction, and the
 * stub then leaves with the state as it was before that instruction.
 *
 * <p>Flags: {@link #inHost} and {@link #inState} say where those that are live can be found while code is written;
 * checks destroy the host's, so live ones are saved first, and fetched back before an instruction that reads them or
 * changes only some. A block begins at its entry with the flags in the host's registers; the entry before that one
 * fetches them from the state. It ends with live flags in the host's for a direct jump, in the state for others.
 */
final class BlockTranslator {
    /** XCHG and everything with LOCK: whole within its natural alignment, otherwise interpreted. */
    private enum Alignment {
        ANY,
        NATURAL
    }

    private static final int OR = 1, AND = 4, SUBTRACT = 5, COMPARE = 7;
    private static final int IF = 0x200, DF = 0x400, RF = 0x1_0000, VM = 0x2_0000;

    private final Assembler hot = new Assembler();
    private final Assembler cold = new Assembler();
    private final Encoding encoding = new Encoding();
    private final List<ColdStub> stubs = new ArrayList<>();
    private final Trampolines trampolines;

    private final GuestBlock block;
    private final int translation;
    private int index;
    private boolean inHost;
    private boolean inState;
    private boolean charged;
    private int chargeAt;

    /** Offset of the entry that expects the flags in the host's. */
    int entry;

    /** Offset of the entry that expects them in the state. */
    int entryByState;

    /** Offset of the stub to which the entry jumps once the block is invalid. */
    int invalid;

    /** A way out of the hot code. */
    private static final class ColdStub {
        final Assembler from;
        final List<Integer> jumps = new ArrayList<>(2);
        final int kind;
        int resume;
        int next;
        int offset;
        int uncounted;
        long target;
        boolean flagsInHost;
        Address missing = Address.stack(0);

        ColdStub(Assembler from, int kind) {
            this.from = from;
            this.kind = kind;
        }
    }

    BlockTranslator(Trampolines trampolines, GuestBlock block, int translation) {
        this.trampolines = trampolines;
        this.block = block;
        this.translation = translation;
    }

    /** Translates; {@code hotAt}, a multiple of 16, and {@code coldAt} say where the code will lie. */
    void translate(int hotAt, int coldAt) {
        hot.begin(hotAt);
        cold.begin(coldAt);
        int n = block.size();
        inHost = block.live[0] != 0;
        inState = false;
        charged = false;
        chargeAt = -1;
        for (int i = 0; i < n && chargeAt < 0; i++) {
            if (block.live[i] == 0) {
                chargeAt = i;
            }
        }
        entryByState = hot.position();
        if (inHost) {
            restoreFlags();
            hot.align(8, 0);
        }
        entry = hot.position();
        hot.nop5(); // becomes a jump when the block is invalid
        if (block.usesVectors()) {
            index = 0;
            requireVectors();
        }
        for (index = 0; index < n; index++) {
            if (index == chargeAt) {
                charge();
            }
            boolean last = index == n - 1;
            int before = stubs.size();
            emit(block.instructions.get(index), block.ways[index], last);
            int after = hot.position();
            for (ColdStub stub : stubs.subList(before, stubs.size())) {
                if (stub.next < 0) {
                    stub.next = after;
                }
            }
        }
        if (GuestBlock.fallsThrough(block.lastWay())) {
            index = n;
            long behind = block.rip + block.length();
            chargeBeforeJump(!block.inPage(behind));
            go(behind);
        }
        invalidStub();
        finishStubs();
    }

    /** Where the entry leads once the block is invalid. */
    private void invalidStub() {
        index = 0;
        invalid = cold.position();
        cold.call(block.live[0] != 0 ? trampolines.exitWithFlags : trampolines.exit);
        data(Site.JUMP, 0, 0, 0, 0, block.rip);
    }

    private void data(int kind, int resume, int next, int offset, int uncounted, long target) {
        cold.four(translation);
        cold.four(kind);
        cold.four(resume);
        cold.four(next);
        cold.four(offset);
        cold.four(uncounted);
        cold.eight(target);
    }

    byte[] hotCode() {
        return hot.bytes();
    }

    byte[] coldCode() {
        return cold.bytes();
    }

    // ---- flags

    /** The host's flags are about to be destroyed. */
    private void spillFlags() {
        if (block.live[index] != 0 && !inState) {
            saveFlags(hot);
            inState = true;
        }
        inHost = false;
    }

    /** Leaves before the first instruction when XMM registers must not be used. */
    private void requireVectors() {
        spillFlags();
        hot.immediateMemory(COMPARE, R14, VECTORS, 0);
        ColdStub stub = stub(hot, Site.VECTORS);
        stub.jumps.add(hot.jumpIf(EQUAL));
        stub.target = block.rip;
    }

    /** The flags must be in the host's if they are live. */
    private void needFlags(int live) {
        if (live != 0 && !inHost) {
            restoreFlags();
            inHost = true;
        }
    }

    private static void saveFlags(Assembler code) {
        code.move(R13, RAX);
        code.bytes(0x9f, 0x0f, 0x90, 0xc0); // lahf; seto al
        code.memory(0x66, false, false, 0x89, RAX, R14, NONE, 0, FLAGS);
        code.move(RAX, R13);
    }

    private void restoreFlags() {
        hot.move(R13, RAX);
        hot.memory(0, false, false, 0x0fb7, RAX, R14, NONE, 0, FLAGS);
        hot.bytes(0x04, 0x7f, 0x9e); // add al, 7F; sahf
        hot.move(RAX, R13);
    }

    // ---- the budget

    /** Charges for the block and leaves when the budget is used up. The flags must be dead or in the state. */
    private void charge() {
        hot.immediateMemory(SUBTRACT, R14, BUDGET, block.size());
        charged = true;
        inHost = false;
        ColdStub stub = stub(hot, Site.BUDGET);
        stub.jumps.add(hot.jumpIf(SIGN));
        stub.resume = hot.position();
    }

    /** Charges at the end of a block without dead flags; {@code check} where it may be part of a loop. */
    private void chargeBeforeJump(boolean check) {
        if (charged) {
            return;
        }
        if (check) {
            spillAlive(block.live[index]);
            charge();
        } else {
            hot.load(R12, R14, BUDGET);
            hot.address(R12, R12, NONE, 0, -block.size());
            hot.store(R14, BUDGET, R12);
            charged = true;
        }
    }

    private void spillAlive(int live) {
        if (live != 0 && !inState) {
            saveFlags(hot);
            inState = true;
        }
    }

    // ---- ways out

    private ColdStub stub(Assembler from, int kind) {
        ColdStub stub = new ColdStub(from, kind);
        stub.offset = block.offsets[index];
        stub.uncounted = index - (charged ? block.size() : 0);
        stub.flagsInHost = inHost;
        stubs.add(stub);
        return stub;
    }

    /** Leaves to have the current instruction interpreted if a condition holds. */
    private void interpretIf(int condition, boolean last) {
        ColdStub stub = stub(hot, Site.INTERPRET);
        stub.jumps.add(hot.jumpIf(condition));
        stub.next = last ? 0 : -1;
        stub.target = index;
    }

    private void finishStubs() {
        for (ColdStub stub : stubs) {
            int at = cold.position();
            for (int jump : stub.jumps) {
                stub.from.patch(jump, at - jump - 4);
            }
            switch (stub.kind) {
                case Site.MISSING -> {
                    stub.missing.emit(cold);
                    cold.call(trampolines.exitMissing);
                }
                case Site.LOST -> cold.call(trampolines.exitMissing);
                case Site.CHAIN -> cold.call(stub.flagsInHost ? trampolines.exitWithFlags : trampolines.exit);
                default -> cold.call(trampolines.exit);
            }
            data(stub.kind, stub.resume, stub.next, stub.offset, stub.uncounted, stub.target);
        }
    }

    // ---- memory

    /**
     * Checks an access of the current instruction and leaves the host's address of it in r12; r13 and the host's flags
     * are lost.
     */
    private void access(Address address, int size, boolean write, Alignment alignment, int retry, boolean last) {
        address.emit(hot);
        hot.move32(R13, R12);
        hot.shift(5, false, R13, 7);
        hot.registers(0, false, false, 0x81, 4, R13);
        hot.four(0x7fe0);
        hot.memory(0, true, false, 0x2b, R12, R14, R13, 0, write ? WRITE : READ);
        int condition;
        if (alignment == Alignment.NATURAL) {
            hot.test(R12, ~(0xfff & -size));
            condition = NOT_EQUAL;
        } else {
            hot.registers(0, true, false, 0x81, COMPARE, R12);
            hot.four(4096 - size);
            condition = ABOVE;
        }
        ColdStub stub = stub(hot, Site.MISSING);
        stub.jumps.add(hot.jumpIf(condition));
        stub.missing = address;
        stub.resume = retry;
        stub.next = last ? 0 : -1;
        stub.target = size | (write ? Site.STORE : 0) | (alignment == Alignment.NATURAL ? Site.WHOLE : 0);
        hot.memory(0, true, false, 0x03, R12, R14, R13, 0, HOST);
    }

    private Address addressOf(Instruction in) {
        return Address.of(in, block.rip + block.offsets[index] + in.length, true);
    }

    private void loadOperand(Instruction in, int size, boolean last) {
        spillFlags();
        access(addressOf(in), size, false, Alignment.ANY, hot.position(), last);
    }

    // ---- instructions

    private void emit(Instruction in, Selection.Way way, boolean last) {
        switch (way) {
            case INTERPRETED -> interpret(last);
            case SAME -> same(in, last);
            case NOTHING -> {}
            case LEA -> lea(in);
            case MOVE_CONSTANT -> moveConstant(in);
            case BYTE_SWAP -> byteSwap(in);
            case EXCHANGE -> {
                if (in.form.operand(0).place() == Operand.Place.OPCODE) {
                    exchangeAccumulator(in);
                } else {
                    same(in, last);
                }
            }
            case DIVISION -> divide(in, last);
            case PUSH -> push(in, last);
            case POP -> pop(in, last);
            case LEAVE -> {
                spillFlags();
                access(new Address(-1, RBP, NONE, 0, 0, false), 8, false, Alignment.ANY, hot.position(), last);
                hot.address(R15, RBP, NONE, 0, 8);
                hot.load(RBP, R12, 0);
            }
            case PUSH_FLAGS -> pushFlags(last);
            case CLEAR_FLAG -> clearFlag(in, last);
            case MOVE_SELECTOR -> {
                hot.memory(0, false, false, 0x0fb7, R12, R14, NONE, 0, SELECTORS + 2 * in.reg);
                setRegister(in.rm, in.operandSize == 2 ? 2 : 8, R12);
            }
            case BIT_STRING -> bitString(in, last);
            case REPEATED_STRING -> repeatedString(in, last);
            case CALL -> call(in);
            case RETURN -> {
                chargeBeforeJump(true);
                spillFlags();
                int retry = hot.position();
                access(Address.stack(0), 8, false, Alignment.ANY, retry, true);
                hot.load(R12, R12, 0);
                findJump(retry);
                hot.address(R15, R15, NONE, 0, 8 + ((int) in.immediate & 0xffff));
                hot.jumpMemory(R14, R13, JUMP_CODE);
            }
            case JUMP -> {
                if (in.form.operand(0).kind() == Operand.Kind.RELATIVE) {
                    chargeBeforeJump(mayLoop(block.target()));
                    go(block.target());
                } else {
                    chargeBeforeJump(true);
                    findJump(branchTarget(in));
                    hot.jumpMemory(R14, R13, JUMP_CODE);
                }
            }
            case CONDITIONAL_JUMP -> {
                long behind = block.rip + block.length();
                chargeBeforeJump(mayLoop(block.target()) || !block.inPage(behind));
                needFlags(Flags.ALL);
                goIf(in.opcode & 15, block.target());
                go(behind);
            }
        }
    }

    /** Leaves to have the instruction interpreted. */
    private void interpret(boolean last) {
        if (last) {
            chargeBeforeJump(false);
        }
        spillAlive(block.live[index]);
        ColdStub stub = stub(hot, Site.INTERPRET);
        stub.jumps.add(hot.jump());
        stub.next = last ? 0 : -1;
        stub.target = index;
        inHost = true;
        inState = true;
    }

    private void same(Instruction in, boolean last) {
        boolean flags = Flags.read(in) != 0 || Flags.written(in) != 0;
        encoding.parse(block.page, block.start + block.offsets[index], in.length, in.form.hasModrm());
        boolean memory = in.memory;
        if (memory) {
            int size = Selection.memorySize(in);
            boolean whole = in.lock
                    || in.form.operation() == Operation.XCHG
                    || in.form.operation() == Operation.CMPXCHG8B
                    || in.form.needsAlignment();
            spillFlags();
            Alignment alignment = whole ? Alignment.NATURAL : Alignment.ANY;
            access(addressOf(in), size, Selection.writesMemory(in), alignment, hot.position(), last);
        }
        if (flags) {
            needFlags(block.live[index]);
        }
        if (in.form.hasModrm()) {
            withModrm(in, memory);
        } else {
            prefixes(in);
            if (encoding.wide) {
                hot.one(0x48);
            }
            hot.copy(block.page, encoding.immediateStart - opcodeLength(), opcodeLength() + encoding.immediateLength);
        }
        if (Flags.written(in) != 0) {
            inHost = true;
            inState = false;
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

    private void withModrm(Instruction in, boolean memory) {
        int regOperand = -1;
        int rmOperand = -1;
        for (int i = 0; i < in.form.operandCount(); i++) {
            Operand operand = in.form.operand(i);
            if (operand.place() == Operand.Place.REG) {
                regOperand = i;
            } else if (operand.isRm() && !memory) {
                rmOperand = i;
            }
        }
        int reg = in.modrm >> 3 & 7;
        int rm = in.modrm & 7;
        boolean regInMemory = false;
        boolean rmInMemory = false;
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
            }
        }
        if (rmInMemory) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        }
        if (regInMemory && reg == R13) {
            hot.load(R13, R14, Trampolines.gpr(in.reg));
        }
        prefixes(in);
        if (memory) {
            hot.memory(0, encoding.wide, in.rex, encoding.opcode, reg, R12, NONE, 0, 0);
        } else {
            hot.registers(0, encoding.wide, in.rex, encoding.opcode, reg, rm);
        }
        hot.copy(block.page, encoding.immediateStart, encoding.immediateLength);
        if (rmInMemory && Selection.writesRegister(in, rmOperand)) {
            hot.store(R14, Trampolines.gpr(in.rm), R12);
        }
        if (regInMemory && Selection.writesRegister(in, regOperand)) {
            hot.store(R14, Trampolines.gpr(in.reg), reg);
        }
    }

    /** The host's number for an operand; AH to BH keep theirs. */
    private static int mapped(Instruction in, int operand) {
        int register = Selection.register(in, operand);
        return Selection.isHigh(in, operand) ? register : Registers.host(register);
    }

    private void lea(Instruction in) {
        Address address = Address.of(in, block.rip + block.offsets[index] + in.length, false);
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
        setRegister(in.reg, size, R12);
    }

    /** Moves a host's register into a guest's: all of it, or its low two bytes. */
    private void setRegister(int guest, int size, int from) {
        if (Registers.inMemory(guest)) {
            hot.memory(size == 2 ? 0x66 : 0, size != 2, false, 0x89, from, R14, NONE, 0, Trampolines.gpr(guest));
        } else {
            hot.registers(size == 2 ? 0x66 : 0, size != 2, false, 0x8b, Registers.host(guest), from);
        }
    }

    private void moveConstant(Instruction in) {
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
            setRegister(in.rm, 2, R12);
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

    private void byteSwap(Instruction in) {
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

    private void exchangeAccumulator(Instruction in) {
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
    private void divide(Instruction in, boolean last) {
        int size = in.operandSize;
        boolean wide = size == 8;
        if (in.memory) {
            loadOperand(in, size, last);
            hot.memory(0, wide, false, 0x8b, R12, R12, NONE, 0, 0);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        } else {
            hot.move(R12, Registers.host(in.rm));
        }
        spillFlags();
        if (in.form.operation() == Operation.DIV) {
            hot.registers(0, wide, false, 0x3b, RDX, R12);
            interpretIf(ABOVE_EQUAL, last);
            hot.registers(0, wide, false, 0xf7, 6, R12);
        } else {
            // Only what CDQ and CQO leave, and not by 0 or -1.
            hot.registers(0, wide, false, 0x8b, R13, RAX);
            hot.shift(7, wide, R13, wide ? 63 : 31);
            hot.registers(0, wide, false, 0x3b, R13, RDX);
            interpretIf(NOT_EQUAL, last);
            hot.memory(0, wide, false, 0x8d, R13, R12, NONE, 0, 1);
            hot.immediate(COMPARE, wide, R13, 1);
            interpretIf(BELOW_EQUAL, last);
            hot.registers(0, wide, false, 0xf7, 7, R12);
        }
        inHost = true;
        inState = false;
    }

    private void push(Instruction in, boolean last) {
        Operand operand = in.form.operand(0);
        int retry = hot.position();
        spillFlags();
        if (in.memory) {
            access(addressOf(in), 8, false, Alignment.ANY, retry, last);
            hot.load(R12, R12, 0);
            hot.store(R14, SCRATCH2, R12);
        }
        access(Address.stack(-8), 8, true, Alignment.ANY, retry, last);
        if (operand.kind() == Operand.Kind.IMMEDIATE) {
            hot.memory(0, true, false, 0xc7, 0, R12, NONE, 0, 0);
            hot.four((int) in.immediate);
        } else if (in.memory) {
            hot.load(R13, R14, SCRATCH2);
            hot.store(R12, 0, R13);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R13, R14, Trampolines.gpr(in.rm));
            hot.store(R12, 0, R13);
        } else {
            hot.store(R12, 0, Registers.host(in.rm));
        }
        hot.address(R15, R15, NONE, 0, -8);
    }

    private void pop(Instruction in, boolean last) {
        spillFlags();
        access(Address.stack(0), 8, false, Alignment.ANY, hot.position(), last);
        if (in.rm == RSP) {
            hot.load(R15, R12, 0);
            return;
        }
        int register = Registers.inMemory(in.rm) ? R13 : in.rm;
        hot.load(register, R12, 0);
        if (register == R13) {
            hot.store(R14, Trampolines.gpr(in.rm), R13);
        }
        hot.address(R15, R15, NONE, 0, 8);
    }

    /** PUSHF: what {@link #saveFlags} saved, put back to its places, and the system flags. */
    private void pushFlags(boolean last) {
        spillAlive(Flags.ALL);
        inHost = false;
        access(Address.stack(-8), 8, true, Alignment.ANY, hot.position(), last);
        hot.memory(0, false, false, 0x8b, R13, R14, NONE, 0, SYSTEM);
        hot.immediate(AND, false, R13, ~(RESTRICTED | RF | VM));
        hot.immediate(OR, false, R13, 2);
        hot.store(R14, SCRATCH2, R13);
        hot.memory(0, false, false, 0x0fb6, R13, R14, NONE, 0, FLAGS);
        hot.immediate(AND, false, R13, 1);
        hot.shift(4, false, R13, 11);
        hot.memory(0, true, false, 0x09, R13, R14, NONE, 0, SCRATCH2);
        hot.memory(0, false, false, 0x0fb6, R13, R14, NONE, 0, FLAGS + 1);
        hot.immediate(AND, false, R13, 0xd5);
        hot.memory(0, true, false, 0x0b, R13, R14, NONE, 0, SCRATCH2);
        hot.store(R12, 0, R13);
        hot.address(R15, R15, NONE, 0, -8);
    }

    /** CLI and CLD. */
    private void clearFlag(Instruction in, boolean last) {
        spillFlags();
        boolean interrupts = in.form.operation() == Operation.CLI;
        if (interrupts) {
            hot.immediateMemory32(COMPARE, R14, SYSTEM, 0);
            interpretIf(LESS, last);
        }
        hot.immediateMemory32(AND, R14, SYSTEM, ~(interrupts ? IF : DF));
    }

    /** BT, BTS, BTR, BTC of memory with the offset in a register, taken modulo the size once the operand is found. */
    private void bitString(Instruction in, boolean last) {
        int size = in.operandSize;
        boolean write = in.form.operation() != Operation.BT;
        spillFlags();
        Address address = addressOf(in).ofBit(in.reg, size);
        access(address, size, write, in.lock ? Alignment.NATURAL : Alignment.ANY, hot.position(), last);
        if (Registers.inMemory(in.reg)) {
            hot.load(R13, R14, Trampolines.gpr(in.reg));
        } else {
            hot.move(R13, Registers.host(in.reg));
        }
        hot.immediate(AND, false, R13, 8 * size - 1);
        hot.store(R14, SCRATCH2, R13);
        needFlags(block.live[index]);
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
        hot.memory(size == 2 ? 0x66 : 0, size == 8, false, opcode, R13, R12, NONE, 0, 0);
        inHost = true;
        inState = false;
    }

    /** REP STOS and REP MOVS upwards within one page on each side. */
    private void repeatedString(Instruction in, boolean last) {
        int size = Selection.elementSize(in);
        int scale = Integer.numberOfTrailingZeros(size);
        boolean moves = in.form.operation() == Operation.MOVS;
        spillFlags();
        int retry = hot.position();
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, SYSTEM);
        hot.four(DF);
        interpretIf(NOT_EQUAL, last);
        hot.immediate(COMPARE, true, RCX, 4096 / size);
        interpretIf(ABOVE, last);
        hot.registers(0, true, false, 0x85, RCX, RCX);
        int none = hot.jumpIf(EQUAL);
        if (moves) {
            pagePart(RSI, scale, false, retry, last);
            hot.store(R14, SCRATCH2, R12);
        }
        pagePart(RDI, scale, true, retry, last);
        if (moves) {
            hot.address(R13, RSI, RCX, scale, 0);
            hot.store(R14, SCRATCH, R13);
            hot.load(RSI, R14, SCRATCH2);
        }
        hot.address(R13, RDI, RCX, scale, 0);
        hot.move(RDI, R12);
        hot.one(0xf3);
        if (size == 2) {
            hot.one(0x66);
        } else if (size == 8) {
            hot.one(0x48);
        }
        hot.one((moves ? 0xa4 : 0xaa) | (size == 1 ? 0 : 1));
        hot.move(RDI, R13);
        if (moves) {
            hot.load(RSI, R14, SCRATCH);
        }
        hot.patch(none, hot.position() - none - 4);
    }

    /** Leaves in r12 the host's address behind a pointer, having checked that RCX elements lie in one page there. */
    private void pagePart(int pointer, int scale, boolean write, int retry, boolean last) {
        access(new Address(-1, pointer, NONE, 0, 0, false), 1, write, Alignment.ANY, retry, last);
        hot.move(R13, pointer);
        hot.immediate(AND, false, R13, 4095);
        hot.address(R13, R13, RCX, scale, 0);
        hot.immediate(COMPARE, true, R13, 4096);
        interpretIf(ABOVE, last);
    }

    // ---- branches

    private boolean mayLoop(long target) {
        return !block.inPage(target) || target <= block.rip + block.offsets[index];
    }

    private void call(Instruction in) {
        chargeBeforeJump(true);
        long back = block.rip + block.length();
        if (in.form.operand(0).kind() == Operand.Kind.RELATIVE) {
            spillFlags();
            access(Address.stack(-8), 8, true, Alignment.ANY, hot.position(), true);
            pushReturnAddress(back);
            go(block.target());
            return;
        }
        int retry = branchTarget(in);
        findJump(retry);
        hot.memory(0, true, false, 0x8b, R12, R14, R13, 0, JUMP_CODE);
        hot.store(R14, SCRATCH2, R12);
        access(Address.stack(-8), 8, true, Alignment.ANY, retry, true);
        pushReturnAddress(back);
        hot.jumpMemory(R14, NONE, SCRATCH2);
    }

    private void pushReturnAddress(long back) {
        hot.constant(R13, back);
        hot.store(R12, 0, R13);
        hot.address(R15, R15, NONE, 0, -8);
    }

    /** Leaves the target of an indirect branch in r12, the live flags in the state; returns where this begins. */
    private int branchTarget(Instruction in) {
        int retry = hot.position();
        spillFlags();
        if (in.memory) {
            access(addressOf(in), 8, false, Alignment.ANY, retry, true);
            hot.load(R12, R12, 0);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        } else {
            hot.move(R12, Registers.host(in.rm));
        }
        return retry;
    }

    /** Looks for the instruction pointer in r12; what is not in the jump cache is asked for. Entry's index in r13. */
    private void findJump(int retry) {
        hot.move32(R13, R12);
        hot.shift(5, false, R13, 5);
        hot.registers(0, false, false, 0x33, R13, R12);
        hot.registers(0, false, false, 0x81, 4, R13);
        hot.four(JUMP_ENTRIES - 1);
        hot.shift(4, false, R13, 4);
        hot.memory(0, true, false, 0x3b, R12, R14, R13, 0, JUMP_KEY);
        ColdStub stub = stub(hot, Site.LOST);
        stub.jumps.add(hot.jumpIf(NOT_EQUAL));
        stub.resume = retry;
    }

    /** Goes on at a known address. */
    private void go(long target) {
        if (!block.inPage(target)) {
            goFar(hot, target);
            return;
        }
        needFlags(block.live[block.size()]);
        hot.align(4, 1);
        chain(hot.jump(), target);
    }

    private void goIf(int condition, long target) {
        if (block.inPage(target)) {
            hot.align(4, 2);
            chain(hot.jumpIf(condition), target);
        } else {
            int jump = hot.jumpIf(condition);
            hot.patch(jump, cold.position() - jump - 4);
            boolean host = inHost;
            boolean state = inState;
            goFar(cold, target);
            inHost = host;
            inState = state;
        }
    }

    private void chain(int jump, long target) {
        ColdStub stub = stub(hot, Site.CHAIN);
        stub.uncounted = 0;
        stub.jumps.add(jump);
        stub.resume = jump;
        stub.target = target;
    }

    /** By the jump cache, because the other page may be mapped elsewhere by then. */
    private void goFar(Assembler code, long target) {
        if (!inState && inHost) {
            saveFlags(code);
        }
        inState = true;
        inHost = false;
        int slot = jumpEntry(target);
        code.constant(R12, target);
        code.memory(0, true, false, 0x3b, R12, R14, NONE, 0, JUMP_KEY + slot);
        ColdStub stub = stub(code, Site.JUMP);
        stub.uncounted = 0;
        stub.jumps.add(code.jumpIf(NOT_EQUAL));
        stub.target = target;
        code.jumpMemory(R14, NONE, JUMP_CODE + slot);
    }
}
