package org.torte.disk.vhdx;

import java.io.IOException;
import java.util.BitSet;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;

/**
 * Which megabytes of a file are in use, in units of 1 MiB. Free space is <i>clean</i> when it is known to read as zeros
 * even after a crash: space by which this object has extended the file, and holes that were forced. Only for clean
 * space one force may cover new content together with the log entry that refers to it; see docs/disks.md.
 *
 * <p>Safe for use by several threads.
 */
final class SpaceMap {
    private static final int EXTENSION = 32;

    private final DiskFile file;
    private final Durability durability;
    private final BitSet used = new BitSet();
    private final BitSet clean = new BitSet();
    private int end;
    private int hint;

    SpaceMap(DiskFile file, Durability durability) {
        this.file = file;
        this.durability = durability;
    }

    /** Marks space as used while a file is opened; false when some of it already was. */
    synchronized boolean claim(long offset, long length) {
        int from = units(offset);
        int to = from + units(length);
        int taken = used.nextSetBit(from);
        boolean fresh = taken < 0 || taken >= to;
        used.set(from, to);
        end = Math.max(end, to);
        return fresh;
    }

    /** The end of the last used space, in bytes. */
    synchronized long usedEnd() {
        return used.length() * Layout.MIB;
    }

    /** Where the file ends, in bytes; a multiple of 1 MiB. */
    synchronized long fileSize() {
        return end * Layout.MIB;
    }

    /** Says that the file was cut or extended to this size, in bytes. */
    synchronized void setFileSize(long size) {
        end = units(size);
        clean.clear(end, Math.max(end, clean.length()));
        hint = 0;
    }

    /** Space in use, in bytes. */
    synchronized long usedBytes() {
        return used.cardinality() * Layout.MIB;
    }

    /** Finds free space, or extends the file. */
    synchronized long allocate(long length) throws IOException {
        int count = units(length);
        int from = hint;
        while (true) {
            from = used.nextClearBit(from);
            if (from + count > end) {
                break;
            }
            int to = used.nextSetBit(from);
            if (to < 0 || to - from >= count) {
                hint = from + count;
                used.set(from, from + count);
                return from * Layout.MIB;
            }
            from = to;
        }
        // Nothing fits, up to the free space at the end.
        int start = Math.max(used.length(), Math.min(from, end));
        int newEnd = Math.max(start + count, Math.min(end + EXTENSION, start + Math.max(count, EXTENSION)));
        file.truncate(newEnd * Layout.MIB);
        durability.modified();
        clean.set(end, newEnd);
        end = newEnd;
        used.set(start, start + count);
        hint = start + count;
        return start * Layout.MIB;
    }

    /** Finds the first free space that ends at or before {@code limit}, or -1. */
    synchronized long allocateBelow(long length, long limit) {
        int count = units(length);
        int from = used.nextClearBit(0);
        while (from + count <= units(limit)) {
            int to = used.nextSetBit(from);
            if (to < 0 || to - from >= count) {
                used.set(from, from + count);
                return from * Layout.MIB;
            }
            from = used.nextClearBit(to);
        }
        return -1;
    }

    /** Whether space is clean; it no longer counts as clean once it was asked for by {@link #soil}. */
    synchronized boolean isClean(long offset, long length) {
        int from = units(offset);
        int dirty = clean.nextClearBit(from);
        return dirty >= from + units(length);
    }

    /** Says that space will be written. */
    synchronized void soil(long offset, long length) {
        clean.clear(units(offset), units(offset) + units(length));
    }

    /** Gives space back. */
    synchronized void release(long offset, long length) {
        used.clear(units(offset), units(offset) + units(length));
        hint = Math.min(hint, units(offset));
    }

    /** Says that released space became zeros durably; what was allocated again since stays as it is. */
    synchronized void cleaned(long offset, long length) {
        for (int i = units(offset); i < units(offset) + units(length); i++) {
            if (!used.get(i) && i < end) {
                clean.set(i);
            }
        }
    }

    private static int units(long bytes) {
        return Math.toIntExact((bytes + Layout.MIB - 1) / Layout.MIB);
    }
}
