package org.torte.disk.crash;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.torte.disk.DiskFile;

/** Passes everything on to another file but modifications and forces, which are for the subclass to watch. */
abstract class ForwardingFile implements DiskFile {
    /** The other file. */
    protected final DiskFile file;

    ForwardingFile(DiskFile file) {
        this.file = file;
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
    public long allocatedSize() throws IOException {
        return file.allocatedSize();
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
    public void close() throws IOException {
        file.close();
    }
}
