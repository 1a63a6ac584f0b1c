package org.torte.bench;

import java.util.ServiceLoader;
import java.util.concurrent.TimeUnit;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor;

/** Port exits of the KVM back-end, there and back, as bench/exits.c has them without it: see bench/kvm. */
final class KvmExits {
    private static final int CODE = 0x1000, FLAT_CODE = 0xc09b, FLAT_DATA = 0xc093;

    /** out 0x70, al; jmp back. */
    private static final byte[] LOOP = {(byte) 0xe6, 0x70, (byte) 0xeb, (byte) 0xfc};

    private KvmExits() {}

    /** {@code SECONDS}: prints nanoseconds of wall time for each exit, after as long to get warm. */
    public static void main(String[] args) throws InterruptedException {
        int seconds = Integer.parseInt(args[0]);
        Hypervisor kvm = ServiceLoader.load(Hypervisor.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(hypervisor -> hypervisor.name().equals("kvm"))
                .findFirst()
                .orElseThrow();
        CpuidTable cpuid = new CpuidTable.Builder()
                .leaf(0, 1, 0x68747541, 0x444d4163, 0x69746e65)
                .leaf(1, 0xa20f12, 0, 0, 0x0789_abff)
                .build();
        Counter counter = new Counter();
        try (GuestMemory memory = GuestMemory.allocate(2 << 20);
                TimerThread timers = new TimerThread(Clock.system(), "timers");
                Partition partition = kvm.createPartition(new PartitionConfiguration(
                        memory, 1, cpuid, kvm.tscFrequency(), timers, RandomSource.seeded(1), counter))) {
            memory.write(CODE, LOOP, 0, LOOP.length);
            VirtualProcessor processor = partition.processor(0);
            processor.setState(start());
            partition.resume();
            Thread runs = Thread.ofPlatform().daemon().start(processor::run);
            TimeUnit.SECONDS.sleep(seconds);
            long exits = counter.exits;
            long began = System.nanoTime();
            TimeUnit.SECONDS.sleep(seconds);
            exits = counter.exits - exits;
            long nanos = System.nanoTime() - began;
            processor.cancel();
            runs.join();
            System.out.println(nanos / Math.max(1, exits));
        }
    }

    private static CpuState start() {
        CpuState state = new CpuState();
        state.rip = CODE;
        state.cr0 = 0x11;
        for (int i = 0; i < 6; i++) {
            state.segments[i] = new CpuState.Segment(0x10, 0, -1, FLAT_DATA);
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, FLAT_CODE);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, 0x82);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, 0x8b);
        return state;
    }

    private static final class Counter implements ExitHandler {
        /** Written by the processor's thread alone. */
        volatile long exits;

        @Override
        public void writePort(int processor, int port, int size, int value) {
            long next = exits + 1;
            exits = next;
        }

        @Override
        public int readPort(int processor, int port, int size) {
            return 0;
        }

        @Override
        public long readMemory(int processor, long address, int size) {
            return 0;
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
    }
}
