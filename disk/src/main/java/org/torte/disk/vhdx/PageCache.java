package org.torte.disk.vhdx;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskFile;

/**
 * The pages of the block table and of the sector bitmaps, loaded when they are needed and evicted by a clock when there
 * are too many: the block table of a 64 TiB disk with 1 MiB blocks has 513 MiB. A page that is there is found without a
 * lock and without allocation. Safe for use by several threads.
 */
final class PageCache {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int LOAD_LOCKS = 32;
    private static final int MINIMUM_PAGES = 512;
    private static final int BITMAP_PAGES = (int) (Layout.MIB / Layout.PAGE);

    private final DiskFile file;
    private final int limit;
    private final ReentrantLock[] loading = new ReentrantLock[LOAD_LOCKS];
    private final ReentrantLock ringLock = new ReentrantLock();
    private final List<MetadataPage> ring = new ArrayList<>();
    private int hand;

    private volatile long tableOffset;
    private volatile AtomicReferenceArray<MetadataPage> table;
    private volatile AtomicReferenceArray<@Nullable AtomicReferenceArray<MetadataPage>> bitmaps;

    PageCache(DiskFile file, Geometry geometry, long tableOffset, long limitBytes) {
        this.file = file;
        this.limit = (int) Math.clamp(limitBytes / Layout.PAGE, MINIMUM_PAGES, 1 << 24);
        this.tableOffset = tableOffset;
        this.table = new AtomicReferenceArray<>(pages(geometry.tableLength()));
        this.bitmaps = new AtomicReferenceArray<>(geometry.differencing() ? Math.toIntExact(geometry.chunks()) : 0);
        for (int i = 0; i < LOAD_LOCKS; i++) {
            loading[i] = new ReentrantLock();
        }
    }

    private static int pages(long bytes) {
        return Math.toIntExact((bytes + Layout.PAGE - 1) / Layout.PAGE);
    }

    /** The page with an entry of the block table, which is at {@code entry % WORDS} in it. */
    MetadataPage table(long entry) throws IOException {
        int slot = (int) (entry / MetadataPage.WORDS);
        return find(table, slot, tableOffset + (long) slot * Layout.PAGE);
    }

    /** A page of the sector bitmap of a chunk, whose block is at {@code offset} of the file. */
    MetadataPage bitmap(long chunk, int page, long offset) throws IOException {
        AtomicReferenceArray<MetadataPage> home = bitmaps.get((int) chunk);
        while (home == null) {
            bitmaps.compareAndSet((int) chunk, null, new AtomicReferenceArray<>(BITMAP_PAGES));
            home = bitmaps.get((int) chunk);
        }
        return find(home, page, offset + (long) page * Layout.PAGE);
    }

    /** Like {@link #table}, pinned: to be changed. */
    MetadataPage pinTable(long entry) throws IOException {
        while (true) {
            MetadataPage page = table(entry);
            if (page.pin()) {
                return page;
            }
        }
    }

    /** Like {@link #bitmap}, pinned: to be changed. */
    MetadataPage pinBitmap(long chunk, int page, long offset) throws IOException {
        while (true) {
            MetadataPage found = bitmap(chunk, page, offset);
            if (found.pin()) {
                return found;
            }
        }
    }

    /**
     * Follows a change of size or place of the block table. Nothing else may use the cache meanwhile and no page may be
     * dirty.
     */
    void relocate(Geometry geometry, long newTableOffset) {
        ringLock.lock();
        try {
            for (MetadataPage page : ring) {
                page.evict();
            }
            ring.clear();
            tableOffset = newTableOffset;
            table = new AtomicReferenceArray<>(pages(geometry.tableLength()));
            bitmaps = new AtomicReferenceArray<>(geometry.differencing() ? Math.toIntExact(geometry.chunks()) : 0);
        } finally {
            ringLock.unlock();
        }
    }

    @SuppressWarnings("NullAway") // an empty slot is null
    private MetadataPage find(AtomicReferenceArray<MetadataPage> home, int slot, long position) throws IOException {
        MetadataPage page = home.get(slot);
        if (page != null) {
            if (!page.used) {
                page.used = true;
            }
            return page;
        }
        // One loader for a slot at a time: content read earlier must not overtake a change that was made, written and
        // evicted in between.
        ReentrantLock lock = loading[(int) (position / Layout.PAGE) & (LOAD_LOCKS - 1)];
        lock.lock();
        try {
            page = home.get(slot);
            if (page == null) {
                page = new MetadataPage(position, home, slot);
                byte[] content = new byte[Layout.PAGE];
                file.read(position, content);
                MemorySegment.copy(MemorySegment.ofArray(content), LONG, 0, page.words, 0, MetadataPage.WORDS);
                home.set(slot, page);
                remember(page);
            }
            return page;
        } finally {
            lock.unlock();
        }
    }

    @SuppressWarnings("NullAway") // emptying a slot
    private void remember(MetadataPage page) {
        ringLock.lock();
        try {
            // Two rounds clear every hint; if all is pinned then, the cache grows: the number of dirty pages is
            // bounded.
            for (int tries = ring.size() < limit ? 0 : 2 * ring.size(); tries > 0; tries--) {
                hand = hand + 1 < ring.size() ? hand + 1 : 0;
                MetadataPage victim = ring.get(hand);
                if (victim.used) {
                    victim.used = false;
                } else if (victim.evict()) {
                    victim.home.compareAndSet(victim.slot, victim, null);
                    ring.set(hand, page);
                    return;
                }
            }
            ring.add(page);
        } finally {
            ringLock.unlock();
        }
    }

    /** How many pages are loaded. */
    int loaded() {
        ringLock.lock();
        try {
            return ring.size();
        } finally {
            ringLock.unlock();
        }
    }
}
