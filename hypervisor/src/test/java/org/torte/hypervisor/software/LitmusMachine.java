package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.RandomSource;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.VirtualProcessor;

/** Runs a {@link LitmusProgram} on as many processors as it has, in 64-bit mode, many times, and counts the outcomes. */
final class LitmusMachine {
    static final long TABLES = 0x1000;

    /** For programs that need descriptors; empty otherwise. */
    static final int GDT = 0x800;

    private static final long CODE = 0x1_0000, STACKS = 0x8_0000;
    static final long RESULTS = 0x20_0000, AREAS = 0xa0_0000;
    private static final long MEETINGS = 0x60_0000;
    private static final int ROUND = 10_000;
    static final long MEMORY = 16L << 20;

    private LitmusMachine() {}

    /**
     * How often each outcome was seen: a character for each of the {@code places} loads, then one each for the final x and
     * y. A character is the digit that all bytes had, or '?' for a mixture.
     */
    static Map<String, Integer> run(LitmusProgram program, int places, int iterations) {
        return run(program, places, iterations, TranslatorMode.OFF);
    }

    /** The same with translated code, as far as the mode says. */
    static Map<String, Integer> run(LitmusProgram program, int places, int iterations, TranslatorMode mode) {
        Map<String, Integer> outcomes = new TreeMap<>();
        for (int left = iterations; left > 0; left -= ROUND) {
            int round = Math.min(left, ROUND);
            try (GuestMemory memory = GuestMemory.allocate(MEMORY)) {
                run(memory, program, round, mode);
                for (int i = 0; i < round; i++) {
                    outcomes.merge(outcome(memory, program, places, i), 1, Integer::sum);
                }
            }
        }
        return outcomes;
    }

    private static String outcome(GuestMemory memory, LitmusProgram program, int places, int iteration) {
        StringBuilder outcome = new StringBuilder();
        for (int i = 0; i < places; i++) {
            long at = RESULTS + (long) iteration * LitmusProgram.RESULTS + 8L * i;
            outcome.append(uniform(memory, at, program.loadedInto(i).size()));
        }
        for (String name : List.of("x", "y")) {
            LitmusProgram.Variable variable = program.variable(name);
            long at = AREAS + (long) iteration * LitmusProgram.AREA + variable.offset();
            outcome.append(uniform(memory, at, variable.size()));
        }
        return outcome.toString();
    }

    private static char uniform(GuestMemory memory, long at, int size) {
        int first = memory.getByte(at);
        for (int i = 1; i < size; i++) {
            if (memory.getByte(at + i) != first) {
                return '?';
            }
        }
        return (char) ('0' + first);
    }

    private static void run(GuestMemory memory, LitmusProgram program, int iterations, TranslatorMode mode) {
        List<byte[]> programs = new ArrayList<>();
        for (int i = 0; i < program.processorCount(); i++) {
            programs.add(program.code(i));
        }
        run(memory, programs, iterations, mode);
    }

    /**
     * Runs one program on each processor, with the registers of {@link LitmusProgram#code}, until all have written to a
     * port; fails when one ends in another way.
     */
    static void run(GuestMemory memory, List<byte[]> programs, int iterations, TranslatorMode mode) {
        run(memory, programs, iterations, mode, new ManualTimers(), () -> {});
    }

    /** The same with a clock that goes on. */
    static void run(GuestMemory memory, List<byte[]> programs, int iterations, TranslatorMode mode, Clock clock) {
        PausableClock machine = new PausableClock(clock);
        ManualTimers timers = new ManualTimers(machine);
        run(memory, programs, iterations, mode, timers, machine::resume);
    }

    private static void run(
            GuestMemory memory,
            List<byte[]> programs,
            int iterations,
            TranslatorMode mode,
            ManualTimers timers,
            Runnable start) {
        int processors = programs.size();
        putTables(memory);
        Host host = new Host();
        try (Partition partition = new SoftwareHypervisor()
                .createPartition(new PartitionConfiguration(
                                memory,
                                processors,
                                TestKernel.cpuid(),
                                1_000_000_000L,
                                timers,
                                RandomSource.seeded(1),
                                host)
                        .withTranslator(mode))) {
            host.partition = partition;
            start.run(); // all counters have begun with the standing clock
            List<Thread> threads = new ArrayList<>();
            AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
            for (int i = 0; i < processors; i++) {
                byte[] code = programs.get(i);
                memory.write(CODE + 0x1000L * i, code, 0, code.length);
                partition.processor(i).setState(entry(i, iterations));
            }
            for (int i = 0; i < processors; i++) {
                VirtualProcessor processor = partition.processor(i);
                threads.add(Thread.ofPlatform().daemon().start(() -> {
                    try {
                        if (processor.run() == VirtualProcessor.Exit.CANCELLED) {
                            return;
                        }
                        throw new AssertionError("processor " + processor.index() + " has shut down");
                    } catch (Throwable e) {
                        failure.compareAndSet(null, e);
                    }
                    // The others may wait for it.
                    for (int other = 0; other < processors; other++) {
                        partition.processor(other).cancel();
                    }
                }));
            }
            for (Thread thread : threads) {
                try {
                    thread.join();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
            Throwable cause = failure.get();
            if (cause != null) {
                throw new AssertionError("a processor has died", cause);
            }
        }
    }

    /** Maps the first gigabyte to itself. */
    static void putTables(GuestMemory memory) {
        memory.putLong(TABLES, TABLES + 0x1000 | 3);
        memory.putLong(TABLES + 0x1000, 0x83);
    }

    /** What a processor begins with: 64-bit mode at level 0. */
    static CpuState entry(int processor, int iterations) {
        CpuState state = new CpuState();
        state.rip = CODE + 0x1000L * processor;
        state.gpr[CpuState.RSP] = STACKS + 0x1000L * processor;
        state.gpr[Cpu.RBX] = AREAS;
        state.gpr[Cpu.RDI] = RESULTS;
        state.gpr[Cpu.RSI] = MEETINGS;
        state.gpr[Cpu.RCX] = iterations;
        state.rflags = 2;
        state.cr0 = 0x8001_0011L;
        state.gdtBase = GDT;
        state.gdtLimit = 0x17;
        state.idtLimit = 0xfff;
        state.cr3 = TABLES;
        state.cr4 = 0x20;
        state.efer = 0x500;
        CpuState.Segment data = new CpuState.Segment(0x10, 0, -1, 0xc093);
        for (int i = 0; i < 6; i++) {
            state.segments[i] = data;
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, 0xa09b);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, 0x82);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, 0x8b);
        return state;
    }

    /** Ends a processor's run when it writes to a port. */
    private static final class Host extends NoDevices {
        private volatile @Nullable Partition partition;

        @Override
        public void writePort(int index, int port, int size, int value) {
            Objects.requireNonNull(partition).processor(index).cancel();
        }
    }
}
