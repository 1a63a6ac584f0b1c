package org.torte.worker;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.base.MemorySink;
import org.torte.base.net.MacAddress;
import org.torte.disk.DiskStorage;
import org.torte.disk.operation.LiveDisk;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.LiveCopy;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;
import org.torte.hypervisor.TranslatorStatistics;
import org.torte.machine.CpuModels;
import org.torte.machine.GuestCrash;
import org.torte.machine.Machine;
import org.torte.machine.MachineConfiguration;
import org.torte.machine.MachineEnd;
import org.torte.machine.MachineHost;
import org.torte.machine.MachineListener;
import org.torte.machine.boot.BootSource;
import org.torte.machine.boot.KernelLoader;
import org.torte.machine.integration.Backup;
import org.torte.machine.integration.IntegrationService;
import org.torte.machine.integration.IntegrationServices;

/**
 * One virtual machine in this process. All methods may be called by any thread.
 *
 * <pre>{@code
 * try (VirtualMachine vm = VirtualMachine.builder()
 *         .kernel(Path.of("/boot/vmlinuz"))
 *         .initrd(Path.of("initrd.img"))
 *         .append("console=ttyS0")
 *         .build()) {
 *     vm.start();
 *     vm.console().waitForText("login:", Duration.ofMinutes(1));
 *     vm.console().type("root\n");
 *     ...
 *     ExitReport end = vm.awaitExit(Duration.ofMinutes(1));
 * }
 * }</pre>
 */
public final class VirtualMachine implements AutoCloseable {
    /** RAM of a machine whose builder is told nothing else. */
    public static final long DEFAULT_MEMORY = 512L << 20;

    /** What it does. */
    public enum State {
        /** It has not been started. */
        NEW,
        RUNNING,
        /** It stands and can go on. */
        PAUSED,
        ENDED
    }

    private final Machine machine;
    /** Held while the machine is saved or a checkpoint is made. Before {@link #standing}. */
    private final Object copying = new Object();
    /** Held while the machine must not go on. */
    private final Object standing = new Object();

    private final ProcessorLimit processorLimit;
    private final Console console;
    private final ExitCounter exits;
    private final Disks disks;
    private final Networks networks;
    private final @Nullable KernelLoader loader;
    private final @Nullable StartSource source;
    private final boolean restored;
    private final long instructionsBefore;
    private final AtomicLong startedAt = new AtomicLong();
    private final AtomicLong endedAt = new AtomicLong();
    private final List<Consumer<State>> listeners = new CopyOnWriteArrayList<>();

    private VirtualMachine(
            Machine machine,
            Console console,
            ExitCounter exits,
            Disks disks,
            Networks networks,
            @Nullable StartSource source,
            boolean restored) {
        this.machine = machine;
        processorLimit = new ProcessorLimit(machine);
        this.console = console;
        this.exits = exits;
        this.disks = disks;
        this.networks = networks;
        this.source = source;
        this.restored = restored;
        instructionsBefore = instructions();
        loader = source == null ? null : source.loader(disks);
        if (loader != null) {
            machine.setBootLoader(loader);
        }
        CompletableFuture<MachineEnd> _ = machine.end().whenComplete((_, _) -> {
            endedAt.set(System.nanoTime());
            tell(State.ENDED);
        });
    }

    private void tell(State state) {
        listeners.forEach(listener -> listener.accept(state));
    }

    /** Has changes of the state told from now on; listeners are short and do not block. */
    public void listen(Consumer<State> listener) {
        listeners.add(listener);
    }

    /** Removes a listener. */
    public void unlisten(Consumer<State> listener) {
        listeners.remove(listener);
    }

    /** What it does now. */
    public State state() {
        if (machine.isEnding()) {
            return State.ENDED;
        }
        if (machine.isRunning()) {
            return State.RUNNING;
        }
        return startedAt.get() == 0 ? State.NEW : State.PAUSED;
    }

