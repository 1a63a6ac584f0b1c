package org.torte.disk.crash;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiFunction;
import java.util.function.UnaryOperator;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskStorage;

/** Files in memory, without locks; a test can put something of its own around a file that is opened. */
public final class MemoryStorage implements DiskStorage {
    private final Map<Path, MemoryFile> files = new ConcurrentHashMap<>();
    private BiFunction<Path, MemoryFile, DiskFile> wrapper = (path, file) -> file;

    private volatile long usable = Long.MAX_VALUE;

    /** How many bytes files may still take, as far as anybody asks. */
    public void limit(long bytes) {
        usable = bytes;
    }

    public MemoryStorage put(Path path, MemoryFile file) {
        files.put(path, file);
        return this;
    }

    public MemoryFile get(Path path) {
        return Objects.requireNonNull(files.get(path), "no such file");
    }

    /** All files. */
    public Set<Path> paths() {
        return Set.copyOf(files.keySet());
    }

    /** What files opened or created for writing are wrapped in from now on. */
    public void wrap(BiFunction<Path, MemoryFile, DiskFile> with) {
        wrapper = with;
    }

    /** Puts something more around what files are wrapped in. */
    public void wrapMore(UnaryOperator<DiskFile> around) {
        BiFunction<Path, MemoryFile, DiskFile> inner = wrapper;
        wrapper = (path, file) -> around.apply(inner.apply(path, file));
    }

    /** The same for storage with the same files in every byte; see {@link MemoryFile#digest}. */
    public long digest() {
        return files.entrySet().stream()
                .mapToLong(
                        e -> MemoryFile.mix(e.getValue().digest() + e.getKey().hashCode()))
                .sum();
    }

    /** The same files, copied, but for one that a power failure has left in this state. */
    public MemoryStorage with(Path path, MemoryFile state) {
        MemoryStorage other = new MemoryStorage();
        files.forEach((name, file) -> other.put(name, file.copy()));
        return other.put(path, state);
    }

    /** Records from now on what is done to one file; the list gets a recorder for each time it is opened for writing. */
    public List<Recorder> record(Path image) {
        List<Recorder> recorders = new ArrayList<>();
        wrap((path, file) -> {
            if (!path.equals(image)) {
                return file;
            }
            recorders.add(new Recorder(file));
            return recorders.getLast();
        });
        return recorders;
    }

    @Override
    public DiskFile open(Path path, DiskAccess access, AllowedFolders folders) {
        MemoryFile file = get(resolve(path, folders));
        return switch (access) {
            case READ_WRITE -> wrapper.apply(path, file);
            case UPGRADABLE -> new UpgradableFile(wrapper.apply(path, file));
            case READ_ONLY, INSPECT -> file.asReadOnly();
        };
    }

    @Override
    public DiskFile create(Path path, AllowedFolders folders) {
        if (files.containsKey(path)) {
            throw new DiskException(DiskException.Kind.EXISTS, path.toString(), "it exists", "choose another name");
        }
        MemoryFile file = new MemoryFile(path.toString());
        files.put(path, file);
        return wrapper.apply(path, file);
    }

    @Override
    public Path resolve(Path path, AllowedFolders folders) {
        if (!files.containsKey(path) && files.keySet().stream().noneMatch(p -> p.startsWith(path))) {
            throw new DiskException(
                    DiskException.Kind.NOT_FOUND, path.toString(), "there is no such file", "check the path");
        }
        return path;
    }

    @Override
    public void rename(Path from, Path to, AllowedFolders folders) {
        MemoryFile file = get(resolve(from, folders));
        if (files.putIfAbsent(to, file) != null) {
            throw new DiskException(DiskException.Kind.EXISTS, to.toString(), "it exists", "choose another name");
        }
        files.remove(from);
    }

    @Override
    public List<Path> files(Path folder, int depth, int most, AllowedFolders folders) {
        return files.keySet().stream()
                .filter(p -> p.startsWith(folder) && p.getNameCount() <= folder.getNameCount() + depth)
                .sorted()
                .limit(most)
                .toList();
    }

    @Override
    public boolean exists(Path path) {
        return files.containsKey(path);
    }

    @Override
    public void delete(Path path) {
        files.remove(path);
    }

    @Override
    public long modified(Path path) {
        return 0;
    }

    @Override
    public long usableSpace(Path path) {
        return usable;
    }
}
