package org.torte.disk;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * An open virtual disk.
 *
 * <p><b>Ranges.</b> Offsets and lengths are bytes and multiples of {@link #logicalSectorSize()}, inside
 * {@link #size()}; anything else is an {@link IllegalArgumentException}, as it is an error of the caller, not of the
 * image. Memory needs no alignment and may be native or on the heap; native memory saves a copy.
 *
 * <p><b>Threads.</b> Every method may be called by any number of threads at once. A request sees the effects of every
 * request that returned before it was issued. Requests that overlap in both range and time are not ordered; each sector
 * ends up as one of them wrote it.
 *
 * <p><b>Durability.</b> Nothing is durable before a {@link #flush()} that was issued after the write returned has itself
 * returned. After a crash each sector holds what the last flush covered or what a later write put there; a sector is
 * never torn as long as the host does not tear its sectors, and it never shows the content of another place. Later
 * writes may survive without earlier ones unless a flush lies between them.
 *
 * <p><b>Errors.</b> {@link DiskException}. After NO_SPACE the request may be repeated. A failed flush poisons the disk:
 * the host may have dropped what it could not write, so every later write and flush fails with FAILED until the disk is
 * opened again; reading stays possible.
 */
public interface VirtualDisk extends AutoCloseable {
    /** Bytes that the guest sees. It changes only by {@link #resize}. */
    long size();

    /** The unit of addressing in bytes, 512 or 4096. */
    int logicalSectorSize();

    /** The unit the guest should align to, in bytes. */
    int physicalSectorSize();

    /** The unit of allocation in bytes: where trimming and merging work best; 1 MiB for formats without one. */
    int blockSize();

    /** Whether writing is refused. */
    boolean readOnly();

    /** What the image says about itself, at this moment. */
    DiskInfo info();

    /**
     * The parent that this disk reads through to, opened for reading and owned by this disk; to be used until a merge
     * changes the chain.
     */
    Optional<VirtualDisk> parent();

    /** Reads {@code length} bytes at {@code offset} of the disk into {@code memory} at {@code at}. */
    void read(long offset, MemorySegment memory, long at, long length);

    /** Writes {@code length} bytes of {@code memory} at {@code at} to {@code offset} of the disk. */
    void write(long offset, MemorySegment memory, long at, long length);

    /** Makes a range read as zeros, giving space back where whole blocks allow it. */
    void writeZeroes(long offset, long length);

    /**
     * Says that the content of a range no longer matters. Afterwards each sector reads as it did or as zeros (always as
     * zeros where its block was given back), consistently until it is written. Space goes back to the host after the
     * next flush.
     */
    void trim(long offset, long length);

    /** Makes durable what returned before this call. Concurrent calls share their work. */
    void flush();

    /** The run that starts at {@code offset}, which need not be as long as the equal run on the disk. */
    Extent extent(long offset, long length);

    /** The same through all of the chain: MAPPED when some image of it holds the run, otherwise ZERO. */
    default Extent content(long offset, long length) {
        Extent own = extent(offset, length);
        return own.kind() == Extent.Kind.MAPPED ? own : new Extent(own.offset(), own.length(), Extent.Kind.ZERO);
    }

    /**
     * Changes the size while the disk is in use. Growth shows zeros. Shrinking drops the end: it is up to the caller
     * that no partition lies there and that no request is under way there. The new size is durable on return.
     *
     * @throws DiskException INVALID for a size the format cannot have, UNSUPPORTED for a disk that has a fixed size
     */
    void resize(long newSize);

    /**
     * Flushes, marks the image as properly closed, and releases it and its parents. A second call does nothing. No
     * request may be under way.
     *
     * @throws DiskException when the last flush failed; the image is released all the same
     */
    @Override
    void close();

    /** Reads into an array; see {@link #read(long, MemorySegment, long, long)}. */
    default void read(long offset, byte[] target) {
        read(offset, MemorySegment.ofArray(target), 0, target.length);
    }

    /** Writes an array; see {@link #write(long, MemorySegment, long, long)}. */
    default void write(long offset, byte[] source) {
        write(offset, MemorySegment.ofArray(source), 0, source.length);
    }
}
