package org.torte.disk;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/** A file or block device of the host. */
final class HostFile implements DiskFile {
    /** The most that Linux transfers in one call is a little less than 2 GiB. */
    private static final long LARGEST_TRANSFER = 1L << 30;

    private final String name;
    private final int fd;
    private final boolean writable;
    private volatile boolean readOnly;
    private final boolean device;
    private final AtomicBoolean closed = new AtomicBoolean();

    /**
     * @param access how it was opened and locked
     */
    HostFile(String name, int fd, DiskAccess access, boolean device) {
        this.name = name;
        this.fd = fd;
        this.writable = access == DiskAccess.READ_WRITE || access == DiskAccess.UPGRADABLE;
        this.readOnly = access != DiskAccess.READ_WRITE;
        this.device = device;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean readOnly() {
        return readOnly;
    }

    @Override
    public long size() throws IOException {
        int open = open();
        return device ? Posix.seek(open, 0, Posix.SEEK_END) : Posix.status(open).size();
    }

    @Override
    public long allocatedSize() throws IOException {
        return device ? size() : Posix.status(open()).blocks512() * 512;
    }

    @Override
    public void read(long position, MemorySegment memory, long at, long length) throws IOException {
        int open = open();
        Posix.Scratch scratch = Posix.acquire();
        try {
            for (long done = 0; done < length; ) {
                done += memory.isNative()
                        ? readNative(scratch, open, position + done, memory, at + done, length - done)
                        : readBounced(scratch, open, position + done, memory, at + done, length - done);
            }
        } finally {
            Posix.release(scratch);
        }
    }

    private static long readNative(
            Posix.Scratch scratch, int open, long position, MemorySegment memory, long at, long length)
            throws IOException {
        return read(Posix.pread(scratch, open, memory, at, Math.min(length, LARGEST_TRANSFER), position), position);
    }

    private static long readBounced(
            Posix.Scratch scratch, int open, long position, MemorySegment memory, long at, long length)
            throws IOException {
        MemorySegment bounce = scratch.bounce();
        long part = Math.min(length, Posix.Scratch.BOUNCE);
        long count = read(Posix.pread(scratch, open, bounce, 0, part, position), position);
        MemorySegment.copy(bounce, 0, memory, at, count);
        return count;
    }

    private static long read(long count, long position) throws EOFException {
        if (count == 0) {
            throw new EOFException("the file ends at " + position);
        }
        return count;
    }

    @Override
    public void write(long position, MemorySegment memory, long at, long length) throws IOException {
        int open = open();
        Posix.Scratch scratch = Posix.acquire();
        try {
            for (long done = 0; done < length; ) {
                long count = memory.isNative()
                        ? writeNative(scratch, open, position + done, memory, at + done, length - done)
                        : writeBounced(scratch, open, position + done, memory, at + done, length - done);
                if (count == 0) {
                    throw new IOException("writing at " + (position + done) + ": the host wrote nothing");
                }
                done += count;
            }
        } finally {
            Posix.release(scratch);
        }
    }

    private static long writeNative(
            Posix.Scratch scratch, int open, long position, MemorySegment memory, long at, long length)
            throws IOException {
        return Posix.pwrite(scratch, open, memory, at, Math.min(length, LARGEST_TRANSFER), position);
    }

    private static long writeBounced(
            Posix.Scratch scratch, int open, long position, MemorySegment memory, long at, long length)
            throws IOException {
        MemorySegment bounce = scratch.bounce();
        long part = Math.min(length, Posix.Scratch.BOUNCE);
        MemorySegment.copy(memory, at, bounce, 0, part);
        return Posix.pwrite(scratch, open, bounce, 0, part, position);
    }

    @Override
    public void truncate(long size) throws IOException {
        Posix.truncate(open(), size);
    }

    @Override
    public boolean punchHole(long position, long length) throws IOException {
        return length == 0
                || Posix.fallocate(open(), Posix.FALLOC_PUNCH_HOLE | Posix.FALLOC_KEEP_SIZE, position, length);
    }

    @Override
    public boolean allocate(long position, long length) throws IOException {
        return length == 0 || Posix.fallocate(open(), 0, position, length);
    }

    @Override
    public long nextData(long position) throws IOException {
        if (device) {
            return position;
        }
        long found = Posix.seek(open(), position, Posix.SEEK_DATA);
        return found < 0 ? Math.max(position, size()) : found;
    }

    @Override
    public long nextHole(long position) throws IOException {
        if (device) {
            return size();
        }
        long found = Posix.seek(open(), position, Posix.SEEK_HOLE);
        return found < 0 ? Math.max(position, size()) : found;
    }

    @Override
    public void force() throws IOException {
        Posix.sync(open(), false);
    }

    @Override
    public boolean relock(DiskAccess access) throws IOException {
        boolean exclusive = access == DiskAccess.READ_WRITE;
        if (exclusive && !writable) {
            throw new IOException("the file was opened for reading");
        }
        short kind =
                exclusive ? Posix.LOCK_EXCLUSIVE : access == DiskAccess.INSPECT ? Posix.LOCK_NONE : Posix.LOCK_SHARED;
        boolean granted = Posix.lock(open(), kind);
        if (granted) {
            readOnly = !exclusive;
        }
        return granted;
    }

    @Override
    public void close() throws IOException {
        if (closed.compareAndSet(false, true)) {
            Posix.close(fd);
        }
    }

    /** The descriptor, unless it was closed: the host may have given its number to another file since. */
    private int open() throws IOException {
        if (closed.get()) {
            throw new IOException("the file is closed");
        }
        return fd;
    }
}
