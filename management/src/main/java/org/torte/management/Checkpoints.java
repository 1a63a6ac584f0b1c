package org.torte.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.torte.disk.operation.LiveDisk;
import org.torte.management.definition.Checkpoint;
import org.torte.management.definition.Checkpoint.Consistency;
import org.torte.management.definition.Checkpoint.Kind;
import org.torte.management.definition.CheckpointChange;
import org.torte.management.definition.CheckpointTree;
import org.torte.management.definition.CheckpointTree.Link;
import org.torte.management.definition.CheckpointTree.Pending;
import org.torte.management.definition.Hardware.Disk;
import org.torte.management.definition.VmDefinition;
import org.torte.management.process.VmFolder;
import org.torte.management.process.Worker;

/**
 * The checkpoints of a virtual machine: made, applied and removed as tasks of it.
 *
 * <p>The definition says what is under way before anything is done, and what has been done afterwards; every version of it
 * is one from which the machine starts. {@link #settle} ends what was interrupted: a checkpoint exists if all of its new
 * files do, a file that is to be merged and is gone has been merged, and files that nothing names are deleted. A running
 * machine is asked which files it uses.
 */
public final class Checkpoints {
    private static final Duration MAKE_LIMIT = Duration.ofMinutes(10);
    private static final Duration MERGE_LIMIT = Duration.ofDays(7);
    /** How long a worker may take to end what is not wanted any more; a slow disk may hold it up. */
    private static final Duration CANCEL_LIMIT = Duration.ofMinutes(2);

    private static final Duration END_LIMIT = Duration.ofSeconds(20);
    /** For how long the guest's file systems are frozen at most, and how long it may take to freeze them; seconds. */
    private static final int HOLD = 60, FREEZE = 30;

    private static final Pattern PERCENT = Pattern.compile("(\\d{1,3}) %");

    private static final DateTimeFormatter NAME =
            DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss").withZone(ZoneOffset.UTC);

    private final Vm vm;
    private final VmFolder folder;
    private final CheckpointFiles files;
    private final Events events;
    private final InstantSource clock;
    private final Consumer<String> steps;
    private final Dependents dependents;

    Checkpoints(
            Vm vm, VmFolder folder, Events events, InstantSource clock, Consumer<String> steps, Dependents dependents) {
        this.vm = vm;
        this.dependents = dependents;
        this.folder = folder;
        this.events = events;
        this.clock = clock;
        this.steps = steps;
        files = new CheckpointFiles(folder, steps);
    }

    // ------------------------------------------------------------------ asked for

    /**
     * Keeps the machine as it is now.
     *
     * @param name what it is to be called; nothing for a name made of the time
     * @param kind whether the memory of a running machine is part of it; that of a saved one always is
     */
    public Task create(String owner, @Nullable String name, Kind kind) {
        return vm.begin(
                "checkpoint.new",
                owner,
                null,
                () -> {
                    vm.refuseUnlessSteady();
                    VmDefinition definition = vm.definition();
                    if (name != null) {
                        refuseTaken(definition, name);
                    }
                    refuseRaw(definition);
                },
                task -> {
                    settle();
                    make(task, name == null ? freeName() : name, kind, owner);
                });
    }

    /**
     * Returns a machine that does not run to a checkpoint, whose disks and memory stay as they are for the next time.
     *
     * @param checkpoint its name or id
     * @param keepAs the name of a checkpoint that is made first, of the machine as it is; nothing to throw that away
     */
    public Task apply(String owner, String checkpoint, @Nullable String keepAs) {
        return vm.begin(
                "checkpoint.apply",
                owner,
                null,
                () -> {
                    Checkpoint _ = find(checkpoint);
                    vm.refuseUnlessStopped("a checkpoint is applied to a machine that does not run; stop it first");
                    if (keepAs != null) {
                        refuseTaken(vm.definition(), keepAs);
                    }
                },
                task -> {
                    settle();
                    mergeAll(task);
                    UUID id = find(checkpoint).id();
                    if (keepAs != null) {
                        make(task, keepAs, Kind.STANDARD, owner);
                    }
                    settling(() -> apply(find(id.toString())));
                    tell("checkpoint.applied", find(id.toString()));
                });
    }

