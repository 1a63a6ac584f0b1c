package org.torte.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskStorage;

/**
 * The host's storage, where one file's modifications are recorded in their order: writes, changes of size, holes, and the
 * forces between them. Safe for several threads; a modification and its place in the order are one step.
 */
public final class RecordedStorage implements DiskStorage {
    private final DiskStorage host = DiskStorage.host();
    private final Path recorded;
    private final WriteLog log;

    /** Records what happens to {@code file} into {@code log}. */
    public RecordedStorage(Path file, WriteLog log) {
        recorded = file.toAbsolutePath().normalize();
        this.log = log;
    }

    @Override
    public DiskFile open(Path path, DiskAccess access, AllowedFolders folders) {
        DiskFile file = host.open(path, access, folders);
        return path.toAbsolutePath().normalize().equals(recorded) ? new Recorded(file) : file;
    }

    @Override
    public DiskFile create(Path path, AllowedFolders folders) {
        return host.create(path, folders);
    }

    @Override
    public Path resolve(Path path, AllowedFolders folders) {
        return host.resolve(path, folders);
    }

    @Override
    public void rename(Path from, Path to, AllowedFolders folders) {
        host.rename(from, to, folders);
    }

    @Override
    public List<Path> files(Path folder, int depth, int most, AllowedFolders folders) {
        return host.files(folder, depth, most, folders);
    }

    @Override
    public boolean exists(Path path) {
        return host.exists(path);
    }

    @Override
    public void delete(Path path) {
        host.delete(path);
    }

    @Override
    public long modified(Path path) {
        return host.modified(path);
    }

    @Override
    public long usableSpace(Path path) {
        return host.usableSpace(path);
    }

    /** Passes everything on. */
    private final class Recorded implements DiskFile {
        private final DiskFile file;

        Recorded(DiskFile file) {
            this.file = file;
            try {
                log.size(file.size());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public void write(long position, MemorySegment memory, long at, long length) throws IOException {
            synchronized (log) {
                file.write(position, memory, at, length);
                log.write(position, memory.asSlice(at, length));
                log.size(file.size());
            }
        }

        @Override
        public void truncate(long size) throws IOException {
            synchronized (log) {
                file.truncate(size);
                log.size(size);
            }
        }

        @Override
        public boolean punchHole(long position, long length) throws IOException {
            synchronized (log) {
                boolean done = file.punchHole(position, length);
                if (done) {
                    log.hole(position, length);
                }
                return done;
            }
        }

        @Override
        public boolean allocate(long position, long length) throws IOException {
            synchronized (log) {
                boolean done = file.allocate(position, length);
                log.size(file.size());
                return done;
            }
        }

        @Override
        public void force() throws IOException {
            synchronized (log) {
                file.force();
                log.force();
            }
        }

        @Override
        public String name() {
            return file.name();
        }

        @Override
        public boolean readOnly() {
            return file.readOnly();
        }

        @Override
        public long size() throws IOException {
            return file.size();
        }

        @Override
        public void read(long position, MemorySegment memory, long at, long length) throws IOException {
            file.read(position, memory, at, length);
        }

        @Override
        public long nextData(long position) throws IOException {
            return file.nextData(position);
        }

        @Override
        public long nextHole(long position) throws IOException {
            return file.nextHole(position);
        }

        @Override
        public long allocatedSize() throws IOException {
            return file.allocatedSize();
        }

        @Override
        public boolean relock(DiskAccess access) throws IOException {
            return file.relock(access);
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }
}
