package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * What SYSCALL, SYSRET, IRET, STAC and CLAC have in common wherever they stand: code goes on with the {@link StateArea} of another
 * privilege, which is in r12, and all that is the same there is copied. Whoever comes here has made sure that the instruction
 * does nothing out of the ordinary; flags are in the state.
 */
final class Crossings {
    private static final int OR = 1, AND = 4;
    private static final int IF = 0x200, DF = 0x400, NT = 0x4000, RF = 0x1_0000, VM = 0x2_0000, ID = 0x20_0000;
    private static final int AC = 0x4_0000;
    private static final int ARITHMETIC = 0x8d5;

    /** Flags that a SYSRET may load which is not interpreted; bit 1 is always set. */
    static final int LOADABLE = ARITHMETIC | 2 | IF | DF | NT | ID;

    private static final int[] KEPT = {
        Trampolines.gpr(R11),
        Trampolines.gpr(R12),
        Trampolines.gpr(R13),
        Trampolines.gpr(R14),
        Trampolines.gpr(R15),
        FS_BASE,
        GS_BASE,
        KERNEL_GS,
        VECTORS,
        SELECTORS,
        SELECTORS + 8
    };

    private final Assembler code;
    private final int exitMissing;

    /** A routine: goes over to the area in r12, unless it is this one, with everything as it is. */
    final int copy;

    /** SYSCALL with RCX in place, to where it leads. */
    final int systemCall;

    /** SYSRET, to where it leads. */
    final int systemReturn;

    /** IRET with what it pops in the state, to where it leads, with the area in r12. */
    final int interruptReturn;

    /** The same with this area. */
    final int interruptReturnHere;

    Crossings(Assembler code, int exitMissing) {
        this.code = code;
        this.exitMissing = exitMissing;
        copy = code.position();
        copy();
        code.align(16, 0);
        systemCall = code.position();
        systemCall();
        code.align(16, 0);
        systemReturn = code.position();
        systemReturn();
        code.align(16, 0);
        interruptReturnHere = code.position();
        code.move(R12, R14);
        interruptReturn = code.position();
        interruptReturn();
        code.align(16, 0);
    }

    private void copy() {
        code.registers(0, true, false, 0x3b, R12, R14);
        int same = code.jumpIf(EQUAL);
        copyKept();
        copy(FLAGS);
        copy(SYSTEM);
        code.move(R14, R12);
        code.patch(same, code.position() - same - 4);
        code.one(0xc3);
    }

    private void copyKept() {
        for (int word : KEPT) {
            copy(word);
        }
    }

    private void copy(int word) {
        code.load(R13, R14, word);
        code.store(R12, word, R13);
    }

    private void systemCall() {
        flagsOfState(code);
        code.store(R14, Trampolines.gpr(R11), R13);
        load32(R13, SYSTEM);
        code.memory(0, false, false, 0x23, R13, R14, NONE, 0, KEPT_SYSTEM);
        code.immediate(OR, false, R13, CROSSED);
        store32(SYSTEM);
        code.memory(0, false, false, 0x0fb7, R13, R14, NONE, 0, FLAGS);
        code.memory(0, false, false, 0x23, R13, R14, NONE, 0, KEPT_FLAGS);
        store32(FLAGS);
        copyKept();
        load32(R13, NEW_SELECTORS);
        store32(SELECTORS + 2);
        code.load(R13, R14, SYSCALL_TARGET);
        code.move(R14, R12);
        code.move(R12, R13);
        go();
    }

    /**
     * Leaves RFLAGS in r13: the arithmetic flags as {@link BlockCode#saveFlags} saved them, put back to their places, and the
     * system flags.
     */
    static void flagsOfState(Assembler to) {
        to.memory(0, false, false, 0x8b, R13, R14, NONE, 0, SYSTEM);
        to.immediate(AND, false, R13, ~(BESIDE | RF | VM));
        to.immediate(OR, false, R13, 2);
        to.store(R14, SCRATCH2, R13);
        to.memory(0, false, false, 0x0fb6, R13, R14, NONE, 0, FLAGS);
        to.immediate(AND, false, R13, 1);
        to.shift(4, false, R13, 11);
        to.memory(0, true, false, 0x09, R13, R14, NONE, 0, SCRATCH2);
        to.memory(0, false, false, 0x0fb6, R13, R14, NONE, 0, FLAGS + 1);
        to.immediate(AND, false, R13, 0xd5);
        to.memory(0, true, false, 0x0b, R13, R14, NONE, 0, SCRATCH2);
    }

