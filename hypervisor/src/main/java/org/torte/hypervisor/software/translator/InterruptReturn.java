package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * IRET to 64-bit code, from level 0 to level 0 or 3: what ends interrupts, and what kernels serialise themselves with. The
 * frame and the descriptors of both segments are read as the processor does it. Whatever is not as in every 64-bit system, and
 * flags that need a closer look, have it interpreted before anything has changed.
 */
final class InterruptReturn {
    private static final int AND = 4, COMPARE = 7;
    private static final int ODD_PARITY = 11, GREATER = 15;
    private static final int TF = 0x100, IOPL = 0x3000, NT = 0x4000, AC = 0x4_0000;
    private static final int VM = 0x2_0000, VIF = 0x8_0000, VIP = 0x10_0000;

    /** Bytes of what is popped: RIP, CS, RFLAGS, RSP, SS. */
    private static final int FRAME = 40;

    /** Descriptors of flat segments at level 0, and where they have the level. */
    private static final long FLAT_CODE = 0x00af_9b00_0000_ffffL, FLAT_STACK = 0x00cf_9300_0000_ffffL;

    private static final int LEVEL_SHIFT = 45;

    private final BlockCode code;
    private final Assembler hot;
    private final Crossings crossings;

    InterruptReturn(BlockCode code, Crossings crossings) {
        this.code = code;
        hot = code.hot;
        this.crossings = crossings;
    }

    void emit() {
        code.chargeBeforeJump(true);
        code.spillFlags();
        int retry = hot.position();
        requireClear(UNPRIVILEGED | NMI_BLOCKED | NT | VM | AC);
        hot.load(R12, R14, EVENTS);
        hot.immediateMemory32(COMPARE, R12, 0, 0);
        code.interpretIf(NOT_EQUAL, true);
        takeFrame(code.access(Address.stack(0), FRAME, false, BlockCode.Alignment.ANY, retry, true));
        requireCanonical();
        loadSelector(RETURN_CODE);
        requireDescriptor(FLAT_CODE, retry);
        int noStack = findStack();
        requireDescriptor(FLAT_STACK, retry);
        hot.patch(noStack, hot.position() - noStack - 4);
        goOn();
    }

    private void requireClear(int bits) {
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, SYSTEM);
        hot.four(bits);
        code.interpretIf(NOT_EQUAL, true);
    }

    private void loadSelector(int word) {
        hot.memory(0, false, false, 0x0fb7, R13, R14, NONE, 0, word);
    }

    /** Sets the host's flags by bits of the selector in r13. */
    private void testSelector(int register, int bits) {
        hot.registers(0, false, false, 0xf7, 0, register);
        hot.four(bits);
    }

    /** Copies the frame, so that it is read once. */
    private void takeFrame(Place frame) {
        load(frame, 16);
        testSelector(R13, TF | IOPL | VM | VIF | VIP);
        code.interpretIf(NOT_EQUAL, true);
        hot.store(R14, RETURN_FLAGS, R13);
        load(frame, 24);
        hot.store(R14, RETURN_STACK, R13);
        load(frame, 8);
        hot.memory(0x66, false, false, 0x89, R13, R14, NONE, 0, RETURN_CODE);
        load(frame, 32);
        hot.memory(0x66, false, false, 0x89, R13, R14, NONE, 0, RETURN_CODE + 2);
        load(frame, 0);
        hot.store(R14, RETURN_TO, R13);
    }

    private void load(Place frame, int offset) {
        new Place(frame.base(), frame.index(), frame.displacement() + offset).load(hot, R13);
    }

    /** The instruction pointer is in r13. */
    private void requireCanonical() {
        hot.move(R12, R13);
        hot.shift(4, true, R12, 16);
        hot.shift(7, true, R12, 16);
        hot.registers(0, true, false, 0x3b, R12, R13);
        code.interpretIf(NOT_EQUAL, true);
    }

    /** Looks into the global table for the selector in r13, of level 0 or 3, whose descriptor must be a flat segment's. */
    private void requireDescriptor(long flat, int retry) {
        testSelector(R13, 4);
        code.interpretIf(NOT_EQUAL, true);
        testSelector(R13, 3);
        code.interpretIf(ODD_PARITY, true);
        hot.move32(R12, R13);
        hot.immediate(AND, false, R12, 3);
        hot.shift(4, true, R12, LEVEL_SHIFT);
        hot.store(R14, SCRATCH2, R12);
        hot.immediate(AND, false, R13, ~7);
        code.interpretIf(EQUAL, true);
        hot.memory(0, true, false, 0x3b, R13, R14, NONE, 0, DESCRIPTORS_END);
        code.interpretIf(GREATER, true);
        hot.memory(0, true, false, 0x03, R13, R14, NONE, 0, DESCRIPTORS);
        hot.store(R14, DESCRIPTOR, R13);
        code.access(Address.inState(DESCRIPTOR), 8, false, BlockCode.Alignment.ANY, retry, true)
                .load(hot, R12);
        hot.memory(0, true, false, 0x33, R12, R14, NONE, 0, SCRATCH2);
        hot.constant(R13, flat);
        hot.registers(0, true, false, 0x3b, R12, R13);
        code.interpretIf(NOT_EQUAL, true);
    }

    /** The selector of the stack in r13, of the level of the code's; returns a jump for when it is null at level 0. */
    private int findStack() {
        loadSelector(RETURN_CODE);
        hot.move32(R12, R13);
        loadSelector(RETURN_CODE + 2);
        hot.registers(0, false, false, 0x33, R12, R13);
        testSelector(R12, 3);
        code.interpretIf(NOT_EQUAL, true);
        hot.registers(0, false, false, 0x85, R13, R13);
        return hot.jumpIf(EQUAL);
    }

    /** With the area of the new privilege. */
    private void goOn() {
        loadSelector(RETURN_CODE);
        testSelector(R13, 3);
        int inner = hot.jumpIf(EQUAL);
        requireClear(PRIVILEGED_DATA);
        testFlags(AC);
        code.interpretIf(NOT_EQUAL, true);
        hot.load(R12, R14, USER);
        int found = hot.jump();
        hot.patch(inner, hot.position() - inner - 4);
        testFlags(AC);
        int here = hot.jumpIf(EQUAL);
        hot.patch(here, crossings.interruptReturnHere - here - 4);
        hot.load(R12, R14, STAC_TO);
        hot.patch(found, hot.position() - found - 4);
        hot.jump(crossings.interruptReturn);
    }

    private void testFlags(int bits) {
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, RETURN_FLAGS);
        hot.four(bits);
    }
}
