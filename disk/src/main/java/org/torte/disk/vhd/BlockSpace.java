package org.torte.disk.vhd;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;

/**
 * Where new blocks go. Space that is handed out is inside the file, reads as zeros, and both are durable: a table entry
 * that reaches the disk before its block's content can then show nothing but zeros.
 *
 * <p>The file grows by many blocks at once. The footer is written at the new end and forced before the old one may be
 * overwritten, so that a file that was never closed still ends with one. Needs the lock of the disk's allocations.
 */
final class BlockSpace {
    /** Metadata that is added begins at multiples of this. */
    static final int ALIGNMENT = 4096;

    /**
     * Payloads of new blocks begin at multiples of this. Windows takes 4096; but then the host keeps a request of 64 KiB
     * in five pieces of its cache instead of one, and requests take up to 1.7 times as long. The bitmap lies right before
     * its payload, and what is left free before that is a hole.
     */
    static final int PAYLOAD_ALIGNMENT = 64 << 10;

    private static final int GROWTH = 64;
    private static final int GAPS_AT_ONCE = 16;

    private final DiskFile file;
    private final Durability durability;
    private final int bitmapBytes;
    private final int blockBytes;
    private final Deque<Long> ready = new ArrayDeque<>();
    private final Deque<Long> gaps = new ArrayDeque<>();
    private List<Long> freed = new ArrayList<>();
    private List<Long> punched = new ArrayList<>();
    private long next;
    private long endOfUse;
    private long footerAt;

    /**
     * @param end the first byte after everything in use
     * @param footerAt where the footer is, at or after {@code end}; between them are zeros
     */
    BlockSpace(DiskFile file, Durability durability, DynamicHeader header, long end, long footerAt) {
        this.file = file;
        this.durability = durability;
        this.bitmapBytes = header.bitmapBytes();
        this.blockBytes = header.blockSize();
        this.endOfUse = end;
        this.next = aligned(end, bitmapBytes, PAYLOAD_ALIGNMENT);
        this.footerAt = footerAt;
    }

    /** The first position at or after {@code at} for a bitmap of this length with an aligned payload after it. */
    static long aligned(long at, int bitmapBytes, int alignment) {
        return DynamicHeader.roundUp(at + bitmapBytes, alignment) - bitmapBytes;
    }

    private long stride() {
        return DynamicHeader.roundUp(bitmapBytes + (long) blockBytes, PAYLOAD_ALIGNMENT);
    }

    long footerAt() {
        return footerAt;
    }

    /** Notes a hole between blocks that an earlier opener left; its content is unknown. */
    void addGap(long position) {
        gaps.add(position);
    }

    /** Takes the first gap without clearing it, or -1: for a caller that overwrites all of it. */
    long pollGap() {
        Long gap = gaps.poll();
        return gap == null ? -1 : gap;
    }

    /**
     * Space for one block.
     *
     * @param footer what stands at the end of the file
     * @param wanted how many more blocks may be asked for, to grow by no more than that
     */
    long take(VhdFooter footer, int wanted) throws IOException {
        if (ready.isEmpty() && !gaps.isEmpty()) {
            clearGaps();
        }
        Long again = ready.poll();
        if (again != null) {
            return again;
        }
        if (next + bitmapBytes + blockBytes > footerAt) {
            grow(footer, Math.clamp(wanted, 1, GROWTH));
        }
        long position = next;
        endOfUse = position + bitmapBytes + blockBytes;
        next += stride();
        return position;
    }

    private void grow(VhdFooter footer, int blocks) throws IOException {
        long end = next + (blocks - 1) * stride() + bitmapBytes + blockBytes;
        FileEnd.put(file, durability, footer, end);
        footerAt = end;
    }

    private void clearGaps() throws IOException {
        List<Long> cleared = new ArrayList<>();
        while (cleared.size() < GAPS_AT_ONCE && !gaps.isEmpty()) {
            long position = gaps.poll();
            file.clear(position, bitmapBytes + (long) blockBytes);
            cleared.add(position);
        }
        durability.modified();
        durability.force();
        ready.addAll(cleared);
    }

    /** Gives back space whose table entry is gone in memory but perhaps not on the disk. */
    void free(long position) {
        freed.add(position);
    }

    /** Gives back space that no entry has ever referred to. */
    void unused(long position) {
        gaps.add(position);
    }

    /** What a flush that begins now makes free. */
    Release beginFlush() {
        Release release = new Release(freed, punched);
        freed = new ArrayList<>();
        punched = new ArrayList<>();
        return release;
    }

    /** Space on its way from freed to usable. */
    record Release(List<Long> freed, List<Long> punched) {}

    /** After a flush: freed space goes back to the host, space that went back before can be used again. */
    void flushed(Release release) throws IOException {
        ready.addAll(release.punched());
        for (long position : release.freed()) {
            if (file.punchHole(position, bitmapBytes + (long) blockBytes)) {
                durability.modified();
                punched.add(position);
            } else {
                gaps.add(position);
            }
        }
    }

    /** After a flush that failed. */
    void notFlushed(Release release) {
        freed.addAll(release.freed());
        punched.addAll(release.punched());
    }

    /** Moves the footer to the end of {@code bytes} of new space for something else than a block. */
    long takeForMetadata(VhdFooter footer, long bytes) throws IOException {
        long position = DynamicHeader.roundUp(Math.max(next, footerAt + VhdFooter.SIZE), ALIGNMENT);
        long end = position + bytes;
        FileEnd.put(file, durability, footer, end);
        endOfUse = end;
        next = aligned(end, bitmapBytes, PAYLOAD_ALIGNMENT);
        footerAt = end;
        return position;
    }

    /** Whether the file is longer than what is in use. */
    boolean slack() {
        return footerAt > DynamicHeader.roundUp(endOfUse, VhdFooter.SECTOR);
    }

    /** Cuts off what is not in use; the footer is in place before. */
    void trimToSize(VhdFooter footer) throws IOException {
        long end = DynamicHeader.roundUp(endOfUse, VhdFooter.SECTOR);
        FileEnd.cut(file, durability, footer, end);
        footerAt = end;
    }
}
