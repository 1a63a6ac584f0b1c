package org.torte.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.PausableClock;
import org.torte.base.StateException;
import org.torte.base.StateReader;
import org.torte.base.StateWriter;
import org.torte.base.TimerDriver;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.VirtualProcessor;
import org.torte.machine.acpi.AcpiTables;
import org.torte.machine.chipset.PowerControl;
import org.torte.machine.integration.IntegrationServices;
import org.torte.machine.vmbus.Vmbus;
import org.torte.machine.vmbus.VmbusAcpi;

/**
 * One virtual machine. It is made standing: {@link #start} loads what it boots and lets it run, or {@link #restore} and
 * {@link #resume} let it go on from a saved state. Each processor is a platform thread, {@code torte-cpu-N}. All methods
 * may be called by any thread.
 *
 * <p>Time inside stands still while the machine does not run.
 */
public final class Machine implements AutoCloseable {
    private static final long CLOSE_NANOS = 10_000_000_000L;
    private static final int WORKER_IDLE_SECONDS = 10;

    private enum Mode {
        /** Made or restored, never run. */
        NEW,
        RUNNING,
        PAUSED,
        ENDED
    }

    /** What a processor or the host wants done once all processors stand. */
    private sealed interface Request {
        record Reset(boolean byGuest) implements Request {}

        record End(MachineEnd how) implements Request {}

        record Crash(int processor) implements Request {}
    }

    private final MachineConfiguration configuration;
    private final MachineHost host;
    private final PausableClock clock;
    private final TimerDriver timers;
    private final ExecutorService workers;
    private final GuestMemory memory;
    private final Chipset chipset;
    private final AcpiTables acpi;
    private final Partition partition;
    private final List<Thread> threads = new ArrayList<>();
    private final CompletableFuture<MachineEnd> end = new CompletableFuture<>();

    private final ReentrantLock lock = new ReentrantLock();
    /** The mode or the request has changed. */
    private final Condition changed = lock.newCondition();

    private final ProcessorBudget budget;

    private Mode mode = Mode.NEW;
    private int standing;
    private @Nullable Request request;
    private @Nullable BootLoader loader;
    private boolean closed;

    private Machine(MachineConfiguration configuration, MachineHost host) {
        configuration.requireOn(host.hypervisor());
        this.configuration = configuration;
        this.host = host;
        clock = new PausableClock(host.clock());
        memory = configuration.allocateMemory();
        timers = host.timers().apply(clock);
        workers = workers();
        try {
            chipset = new Chipset(
                    configuration, memory, timers, new Power(), host.listener()::guestCrash, workers, this::fail);
            partition = host.hypervisor()
                    .createPartition(new PartitionConfiguration(
                            memory,
                            configuration.processors(),
                            configuration.cpuid(),
                            configuration.tscFrequency(),
                            timers,
                            host.random(),
                            chipset));
        } catch (RuntimeException | Error e) {
            timers.close();
            memory.close();
            throw e;
        }
        chipset.connect(partition);
        acpi = new AcpiTables(configuration.processors(), List.of(VmbusAcpi.terms()));
        standing = configuration.processors();
        budget = new ProcessorBudget(configuration.processors());
    }

    /** Threads for what devices do that may block; devices bound how much that is. */
    private static ThreadPoolExecutor workers() {
        AtomicInteger number = new AtomicInteger();
        return new ThreadPoolExecutor(
                0,
                Integer.MAX_VALUE,
                WORKER_IDLE_SECONDS,
                TimeUnit.SECONDS,
                new SynchronousQueue<>(),
                task -> Thread.ofPlatform()
                        .name("torte-device-" + number.getAndIncrement())
                        .daemon()
                        .unstarted(task));
    }

    /**
     * Makes a machine with RAM full of zeroes.
     *
     * @throws org.torte.hypervisor.HypervisorException when the back-end cannot offer such a machine
     * @throws OutOfMemoryError when the host has no room for its RAM
     */
    public static Machine create(MachineConfiguration configuration, MachineHost host) {
        return new Machine(configuration, host);
    }

    /** What it is. */
    public MachineConfiguration configuration() {
        return configuration;
    }

    /** Its RAM. */
    public GuestMemory memory() {
        return memory;
    }

    /** Its processors and interrupt controllers. */
    public Partition partition() {
        return partition;
    }

    /** A serial port: 0 is COM1 (port 0x3f8), 1 is COM2 (port 0x2f8). */
    public SerialPort serial(int index) {
        return chipset.serial(index);
    }

    /** The bus of its synthetic devices, which may be attached and detached at any time. */
    public Vmbus vmbus() {
        return chipset.vmbus();
    }

    /** The integration services that it has: what is known of the guest and asked of it. */
    public IntegrationServices integration() {
        return chipset.integration();
    }

