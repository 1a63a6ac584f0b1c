package org.torte.disk.vhdx;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * For blocks of a chain, how many images below the top one have nothing of them, so that a long chain costs one step. An
 * entry stays right as long as the images do: a parent only gains what an image above it has (a merge), and whoever
 * exchanges images makes a new one of these. Safe for use by several threads.
 */
final class SkippedImages {
    private static final int SLOTS = 1 << 14;
    private static final int COUNT_BITS = 16;
    private static final int COUNT_MASK = (1 << COUNT_BITS) - 1;

    private final VhdxImage[] chain;
    /** Block and count, the block's low bits being the place; all zero says that nothing is skipped. */
    private final AtomicLongArray known;

    /**
     * @param parentGrows whether the second image may gain what the first does not have: then nothing is remembered
     */
    SkippedImages(VhdxImage[] chain, boolean parentGrows) {
        this.chain = chain;
        this.known = new AtomicLongArray(chain.length > 2 && !parentGrows ? SLOTS : 0);
    }

    /** The images, the top one first; never changed. */
    VhdxImage[] chain() {
        return chain;
    }

    /** How many images after the first have nothing of a block, as far as is known. */
    int get(long block) {
        if (known.length() == 0) {
            return 0;
        }
        long entry = known.getPlain((int) block & (SLOTS - 1));
        return entry >>> COUNT_BITS == block ? (int) entry & COUNT_MASK : 0;
    }

    /** Remembers that the first {@code count} images after the top one may have nothing of a block, having looked. */
    void put(long block, int count) {
        if (known.length() == 0 || count <= get(block)) {
            return;
        }
        int skipped = 0;
        while (skipped < Math.min(count, COUNT_MASK) && hasNothing(chain[skipped + 1], block)) {
            skipped++;
        }
        known.setPlain((int) block & (SLOTS - 1), block << COUNT_BITS | skipped);
    }

    /** An image that ends in the block, or has blocks of another size, is never passed over. */
    private boolean hasNothing(VhdxImage image, long block) {
        return image.blockShift == chain[0].blockShift
                && image.geometry.differencing()
                && image.size() >= (block + 1) << image.blockShift
                && Layout.state(image.entry(block)) == Layout.NOT_PRESENT;
    }
}
