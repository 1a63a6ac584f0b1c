package org.torte.hypervisor.software;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.oracle.CaseRecord;
import org.torte.hypervisor.oracle.CodeMode;
import org.torte.hypervisor.oracle.HostFeatures;
import org.torte.hypervisor.oracle.HostProcessor;
import org.torte.hypervisor.oracle.InstructionGenerator;
import org.torte.hypervisor.oracle.StateGenerator;
import org.torte.hypervisor.oracle.TestProgram;
import org.torte.hypervisor.x86.Form;

/** Generates cases, runs them on the host's processor and on the interpreter, and collects where the two differ. */
final class OracleRun implements AutoCloseable {
    private static final int BATCH = 1024;
    private static final int STATES = 8;

    /** How often a failure has to happen to be one: batches, and cases of each, of which not one may agree. */
    private static final int REPETITIONS = 5, COPIES = 16;

    /** Progress of long comparisons is shown after so many cases. */
    private static final long STEP = 1_000_000;

    /** How often another instruction is tried for a sequence, which is shorter if none fits. */
    private static final int ATTEMPTS = 200;

    /** Forms of which a failure is made small. */
    private static final int SHRUNK = 40;

    /** Differing cases whose last instruction is of one form: how many, and one of them, made as small as possible. */
    record Difference(int count, String example) {}

    private record Failure(TestProgram program, MemorySegment input, boolean single, String difference) {}

    private final HostProcessor host;
    private final HostFeatures features;
    private final InterpreterUnderTest interpreter;
    private final OracleComparison comparison;
    private final RandomGenerator random;
    private final InstructionGenerator instructions;
    private final StateGenerator states;
    private final Map<String, Difference> differences = new LinkedHashMap<>();

    /** Cases compared so far. */
    long cases;

    /** Differences that did not come again. */
    long unrepeatable;

    OracleRun(long seed) throws IOException {
        this(seed, false);
    }

    /** With {@code translate} it is the translator that is compared. */
    OracleRun(long seed, boolean translate) throws IOException {
        random = new SplittableRandom(seed);
        instructions = new InstructionGenerator(random);
        states = new StateGenerator(random);
        host = new HostProcessor(BATCH);
        features = new HostFeatures(host);
        interpreter = new InterpreterUnderTest(translate);
        comparison = new OracleComparison(interpreter, features);
    }

    /** Instructions that were executed in translated code. */
    long translated() {
        return interpreter.translated == null ? 0 : interpreter.translated.executed;
    }

    /** What the host offers. */
    HostFeatures features() {
        return features;
    }

    /** What has differed so far, by form. */
    Map<String, Difference> differences() {
        return differences;
    }

    /** Compares about so many cases of single instructions, spread evenly over the forms. */
    void singles(long total, CodeMode mode, List<Form> forms) throws IOException {
        int[] next = {0};
        run(total, mode, () -> List.of(forms.get(next[0]++ % forms.size())));
    }

    /** Compares about so many cases of two to six instructions. */
    void sequences(long total, CodeMode mode, List<Form> forms) throws IOException {
        run(total, mode, () -> {
            int length = 2 + random.nextInt(5);
            List<Form> chosen = new ArrayList<>();
            for (int attempt = 0; chosen.size() < length && attempt < ATTEMPTS; attempt++) {
                boolean last = chosen.size() == length - 1;
                chosen.add(forms.get(random.nextInt(forms.size())));
                if (!OracleScope.inOrder(chosen, last)) {
                    chosen.removeLast();
                }
            }
            return chosen.isEmpty() ? List.of(forms.getFirst()) : chosen;
        });
    }

    private interface Choice {
        List<Form> next();
    }

