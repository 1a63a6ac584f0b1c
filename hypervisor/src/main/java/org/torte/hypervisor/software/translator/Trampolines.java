package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * The ways into translated code and out of it: what exchanges the host's registers for the guest's and back. The entry
 * is a function of the System V ABI with the address of the code and that of the {@link StateArea}, which returns the
 * address of that which code was left with; the exits are called by cold stubs, so that the return address says which one
 * it was, and return from that function.
 *
 * <p>On entry the flags are put both into the host's and, as they were, into the state. The host's MXCSR comes back on
 * every exit; DF is never set. The x87 registers are the guest's while {@link X87Image} says so, and initial otherwise.
 */
final class Trampolines {
    private static final int STMXCSR = 3, LDMXCSR = 2, FRSTOR = 4, FNSAVE = 6, COMPARE = 7;
    private static final int SAVED_MXCSR = 8;
    static final int MOVUPS_LOAD = 0x0f10, MOVUPS_STORE = 0x0f11;

    private final Assembler code;

    /** Enters code. */
    final int entry;

    /** Leaves; the flags are in the state, or dead. */
    final int exit;

    /** Leaves likewise, with the address of an access in r12. */
    final int exitMissing;

    /** Leaves with the flags in the host's. */
    final int exitWithFlags;

    /** What looks for an access that the check has not found. */
    final TlbProbes probes;

    /** Ways from one privilege to another. */
    final Crossings crossings;

    /** What reads the time-stamp counter. */
    final TimeRoutine time;

    /** Writes them; the assembler stands where they begin. {@code clock}: the address of clock_gettime, or 0. */
    Trampolines(Assembler code, boolean vex, long clock) {
        this.code = code;
        entry = code.position();
        enter(vex);
        code.align(16, 0);
        exitMissing = code.position();
        code.store(R14, SCRATCH, R12);
        exit = code.position();
        pop();
        code.store(R14, gpr(RAX), RAX);
        int common = code.position();
        leave();
        code.align(16, 0);
        exitWithFlags = code.position();
        pop();
        code.store(R14, gpr(RAX), RAX);
        saveFlagsFromRax();
        code.jump(common);
        probes = new TlbProbes(code);
        crossings = new Crossings(code, exitMissing);
        time = new TimeRoutine(code, clock);
    }

    /** Where the state has a general register. */
    static int gpr(int number) {
        return GPR + 8 * number;
    }

    private void pop() {
        code.memory(0, false, false, 0x8f, 0, R14, NONE, 0, SITE);
    }

    /** LAHF, SETO AL, MOV [flags], AX. */
    private void saveFlagsFromRax() {
        code.bytes(0x9f, 0x0f, 0x90, 0xc0);
        code.memory(0x66, false, false, 0x89, RAX, R14, NONE, 0, FLAGS);
    }

    private void enter(boolean vex) {
        code.bytes(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57); // push rbx, rbp, r12 to r15
        code.immediate(5, true, RSP, 24);
        code.move(R14, RSI);
        code.store(R14, ENTRY, RDI);
        code.memory(0, false, false, 0x0fae, STMXCSR, RSP, NONE, 0, SAVED_MXCSR);
        if (vex) {
            code.bytes(0xc5, 0xf8, 0x77); // vzeroupper
        }
        ifX87(FRSTOR);
        code.memory(0, false, false, 0x0fae, LDMXCSR, R14, NONE, 0, MXCSR);
        for (int i = 0; i < 16; i++) {
            code.memory(0, false, false, MOVUPS_LOAD, i, R14, NONE, 0, XMM + 16 * i);
        }
        code.memory(0, false, false, 0x0fb7, RAX, R14, NONE, 0, FLAGS);
        code.bytes(0x04, 0x7f, 0x9e); // add al, 7F: OF; sahf
        code.load(R11, R14, BUDGET);
        for (int i = 1; i < R11; i++) {
            code.load(i == RSP ? R15 : i, R14, gpr(i));
        }
        code.load(RAX, R14, gpr(RAX));
        code.jumpMemory(R14, NONE, ENTRY);
    }

    /** FRSTOR or FNSAVE (which leaves an initial state behind) while the guest's x87 registers are loaded. */
    private void ifX87(int instruction) {
        code.load(RAX, R14, X87_IMAGE);
        code.immediateMemory(COMPARE, RAX, X87Image.LOADED, 0);
        int not = code.jumpIf(EQUAL);
        code.memory(0, false, false, 0xdd, instruction, RAX, NONE, 0, X87Image.IMAGE);
        code.patch(not, code.position() - not - 4);
    }

    private void leave() {
        code.store(R14, BUDGET, R11);
        for (int i = 1; i < R11; i++) {
            code.store(R14, gpr(i), i == RSP ? R15 : i);
        }
        ifX87(FNSAVE);
        for (int i = 0; i < 16; i++) {
            code.memory(0, false, false, MOVUPS_STORE, i, R14, NONE, 0, XMM + 16 * i);
        }
        code.memory(0, false, false, 0x0fae, STMXCSR, R14, NONE, 0, MXCSR);
        code.memory(0, false, false, 0x0fae, LDMXCSR, RSP, NONE, 0, SAVED_MXCSR);
        code.immediate(0, true, RSP, 24);
        code.move(RAX, R14);
        code.bytes(0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
    }
}
