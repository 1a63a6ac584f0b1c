package org.torte.disk;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The storage below a format: a random-access file with a lock. All operations name their position, so that any number
 * of threads may use one file at once; concurrent writes of overlapping ranges leave a mixture. Nothing is durable
 * before {@link #force()} has returned, and until then writes, size changes and holes may reach the disk in any order,
 * in part, or not at all.
 *
 * <p>Errors are {@link IOException}s; {@link NoSpaceException} tells a full disk from a broken one.
 */
public interface DiskFile extends AutoCloseable {
    /** A write or extension that failed because the host's disk or quota is full. */
    final class NoSpaceException extends IOException {
        private static final long serialVersionUID = 1L;

        /** A full disk, described by the host. */
        public NoSpaceException(String message) {
            super(message);
        }
    }

    /** What {@link #writeZeros} writes. */
    final class Zeros {
        private static final MemorySegment BYTES =
                Arena.global().allocate(256 << 10, 4096).asReadOnly();

        private Zeros() {}
    }

    /** The path for messages. */
    String name();

    /** Whether writing is refused. */
    boolean readOnly();

    /** The size in bytes. */
    long size() throws IOException;

    /**
     * Fills {@code length} bytes of {@code memory} from {@code position}.
     *
     * @throws java.io.EOFException when the range leaves the file
     */
    void read(long position, MemorySegment memory, long at, long length) throws IOException;

    /** Writes all of {@code length} bytes; a write beyond the end extends the file, with zeros in between. */
    void write(long position, MemorySegment memory, long at, long length) throws IOException;

    /** Sets the size; new space reads as zeros. */
    void truncate(long size) throws IOException;

    /**
     * Makes a range inside the file read as zeros and gives its space back to the host.
     *
     * @return whether this was done; without support for holes nothing changes
     */
    boolean punchHole(long position, long length) throws IOException;

    /**
     * Makes sure that writes to this range cannot fail for lack of space; content is kept, new space reads as zeros, the
     * size grows if needed.
     *
     * @return whether this was done; without support nothing changes
     */
    boolean allocate(long position, long length) throws IOException;

    /**
     * The first position at or after {@code position} that may hold something other than zeros, or {@link #size()}.
     * Without support for holes this is {@code position} itself.
     */
    long nextData(long position) throws IOException;

    /** The first position at or after {@code position} where a hole begins, or {@link #size()}. */
    long nextHole(long position) throws IOException;

    /** Bytes of the host's storage that the file takes. */
    long allocatedSize() throws IOException;

    /** Makes everything that was written before this call durable. */
    void force() throws IOException;

    /**
     * Exchanges the lock for that of another access, without a moment between them: {@link DiskAccess#READ_WRITE}, for
     * a file that was opened as {@link DiskAccess#UPGRADABLE}, from then on not {@link #readOnly()};
     * {@link DiskAccess#READ_ONLY}, from then on read-only; {@link DiskAccess#INSPECT}, no lock at all. Storage without
     * locks has nothing to do.
     *
     * @return false when others exclude it; then the lock is as before
     */
    default boolean relock(DiskAccess access) throws IOException {
        return true;
    }

    /** Gives up the lock and closes. A second call does nothing. */
    @Override
    void close() throws IOException;

    /** Reads into an array; see {@link #read(long, MemorySegment, long, long)}. */
    default void read(long position, byte[] target) throws IOException {
        read(position, MemorySegment.ofArray(target), 0, target.length);
    }

    /** Writes zeros, which take space on the host. */
    default void writeZeros(long position, long length) throws IOException {
        for (long done = 0; done < length; done += Zeros.BYTES.byteSize()) {
            write(position + done, Zeros.BYTES, 0, Math.min(Zeros.BYTES.byteSize(), length - done));
        }
    }

    /** Makes a range inside the file read as zeros, as a hole where the host can. */
    default void clear(long position, long length) throws IOException {
        if (!punchHole(position, length)) {
            writeZeros(position, length);
        }
    }

    /** Writes an array; see {@link #write(long, MemorySegment, long, long)}. */
    default void write(long position, byte[] source) throws IOException {
        write(position, MemorySegment.ofArray(source), 0, source.length);
    }
}
