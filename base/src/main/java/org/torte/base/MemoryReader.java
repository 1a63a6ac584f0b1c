package org.torte.base;

import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * Reads guest memory into a {@link MemorySink}: all of it, or chosen pages. Others may write to it meanwhile; each page is
 * read once, and one that is written then may be seen in parts. Keeps 1 MiB, however large the memory is. For one thread.
 */
public final class MemoryReader {
    /** The most pages that a sink gets at once: 1 MiB. */
    public static final int MOST_PAGES = StateFormat.MAX_PAGES;

    private static final int PAGE = GuestMemory.PAGE_SIZE;
    private static final byte[] ZEROES = new byte[PAGE];

    private final GuestMemory memory;
    private final MemorySink sink;
    private final byte[] chunk = new byte[MOST_PAGES * PAGE];
    /** Where the pages in the chunk begin in guest memory, and how many bytes of them there are. */
    private long begin;

    private int filled;

    /** Reads this memory into that sink. */
    public MemoryReader(GuestMemory memory, MemorySink sink) {
        this.memory = memory;
        this.sink = sink;
    }

    /**
     * Reads all pages that are not zero, of which nothing must have been sent yet.
     *
     * @param progress told now and then how many bytes have been looked at or skipped; may throw to end it
     */
    public void all(LongConsumer progress) {
        long before = 0;
        for (GuestMemory.Bank bank : memory.banks()) {
            for (long at = memory.nextData(bank.address(), bank.end()); at < bank.end(); ) {
                boolean zero = !take(at);
                long next = at + PAGE;
                if (zero || next % chunk.length == 0) {
                    next = memory.nextData(next, bank.end());
                    progress.accept(before + next - bank.address());
                }
                at = next;
            }
            send();
            before += bank.length();
        }
    }

    /**
     * Reads pages that may have been sent before.
     *
     * @param pages a bit per guest-physical page, lowest page in bit 0 of the first element; those that are no RAM do not
     *     count
     * @param progress told now and then how many bytes have been read; may throw to end it
     * @return how many pages it were
     */
    public long pages(long[] pages, LongConsumer progress) {
        long count = 0;
        for (GuestMemory.Bank bank : memory.banks()) {
            long end = bank.end() / PAGE;
            for (long first = next(pages, bank.address() / PAGE, end, true); first < end; ) {
                long last = Math.min(next(pages, first, end, false), first + MOST_PAGES);
                run(first * PAGE, last * PAGE);
                count += last - first;
                progress.accept(count * PAGE);
                first = next(pages, last, end, true);
            }
            send();
        }
        return count;
    }

    /** Sends the pages of a range, also those that are zero now. */
    private void run(long from, long to) {
        for (long at = from; at < to; ) {
            long data = memory.nextData(at, to);
            if (data == at && take(at)) {
                at += PAGE;
                continue;
            }
            long zeroes = Math.max(data, at + PAGE);
            send();
            sink.zeroes(at, zeroes - at);
            at = zeroes;
        }
    }

    /** Adds a page to the chunk, unless it is zero. */
    private boolean take(long at) {
        if (filled == chunk.length || filled > 0 && at != begin + filled) {
            send();
        }
        memory.read(at, chunk, filled, PAGE);
        if (Arrays.equals(chunk, filled, filled + PAGE, ZEROES, 0, PAGE)) {
            return false;
        }
        if (filled == 0) {
            begin = at;
        }
        filled += PAGE;
        return true;
    }

    private void send() {
        if (filled > 0) {
            int length = filled;
            filled = 0;
            sink.pages(begin, chunk, length);
        }
    }

    /** The first page from {@code from} on whose bit is set, or clear; {@code end} if there is none before. */
    private static long next(long[] pages, long from, long end, boolean set) {
        for (long page = from; page < end; ) {
            int word = (int) (page >>> 6);
            long bits = word >= pages.length ? 0 : pages[word];
            long rest = (set ? bits : ~bits) >>> page;
            if (rest != 0) {
                return Math.min(end, page + Long.numberOfTrailingZeros(rest));
            }
            page = (page | 63) + 1;
        }
        return end;
    }
}
