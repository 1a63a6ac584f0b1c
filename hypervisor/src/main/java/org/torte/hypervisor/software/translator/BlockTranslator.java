package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;

import org.torte.hypervisor.software.translator.BlockCode.ColdStub;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/**
 * Writes the host code of one {@link GuestBlock}: the hot code, and apart from it the cold stubs by which it is left.
 * Everything that can fault in the guest is checked before the first architectural change of its instruction, and the
 * stub then leaves with the state as it was before that instruction.
 *
 * <p>A block begins at its entry with live flags in the host's registers; the entry before that one fetches them from the
 * state. Where the first that happens to them would be that they are saved, it is the other way round: it begins with them in
 * the state, and the entry before saves them. It ends with live flags in the host's for a direct jump, in the state for
 * others.
 */
final class BlockTranslator {
    private static final int COMPARE = 7;

    private final Trampolines trampolines;
    private final GuestBlock block;
    private final BlockCode code;
    private final Assembler hot;
    private final PlainInstructions plain;
    private final StackInstructions stack;
    private final SystemState system;
    private final PrivilegeInstructions privileges;
    private final InterruptReturn interrupts;
    private final RepeatedStrings strings;
    private final X87Instructions x87;
    private final Branches branches;

    /** Offset of the entry that expects the flags in the host's, for jumps from the same page. */
    int chained;

    /** Offset of what follows where it is known that the block is still there; a jump can be written over it. */
    int entry;

    /** Offset of the entry that expects them in the state, which may be the same. */
    int entryByState;

    /** Whether flags are live at the entry, and in the state. */
    private final boolean flagsInState;

    /** Offset of the stub to which the entry jumps once the block is invalid. */
    int invalid;

    /** Where the hot code of each instruction begins; one more for what follows the last. */
    final int[] starts;

    /** Of a block whose code goes to where {@code hot}, at a multiple of 16, and {@code cold} have begun. */
    BlockTranslator(
            Trampolines trampolines,
            Assembler hot,
            Assembler cold,
            GuestBlock block,
            int translation,
            Profile profile,
            int firstGroup) {
        this.trampolines = trampolines;
        this.block = block;
        starts = new int[block.size() + 1];
        flagsInState = block.savesFlagsFirst();
        this.hot = hot;
        code = new BlockCode(trampolines, hot, cold, block, translation, profile, firstGroup);
        plain = new PlainInstructions(code);
        stack = new StackInstructions(code);
        system = new SystemState(code);
        privileges = new PrivilegeInstructions(code, trampolines.crossings, trampolines.time);
        interrupts = new InterruptReturn(code, trampolines.crossings);
        strings = new RepeatedStrings(code);
        x87 = new X87Instructions(code);
        branches = new Branches(code);
    }

    void translate() {
        int n = block.size();
        int chargeAt = flagsInState ? 0 : firstWithDeadFlags();
        enter(chargeAt == 0);
        for (int i = 0; i < n; i++) {
            code.index = i;
            starts[i] = hot.position();
            if (i == chargeAt && !code.isCharged()) {
                code.charge();
            }
            int before = code.stubs.size();
            emit(block.instructions.get(i), block.ways[i], i == n - 1);
            for (ColdStub stub : code.stubs.subList(before, code.stubs.size())) {
                if (stub.next < 0) {
                    stub.next = hot.position();
                }
            }
        }
        starts[n] = hot.position();
        if (GuestBlock.fallsThrough(block.lastWay())) {
            code.index = n;
            long behind = block.rip + block.length();
            code.chargeBeforeJump(!block.inPage(behind));
            branches.go(behind);
        }
        invalidStub();
        code.finishStubs();
    }

    /** How many groups of slots its accesses use. */
    int groups() {
        return code.accesses.groups();
    }

    /** The number of the first instruction of the first part before which no flag is live, or -1. */
    private int firstWithDeadFlags() {
        for (int i = 0; i < block.partEnd(0); i++) {
            if (block.live[i] == 0) {
                return i;
            }
        }
        return -1;
    }

