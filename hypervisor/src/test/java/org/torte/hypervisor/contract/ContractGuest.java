package org.torte.hypervisor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import org.torte.base.Clock;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.RandomSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.base.TimerThread;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor;

/**
 * A partition with the kernel of src/test/kernels/contract, which does one task. Tests hear of what it asks for on its
 * processor's thread. Whatever goes wrong in the guest ends after {@link #LIMIT_SECONDS}.
 */
final class ContractGuest implements ExitHandler, AutoCloseable {
    static final long LIMIT_SECONDS = 60;
    private static final int BASE = 0x10_0000;
    private static final long MEMORY = 16L << 20;
    private static final int FLAT_CODE = 0xc09b, FLAT_DATA = 0xc093, TASK = 0x8b, TABLE = 0x82;

    /** What a guest may do, in the order of the kernel's table. */
    enum Task {
        PORTS,
        DEVICE,
        REGISTERS,
        TIMER,
        EDGE,
        LEVEL,
        MESSAGE,
        NMI,
        EXTERNAL,
        SPIN,
        HALT,
        SECOND,
        PAGES,
        CALL,
        TRIPLE,
        HOLD,
        EXACT,
        DEADLINE,
        NMI_HALTED,
        DOORBELL
    }

    final GuestMemory memory = GuestMemory.allocate(MEMORY);
    final PausableClock clock = new PausableClock(Clock.system());
    private final TimerThread timers = new TimerThread(clock, "contract-timers");
    final Partition partition;

    /** What the guest wrote to port 0xe9. */
    final List<Integer> output = Collections.synchronizedList(new ArrayList<>());

    /** All other exits, as text. */
    final List<String> exits = Collections.synchronizedList(new ArrayList<>());

    /** What to do when the guest asks, by the number it asks for. */
    volatile IntConsumer asked = number -> {};

    volatile boolean ended;
    private final List<Thread> threads = new ArrayList<>();

    ContractGuest(Backend backend, int processors) {
        try {
            partition = backend.get()
                    .createPartition(new PartitionConfiguration(
                            memory,
                            processors,
                            backend.get().restrict(cpuid()),
                            1_000_000_000L,
                            timers,
                            RandomSource.seeded(1),
                            this));
        } catch (RuntimeException e) {
            timers.close();
            memory.close();
            throw e;
        }
    }

    static CpuidTable cpuid() {
        return new CpuidTable.Builder()
                .leaf(0, 0xd, 0x68747541, 0x444d4163, 0x69746e65)
                .leaf(1, 0xa20f12, 0x00000800, 0x0120_2001 | 1 << 21, 0x078b_fbff)
                .leaf(0x8000_0000, 0x8000_0008, 0, 0, 0)
                .leaf(0x8000_0001, 0xa20f12, 0, 1, 0x2810_0800)
                .leaf(0x8000_0008, 48 << 8 | 40, 0, 0, 0)
                .build();
    }

    /** Loads the kernel for a task, at the power-up of a machine. */
    ContractGuest load(Task task) {
        return load(task, false);
    }