    /** Describes a new machine. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Loads the kernel and lets the machine run; a restored one goes on where it was saved.
     *
     * @throws org.torte.machine.boot.BootException when the kernel or a module cannot be loaded
     */
    public void start() {
        if (!startedAt.compareAndSet(0, System.nanoTime())) {
            throw new IllegalStateException("the machine has been started already");
        }
        if (restored) {
            synchronized (standing) {
                machine.resume();
            }
        } else if (loader != null) {
            machine.start(loader);
        }
        tell(State.RUNNING);
    }

    /** The serial console, COM1. */
    public Console console() {
        return console;
    }

    /** What is known of the guest and asked of it, by services that it has drivers for. */
    public IntegrationServices integration() {
        return machine.integration();
    }

    /** What was booted and how, for logs. */
    public String description() {
        return loader == null ? "saved state" : loader.description();
    }

    /** Turns the machine off at once, like pulling its plug. */
    public void powerOff() {
        machine.stop();
    }

    /** Presses the power button: the guest is asked to shut down, if it listens. */
    public void pressPowerButton() {
        machine.pressPowerButton();
    }

    /**
     * Adds a disk; a guest that is running finds it by itself.
     *
     * @return the number of its unit on the controller, with which it can be removed
     * @throws InputException when it cannot be opened
     */
    public int addDisk(DiskSource source) {
        return disks.add(machine, source);
    }

    /**
     * Removes a disk, as if it were pulled out, and closes it. What the guest has not flushed by then is lost to it.
     *
     * @param unit what {@link #addDisk} gave; those of the builder are counted from 0
     * @throws InputException when there is none
     */
    public void removeDisk(int unit) {
        disks.remove(unit);
    }

    /**
     * Adds a network adapter; a guest that is running finds it by itself.
     *
     * @return its number, with which it can be removed
     * @throws InputException when it cannot be plugged in
     */
    public int addNetwork(NetworkSource source) {
        return networks.add(machine, source);
    }

    /**
     * Removes a network adapter, also from under a guest that uses it.
     *
     * @param number what {@link #addNetwork} gave; those of the builder are counted from 0
     * @throws InputException when there is none
     */
    public void removeNetwork(int number) {
        networks.remove(machine, number);
    }

    /**
     * The address of a network adapter, as the guest finds it.
     *
     * @throws InputException when there is no such adapter
     */
    public MacAddress networkAddress(int number) {
        return networks.address(number);
    }

    /**
     * Begins to write all frames that go through a network adapter into a new file, in the pcapng format, which Wireshark
     * and others read; it goes on until {@link #stopCapture} or the end of the machine. The guest does not wait for the
     * file's disk: what that is too slow for is dropped and counted.
     *
     * @param file a new file, which only its owner may read
     * @param length the most bytes of each frame that are kept, 1 to {@link Capture#MAX_LENGTH}
     * @throws InputException when there is no such adapter, it is being captured already, or the file cannot be made
     */
    public void startCapture(int number, Path file, int length) {
        networks.startCapture(number, file, length);
    }

    /**
     * Ends a capture, with all of it in the file.
     *
     * @throws InputException when there is none
     */
    public Capture.Result stopCapture(int number) {
        return networks.stopCapture(number);
    }

    /** What is known of its network adapters, by number. */
    public Map<Integer, NetworkState> networks() {
        return networks.states();
    }

    /** Its disks, by unit. */
    public Map<Integer, DiskSource> disks() {
        return disks.sources();
    }

    /** Its disks with their sizes and the files they are made of, by unit. */
    public Map<Integer, DiskState> diskStates() {
        return disks.states();
    }

    /**
     * A disk of this machine that the guest may write, to be merged or read as it is at one moment while the guest uses
     * it. It belongs to the machine: not to be closed, and to be grown by {@link #growDisk}, which tells the guest. A
     * merge that is under way when the machine is closed, or the disk removed, is cancelled.
     *
     * @param unit what {@link #addDisk} gave; those of the builder are counted from 0
     * @throws InputException when there is none
     */
    public LiveDisk disk(int unit) {
        return disks.live(unit);
    }

    /**
     * Makes a disk larger; a guest that is running is told.
     *
     * @param bytes a multiple of the disk's sector size
     * @throws InputException when the disk cannot have this size
     */
    public void growDisk(int unit, long bytes) {
        disks.grow(unit, bytes);
    }

