package org.torte.management.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import java.util.function.LongUnaryOperator;
import org.junit.jupiter.api.Test;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.memory.BalloonPolicy.Room;

/** The policy with guests of one line and a clock that goes a second at a time. */
class BalloonPolicyTest {
    private static final long MIB = 1 << 20;
    private static final long SECOND = 1_000_000_000L;
    private static final long TOTAL = 2048 * MIB;
    private static final DynamicMemory LIMITS = new DynamicMemory(256 * MIB, 512 * MIB, 20);
    private static final Room PLENTY = new Room(1L << 40, 64 * MIB);

    /** A guest, its balloon and its clock. */
    private static final class Guest {
        final BalloonPolicy policy = new BalloonPolicy();
        final List<Long> moves = new ArrayList<>();
        DynamicMemory limits = LIMITS;
        Room room = PLENTY;
        /** Below this it gives up nothing. */
        long floor;

        boolean speaks = true;
        long now = -5 * SECOND;
        long wanted = TOTAL;
        long assigned = TOTAL;
        long reports;

        /** What its programs need in each second of some. */
        Guest live(int seconds, LongUnaryOperator need) {
            for (int i = 0; i < seconds; i++) {
                reports += speaks ? 1 : 0;
                long demand = need.applyAsLong(i);
                step(true, demand + TOTAL - assigned, Math.max(0, assigned - demand));
            }
            return this;
        }

        Guest live(int seconds, long demand) {
            return live(seconds, _ -> demand);
        }

        void step(boolean ready, long committed, long available) {
            boolean limited = assigned > wanted;
            OptionalLong next = policy.next(
                    limits,
                    new MemoryReport(TOTAL, wanted, assigned, ready, limited, committed, available, reports),
                    room,
                    now);
            next.ifPresent(size -> {
                assertThat(size).isBetween(limits.minimum(), TOTAL).isNotEqualTo(wanted);
                assertThat(size % MIB).isZero();
                moves.add(size);
                wanted = size;
                assigned = Math.max(size, floor);
            });
            now += SECOND;
        }
    }

    @Test
    void itHasWhatItStartsWithUntilItHasToldItsNeed() {
        Guest guest = new Guest();
        guest.step(false, -1, -1);
        for (int i = 0; i < 45; i++) {
            guest.step(true, -1, -1);
        }
        assertThat(guest.moves).containsExactly(512 * MIB);
    }

    @Test
    void itGivesUpSlowlyWhatItDoesNotNeedAndThenNothingMoves() {
        Guest guest = new Guest().live(29, 500 * MIB);
        assertThat(guest.moves).isEmpty();
        guest.live(300, 500 * MIB);
        assertThat(guest.wanted).isEqualTo(600 * MIB);
        assertThat(guest.moves)
                .isSortedAccordingTo((a, b) -> Long.compare(b, a))
                .hasSizeGreaterThan(5);
        int moves = guest.moves.size();
        guest.live(3600, 500 * MIB);
        assertThat(guest.moves).hasSize(moves);
    }

    @Test
    void itGetsWhatItNeedsAtOnceAndNeverMoreThanThereIs() {
        Guest guest = new Guest().live(600, 300 * MIB);
        assertThat(guest.wanted).isEqualTo(360 * MIB);
        guest.live(1, 400 * MIB);
        assertThat(guest.wanted).isEqualTo(480 * MIB);
        guest.live(1, 4096 * MIB);
        assertThat(guest.wanted).isEqualTo(TOTAL);
    }

    @Test
    void itKeepsItsMinimum() {
        Guest guest = new Guest().live(900, 0);
        assertThat(guest.wanted).isEqualTo(256 * MIB);
        assertThat(guest.moves.getLast()).isEqualTo(256 * MIB);
    }

    @Test
    void noiseWithinHalfABufferMovesNothing() {
        SplittableRandom random = new SplittableRandom(Long.getLong("torte.seed", 1));
        Guest guest = new Guest().live(600, 1000 * MIB);
        int moves = guest.moves.size();
        guest.live(3600, _ -> (920 + random.nextInt(160)) * MIB);
        assertThat(guest.moves).hasSize(moves);
    }

    @Test
    void demandThatGoesUpAndDownFasterThanItCalmsIsServedAtItsHeight() {
        Guest guest = new Guest().live(600, 300 * MIB);
        int moves = guest.moves.size();
        guest.live(3600, second -> (second % 28 < 2 ? 1500 : 300) * MIB);
        assertThat(guest.moves).hasSize(moves + 1).endsWith(1800 * MIB);
    }

    @Test
    void slowTidesAreFollowedWithFewMoves() {
        Guest guest = new Guest().live(7200, second -> (second / 1800 % 2 == 0 ? 400 : 1600) * MIB);
        // Down from 2048 once and from 1920 once, up twice: an eighth or 64 MiB each.
        assertThat(guest.moves).hasSizeLessThan(40);
    }

