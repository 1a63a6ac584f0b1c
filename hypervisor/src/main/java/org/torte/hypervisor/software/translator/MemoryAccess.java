package org.torte.hypervisor.software.translator;

import static org.torte.hypervisor.software.translator.Assembler.*;
import static org.torte.hypervisor.software.translator.StateArea.*;

import java.util.ArrayList;
import java.util.List;

/**
 * Checks accesses to memory and finds where they go. The ordinary check looks into the soft TLB; the one by a slot compares
 * with one page whose tag is at a known place ({@link PageSlots}), so that an access waits for its address alone. What is on
 * the stack shares its slots in all of the code; other operands have theirs in hot blocks only, those by the same registers
 * one together.
 */
final class MemoryAccess {
    /**
     * Groups of slots, one for reads and one for writes. Those of operands up to eight bytes come first, because the limits
     * of the others differ; the first of either is the stack's, which blocks do not get.
     */
    static final int GROUPS = PageSlots.COUNT / 2, SMALL_GROUPS = GROUPS / 8 * 7, LARGE_GROUPS = GROUPS - SMALL_GROUPS;

    private static final int COMPARE = 7;

    /** What one group of slots is for. */
    private record Pages(int segment, int base, int index, int scale, long page, boolean large) {}

    private final BlockCode code;
    private final Assembler hot;
    private final TlbProbes probes;
    private final Profile profile;
    private final int firstGroup;
    private final List<Pages> groups = new ArrayList<>();

    MemoryAccess(BlockCode code, TlbProbes probes, Profile profile, int firstGroup) {
        this.code = code;
        hot = code.hot;
        this.probes = probes;
        this.profile = profile;
        this.firstGroup = firstGroup;
    }

    /** How many groups the block uses. */
    int groups() {
        return groups.size();
    }

    /** As {@link BlockCode#access}. */
    Place check(Address address, int size, boolean write, BlockCode.Alignment alignment, int retry, boolean last) {
        int room = size == 10 ? 16 : size; // the x87's, which is seldom at the end of a page
        int slot = alignment == BlockCode.Alignment.NATURAL || room > 16 ? 0 : slot(address, room > 8, write);
        BlockCode.ColdStub stub = code.stub(hot, Site.MISSING);
        stub.missing = address;
        stub.resume = retry;
        stub.next = last ? 0 : -1;
        stub.target = size
                | (write ? Site.STORE : 0)
                | (alignment == BlockCode.Alignment.NATURAL ? Site.WHOLE : 0)
                | code.index << Site.INDEX_SHIFT
                | (long) slot << Site.SLOT_SHIFT;
        boolean simple = address.isPlain();
        address.emit(hot);
        stub.simple = simple;
        if (slot != 0) {
            stub.probe = probes.ofSlot(room, write);
            bySlot(slot, simple, stub);
        } else {
            if (room <= 16) {
                stub.probe = probes.ofSecondWay(room, write, alignment == BlockCode.Alignment.NATURAL);
            }
            bySoftTlb(size, write, alignment, simple, stub);
        }
        stub.found = hot.position();
        return simple ? new Place(Registers.host(address.base()), R12, (int) address.displacement()) : Place.R12_ITSELF;
    }

    private void bySlot(int slot, boolean simple, BlockCode.ColdStub stub) {
        int offset = R12;
        if (!simple) {
            hot.move(R13, R12);
            offset = R13;
        }
        hot.memory(0, true, false, 0x2b, offset, R14, NONE, 0, slot + PageSlots.PAGE);
        hot.memory(0, true, false, 0x3b, offset, R14, NONE, 0, slot + PageSlots.LIMIT);
        stub.jump = hot.jumpIf(ABOVE_EQUAL);
        hot.memory(0, true, false, simple ? 0x8b : 0x03, R12, R14, NONE, 0, slot + PageSlots.DISTANCE);
    }

    private void bySoftTlb(
            int size, boolean write, BlockCode.Alignment alignment, boolean simple, BlockCode.ColdStub stub) {
        hot.move32(R13, R12);
        hot.shift(5, false, R13, 12 - SoftTlb.SHIFT);
        hot.registers(0, false, false, 0x81, 4, R13);
        hot.four(SoftTlb.INDEX);
        hot.memory(0, true, false, 0x2b, R12, R14, R13, 0, write ? SoftTlb.WRITE : SoftTlb.READ);
        if (alignment == BlockCode.Alignment.NATURAL) {
            hot.test(R12, ~(0xfff & -size));
            stub.jump = hot.jumpIf(NOT_EQUAL);
        } else {
            hot.registers(0, true, false, 0x81, COMPARE, R12);
            hot.four(4096 - size);
            stub.jump = hot.jumpIf(ABOVE);
        }
        if (simple) {
            hot.memory(0, true, false, 0x8b, R12, R14, R13, 0, SoftTlb.DISTANCE);
        } else {
            hot.memory(0, true, false, 0x03, R12, R14, R13, 0, SoftTlb.HOST);
        }
    }

    /** The slot for an access as an offset from the start of the state, or 0 for the ordinary check. */
    private int slot(Address address, boolean large, boolean write) {
        if (profile.isRestless(code.index) || address.bits() != NONE) {
            return 0;
        }
        int group;
        if (address.base() == RSP && address.isPlain()) {
            group = 0;
        } else if (profile.hot()) {
            Pages pages = new Pages(
                    address.segment(),
                    address.base(),
                    address.index(),
                    address.scale(),
                    address.base() == NONE ? address.displacement() >> 12 : 0,
                    large);
            int known = groups.indexOf(pages);
            if (known < 0) {
                known = groups.size();
                groups.add(pages);
            }
            group = 1 + (firstGroup + known) % ((large ? LARGE_GROUPS : SMALL_GROUPS) - 1);
        } else {
            return 0;
        }
        int number = large ? SMALL_GROUPS + group : group;
        return SLOTS + (2 * number + (write ? 1 : 0) << PageSlots.SHIFT);
    }

    /** What follows when the check has found nothing; the address is in r12. */
    void probe(BlockCode.ColdStub stub, int exitMissing) {
        Assembler cold = code.cold;
        if (stub.target >>> Site.SLOT_SHIFT != 0) {
            cold.constant(R13, stub.target >>> Site.SLOT_SHIFT);
        }
        cold.call(stub.probe);
        int missing = cold.jumpIf(BELOW);
        if (stub.simple) {
            cold.move(R12, R13);
        } else {
            cold.address(R12, R12, R13, 0, 0);
        }
        cold.jump(stub.found);
        cold.patch(missing, cold.position() - missing - 4);
        cold.call(exitMissing);
    }
}
