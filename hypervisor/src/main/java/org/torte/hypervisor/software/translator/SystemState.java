package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** Instructions that look at system flags and selectors, or change such flags. */
final class SystemState {
    static final int IF = 0x200;
    private static final int AND = 4, COMPARE = 7, DF = 0x400;

    private final BlockCode code;
    private final Assembler hot;

    SystemState(BlockCode code) {
        this.code = code;
        hot = code.hot;
    }

    /** PUSHF. */
    void pushFlags(boolean last) {
        code.spillAlive(Flags.ALL);
        code.inHost = false;
        Place place = code.access(Address.stack(-8), 8, true, BlockCode.Alignment.ANY, hot.position(), last);
        Crossings.flagsOfState(hot);
        place.store(hot, R13);
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
