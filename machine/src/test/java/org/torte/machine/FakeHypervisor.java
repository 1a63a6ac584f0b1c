package org.torte.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor;

/** A back-end whose guest is a piece of Java, which runs on every call of {@link VirtualProcessor#run}. */
final class FakeHypervisor implements Hypervisor {
    /** What a processor does in one run; it halts until it is cancelled when this says nothing else. */
    interface Guest {
        /** Whether the processor then meets a triple fault. */
        boolean run(int processor, ExitHandler machine);
    }

    private final Guest guest;
    final AtomicIntegerArray lines = new AtomicIntegerArray(24);
    volatile boolean external;
    volatile IntSupplier acknowledge = () -> -1;
    final AtomicInteger resets = new AtomicInteger();

    FakeHypervisor(Guest guest) {
        this.guest = guest;
    }

    @Override
    public String name() {
        return "fake";
    }

    @Override
    public long tscFrequency() {
        return 1_000_000_000L;
    }

    @Override
    public CpuidTable restrict(CpuidTable wanted) {
        return wanted;
    }

    @Override
    public Partition createPartition(PartitionConfiguration configuration) {
        return new FakePartition(configuration);
    }

    private final class FakePartition implements Partition {
        private final List<FakeProcessor> processors = new ArrayList<>();
        private int secret = 7;

        FakePartition(PartitionConfiguration configuration) {
            for (int i = 0; i < configuration.processors(); i++) {
                processors.add(new FakeProcessor(i, configuration.handler()));
            }
        }

        @Override
        public int processorCount() {
            return processors.size();
        }

        @Override
        public VirtualProcessor processor(int index) {
            return processors.get(index);
        }

        @Override
        public void setInterruptLine(int line, boolean high) {
            lines.set(line, high ? 1 : 0);
        }

        @Override
        public void signalMessage(long address, int data) {}

        @Override
        public void setExternalInterrupt(boolean high, IntSupplier newAcknowledge) {
            acknowledge = newAcknowledge;
            external = high;
        }

        @Override
        public void signalNmi(int processor) {}

        @Override
        public void memoryWritten(long address, long length) {}

        @Override
        public void flushTranslations(int caller, long mask) {}

        @Override
        public boolean setAutomaticEnd(int processor, int vector, boolean automatic) {
            return false;
        }

        @Override
        public void startDirtyTracking() {}

        @Override
        public void stopDirtyTracking() {}

        @Override
        public long[] takeDirtyPages() {
            return new long[0];
        }

        @Override
        public long tscFrequency() {
            return 1_000_000_000L;
        }

        @Override
        public void pause() {}

        @Override
        public void resume() {}

        @Override
        public void save(StateWriter state) {
            state.section("hypervisor.fake", 1, out -> out.putInt(secret));
        }

        @Override
        public void restore(StateReader state) {
            secret = state.section("hypervisor.fake", 1).getInt();
        }

        @Override
        public void reset() {
            resets.incrementAndGet();
        }

        @Override
        public void close() {}
    }

    /** What each of its processors says that it has used. */
    final AtomicLong runTime = new AtomicLong();

    private final class FakeProcessor implements VirtualProcessor {
        private final int index;
        private final ExitHandler handler;
        private final Semaphore cancelled = new Semaphore(0);
        private final long[] registers = new long[16];

        FakeProcessor(int index, ExitHandler handler) {
            this.index = index;
            this.handler = handler;
        }

        @Override
        public int index() {
            return index;
        }

        @Override
        public Exit run() {
            if (guest.run(index, handler)) {
                return Exit.SHUTDOWN;
            }
            cancelled.acquireUninterruptibly();
            cancelled.drainPermits();
            return Exit.CANCELLED;
        }

        @Override
        public void cancel() {
            cancelled.release();
        }

        @Override
        public CpuState state() {
            return new CpuState();
        }

        @Override
        public void setState(CpuState state) {}

        @Override
        public long register(int number) {
            return registers[number];
        }

        @Override
        public void setRegister(int number, long value) {
            registers[number] = value;
        }

        @Override
        public long vectorRegister(int number, int half) {
            return 0;
        }

        @Override
        public long timeStamp() {
            return 0;
        }

        @Override
        public long runTime() {
            return runTime.get();
        }

        @Override
        public long instructions() {
            return -1;
        }
    }
}