    private void run(long total, CodeMode mode, Choice choice) throws IOException {
        TestProgram[] programs = new TestProgram[BATCH];
        long end = cases + total;
        while (cases < end) {
            int count = 0;
            int attempts = 0;
            while (count + STATES <= BATCH && attempts++ < 10 * BATCH) {
                TestProgram program = instructions.generate(choice.next(), mode);
                if (program == null) {
                    continue;
                }
                for (int i = 0; i < STATES; i++) {
                    states.fill(host.record(count), program);
                    programs[count++] = program;
                }
            }
            host.run(count);
            List<Failure> failures = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                CaseRecord record = host.record(i);
                boolean single = (i & 7) == 0;
                String difference = comparison.compare(programs[i], record, single);
                if (difference != null) {
                    MemorySegment copy = Arena.ofAuto().allocate(CaseRecord.INPUT_SIZE);
                    failures.add(new Failure(programs[i], copy.copyFrom(record.input()), single, difference));
                }
            }
            if (cases / STEP != (cases + count) / STEP) {
                System.out.println(cases + count + " cases");
            }
            cases += count;
            for (Failure failure : failures) {
                confirm(failure);
            }
        }
    }

    /** Reports a failure that happens again. */
    private void confirm(Failure failure) throws IOException {
        host.record(0).input().copyFrom(failure.input());
        if (again(failure.program(), failure.single()) == null) {
            unrepeatable++;
            return;
        }
        report(failure.program(), failure.difference());
        shrink(failure);
    }

    /**
     * What differs every time for the state in the first record. The interpreter does the same each time, the host need
     * not: a context switch between two instructions makes AMD's processors lose the pointers of the x87. Where they
     * agree once, they agree. On a busy host one switch after the other may come, so there are many cases in a row.
     */
    private @Nullable String again(TestProgram program, boolean single) throws IOException {
        for (int copy = 1; copy < COPIES; copy++) {
            host.record(copy).input().copyFrom(host.record(0).input());
        }
        String difference = null;
        for (int i = 0; i < REPETITIONS; i++) {
            host.run(COPIES);
            for (int copy = 0; copy < COPIES; copy++) {
                // With new blocks, then with those that it has left.
                interpreter.forgetCode();
                difference = comparison.compare(program, host.record(copy), single);
                if (difference == null) {
                    difference = comparison.compare(program, host.record(copy), single);
                }
                if (difference == null) {
                    return null;
                }
            }
        }
        return difference;
    }

    private void report(TestProgram program, String difference) {
        String key = key(program);
        Difference known = differences.get(key);
        differences.put(
                key,
                known == null
                        ? new Difference(1, program + ":" + difference)
                        : new Difference(known.count() + 1, known.example()));
    }

    private static String key(TestProgram program) {
        return program.form().toString() + (program.instructions().size() > 1 ? " (in a sequence)" : "");
    }

    /** Leaves out instructions and clears state as long as a difference remains, and reports that. */
    private void shrink(Failure failure) throws IOException {
        Difference known = differences.get(key(failure.program()));
        if (known == null || known.count() > 1 || differences.size() > SHRUNK) {
            return;
        }
        Smallest smallest = new Smallest(failure);
        smallest.dropInstructions();
        smallest.clearState();
        String example = smallest.program + ":" + smallest.difference;
        System.out.println("different: " + example);
        differences.put(key(failure.program()), new Difference(known.count(), example));
    }

    private final class Smallest {
        TestProgram program;
        private final MemorySegment input;
        private final Failure failure;
        private final boolean single;
        String difference = "";

        Smallest(Failure failure) {
            this.failure = failure;
            program = failure.program();
            input = failure.input();
            single = failure.single();
        }

        void dropInstructions() throws IOException {
            for (int i = program.instructions().size() - 1;
                    i >= 0 && program.instructions().size() > 1;
                    i--) {
                TestProgram candidate = program.without(i);
                if (!OracleScope.usesDefinedFlags(
                        candidate.instructions().stream().map(in -> in.form).toList())) {
                    continue;
                }
                host.record(0).input().copyFrom(input);
                host.record(0).setCode(candidate.address(), candidate.code());
                if (again(candidate, single) != null) {
                    program = candidate;
                }
            }
        }

        void clearState() throws IOException {
            CaseRecord record = host.record(0);
            MemorySegment best = Arena.ofAuto().allocate(CaseRecord.INPUT_SIZE);
            record.input().copyFrom(input);
            record.setCode(program.address(), program.code());
            best.copyFrom(record.input());
            String first = again(program, single);
            difference = first == null ? failure.difference() : first;
            // Registers, x87 and SSE registers, data: eight bytes at a time.
            for (int at = 0; at < CaseRecord.INPUT_SIZE; at += 8) {
                boolean state = at < 16 * 8 || at >= 0x120 && at < 0x2A0 || at >= 0x300;
                if (!state || best.get(JAVA_LONG_UNALIGNED, at) == 0) {
                    continue;
                }
                record.input().copyFrom(best);
                record.input().set(JAVA_LONG_UNALIGNED, at, 0);
                String rest = again(program, single);
                if (rest != null) {
                    difference = rest;
                    best.set(JAVA_LONG_UNALIGNED, at, 0);
                }
            }
        }
    }

    @Override
    public void close() throws IOException {
        host.close();
        interpreter.close();
    }
}