    /**
     * Sets what the machine starts from when it is reset, for machines that go on from saved state; {@link #start} does
     * it by itself.
     */
    public void setBootLoader(BootLoader newLoader) {
        lock.lock();
        try {
            loader = newLoader;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Loads what it boots and lets it run. Exceptions of the boot loader come out here, and the machine can be started
     * again with another one.
     */
    public void start(BootLoader newLoader) {
        lock.lock();
        try {
            if (mode != Mode.NEW) {
                throw new IllegalStateException("the machine has been started already");
            }
            loader = newLoader;
            load(newLoader);
            run();
        } finally {
            lock.unlock();
        }
    }

    /** Stops all processors and the machine's time; on return nothing in it moves. Does nothing unless it runs. */
    public void pause() {
        lock.lock();
        try {
            if (mode != Mode.RUNNING) {
                return;
            }
            mode = Mode.PAUSED;
            cancelProcessors();
            while (standing < partition.processorCount() || request != null) {
                changed.awaitUninterruptibly();
            }
            if (mode == Mode.PAUSED) {
                halt();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Whether its processors run or may. */
    public boolean isRunning() {
        lock.lock();
        try {
            return mode == Mode.RUNNING;
        } finally {
            lock.unlock();
        }
    }

    /** Lets a paused or restored machine run. Does nothing when it runs already or has ended. */
    public void resume() {
        lock.lock();
        try {
            if (mode == Mode.PAUSED || mode == Mode.NEW) {
                run();
            }
        } finally {
            lock.unlock();
        }
    }

    /** From now on each processor runs only while it has time left that {@link #grantProcessorTime} gives, or freely again. */
    public void limitProcessors(boolean limited) {
        lock.lock();
        try {
            budget.limit(limited);
            if (!closed) {
                cancelProcessors();
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /**
     * Gives each processor of a limited machine time of the host. A processor that runs is looked at only here: whoever
     * limits a machine calls this regularly, a hundred times a second or so.
     *
     * @param nanos how much
     * @param most how much one that did not need it can have in hand
     */
    public void grantProcessorTime(long nanos, long most) {
        lock.lock();
        try {
            if (budget.limited() && mode == Mode.RUNNING) {
                budget.grant(nanos, most);
                cancelProcessors();
                changed.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /** Resets it as the reset button does; it starts again from its boot loader. */
    public void reset() {
        submit(new Request.Reset(false));
    }

    /** Turns it off at once, from every state. Does nothing when it has ended. */
    public void stop() {
        submit(new Request.End(new MachineEnd.Stopped()));
    }

    /** Presses the power button: the guest is asked to shut down. */
    public void pressPowerButton() {
        chipset.pressPowerButton();
    }

    /** Whether it has ended, or nothing but its end will come: someone has turned it off, or it failed. */
    public boolean isEnding() {
        lock.lock();
        try {
            return mode == Mode.ENDED || request instanceof Request.End;
        } finally {
            lock.unlock();
        }
    }

    /** Completes when the machine has ended and its processors stand; its memory and registers can still be read. */
    public CompletableFuture<MachineEnd> end() {
        return end.copy();
    }

    /** The registers of all processors. Only while the machine does not run. */
    public List<CpuState> processorStates() {
        List<CpuState> states = new ArrayList<>();
        for (int i = 0; i < partition.processorCount(); i++) {
            states.add(partition.processor(i).state());
        }
        return states;
    }

    /**
     * Writes everything but RAM. Only while the machine is paused or new.
     */
    public void save(StateWriter state) {
        lock.lock();
        try {
            requireStill();
            state.section("machine.clock", 1, out -> out.putLong(clock.nanos()));
            partition.save(state);
            chipset.save(state);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Reads what {@link #save} wrote, RAM already being in place; {@link #resume} then lets it run.
     *
     * @throws org.torte.base.StateException when the state does not fit; the machine is then good for nothing but
     *     {@link #close}
     */
    public void restore(StateReader state) {
        lock.lock();
        try {
            requireStill();
            long nanos = state.section("machine.clock", 1).getLong();
            if (nanos < 0) {
                throw new StateException("the saved state cannot be loaded: its clock shows " + nanos + " ns");
            }
            clock.set(nanos);
            partition.restore(state);
            chipset.restore(state);
        } finally {
            lock.unlock();
        }
    }

    /** Turns it off and frees everything, memory included. */
    @Override
    public void close() {
        stop();
        for (Thread thread : List.copyOf(threads)) {
            join(thread);
        }
        lock.lock();
        try {
            if (!closed) {
                closed = true;
                workers.shutdown();
                timers.close();
                partition.close();
                memory.close();
            }
        } finally {
            lock.unlock();
        }
    }

    private static void join(Thread thread) {
        try {
            if (!thread.join(java.time.Duration.ofNanos(CLOSE_NANOS))) {
                throw new IllegalStateException(thread.getName() + " did not stop; the machine's memory stays mapped");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while closing a machine; its memory stays mapped", e);
        }
    }

    private void requireStill() {
        if (mode == Mode.RUNNING) {
            throw new IllegalStateException("a running machine must be paused first");
        }
    }

    private void load(BootLoader bootLoader) {
        acpi.write(memory);
        bootLoader.load(new BootTarget(memory, MemoryMap.describe(memory), acpi.rsdp(), partition.processor(0)));
    }

    private void run() {
        if (threads.isEmpty()) {
            for (int i = 0; i < partition.processorCount(); i++) {
                VirtualProcessor processor = partition.processor(i);
                threads.add(Thread.ofPlatform().name("torte-cpu-" + i).daemon().unstarted(() -> execute(processor)));
            }
            standing = 0;
            mode = Mode.RUNNING;
            move();
            threads.forEach(Thread::start);
        } else {
            mode = Mode.RUNNING;
            move();
            changed.signalAll();
        }
    }

    private final class Power implements PowerControl {
        @Override
        public void reset() {
            submit(new Request.Reset(true));
        }

        @Override
        public void powerOff() {
            submit(new Request.End(new MachineEnd.PoweredOff()));
        }

        @Override
        public void exit(int status) {
            submit(new Request.End(new MachineEnd.Exited(status)));
        }
    }

    private void move() {
        clock.resume();
        partition.resume();
        chipset.start();
        timers.resume();
    }

    /** Workers and timers never wait for this machine's lock, so they can be waited for with it. */
    private void halt() {
        timers.pause();
        chipset.stop();
        clock.pause();
        partition.pause();
    }

    /** An error of our own in a device. Its thread may be one that the machine waits for. */
    private void fail(Throwable cause) {
        Thread _ = Thread.ofPlatform()
                .name("torte-failure")
                .daemon()
                .start(() -> submit(new Request.End(new MachineEnd.Failed(cause))));
    }

    private void cancelProcessors() {
        for (int i = 0; i < partition.processorCount(); i++) {
            partition.processor(i).cancel();
        }
    }

    /** Has a request carried out as soon as all processors stand; the first one wins, but an end wins over a reset. */
    private void submit(Request wanted) {
        lock.lock();
        try {
            boolean wins = request == null || request instanceof Request.Reset && wanted instanceof Request.End;
            if (wins && mode != Mode.ENDED) {
                request = wanted;
                if (standing == partition.processorCount()) {
                    carryOut();
                } else {
                    cancelProcessors();
                }
            }
        } finally {
            lock.unlock();
        }
    }

    private void carryOut() {
        Request wanted = request;
        request = null;
        switch (wanted) {
            case null -> {}
            case Request.Reset reset -> restart(reset.byGuest());
            case Request.End(MachineEnd how) -> finish(how);
            case Request.Crash(int processor) ->
                finish(new MachineEnd.Crashed(new CrashReport(
                        processor,
                        processorStates(),
                        partition.processor(processor).lastSteps())));
        }
        changed.signalAll();
    }

    private void restart(boolean byGuest) {
        BootLoader bootLoader = loader;
        if (bootLoader == null) {
            finish(new MachineEnd.ResetWithoutBootLoader());
            return;
        }
        try {
            boolean running = mode == Mode.RUNNING;
            halt();
            memory.clear();
            partition.reset();
            chipset.reset();
            load(bootLoader);
            // Neither the clearing nor the loader has told who copies memory or keeps code of it.
            memory.banks().forEach(bank -> partition.memoryWritten(bank.address(), bank.length()));
            if (running) {
                move();
            }
        } catch (RuntimeException | Error e) {
            finish(new MachineEnd.Failed(e));
            return;
        }
        if (byGuest) {
            host.listener().guestReset();
        }
    }

    private void finish(MachineEnd how) {
        mode = Mode.ENDED;
        halt();
        end.completeAsync(() -> how);
    }

    /** The life of a processor's thread. */
    private void execute(VirtualProcessor processor) {
        while (awaitTurn(processor)) {
            try {
                if (processor.run() == VirtualProcessor.Exit.SHUTDOWN) {
                    submit(new Request.Crash(processor.index()));
                }
            } catch (RuntimeException | Error e) {
                submit(new Request.End(new MachineEnd.Failed(e)));
            }
        }
    }

    /** Stands until the processor may run; false when it never will again. */
    private boolean awaitTurn(VirtualProcessor processor) {
        lock.lock();
        try {
            boolean hasTime = budget.mayRun(processor.index(), processor.runTime());
            if (mode == Mode.RUNNING && request == null && hasTime) {
                return true;
            }
            standing++;
            if (standing == partition.processorCount()) {
                carryOut();
            }
            changed.signalAll();
            while (mode == Mode.PAUSED || request != null || mode == Mode.RUNNING && budget.holds(processor.index())) {
                changed.awaitUninterruptibly();
            }
            if (mode == Mode.ENDED) {
                return false;
            }
            standing--;
            return true;
        } finally {
            lock.unlock();
        }
    }
}
