package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Predicate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.oracle.HostProcessor;
import org.torte.hypervisor.x86.Feature;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Operand;

/**
 * The interpreter against the processor of this machine, over every user-mode form of the instruction table with random
 * and edge-case operands: registers, flags, memory, floating-point state, and faults with their error codes.
 */
class InterpreterOracleTest {
    private static final int LONG = 20_000_000;

    @Test
    void integerInstructionsAgreeWithTheHost() throws IOException {
        compare(450_000, InterpreterOracleTest::isInteger);
    }

    @Test
    void simdInstructionsAgreeWithTheHost() throws IOException {
        compare(350_000, InterpreterOracleTest::isSimd);
    }

    @Test
    void x87InstructionsAgreeWithTheHost() throws IOException {
        compare(200_000, InterpreterOracleTest::isX87);
    }

    @Tag("long")
    @Test
    void millionsOfIntegerInstructionsAgreeWithTheHost() throws IOException {
        compare(LONG, InterpreterOracleTest::isInteger);
    }

    @Tag("long")
    @Test
    void millionsOfSimdInstructionsAgreeWithTheHost() throws IOException {
        compare(LONG, InterpreterOracleTest::isSimd);
    }

    @Tag("long")
    @Test
    void millionsOfX87InstructionsAgreeWithTheHost() throws IOException {
        compare(LONG, InterpreterOracleTest::isX87);
    }

    private static boolean isSimd(Form form) {
        return OracleComparison.uses(form, Operand.Kind.MMX) || OracleComparison.uses(form, Operand.Kind.XMM);
    }

    private static boolean isX87(Form form) {
        return form.operation().name().startsWith("F") && form.feature() != Feature.FXSR;
    }

    private static boolean isInteger(Form form) {
        return !isSimd(form) && !isX87(form);
    }

    private static void compare(int cases, Predicate<Form> filter) throws IOException {
        assumeTrue(HostProcessor.available(), "the host is not x86-64 Linux");
        Long given = Long.getLong("torte.seed");
        long seed = given != null ? given : ThreadLocalRandom.current().nextLong();
        System.out.println("repeat with -Dtorte.seed=" + seed);
        StringBuilder report = new StringBuilder();
        new OracleComparison(seed)
                .run(cases, filter)
                .forEach((form, difference) -> report.append(difference.count())
                        .append(" of ")
                        .append(form)
                        .append("\n    ")
                        .append(difference.example())
                        .append('\n'));
        assertThat(report.toString()).as("seed " + seed).isEmpty();
    }
}
