package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * The routine by which code executes RDTSC: it asks the C library's clock_gettime for what {@link System#nanoTime} is, and makes
 * ticks of it by the arithmetic of the processor's counter, so that whoever reads the one and then the other sees time go on.
 * EDX:EAX is replaced and flags are lost; CF is set, and nothing else changed, when the instruction has to be interpreted.
 *
 * <p>The function is one of the System V ABI: it keeps RBX, RBP and r12 to r15. The others are put where they are put when code is
 * left, and so are XMM registers. The x87, whose registers may be the guest's, and MXCSR it has no use for.
 */
final class TimeRoutine {
    private static final int COMPARE = 7;
    private static final int MONOTONIC = 1, NANOS_PER_SECOND = 1_000_000_000;

    /** Of the sum of what a call has pushed and this it is a multiple of 16. */
    private static final int ROOM = 24;

    /** Registers of the guest that the function may change, without the result's. */
    private static final int[] CHANGED = {RCX, RSI, RDI, R8, R8 + 1, R8 + 2};

    private final Assembler code;

    /** Where it begins. */
    final int entry;

    /** What is behind it. */
    final int end;

    /** Calls the function at this address; 0 if there is none, and nothing is to be executed but what sets CF. */
    TimeRoutine(Assembler code, long function) {
        this.code = code;
        code.align(16, 0);
        entry = code.position();
        if (function != 0) {
            read(function);
        } else {
            code.bytes(0xf9, 0xc3); // stc; ret
        }
        end = code.position();
        code.align(16, 0);
    }

    private void read(long function) {
        // In a loop that waits for its time, what is wanted of the processor would have to wait for long.
        code.load(R12, R14, EVENTS);
        code.immediateMemory32(COMPARE, R12, 0, 0);
        int event = code.jumpIf(NOT_EQUAL);
        code.load(R12, R14, CLOCK);
        code.registers(0, true, false, 0x85, R12, R12);
        int none = code.jumpIf(EQUAL);
        code.load(R13, R12, 0);
        code.immediate(COMPARE, true, R13, 1);
        int notNow = code.jumpIf(OVERFLOW); // the least of all values
        code.store(R14, Trampolines.gpr(RAX), RAX);
        code.store(R14, Trampolines.gpr(RDX), RDX);
        call(function);
        code.registers(0, true, false, 0x03, RAX, R13);
        code.memory(0, true, false, 0x3b, R13, R12, NONE, 0, 0);
        int changed = code.jumpIf(NOT_EQUAL);
        code.memory(0, true, false, 0xf7, 5, R14, NONE, 0, TICKS); // imul: rdx:rax
        code.registers(0, true, false, 0x0fa4, RAX, RDX); // shld
        code.one(Long.SIZE - Translator.TICKS_SHIFT);
        code.memory(0, true, false, 0x03, RDX, R14, NONE, 0, TICKS_AHEAD);
        code.move32(RAX, RDX);
        code.shift(5, true, RDX, 32);
        code.bytes(0xf8, 0xc3); // clc; ret
        code.patch(changed, code.position() - changed - 4);
        code.load(RAX, R14, Trampolines.gpr(RAX));
        code.load(RDX, R14, Trampolines.gpr(RDX));
        for (int jump : new int[] {event, none, notNow}) {
            code.patch(jump, code.position() - jump - 4);
        }
        code.bytes(0xf9, 0xc3); // stc; ret
    }

    /** Leaves nanoseconds in rax; rdx is lost. */
    private void call(long function) {
        for (int register : CHANGED) {
            code.store(R14, Trampolines.gpr(register), register);
        }
        code.store(R14, BUDGET, R11);
        for (int i = 0; i < 16; i++) {
            code.memory(0, false, false, Trampolines.MOVUPS_STORE, i, R14, NONE, 0, XMM + 16 * i);
        }
        code.immediate(5, true, RSP, ROOM);
        code.constant(RDI, MONOTONIC);
        code.move(RSI, RSP);
        code.constant(RAX, function);
        code.bytes(0xff, 0xd0); // call rax
        code.memory(0, true, false, 0x69, RAX, RSP, NONE, 0, 0); // imul
        code.four(NANOS_PER_SECOND);
        code.memory(0, true, false, 0x03, RAX, RSP, NONE, 0, 8);
        code.immediate(0, true, RSP, ROOM);
        for (int i = 0; i < 16; i++) {
            code.memory(0, false, false, Trampolines.MOVUPS_LOAD, i, R14, NONE, 0, XMM + 16 * i);
        }
        for (int register : CHANGED) {
            code.load(register, R14, Trampolines.gpr(register));
        }
        code.load(R11, R14, BUDGET);
    }
}
