package org.torte.machine.integration;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.machine.vmbus.BusHost;

/** The pages that a guest has given up: one bit for each page that it has, and nothing else. Not for several threads. */
final class BalloonPages {
    private static final int SHIFT = 12;

    private final BusHost host;
    private BitSet pages = new BitSet();
    private long count;

    BalloonPages(BusHost host) {
        this.host = host;
    }

    long count() {
        return count;
    }

    /**
     * Takes pages from the guest and gives them back to the host.
     *
     * @param most how many pages to take of the range
     * @return how many of its pages were RAM and not taken already; the others are left alone
     */
    long take(MemoryMessage.Range range, long most) {
        GuestMemory memory = host.memory();
        long taken = 0;
        long from = range.first();
        long end = Math.min(from + range.count(), memory.top() >>> SHIFT);
        while (from < end && taken < most) {
            // From here on all numbers are those of pages below the top of RAM, so they fit.
            int free = pages.nextClearBit((int) from);
            int stop = pages.nextSetBit(free);
            long limit = Math.min(Math.min(stop < 0 ? end : stop, end), free + most - taken);
            for (GuestMemory.Bank bank : memory.banks()) {
                long first = Math.max(free, bank.address() >>> SHIFT);
                long last = Math.min(limit, bank.end() >>> SHIFT);
                if (first < last) {
                    pages.set((int) first, (int) last);
                    memory.release(first << SHIFT, (last - first) << SHIFT);
                    host.memoryWritten(first << SHIFT, (last - first) << SHIFT);
                    taken += last - first;
                }
            }
            from = Math.max(limit, from + 1);
        }
        count += taken;
        return taken;
    }

    /** Lets go of pages, the highest first, in few ranges; they are the guest's again. */
    List<MemoryMessage.Range> giveBack(long most, int maxRanges) {
        List<MemoryMessage.Range> ranges = new ArrayList<>();
        long left = most;
        int end = pages.length();
        while (left > 0 && end > 0 && ranges.size() < maxRanges) {
            int clear = pages.previousClearBit(end - 1);
            int first = (int) Math.max(clear + 1, end - Math.min(left, MemoryMessage.Range.MAX_COUNT));
            ranges.add(new MemoryMessage.Range(first, end - first));
            pages.clear(first, end);
            left -= end - first;
            count -= end - first;
            end = pages.length();
        }
        return ranges;
    }

    /** Forgets all of them: they are the guest's again. */
    void clear() {
        pages = new BitSet();
        count = 0;
    }

    long[] bits() {
        return pages.toLongArray();
    }

    /** Takes over saved pages; false when some are not RAM. */
    boolean restore(long[] bits) {
        pages = BitSet.valueOf(bits);
        count = pages.cardinality();
        for (int page = pages.nextSetBit(0); page >= 0; page = pages.nextSetBit(page + 1)) {
            int end = pages.nextClearBit(page);
            if (!host.memory().contains((long) page << SHIFT, (long) (end - page) << SHIFT)) {
                return false;
            }
            page = end;
        }
        return true;
    }
}
