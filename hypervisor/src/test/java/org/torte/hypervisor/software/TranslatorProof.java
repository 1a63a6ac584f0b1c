package org.torte.hypervisor.software;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Operation;

/**
 * What {@link TranslatorTest} runs in a JVM of its own, because an error in translated code ends the JVM. Prints what
 * differs, and last a line that it is done.
 */
final class TranslatorProof {
    static final String DONE = "done";

    private TranslatorProof() {}

    /**
     * {@code oracle SEED SINGLES SEQUENCES}, {@code sequences SEED PROGRAMS}, {@code privileges SEED PROGRAMS}, {@code
     * paging SEED PROGRAMS}, {@code kernel NAME PROCESSORS}, {@code hammer PROCESSORS ROUNDS}, {@code shootdowns USERS ROUNDS}, {@code liveness OTHERS ROUNDS}, {@code slots}, {@code
     * straddlers}, {@code time}, {@code litmus ITERATIONS} for a fifth of the litmus tests, or {@code litmus ITERATIONS all}.
     */
    public static void main(String[] args) throws IOException {
        if (args[0].equals("oracle")) {
            oracle(Long.parseLong(args[1]), Long.parseLong(args[2]), Long.parseLong(args[3]));
        } else if (args[0].equals("sequences")) {
            sequences(Long.parseLong(args[1]), Long.parseLong(args[2]));
        } else if (args[0].equals("privileges")) {
            privileges(Long.parseLong(args[1]), Long.parseLong(args[2]));
        } else if (args[0].equals("paging")) {
            paging(Long.parseLong(args[1]), Long.parseLong(args[2]));
        } else if (args[0].equals("hammer")) {
            LockHammer.run(Integer.parseInt(args[1]), Integer.parseInt(args[2]), TranslatorMode.ONLY)
                    .forEach(System.out::println);
        } else if (args[0].equals("shootdowns")) {
            ShootdownHammer.run(Integer.parseInt(args[1]), Integer.parseInt(args[2]), TranslatorMode.ONLY)
                    .forEach(System.out::println);
        } else if (args[0].equals("liveness")) {
            LivenessHammer.run(Integer.parseInt(args[1]), Integer.parseInt(args[2]), TranslatorMode.ONLY);
        } else if (args[0].equals("slots")) {
            SlotChecks.run().forEach(System.out::println);
        } else if (args[0].equals("straddlers")) {
            StraddlerChecks.run().forEach(System.out::println);
        } else if (args[0].equals("time")) {
            TimeChecks.run().forEach(System.out::println);
        } else if (args[0].equals("litmus")) {
            litmus(args.length > 2 ? LitmusTest.tests() : LitmusTest.sample(), Integer.parseInt(args[1]));
        } else {
            kernel(args[1], Integer.parseInt(args[2]));
        }
        System.out.println(DONE);
    }

    private static void oracle(long seed, long singles, long sequences) throws IOException {
        try (OracleRun run = new OracleRun(seed, true)) {
            run.singles(singles, CodeMode.LONG, forms(run, OracleScope::covers));
            // These look at RAX, and instructions before them may select components there that only the host has.
            run.sequences(
                    sequences,
                    CodeMode.LONG,
                    forms(
                            run,
                            form -> OracleScope.inSequence(form)
                                    && form.operation() != Operation.XRSTOR
                                    && form.operation() != Operation.XSAVE));
            run.differences()
                    .forEach((form, difference) ->
                            System.out.println(difference.count() + " of " + form + ": " + difference.example()));
            if (run.translated() < run.cases / 8) {
                System.out.println(
                        "only " + run.translated() + " instructions of " + run.cases + " cases were translated");
            }
        }
    }

    private static void sequences(long seed, long programs) {
        Random random = new Random(seed);
        SequenceGenerator generator = new SequenceGenerator(random);
        int different = 0;
        try (TranslatorSequences run = new TranslatorSequences()) {
            while (run.programs < programs && different < 20) {
                SequenceGenerator.Sequence sequence = generator.next();
                for (int i = 0; i < 4; i++) {
                    long state = random.nextLong();
                    if (run.run(sequence, state) != null) {
                        different++;
                        System.out.println("state " + state + ": " + run.shrink(sequence, state));
                        break;
                    }
                }
                if (run.programs % 10_000 < 4 || run.programs >= programs) {
                    System.out.println(run.programs + " programs, " + run.faults + " faults, " + run.endless
                            + " endless, " + run.translatedInstructions() + " instructions translated");
                }
            }
            if (run.translatedInstructions() < run.programs) {
                System.out.println("only " + run.translatedInstructions() + " instructions were translated");
            }
        }
    }

    private static void privileges(long seed, long programs) {
        Random random = new Random(seed);
        int different = 0;
        // In one of them code looks for events after a few instructions already.
        try (PrivilegeSequences often = new PrivilegeSequences(5);
                PrivilegeSequences seldom = new PrivilegeSequences(TranslatedCode.BUDGET)) {
            while (often.programs < programs && different < 20) {
                long state = random.nextLong();
                for (PrivilegeSequences run : List.of(often, seldom)) {
                    String difference = run.run(state);
                    if (difference != null) {
                        different++;
                        System.out.println(difference);
                    }
                }
                if (often.programs % 10_000 == 0 || often.programs == programs) {
                    System.out.println(often.programs + " programs, " + often.endless + " endless, "
                            + seldom.translatedInstructions() + " instructions translated");
                }
            }
            if (seldom.translatedInstructions() < seldom.programs) {
                System.out.println("only " + seldom.translatedInstructions() + " instructions were translated");
            }
        }
    }

    private static void paging(long seed, long programs) {
        Random random = new Random(seed);
        int different = 0;
        try (PagingSequences run = new PagingSequences()) {
            while (run.programs < programs && different < 20) {
                String difference = run.run(random.nextLong());
                if (difference != null) {
                    different++;
                    System.out.println(difference);
                }
                if (run.programs % 10_000 == 0 || run.programs == programs) {
                    System.out.println(run.programs + " programs, " + run.exceptions + " exceptions, " + run.endless
                            + " endless, " + run.translatedInstructions() + " instructions translated");
                }
            }
            if (run.translatedInstructions() < run.programs) {
                System.out.println("only " + run.translatedInstructions() + " instructions were translated");
            }
        }
    }

    private static void litmus(Stream<LitmusTest.Litmus> tests, int iterations) {
        tests.forEach(litmus -> {
            Map<String, Integer> outcomes = litmus.run(iterations, TranslatorMode.ONLY);
            if (outcomes.isEmpty() || outcomes.keySet().stream().anyMatch(seen -> seen.matches(litmus.forbidden()))) {
                System.out.println(litmus + ": " + outcomes);
            }
        });
    }

    private static List<Form> forms(OracleRun run, Predicate<Form> filter) {
        List<Form> chosen = new ArrayList<>();
        for (int i = 1; i < Form.count(); i++) {
            Form form = Form.of(i);
            boolean faults = form.isPrivileged() || form.isIoPrivileged();
            if (filter.test(form) && run.features().has(form.feature()) && !faults) {
                chosen.add(form);
            }
        }
        return chosen;
    }

    private static void kernel(String name, int processors) {
        List<String> output =
                TestKernel.run(name, processors, TranslatorMode.ONLY).output();
        List<String> expected = TestKernel.expected(name);
        if (!output.equals(expected)) {
            System.out.println("printed " + output + " instead of " + expected);
        }
    }
}
