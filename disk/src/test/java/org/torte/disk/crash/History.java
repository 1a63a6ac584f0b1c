package org.torte.disk.crash;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskStorage;
import org.torte.disk.crash.Recorder.Operation;

/**
 * Storage that remembers in one order what is done to all of its files, and makes what a power failure at any point would
 * leave: of each file what was forced, and of what came after it nothing, everything, any part. Files that were made or
 * deleted are so durably.
 */
public final class History implements DiskStorage {
    private sealed interface Event {
        record Changed(Path path, Operation operation) implements Event {}

        record Created(Path path) implements Event {}

        record Deleted(Path path) implements Event {}
    }

    /** Sees one state. {@code before} counts the events up to which things may have been begun. */
    @FunctionalInterface
    public interface Visitor {
        void visit(MemoryStorage state, int before, String description) throws Exception;
    }

    private final MemoryStorage storage;
    private final Map<Path, MemoryFile> start = new HashMap<>();
    private final List<Event> events = new ArrayList<>();

    /** Remembers what happens to a storage from now on. */
    public History(MemoryStorage storage) {
        this(storage, file -> file);
    }

    /** The same with something around each file, through which what is remembered comes. */
    public History(MemoryStorage storage, UnaryOperator<DiskFile> around) {
        this.storage = storage;
        storage.paths().forEach(path -> start.put(path, storage.get(path).copy()));
        storage.wrap((path, file) ->
                around.apply(new Recorder(file, operation -> add(new Event.Changed(path, operation)))));
    }

    private synchronized void add(Event event) {
        events.add(event);
    }

    /** The same for the same events in the same order; what is written may differ, because VHDs carry the time. */
    public synchronized long digest() {
        long digest = 0;
        for (Event event : events) {
            digest = MemoryFile.mix(digest ^ digest(event));
        }
        return digest;
    }

    private static int digest(Event event) {
        return event instanceof Event.Changed changed && changed.operation() instanceof Operation.Write write
                ? Objects.hash(changed.path(), write.position(), write.content().length)
                : event.hashCode();
    }

    /** How much has happened. */
    public synchronized int count() {
        return events.size();
    }

    /**
     * Visits what failures between the events from {@code first} on would leave, each different state of a point once.
     *
     * @param samples how many random parts of what was not forced are tried at each point, besides all and nothing
     * @param every how many of the points are tried: 1 for all, 3 for each third
     */
    public long visit(int first, int samples, int every, SplittableRandom random, Visitor visitor) throws Exception {
        Map<Path, MemoryFile> durable = new HashMap<>();
        start.forEach((path, file) -> durable.put(path, file.copy()));
        Map<Path, List<Operation>> pending = new HashMap<>();
        long states = 0;
        int offset = random.nextInt(every);
        for (int at = 0; at <= events.size(); at++) {
            if (at >= first && (at + offset) % every == 0) {
                boolean any = pending.values().stream().anyMatch(p -> !p.isEmpty());
                Set<Long> seen = new HashSet<>();
                for (int kind = 0; kind < (any ? 2 + samples : 1); kind++) {
                    String description = "before event " + at + ", part " + kind;
                    MemoryStorage state = state(durable, pending, kind, random);
                    if (seen.add(state.digest())) {
                        visitor.visit(state, at, description);
                        states++;
                    }
                }
            }
            if (at < events.size()) {
                apply(events.get(at), durable, pending);
            }
        }
        return states;
    }

    private static void apply(Event event, Map<Path, MemoryFile> durable, Map<Path, List<Operation>> pending)
            throws IOException {
        switch (event) {
            case Event.Created created ->
                durable.put(created.path(), new MemoryFile(created.path().toString()));
            case Event.Deleted deleted -> {
                durable.remove(deleted.path());
                pending.remove(deleted.path());
            }
            case Event.Changed changed -> {
                List<Operation> list = pending.computeIfAbsent(changed.path(), p -> new ArrayList<>());
                MemoryFile file = durable.get(changed.path());
                if (file == null) {
                    // A file without a name, which no failure leaves behind.
                    list.clear();
                } else if (changed.operation() instanceof Operation.Force) {
                    for (Operation operation : list) {
                        operation.applyTo(file);
                    }
                    list.clear();
                } else {
                    list.add(changed.operation());
                }
            }
        }
    }

    private static MemoryStorage state(
            Map<Path, MemoryFile> durable, Map<Path, List<Operation>> pending, int kind, SplittableRandom random)
            throws IOException {
        MemoryStorage state = new MemoryStorage();
        for (Map.Entry<Path, MemoryFile> entry : durable.entrySet()) {
            MemoryFile file = entry.getValue().copy();
            List<Operation> list = pending.getOrDefault(entry.getKey(), List.of());
            for (Operation operation : list) {
                boolean there = kind == 1 || kind > 1 && random.nextInt(3) > 0;
                boolean torn = kind > 1 && random.nextInt(8) == 0;
                if (there && torn && operation instanceof Operation.Write write && write.content().length > 512) {
                    int cut = (1 + random.nextInt(write.content().length / 512 - 1)) * 512;
                    CrashStates.applyInside(file, write.part(0, cut), list);
                } else if (there) {
                    CrashStates.applyInside(file, operation, list);
                }
            }
            state.put(entry.getKey(), file);
        }
        return state;
    }

    @Override
    public DiskFile open(Path path, DiskAccess access, AllowedFolders folders) {
        return storage.open(path, access, folders);
    }

    @Override
    public DiskFile create(Path path, AllowedFolders folders) {
        add(new Event.Created(path));
        return storage.create(path, folders);
    }

    @Override
    public void delete(Path path) {
        storage.delete(path);
        add(new Event.Deleted(path));
    }

    @Override
    public void rename(Path from, Path to, AllowedFolders folders) {
        throw new UnsupportedOperationException("no failure during a change of name is looked at");
    }

    @Override
    public Path resolve(Path path, AllowedFolders folders) {
        return storage.resolve(path, folders);
    }

    @Override
    public List<Path> files(Path folder, int depth, int most, AllowedFolders folders) {
        return storage.files(folder, depth, most, folders);
    }

    @Override
    public boolean exists(Path path) {
        return storage.exists(path);
    }

    @Override
    public long modified(Path path) {
        return storage.modified(path);
    }

    @Override
    public long usableSpace(Path path) {
        return storage.usableSpace(path);
    }
}
