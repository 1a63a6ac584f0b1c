package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

/**
 * Routines that cold stubs call. When an access is not to the page of its slot they look into the soft TLB and take what is
 * there into the slot, whose offset from r14 is in r13. When the ordinary check finds nothing they look into the soft TLB's
 * second way. The linear address is in r12 and stays there. Flags are lost; CF is set if the access has to be looked
 * at elsewhere, because the page is not in the soft TLB, or what is slower was taken often. Otherwise r13 is what leads from
 * the linear address to the host's.
 */
final class TlbProbes {
    private static final int ADD = 0, AND = 4, SUBTRACT = 5, COMPARE = 7;
    private static final int LARGEST = 4;

    private final Assembler code;
    private final int[] ofSlots = new int[2 * (LARGEST + 1)];
    private final int[] ofSecondWay = new int[ofSlots.length];
    private final int[] ofSecondWayAligned = new int[ofSlots.length];

    TlbProbes(Assembler code) {
        this.code = code;
        for (int i = 0; i < ofSlots.length; i++) {
            int size = 1 << (i >> 1);
            int tag = (i & 1) != 0 ? SoftTlb.WRITE : SoftTlb.READ;
            ofSlots[i] = begin();
            takeIntoSlot(size, tag);
            ofSecondWay[i] = begin();
            lookIntoSecondWay(size, tag, false);
            ofSecondWayAligned[i] = begin();
            lookIntoSecondWay(size, tag, true);
        }
        code.align(16, 0);
    }

    private int begin() {
        code.align(16, 0);
        return code.position();
    }

    private static int number(int size, boolean write) {
        return 2 * Integer.numberOfTrailingZeros(size) + (write ? 1 : 0);
    }

    /** For accesses by a slot of so many bytes. */
    int ofSlot(int size, boolean write) {
        return ofSlots[number(size, write)];
    }

    /** For other accesses; {@code aligned} for those that must be, which otherwise have to be looked at elsewhere. */
    int ofSecondWay(int size, boolean write, boolean aligned) {
        return (aligned ? ofSecondWayAligned : ofSecondWay)[number(size, write)];
    }

    private void takeIntoSlot(int size, int tag) {
        code.one(0x50); // push rax
        code.store(R14, SCRATCH, R12);
        index(RAX);
        code.memory(0, true, false, 0x2b, R12, R14, RAX, 0, tag);
        code.immediate(COMPARE, true, R12, 4096 - size);
        int found = code.jumpIf(BELOW_EQUAL);
        code.load(R12, R14, SCRATCH);
        code.immediate(ADD, false, RAX, SECOND_WAY);
        code.memory(0, true, false, 0x2b, R12, R14, RAX, 0, tag);
        code.immediate(COMPARE, true, R12, 4096 - size);
        int miss = code.jumpIf(ABOVE);
        code.patch(found, code.position() - found - 4);
        code.memory(0, true, false, 0x8b, R12, R14, RAX, 0, tag);
        code.memory(0, true, false, 0x89, R12, R14, R13, 0, PageSlots.PAGE);
        code.memory(0, true, false, 0x8b, R12, R14, RAX, 0, SoftTlb.DISTANCE);
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

    private void lookIntoSecondWay(int size, int tag, boolean aligned) {
        code.store(R14, SCRATCH, R12);
        index(R13);
        code.memory(0, true, false, 0x2b, R12, R14, R13, 0, SECOND_WAY + tag);
        int miss;
        if (aligned) {
            code.test(R12, ~(0xfff & -size));
            miss = code.jumpIf(NOT_EQUAL);
        } else {
            code.immediate(COMPARE, true, R12, 4096 - size);
            miss = code.jumpIf(ABOVE);
        }
        code.load(R12, R14, SCRATCH);
        code.memory(0, true, false, 0x8b, R13, R14, R13, 0, SECOND_WAY + SoftTlb.DISTANCE);
        code.memory(0, false, false, 0x83, SUBTRACT, R14, NONE, 0, FINDS_LEFT); // borrows when none is left
        code.bytes(1, 0xc3);
        code.patch(miss, code.position() - miss - 4);
        code.load(R12, R14, SCRATCH);
        code.bytes(0xf9, 0xc3); // stc; ret
    }

    /** The offset of the entry in its way for the address in r12. */
    private void index(int register) {
        code.move32(register, R12);
        code.shift(5, false, register, 12 - SoftTlb.SHIFT);
        code.registers(0, false, false, 0x81, AND, register);
        code.four(SoftTlb.INDEX);
    }
}
