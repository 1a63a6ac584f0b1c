package org.torte.disk;

import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import org.torte.disk.DiskException.Kind;

/**
 * What every request to an open disk has to pass before anything happens: the disk is open, the range lies inside it and
 * consists of sectors, and for a change it is open for writing and not poisoned. Safe for use by several threads.
 */
public final class Requests {
    private final DiskFile file;
    private final Faults faults;
    private final AtomicBoolean closed = new AtomicBoolean();

    /** For the disk in one file. */
    public Requests(DiskFile file, Faults faults) {
        this.file = file;
        this.faults = faults;
    }

    /**
     * Checks a request.
     *
     * @param offset where it starts, in bytes
     * @param length its length in bytes
     * @param size bytes of the disk
     * @param sectorSize bytes of a sector, a power of two
     * @throws DiskException CLOSED
     */
    public void check(long offset, long length, long size, int sectorSize) {
        if (closed.get()) {
            throw new DiskException(Kind.CLOSED, file.name(), "the disk is closed", "open it again");
        }
        Objects.checkFromIndexSize(offset, length, size);
        if (((offset | length) & (sectorSize - 1)) != 0) {
            throw new IllegalArgumentException(
                    "not a multiple of " + sectorSize + ": " + length + " bytes at " + offset);
        }
    }

    /**
     * Checks a request that changes the disk.
     *
     * @throws DiskException CLOSED, READ_ONLY or FAILED
     */
    public void checkWritable(long offset, long length, long size, int sectorSize) {
        check(offset, length, size, sectorSize);
        if (file.readOnly()) {
            throw new DiskException(Kind.READ_ONLY, file.name(), "it is open for reading", "open it for writing");
        }
        faults.check();
    }

    /** Lets no request pass any more; false when that is so already. */
    public boolean close() {
        return closed.compareAndSet(false, true);
    }

    /** Whether the disk was closed. */
    public boolean closed() {
        return closed.get();
    }
}
