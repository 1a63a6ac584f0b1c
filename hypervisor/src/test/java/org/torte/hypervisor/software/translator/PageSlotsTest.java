package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** The slots as code fills them, here by hand. */
class PageSlotsTest {
    private static final long LINEAR = 0x7fff_1234_5000L, HOST = 0x5555_0000L;

    private final MemorySegment memory =
            Arena.ofAuto().allocate((long) PageSlots.COUNT << PageSlots.SHIFT, 1 << PageSlots.SHIFT);
    private final MemorySegment used = Arena.ofAuto().allocate(PageSlots.CHUNKS, 8);
    private final PageSlots slots = new PageSlots(memory, used);

    private void fill(int slot, long host) {
        long at = (long) slot << PageSlots.SHIFT;
        memory.set(JAVA_LONG, at + PageSlots.PAGE, LINEAR);
        memory.set(JAVA_LONG, at + PageSlots.LIMIT, PageSlots.SMALL_LIMIT);
        memory.set(JAVA_LONG, at + PageSlots.DISTANCE, host - LINEAR);
        used.set(JAVA_BYTE, slot >> PageSlots.CHUNK_SHIFT, (byte) 1);
    }

    private boolean isFilled(int slot) {
        return memory.get(JAVA_LONG, ((long) slot << PageSlots.SHIFT) + PageSlots.LIMIT) != 0;
    }

    @Test
    void droppingEmptiesEverySlot() {
        int[] some = {0, 1, 63, 64, 1025, PageSlots.COUNT - 1};
        for (int round = 0; round < 2; round++) {
            for (int slot : some) {
                fill(slot, HOST);
            }
            slots.drop();
            for (int slot : some) {
                assertThat(isFilled(slot)).as("slot " + slot).isFalse();
            }
        }
    }

    @Test
    void whoWithdrawsWritesFindsTheSlotsForWritesToThatPage() {
        fill(100, HOST);
        fill(101, HOST);
        fill(PageSlots.COUNT - 1, HOST);
        fill(103, HOST + 0x1000);
        assertThat(slots.revokeWrite(HOST)).isTrue();
        assertThat(isFilled(101)).isFalse();
        assertThat(isFilled(PageSlots.COUNT - 1)).isFalse();
        assertThat(isFilled(100)).as("a slot for reads").isTrue();
        assertThat(isFilled(103)).as("another page").isTrue();
        assertThat(slots.revokeWrite(HOST)).isFalse();
    }

    @Test
    void aSlotIsRestlessWhenItMissesOftenWithinFewInstructions() {
        int slot = 7;
        int site = StateArea.SLOTS + (slot << PageSlots.SHIFT);
        assertThat(slots.isRestless(site, 0)).as("before it is worn out").isFalse();
        assertThat(wearOut(slot, site, 1_000_000)).as("for the first time").isFalse();
        assertThat(wearOut(slot, site, 100_000_000))
                .as("after many instructions")
                .isFalse();
        assertThat(wearOut(slot, site, 100_001_000)).as("after few").isTrue();
    }

    private boolean wearOut(int slot, int site, long executed) {
        memory.set(JAVA_INT, ((long) slot << PageSlots.SHIFT) + PageSlots.MISSES, -1);
        return slots.isRestless(site, executed);
    }
}
