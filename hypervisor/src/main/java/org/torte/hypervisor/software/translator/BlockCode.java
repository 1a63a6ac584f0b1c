package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import java.util.ArrayList;
import java.util.List;
import org.torte.hypervisor.x86.Instruction;

/**
 * The host code of one block while it is written: the hot code, apart from it the cold stubs by which it is left, and what
 * holds at the place that is written now. Who writes an instruction gets from here its checked memory operand, its
 * flags, and its ways out.
 *
 * <p>Flags: {@link #inHost} and {@link #inState} say where those that are live can be found; checks destroy the host's, so
 * live ones are saved first, and fetched back before an instruction that reads them or changes only some.
 */
final class BlockCode {
    /** XCHG and everything with LOCK: whole within its natural alignment, otherwise interpreted. */
    enum Alignment {
        ANY,
        NATURAL
    }

    /** A way out of the hot code. */
    static final class ColdStub {
        final Assembler from;
        final int kind;

        /** Where in that code the displacement of the jump to the stub is. */
        int jump;

        int resume;
        int next;
        int offset;
        int uncounted;
        long target;
        boolean flagsInHost;

        /** For an access: the routine that looks elsewhere or 0, where code goes on then, and whether r12 is a distance. */
        int probe;

        int found;
        boolean simple;
        Address missing = Address.stack(0);

        ColdStub(Assembler from, int kind) {
            this.from = from;
            this.kind = kind;
        }
    }

    private static final int SUBTRACT = 5;

    final Assembler hot;
    final Assembler cold;
    final List<ColdStub> stubs = new ArrayList<>();
    final GuestBlock block;
    private final Trampolines trampolines;
    private final int translation;
    final MemoryAccess accesses;

    /** The number of the instruction that is written now; the block's size behind the last. */
    int index;

    /** Whether the live flags are in the host's. */
    boolean inHost;

    /** Whether the live flags are in the state. */
    boolean inState;

    /** The number of the instruction up to which the budget has been charged: the end of a part, or 0. */
    private int charged;

    BlockCode(
            Trampolines trampolines,
            Assembler hot,
            Assembler cold,
            GuestBlock block,
            int translation,
            Profile profile,
            int firstGroup) {
        this.trampolines = trampolines;
        this.hot = hot;
        this.cold = cold;
        this.block = block;
        this.translation = translation;
        accesses = new MemoryAccess(this, trampolines.probes, profile, firstGroup);
    }

    /** The flags that are live before the current instruction. */
    int live() {
        return block.live[index];
    }

    /** The current instruction has replaced flags. */
    void flagsAreInHost() {
        inHost = true;
        inState = false;
    }

    /** The host's flags are about to be destroyed. */
    void spillFlags() {
        if (live() != 0 && !inState) {
            saveFlags(hot);
            inState = true;
        }
        inHost = false;
    }

    /** The flags must be in the host's if they are live. */
    void needFlags(int live) {
        if (live != 0 && !inHost) {
            restoreFlags();
            inHost = true;
        }
    }

    static void saveFlags(Assembler code) {
        code.move(R13, RAX);
        code.bytes(0x9f, 0x0f, 0x90, 0xc0); // lahf; seto al
        code.memory(0x66, false, false, 0x89, RAX, R14, NONE, 0, FLAGS);
        code.move(RAX, R13);
    }

    void restoreFlags() {
        hot.move(R13, RAX);
        hot.memory(0, false, false, 0x0fb7, RAX, R14, NONE, 0, FLAGS);
        hot.bytes(0x04, 0x7f, 0x9e); // add al, 7F; sahf
        hot.move(RAX, R13);
    }

    /** Charges for the block and leaves when the budget is used up. The flags must be dead or in the state. */
    void charge() {
        hot.immediate(SUBTRACT, true, R11, block.partEnd(0));
        leaveIfUsedUp();
    }

