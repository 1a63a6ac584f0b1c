package org.torte.hypervisor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.torte.hypervisor.VirtualProcessor.Exit;
import org.torte.hypervisor.contract.ContractGuest.Task;

/** A guest that is saved on one back-end goes on on any other. */
@Timeout(value = 2 * ContractGuest.LIMIT_SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MovingContractTest {
    static Stream<Arguments> pairs() {
        return Stream.of(Backend.values())
                .flatMap(from -> Stream.of(Backend.values()).map(to -> Arguments.of(from, to)));
    }

    private static ContractGuest held(Backend backend, int processors, boolean x87) {
        ContractGuest guest =
                new ContractGuest(backend, processors).load(Task.HOLD, x87).begin();
        guest.asked = _ -> guest.partition.processor(0).cancel();
        assertThat(guest.run()).isEqualTo(Exit.CANCELLED);
        guest.halt();
        return guest;
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void aGuestDoesNotNoticeThatItMoves(Backend from, Backend to) {
        boolean x87 = from == Backend.SOFTWARE && to == Backend.SOFTWARE;
        try (ContractGuest first = held(from, 1, x87);
                ContractGuest second = new ContractGuest(to, 1)) {
            long time = first.partition.processor(0).timeStamp();
            second.clock.set(first.clock.nanos());
            second.restore(first.save());
            assertThat(second.partition.processor(0).timeStamp()).isEqualTo(time);
            second.begin();
            assertThat(second.run()).isEqualTo(Exit.CANCELLED);
            assertThat(second.ended).as("output %s", second.output).isTrue();
            List<Integer> output = new ArrayList<>(second.output);
            if (x87) {
                // ST(0), and the upper half of pi.
                assertThat(output.subList(1, 3)).containsExactly(1, 0x4009_21fb);
                output.subList(1, 3).clear();
            }
            assertThat(output)
                    .containsExactly(
                            0x5a5a, // ECX
                            0x706f_6e6d, // XMM3
                            0x1234, // DR1
                            0xabcd, // SYSENTER_ESP
                            0x0007_0406, // PAT
                            0x10, // task priority
                            0x10, // the interrupt that waits
                            100_000_000, // the count of the timer
                            1, // the interrupt, taken
                            0x40); // the timer fires
        }
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void stateThatMovesAgainIsTheSame(Backend from, Backend to) {
        try (ContractGuest first = held(from, 2, from == Backend.SOFTWARE);
                ContractGuest second = new ContractGuest(to, 2);
                ContractGuest third = new ContractGuest(from, 2)) {
            byte[] state = first.save();
            second.restore(state);
            third.restore(second.save());
            assertThat(differences(state, third.save())).isEmpty();
        }
    }

    /** Where two states differ: 16 bytes of either from each difference on. */
    private static List<String> differences(byte[] one, byte[] other) {
        List<String> found = new ArrayList<>();
        if (one.length != other.length) {
            found.add(one.length + " and " + other.length + " bytes");
        }
        for (int at = 0; at < Math.min(one.length, other.length); at++) {
            if (one[at] != other[at] && found.size() < 10) {
                found.add("at %x: %s, %s".formatted(at, bytes(one, at), bytes(other, at)));
                at += 15;
            }
        }
        return found;
    }

    private static String bytes(byte[] state, int at) {
        return HexFormat.of().formatHex(Arrays.copyOfRange(state, at, Math.min(state.length, at + 16)));
    }

    @ParameterizedTest
    @EnumSource
    void aProcessorThatWaitsForItsStartStartsAfterAMove(Backend backend) {
        for (Backend to : Backend.values()) {
            try (ContractGuest first = new ContractGuest(backend, 2).load(Task.SECOND);
                    ContractGuest second = new ContractGuest(to, 2)) {
                second.restore(first.save());
                second.begin();
                assertThat(second.run()).isEqualTo(Exit.CANCELLED);
                assertThat(second.output).containsExactly(2000, 0x40);
            }
        }
    }
}
