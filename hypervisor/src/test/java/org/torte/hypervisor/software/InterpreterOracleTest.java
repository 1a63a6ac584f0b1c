package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.LongAdder;
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
    /**
     * A round is a run of its own, from the state of the interpreter to the host's process, and all processors of this
     * machine work on rounds. The number of those that are always run, and of those of the tests tagged "long".
     */
    private static final int SAMPLE = 2, LONG = 140;

    /** The first round's; the others' follow. -Dtorte.seed=N takes other cases, with -Dtorte.rounds=1 a round alone. */
    private static final long SEED = 20261129;

    @Test
    void integerInstructionsAgreeWithTheHost() throws Exception {
        integers(SAMPLE);
    }

    @Test
    void simdInstructionsAgreeWithTheHost() throws Exception {
        simd(SAMPLE);
    }

    @Test
    void x87InstructionsAgreeWithTheHost() throws Exception {
        x87(SAMPLE);
    }

    @Test
    void shortSequencesAgreeWithTheHost() throws Exception {
        sequences(SAMPLE);
    }

    @Tag("long")
    @Test
    void millionsOfIntegerInstructionsAgreeWithTheHost() throws Exception {
        integers(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfSimdInstructionsAgreeWithTheHost() throws Exception {
        simd(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfX87InstructionsAgreeWithTheHost() throws Exception {
        x87(LONG);
    }

    @Tag("long")
    @Test
    void millionsOfShortSequencesAgreeWithTheHost() throws Exception {
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

    private static void integers(int rounds) throws Exception {
        compare(rounds, (run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isInteger);
            run.singles(110_000, CodeMode.LONG, chosen);
            run.singles(50_000, CodeMode.FLAT_32, chosen);
            run.singles(65_000, CodeMode.SEGMENTED_32, chosen);
            run.singles(65_000, CodeMode.SEGMENTED_16, chosen);
        });
    }

    private static void simd(int rounds) throws Exception {
        compare(rounds, (run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isSimd);
            run.singles(150_000, CodeMode.LONG, chosen);
            run.singles(25_000, CodeMode.SEGMENTED_32, chosen);
        });
    }

    private static void x87(int rounds) throws Exception {
        compare(rounds, (run, forms) -> {
            List<Form> chosen = forms.of(InterpreterOracleTest::isX87);
            run.singles(90_000, CodeMode.LONG, chosen);
            run.singles(10_000, CodeMode.SEGMENTED_32, chosen);
            run.singles(10_000, CodeMode.SEGMENTED_16, chosen);
        });
    }

    private static void sequences(int rounds) throws Exception {
        compare(rounds, (run, forms) -> {
            Predicate<Form> defined = OracleScope::inSequence;
            List<Form> integers =
                    forms.of(defined.and(InterpreterOracleTest::isInteger).and(f -> !faults(f)));
            run.sequences(60_000, CodeMode.LONG, integers);
            run.sequences(15_000, CodeMode.SEGMENTED_32, integers);
            run.sequences(15_000, CodeMode.SEGMENTED_16, integers);
            List<Form> x87 = new ArrayList<>(forms.of(defined.and(InterpreterOracleTest::isX87)));
            List<Form> state =
                    x87.stream().filter(InterpreterOracleTest::movesState).toList();
            for (int i = 0; i < 6; i++) {
                x87.addAll(state);
            }
            run.sequences(40_000, CodeMode.LONG, x87);
            run.sequences(10_000, CodeMode.SEGMENTED_32, x87);
            run.sequences(10_000, CodeMode.SEGMENTED_16, x87);
            run.sequences(20_000, CodeMode.LONG, forms.of(defined.and(InterpreterOracleTest::isSimd)));
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

    private interface Choice {
        List<Form> of(Predicate<Form> filter);
    }

    private interface Comparison {
        void run(OracleRun run, Choice forms) throws IOException;
    }

    private static void compare(int standard, Comparison comparison) throws Exception {
        assumeTrue(HostProcessor.available(), "the host is not x86-64 Linux");
        long first = Long.getLong("torte.seed", SEED);
        int rounds = Integer.getInteger("torte.rounds", standard);
        System.out.println(rounds + " rounds from -Dtorte.seed=" + first);
        Set<Feature> missing = Collections.synchronizedSet(EnumSet.noneOf(Feature.class));
        LongAdder cases = new LongAdder();
        List<String> differences = new ArrayList<>();
        try (ExecutorService processors =
                Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())) {
            List<Future<String>> results = new ArrayList<>();
            for (int i = 0; i < rounds; i++) {
                long seed = first + i;
                results.add(processors.submit(() -> round(seed, comparison, missing, cases)));
            }
            for (Future<String> result : results) {
                differences.add(result.get());
            }
        }
        if (!missing.isEmpty()) {
            System.out.println("not compared, because this processor has no " + missing);
        }
        assertThat(differences).allMatch(String::isEmpty);
    }

    /** What was different. */
    private static String round(long seed, Comparison comparison, Set<Feature> missing, LongAdder cases)
            throws IOException {
        StringBuilder report = new StringBuilder();
        try (OracleRun run = new OracleRun(seed)) {
            comparison.run(run, filter -> chosen(run, filter, missing));
            cases.add(run.cases);
            System.out.println("round " + seed + ": " + run.cases + " cases, "
                    + run.differences().size()
                    + " forms differ, " + run.unrepeatable + " differences did not come again; " + cases
                    + " cases in all");
            run.differences()
                    .forEach((form, difference) -> report.append("-Dtorte.rounds=1 -Dtorte.seed=" + seed + ": ")
                            .append(difference.count())
                            .append(" of ")
                            .append(form)
                            .append("\n    ")
                            .append(difference.example())
                            .append('\n'));
        }
        return report.toString();
    }

    private static List<Form> chosen(OracleRun run, Predicate<Form> filter, Set<Feature> missing) {
        String only = System.getProperty("torte.operation");
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
    }
}
