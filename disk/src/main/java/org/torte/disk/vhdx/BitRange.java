package org.torte.disk.vhdx;

/** Ranges of bits of a page of a sector bitmap: LSB first, a set bit for a sector that is in the image. */
final class BitRange {
    private BitRange() {}

    static boolean allSet(MetadataPage page, int from, int count) {
        for (int at = from; at < from + count; at = (at | 63) + 1) {
            long mask = mask(at, from + count);
            if ((page.get(at >>> 6) & mask) != mask) {
                return false;
            }
        }
        return true;
    }

    static void set(MetadataPage page, int from, int count) {
        for (int at = from; at < from + count; at = (at | 63) + 1) {
            page.or(at >>> 6, mask(at, from + count));
        }
    }

    /** Whether a bit was set. */
    static boolean clear(MetadataPage page, int from, int count) {
        boolean changed = false;
        for (int at = from; at < from + count; at = (at | 63) + 1) {
            changed |= page.clear(at >>> 6, mask(at, from + count));
        }
        return changed;
    }

    /** The bits of the word of {@code from} that are at or after it and before {@code end}. */
    private static long mask(int from, int end) {
        long mask = -1L << from;
        int last = (from | 63) + 1;
        return end < last ? mask & (1L << end) - 1 : mask;
    }
}
