package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Instructions that look at system flags and selectors, or change such flags. */
final class SystemState {
    private static final int OR = 1, AND = 4, COMPARE = 7;
    private static final int IF = 0x200, DF = 0x400, RF = 0x1_0000, VM = 0x2_0000;

    private final BlockCode code;
    private final Assembler hot;

    SystemState(BlockCode code) {
        this.code = code;
        hot = code.hot;
    }

    /** PUSHF: what {@link BlockCode#saveFlags} saved, put back to its places, and the system flags. */
    void pushFlags(boolean last) {
        code.spillAlive(Flags.ALL);
        code.inHost = false;
        code.access(Address.stack(-8), 8, true, BlockCode.Alignment.ANY, hot.position(), last);
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
    void clearFlag(Instruction in, boolean last) {
        code.spillFlags();
        boolean interrupts = in.form.operation() == Operation.CLI;
        if (interrupts) {
            hot.immediateMemory32(COMPARE, R14, SYSTEM, 0);
            code.interpretIf(LESS, last);
        }
        hot.immediateMemory32(AND, R14, SYSTEM, ~(interrupts ? IF : DF));
    }

    /** MOV of a selector to a general register. */
    void moveSelector(Instruction in) {
        hot.memory(0, false, false, 0x0fb7, R12, R14, NONE, 0, SELECTORS + 2 * in.reg);
        code.setRegister(in.rm, in.operandSize == 2 ? 2 : 8, R12);
    }
}