    /**
     * Limits how much of a processor of the host each of its processors takes, in percent, also while it runs.
     *
     * @param percent 1 to 100, which is no limit
     * @throws InputException for others
     */
    public void limitProcessors(int percent) {
        processorLimit.set(percent);
    }

    /** How much of a processor of the host each of its processors takes at most, in percent. */
    public int processorLimit() {
        return processorLimit.percent();
    }

    /** The same, in thousandths, with what a copy of its memory that is under way leaves it. */
    int effectiveProcessorLimit() {
        return processorLimit.effective();
    }

    /** Stops processors and time; on return nothing in the machine moves. */
    public void pause() {
        synchronized (standing) {
            machine.pause();
        }
        if (state() == State.PAUSED) {
            tell(State.PAUSED);
        }
    }

    /** Lets a paused machine go on. */
    public void resume() {
        synchronized (standing) {
            machine.resume();
        }
        if (state() == State.RUNNING) {
            tell(State.RUNNING);
        }
    }

    /** Waits until the machine has ended. */
    public ExitReport awaitExit(Duration limit) {
        try {
            return report(machine.end().get(limit.toNanos(), TimeUnit.NANOSECONDS));
        } catch (TimeoutException e) {
            return new ExitReport.TimedOut();
        } catch (ExecutionException e) {
            return new ExitReport.Failed(e.getCause() == null ? e : e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new ExitReport.TimedOut();
        }
    }

    private ExitReport report(MachineEnd end) {
        return switch (end) {
            case MachineEnd.PoweredOff() -> new ExitReport.PoweredOff();
            case MachineEnd.Exited(int status) -> new ExitReport.GuestExit(status);
            case MachineEnd.Crashed(var crash) -> new ExitReport.Crashed(CrashText.of(crash, machine.memory()));
            case MachineEnd.ResetWithoutBootLoader() ->
                new ExitReport.Failed(new InputException(
                        "the guest asked to start again, but nothing says from which kernel; restart it with"
                                + " --kernel"));
            case MachineEnd.Stopped() -> new ExitReport.Stopped();
            case MachineEnd.Failed(Throwable cause) -> new ExitReport.Failed(cause);
        };
    }

    /**
     * Saves the whole machine to a file, which it replaces only when all is written. A running machine stands still
     * meanwhile and then goes on; a paused one stays paused.
     *
     * @throws InputException when the file cannot be written; what was there before is untouched
     */
    public void save(Path file) {
        synchronized (copying) {
            try (MachineFile saved = new MachineFile(file, machine)) {
                whileStanding(() -> {
                    disks.flush();
                    saved.devices(machine, disks, networks, source);
                    saved.writing(() -> saved.memory().ram(machine.memory()));
                    saved.end();
                    saved.commit();
                });
            }
        }
    }

    /**
     * How a checkpoint went.
     *
     * @param stood how long the guest stood
     * @param frozen whether the guest had frozen its file systems
     * @param copied what was copied of its memory after the first pass; nothing if its memory is not kept
     */
    public record Checkpointed(Duration stood, boolean frozen, Optional<LiveCopy.Copied> copied) {}

    /**
     * Keeps the machine as it is at one moment: its disks' files stay as they are, and what the guest writes from then on
     * goes to new differencing disks. Memory is copied while the machine runs; it is slowed down if it writes faster than
     * that ({@link LiveCopy}), stands for that moment and then goes on at its usual speed.
     * A paused one stays paused. All disks change or none.
     *
     * @param memory where its memory and devices go, for a machine that is to go on from there; nothing if only the disks
     *     are kept. The file is there when it is complete and durable, which is after the machine has gone on
     * @param children the new files, by unit
     * @param progress told how far the copying is; whatever it throws ends the checkpoint, with the machine as before
     * @return how it went
     * @throws InputException when that cannot be done; the machine goes on as before. If its memory cannot be made durable
     *     in the end, there is no file of it, and the disks are in the new files
     */
    public Checkpointed checkpoint(Optional<Path> memory, Map<Integer, Path> children, LiveCopy.Progress progress) {
        synchronized (copying) {
            try {
                return copyAndCheckpoint(memory, children, progress);
            } finally {
                disks.abandon(children);
            }
        }
    }

    private Checkpointed copyAndCheckpoint(
            Optional<Path> memory, Map<Integer, Path> children, LiveCopy.Progress progress) {
        if (memory.isEmpty()) {
            disks.prepare(children);
            return checkpoint(children, () -> {});
        }
        try (MachineFile saved = new MachineFile(memory.get(), machine);
                LiveCopy copy = liveCopy(saved.memory(), progress)) {
            saved.writing(copy::all);
            saved.force();
            disks.flush();
            disks.prepare(children);
            saved.writing(copy::rounds);
            AtomicReference<LiveCopy.@Nullable Copied> copied = new AtomicReference<>();
            Checkpointed done = checkpoint(children, () -> {
                disks.flush();
                saved.devices(machine, disks, networks, source);
                saved.writing(() -> copied.set(copy.rest()));
                saved.end();
            });
            saved.commit();
            return new Checkpointed(done.stood, done.frozen, Optional.ofNullable(copied.get()));
        }
    }

    /** Copying that ends with the machine. */
    private LiveCopy liveCopy(MemorySink sink, LiveCopy.Progress progress) {
        return new LiveCopy(machine.memory(), machine.partition(), sink, processorLimit::slow, (done, total) -> {
            if (machine.isEnding()) {
                throw new InputException("the machine has ended; start it again");
            }
            progress.advanced(done, total);
        });
    }

    /** The moment of a checkpoint. */
    private Checkpointed checkpoint(Map<Integer, Path> children, Runnable memory) {
        long from = System.nanoTime();
        boolean[] frozen = {false};
        whileStanding(() -> {
            if (state() == State.ENDED) {
                throw new InputException("the machine has ended; start it again");
            }
            memory.run();
            // The machine's clock stands, so that they stay frozen if they are.
            frozen[0] = integration()
                    .vss()
                    .filter(vss -> vss.state() == Backup.State.FROZEN)
                    .isPresent();
            disks.checkpoint(children);
        });
        return new Checkpointed(Duration.ofNanos(System.nanoTime() - from), frozen[0], Optional.empty());
    }

    /**
     * Copies the memory of the machine while it runs, and lets it stand for a moment when the copy is complete: what a
     * checkpoint does, for other purposes. A paused machine stays paused.
     *
     * @param sink where its memory goes
     * @param complete what is done at that moment, with the memory that has been copied
     * @return what was copied after the first pass
     * @throws InputException when the machine ends meanwhile
     */
    public LiveCopy.Copied copyMemory(MemorySink sink, Consumer<GuestMemory> complete) {
        synchronized (copying) {
            try (LiveCopy copy = liveCopy(sink, (_, _) -> {})) {
                copy.all();
                copy.rounds();
                AtomicReference<LiveCopy.@Nullable Copied> copied = new AtomicReference<>();
                whileStanding(() -> {
                    copied.set(copy.rest());
                    complete.accept(machine.memory());
                });
                return Objects.requireNonNull(copied.get());
            }
        }
    }

    /** Does something while nothing in the machine moves, and nobody lets it go on. */
    private void whileStanding(Runnable work) {
        synchronized (standing) {
            boolean wasRunning = machine.isRunning();
            machine.pause();
            try {
                work.run();
            } finally {
                if (wasRunning) {
                    machine.resume();
                }
            }
        }
    }

    /** Its disks, by unit, in the files where they are when no checkpoint is being made; waits for one that is. */
    public Map<Integer, DiskSource> settledDisks() {
        synchronized (copying) {
            return disks.sources();
        }
    }

    /**
     * The disk that has an image in its chain, to be merged ({@link LiveDisk#merge}).
     *
     * @throws InputException when no disk has
     */
    public LiveDisk diskWithLayer(Path image) {
        return disks.withLayer(image);
    }

    /** What it has done since it was started here; a restored machine's life before is not in it. */
    public Statistics statistics() {
        long instructions = instructions();
        if (instructions >= 0) {
            instructions -= instructionsBefore;
        }
        long from = startedAt.get();
        long to = endedAt.get() == 0 ? System.nanoTime() : endedAt.get();
        return new Statistics(
                from == 0 ? Duration.ZERO : Duration.ofNanos(to - from),
                machine.partition().processorCount(),
                instructions,
                exits.sum(ExitCounter.PORT_READ),
                exits.sum(ExitCounter.PORT_WRITE),
                exits.sum(ExitCounter.MEMORY_READ),
                exits.sum(ExitCounter.MEMORY_WRITE),
                exits.sum(ExitCounter.MSR_READ),
                exits.sum(ExitCounter.MSR_WRITE),
                machine.memory().size(),
                HostMemory.committed(machine.memory()));
    }

    /** What the translator has done; empty when the machine has none. */
    public Optional<TranslatorStatistics> translatorStatistics() {
        return machine.partition().translatorStatistics();
    }

    /** Why code is interpreted although it was to be translated, as the end of a sentence; else nothing. */
    public Optional<String> translatorObstacle() {
        return machine.partition().translatorObstacle();
    }

    private long instructions() {
        long sum = 0;
        for (int i = 0; i < machine.partition().processorCount(); i++) {
            long count = machine.partition().processor(i).instructions();
            if (count < 0) {
                return -1;
            }
            sum += count;
        }
        return sum;
    }

    /** Turns the machine off and frees everything it holds. */
    @Override
    public void close() {
        processorLimit.close();
        machine.stop();
        // Who still reads its memory ends first.
        synchronized (copying) {
            machine.close();
        }
        disks.close();
        networks.close();
        console.close();
    }

    /** Describes a machine. Setters check nothing; {@link #build} does. For one thread. */
    public static final class Builder {
        private @Nullable Path kernel;
        private DiskStorage storage = DiskStorage.host();
        private final List<BootSource.Module> modules = new ArrayList<>();
        private String commandLine = "";
        private long memory = DEFAULT_MEMORY;
        private int processors = 1;
        private String cpuModel = CpuModels.DEFAULT;
        private String hypervisorName = "auto";
        private TranslatorMode translator = TranslatorMode.ON;
        private @Nullable Hypervisor hypervisor;
        private OptionalInt exitPort = OptionalInt.empty();
        private @Nullable OutputStream consoleOutput;
        private @Nullable Path savedState;
        private @Nullable UUID identity;
        private final List<DiskSource> disks = new ArrayList<>();
        private final List<NetworkSource> networks = new ArrayList<>();
        private Set<IntegrationService> integration = IntegrationService.ALL;
        private Consumer<String> guestFailure = message -> {};

        private Builder() {}

        /**
         * A Linux bzImage, an ELF file with a PVH note, or a multiboot 1 image. Without one the machine starts from its
         * disks: as a boot loader does, it looks for a kernel in their file systems, anew at each start.
         */
        public Builder kernel(Path file) {
            kernel = file;
            return this;
        }

        /** A file for the kernel: Linux takes one, multiboot kernels take any number, in this order. */
        public Builder initrd(Path file) {
            return module(file, "");
        }

        /** A module with a command line of its own, which multiboot and PVH kernels can read. */
        public Builder module(Path file, String arguments) {
            modules.add(new BootSource.Module(file, arguments));
            return this;
        }

        /** The kernel's command line, or what is added to the one that is found on a disk. */
        public Builder append(String text) {
            commandLine = text;
            return this;
        }

        /** RAM in bytes, a multiple of 1 MiB. */
        public Builder memory(long bytes) {
            memory = bytes;
            return this;
        }

        /** Virtual processors. */
        public Builder processors(int count) {
            processors = count;
            return this;
        }

        /** The model of the processors, a name from {@link CpuModels}. */
        public Builder cpuModel(String name) {
            cpuModel = name;
            return this;
        }

        /** The back-end: {@code auto}, {@code software} or {@code kvm}. */
        public Builder hypervisor(String name) {
            hypervisorName = name;
            return this;
        }

        /**
         * Whether the software processor translates hot code into host code; on unless said. Nothing of it is saved with
         * the machine, and where the host does not allow it, code is interpreted.
         */
        public Builder translator(TranslatorMode mode) {
            translator = mode;
            return this;
        }

        /** The back-end itself, for tests. */
        Builder hypervisor(Hypervisor backend) {
            hypervisor = backend;
            return this;
        }

        /** An I/O port through which the guest can end the machine with a status. */
        public Builder exitPort(int port) {
            exitPort = OptionalInt.of(port);
            return this;
        }

        /** Where the files of a new machine's disks are: the host's own storage, or one that watches it. */
        public Builder diskStorage(DiskStorage place) {
            storage = place;
            return this;
        }

        /** A disk; the first one given is the first one the guest finds. */
        public Builder disk(DiskSource source) {
            disks.add(source);
            return this;
        }

        /** The integration services that it has; all of them if nothing else is said. */
        public Builder integration(Set<IntegrationService> services) {
            integration = services;
            return this;
        }

        /**
         * A network adapter; the first one given is the first one the guest finds.
         */
        public Builder network(NetworkSource source) {
            networks.add(source);
            return this;
        }

        /** What tells this machine from all others for ever; unless given, it follows from its first writable disk. */
        public Builder identity(UUID id) {
            identity = id;
            return this;
        }

        /** Tells machines apart for ever: what is the same for the same disk, if it writes one, otherwise anything. */
        private UUID identity() {
            if (identity != null) {
                return identity;
            }
            return disks.stream()
                    .filter(disk -> !disk.readOnly())
                    .findFirst()
                    .map(disk -> disk.file().toAbsolutePath().normalize().toString())
                    .map(path -> UUID.nameUUIDFromBytes(path.getBytes(StandardCharsets.UTF_8)))
                    .orElseGet(UUID::randomUUID);
        }

        /**
         * Who is told, in one line, when the guest's operating system reports that it has failed (Linux: a panic, if its
         * VMBus driver is loaded). Called on a thread of its own.
         */
        public Builder onGuestFailure(Consumer<String> listener) {
            guestFailure = listener;
            return this;
        }

        /**
         * A file that {@link VirtualMachine#save} wrote; it says everything about the machine but the back-end, and where
         * its disks and networks are now if they are elsewhere: those given are its first ones.
         */
        public Builder savedState(Path file) {
            savedState = file;
            return this;
        }

        /** Where a copy of all console output goes; the stream is never closed, and may block. */
        public Builder consoleOutput(OutputStream stream) {
            consoleOutput = stream;
            return this;
        }

        /**
         * Makes the machine, not started.
         *
         * @throws InputException when there can be no such machine
         */
        public VirtualMachine build() {
            if (savedState != null) {
                return restore(savedState);
            }
            StartSource source = source();
            checkProcessors(processors);
            checkMemory(memory);
            exitPort.ifPresent(Builder::checkPort);
            checkModel(cpuModel);
            MachineConfiguration configuration = new MachineConfiguration(memory, processors)
                    .withCpuModel(cpuModel)
                    .withIntegration(integration);
            if (exitPort.isPresent()) {
                configuration = configuration.withExitPort(exitPort.getAsInt());
            }
            ExitCounter exits = new ExitCounter();
            Disks open = Disks.open(disks, storage);
            Networks plugged = null;
            try {
                plugged = Networks.open(networks, identity());
                Machine machine = create(configuration, exits, false);
                open.attach(machine);
                plugged.attach(machine);
                return new VirtualMachine(
                        machine, new Console(machine.serial(0), consoleOutput), exits, open, plugged, source, false);
            } catch (RuntimeException e) {
                open.close();
                if (plugged != null) {
                    plugged.close();
                }
                throw e;
            }
        }

        private StartSource source() {
            if (kernel != null) {
                return new StartSource.Files(new BootSource(kernel, modules, commandLine));
            }
            if (disks.isEmpty()) {
                throw new InputException(
                        "there is nothing to boot; give a kernel with --kernel FILE, or a disk with one");
            }
            if (!modules.isEmpty()) {
                throw new InputException(
                        "an initial RAM disk needs a kernel that it belongs to; give that with --kernel, or leave both"
                                + " out");
            }
            return new StartSource.FromDisks(commandLine);
        }

        private VirtualMachine restore(Path file) {
            try (SavedMachine saved = SavedMachine.open(file)) {
                MachineConfiguration configuration = saved.configuration();
                checkMemory(configuration.memoryBytes());
                ExitCounter exits = new ExitCounter();
                Machine machine = create(configuration, exits, true);
                Disks open = null;
                Networks plugged = null;
                try {
                    open = saved.load(machine, disks);
                    open.attach(machine);
                    plugged = saved.networks(networks);
                    plugged.attach(machine);
                    StartSource source = saved.restore(machine);
                    return new VirtualMachine(
                            machine, new Console(machine.serial(0), consoleOutput), exits, open, plugged, source, true);
                } catch (RuntimeException e) {
                    machine.close();
                    if (open != null) {
                        open.close();
                    }
                    if (plugged != null) {
                        plugged.close();
                    }
                    throw e;
                }
            }
        }

        /** A machine that is restored is exactly as it was; a new one is fitted to the back-end. */
        private Machine create(MachineConfiguration configuration, ExitCounter exits, boolean exactly) {
            if (hypervisor != null) {
                return create(configuration, exits, exactly, hypervisor);
            }
            Hypervisor chosen = Backends.choose(hypervisorName).hypervisor();
            try {
                return create(configuration, exits, exactly, chosen);
            } catch (HypervisorException e) {
                // A saved machine may have more features than this KVM, or the host no room in it.
                if (!hypervisorName.equals("auto") || chosen.name().equals("software")) {
                    throw e;
                }
                return create(
                        configuration,
                        exits,
                        exactly,
                        Backends.choose("software").hypervisor());
            }
        }

        private Machine create(
                MachineConfiguration configuration, ExitCounter exits, boolean exactly, Hypervisor backend) {
            try {
                return Machine.create(
                        exactly ? configuration : configuration.fittedTo(backend),
                        MachineHost.of(exits.count(backend, translator), listener()));
            } catch (OutOfMemoryError e) {
                throw new InputException("the host has no room for " + (configuration.memoryBytes() >> 20)
                        + " MiB of guest memory (" + e.getMessage() + "); give less with --memory");
            }
        }

        private MachineListener listener() {
            Consumer<String> told = guestFailure;
            return new MachineListener() {
                @Override
                public void guestCrash(GuestCrash crash) {
                    Thread _ = Thread.ofPlatform()
                            .name("torte-guest-failure")
                            .daemon()
                            .start(() -> told.accept(GuestFailure.describe(crash)));
                }
            };
        }

        private static void checkProcessors(int count) {
            if (count < 1 || count > PartitionConfiguration.MAX_PROCESSORS) {
                throw new InputException("a machine has 1 to " + PartitionConfiguration.MAX_PROCESSORS
                        + " processors, not " + count + "; give another --processors");
            }
        }

        private static void checkModel(String name) {
            if (!CpuModels.names().contains(name)) {
                throw new InputException("there is no processor model \"" + name + "\"; --cpu-model takes "
                        + String.join(" or ", CpuModels.names()));
            }
        }

        private static void checkPort(int port) {
            if (port < 0 || port > 0xffff) {
                throw new InputException("I/O ports are 0 to 0xffff, not " + port + "; give another --exit-port");
            }
        }

        private static void checkMemory(long bytes) {
            long mebibyte = 1L << 20;
            if (bytes < MachineConfiguration.MIN_MEMORY) {
                throw new InputException("a machine needs at least " + MachineConfiguration.MIN_MEMORY / mebibyte
                        + " MiB of memory, and Linux some 64 MiB; give more with --memory");
            }
            if (bytes > MachineConfiguration.MAX_MEMORY) {
                throw new InputException("a machine has at most " + MachineConfiguration.MAX_MEMORY / mebibyte
                        + " MiB of memory; give less with --memory");
            }
            if (bytes % mebibyte != 0) {
                throw new InputException(
                        "memory comes in whole MiB, not in " + bytes + " bytes; give a number like 512M with --memory");
            }
            long host = HostMemory.total();
            if (bytes > host) {
                throw new InputException(bytes / mebibyte + " MiB of memory are more than the host's " + host / mebibyte
                        + " MiB; give less with --memory");
            }
        }
    }
}
