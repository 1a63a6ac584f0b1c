package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.oracle.HostProcessor;
import org.torte.hypervisor.x86.Feature;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Operand;
import org.torte.hypervisor.x86.Operation;

/**
 * The interpreter against the processor of this machine, over every user-mode form of the instruction table with random
 * and edge-case operands, in 64-bit and compatibility mode: registers, flags, memory, floating-point state, and faults
 * with their error codes.
 */
class InterpreterOracleTest {
    /** How many times as many cases the tests tagged "long" run. */
    private static final double LONG = 70;

    /** -Dtorte.seed=N takes other cases. */
    private static final long SEED = 20261123;

    /** -Dtorte.scale=0.1 runs a tenth of the cases. */
    private static final double SCALE = Double.parseDouble(System.getProperty("torte.scale", "1"));

    @Test
    void integerInstructionsAgreeWithTheHost() throws IOException {
        integers(1);
    }

    @Test
    void simdInstructionsAgreeWithTheHost() throws IOException {
        simd(1);
    }

    @Test
    void x87InstructionsAgreeWithTheHost() throws IOException {
        x87(1);
    }

    @Test
    void shortSequencesAgreeWithTheHost() throws IOException {
        sequences(1);
    }

    @Tag("long")
    @Test
    void millionsOfIntegerInstructionsAgreeWithTheHost() throws IOException {
        integers(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfSimdInstructionsAgreeWithTheHost() throws IOException {
        simd(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfX87InstructionsAgreeWithTheHost() throws IOException {
        x87(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfShortSequencesAgreeWithTheHost() throws IOException {
        sequences(LONG);
    }

    private static boolean isSimd(Form form) {
        return OracleComparison.uses(form, Operand.Kind.MMX) || OracleComparison.uses(form, Operand.Kind.XMM);
    }

    private static boolean isX87(Form form) {
        return form.feature() == Feature.X87 || movesState(form);
    }

    private static boolean movesState(Form form) {
        return switch (form.operation()) {
            case FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR, LDMXCSR, STMXCSR, EMMS -> true;
            case FNSAVE, FRSTOR, FNSTENV, FLDENV -> true;
            default -> false;
        };
    }

    private static boolean isInteger(Form form) {
        return !isSimd(form) && !isX87(form);
    }

    private static void integers(double scale) throws IOException {
        compare((run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isInteger);
            run.singles(cases(scale, 220_000), CodeMode.LONG, chosen);
            run.singles(cases(scale, 100_000), CodeMode.FLAT_32, chosen);
            run.singles(cases(scale, 130_000), CodeMode.SEGMENTED_32, chosen);
            run.singles(cases(scale, 130_000), CodeMode.SEGMENTED_16, chosen);
        });
    }

    private static void simd(double scale) throws IOException {
        compare((run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isSimd);
            run.singles(cases(scale, 300_000), CodeMode.LONG, chosen);
            run.singles(cases(scale, 50_000), CodeMode.SEGMENTED_32, chosen);
        });
    }

    private static void x87(double scale) throws IOException {
        compare((run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isX87);
            run.singles(cases(scale, 180_000), CodeMode.LONG, chosen);
            run.singles(cases(scale, 20_000), CodeMode.SEGMENTED_32, chosen);
            run.singles(cases(scale, 20_000), CodeMode.SEGMENTED_16, chosen);
        });
    }

    private static void sequences(double scale) throws IOException {
        compare((run, forms) -> {
            Predicate<Form> defined = OracleScope::inSequence;
            List<Form> integers =
                    forms.of(defined.and(InterpreterOracleTest::isInteger).and(f -> !faults(f)));
            run.sequences(cases(scale, 120_000), CodeMode.LONG, integers);
            run.sequences(cases(scale, 30_000), CodeMode.SEGMENTED_32, integers);
            run.sequences(cases(scale, 30_000), CodeMode.SEGMENTED_16, integers);
            List<Form> x87 = new ArrayList<>(forms.of(defined.and(InterpreterOracleTest::isX87)));
            List<Form> state =
                    x87.stream().filter(InterpreterOracleTest::movesState).toList();
            for (int i = 0; i < 6; i++) {
                x87.addAll(state);
            }
            run.sequences(cases(scale, 80_000), CodeMode.LONG, x87);
            run.sequences(cases(scale, 20_000), CodeMode.SEGMENTED_32, x87);
            run.sequences(cases(scale, 20_000), CodeMode.SEGMENTED_16, x87);
            run.sequences(cases(scale, 40_000), CodeMode.LONG, forms.of(defined.and(InterpreterOracleTest::isSimd)));
        });
    }

    /** Instructions that always fault in user mode end a sequence early. */
    private static boolean faults(Form form) {
        return form.isPrivileged()
                || form.isIoPrivileged()
                || switch (form.operation()) {
                    case UD0, UD1, UD2, INT, MONITOR, MWAIT -> true;
                    default -> false;
                };
    }

    private static long cases(double scale, int number) {
        return (long) (scale * SCALE * number);
    }

    private interface Choice {
        List<Form> of(Predicate<Form> filter);
    }

    private interface Comparison {
        void run(OracleRun run, Choice forms) throws IOException;
    }

    private static void compare(Comparison comparison) throws IOException {
        assumeTrue(HostProcessor.available(), "the host is not x86-64 Linux");
        long seed = Long.getLong("torte.seed", SEED);
        String only = System.getProperty("torte.operation");
        System.out.println("repeat with -Dtorte.seed=" + seed);
        StringBuilder report = new StringBuilder();
        try (OracleRun run = new OracleRun(seed)) {
            Set<Feature> missing = EnumSet.noneOf(Feature.class);
            comparison.run(run, filter -> {
                List<Form> chosen = new ArrayList<>();
                for (int i = 1; i < Form.count(); i++) {
                    Form form = Form.of(i);
                    if (!OracleScope.covers(form) || !filter.test(form)) {
                        continue;
                    }
                    if (!run.features().has(form.feature())) {
                        missing.add(form.feature());
                    } else if (only == null || form.operation() == Operation.valueOf(only)) {
                        chosen.add(form);
                    }
                }
                return chosen;
            });
            if (!missing.isEmpty()) {
                System.out.println("not compared, because this processor has no " + missing);
            }
            System.out.println(run.cases + " cases, " + run.unrepeatable + " differences that did not come again");
            run.differences()
                    .forEach((form, difference) -> report.append(difference.count())
                            .append(" of ")
                            .append(form)
                            .append("\n    ")
                            .append(difference.example())
                            .append('\n'));
        }
        assertThat(report.toString()).as("seed " + seed).isEmpty();
    }
}
