package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Instructions that change the privilege of execution or of accesses, and the bases that go with it, and those
 * whose use may be a privilege. Each looks for what it
 * does not expect, a fault above all, and has itself interpreted then, before it has changed anything.
 */
final class PrivilegeInstructions {
    private static final int OR = 1, AND = 4, COMPARE = 7;
    private static final int AC = 0x4_0000, RF = 0x1_0000, VM = 0x2_0000, VIF = 0x8_0000, VIP = 0x10_0000;

    private final BlockCode code;
    private final Assembler hot;
    private final Crossings crossings;
    private final TimeRoutine time;

    PrivilegeInstructions(BlockCode code, Crossings crossings, TimeRoutine time) {
        this.code = code;
        hot = code.hot;
        this.crossings = crossings;
        this.time = time;
    }

    /** SYSCALL from user mode. */
    void systemCall(long next) {
        code.chargeBeforeJump(true);
        code.spillAlive(Flags.ALL);
        code.inHost = false;
        requireArea(SYSCALL_TO, true);
        requireClear(AC | RF | VM | VIF | VIP, true);
        hot.constant(RCX, next);
        hot.jump(crossings.systemCall);
    }

    /** SYSRET to 64-bit code, unless it brings flags that need a closer look, or something waits for it. */
    void systemReturn() {
        code.chargeBeforeJump(true);
        code.spillFlags();
        requireNoEvent(true);
        requireClear(UNPRIVILEGED | AC | VM | VIF | VIP, true);
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, Trampolines.gpr(R11));
        hot.four(~Crossings.LOADABLE);
        code.interpretIf(NOT_EQUAL, true);
        requireArea(SYSRET_TO, true);
        hot.jump(crossings.systemReturn);
    }

    /** STAC and CLAC; kernels begin with CLAC each time they are entered, most of the time to no effect. */
    void userAccess(Instruction in, boolean last) {
        boolean open = in.form.operation() == Operation.STAC;
        code.spillFlags();
        requireArea(open ? STAC_TO : CLAC_TO, last);
        requireClear(UNPRIVILEGED, last);
        hot.call(crossings.copy);
        hot.immediateMemory32(open ? OR : AND, R14, SYSTEM, open ? AC : ~AC);
    }

    /** STI while no event waits for it. */
    void setInterrupts(long next, boolean last) {
        code.spillFlags();
        hot.immediateMemory32(COMPARE, R14, SYSTEM, 0);
        code.interpretIf(LESS, last);
        requireNoEvent(last);
        hot.immediateMemory32(OR, R14, SYSTEM, SystemState.IF);
        hot.constant(R12, next);
        hot.store(R14, SHADOW, R12);
    }

    void swapBases(boolean last) {
        code.spillFlags();
        requireClear(UNPRIVILEGED, last);
        hot.load(R12, R14, GS_BASE);
        hot.load(R13, R14, KERNEL_GS);
        hot.store(R14, GS_BASE, R13);
        hot.store(R14, KERNEL_GS, R12);
        hot.immediateMemory32(OR, R14, SYSTEM, BASES_CHANGED);
    }

    /** RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE. */
    void base(Instruction in, boolean last) {
        Operation operation = in.form.operation();
        int word = operation == Operation.RDFSBASE || operation == Operation.WRFSBASE ? FS_BASE : GS_BASE;
        boolean wide = in.operandSize == 8;
        code.spillFlags();
        requireClear(NO_BASES, last);
        if (operation == Operation.RDFSBASE || operation == Operation.RDGSBASE) {
            hot.memory(0, wide, false, 0x8b, R12, R14, NONE, 0, word);
            code.setRegister(in.rm, 8, R12);
            return;
        }
        if (Registers.inMemory(in.rm)) {
            hot.memory(0, wide, false, 0x8b, R12, R14, NONE, 0, Trampolines.gpr(in.rm));
        } else {
            hot.registers(0, wide, false, 0x8b, R12, Registers.host(in.rm));
        }
        hot.move(R13, R12);
        hot.shift(4, true, R13, 16);
        hot.shift(7, true, R13, 16);
        hot.registers(0, true, false, 0x3b, R13, R12);
        code.interpretIf(NOT_EQUAL, last);
        hot.store(R14, word, R12);
        hot.immediateMemory32(OR, R14, SYSTEM, BASES_CHANGED);
    }

    /** RDTSC and RDTSCP, which may be forbidden below level 0. */
    void readTime(Instruction in, boolean last) {
        code.spillFlags();
        hot.call(time.entry);
        code.interpretIf(BELOW, last);
        if (in.form.operation() == Operation.RDTSCP) {
            hot.memory(0, false, false, 0x8b, RCX, R14, NONE, 0, PROCESSOR);
        }
    }

    /** The area in a word of the state, in r12; where there is none the instruction is interpreted. */
    private void requireArea(int word, boolean last) {
        hot.load(R12, R14, word);
        hot.registers(0, true, false, 0x85, R12, R12);
        code.interpretIf(EQUAL, last);
    }

    /** Has the instruction interpreted if one of these bits is set among the system flags and beside them. */
    private void requireClear(int bits, boolean last) {
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, SYSTEM);
        hot.four(bits);
        code.interpretIf(NOT_EQUAL, last);
    }

    /** Has it interpreted if an event is pending, be it masked or not. */
    private void requireNoEvent(boolean last) {
        hot.load(R12, R14, EVENTS);
        hot.immediateMemory32(COMPARE, R12, 0, 0);
        code.interpretIf(NOT_EQUAL, last);
    }
}
