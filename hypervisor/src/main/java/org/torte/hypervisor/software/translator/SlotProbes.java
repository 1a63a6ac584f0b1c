package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * Routines that cold stubs call when an access is not to the page of its slot: they look into the soft TLB and take
 * what is there into the slot. The linear address is in r12 and stays there, the slot's offset from r14 is in r13. Flags are
 * lost; CF is set if the access has to be looked at elsewhere, because the page is not in the soft TLB, or the
 * slot has missed often. Otherwise r13 is what leads from the linear address to the host's.
 */
final class SlotProbes {
    private static final int SUBTRACT = 5, COMPARE = 7;
    private static final int LARGEST = 4;

    private final Assembler code;
    private final int[] routines = new int[2 * (LARGEST + 1)];

    SlotProbes(Assembler code) {
        this.code = code;
        for (int i = 0; i < routines.length; i++) {
            routines[i] = code.position();
            probe(1 << (i >> 1), (i & 1) != 0 ? WRITE : READ);
            code.align(16, 0);
        }
    }

    /** Where the one for accesses of so many bytes is. */
    int routine(int size, boolean write) {
        return routines[2 * Integer.numberOfTrailingZeros(size) + (write ? 1 : 0)];
    }

    private void probe(int size, int tag) {
        code.one(0x50); // push rax
        code.store(R14, SCRATCH, R12);
        code.move32(RAX, R12);
        code.shift(5, false, RAX, 7);
        code.registers(0, false, false, 0x81, 4, RAX);
        code.four(TLB_INDEX);
        code.memory(0, true, false, 0x2b, R12, R14, RAX, 0, tag);
        code.immediate(COMPARE, true, R12, 4096 - size);
        int miss = code.jumpIf(ABOVE);
        code.memory(0, true, false, 0x8b, R12, R14, RAX, 0, tag);
        code.memory(0, true, false, 0x89, R12, R14, R13, 0, PageSlots.PAGE);
        code.memory(0, true, false, 0x8b, R12, R14, RAX, 0, DISTANCE);
        code.memory(0, true, false, 0x89, R12, R14, R13, 0, PageSlots.DISTANCE);
        code.memory(0, true, false, 0xc7, 0, R14, R13, 0, PageSlots.LIMIT);
        code.four(size > 8 ? PageSlots.LARGE_LIMIT : PageSlots.SMALL_LIMIT);
        code.memory(0, false, false, 0x8d, RAX, R13, NONE, 0, -SLOTS);
        code.shift(5, false, RAX, PageSlots.SHIFT + PageSlots.CHUNK_SHIFT);
        code.memory(0, false, false, 0xc6, 0, R14, RAX, 0, USED_SLOTS);
        code.one(1);
        code.memory(0, false, false, 0x83, SUBTRACT, R14, R13, 0, PageSlots.MISSES);
        code.one(1);
        code.move(R13, R12);
        code.load(R12, R14, SCRATCH);
        code.bytes(0x58, 0xc3); // pop rax; ret
        code.patch(miss, code.position() - miss - 4);
        code.load(R12, R14, SCRATCH);
        code.bytes(0x58, 0xf9, 0xc3); // pop rax; stc; ret
    }
}
