package org.torte.disk;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * A disk whose content lies in one piece at the start of its file, in sectors of 512 bytes: a raw disk, or a fixed VHD
 * with its footer behind. Offsets of the disk are offsets of the file.
 */
public abstract class FlatDisk implements VirtualDisk {
    /** The unit of addressing, in bytes. */
    protected static final int SECTOR = 512;

    private static final int UNIT = 1 << 20;

    /** The file. */
    protected final DiskFile file;

    /** Turns its errors into this module's. */
    protected final Faults faults;

    /** Knows what is not yet durable. */
    protected final Durability durability;

    private final Requests requests;
    private volatile long size;

    /**
     * A disk in an open file, which it owns from now on.
     *
     * @param size bytes of the disk
     */
    protected FlatDisk(DiskFile file, long size) {
        this.file = file;
        this.size = size;
        this.faults = new Faults(file.name());
        this.durability = new Durability(file, faults);
        this.requests = new Requests(file, faults);
    }

    /** Changes the file to hold a disk of another size, durably. No other change of size is under way. */
    protected abstract void changeSize(long newSize) throws IOException;

    /** Makes a range read as zeros. */
    protected abstract void zero(long offset, long length) throws IOException;

    /** Takes over a new size, from now on visible, in bytes. */
    protected final void sized(long newSize) {
        size = newSize;
    }

    @Override
    public final long size() {
        return size;
    }

    @Override
    public final int logicalSectorSize() {
        return SECTOR;
    }

    @Override
    public final int blockSize() {
        return UNIT;
    }

    @Override
    public final boolean readOnly() {
        return file.readOnly();
    }

    @Override
    public final Optional<VirtualDisk> parent() {
        return Optional.empty();
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        check(offset, length);
        try {
            file.read(offset, memory, at, length);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public final void write(long offset, MemorySegment memory, long at, long length) {
        checkWritable(offset, length);
        try {
            file.write(offset, memory, at, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
    }

    @Override
    public final void writeZeroes(long offset, long length) {
        checkWritable(offset, length);
        try {
            zero(offset, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            durability.modified();
        }
    }

    @Override
    public final void flush() {
        durability.force();
    }

    @Override
    public final synchronized void resize(long newSize) {
        checkWritable(0, 0);
        try {
            changeSize(newSize);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    @Override
    public final void close() {
        if (!requests.close()) {
            return;
        }
        try (file) {
            if (!readOnly() && durability.dirty() && !faults.poisoned()) {
                durability.force();
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    /** Refuses a request that is no request for sectors of this disk. */
    protected final void check(long offset, long length) {
        requests.check(offset, length, size, SECTOR);
    }

    /** The same for a request that changes the disk. */
    protected final void checkWritable(long offset, long length) {
        requests.checkWritable(offset, length, size, SECTOR);
    }
}
