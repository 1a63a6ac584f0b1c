package org.torte.hypervisor;

/**
 * Pages that have been written and are to be copied, taken in the order of their addresses, again from the lowest after
 * the highest, so that each has its turn. A page that is written again while it waits is copied once. For one thread.
 */
final class PageBacklog {
    private long[] waiting = {};
    private long count;
    /** The word that is taken from next. */
    private int cursor;

    /**
     * Adds pages.
     *
     * @param pages a bit per guest-physical page, as {@link Partition#takeDirtyPages} gives them
     * @return how many these are, also those that waited already
     */
    long add(long[] pages) {
        if (pages.length > waiting.length) {
            waiting = java.util.Arrays.copyOf(waiting, pages.length);
        }
        long added = 0;
        for (int i = 0; i < pages.length; i++) {
            added += Long.bitCount(pages[i]);
            count += Long.bitCount(pages[i] & ~waiting[i]);
            waiting[i] |= pages[i];
        }
        return added;
    }

    /** How many pages wait. */
    long count() {
        return count;
    }

    /**
     * Takes pages, which wait no longer.
     *
     * @param most about how many; up to 63 more may come
     * @return a bit per page, as above
     */
    long[] take(long most) {
        long[] taken = new long[waiting.length];
        long left = most;
        for (int i = 0; i < waiting.length && left > 0; i++) {
            long word = waiting[cursor];
            waiting[cursor] = 0;
            taken[cursor] = word;
            left -= Long.bitCount(word);
            count -= Long.bitCount(word);
            cursor = cursor + 1 == waiting.length ? 0 : cursor + 1;
        }
        return taken;
    }
}