    /** As {@link #load(Task)}, and says whether the x87 is to be used, which KVM cannot emulate where it has to. */
    ContractGuest load(Task task, boolean x87) {
        byte[] image;
        try (InputStream in = ContractGuest.class.getResourceAsStream("/org/torte/hypervisor/software/contract.bin")) {
            image = Objects.requireNonNull(in).readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        memory.write(BASE, image, 0, image.length);
        partition.memoryWritten(BASE, image.length);
        CpuState state = new CpuState();
        state.rip = BASE;
        state.gpr[CpuState.RBX] = List.of(Task.values()).indexOf(task);
        state.gpr[CpuState.RBP] = x87 ? 1 : 0;
        state.cr0 = 0x11;
        for (int i = 0; i < 6; i++) {
            state.segments[i] = new CpuState.Segment(0x10, 0, -1, FLAT_DATA);
        }
        state.segments[CpuState.CS] = new CpuState.Segment(8, 0, -1, FLAT_CODE);
        state.segments[CpuState.LDTR] = new CpuState.Segment(0, 0, 0xffff, TABLE);
        state.segments[CpuState.TR] = new CpuState.Segment(0, 0, 0xffff, TASK);
        state.idtLimit = 0xffff;
        partition.processor(0).setState(state);
        return this;
    }

    /** Lets time go on. */
    ContractGuest begin() {
        clock.resume();
        partition.resume();
        timers.resume();
        return this;
    }

    /** Lets time stand. */
    void halt() {
        timers.pause();
        clock.pause();
        partition.pause();
    }

    /** Runs the first processor on a thread of its own until it stops, the others as long. */
    VirtualProcessor.Exit run() {
        CompletableFuture<VirtualProcessor.Exit> end = start();
        try {
            return end.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        } catch (java.util.concurrent.TimeoutException e) {
            throw new AssertionError("the guest did not end within " + LIMIT_SECONDS + " s; output " + output, e);
        } catch (java.util.concurrent.ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        } finally {
            if (!end.isDone()) {
                partition.processor(0).cancel();
            }
            stopOthers();
        }
    }

    CompletableFuture<VirtualProcessor.Exit> start() {
        CompletableFuture<VirtualProcessor.Exit> end = new CompletableFuture<>();
        for (int i = partition.processorCount() - 1; i >= 0; i--) {
            VirtualProcessor processor = partition.processor(i);
            threads.add(Thread.ofPlatform().daemon().name("contract-cpu-" + i).start(() -> {
                try {
                    VirtualProcessor.Exit exit = processor.run();
                    if (processor.index() == 0) {
                        end.complete(exit);
                    }
                } catch (RuntimeException | Error e) {
                    end.completeExceptionally(e);
                }
            }));
        }
        return end;
    }

    /** Cancels all processors and waits until they stand. */
    void stop() {
        partition.processor(0).cancel();
        stopOthers();
    }

    private void stopOthers() {
        for (int i = 1; i < partition.processorCount(); i++) {
            partition.processor(i).cancel();
        }
        for (Thread thread : threads) {
            try {
                assertThat(thread.join(java.time.Duration.ofSeconds(LIMIT_SECONDS)))
                        .as("%s stops when it is cancelled", thread.getName())
                        .isTrue();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        }
        threads.clear();
    }

    byte[] save() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "");
        partition.save(writer);
        writer.ram(memory);
        writer.finish();
        return out.toByteArray();
    }

    void restore(byte[] state) {
        try {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(state));
            reader.readRest(memory);
            partition.restore(reader);
            reader.requireAllRead();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public int readPort(int processor, int port, int size) {
        return 0xa1b2_c3d4 >>> 32 - 8 * size;
    }

    @Override
    public void writePort(int processor, int port, int size, int value) {
        switch (port) {
            case 0xe9 -> output.add(value);
            case 0xe8 -> asked.accept(value);
            case 0xf4 -> {
                ended = true;
                partition.processor(0).cancel();
            }
            default -> exits.add("out %x %d %x".formatted(port, size, value));
        }
    }

    @Override
    public long readMemory(int processor, long address, int size) {
        exits.add("read %x %d".formatted(address, size));
        return 0x8877_6655_4433_2211L >>> 64 - 8 * size;
    }

    @Override
    public void writeMemory(int processor, long address, int size, long value) {
        exits.add("write %x %d %x".formatted(address, size, value));
    }

    @Override
    public boolean readMsr(int processor, int index, MsrValue result) {
        exits.add("rdmsr %x".formatted(index));
        result.value = 0x1122_3344_5566_7788L;
        return index == 0x4000_0020;
    }

    @Override
    public boolean writeMsr(int processor, int index, long value) {
        exits.add("wrmsr %x %x".formatted(index, value));
        return index == 0x4000_0081;
    }

    @Override
    public void close() {
        timers.close();
        partition.close();
        memory.close();
    }
}
