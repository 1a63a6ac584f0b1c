package org.torte.disk.vhdx;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * A cached 4 KiB page of the block table or of a sector bitmap. Words are read and changed by any thread; a thread that
 * changes a page pins it first, so that it cannot be evicted in between, and a dirty page stays pinned until its new
 * content is in its place in the file.
 */
final class MetadataPage {
    static final int WORDS = Layout.PAGE / 8;
    private static final int EVICTED = -1;
    private static final VarHandle PINS;
    private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

    static {
        try {
            PINS = MethodHandles.lookup().findVarHandle(MetadataPage.class, "pins", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    final long position;
    final AtomicReferenceArray<MetadataPage> home;
    final int slot;
    final long[] words = new long[WORDS];
    /** Set and cleared under the metadata lock; read without it. */
    volatile boolean dirty;
    /** A hint for eviction. */
    boolean used = true;

    @SuppressWarnings("UnusedVariable") // accessed by PINS
    private volatile int pins;

    MetadataPage(long position, AtomicReferenceArray<MetadataPage> home, int slot) {
        this.position = position;
        this.home = home;
        this.slot = slot;
    }

    long get(int index) {
        return (long) WORD.getVolatile(words, index);
    }

    void set(int index, long value) {
        WORD.setVolatile(words, index, value);
    }

    /** Sets the bits of {@code mask}; whether one of them was clear. */
    boolean or(int index, long mask) {
        return ((long) WORD.getAndBitwiseOr(words, index, mask) & mask) != mask;
    }

    /** Clears the bits of {@code mask}; whether one of them was set. */
    boolean clear(int index, long mask) {
        return ((long) WORD.getAndBitwiseAnd(words, index, ~mask) & mask) != 0;
    }

    /** Keeps the page from being evicted; false when it already was. */
    boolean pin() {
        while (true) {
            int now = pins;
            if (now == EVICTED) {
                return false;
            }
            if (PINS.compareAndSet(this, now, now + 1)) {
                return true;
            }
        }
    }

    void unpin() {
        PINS.getAndAdd(this, -1);
    }

    boolean evict() {
        return PINS.compareAndSet(this, 0, EVICTED);
    }
}
