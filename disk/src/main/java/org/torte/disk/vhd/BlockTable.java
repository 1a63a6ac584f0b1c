package org.torte.disk.vhd;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * The block allocation table in memory, and which of its sectors differ from the file's. Reading an entry is safe for
 * any thread; changes need the lock of the disk's allocations.
 */
final class BlockTable {
    static final int NONE = -1;
    static final int PER_SECTOR = VhdFooter.SECTOR / 4;

    private final AtomicIntegerArray entries;
    private final BitSet dirty = new BitSet();

    /** A sector of the table to be written. */
    @SuppressWarnings("ArrayRecordComponent") // carries bytes from here to the file; never compared
    record Sector(int index, byte[] bytes) {}

    BlockTable(int[] entries) {
        this.entries = new AtomicIntegerArray(entries);
    }

    /** A table with the same entries for another number of blocks; new ones have no space. */
    BlockTable resized(int blocks) {
        int[] copy = new int[blocks];
        Arrays.fill(copy, NONE);
        for (int i = 0; i < Math.min(blocks, entries.length()); i++) {
            copy[i] = entries.get(i);
        }
        return new BlockTable(copy);
    }

    int size() {
        return entries.length();
    }

    boolean has(int block) {
        return entries.getAcquire(block) != NONE;
    }

    /** Where the bitmap of a block is in the file, in bytes, or -1. */
    long position(int block) {
        int entry = entries.getAcquire(block);
        return entry == NONE ? -1 : (entry & 0xffffffffL) * VhdFooter.SECTOR;
    }

    void set(int block, long position) {
        entries.setRelease(block, position < 0 ? NONE : (int) (position / VhdFooter.SECTOR));
        dirty.set(block / PER_SECTOR);
    }

    int allocated() {
        int count = 0;
        for (int i = 0; i < entries.length(); i++) {
            count += entries.getPlain(i) == NONE ? 0 : 1;
        }
        return count;
    }

    /** The sectors that changed since the last call. */
    List<Sector> takeDirty() {
        List<Sector> sectors = new ArrayList<>(dirty.cardinality());
        for (int i = dirty.nextSetBit(0); i >= 0; i = dirty.nextSetBit(i + 1)) {
            sectors.add(new Sector(i, sector(i)));
        }
        dirty.clear();
        return sectors;
    }

    /** Undoes {@link #takeDirty()} after a failure. */
    void putBack(List<Sector> sectors) {
        sectors.forEach(s -> dirty.set(s.index()));
    }

    byte[] sector(int index) {
        byte[] bytes = new byte[VhdFooter.SECTOR];
        MemorySegment m = MemorySegment.ofArray(bytes);
        for (int i = 0; i < PER_SECTOR; i++) {
            int block = index * PER_SECTOR + i;
            m.set(VhdFooter.INT, i * 4L, block < entries.length() ? entries.get(block) : NONE);
        }
        return bytes;
    }
}
