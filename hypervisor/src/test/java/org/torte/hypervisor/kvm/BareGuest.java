package org.torte.hypervisor.kvm;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.concurrent.FutureTask;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor.Exit;

/** A partition of this host's KVM whose processors execute a few bytes of 32-bit code. */
final class BareGuest implements ExitHandler, AutoCloseable {
    private static final int CODE = 0x10_0000;
    private static final int FLAT_CODE = 0xc09b, FLAT_DATA = 0xc093, TASK = 0x8b, TABLE = 0x82;

    /** What to do when a processor writes to a port. */
    interface PortWrite {
        void written(int processor, int port);
    }

    final GuestMemory memory = GuestMemory.allocate(16 << 20);
    private final TimerThread timers = new TimerThread(new PausableClock(Clock.system()), "timers");
    private final PortWrite ports;
    final KvmPartition partition;

    /** The test is skipped, with the reason, where the host has no KVM. */
    BareGuest(int processors, PortWrite ports, int... code) {
        this.ports = ports;
        KvmHypervisor hypervisor = new KvmHypervisor();
        try {
            long _ = hypervisor.tscFrequency();
        } catch (HypervisorException e) {
            timers.close();
            memory.close();
            assumeTrue(false, e.getMessage());
        }
        Partition made = hypervisor.createPartition(new PartitionConfiguration(
                memory,
                processors,
                hypervisor.restrict(new CpuidTable.Builder()
                        .leaf(0, 1, 0x68747541, 0x444d4163, 0x69746e65)
                        .leaf(1, 0xa20f12, 0x00000800, 0x0120_2001, 0x078b_fbff)
                        .build()),
                1_000_000_000L,
                timers,
                RandomSource.seeded(1),
                this));
        partition = (KvmPartition) made;
        for (int i = 0; i < code.length; i++) {
            memory.putByte(CODE + i, code[i]);
        }
        for (int i = 0; i < processors; i++) {
            partition.processor(i).setState(start());
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
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, TABLE);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, TASK);
        state.idtLimit = 0xffff;
        return state;
    }

    /** Runs a processor on a thread of its own. */
    FutureTask<Exit> run(int index) {
        FutureTask<Exit> end = new FutureTask<>(() -> partition.processor(index).run());
        Thread.ofPlatform().daemon().start(end);
        return end;
    }

    @Override
    public int readPort(int processor, int port, int size) {
        return 0;
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {
        ports.written(processor, port);
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

    @Override
    public void close() {
        timers.close();
        partition.close();
        memory.close();
    }
}
