package org.torte.disk.crash;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskFile;

/** A file that is read-only until its lock is exchanged for that of a writer. */
final class UpgradableFile implements DiskFile {
    private final DiskFile file;
    private volatile boolean readOnly = true;

    UpgradableFile(DiskFile file) {
        this.file = file;
    }

    @Override
    public boolean relock(DiskAccess access) {
        readOnly = access != DiskAccess.READ_WRITE;
        return true;
    }

    private DiskFile writable() throws IOException {
        if (readOnly) {
            throw new IOException("not upgraded");
        }
        return file;
    }

    @Override
    public String name() {
        return file.name();
    }

    @Override
    public boolean readOnly() {
        return readOnly;
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
    public void write(long position, MemorySegment memory, long at, long length) throws IOException {
        writable().write(position, memory, at, length);
    }

    @Override
    public void truncate(long size) throws IOException {
        writable().truncate(size);
    }

    @Override
    public boolean punchHole(long position, long length) throws IOException {
        return writable().punchHole(position, length);
    }

    @Override
    public boolean allocate(long position, long length) throws IOException {
        return writable().allocate(position, length);
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
    public void force() throws IOException {
        writable().force();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
