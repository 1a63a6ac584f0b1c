package org.torte.disk.vhd;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Extent;
import org.torte.disk.Faults;

/**
 * One file with a dynamic or differencing VHD: its structures, its block table, and what makes them durable.
 *
 * <p><b>Order instead of a log.</b> Changes of the block table and of bitmaps stay in memory until a flush. Space for a
 * block is inside the file and durably zero before anything refers to it ({@link BlockSpace}). A flush of a dynamic
 * image therefore needs one force for content and table together: a table entry that survives without its block's
 * content shows zeros, as before. A differencing image forces content and the bitmaps of new blocks first, and then
 * the table and the bitmaps of old blocks; otherwise a crash could show zeros where the parent's content was. Every
 * write to metadata in use is one sector, which the host does not tear.
 *
 * <p><b>Bitmaps of dynamic images</b> are written as all ones and not read: every known writer does the same, and what
 * they would hide is zero.
 *
 * <p><b>Locks.</b> Requests share {@code structure}; what takes blocks away or exchanges the table excludes them.
 * {@code allocation} guards table changes and space. Order: structure, flushing, allocation.
 */
final class DynamicImage {
    /** Bytes from which on a hole is better than zeros. */
    static final int WORTH_A_HOLE = 64 << 10;

    final DiskFile file;
    final Faults faults;
    final Durability durability;
    final boolean differencing;
    /** Present in a differencing image. */
    final @Nullable SectorBitmaps bitmaps;

    final int blockBytes;
    final int bitmapBytes;
    final ReentrantReadWriteLock structure = new ReentrantReadWriteLock();
    final ReentrantLock flushing = new ReentrantLock();
    final ReentrantLock allocation = new ReentrantLock();
    volatile VhdFooter footer;
    volatile DynamicHeader header;
    volatile BlockTable table;
    volatile long size;

    private final byte[] wholeBitmap;
    private final AtomicLong changes = new AtomicLong();
    private volatile long durable;
    /** Present when open for writing. */
    private final @Nullable BlockSpace space;

    DynamicImage(VhdLayout layout, long cacheBytes) throws IOException {
        this.file = layout.file();
        this.footer = layout.footer();
        this.header = layout.dynamic();
        this.size = footer.diskSize();
        this.faults = new Faults(file.name());
        this.durability = new Durability(file, faults);
        this.differencing = footer.type() == VhdFooter.DIFFERENCING;
        this.blockBytes = header.blockSize();
        this.bitmapBytes = header.bitmapBytes();
        this.bitmaps = differencing ? new SectorBitmaps(file, header, cacheBytes) : null;
        this.wholeBitmap = new byte[bitmapBytes];
        Arrays.fill(wholeBitmap, (byte) 0xff);
        int[] entries = layout.table();
        this.table = new BlockTable(entries);
        this.space = file.readOnly() ? null : SpaceScan.of(layout, entries, durability);
    }

    BlockSpace space() {
        return Objects.requireNonNull(space, "open for reading");
    }

    /** Says that the file or what is to be written to it was modified; called before the request returns. */
    void modified() {
        durability.modified();
        changes.incrementAndGet();
    }

    /** Whether this image has space for a block. */
    boolean has(int block) {
        BlockTable now = table;
        return block < now.size() && now.has(block);
    }

