package org.torte.disk.vhd;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.torte.disk.DiskFile;

/**
 * Which sectors of a differencing image's blocks are its own: a cache of the bitmaps before the blocks, most significant
 * bit first. Changed bitmaps stay until a flush has written them. Safe for use by several threads.
 */
final class SectorBitmaps {
    private final DiskFile file;
    private final int bytes;
    private final int sectors;
    private final int limit;
    private final LinkedHashMap<Integer, Bitmap> cache = new LinkedHashMap<>(64, 0.75f, true);
    private final Set<Integer> dirty = new LinkedHashSet<>();

    private static final class Bitmap {
        final long position;
        final byte[] bits;
        int count;
        boolean dirty;
        boolean flushing;
        /** Whether no table entry on the disk refers to it, so that it may be written at any time. */
        boolean fresh;

        Bitmap(long position, byte[] bits) {
            this.position = position;
            this.bits = bits;
        }

        boolean get(int sector) {
            return (bits[sector >> 3] & 0x80 >> (sector & 7)) != 0;
        }
    }

    /** A bitmap to be written. */
    @SuppressWarnings("ArrayRecordComponent") // carries bytes from here to the file; never compared
    record Pending(int block, long position, byte[] bits, boolean fresh) {}

    SectorBitmaps(DiskFile file, DynamicHeader header, long cacheBytes) {
        this.file = file;
        this.bytes = header.bitmapBytes();
        this.sectors = header.blockSize() / VhdFooter.SECTOR;
        this.limit = (int) Math.max(16, Math.min(1 << 20, cacheBytes / (bytes + 128L)));
    }

    /** An empty bitmap for a block that was just given space. */
    synchronized void create(int block, long position) {
        Bitmap bitmap = new Bitmap(position, new byte[bytes]);
        bitmap.dirty = true;
        bitmap.fresh = true;
        dirty.add(block);
        cache.put(block, bitmap);
    }

    /**
     * The length of the run that starts at {@code sector}, at most {@code most}: positive when its sectors are the
     * image's own, negative when they are the parent's.
     */
    synchronized int run(int block, long position, int sector, int most) throws IOException {
        Bitmap bitmap = load(block, position);
        if (bitmap.count == sectors) {
            return most;
        }
        boolean own = bitmap.get(sector);
        int length = 1;
        while (length < most && bitmap.get(sector + length) == own) {
            length++;
        }
        return own ? length : -length;
    }

    /** Makes sectors the image's own, after their content was written. */
    synchronized void add(int block, long position, int sector, int count) throws IOException {
        Bitmap bitmap = load(block, position);
        if (bitmap.count == sectors) {
            return;
        }
        for (int i = sector; i < sector + count; i++) {
            if (!bitmap.get(i)) {
                bitmap.bits[i >> 3] |= (byte) (0x80 >> (i & 7));
                bitmap.count++;
                bitmap.dirty = true;
            }
        }
        if (bitmap.dirty) {
            dirty.add(block);
        }
    }

    private Bitmap load(int block, long position) throws IOException {
        Bitmap bitmap = cache.get(block);
        if (bitmap == null) {
            byte[] bits = new byte[bytes];
            file.read(position, bits);
            bitmap = new Bitmap(position, bits);
            for (int i = 0; i < sectors; i++) {
                bitmap.count += bitmap.get(i) ? 1 : 0;
            }
            evict();
            cache.put(block, bitmap);
        }
        return bitmap;
    }

    private void evict() {
        if (cache.size() < limit) {
            return;
        }
        Iterator<Map.Entry<Integer, Bitmap>> oldest = cache.entrySet().iterator();
        for (int looked = 0; looked < 64 && oldest.hasNext() && cache.size() >= limit; looked++) {
            Bitmap bitmap = oldest.next().getValue();
            if (!bitmap.dirty && !bitmap.flushing) {
                oldest.remove();
            }
        }
    }

    /** Copies of what changed since the last call. */
    synchronized List<Pending> takeDirty() {
        List<Pending> pending = new ArrayList<>();
        for (int block : dirty) {
            Bitmap bitmap = cache.get(block);
            if (bitmap != null && bitmap.dirty) {
                pending.add(new Pending(block, bitmap.position, bitmap.bits.clone(), bitmap.fresh));
                bitmap.dirty = false;
                bitmap.flushing = true;
            }
        }
        dirty.clear();
        return pending;
    }

    /** Says what became of {@link #takeDirty()}. */
    synchronized void flushed(List<Pending> pending, boolean done) {
        for (Pending one : pending) {
            Bitmap bitmap = cache.get(one.block());
            if (bitmap != null && bitmap.position == one.position()) {
                bitmap.flushing = false;
                bitmap.fresh &= !done;
                bitmap.dirty |= !done;
                if (bitmap.dirty) {
                    dirty.add(one.block());
                }
            }
        }
    }

    /** Forgets a block that lost its space. */
    synchronized void remove(int block) {
        cache.remove(block);
    }
}
