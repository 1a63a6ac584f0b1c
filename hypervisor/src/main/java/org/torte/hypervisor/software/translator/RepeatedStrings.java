package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/** REP STOS and REP MOVS, as one instruction of the host where they stay within a page on each side. */
final class RepeatedStrings {
    private static final int AND = 4, COMPARE = 7, DF = 0x400;

    private final BlockCode code;
    private final Assembler hot;

    RepeatedStrings(BlockCode code) {
        this.code = code;
        hot = code.hot;
    }

    /** REP STOS and REP MOVS upwards within one page on each side. */
    void repeatedString(Instruction in, boolean last) {
        int size = Selection.elementSize(in);
        int scale = Integer.numberOfTrailingZeros(size);
        boolean moves = in.form.operation() == Operation.MOVS;
        code.spillFlags();
        int retry = hot.position();
        hot.memory(0, false, false, 0xf7, 0, R14, NONE, 0, SYSTEM);
        hot.four(DF);
        code.interpretIf(NOT_EQUAL, last);
        hot.immediate(COMPARE, true, RCX, 4096 / size);
        code.interpretIf(ABOVE, last);
        hot.registers(0, true, false, 0x85, RCX, RCX);
        int none = hot.jumpIf(EQUAL);
        if (moves) {
            pagePart(RSI, scale, false, retry, last);
            hot.store(R14, SCRATCH2, R12);
        }
        pagePart(RDI, scale, true, retry, last);
        if (moves) {
            hot.address(R13, RSI, RCX, scale, 0);
            hot.store(R14, SCRATCH, R13);
            hot.load(RSI, R14, SCRATCH2);
        }
        hot.address(R13, RDI, RCX, scale, 0);
        hot.move(RDI, R12);
        hot.one(0xf3);
        if (size == 2) {
            hot.one(0x66);
        } else if (size == 8) {
            hot.one(0x48);
        }
        hot.one((moves ? 0xa4 : 0xaa) | (size == 1 ? 0 : 1));
        hot.move(RDI, R13);
        if (moves) {
            hot.load(RSI, R14, SCRATCH);
        }
        hot.patch(none, hot.position() - none - 4);
    }

    /** Leaves in r12 the host's address behind a pointer, having checked that RCX elements lie in one page there. */
    private void pagePart(int pointer, int scale, boolean write, int retry, boolean last) {
        code.access(new Address(-1, pointer, NONE, 0, 0, false), 1, write, BlockCode.Alignment.ANY, retry, last)
                .toR12(hot);
        hot.move(R13, pointer);
        hot.immediate(AND, false, R13, 4095);
        hot.address(R13, R13, RCX, scale, 0);
        hot.immediate(COMPARE, true, R13, 4096);
        code.interpretIf(ABOVE, last);
    }
}