    /**
     * Removes a checkpoint. What the one checkpoint, or the machine, that went on from it has changed is merged into its
     * disks, also while the machine runs.
     */
    public Task remove(String owner, String checkpoint) {
        return vm.begin(
                "checkpoint.remove",
                owner,
                null,
                () -> {
                    vm.refuseUnlessSteady();
                    refuseBranching(find(checkpoint));
                    refuseCloned(find(checkpoint));
                },
                task -> {
                    settle();
                    Checkpoint gone = find(checkpoint);
                    mergeAll(task);
                    remove(find(gone.id().toString()));
                    tell("checkpoint.removed", gone);
                    settle();
                    mergeAll(task);
                });
    }

    /** Goes on with merges that were interrupted. */
    public Task merge(String owner) {
        return vm.begin("checkpoint.merge", owner, null, vm::refuseUnlessSteady, task -> {
            settle();
            mergeAll(task);
        });
    }

    /** Gives a checkpoint another name. */
    public Checkpoint rename(String checkpoint, String name) {
        vm.change(old -> {
            Checkpoint found = find(old, checkpoint);
            if (!VmDefinition.key(found.name()).equals(VmDefinition.key(name))) {
                refuseTaken(old, name);
            }
            return CheckpointChange.renamed(old, found, name);
        });
        return find(name);
    }

    /** Bytes that files take: those of a checkpoint, or of the machine now. */
    public long size(List<Disk> disks, @Nullable String savedState) {
        long sum = savedState == null ? 0 : files.size(savedState);
        for (Disk disk : disks) {
            sum += disk.readOnly() ? 0 : files.size(disk.path());
        }
        return sum;
    }

    /** For who holds the machine: brings in order what an interrupted piece of work has left. */
    void settleAll(Task task) {
        settle();
        mergeAll(task);
    }

    /** For who holds the machine, which does not run: keeps it as it is, for a clone to be based on. */
    Checkpoint makeForClone(Task task, String clone, String owner) {
        String name = ("for-" + clone).substring(0, Math.min(clone.length() + 4, 50));
        String free = name;
        for (int i = 2; vm.definition().checkpoints().find(free).isPresent(); i++) {
            free = name + "-" + i;
        }
        refuseRaw(vm.definition());
        make(task, free, Kind.PRODUCTION, owner);
        return find(free);
    }

    // ------------------------------------------------------------------ refused

    /** A checkpoint by name or id. */
    public Checkpoint find(String name) {
        return find(vm.definition(), name);
    }

    private static Checkpoint find(VmDefinition definition, String name) {
        return definition
                .checkpoints()
                .find(name)
                .orElseThrow(() -> new Problem(
                        Problem.Kind.NOT_FOUND,
                        definition.name() + " has no checkpoint \"" + name.replaceAll("\\p{Cntrl}", "?") + "\"",
                        "torte checkpoint list " + definition.name() + " shows those that there are"));
    }

    private static void refuseTaken(VmDefinition definition, String name) {
        VmDefinition.checkName("a checkpoint", name);
        if (definition.checkpoints().find(name).isPresent()) {
            throw new Problem(
                    Problem.Kind.EXISTS,
                    definition.name() + " has a checkpoint called " + name + " already",
                    "choose another name");
        }
    }

