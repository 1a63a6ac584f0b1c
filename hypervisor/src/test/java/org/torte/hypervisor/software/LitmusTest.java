package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.TranslatorMode;

/**
 * The memory order that processors promise each other (Intel SDM vol. 3, section 9.2; x86-TSO): the classic litmus tests
 * as guest code on several processors at once. Whatever the manual forbids must never be seen; what it allows may be.
 */
class LitmusTest {
    private static final int SAMPLE = 5_000, LONG = 1_000_000;

    /** Where x and y lie: in lines of their own, side by side, and of several widths, some across a cache line. */
    enum Layout {
        APART(0, 8, 64, 8),
        NARROW(0, 1, 64, 2),
        TOGETHER(0, 4, 4, 4),
        BYTES(8, 1, 9, 1),
        UNALIGNED(1, 4, 69, 2),
        SPLIT(62, 4, 128, 8),
        BOTH_SPLIT(61, 8, 127, 2);

        private final int x;
        private final int xSize;
        private final int y;
        private final int ySize;

        Layout(int x, int xSize, int y, int ySize) {
            this.x = x;
            this.xSize = xSize;
            this.y = y;
            this.ySize = ySize;
        }
    }

    /** One test: outcomes (loads by number, then the final x and y) that match {@code forbidden} are failures. */
    record Litmus(String name, int places, String forbidden, Layout layout, List<String> processors) {
        Map<String, Integer> run(int iterations, TranslatorMode mode) {
            LitmusProgram.Variable x = new LitmusProgram.Variable(layout.x, layout.xSize);
            LitmusProgram.Variable y = new LitmusProgram.Variable(layout.y, layout.ySize);
            return LitmusMachine.run(new LitmusProgram(x, y, processors), places, iterations, mode);
        }

        @Override
        public String toString() {
            return name + " " + layout;
        }
    }

    static Stream<Litmus> tests() {
        List<Litmus> tests = new ArrayList<>();
        for (Layout layout : Layout.values()) {
            add(tests, "SB", 2, "(?!)", layout, "x=1; r0=y", "y=1; r1=x");
            add(tests, "SB+mfences", 2, "00..", layout, "x=1; mfence; r0=y", "y=1; mfence; r1=x");
            add(tests, "SB+locks", 2, "00..", layout, "x=1; lock; r0=y", "y=1; lock; r1=x");
            add(tests, "SB+exchanges", 2, "00..", layout, "x:=1; r0=y", "y:=1; r1=x");
            add(tests, "SB+own", 4, "[^1]...|..[^1].", layout, "x=1; r0=x; r1=y", "y=1; r2=y; r3=x");
            add(tests, "MP", 2, "1[^1]..", layout, "x=1; y=1", "r0=y; r1=x");
            add(tests, "MP+exchanges", 2, "1[^1]..", layout, "x:=1; y:=1", "r0=y; r1=x");
            add(tests, "LB", 2, "11..", layout, "r0=x; y=1", "r1=y; x=1");
            add(tests, "S", 1, "12.", layout, "x=2; y=1", "r0=y; x=1");
            add(tests, "R+mfences", 1, "0.2", layout, "x=1; mfence; y=1", "y=2; mfence; r0=x");
            add(tests, "2+2W", 0, "11", layout, "x=1; y=2", "y=1; x=2");
            add(tests, "CoRR", 2, "1[^1]..", layout, "x=1", "r0=x; r1=x");
            add(tests, "WRC", 3, "11[^1]..", layout, "x=1", "r0=x; y=1", "r1=y; r2=x");
            add(tests, "IRIW", 4, "1010..", layout, "x=1", "y=1", "r0=x; r1=y", "r2=y; r3=x");
        }
        // A value within eight aligned bytes is read whole or not at all.
        for (Layout layout : List.of(Layout.APART, Layout.NARROW, Layout.TOGETHER, Layout.BYTES)) {
            add(tests, "whole", 1, "\\?.*", layout, "x=1; x=2; x=3", "r0=x");
        }
        return tests.stream();
    }

    private static void add(
            List<Litmus> tests, String name, int places, String forbidden, Layout layout, String... processors) {
        tests.add(new Litmus(name, places, forbidden, layout, List.of(processors)));
    }

    /** A fifth of them, so that all layouts and all shapes are among them. */
    static Stream<Litmus> sample() {
        List<Litmus> all = tests().toList();
        return Stream.iterate(0, i -> i < all.size(), i -> i + 5).map(all::get);
    }

    @ParameterizedTest
    @MethodSource("sample")
    void whatTheMemoryModelForbidsIsNotSeen(Litmus litmus) {
        check(litmus, SAMPLE);
    }

    @Tag("long")
    @ParameterizedTest
    @MethodSource("tests")
    void whatTheMemoryModelForbidsIsNotSeenInAMillionTries(Litmus litmus) {
        check(litmus, LONG);
    }

    private static void check(Litmus litmus, int iterations) {
        Map<String, Integer> outcomes = litmus.run(iterations, TranslatorMode.OFF);
        assertThat(outcomes.keySet())
                .as("%s", outcomes)
                .noneMatch(outcome -> outcome.matches(litmus.forbidden))
                .isNotEmpty();
    }

    /** The others wait for it. */
    @Test
    void whenAProcessorDiesTheTestFails() {
        byte[] undefined = {0x0f, 0x0b};
        byte[] endless = {(byte) 0xeb, (byte) 0xfe};
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            assertThatThrownBy(() -> LitmusMachine.run(memory, List.of(endless, undefined), 1, TranslatorMode.OFF))
                    .hasStackTraceContaining("processor 1 has shut down");
        }
    }
}
