package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.torte.disk.DiskInfo;
import org.torte.disk.Extent;
import org.torte.disk.VirtualDisk;

/** A disk that is an array, for reading; it insists on whole sectors, as others do, and counts what is read. */
public final class MemoryDisk implements VirtualDisk {
    private final byte[] bytes;
    private long bytesRead;

    public MemoryDisk(byte[] bytes) {
        this.bytes = bytes;
    }

    /** Bytes that have been read of it. */
    public long bytesRead() {
        return bytesRead;
    }

    @Override
    public long size() {
        return bytes.length & -logicalSectorSize();
    }

    @Override
    public int logicalSectorSize() {
        return 512;
    }

    @Override
    public int physicalSectorSize() {
        return 4096;
    }

    @Override
    public int blockSize() {
        return 1 << 20;
    }

    @Override
    public boolean readOnly() {
        return true;
    }

    @Override
    public DiskInfo info() {
        throw new AssertionError("nobody should ask");
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return Optional.empty();
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        if (offset % 512 != 0 || length % 512 != 0 || offset < 0 || length < 0 || offset + length > size()) {
            throw new IllegalArgumentException("a read of " + length + " bytes at " + offset);
        }
        bytesRead += length;
        MemorySegment.copy(MemorySegment.ofArray(bytes), offset, memory, at, length);
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        throw new AssertionError("nobody should write");
    }

    @Override
    public void writeZeroes(long offset, long length) {
        throw new AssertionError("nobody should write");
    }

    @Override
    public void trim(long offset, long length) {
        throw new AssertionError("nobody should write");
    }

    @Override
    public void flush() {
        throw new AssertionError("nobody should write");
    }

    @Override
    public Extent extent(long offset, long length) {
        return new Extent(offset, length, Extent.Kind.MAPPED);
    }

    @Override
    public void resize(long newSize) {
        throw new AssertionError("nobody should write");
    }

    @Override
    public void close() {}
}