    /** The entries; {@code charge} when no flags are live there, or in the state. */
    private void enter(boolean charge) {
        code.index = 0;
        code.inHost = block.live[0] != 0;
        chained = hot.position();
        if (block.straddles) {
            // Its second page may be mapped elsewhere by now, in which case the jump cache no longer has it.
            branches.requireKnown(hot, block.rip);
            code.inHost = block.live[0] != 0;
        }
        if (flagsInState) {
            code.spillFlags();
            hot.align(8, 0);
            entryByState = hot.position();
        } else {
            entryByState = hot.position();
            if (code.inHost) {
                code.restoreFlags();
            }
            hot.align(8, 0);
        }
        entry = hot.position();
        if (!block.straddles && !flagsInState) {
            chained = entry;
        }
        // The first instruction becomes a jump when the block is invalid.
        if (charge && !block.usesVectors() && !block.usesX87()) {
            code.chargeAtEntry();
            return;
        }
        hot.nop5();
        if (block.usesVectors()) {
            require(StateArea.VECTORS, Site.VECTORS);
        }
        if (block.usesX87()) {
            require(StateArea.X87, Site.X87);
        }
    }

    /** Leaves before the first instruction when a word of the state is 0. */
    private void require(int word, int kind) {
        code.spillFlags();
        int at = hot.position();
        hot.immediateMemory(COMPARE, R14, word, 0);
        ColdStub stub = code.stub(hot, kind);
        stub.jump = hot.jumpIf(EQUAL);
        stub.target = block.rip;
        stub.resume = at;
    }

    /** Where the entry leads once the block is invalid. */
    private void invalidStub() {
        code.index = 0;
        invalid = code.cold.position();
        code.cold.call(block.live[0] != 0 && !flagsInState ? trampolines.exitWithFlags : trampolines.exit);
        code.data(Site.JUMP, 0, 0, 0, 0, block.rip);
    }

    private void emit(Instruction in, Selection.Way way, boolean last) {
        switch (way) {
            case INTERPRETED -> interpret(last);
            case SAME -> plain.same(in, last);
            case NOTHING -> {}
            case LEA -> plain.lea(in);
            case MOVE_CONSTANT -> plain.moveConstant(in);
            case BYTE_SWAP -> plain.byteSwap(in);
            case EXCHANGE -> {
                if (in.form.operand(0).place() == Operand.Place.OPCODE) {
                    plain.exchangeAccumulator(in);
                } else {
                    plain.same(in, last);
                }
            }
            case DIVISION -> plain.divide(in, last);
            case BIT_STRING -> plain.bitString(in, last);
            case PUSH -> stack.push(in, last);
            case POP -> stack.pop(in, last);
            case LEAVE -> stack.leave(last);
            case PUSH_FLAGS -> system.pushFlags(last);
            case CLEAR_FLAG -> system.clearFlag(in, last);
            case SET_INTERRUPTS -> privileges.setInterrupts(behind(), last);
            case SYSTEM_CALL -> privileges.systemCall(behind());
            case SYSTEM_RETURN -> privileges.systemReturn();
            case INTERRUPT_RETURN -> interrupts.emit();
            case USER_ACCESS -> privileges.userAccess(in, last);
            case SWAP_BASES -> privileges.swapBases(last);
            case BASE -> privileges.base(in, last);
            case READ_TIME -> privileges.readTime(in, last);
            case MOVE_SELECTOR -> system.moveSelector(in);
            case X87 -> x87.emit(in, last);
            case REPEATED_STRING -> strings.repeatedString(in, last);
            case CALL -> branches.call(in);
            case RETURN -> branches.ret(in);
            case JUMP -> branches.jump(in);
            case CONDITIONAL_JUMP -> branches.jumpIf(in);
        }
    }

    /** The address behind the current instruction. */
    private long behind() {
        return block.rip + block.offsets[code.index + 1];
    }

    /** Leaves to have the instruction interpreted. */
    private void interpret(boolean last) {
        if (last) {
            code.chargeBeforeJump(false);
        }
        code.spillAlive(code.live());
        ColdStub stub = code.stub(hot, Site.INTERPRET);
        stub.jump = hot.jump();
        stub.next = last ? 0 : -1;
        stub.target = code.index;
        code.inHost = true;
        code.inState = true;
    }
}
