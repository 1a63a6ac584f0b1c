package org.torte.disk.vhdx;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * For blocks of a chain, how many images below one have nothing of them, so that a long chain costs one step for each
 * image that has something of a block. An entry stays right as long as the images do: a parent only gains what an image
 * above it has (a merge), and whoever exchanges images makes a new one of these. Safe for use by several threads.
 */
final class SkippedImages {
    private static final int SLOTS = 1 << 14;
    private static final int COUNT_BITS = 16;
    private static final int COUNT_MASK = (1 << COUNT_BITS) - 1;
    /** Spreads the images of a block over the slots. */
    private static final int SPREAD = 1709;

    private final VhdxImage[] chain;
    /** Block, image and count, in this order from the high bits on; all zero says that nothing is skipped. */
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

    /** How many images after one have nothing of a block, as far as is known. */
    int after(int image, long block) {
        if (known.length() == 0) {
            return 0;
        }
        long entry = known.getPlain(slot(image, block));
        return entry >>> COUNT_BITS == key(image, block) ? (int) entry & COUNT_MASK : 0;
    }

    /** Remembers how many images between {@code image} and {@code next} have nothing of a block, having looked. */
    void learn(int image, long block, int next) {
        int count = Math.min(next - image - 1, COUNT_MASK);
        if (known.length() == 0 || count <= after(image, block)) {
            return;
        }
        int skipped = 0;
        while (skipped < count && hasNothing(chain[image + 1 + skipped], block)) {
            skipped++;
        }
        known.setPlain(slot(image, block), key(image, block) << COUNT_BITS | skipped);
    }

    /** The block table of the largest disk has fewer than 2^32 entries, and a chain fewer than 2^16 images. */
    private static long key(int image, long block) {
        return block << COUNT_BITS | image;
    }

    private static int slot(int image, long block) {
        return ((int) block + image * SPREAD) & (SLOTS - 1);
    }

    /** An image that ends in the block, or has blocks of another size, is never passed over. */
    private boolean hasNothing(VhdxImage image, long block) {
        return image.blockShift == chain[0].blockShift
                && image.geometry.differencing()
                && image.size() >= (block + 1) << image.blockShift
                && Layout.state(image.entry(block)) == Layout.NOT_PRESENT;
    }
}