    @Test
    void oneThatFallsSilentHasWhatItStartsWithAndNoMore() {
        Guest guest = new Guest().live(600, 220 * MIB);
        assertThat(guest.wanted).isEqualTo(264 * MIB);
        guest.speaks = false;
        guest.live(29, 10 * MIB);
        assertThat(guest.wanted).isEqualTo(264 * MIB);
        guest.live(3600, 10 * MIB);
        assertThat(guest.wanted).isEqualTo(512 * MIB);
        guest.speaks = true;
        guest.live(600, 220 * MIB);
        assertThat(guest.wanted).isEqualTo(264 * MIB);
    }

    @Test
    void oneThatFellSilentWithMoreKeepsIt() {
        Guest guest = new Guest().live(300, 1000 * MIB);
        guest.speaks = false;
        guest.live(600, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(1200 * MIB);
    }

    @Test
    void lies() {
        long[] words = {Long.MIN_VALUE, -2, -1, 0, 1, TOTAL, 1L << 62, Long.MAX_VALUE};
        SplittableRandom random = new SplittableRandom(Long.getLong("torte.seed", 1));
        Guest guest = new Guest();
        for (int i = 0; i < 20_000; i++) {
            guest.reports = random.nextInt(4) == 0 ? random.nextLong() : guest.reports + 1;
            guest.room = new Room(random.nextLong(), random.nextLong(1 << 30));
            guest.step(
                    random.nextInt(20) != 0, words[random.nextInt(words.length)], words[random.nextInt(words.length)]);
        }
        assertThat(guest.moves).isNotEmpty();
    }

    @Test
    void memoryInUseThatNobodyWasPromisedCounts() {
        Guest guest = new Guest();
        for (int i = 0; i < 600; i++) {
            guest.reports++;
            // Programs have been promised 100 MiB, and 800 MiB are in use all the same.
            guest.step(true, 100 * MIB + TOTAL - guest.assigned, guest.assigned - 800 * MIB);
        }
        assertThat(guest.wanted).isEqualTo(960 * MIB);
    }

    @Test
    void oneThatGivesUpNoMoreIsNotPestered() {
        Guest guest = new Guest();
        guest.floor = 1500 * MIB;
        guest.live(1200, 100 * MIB);
        assertThat(guest.moves).hasSizeLessThan(20);
        assertThat(guest.assigned).isEqualTo(1500 * MIB);
    }

    @Test
    void aHostThatIsShortOfMemoryTakesTheBufferAndGivesItBackOnlyWhenItHasSomeToSpare() {
        Guest guest = new Guest().live(600, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(1200 * MIB);
        guest.room = new Room(-1, 64 * MIB);
        guest.live(60, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(1050 * MIB);
        guest.room = new Room(60 * MIB, 64 * MIB);
        guest.live(600, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(1050 * MIB);
        guest.room = new Room(264 * MIB, 64 * MIB);
        guest.live(60, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(1200 * MIB);
    }

    @Test
    void whatTheHostDoesNotHaveIsNotGiven() {
        Guest guest = new Guest().live(600, 300 * MIB);
        guest.room = new Room(100 * MIB, 64 * MIB);
        guest.live(1, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(460 * MIB);
        guest.room = new Room(0, 64 * MIB);
        guest.live(60, 1000 * MIB);
        assertThat(guest.wanted).isEqualTo(460 * MIB);
    }

    @Test
    void severalGuestsOnAHostWithTooLittleComeToRest() {
        long host = 3000 * MIB;
        List<Guest> guests = List.of(new Guest(), new Guest(), new Guest());
        int moves = 0;
        for (int second = 0; second < 3600; second++) {
            long free =
                    host - guests.stream().mapToLong(guest -> guest.assigned).sum();
            for (Guest guest : guests) {
                guest.room = new Room(free, 128 * MIB);
                long before = guest.assigned;
                guest.live(1, 900 * MIB);
                free -= Math.max(0, guest.assigned - before);
            }
            if (second == 900) {
                moves = guests.stream().mapToInt(guest -> guest.moves.size()).sum();
            }
        }
        assertThat(guests).allSatisfy(guest -> assertThat(guest.assigned).isBetween(940 * MIB, 1080 * MIB));
        assertThat(guests.stream().mapToInt(guest -> guest.moves.size()).sum()).isEqualTo(moves);
    }

    @Test
    void limitsThatChangeAreKeptAtOnce() {
        Guest guest = new Guest().live(600, 100 * MIB);
        guest.limits = new DynamicMemory(1024 * MIB, 1024 * MIB, 20);
        guest.live(1, 100 * MIB);
        assertThat(guest.wanted).isEqualTo(1024 * MIB);
    }

    @Test
    void aGuestThatStartsAgainStartsWithWhatItStartsWith() {
        Guest guest = new Guest().live(600, 1500 * MIB);
        assertThat(guest.wanted).isEqualTo(1800 * MIB);
        guest.assigned = TOTAL;
        guest.step(false, -1, -1);
        assertThat(guest.wanted).isEqualTo(512 * MIB);
    }
}