    private void systemReturn() {
        arithmeticFlags(Trampolines.gpr(R11));
        load32(R13, SYSTEM);
        code.immediate(AND, false, R13, BESIDE & ~NULL_STACK);
        code.immediate(OR, false, R13, CROSSED | UNPRIVILEGED | RESTRICTED);
        store32(SYSTEM);
        load32(R13, Trampolines.gpr(R11));
        code.immediate(AND, false, R13, LOADABLE & ~(ARITHMETIC | 2));
        code.memory(0, false, false, 0x09, R13, R12, NONE, 0, SYSTEM);
        copyKept();
        load32(R13, NEW_SELECTORS);
        store32(SELECTORS + 2);
        code.move(R14, R12);
        code.move(R12, RCX);
        go();
    }

    private void interruptReturn() {
        arithmeticFlags(RETURN_FLAGS);
        load32(R13, SYSTEM);
        code.immediate(AND, false, R13, BESIDE & ~(RESTRICTED | UNPRIVILEGED | NULL_STACK));
        code.immediate(OR, false, R13, CROSSED);
        store32(SYSTEM);
        load32(R13, RETURN_FLAGS);
        code.immediate(AND, false, R13, IF | DF | NT | AC | ID);
        code.memory(0, false, false, 0x09, R13, R12, NONE, 0, SYSTEM);
        orSystemIf(NOT_EQUAL, 3, RESTRICTED | UNPRIVILEGED);
        orSystemIf(EQUAL, 0xffff_0000, NULL_STACK);
        code.registers(0, true, false, 0x3b, R12, R14);
        int same = code.jumpIf(EQUAL);
        copyKept();
        code.patch(same, code.position() - same - 4);
        load32(R13, RETURN_CODE);
        store32(SELECTORS + 2);
        code.load(R15, R14, RETURN_STACK);
        code.load(R13, R14, RETURN_TO);
        code.bytes(0x0f, 0xae, 0xf0); // mfence: IRET serialises
        code.move(R14, R12);
        code.move(R12, R13);
        go();
    }

    /** Sets bits beside the system flags of the other area depending on bits of the new selectors. */
    private void orSystemIf(int condition, int selectors, int bits) {
        code.memory(0, false, false, 0xf7, 0, R14, NONE, 0, RETURN_CODE);
        code.four(selectors);
        int not = code.jumpIf(condition ^ 1);
        code.immediateMemory32(OR, R12, SYSTEM, bits);
        code.patch(not, code.position() - not - 4);
    }

    /** The arithmetic flags of a word of this area into the other one. */
    private void arithmeticFlags(int from) {
        load32(R13, from);
        code.shift(5, false, R13, 11);
        code.immediate(AND, false, R13, 1);
        code.memory(0, false, true, 0x88, R13, R12, NONE, 0, FLAGS);
        load32(R13, from);
        code.immediate(AND, false, R13, 0xd5);
        code.immediate(OR, false, R13, 2);
        code.memory(0, false, true, 0x88, R13, R12, NONE, 0, FLAGS + 1);
    }

    private void load32(int to, int word) {
        code.memory(0, false, false, 0x8b, to, R14, NONE, 0, word);
    }

    /** Into the other area, from r13. */
    private void store32(int word) {
        code.memory(0, false, false, 0x89, R13, R12, NONE, 0, word);
    }

    /** Goes on at the instruction pointer in r12. */
    private void go() {
        Branches.compareJump(code);
        int known = code.jumpIf(EQUAL);
        code.call(exitMissing);
        // No translation's: whoever reads it must not look for one.
        Site.write(code, 0, Site.CROSSED, 0, 0, 0, 0, 0);
        code.patch(known, code.position() - known - 4);
        code.jumpMemory(R14, R13, JUMP_CODE);
    }
}
