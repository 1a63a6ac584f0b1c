package org.torte.hypervisor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;

/** Measures how fast a back-end computes, with a loop of two instructions in a partition of its own. */
public final class SpeedProbe {
    private static final long MEMORY = 2L << 20;
    private static final int CODE = 0x1000;
    private static final int INSTRUCTIONS_PER_TURN = 2;
    private static final long MILLIS = 10;
    private static final long ENOUGH_NANOS = 10_000_000;
    private static final int MAX_ROUNDS = 100;

    /** ADD EAX, 1; JMP back to it, in 32-bit code. */
    private static final byte[] LOOP = {(byte) 0x83, (byte) 0xc0, 0x01, (byte) 0xeb, (byte) 0xfb};

    private SpeedProbe() {}

    /**
     * Instructions of a simple loop per second of processor time. Takes some hundredths of a second.
     *
     * @throws HypervisorException when the back-end cannot be used
     */
    public static long instructionsPerSecond(Hypervisor hypervisor) {
        CpuidTable cpuid = new CpuidTable.Builder()
                .leaf(0, 1, 0x68747541, 0x444d4163, 0x69746e65)
                .leaf(1, 0xa20f12, 0, 0, 0x0789_abff)
                .build();
        try (GuestMemory memory = GuestMemory.allocate(MEMORY);
                TimerThread timers = new TimerThread(Clock.system(), "torte-probe");
                Partition partition = hypervisor.createPartition(new PartitionConfiguration(
                        memory, 1, cpuid, hypervisor.tscFrequency(), timers, RandomSource.seeded(1), NOTHING))) {
            memory.write(CODE, LOOP, 0, LOOP.length);
            partition.memoryWritten(CODE, LOOP.length);
            VirtualProcessor processor = partition.processor(0);
            processor.setState(start());
            long nanos = 0;
            // A busy host may give the thread no time for a while, which says nothing about its speed.
            for (int round = 0; round < MAX_ROUNDS && nanos < ENOUGH_NANOS; round++) {
                nanos += run(processor, hypervisor.name());
            }
            double turns = processor.state().gpr[CpuState.RAX] & 0xffff_ffffL;
            return (long) (turns * INSTRUCTIONS_PER_TURN * 1e9 / Math.max(1, nanos));
        }
    }

    /** Lets it run for a moment; the processor time that it took, in nanoseconds. */
    private static long run(VirtualProcessor processor, String name) {
        Thread end = Thread.ofPlatform().daemon().name("torte-probe-end").unstarted(() -> {
            try {
                TimeUnit.MILLISECONDS.sleep(MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            processor.cancel();
        });
        long before = processorNanos();
        end.start();
        VirtualProcessor.Exit exit = processor.run();
        long nanos = processorNanos() - before;
        join(end);
        if (exit != VirtualProcessor.Exit.CANCELLED) {
            throw new HypervisorException(
                    "a loop of two instructions ended by itself on " + name + "; use --hypervisor software");
        }
        return nanos;
    }

    private static CpuState start() {
        CpuState state = new CpuState();
        state.rip = CODE;
        state.cr0 = 0x11;
        for (int i = 0; i < 6; i++) {
            state.segments[i] = new CpuState.Segment(0x10, 0, -1, 0xc093);
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, 0xc09b);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, 0x82);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, 0x8b);
        return state;
    }

    /** How long the calling thread has had a processor of the host; the time of day where Linux does not say. */
    private static long processorNanos() {
        try {
            String text = Files.readString(Path.of("/proc/thread-self/schedstat"));
            return Long.parseLong(text.substring(0, text.indexOf(' ')));
        } catch (IOException | RuntimeException e) {
            return Clock.system().nanos();
        }
    }

    private static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static final ExitHandler NOTHING = new ExitHandler() {
        @Override
        public int readPort(int processor, int port, int size) {
            return -1;
        }

        @Override
        public void writePort(int processor, int port, int size, int value) {}

        @Override
        public long readMemory(int processor, long address, int size) {
            return -1;
        }

        @Override
        public void writeMemory(int processor, long address, int size, long value) {}

        @Override
        public boolean readMsr(int processor, int index, MsrValue result) {
            return false;
        }

        @Override
        public boolean writeMsr(int processor, int index, long value) {
            return false;
        }
    };
}