    DiskInfo info() {
        try {
            return new DiskInfo(
                    file.name(),
                    DiskFormat.VHD,
                    differencing ? DiskType.DIFFERENCING : DiskType.DYNAMIC,
                    size,
                    file.size(),
                    file.allocatedSize(),
                    blockBytes,
                    VhdFooter.SECTOR,
                    VhdFooter.SECTOR,
                    footer.identifier(),
                    footer.identifier(),
                    differencing ? ParentLink.shown(file, header) : Optional.empty(),
                    false);
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    /** What this image has at an offset. The caller holds {@code structure}. */
    Extent extent(long offset, long length) throws IOException {
        int block = (int) (offset / blockBytes);
        int inside = (int) (offset % blockBytes);
        long count = Math.min(length, blockBytes - inside);
        long position = table.position(block);
        if (position >= 0 && bitmaps != null) {
            int run = bitmaps.run(block, position, inside / VhdFooter.SECTOR, (int) (count / VhdFooter.SECTOR));
            return new Extent(
                    offset, Math.abs(run) * (long) VhdFooter.SECTOR, run > 0 ? Extent.Kind.MAPPED : Extent.Kind.PARENT);
        }
        if (position >= 0) {
            return new Extent(offset, count, Extent.Kind.MAPPED);
        }
        for (int next = block + 1; count < length && next < table.size() && !table.has(next); next++) {
            count = Math.min(length, count + blockBytes);
        }
        return new Extent(offset, count, differencing ? Extent.Kind.PARENT : Extent.Kind.UNMAPPED);
    }

    /** Gives a block space, unless another thread just did. */
    long allocate(int block) throws IOException {
        allocation.lock();
        try {
            long position = table.position(block);
            if (position >= 0) {
                return position;
            }
            position = space().take(footer, table.size());
            if (bitmaps == null) {
                try {
                    file.write(position, wholeBitmap);
                } catch (IOException e) {
                    space().unused(position);
                    throw e;
                }
            } else {
                bitmaps.create(block, position);
            }
            table.set(block, position);
            return position;
        } finally {
            allocation.unlock();
        }
    }

    /** Makes a range of the file zero, as a hole if it is worth it. */
    void zeroPayload(long position, int count) throws IOException {
        if (count >= WORTH_A_HOLE && file.punchHole(position, count)) {
            return;
        }
        file.writeZeros(position, count);
    }

    /** Makes durable what returned before this call. */
    void flush() {
        long wanted = changes.get();
        if (durable >= wanted) {
            faults.check();
            return;
        }
        flushing.lock();
        try {
            faults.check();
            if (durable < wanted) {
                flushNow();
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            flushing.unlock();
        }
    }

    /** The same whatever there is to do; the caller holds {@code flushing}. */
    void flushNow() throws IOException {
        List<BlockTable.Sector> sectors;
        List<SectorBitmaps.Pending> pending;
        BlockSpace.Release release;
        long covered;
        allocation.lock();
        try {
            covered = changes.get();
            pending = bitmaps == null ? List.of() : bitmaps.takeDirty();
            sectors = table.takeDirty();
            release = space().beginFlush();
        } finally {
            allocation.unlock();
        }
        boolean done = false;
        try {
            writeMetadata(sectors, pending);
            done = true;
        } finally {
            if (bitmaps != null) {
                bitmaps.flushed(pending, done);
            }
            allocation.lock();
            try {
                if (done) {
                    durable = covered;
                    space().flushed(release);
                } else {
                    table.putBack(sectors);
                    space().notFlushed(release);
                }
            } finally {
                allocation.unlock();
            }
        }
    }

    private void writeMetadata(List<BlockTable.Sector> sectors, List<SectorBitmaps.Pending> pending)
            throws IOException {
        if (!pending.isEmpty()) {
            for (SectorBitmaps.Pending one : pending) {
                if (one.fresh()) {
                    file.write(one.position(), one.bits());
                }
            }
            durability.modified();
            durability.force();
            for (SectorBitmaps.Pending one : pending) {
                if (!one.fresh()) {
                    file.write(one.position(), one.bits());
                }
            }
        }
        writeSectors(sectors);
        if (!pending.isEmpty() || !sectors.isEmpty()) {
            durability.modified();
        }
        durability.force();
    }

    /** Writes table sectors, neighbours in one call. */
    private void writeSectors(List<BlockTable.Sector> sectors) throws IOException {
        for (int i = 0; i < sectors.size(); ) {
            int run = 1;
            while (i + run < sectors.size()
                    && sectors.get(i + run).index() == sectors.get(i).index() + run) {
                run++;
            }
            byte[] bytes = new byte[run * VhdFooter.SECTOR];
            for (int k = 0; k < run; k++) {
                System.arraycopy(sectors.get(i + k).bytes(), 0, bytes, k * VhdFooter.SECTOR, VhdFooter.SECTOR);
            }
            file.write(header.tableOffset() + (long) sectors.get(i).index() * VhdFooter.SECTOR, bytes);
            i += run;
        }
    }

    /** Makes everything durable and cuts off what is not in use. */
    void settle() throws IOException {
        flush();
        if (space().slack()) {
            space().trimToSize(footer);
        }
    }

    /** Changes the place or length of the table: only the first sector of the header differs. */
    void replaceTable(DynamicHeader changed) throws IOException {
        byte[] bytes = new byte[DynamicHeader.SIZE];
        file.read(footer.dataOffset(), bytes);
        file.write(footer.dataOffset(), Arrays.copyOf(changed.patchTable(bytes), VhdFooter.SECTOR));
        durability.modified();
        durability.force();
        header = changed;
    }

    /** Writes a changed footer to both of its places, each durably. */
    void replaceFooter(VhdFooter changed) throws IOException {
        FileEnd.put(file, durability, changed, space().footerAt());
        FileEnd.put(file, durability, changed, 0);
        footer = changed;
    }
}
