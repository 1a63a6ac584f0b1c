package org.torte.hypervisor.software;

import java.time.Duration;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.x86.Decoder;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Instruction;
import org.torte.hypervisor.x86.Operation;

/**
 * Runs the programs of {@link PagingPrograms} translated and interpreted, and compares everything at their end: registers, all
 * memory with the page tables and their accessed and dirty bits, and every exception with what all registers were at it.
 */
final class PagingSequences implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    private final PagingMachine interpreted = new PagingMachine(TranslatorMode.OFF);
    private final PagingMachine translated = new PagingMachine(TranslatorMode.ONLY);

    /** Programs that were run, those that were given up, and exceptions that were compared. */
    long programs;

    long endless;
    long exceptions;

    private long runs;
    private volatile long current;

    PagingSequences() {
        Thread.ofPlatform().daemon().name("watch").start(this::watch);
    }

    /** Ends programs that take too long. */
    private void watch() {
        long seen = -1;
        while (current >= 0) {
            if (current == seen) {
                interpreted.cancel();
                translated.cancel();
            }
            seen = current;
            LockSupport.parkNanos(PATIENCE.toNanos());
        }
    }

    /** Instructions that were executed in translated code. */
    long translatedInstructions() {
        return translated.translatedInstructions();
    }

    /** Runs the program of a seed from a few states; says what differs, with the smallest program that still does, or null. */
    @Nullable
    String run(long seed) {
        Random random = new Random(seed);
        PagingPrograms.Program program = new PagingPrograms(random).next();
        load(program);
        programs++;
        for (int i = 0; i < 3; i++) {
            // From the second time on the program's own code has been translated.
            long state = random.nextLong();
            if (run(program, state) != null) {
                return "seed " + seed + ": " + shrink(program, state);
            }
        }
        return null;
    }

    private void load(PagingPrograms.Program program) {
        interpreted.load(program);
        translated.load(program);
    }

    private @Nullable String run(PagingPrograms.Program program, long state) {
        current = ++runs;
        long expected = interpreted.run(program, state);
        long found = translated.run(program, state);
        if (expected == -1 || found == -1) {
            endless++;

            return null;
        }
        exceptions += interpreted.exceptions();
        String difference = interpreted.difference(translated);
        return difference == null && expected != found ? found + " instructions instead of " + expected : difference;
    }

    /** The smallest program that still differs, as text. */
    private String shrink(PagingPrograms.Program failing, long state) {
        PagingPrograms.Program smallest = failing;
        for (int size = failing.length() / 2; size > 0; size /= 2) {
            for (int i = 0; i + size < failing.length(); i += size) {
                PagingPrograms.Program fewer = smallest.without(i, i + size);
                load(fewer);
                if (run(fewer, state) != null) {
                    smallest = fewer;
                }
            }
        }
        load(smallest);
        return run(smallest, state) + ":" + text(smallest.code());
    }

    private static String text(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (int at = 0; at < bytes.length; ) {
            int start = at;
            Instruction in = new Instruction();
            int length =
                    Decoder.decode(offset -> start + offset < bytes.length ? bytes[start + offset] & 0xff : 0, 64, in);
            if (in.form.operation() != Operation.NOP) {
                text.append("\n%x ".formatted(PagingMachine.CODE + at))
                        .append(Disassembler.text(in, 64, PagingMachine.CODE + at));
            }
            at += Math.max(1, length);
        }
        return text.toString();
    }

    @Override
    public void close() {
        current = -1;
        interpreted.close();
        translated.close();
    }
}