    /** The same at the entry, by an instruction that a jump can be written over: one of at least five bytes. */
    void chargeAtEntry() {
        hot.registers(0, true, false, 0x81, SUBTRACT, R11);
        hot.four(block.partEnd(0));
        leaveIfUsedUp();
    }

    private void leaveIfUsedUp() {
        charged = block.partEnd(0);
        inHost = false;
        ColdStub stub = stub(hot, Site.BUDGET);
        stub.jump = hot.jumpIf(SIGN);
        stub.resume = hot.position();
    }

    /** Charges at the end of a part without dead flags; {@code check} where it may be part of a loop. */
    void chargeBeforeJump(boolean check) {
        if (isCharged()) {
            return;
        }
        if (check || block.partEnd(0) < block.size()) {
            spillAlive(live());
            charge();
        } else {
            chargePart();
        }
    }

    /** Charges for the part from the last one charged on, leaving the flags alone. */
    void chargePart() {
        int end = block.partEnd(charged);
        hot.address(R11, R11, NONE, 0, charged - end);
        charged = end;
    }

    /** Whether the budget has been charged for the part that is written now. */
    boolean isCharged() {
        return charged > 0;
    }

    void spillAlive(int live) {
        if (live != 0 && !inState) {
            saveFlags(hot);
            inState = true;
        }
    }

    ColdStub stub(Assembler from, int kind) {
        ColdStub stub = new ColdStub(from, kind);
        stub.offset = block.offsets[index];
        stub.uncounted = index - charged;
        stub.flagsInHost = inHost;
        stubs.add(stub);
        return stub;
    }

    /** Leaves to have the current instruction interpreted if a condition holds. */
    void interpretIf(int condition, boolean last) {
        ColdStub stub = stub(hot, Site.INTERPRET);
        stub.jump = hot.jumpIf(condition);
        stub.next = last ? 0 : -1;
        stub.target = index;
    }

    void finishStubs() {
        for (ColdStub stub : stubs) {
            int at = cold.position();
            stub.from.patch(stub.jump, at - stub.jump - 4);
            switch (stub.kind) {
                case Site.MISSING -> {
                    stub.missing.emit(cold);
                    if (stub.probe != 0) {
                        accesses.probe(stub, trampolines.exitMissing);
                    } else {
                        cold.call(trampolines.exitMissing);
                    }
                }
                case Site.LOST -> cold.call(trampolines.exitMissing);
                case Site.CHAIN -> cold.call(stub.flagsInHost ? trampolines.exitWithFlags : trampolines.exit);
                default -> cold.call(trampolines.exit);
            }
            data(stub.kind, stub.resume, stub.next, stub.offset, stub.uncounted, stub.target);
        }
    }

    void data(int kind, int resume, int next, int offset, int uncounted, long target) {
        Site.write(cold, translation, kind, resume, next, offset, uncounted, target);
    }

    /**
     * Checks an access of the current instruction and says where it is. That is by r12, which must be left alone until then; r13
     * and the host's flags are lost.
     */
    Place access(Address address, int size, boolean write, Alignment alignment, int retry, boolean last) {
        return accesses.check(address, size, write, alignment, retry, last);
    }

    Address addressOf(Instruction in) {
        return Address.of(in, block.rip + block.offsets[index] + in.length, true);
    }

    Place operandToLoad(Instruction in, int size, boolean last) {
        spillFlags();
        return access(addressOf(in), size, false, Alignment.ANY, hot.position(), last);
    }

    /** Moves a host's register into a guest's: all of it, or its low two bytes. */
    void setRegister(int guest, int size, int from) {
        if (Registers.inMemory(guest)) {
            hot.memory(size == 2 ? 0x66 : 0, size != 2, false, 0x89, from, R14, NONE, 0, Trampolines.gpr(guest));
        } else {
            hot.registers(size == 2 ? 0x66 : 0, size != 2, false, 0x8b, Registers.host(guest), from);
        }
    }
}
