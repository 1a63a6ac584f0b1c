package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** The soft TLB as code sees it. */
class SoftTlbTest {
    private static final long SAME_SET = (long) SoftTlb.SETS << 12;
    private static final long A = 0xffff_8880_0000_3000L, B = A + SAME_SET, C = B + SAME_SET;
    private static final long HOST_A = 0x7000_0000L, HOST_B = 0x7000_1000L, HOST_C = 0x7000_2000L;

    private final MemorySegment first = Arena.ofAuto().allocate(SoftTlb.WAY, 4096);
    private final MemorySegment second = Arena.ofAuto().allocate(SoftTlb.WAY, 4096);
    private final MemorySegment left = Arena.ofAuto().allocate(4, 4);
    private final SoftTlb tlb = new SoftTlb(first, second, left);

    private static long look(MemorySegment way, long address, int tag) {
        long at = (address >>> 12 & SoftTlb.SETS - 1) << SoftTlb.SHIFT;
        return way.get(JAVA_LONG, at + tag) == address ? way.get(JAVA_LONG, at + SoftTlb.DISTANCE) + address : 0;
    }

    /** What ways give for reads and writes of a page: host's addresses, or 0. */
    private String find(long page) {
        return "%x %x, %x %x"
                .formatted(
                        look(first, page, SoftTlb.READ),
                        look(first, page, SoftTlb.WRITE),
                        look(second, page, SoftTlb.READ),
                        look(second, page, SoftTlb.WRITE));
    }

    @Test
    void twoPagesOfASetStayTogetherAndTheThirdPutsTheOldestOut() {
        tlb.enter(A, HOST_A, true, false);
        tlb.enter(B, HOST_B, false, false);
        assertThat(find(B)).isEqualTo("70001000 0, 0 0");
        assertThat(find(A)).isEqualTo("0 0, 70000000 70000000");
        tlb.enter(C, HOST_C, true, false);
        assertThat(find(C)).isEqualTo("70002000 70002000, 0 0");
        assertThat(find(B)).isEqualTo("0 0, 70001000 0");
        assertThat(find(A)).isEqualTo("0 0, 0 0");
    }

    @Test
    void whatIsFoundInTheSecondWayComesIntoTheFirst() {
        tlb.enter(A, HOST_A, false, false);
        tlb.enter(B, HOST_B, true, false);
        left.set(JAVA_INT, 0, -1);
        assertThat(tlb.promote(A, true)).as("not for writes").isFalse();
        assertThat(tlb.promote(B, false)).as("it is there").isFalse();
        assertThat(tlb.promote(A, false)).isTrue();
        assertThat(find(A)).isEqualTo("70000000 0, 0 0");
        assertThat(find(B)).isEqualTo("0 0, 70001000 70001000");
        assertThat(left.get(JAVA_INT, 0)).isEqualTo(SoftTlb.FOUND);
    }

    @Test
    void aPageIsNotInBothWays() {
        tlb.enter(A, HOST_A, false, false);
        tlb.enter(B, HOST_B, false, false);
        tlb.enter(A, HOST_A, true, false);
        assertThat(find(A)).isEqualTo("70000000 70000000, 0 0");
        assertThat(find(B)).isEqualTo("0 0, 70001000 0");
        tlb.dropPage(A);
        assertThat(find(B)).as("in the same set").isEqualTo("0 0, 0 0");
    }

    @Test
    void localPagesAreDroppedWhereverTheyAre() {
        tlb.enter(A, HOST_A, true, true);
        tlb.enter(B, HOST_B, true, false);
        tlb.flushLocal();
        assertThat(find(A)).isEqualTo("0 0, 0 0");
        assertThat(find(B)).isEqualTo("70001000 70001000, 0 0");
        tlb.enter(A, HOST_A, true, true);
        tlb.flushLocal();
        assertThat(find(B)).isEqualTo("0 0, 70001000 70001000");
    }

    @Test
    void noAddressFindsAnEmptyEntry() {
        for (int round = 0; round < 2; round++) {
            for (long page : new long[] {0, 0x1000, SAME_SET - 0x1000, SAME_SET, A}) {
                assertThat(find(page)).isEqualTo("0 0, 0 0");
            }
            tlb.enter(0, HOST_A, true, false);
            tlb.enter(SAME_SET, HOST_B, true, false);
            assertThat(find(0)).isEqualTo("0 0, 70000000 70000000");
            tlb.flushWrites();
            assertThat(find(0)).isEqualTo("0 0, 70000000 0");
            tlb.flush();
        }
    }

    @Test
    void writesAreWithdrawnInBothWays() {
        tlb.enter(A, HOST_A, true, false);
        assertThat(tlb.revokeWrite(HOST_B)).isFalse();
        tlb.enter(B, HOST_A, true, false);
        assertThat(tlb.revokeWrite(HOST_A)).isTrue();
        assertThat(find(A)).isEqualTo("0 0, 70000000 0");
        assertThat(find(B)).isEqualTo("70000000 0, 0 0");
        assertThat(tlb.revokeWrite(HOST_A)).isFalse();
    }

    @Test
    void noPermissionEscapesAnotherThreadThatWithdrawsItWhilePagesChangePlaces() throws InterruptedException {
        AtomicBoolean ended = new AtomicBoolean();
        Thread mover = new Thread(() -> {
            tlb.enter(B, HOST_B, false, false);
            while (!ended.get()) {
                if (!tlb.promote(A, false)) {
                    tlb.promote(B, false);
                }
            }
        });
        tlb.enter(A, HOST_A, true, false);
        mover.start();
        int survived = 0;
        for (int i = 0; i < 20_000; i++) {
            tlb.revokeWrite(HOST_A);
            for (int look = 0; look < 20; look++) {
                long found = look(first, A, SoftTlb.WRITE) | look(second, A, SoftTlb.WRITE);
                survived += found == 0 ? 0 : 1;
            }
            synchronized (tlb) {
                tlb.enter(A, HOST_A, true, false);
            }
        }
        ended.set(true);
        mover.join();
        assertThat(survived).isZero();
    }
}
