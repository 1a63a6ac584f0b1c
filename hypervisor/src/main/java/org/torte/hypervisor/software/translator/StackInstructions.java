package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operand;

/** PUSH, POP and LEAVE. */
final class StackInstructions {
    private final BlockCode code;
    private final Assembler hot;

    StackInstructions(BlockCode code) {
        this.code = code;
        hot = code.hot;
    }

    void push(Instruction in, boolean last) {
        Operand operand = in.form.operand(0);
        int retry = hot.position();
        code.spillFlags();
        if (in.memory) {
            code.access(code.addressOf(in), 8, false, BlockCode.Alignment.ANY, retry, last)
                    .load(hot, R12);
            hot.store(R14, SCRATCH2, R12);
        }
        Place place = code.access(Address.stack(-8), 8, true, BlockCode.Alignment.ANY, retry, last);
        if (operand.kind() == Operand.Kind.IMMEDIATE) {
            place.operand(hot, 0, true, false, 0xc7, 0);
            hot.four((int) in.immediate);
        } else if (in.memory) {
            hot.load(R13, R14, SCRATCH2);
            place.store(hot, R13);
        } else if (Registers.inMemory(in.rm)) {
            hot.load(R13, R14, Trampolines.gpr(in.rm));
            place.store(hot, R13);
        } else {
            place.store(hot, Registers.host(in.rm));
        }
        hot.address(R15, R15, NONE, 0, -8);
    }

    void pop(Instruction in, boolean last) {
        code.spillFlags();
        Place place = code.access(Address.stack(0), 8, false, BlockCode.Alignment.ANY, hot.position(), last);
        if (in.rm == RSP) {
            place.load(hot, R15);
            return;
        }
        int register = Registers.inMemory(in.rm) ? R13 : in.rm;
        place.load(hot, register);
        if (register == R13) {
            hot.store(R14, Trampolines.gpr(in.rm), R13);
        }
        hot.address(R15, R15, NONE, 0, 8);
    }

    void leave(boolean last) {
        code.spillFlags();
        Address frame = new Address(-1, RBP, NONE, 0, 0, false);
        Place place = code.access(frame, 8, false, BlockCode.Alignment.ANY, hot.position(), last);
        hot.address(R15, RBP, NONE, 0, 8);
        place.load(hot, RBP);
    }
}
