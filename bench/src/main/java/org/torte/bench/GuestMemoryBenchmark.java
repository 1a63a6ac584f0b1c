package org.torte.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.torte.base.GuestMemory;

/** Reads and writes of guest RAM by guest-physical address: the floor below every guest memory access. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class GuestMemoryBenchmark {
    private static final int ACCESSES = 4096;
    private static final int STRIDE = 8;

    private static final int SIZE = 1 << 20;

    private final GuestMemory memory = GuestMemory.allocate(SIZE);

    /** Commits every page, so that no first touch is measured. */
    @Setup
    public void touch() {
        for (long address = 0; address < SIZE; address += GuestMemory.PAGE_SIZE) {
            memory.putLong(address, address);
        }
    }

    /** Gives the RAM back. */
    @TearDown
    public void close() {
        memory.close();
    }

    /** Eight bytes at a time, upwards. */
    @Benchmark
    @OperationsPerInvocation(ACCESSES)
    public long getLong() {
        long sum = 0;
        for (int i = 0; i < ACCESSES; i++) {
            sum += memory.getLong((long) i * STRIDE);
        }
        return sum;
    }

    /** Eight bytes at a time, upwards. */
    @Benchmark
    @OperationsPerInvocation(ACCESSES)
    public void putLong() {
        for (int i = 0; i < ACCESSES; i++) {
            memory.putLong((long) i * STRIDE, i);
        }
    }
}