    private static void refuseRaw(VmDefinition definition) {
        if (definition.checkpoints().items().size() >= CheckpointTree.MOST) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    definition.name() + " has " + CheckpointTree.MOST + " checkpoints, which is the most",
                    "remove some");
        }
        for (Disk disk : definition.disks()) {
            if (!disk.readOnly() && disk.format().equals("raw")) {
                throw new Problem(
                        Problem.Kind.INVALID,
                        "the disk " + disk.path() + " is raw, and can have no checkpoints",
                        "convert it with torte vhd convert, and name the result with torte vm set --disk");
            }
        }
    }

    private void refuseBranching(Checkpoint checkpoint) {
        CheckpointTree tree = vm.definition().checkpoints();
        List<String> after = new ArrayList<>(
                tree.children(checkpoint.id()).stream().map(Checkpoint::name).toList());
        if (checkpoint.id().equals(tree.current())) {
            after.add("the machine itself");
        }
        if (after.size() > 1) {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    checkpoint.name() + " is what " + String.join(", ", after) + " have in common",
                    "remove all but one of these first");
        }
    }

    /** Its removal would change its files, and those of what went on from it. */
    private void refuseCloned(Checkpoint checkpoint) {
        Set<Path> touched = new HashSet<>();
        checkpoint.disks().forEach(disk -> touched.add(files.path(disk.path())));
        for (Checkpoint next : vm.definition().checkpoints().children(checkpoint.id())) {
            next.disks().forEach(disk -> touched.add(files.path(disk.path())));
        }
        checkpoint.disks().stream().filter(Disk::readOnly).forEach(disk -> touched.remove(files.path(disk.path())));
        dependents.of(vm, touched).ifPresent(clone -> {
            throw new Problem(
                    Problem.Kind.CONFLICT,
                    "the disks of " + clone + " are based on those of the checkpoint " + checkpoint.name(),
                    "remove " + clone + " first");
        });
    }

    private String freeName() {
        String name = NAME.format(clock.instant());
        String free = name;
        for (int i = 2; vm.definition().checkpoints().find(free).isPresent(); i++) {
            free = name + "-" + i;
        }
        return free;
    }

    // ------------------------------------------------------------------ done

    private void commit(java.util.function.UnaryOperator<VmDefinition> change) {
        steps.accept("write the definition");
        vm.commit(change);
        steps.accept("the definition is written");
    }

    private void tell(String type, Checkpoint checkpoint) {
        events.add(type, vm.id().toString(), Map.of("name", checkpoint.name(), "checkpoint", checkpoint.id()));
    }

    /** Does something, and settles even if that fails. */
    private void settling(Runnable work) {
        try {
            work.run();
        } catch (Problem e) {
            try {
                settle();
            } catch (Problem later) {
                e.addSuppressed(later);
            }
            throw e;
        }
        settle();
    }

    private void make(Task task, String name, Kind kind, String owner) {
        VmDefinition now = vm.definition();
        refuseTaken(now, name);
        Optional<Worker> running = vm.worker();
        boolean saved = running.isEmpty() && folder.isSaved(now);
        boolean withMemory = saved || running.isPresent() && kind == Kind.STANDARD;
        UUID id = UUID.randomUUID();
        String memory = withMemory ? "checkpoint-" + brief(id) + ".state" : null;
        Checkpoint checkpoint = new Checkpoint(
                id,
                name,
                now.checkpoints().current(),
                clock.instant().truncatedTo(ChronoUnit.SECONDS).toString(),
                owner,
                kind,
                withMemory ? Consistency.MEMORY : running.isEmpty() ? Consistency.OFF : Consistency.CRASH,
                memory,
                null,
                now.hardware());
        List<Link> links = links(now.disks());
        settling(() -> {
            commit(old -> CheckpointChange.begun(old, checkpoint, links, scratch(links, memory)));
            if (running.isPresent()) {
                makeRunning(task, running.get(), checkpoint, links);
                return;
            }
            if (memory != null) {
                files.copyState(now.savedState(), memory);
            }
            links.forEach(files::child);
        });
        tell("checkpoint.created", find(id.toString()));
    }

    private void makeRunning(Task task, Worker worker, Checkpoint checkpoint, List<Link> links) {
        boolean frozen = checkpoint.kind() == Kind.PRODUCTION && freeze(task, worker);
        try {
            Map<String, Object> arguments = new LinkedHashMap<>();
            Map<String, String> children = new LinkedHashMap<>();
            for (Link link : links) {
                children.put(
                        Integer.toString(unit(checkpoint.disks(), link)),
                        files.path(link.child()).toString());
            }
            arguments.put("disks", children);
            if (checkpoint.savedState() != null) {
                arguments.put("memory", files.path(checkpoint.savedState()).toString());
            }
            JsonNode answer = await(
                    task,
                    worker,
                    worker.ask("checkpoint.new", arguments, said -> percent(task, said)),
                    MAKE_LIMIT,
                    "making the checkpoint",
                    "try again");
            long stood = answer.path("stood-ms").asLong();
            task.log(
                    checkpoint.savedState() == null
                            ? "the machine stood still for " + stood + " ms"
                            : "memory was copied while the machine ran, "
                                    + mebibytes(answer, "copied-again") + " MiB of it again in "
                                    + rounds(answer.path("rounds").asInt()) + "; it stood still for " + stood
                                    + " ms, for "
                                    + mebibytes(answer, "copied-last") + " MiB and its disks"
                                    + slowed(answer.path("least-speed").asDouble(1)));
            Consistency known = checkpoint.consistency();
            if (frozen && answer.path("frozen").asBoolean()) {
                known = Consistency.FILE_SYSTEMS;
            } else if (frozen) {
                task.log("the guest had thawed its file systems by then; the disks are as after a power failure");
            }
            Consistency consistency = known;
            commit(old -> CheckpointChange.known(old, consistency, stood));
        } finally {
            if (frozen) {
                thaw(task, worker);
            }
        }
    }

    private static String rounds(int count) {
        return count == 1 ? "1 round" : count + " rounds";
    }

    private static String slowed(double speed) {
        return speed == 1
                ? ""
                : String.format(
                        Locale.ROOT,
                        "; it wrote faster than that and was slowed down meanwhile, to %.1f %% of its speed",
                        speed * 100);
    }

    /**
     * Waits for what a worker does. If nobody wants to wait any longer the worker is told, and it has the last word: what
     * could not be ended any more is done.
     */
    private static JsonNode await(
            Task task, Worker worker, CompletableFuture<JsonNode> asked, Duration limit, String what, String remedy) {
        try {
            return task.await(asked, limit, what, remedy);
        } catch (Problem e) {
            if (asked.isDone() || Thread.currentThread().isInterrupted()) {
                throw e;
            }
            worker.cancel(asked);
            try {
                JsonNode done = asked.get(CANCEL_LIMIT.toSeconds(), TimeUnit.SECONDS);
                task.log("it was too late to end " + what + ": it is done");
                return done;
            } catch (ExecutionException | TimeoutException later) {
                e.addSuppressed(later);
                throw e;
            } catch (InterruptedException later) {
                Thread.currentThread().interrupt();
                throw e;
            }
        }
    }

    private static long mebibytes(JsonNode answer, String name) {
        return answer.path(name).asLong() >> 20;
    }

    private static int unit(List<Disk> disks, Link link) {
        for (int unit = 0; unit < disks.size(); unit++) {
            if (disks.get(unit).path().equals(link.parent())) {
                return unit;
            }
        }
        throw new IllegalStateException("no disk " + link);
    }

    private static boolean freeze(Task task, Worker worker) {
        try {
            task.await(
                    worker.ask("freeze", Map.of("hold", HOLD, "timeout", FREEZE)),
                    Duration.ofSeconds(2 * FREEZE),
                    "freezing the guest's file systems",
                    "look at its console");
            return true;
        } catch (Problem e) {
            if (e.kind() == Problem.Kind.CANCELLED) {
                throw e;
            }
            task.log("the guest's file systems are not frozen (" + e.cause()
                    + "); the disks are as after a power failure");
            return false;
        }
    }

    private static void thaw(Task task, Worker worker) {
        try {
            worker.ask("thaw", Map.of("timeout", FREEZE)).get(2L * FREEZE, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            task.log("the guest does not say that it has thawed its file systems; it does so by itself within " + HOLD
                    + " s");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void apply(Checkpoint to) {
        VmDefinition now = vm.definition();
        List<Link> links = links(to.disks());
        String saved = "saved-" + brief(UUID.randomUUID()) + ".state";
        commit(old -> CheckpointChange.scratched(old, scratch(links, saved)));
        String memory = to.savedState();
        if (memory != null) {
            files.copyState(memory, saved);
        }
        links.forEach(files::child);
        List<String> left = new ArrayList<>(writable(now.disks()));
        left.add(now.savedState());
        commit(old -> CheckpointChange.scratched(CheckpointChange.applied(old, to, links, saved), left));
    }

    private void remove(Checkpoint gone) {
        refuseBranching(gone);
        refuseCloned(gone);
        List<String> left = new ArrayList<>(writable(gone.disks()));
        String memory = gone.savedState();
        if (memory != null) {
            left.add(memory);
        }
        commit(old -> CheckpointChange.scratched(CheckpointChange.removed(old, gone), left));
    }

    private void mergeAll(Task task) {
        for (List<Link> left = merges(); !left.isEmpty(); left = merges()) {
            Link link = left.getFirst();
            Optional<Worker> running = vm.worker().filter(_ -> inUse(vm.definition(), link.child()));
            if (running.isPresent()) {
                JsonNode _ = await(
                        task,
                        running.get(),
                        running.get()
                                .ask(
                                        "checkpoint.merge",
                                        Map.of("file", files.real(link.child()).toString()),
                                        said -> percent(task, said)),
                        MERGE_LIMIT,
                        "merging",
                        "go on with torte checkpoint merge");
            } else {
                files.merge(link, (done, total) -> {
                    task.progress(total <= 0 ? 0 : (int) (99.0 * done / total));
                    return !task.cancelled().isDone();
                });
            }
            commit(old -> CheckpointChange.merged(old, link));
        }
    }

    /** A worker says "42 %". */
    private static void percent(Task task, String said) {
        Matcher number = PERCENT.matcher(said);
        if (number.matches()) {
            task.progress(Math.min(99, Integer.parseInt(number.group(1))));
        }
    }

    private List<Link> merges() {
        return vm.definition().checkpoints().merges();
    }

    /** Whether a running machine reads a file: it is the machine's own, or one of those that it went on from. */
    private static boolean inUse(VmDefinition definition, String file) {
        Set<String> chain = new HashSet<>();
        definition.disks().forEach(disk -> chain.add(disk.path()));
        UUID at = definition.checkpoints().current();
        while (at != null) {
            Checkpoint one = find(definition, at.toString());
            one.disks().forEach(disk -> chain.add(disk.path()));
            at = one.parent();
        }
        return chain.contains(file);
    }

    // ------------------------------------------------------------------ settled

    /**
     * Ends what was interrupted, as far as that takes no time. Before the machine is started, and before and after other
     * work.
     *
     * @throws Problem when it cannot be told how far that came, or a file not be deleted; nothing is lost then
     */
    void settle() {
        if (vm.worker().isEmpty()) {
            folder.sweep();
        }
        Pending pending = vm.definition().checkpoints().pending();
        if (pending != null) {
            Predicate<Link> used = used(pending);
            String memory = pending.checkpoint().savedState();
            boolean complete = memory == null || files.exists(memory);
            commit(old -> CheckpointChange.ended(old, used, complete));
        }
        for (Link link : merges()) {
            // Both missing is no merge, but a disk that is elsewhere.
            if (!files.exists(link.child()) && files.exists(link.parent())) {
                // Whoever merged it may have ended between the deletion of the file and that of its journal.
                files.forgetMerge(link.child());
                commit(old -> CheckpointChange.merged(old, link));
            }
        }
        VmDefinition now = vm.definition();
        List<String> scratch = now.checkpoints().scratch();
        if (!scratch.isEmpty()) {
            Set<String> needed = CheckpointChange.files(now);
            scratch.stream().filter(file -> !needed.contains(file)).forEach(files::delete);
            commit(CheckpointChange::cleaned);
        }
    }

    private Predicate<Link> used(Pending pending) {
        Optional<Set<Path>> open = vm.worker().flatMap(this::openFiles);
        if (open.isPresent()) {
            return link -> open.get().contains(files.real(link.child()));
        }
        for (Link link : pending.links()) {
            if (!files.exists(link.parent())) {
                throw new Problem(
                        Problem.Kind.UNAVAILABLE,
                        "the disk " + files.path(link.parent()) + " is missing, and a checkpoint of it was interrupted",
                        "put it back where it was");
            }
        }
        return link -> files.exists(link.child());
    }

    /** The files that a worker has open as disks, when no checkpoint is being made; nothing if it is gone. */
    private Optional<Set<Path>> openFiles(Worker worker) {
        CompletableFuture<JsonNode> asked = worker.ask("checkpoint.disks", Map.of());
        try {
            Set<Path> open = new HashSet<>();
            asked.get(MAKE_LIMIT.toSeconds(), TimeUnit.SECONDS)
                    .path("disks")
                    .forEach(file -> open.add(Path.of(file.asText())));
            return Optional.of(open);
        } catch (ExecutionException | TimeoutException e) {
            return awaitEnd(worker, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "the service is stopping", "ask again", e);
        }
    }

    private static Optional<Set<Path>> awaitEnd(Worker worker, Exception reason) {
        try {
            worker.end().get(END_LIMIT.toSeconds(), TimeUnit.SECONDS);
            return Optional.empty();
        } catch (ExecutionException | TimeoutException e) {
            throw new Problem(
                    Problem.Kind.TIMEOUT,
                    "the worker does not say which files it uses",
                    "turn it off with torte vm stop --turn-off",
                    reason);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "the service is stopping", "ask again", e);
        }
    }

    // ------------------------------------------------------------------ names

    /** New files beside the disks that can be written, as their children. */
    private static List<Link> links(List<Disk> disks) {
        List<Link> links = new ArrayList<>();
        for (Disk disk : disks) {
            if (!disk.readOnly()) {
                links.add(new Link(childName(disk.path()), disk.path(), disk.format()));
            }
        }
        return links;
    }

    /** disk.vhdx, disk-0123abcd.vhdx and then not disk-0123abcd-4567cdef.vhdx, but disk-4567cdef.vhdx. */
    private static String childName(String path) {
        Path file = Path.of(path);
        String name = String.valueOf(file.getFileName());
        int dot = name.lastIndexOf('.');
        String base = dot <= 0 ? name : name.substring(0, dot);
        String type = dot <= 0 ? "" : name.substring(dot);
        String child = base.replaceFirst("-[0-9a-f]{8}$", "") + "-" + brief(UUID.randomUUID()) + type;
        return file.resolveSibling(child).toString();
    }

    private static String brief(UUID id) {
        return id.toString().substring(0, 8);
    }

    private static List<String> writable(List<Disk> disks) {
        return disks.stream().filter(disk -> !disk.readOnly()).map(Disk::path).toList();
    }

    private static List<String> scratch(List<Link> links, @Nullable String memory) {
        List<String> made = new ArrayList<>();
        for (Link link : links) {
            made.add(link.child());
            made.add(link.child() + LiveDisk.PART);
        }
        if (memory != null) {
            made.add(memory);
        }
        return made;
    }
}
