package org.torte.machine.hyperv;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.Partition.Doorbell;
import org.torte.hypervisor.VirtualProcessor;

/** Processors that are only registers, and a record of the interrupts they got. */
public final class FakePartition implements PartitionPort {
    /** An interrupt that a processor has got. */
    public record Interrupt(int processor, int vector) {}

    /** All interrupts so far. */
    public final List<Interrupt> interrupts = new ArrayList<>();

    /** Processors whose translations were flushed, one mask for each time. */
    public final List<Long> flushes = new ArrayList<>();

    /** Vectors with automatic end of interrupt. */
    public final List<Interrupt> automatic = new ArrayList<>();

    /** What the processors' time-stamp counters show. */
    public long timeStamp;

    /** How often a processor has waited for an interrupt. */
    public int waits;

    private final GuestMemory memory;
    private final List<Registers> processors = new ArrayList<>();

    /** A partition of some processors. */
    public FakePartition(GuestMemory memory, int count) {
        this.memory = memory;
        for (int i = 0; i < count; i++) {
            processors.add(new Registers(i));
        }
    }

    @Override
    public Registers processor(int index) {
        return processors.get(index);
    }

    @Override
    public synchronized void interrupt(int processor, int vector) {
        interrupts.add(new Interrupt(processor, vector));
    }

    /** The interrupts since the last call. */
    public synchronized List<Interrupt> takeInterrupts() {
        List<Interrupt> taken = List.copyOf(interrupts);
        interrupts.clear();
        return taken;
    }

    @Override
    public void memoryWritten(long address, long length) {
        if (!memory.contains(address, length)) {
            throw new AssertionError("a write outside RAM: %#x, %d".formatted(address, length));
        }
    }

    @Override
    public void flushTranslations(int caller, long mask) {
        flushes.add(mask);
    }

    @Override
    public Optional<Doorbell> doorbell(int port, int value, Runnable rung) {
        return Optional.empty();
    }

    @Override
    public void setAutomaticEnd(int processor, int vector, boolean on) {
        automatic.remove(new Interrupt(processor, vector));
        if (on) {
            automatic.add(new Interrupt(processor, vector));
        }
    }

    /** A processor. */
    public final class Registers implements VirtualProcessor {
        /** General registers. */
        public final long[] general = new long[16];

        /** Vector registers, low and high halves in turn. */
        public final long[] vectors = new long[32];

        /** What it says of its run time, in nanoseconds. */
        public long runTime;

        private final int index;

        Registers(int index) {
            this.index = index;
        }

        @Override
        public int index() {
            return index;
        }

        @Override
        public Exit run() {
            throw new UnsupportedOperationException("this processor has only registers");
        }

        @Override
        public void cancel() {}

        @Override
        public CpuState state() {
            throw new UnsupportedOperationException("this processor has only registers");
        }

        @Override
        public void setState(CpuState state) {}

        @Override
        public long register(int number) {
            return general[number];
        }

        @Override
        public void setRegister(int number, long value) {
            general[number] = value;
        }

        @Override
        public long vectorRegister(int number, int half) {
            return vectors[2 * number + half];
        }

        @Override
        public void awaitInterrupt() {
            waits++;
        }

        @Override
        public long timeStamp() {
            return timeStamp;
        }

        @Override
        public long runTime() {
            return runTime;
        }

        @Override
        public long instructions() {
            return 0;
        }
    }
}
