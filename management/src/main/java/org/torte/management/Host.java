package org.torte.management;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisks;
import org.torte.management.definition.Adapter;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.Json;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.SwitchHost;
import org.torte.management.process.VmFolder;
import org.torte.management.process.WorkerEnd;
import org.torte.management.process.Workers;
import org.torte.management.store.Database;
import org.torte.management.store.DurableFile;
import org.torte.management.store.Reason;
import org.torte.network.process.SwitchDefinition;

/** The virtual machines of one data folder, with their tasks and events. Safe for several threads. */
public final class Host implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger(Host.class.getName());

    private final DataFolder data;
    private final Workers workers;
    private final InstantSource clock;
    private final Consumer<String> steps;
    private final Database database;
    private final Events events;
    private final Tasks tasks;
    private final Admission admission;
    private final Thread memory;
    private final Map<UUID, Vm> machines = new ConcurrentHashMap<>();
    /** Folders whose definition cannot be read, and why: shown, never touched. */
    private final Map<Path, Problem> unreadable = new ConcurrentHashMap<>();

    private final Object changing = new Object();
    private final Set<Path> registered = new LinkedHashSet<>();

    private final Switches switches;

    private Host(DataFolder data, Workers workers, SwitchHost network, InstantSource clock, Consumer<String> steps) {
        this.data = data;
        this.steps = steps;
        this.workers = workers;
        this.clock = clock;
        database = Database.open(data.database());
        events = new Events(database, clock);
        tasks = new Tasks(database, events, clock);
        admission = new Admission(workers.memory(), machines::values);
        MemoryControl control = new MemoryControl(machines::values, admission, System::nanoTime);
        memory = Thread.ofVirtual().name("memory").unstarted(control::run);
        try {
            switches = new Switches(data, network, events, this::definitions);
        } catch (RuntimeException e) {
            database.close();
            throw e;
        }
    }

    private List<VmDefinition> definitions() {
        return machines.values().stream().map(vm -> vm.definition()).toList();
    }

    /**
     * Opens a data folder, takes over the workers that run already, and starts what is to start by itself.
     *
     * @throws Problem when the folder cannot be used
     */
    public static Host open(DataFolder data, Workers workers, SwitchHost network, InstantSource clock) {
        return open(data, workers, network, clock, _ -> {});
    }

    /** The same, with somebody who is told of each step of the work on checkpoints, and may throw. */
    static Host open(
            DataFolder data, Workers workers, SwitchHost network, InstantSource clock, Consumer<String> steps) {
        Host host = new Host(data, workers, network, clock, steps);
        try {
            host.load();
        } catch (RuntimeException e) {
            host.database.close();
            throw e;
        }
        return host;
    }

    private void load() {
        readRegistered();
        List<Path> folders = new ArrayList<>(registered);
        try (DirectoryStream<Path> children = Files.newDirectoryStream(data.machines(), Files::isDirectory)) {
            for (Path child : children) {
                if (String.valueOf(child.getFileName()).endsWith(FolderCopy.PARTIAL)) {
                    // A copy that did not come to its end.
                    FolderCopy.removeLeft(child);
                } else {
                    folders.add(child);
                }
            }
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the folder " + data.machines() + " cannot be read (" + Reason.of(e) + ")",
                    "give the user of the service permission to read it",
                    e);
        }
        Set<String> names = new HashSet<>();
        // Reading them is most of the work, and does not depend on each other.
        folders.parallelStream().map(Host::read).toList().forEach(found -> load(found, names));
        events.add("service.started", "", Map.of("machines", machines.size(), "unreadable", unreadable.size()));
        machines.values().forEach(this::adopt);
        // A machine whose definition cannot be read may run.
        if (unreadable.isEmpty()
                && machines.values().stream().noneMatch(vm -> vm.worker().isPresent())) {
            workers.sweep();
        }
        machines.values().forEach(Host::settle);
        switches.startByThemselves();
        machines.values().forEach(this::startByItself);
        memory.start();
    }

    /** One of which nobody can tell whether it runs is not said to be off. */
    private void adopt(Vm vm) {
        try {
            vm.adopt();
        } catch (Problem e) {
            machines.remove(vm.id());
            unreadable.put(vm.folder().path(), e);
            LOG.log(Level.WARNING, e.line());
        }
    }

    private static void settle(Vm vm) {
        try {
            vm.settle();
        } catch (Problem e) {
            // It is told again to whoever starts the machine; the others do not wait for it.
            LOG.log(Level.WARNING, vm.definition().name() + ": " + e.line());
        }
    }

    /** A folder with the definition in it, or why there is none. */
    private record Found(
            VmFolder folder,
            @Nullable VmDefinition definition,
            @Nullable Problem problem) {}

    private static Found read(Path path) {
        VmFolder folder = new VmFolder(path);
        try {
            return new Found(folder, folder.readUpgraded(), null);
        } catch (Problem e) {
            return new Found(folder, null, e);
        }
    }

    /**
     * Takes one in.
     *
     * @param names the keys of those that are there already
     */
    private void load(Found found, Set<String> names) {
        VmDefinition definition = found.definition;
        Problem problem = found.problem;
        try {
            if (definition != null) {
                refuseId(definition);
                if (!names.add(VmDefinition.key(definition.name()))) {
                    throw taken(definition.name());
                }
                machines.put(definition.id(), vm(found.folder, definition));
            }
        } catch (Problem e) {
            problem = e;
        }
        if (problem != null) {
            unreadable.put(found.folder.path(), problem);
            LOG.log(Level.WARNING, problem.line());
        }
    }

    private Vm vm(VmFolder folder, VmDefinition definition) {
        return new Vm(folder, definition, workers, tasks, events, clock, steps, this::dependent, admission, switches);
    }

    /**
     * Lets a machine run.
     *
     * @param overcommit whether the host has the memory for it or not
     * @throws Problem when it has not, or the machine runs already; no task remains then
     */
    public Task start(Vm vm, String owner, boolean overcommit) {
        VmState state = vm.view().state();
        if (!overcommit && (state == VmState.OFF || state == VmState.SAVED)) {
            admission.refuse(vm.definition());
        }
        return vm.start(owner, overcommit);
    }

    /**
     * The memory of a host, in bytes.
     *
     * @param total what programs can have in all
     * @param available what they can still have
     * @param claimed what of that machines that run may still take
     * @param reserve what of it is kept for the host
     * @param free what other machines can have
     */
    public record Memory(long total, long available, long claimed, long reserve, long free) {}

    /** The host's memory; nothing where the host does not tell. */
    public Optional<Memory> memory() {
        Admission.Room room = admission.room();
        return room.available() == Long.MAX_VALUE
                ? Optional.empty()
                : Optional.of(new Memory(
                        room.total(), room.available(), room.claimed(), room.reserve(), Math.max(0, room.free())));
    }

    private void startByItself(Vm vm) {
        Vm.View view = vm.view();
        boolean wanted = switch (view.definition().automaticStart()) {
            case NOTHING -> false;
            case ALWAYS -> true;
            case IF_IT_RAN -> view.lastEnd() != null && view.lastEnd().cause() == WorkerEnd.Cause.DIED;
        };
        if (wanted && (view.state() == VmState.OFF || view.state() == VmState.SAVED)) {
            vm.start("service");
        }
    }

    /** The virtual machines, by name. */
    public List<Vm.View> list() {
        return machines.values().stream()
                .map(Vm::view)
                .sorted(Comparator.comparing(
                        view -> VmDefinition.key(view.definition().name())))
                .toList();
    }

    /** Folders whose definition cannot be read, and why. */
    public Map<Path, Problem> unreadable() {
        return Map.copyOf(unreadable);
    }

    /**
     * Finds a virtual machine.
     *
     * @param name its name, or its id
     * @throws Problem NOT_FOUND
     */
    public Vm find(String name) {
        Optional<Vm> byId = Optional.empty();
        try {
            byId = Optional.ofNullable(machines.get(UUID.fromString(name)));
        } catch (IllegalArgumentException e) {
            // Then it is a name.
            byId = Optional.empty();
        }
        return byId.or(() -> named(name)).orElseThrow(() -> {
            VmDefinition.checkName("a virtual machine", name);
            return new Problem(
                    Problem.Kind.NOT_FOUND,
                    "there is no virtual machine \"" + name + "\"",
                    "torte vm list shows those that there are");
        });
    }

    private Optional<Vm> named(String name) {
        String key = VmDefinition.key(name);
        return machines.values().stream()
                .filter(vm -> VmDefinition.key(vm.definition().name()).equals(key))
                .findFirst();
    }

    private void refuseTaken(VmDefinition definition) {
        refuseId(definition);
        refuseName(definition);
    }

    private void refuseId(VmDefinition definition) {
        if (machines.containsKey(definition.id())) {
            throw new Problem(
                    Problem.Kind.EXISTS,
                    "there is a virtual machine with the id " + definition.id() + " already",
                    "this is a copy of it: give it another id in its definition, or remove one of them");
        }
    }

    /** What is taken from a machine is as it is while it is off, or as a checkpoint has it. */
    private static void refuseSource(Vm source, @Nullable String checkpoint, String verb) {
        if (checkpoint == null) {
            source.refuseUnlessWhole("shut it down, or " + verb + " one of its checkpoints, with --checkpoint NAME");
        } else {
            Checkpoint _ = source.checkpoints().find(checkpoint);
        }
    }

    private void refuseName(VmDefinition definition) {
        refuseName(definition.name(), definition.id());
    }

    private void refuseName(String name, UUID id) {
        named(name).ifPresent(other -> {
            if (!other.id().equals(id)) {
                throw taken(name);
            }
        });
    }

    private static Problem taken(String name) {
        return new Problem(
                Problem.Kind.EXISTS, "there is a virtual machine called " + name + " already", "choose another name");
    }

    /**
     * Makes a virtual machine, with a folder of its own.
     *
     * @throws Problem what is wrong with it; nothing is left then
     */
    public Vm create(NewVm wish) {
        synchronized (changing) {
            UUID id = UUID.randomUUID();
            VmFolder folder = new VmFolder(data.machines().resolve(id.toString()));
            List<Disk> disks = new ArrayList<>();
            Disk image = wish.image();
            if (image != null) {
                disks.add(new Disk("disk." + image.format(), image.format(), false));
            }
            if (wish.disks() != null) {
                disks.addAll(wish.disks());
            }
            VmDefinition definition = wish.definition(id, disks);
            refuseTaken(definition);
            refuseUnknownSwitches(null, definition);
            refuseMissing(folder, definition, image == null ? 0 : 1);
            if (definition.hardware().kernel().isEmpty() && disks.isEmpty()) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        "there is nothing to start from",
                        "give a kernel (boot.kernel), a disk (disks) or an image (image)");
            }
            if (image != null) {
                refuseRawImage(image);
            }
            return add(folder, definition, image == null ? Map.of() : Map.of(disks.getFirst(), image));
        }
    }

    /**
     * Makes the folder of a virtual machine.
     *
     * @param children differencing disks in it, and their parents
     */
    private Vm add(VmFolder folder, VmDefinition definition, Map<Disk, Disk> children) {
        WhatIf.wouldChange();
        boolean done = false;
        try {
            DurableFile.makeFolder(folder.path());
            children.forEach((child, parent) -> differencing(folder, parent, child));
            folder.write(definition);
            DurableFile.forceFolder(data.machines());
            done = true;
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    "the folder " + folder.path() + " cannot be made (" + Reason.of(e) + ")",
                    "make room, and give the user of the service permission to write there",
                    e);
        } finally {
            if (!done) {
                Removal.deleteQuietly(folder.path());
            }
        }
        Vm vm = vm(folder, definition);
        machines.put(definition.id(), vm);
        events.add("vm.created", definition.id().toString(), Map.of("name", definition.name()));
        return vm;
    }

    /**
     * Makes a virtual machine like another, as a task of that one: with the same hardware, disks that keep only what differs
     * from its, and addresses of its own. A forwarded port leads to one machine only, so it has none.
     *
     * @param checkpoint the name or id of what it is to be like; without one, the machine as it is, which must be off and gets
     *     a checkpoint that the clone is based on
     */
    public Task clone(Vm source, String owner, String name, @Nullable String checkpoint) {
        return source.begin(
                "vm.clone",
                owner,
                null,
                () -> {
                    VmDefinition.checkName("a virtual machine", name);
                    refuseName(name, UUID.randomUUID());
                    refuseSource(source, checkpoint, "clone");
                },
                task -> {
                    source.checkpoints().settleAll(task);
                    VmDefinition definition = source.definition();
                    Hardware like = definition.hardware();
                    if (checkpoint != null || like.disks().stream().anyMatch(disk -> !disk.readOnly())) {
                        Checkpoint base = checkpoint == null
                                ? source.checkpoints().makeForClone(task, name, owner)
                                : source.checkpoints().find(checkpoint);
                        like = base.hardware();
                        task.log("the clone is based on the checkpoint " + base.name()
                                + (base.consistency() == Checkpoint.Consistency.OFF
                                        ? ""
                                        : ", without its memory: it starts as after a power failure"));
                    }
                    synchronized (changing) {
                        refuseName(name, UUID.randomUUID());
                        Clone clone = Clone.of(source.folder(), definition, like, name);
                        Vm _ = add(
                                new VmFolder(data.machines().resolve(clone.id().toString())),
                                clone.definition(),
                                clone.children());
                    }
                });
    }

    /**
     * Copies a machine into a folder that needs nothing outside of it, as a task of it.
     *
     * @param target an absolute path where nothing is yet
     * @param checkpoint the name or id of a checkpoint that is copied instead of the machine, which may run then; without
     *     one, the machine must be off
     */
    public Task export(Vm source, String owner, Path target, @Nullable String checkpoint) {
        return source.begin(
                "vm.export",
                owner,
                null,
                () -> {
                    refuseTarget(target);
                    refuseSource(source, checkpoint, "export");
                },
                task -> {
                    if (checkpoint == null) {
                        source.checkpoints().settleAll(task);
                    }
                    Export export = planExport(source, checkpoint);
                    task.log(export.names().size() + " files with " + (export.bytes() >> 20) + " MiB go to " + target);
                    export.write(target, task, steps);
                });
    }

    /**
     * What would be exported.
     *
     * @param files their names in the folder
     * @param bytes of all of them
     */
    public record ExportPlan(List<String> files, long bytes) {}

    /**
     * What {@link #export} would do.
     *
     * @throws Problem what is in the way, apart from what the machine does now
     */
    public ExportPlan planExport(Vm source, Path target, @Nullable String checkpoint) {
        refuseTarget(target);
        Export export = planExport(source, checkpoint);
        FolderCopy.refuseWithoutRoom(target, export.bytes());
        return new ExportPlan(List.copyOf(export.names().values()), export.bytes());
    }

    private static Export planExport(Vm source, @Nullable String checkpoint) {
        return Export.of(
                source.folder(),
                source.definition(),
                checkpoint == null ? null : source.checkpoints().find(checkpoint));
    }

    private void refuseTarget(Path target) {
        Path parent = target.getParent();
        if (!target.isAbsolute() || parent == null || !Files.isDirectory(parent)) {
            throw new Problem(
                    Problem.Kind.INVALID,
                    "the folder for " + target + " is not there",
                    "give the path of a new folder in one that there is");
        }
        if (target.startsWith(data.path())) {
            throw new Problem(
                    Problem.Kind.INVALID, target + " lies in the data folder of the service", "name one elsewhere");
        }
        if (Files.exists(target, java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
            throw FolderCopy.taken(target);
        }
    }

    /** What would become of a folder from elsewhere, and what is in the way. */
    public Import planImport(Import.Wish wish) {
        return Import.check(wish, data.machines(), this::taken, Files.isWritable(Path.of("/dev/kvm")));
    }

    private Optional<Problem> taken(VmDefinition definition) {
        if (machines.containsKey(definition.id())) {
            return Optional.of(new Problem(
                    Problem.Kind.EXISTS,
                    "there is a virtual machine with the id " + definition.id() + " already",
                    "give --copy, which gives it one of its own"));
        }
        try {
            refuseName(definition);
            VmDefinition.checkName("a virtual machine", definition.name());
            return Optional.empty();
        } catch (Problem e) {
            return Optional.of(new Problem(e.kind(), e.cause(), "give another with --name", e));
        }
    }

    /**
     * Takes in a folder from elsewhere, as a task: where it lies, or as a copy in the data folder.
     *
     * @throws Problem the first thing that is in the way; no task remains then
     */
    public Task importVm(String owner, Import.Wish wish) {
        Import plan = planImport(wish);
        plan.refuse();
        VmDefinition definition = plan.definition().orElseThrow();
        return tasks.start("vm.import", definition.id().toString(), definition.name(), owner, _ -> {}, task -> {
            plan.notes().forEach(task::log);
            VmFolder source = new VmFolder(plan.folder());
            if (!plan.copy()) {
                take(source, definition);
                return;
            }
            VmFolder place =
                    new VmFolder(data.machines().resolve(definition.id().toString()));
            Export.of(source, definition, null).write(place.path(), task, steps);
            try {
                take(place, place.read());
            } catch (Problem e) {
                Removal.deleteQuietly(place.path());
                throw e;
            }
        });
    }

    private void take(VmFolder folder, VmDefinition definition) {
        synchronized (changing) {
            refuseTaken(definition);
            if (!folder.path().startsWith(data.machines())) {
                VmDefinition _ = folder.readUpgraded();
                folder.write(definition);
                registered.add(folder.path());
                writeRegistered();
                unreadable.remove(folder.path());
            }
            machines.put(definition.id(), vm(folder, definition));
        }
        events.add("vm.imported", definition.id().toString(), Map.of("name", definition.name()));
    }

    /** The name of another machine whose disks are made of one of the files, too. */
    private Optional<String> dependent(Vm machine, Set<Path> files) {
        return machines.values().stream()
                .filter(other -> !other.equals(machine))
                .filter(other -> Chains.known(other.folder(), other.definition()).stream()
                        .anyMatch(files::contains))
                .map(other -> other.definition().name())
                .findFirst();
    }

    /** What the definition names has to be there now; later it may go and come as its owner likes. */
    private static void refuseMissing(VmFolder folder, VmDefinition definition, int made) {
        Stream<String> boot =
                Stream.concat(definition.hardware().kernel().stream(), definition.hardware().boot().initrds().stream());
        Stream<String> images = definition.disks().stream().skip(made).map(Disk::path);
        Stream.concat(boot, images).forEach(file -> {
            if (!Files.isReadable(folder.resolve(file)) || Files.isDirectory(folder.resolve(file))) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        "there is no file " + file + " that the service can read",
                        "give the absolute path of one");
            }
        });
    }

    private static void refuseRawImage(Disk image) {
        if (image.format().equals("raw")) {
            throw new Problem(
                    Problem.Kind.INVALID,
                    "a raw image can have no differencing disks",
                    "convert it with torte vhd convert, or give it as a disk");
        }
    }

    private static void differencing(VmFolder folder, Disk image, Disk child) {
        DiskFormat format = DiskFormat.valueOf(image.format().toUpperCase(java.util.Locale.ROOT));
        try {
            VirtualDisks.create(
                    folder.resolve(child.path()),
                    format,
                    new CreateOptions(DiskType.DIFFERENCING, 0, 0, 0, 0, Optional.of(folder.resolve(image.path()))),
                    DiskOptions.readWrite());
        } catch (DiskException e) {
            throw new Problem(Problem.Kind.INVALID, "the image cannot be used: " + e.getMessage(), "give another", e);
        }
    }

    /** Takes in the folder of a virtual machine that lies elsewhere, and leaves it there. */
    public Vm register(Path path) {
        synchronized (changing) {
            Path absolute = path.toAbsolutePath().normalize();
            VmFolder folder = new VmFolder(absolute);
            VmDefinition definition = folder.read();
            refuseTaken(definition);
            WhatIf.wouldChange();
            VmDefinition _ = folder.readUpgraded();
            registered.add(absolute);
            writeRegistered();
            unreadable.remove(absolute);
            Vm vm = vm(folder, definition);
            machines.put(definition.id(), vm);
            vm.adopt();
            events.add("vm.registered", definition.id().toString(), Map.of("name", definition.name()));
            return vm;
        }
    }

    /**
     * Changes a definition.
     *
     * @param change makes the new one of the old one; it may be called more than once
     */
    public Vm.View change(Vm vm, UnaryOperator<VmDefinition> change) {
        synchronized (changing) {
            VmDefinition before = vm.definition();
            VmDefinition after = vm.change(old -> {
                VmDefinition changed = change.apply(old);
                refuseName(changed);
                refuseUnknownSwitches(old, changed);
                return changed;
            });
            if (!after.name().equals(before.name())
                    || !after.hardware().adapters().equals(before.hardware().adapters())) {
                movePorts(vm, before);
            }
        }
        return vm.view();
    }

    /** Makes the ports of a machine that runs what its definition says, or takes that back. */
    private void movePorts(Vm vm, VmDefinition before) {
        try {
            switches.changed(vm.id());
        } catch (Problem e) {
            // Only what the ports are made of: a checkpoint may have come in the meantime.
            VmDefinition _ = vm.change(now -> now.withName(before.name())
                    .withHardware(now.hardware().withAdapters(before.hardware().adapters())));
            switches.changed(vm.id());
            throw e;
        }
    }

    /** What is new has to be there; what was there before may be missing, as disks may. */
    private void refuseUnknownSwitches(@Nullable VmDefinition old, VmDefinition wanted) {
        for (Adapter adapter : wanted.hardware().adapters()) {
            if (old == null || !old.hardware().adapters().contains(adapter)) {
                adapter.switchName().ifPresent(name -> {
                    SwitchDefinition its = switches.find(name);
                    if (!adapter.forwards().isEmpty() && its.type() != SwitchDefinition.Type.NAT) {
                        throw new Problem(
                                Problem.Kind.INVALID,
                                "adapter " + adapter.name() + " has forwards, and the switch " + its.name()
                                        + " is no nat",
                                "leave them out, or connect it to one that is, such as " + SwitchDefinition.DEFAULT);
                    }
                });
            }
        }
    }

    /** The switches. */
    public Switches switches() {
        return switches;
    }

    /**
     * Removes a virtual machine that does not run. Its folder, if disks are in it, goes as it is to where removed ones are,
     * and can be registered from there.
     *
     * @param withDisks deletes it instead, with the disks that are in it
     * @throws Problem when it runs, or disks of others need its own; nothing has changed then
     */
    public Removed remove(Vm vm, boolean withDisks) {
        synchronized (changing) {
            VmFolder folder = vm.folder();
            refuseParent(vm, folder);
            vm.remove();
            VmDefinition definition = vm.definition();
            boolean elsewhere = registered.contains(folder.path());
            Removed left = Removal.remove(data, folder, definition, elsewhere, withDisks);
            machines.remove(definition.id());
            if (registered.remove(folder.path())) {
                writeRegistered();
            }
            events.add("vm.removed", definition.id().toString(), Map.of("name", definition.name()));
            return left;
        }
    }

    private void refuseParent(Vm vm, VmFolder folder) {
        for (Vm other : machines.values()) {
            VmDefinition definition = other.definition();
            if (!other.equals(vm)
                    && Chains.known(other.folder(), definition).stream()
                            .anyMatch(file -> file.startsWith(folder.path()))) {
                throw new Problem(
                        Problem.Kind.CONFLICT,
                        "disks of " + definition.name() + " need files in its folder " + folder.path(),
                        "remove " + definition.name() + " first, or copy its disks with torte vhd convert");
            }
        }
    }

    private void readRegistered() {
        if (!Files.exists(data.registered())) {
            return;
        }
        try {
            for (String line : Json.read(
                    Files.readAllBytes(data.registered()),
                    String[].class,
                    data.registered().toString())) {
                registered.add(Path.of(line));
            }
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    data.registered() + " cannot be read (" + Reason.of(e) + ")",
                    "make it readable",
                    e);
        }
    }

    private void writeRegistered() {
        try {
            DurableFile.replace(
                    data.registered(),
                    Json.pretty(registered.stream().map(Path::toString).toList()));
        } catch (IOException e) {
            throw new Problem(
                    Problem.Kind.UNAVAILABLE,
                    data.registered() + " cannot be written (" + Reason.of(e) + ")",
                    "make room, and give the user of the service permission to write there",
                    e);
        }
    }

    /** How many virtual machines are in each state. */
    public Map<VmState, Long> counts() {
        Map<VmState, Long> counts = new LinkedHashMap<>();
        machines.values().forEach(vm -> counts.merge(vm.view().state(), 1L, Long::sum));
        return counts;
    }

    /** What goes on and has gone on. */
    public Tasks tasks() {
        return tasks;
    }

    /** What has happened. */
    public Events events() {
        return events;
    }

    /** The answers that were given, for requests that come again. */
    public Database database() {
        return database;
    }

    /** The data folder. */
    public DataFolder data() {
        return data;
    }

    /** Lets go of everything; workers go on. */
    @Override
    public void close() {
        memory.interrupt();
        switches.close();
        machines.values().forEach(Vm::detach);
        database.close();
    }
}
