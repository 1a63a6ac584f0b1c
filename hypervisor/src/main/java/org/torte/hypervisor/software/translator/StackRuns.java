package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.software.translator.BlockCode.ColdStub;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/**
 * Several pushes in a row, or pops and a return behind them, as functions begin and end: where all of it is in the page of the
 * stack's slot, one check is enough, and nothing can fault from there on. Otherwise the same instructions are executed
 * with a check each, behind the block. In hot blocks only, because that is twice the code.
 */
final class StackRuns {
    private static final int COMPARE = 7;

    /** A run, as it was when it was written: where its checks jump when it is not all in one page, and what held then. */
    private record Run(
            int first,
            int end,
            int empty,
            int outside,
            boolean inState,
            int charged,
            int back,
            @Nullable ColdStub lost) {}

    private final BlockCode code;
    private final Assembler hot;
    private final GuestBlock block;
    private final Profile profile;
    private final StackInstructions stack;
    private final Branches branches;
    private final List<Run> runs = new ArrayList<>(0);

    StackRuns(BlockCode code, Profile profile, StackInstructions stack, Branches branches) {
        this.code = code;
        hot = code.hot;
        block = code.block;
        this.profile = profile;
        this.stack = stack;
        this.branches = branches;
    }

    /** How many instructions from this one on are a run that ends before another one; 0 for none. */
    int length(int first, int before) {
        if (!profile.hot()) {
            return 0;
        }
        Selection.Way way = block.ways[first];
        int end = first;
        while (end < before && block.ways[end] == way && isSimple(end)) {
            end++;
        }
        if (end > first && end < before && way == Selection.Way.POP && isReturn(end)) {
            end++;
        }
        return end - first >= 2 ? end - first : 0;
    }

    private boolean isReturn(int number) {
        return block.ways[number] == Selection.Way.RETURN && !profile.isRestless(number);
    }

    /** PUSH or POP of a register besides RSP, or PUSH of a constant. */
    private boolean isSimple(int number) {
        Selection.Way way = block.ways[number];
        Instruction in = block.instructions.get(number);
        return (way == Selection.Way.PUSH || way == Selection.Way.POP)
                && !in.memory
                && !profile.isRestless(number)
                && (isConstant(in) || in.rm != RSP);
    }

    private static boolean isConstant(Instruction in) {
        return in.form.operand(0).kind() == Operand.Kind.IMMEDIATE;
    }

    /** Writes a run. */
    void emit(int first, int length, int[] starts) {
        int end = first + length;
        boolean push = block.ways[first] == Selection.Way.PUSH;
        boolean returns = block.ways[end - 1] == Selection.Way.RETURN;
        if (returns) {
            code.chargeBeforeJump(true);
        }
        code.spillFlags();
        int slot = SLOTS + (push ? 1 << PageSlots.SHIFT : 0);
        if (push) {
            hot.address(R12, R15, NONE, 0, -8 * length);
        } else {
            hot.move(R12, R15);
        }
        hot.memory(0, true, false, 0x2b, R12, R14, NONE, 0, slot + PageSlots.PAGE);
        hot.memory(0, true, false, 0x3b, R12, R14, NONE, 0, slot + PageSlots.LIMIT);
        int empty = hot.jumpIf(ABOVE_EQUAL);
        hot.immediate(COMPARE, true, R12, 4096 - 8 * length);
        int outside = hot.jumpIf(ABOVE);
        hot.load(R12, R14, slot + PageSlots.DISTANCE);
        boolean inState = code.inState;
        int charged = code.charged();
        int simple = returns ? length - 1 : length;
        for (int i = 0; i < simple; i++) {
            code.index = first + i;
            starts[first + i] = hot.position();
            Instruction in = block.instructions.get(first + i);
            if (push) {
                push(in, -8 * (i + 1));
            } else {
                pop(in, 8 * i);
            }
        }
        hot.address(R15, R15, NONE, 0, push ? -8 * simple : 8 * simple);
        @Nullable ColdStub lost = null;
        if (returns) {
            code.index = end - 1;
            starts[end - 1] = hot.position();
            new Place(R15, R12, 0).load(hot, R12);
            lost = branches.leaveFor(block.instructions.get(end - 1));
        }
        runs.add(new Run(first, end, empty, outside, inState, charged, hot.position(), lost));
    }

    private void push(Instruction in, int displacement) {
        Place place = new Place(R15, R12, displacement);
        if (isConstant(in)) {
            place.operand(hot, 0, true, false, 0xc7, 0);
            hot.four((int) in.immediate);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R13, R14, Trampolines.gpr(in.rm));
            place.store(hot, R13);
        } else {
            place.store(hot, Registers.host(in.rm));
        }
    }

    private void pop(Instruction in, int displacement) {
        Place place = new Place(R15, R12, displacement);
        if (Registers.inMemory(in.rm)) {
            place.load(hot, R13);
            hot.store(R14, Trampolines.gpr(in.rm), R13);
        } else {
            place.load(hot, in.rm);
        }
    }

    /** Writes the same instructions with a check each; behind everything else. */
    void finish() {
        for (Run run : runs) {
            hot.patch(run.empty, hot.position() - run.empty - 4);
            hot.patch(run.outside, hot.position() - run.outside - 4);
            code.inHost = false;
            code.inState = run.inState;
            code.recharge(run.charged);
            for (int i = run.first; i < run.end; i++) {
                code.index = i;
                int before = code.stubs.size();
                if (i == run.end - 1 && run.lost != null) {
                    run.lost.resume = hot.position();
                }
                emitAlone(i);
                code.resolveNext(before);
            }
            if (run.lost == null) {
                hot.jump(run.back);
            }
        }
    }

    private void emitAlone(int number) {
        Instruction in = block.instructions.get(number);
        boolean last = number == block.size() - 1;
        switch (block.ways[number]) {
            case PUSH -> stack.push(in, last);
            case POP -> stack.pop(in, last);
            default -> branches.ret(in);
        }
    }
}
