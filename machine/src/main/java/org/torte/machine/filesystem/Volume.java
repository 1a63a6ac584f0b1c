package org.torte.machine.filesystem;

import java.lang.foreign.MemorySegment;
import org.torte.disk.VirtualDisk;

/**
 * A part of a disk, such as a partition. Safe for several threads.
 *
 * @param disk the disk; its {@link org.torte.disk.DiskException}s pass through
 * @param start where the part begins, in bytes, a multiple of the disk's sector
 * @param length bytes, inside the disk
 */
public record Volume(VirtualDisk disk, long start, long length) {
    /** Checks the range. */
    public Volume {
        if (start < 0 || length < 0 || start > disk.size() || length > disk.size() - start) {
            throw new IllegalArgumentException("a part of a disk beyond its end");
        }
    }

    /** All of a disk. */
    public static Volume of(VirtualDisk disk) {
        return new Volume(disk, 0, disk.size());
    }

    /**
     * Reads a range of any alignment.
     *
     * @throws DamagedException when it is not inside the volume
     */
    public void read(long offset, MemorySegment target) throws DamagedException {
        long count = target.byteSize();
        if (offset < 0 || offset > length || count > length - offset) {
            throw new DamagedException("a place beyond the end of its volume");
        }
        long sector = disk.logicalSectorSize();
        long at = start + offset;
        if (at % sector == 0 && count % sector == 0) {
            disk.read(at, target, 0, count);
            return;
        }
        long done = 0;
        byte[] one = new byte[(int) sector];
        MemorySegment bounce = MemorySegment.ofArray(one);
        while (done < count) {
            long within = (at + done) % sector;
            long whole = (count - done) / sector * sector;
            if (within == 0 && whole > 0) {
                disk.read(at + done, target, done, whole);
                done += whole;
                continue;
            }
            disk.read(at + done - within, one);
            long part = Math.min(sector - within, count - done);
            MemorySegment.copy(bounce, within, target, done, part);
            done += part;
        }
    }

    /** Reads into an array. */
    byte[] read(long offset, int count) throws DamagedException {
        byte[] bytes = new byte[count];
        read(offset, MemorySegment.ofArray(bytes));
        return bytes;
    }
}
