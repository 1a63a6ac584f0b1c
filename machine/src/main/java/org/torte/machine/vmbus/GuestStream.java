package org.torte.machine.vmbus;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import org.torte.base.GuestMemory;

/**
 * Pieces of guest memory, one after the other, that are read once from front to back. Made once and used again and again;
 * not for several threads.
 */
public final class GuestStream {
    private final GuestMemory memory;
    private long[] addresses = new long[32];
    private int[] lengths = new int[32];
    private int runs;
    private int run;
    private int within;
    private int remaining;

    /** Nothing, in this memory. */
    public GuestStream(GuestMemory memory) {
        this.memory = memory;
    }

    /** Forgets all pieces. */
    public void clear() {
        runs = 0;
        run = 0;
        within = 0;
        remaining = 0;
    }

    /** Appends a part of a range; the part must lie in it. */
    public void add(GuestRange range, int position, int count) {
        for (int done = 0; done < count; ) {
            int length = range.run(position + done, count - done);
            add(range.address(position + done), length);
            done += length;
        }
    }

    /** Appends bytes at an address; the caller has found that they are RAM. */
    void add(long address, int length) {
        if (runs > 0 && addresses[runs - 1] + lengths[runs - 1] == address) {
            lengths[runs - 1] += length;
        } else {
            if (runs == addresses.length) {
                addresses = java.util.Arrays.copyOf(addresses, 2 * runs);
                lengths = java.util.Arrays.copyOf(lengths, 2 * runs);
            }
            addresses[runs] = address;
            lengths[runs] = length;
            runs++;
        }
        remaining += length;
    }

    /** How many bytes have not been read. */
    public int remaining() {
        return remaining;
    }

    /** Reads bytes, at most {@link #remaining}. */
    public void read(byte[] target, int from, int count) {
        read(MemorySegment.ofArray(target), from, count);
    }

    /** Reads bytes, at most {@link #remaining}. */
    public void read(MemorySegment target, long at, int count) {
        for (int done = 0; done < count; ) {
            int part = Math.min(count - done, lengths[run] - within);
            MemorySegment.copy(
                    memory.segment(), JAVA_BYTE, addresses[run] + within, target, JAVA_BYTE, at + done, part);
            done += part;
            advance(part);
        }
    }

    /** Leaves bytes out, at most {@link #remaining}. */
    public void skip(int count) {
        for (int done = 0; done < count; ) {
            int part = Math.min(count - done, lengths[run] - within);
            done += part;
            advance(part);
        }
    }

    private void advance(int part) {
        within += part;
        remaining -= part;
        if (within == lengths[run]) {
            run++;
            within = 0;
        }
    }
}
