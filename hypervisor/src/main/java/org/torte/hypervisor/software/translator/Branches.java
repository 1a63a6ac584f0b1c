package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/**
 * Branches, and where a block goes when it ends: to a place in the same page by a jump that is patched once the code there
 * exists, to all others by the jump cache.
 */
final class Branches {
    private final BlockCode code;
    private final Assembler hot;
    private final GuestBlock block;

    Branches(BlockCode code) {
        this.code = code;
        hot = code.hot;
        block = code.block;
    }

    void call(Instruction in) {
        code.chargeBeforeJump(true);
        long back = block.rip + block.length();
        if (in.form.operand(0).kind() == Operand.Kind.RELATIVE) {
            code.spillFlags();
            pushReturnAddress(
                    code.access(Address.stack(-8), 8, true, BlockCode.Alignment.ANY, hot.position(), true), back);
            go(block.target());
            return;
        }
        int retry = branchTarget(in);
        findJump(retry);
        hot.memory(0, true, false, 0x8b, R12, R14, R13, 0, JUMP_CODE);
        hot.store(R14, SCRATCH2, R12);
        pushReturnAddress(code.access(Address.stack(-8), 8, true, BlockCode.Alignment.ANY, retry, true), back);
        hot.jumpMemory(R14, NONE, SCRATCH2);
    }

    void ret(Instruction in) {
        code.chargeBeforeJump(true);
        code.spillFlags();
        int retry = hot.position();
        code.access(Address.stack(0), 8, false, BlockCode.Alignment.ANY, retry, true)
                .load(hot, R12);
        findJump(retry);
        hot.address(R15, R15, NONE, 0, 8 + ((int) in.immediate & 0xffff));
        hot.jumpMemory(R14, R13, JUMP_CODE);
    }

    void jump(Instruction in) {
        if (in.form.operand(0).kind() == Operand.Kind.RELATIVE) {
            code.chargeBeforeJump(mayLoop(block.target()));
            go(block.target());
        } else {
            code.chargeBeforeJump(true);
            findJump(branchTarget(in));
            hot.jumpMemory(R14, R13, JUMP_CODE);
        }
    }

    void jumpIf(Instruction in) {
        long target = block.target(code.index);
        long behind = block.rip + block.offsets[code.index + 1];
        code.chargeBeforeJump(mayLoop(target) || !block.inPage(behind));
        code.needFlags(Flags.ALL);
        goIf(in.opcode & 15, target);
        if (code.index == block.size() - 1) {
            go(behind);
        } else {
            code.chargePart();
        }
    }

    /** Goes on at a known address. */
    void go(long target) {
        if (!block.inPage(target)) {
            goFar(hot, target);
            return;
        }
        code.needFlags(block.live[block.size()]);
        hot.alignWithin8(1, 0);
        chain(hot.jump(), target);
    }

    private void pushReturnAddress(Place place, long back) {
        hot.constant(R13, back);
        place.store(hot, R13);
        hot.address(R15, R15, NONE, 0, -8);
    }

    /** Leaves the target of an indirect branch in r12, the live flags in the state; returns where this begins. */
    private int branchTarget(Instruction in) {
        int retry = hot.position();
        code.spillFlags();
        if (in.memory) {
            code.access(code.addressOf(in), 8, false, BlockCode.Alignment.ANY, retry, true)
                    .load(hot, R12);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R12, R14, Trampolines.gpr(in.rm));
        } else {
            hot.move(R12, Registers.host(in.rm));
        }
        return retry;
    }

    /** Looks for the instruction pointer in r12; what is not in the jump cache is asked for. Entry's index in r13. */
    private void findJump(int retry) {
        compareJump(hot);
        BlockCode.ColdStub stub = code.stub(hot, Site.LOST);
        stub.jump = hot.jumpIf(NOT_EQUAL);
        stub.resume = retry;
    }

    /** Compares the instruction pointer in r12 with what its entry of the jump cache is for; the entry's index in r13. */
    static void compareJump(Assembler to) {
        to.move32(R13, R12);
        to.shift(5, false, R13, 5);
        to.registers(0, false, false, 0x33, R13, R12);
        to.registers(0, false, false, 0x81, 4, R13);
        to.four(JUMP_ENTRIES - 1);
        to.shift(4, false, R13, 4);
        to.memory(0, true, false, 0x3b, R12, R14, R13, 0, JUMP_KEY);
    }

    private boolean mayLoop(long target) {
        return !block.inPage(target) || target <= block.rip + block.offsets[code.index];
    }

    private void goIf(int condition, long target) {
        if (block.inPage(target)) {
            // From there on a jump to the next block needs no padding.
            hot.alignWithin8(2, 3);
            chain(hot.jumpIf(condition), target);
        } else {
            int jump = hot.jumpIf(condition);
            hot.patch(jump, code.cold.position() - jump - 4);
            boolean host = code.inHost;
            boolean state = code.inState;
            goFar(code.cold, target);
            code.inHost = host;
            code.inState = state;
        }
    }

    private void chain(int jump, long target) {
        BlockCode.ColdStub stub = code.stub(hot, Site.CHAIN);
        stub.uncounted = 0;
        stub.jump = jump;
        stub.resume = jump;
        stub.target = target;
    }

    /** By the jump cache, because the other page may be mapped elsewhere by then. */
    private void goFar(Assembler to, long target) {
        to.jumpMemory(R14, NONE, JUMP_CODE + requireKnown(to, target));
    }

    /** Leaves unless the jump cache leads to an address: returns the offset of its entry there. Live flags go into the state. */
    int requireKnown(Assembler to, long target) {
        if (!code.inState && code.inHost) {
            BlockCode.saveFlags(to);
        }
        code.inState = true;
        code.inHost = false;
        int slot = jumpEntry(target);
        to.constant(R12, target);
        to.memory(0, true, false, 0x3b, R12, R14, NONE, 0, JUMP_KEY + slot);
        BlockCode.ColdStub stub = code.stub(to, Site.JUMP);
        stub.uncounted = 0;
        stub.jump = to.jumpIf(NOT_EQUAL);
        stub.target = target;
        return slot;
    }
}
