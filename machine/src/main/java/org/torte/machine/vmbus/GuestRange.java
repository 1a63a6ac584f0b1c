package org.torte.machine.vmbus;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;

/**
 * Guest memory that need not be contiguous: some bytes in a list of pages, all of which have been found to be RAM. Positions
 * count from its first byte. Accesses outside are errors of the caller. Immutable.
 */
public final class GuestRange {
    private static final int SHIFT = 12;
    private static final int OFFSET_MASK = GuestMemory.PAGE_SIZE - 1;

    private final long[] pages;
    private final int offset;
    private final int length;

    private GuestRange(long[] pages, int offset, int length) {
        this.pages = pages;
        this.offset = offset;
        this.length = length;
    }

    /**
     * A range as packets and messages describe it, {length 4, offset 4, page numbers 8 each}; null when it makes no
     * sense or names anything but RAM.
     *
     * @param source positioned at the range; it is left after the last page number
     */
    static @Nullable GuestRange parse(ByteBuffer source, GuestMemory memory) {
        if (source.remaining() < 2 * Integer.BYTES) {
            return null;
        }
        int length = source.getInt();
        int offset = source.getInt();
        if (length <= 0 || offset < 0 || offset > OFFSET_MASK) {
            return null;
        }
        long count = pageCount(offset, length);
        if (source.remaining() / Long.BYTES < count) {
            return null;
        }
        long[] pages = new long[(int) count];
        for (int i = 0; i < count; i++) {
            pages[i] = source.getLong();
        }
        return of(pages, offset, length, memory);
    }

    /** How many pages so many bytes lie in. */
    static long pageCount(int offset, int length) {
        return ((long) offset + length + OFFSET_MASK) >> SHIFT;
    }

    /** A range in pages given by their numbers; null when one of them is not RAM. */
    static @Nullable GuestRange of(long[] pageNumbers, int offset, int length, GuestMemory memory) {
        long[] pages = new long[pageNumbers.length];
        for (int i = 0; i < pages.length; i++) {
            pages[i] = pageNumbers[i] << SHIFT;
            if (pages[i] >>> SHIFT != pageNumbers[i] || !memory.contains(pages[i], GuestMemory.PAGE_SIZE)) {
                return null;
            }
        }
        return new GuestRange(pages, offset, length);
    }

    /** How many bytes it has. */
    public int length() {
        return length;
    }

    /** The guest-physical address of a byte. */
    public long address(int position) {
        int at = offset + position;
        return pages[at >> SHIFT] + (at & OFFSET_MASK);
    }

    /** How many bytes from {@code position} on, up to {@code limit}, are contiguous in guest memory. */
    public int run(int position, int limit) {
        int most = Math.min(limit, length - position);
        int at = offset + position;
        int page = at >> SHIFT;
        int run = GuestMemory.PAGE_SIZE - (at & OFFSET_MASK);
        while (run < most && pages[page + 1] == pages[page] + GuestMemory.PAGE_SIZE) {
            run += GuestMemory.PAGE_SIZE;
            page++;
        }
        return Math.min(run, most);
    }

    /** Copies bytes out of guest memory. */
    public void read(GuestMemory memory, int position, byte[] target, int from, int count) {
        for (int done = 0; done < count; ) {
            int run = run(position + done, count - done);
            memory.read(address(position + done), target, from + done, run);
            done += run;
        }
    }

    /** Copies bytes into guest memory and tells the back-end. */
    public void write(BusHost host, int position, byte[] source, int from, int count) {
        for (int done = 0; done < count; ) {
            int run = run(position + done, count - done);
            long address = address(position + done);
            host.memory().write(address, source, from + done, run);
            host.memoryWritten(address, run);
            done += run;
        }
    }

    /** Copies bytes into guest memory and tells the back-end. */
    public void write(BusHost host, int position, MemorySegment source, long from, int count) {
        for (int done = 0; done < count; ) {
            int run = run(position + done, count - done);
            long address = address(position + done);
            MemorySegment.copy(source, JAVA_BYTE, from + done, host.memory().segment(), JAVA_BYTE, address, run);
            host.memoryWritten(address, run);
            done += run;
        }
    }

    /** The part from {@code position} on, in its own whole pages: for rings. */
    GuestRange tail(int firstPage, int pageCount) {
        return new GuestRange(
                java.util.Arrays.copyOfRange(pages, firstPage, firstPage + pageCount), 0, pageCount << SHIFT);
    }

    int pageCount() {
        return pages.length;
    }

    int offset() {
        return offset;
    }

    /** The number of a page, counted from 0. */
    long pageNumber(int index) {
        return pages[index] >>> SHIFT;
    }
}
