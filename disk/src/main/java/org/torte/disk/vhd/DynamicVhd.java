package org.torte.disk.vhd;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskType;
import org.torte.disk.Durability;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.LayeredDisk;
import org.torte.disk.Requests;
import org.torte.disk.VirtualDisk;

/**
 * A dynamic or differencing VHD.
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
final class DynamicVhd implements LayeredDisk {
    private static final int PUNCHED = 64 << 10;
    private static final int MOVED_AT_ONCE = 16;

    private final DiskFile file;
    private final Faults faults;
    private final Durability durability;
    private volatile @Nullable VirtualDisk parent;
    private final boolean differencing;
    private final @Nullable SectorBitmaps bitmaps;
    private volatile @Nullable NearestOwner nearest;
    private final int blockBytes;
    private final int bitmapBytes;
    private final byte[] wholeBitmap;

    private final ReentrantReadWriteLock structure = new ReentrantReadWriteLock();
    private final ReentrantLock flushing = new ReentrantLock();
    private final ReentrantLock allocation = new ReentrantLock();
    private final AtomicLong changes = new AtomicLong();
    private volatile long durable;
    private final Requests requests;

    private volatile VhdFooter footer;
    private volatile DynamicHeader header;
    private volatile BlockTable table;
    private volatile long size;
    /** Present when open for writing. */
    private final @Nullable BlockSpace space;

    /**
     * @param parent what a differencing image reads through to; null when only its metadata is wanted
     */
    DynamicVhd(VhdLayout layout, @Nullable VirtualDisk parent, long cacheBytes) throws IOException {
        this.file = layout.file();
        this.footer = layout.footer();
        this.header = layout.dynamic();
        this.size = footer.diskSize();
        this.faults = new Faults(file.name());
        this.durability = new Durability(file, faults);
        this.requests = new Requests(file, faults);
        this.parent = parent;
        this.differencing = footer.type() == VhdFooter.DIFFERENCING;
        this.blockBytes = header.blockSize();
        this.bitmapBytes = header.bitmapBytes();
        this.bitmaps = differencing ? new SectorBitmaps(file, header, cacheBytes) : null;
        this.wholeBitmap = new byte[bitmapBytes];
        Arrays.fill(wholeBitmap, (byte) 0xff);
        int[] entries = layout.table();
        this.table = new BlockTable(entries);
        this.nearest = nearest(parent);
        this.space = file.readOnly() ? null : SpaceScan.of(layout, entries, durability);
    }

    private @Nullable NearestOwner nearest(@Nullable VirtualDisk above) {
        return above instanceof DynamicVhd ? new NearestOwner(above, table.size(), blockBytes) : null;
    }

    // ------------------------------------------------------------------ layers

    @Override
    public List<Path> layers() {
        return VhdLayers.of(this).stream()
                .map(layer -> Path.of(VhdLayers.file(layer).name()))
                .toList();
    }

    @Override
    public VirtualDisk layer(int index) {
        return VhdLayers.of(this).get(index);
    }

    @Override
    public VirtualDisk beginMerge(int index, DiskOptions options) {
        return new VhdLayers(this, options).beginMerge(index);
    }

    @Override
    public void endMerge(int index, DiskOptions options) {
        new VhdLayers(this, options).endMerge(index);
    }

    @Override
    public void removeLayer(int index, DiskOptions options) {
        new VhdLayers(this, options).remove(index);
    }

    DiskFile file() {
        return file;
    }

    /** Runs something while no request to this disk is under way, and with that none to its parents. */
    void withoutRequests(Runnable action) {
        structure.writeLock().lock();
        try {
            action.run();
        } finally {
            structure.writeLock().unlock();
        }
    }

    /** Reads through to another parent from now on. The caller keeps requests away. */
    void replaceParent(VirtualDisk other) {
        parent = other;
        parentsChanged();
    }

    /** Forgets where blocks are, after the chain below has changed. The caller keeps requests away. */
    void parentsChanged() {
        nearest = nearest(parent);
    }

    /** Closes the file and leaves the parents to the others that use them. */
    void closeAlone() {
        parent = null;
        close();
    }

    /**
     * Writes into the image who its parent is. The header is two sectors with one checksum, so it is not overwritten in
     * place: a new one goes to the end of the file, the footers are pointed to it one after the other, then the original
     * place is brought up to date and the footers return to it.
     */
    void connect(VirtualDisk to) {
        Path own = Path.of(file.name());
        Path other = Path.of(VhdLayers.file(to).name());
        connect(to.info().identifier(), other, ParentLink.written(own, other));
    }

    /** The same for a parent that is not open. */
    void connect(UUID identifier, Path path, List<ParentLink.Written> links) {
        checkWritable(0, 0);
        Path last = path.getFileName();
        structure.writeLock().lock();
        try {
            flush();
            flushing.lock();
            allocation.lock();
            try {
                VhdFooter original = footer;
                long length = DynamicHeader.SIZE;
                for (ParentLink.Written link : links) {
                    length += DynamicHeader.roundUp(link.encode().length, BlockSpace.ALIGNMENT);
                }
                ParentLink.Place place = ParentLink.write(file, links, space().takeForMetadata(original, length));
                DynamicHeader changed =
                        header.withParent(identifier, last == null ? "" : last.toString(), place.locators());
                file.write(place.end(), changed.encode());
                durability.modified();
                durability.force();
                replaceFooter(original.withDataOffset(place.end()));
                file.write(original.dataOffset(), changed.encode());
                durability.modified();
                durability.force();
                replaceFooter(original);
                header = changed;
            } finally {
                allocation.unlock();
                flushing.unlock();
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.writeLock().unlock();
        }
    }

    /** Makes everything durable and cuts off what is not in use. */
    void settle() throws IOException {
        flush();
        if (space().slack()) {
            space().trimToSize(footer);
        }
    }

    // ------------------------------------------------------------------ the disk

    @Override
    public long size() {
        return size;
    }

    @Override
    public int logicalSectorSize() {
        return VhdFooter.SECTOR;
    }

    @Override
    public int physicalSectorSize() {
        return VhdFooter.SECTOR;
    }

    @Override
    public int blockSize() {
        return blockBytes;
    }

    @Override
    public boolean readOnly() {
        return file.readOnly();
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return Optional.ofNullable(parent);
    }

    @Override
    public DiskInfo info() {
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

    /** Whether this image has space for a block. */
    boolean has(int block) {
        BlockTable now = table;
        return block < now.size() && now.has(block);
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        structure.readLock().lock();
        try {
            check(offset, length);
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / blockBytes);
                int inside = (int) (here % blockBytes);
                int count = (int) Math.min(length - done, blockBytes - inside);
                readBlock(block, inside, memory, at + done, count);
                done += count;
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.readLock().unlock();
        }
    }

    private void readBlock(int block, int inside, MemorySegment memory, long at, int count) throws IOException {
        long position = table.position(block);
        if (position < 0) {
            below(block, (long) block * blockBytes + inside, memory, at, count);
        } else if (bitmaps == null) {
            file.read(position + bitmapBytes + inside, memory, at, count);
        } else {
            for (int done = 0; done < count; ) {
                int run = bitmaps.run(
                        block, position, (inside + done) / VhdFooter.SECTOR, (count - done) / VhdFooter.SECTOR);
                int bytes = Math.abs(run) * VhdFooter.SECTOR;
                if (run > 0) {
                    file.read(position + bitmapBytes + inside + done, memory, at + done, bytes);
                } else {
                    readParent(parentOf(), (long) block * blockBytes + inside + done, memory, at + done, bytes);
                }
                done += bytes;
            }
        }
    }

    /** Reads what this image has no block for. */
    private void below(int block, long offset, MemorySegment memory, long at, int count) {
        if (!differencing) {
            memory.asSlice(at, count).fill((byte) 0);
            return;
        }
        NearestOwner owners = nearest;
        VirtualDisk source = owners == null ? parentOf() : owners.of(block);
        if (source == null) {
            memory.asSlice(at, count).fill((byte) 0);
        } else {
            readParent(source, offset, memory, at, count);
        }
    }

    private static void readParent(VirtualDisk source, long offset, MemorySegment memory, long at, int count) {
        int there = (int) Math.clamp(source.size() - offset, 0, count);
        if (there > 0) {
            source.read(offset, memory, at, there);
        }
        if (there < count) {
            memory.asSlice(at + there, count - there).fill((byte) 0);
        }
    }

    private VirtualDisk parentOf() {
        VirtualDisk above = parent;
        if (above == null) {
            throw new DiskException(
                    Kind.PARENT_MISSING, file.name(), "it was opened without its parent", "open it with its parent");
        }
        return above;
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        structure.readLock().lock();
        try {
            checkWritable(offset, length);
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / blockBytes);
                int inside = (int) (here % blockBytes);
                int count = (int) Math.min(length - done, blockBytes - inside);
                long position = table.position(block);
                if (position < 0) {
                    position = allocate(block);
                }
                file.write(position + bitmapBytes + inside, memory, at + done, count);
                if (bitmaps != null) {
                    bitmaps.add(block, position, inside / VhdFooter.SECTOR, count / VhdFooter.SECTOR);
                }
                done += count;
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            modified();
            structure.readLock().unlock();
        }
    }

    private void modified() {
        durability.modified();
        changes.incrementAndGet();
    }

    private BlockSpace space() {
        return Objects.requireNonNull(space, "open for reading");
    }

    /** Gives a block space, unless another thread just did. */
    private long allocate(int block) throws IOException {
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

    @Override
    public void writeZeroes(long offset, long length) {
        structure.readLock().lock();
        try {
            checkWritable(offset, length);
            if (!differencing) {
                structure.readLock().unlock();
                try {
                    release(offset, length);
                } finally {
                    structure.readLock().lock();
                }
            }
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / blockBytes);
                int inside = (int) (here % blockBytes);
                int count = (int) Math.min(length - done, blockBytes - inside);
                zeroBlock(block, inside, count);
                done += count;
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            modified();
            structure.readLock().unlock();
        }
    }

    private void zeroBlock(int block, int inside, int count) throws IOException {
        long position = table.position(block);
        if (position < 0 && (!differencing || zeroBelow((long) block * blockBytes + inside, count))) {
            return;
        }
        if (position < 0) {
            position = allocate(block);
        }
        zeroPayload(position + bitmapBytes + inside, count);
        if (bitmaps != null) {
            bitmaps.add(block, position, inside / VhdFooter.SECTOR, count / VhdFooter.SECTOR);
        }
    }

    private void zeroPayload(long position, int count) throws IOException {
        if (count >= PUNCHED && file.punchHole(position, count)) {
            return;
        }
        file.writeZeros(position, count);
    }

    private boolean zeroBelow(long offset, int count) {
        VirtualDisk below = parentOf();
        long end = Math.min(offset + count, below.size());
        for (long at = offset; at < end; ) {
            Extent extent = below.extent(at, end - at);
            if (extent.kind() != Extent.Kind.ZERO && extent.kind() != Extent.Kind.UNMAPPED) {
                return false;
            }
            at = extent.end();
        }
        return true;
    }

    /** Takes the space of all whole blocks in a range; they read as zeros. Only without a parent. */
    private void release(long offset, long length) {
        long first = (offset + blockBytes - 1) / blockBytes;
        long last = offset + length == size ? table.size() : (offset + length) / blockBytes;
        if (first >= last) {
            return;
        }
        structure.writeLock().lock();
        allocation.lock();
        try {
            for (int block = (int) first; block < last && block < table.size(); block++) {
                long position = table.position(block);
                if (position >= 0) {
                    table.set(block, -1);
                    space().free(position);
                }
            }
        } finally {
            allocation.unlock();
            structure.writeLock().unlock();
        }
    }

    /**
     * Takes the space of whole blocks; parts of blocks become holes. In a differencing image the sectors that are its own
     * become holes and stay its own, because the parent's content must not come back.
     */
    @Override
    public void trim(long offset, long length) {
        check(offset, length);
        checkWritable(offset, length);
        try {
            if (!differencing) {
                release(offset, length);
            }
            punchOwn(offset, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            modified();
        }
    }

    private void punchOwn(long offset, long length) throws IOException {
        structure.readLock().lock();
        try {
            for (long done = 0; done < length; ) {
                Extent extent = extentLocked(offset + done, length - done);
                if (extent.kind() == Extent.Kind.MAPPED && extent.length() >= PUNCHED) {
                    int block = (int) (extent.offset() / blockBytes);
                    long position = table.position(block) + bitmapBytes + extent.offset() % blockBytes;
                    file.punchHole(position, extent.length());
                }
                done += extent.length();
            }
        } finally {
            structure.readLock().unlock();
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        structure.readLock().lock();
        try {
            check(offset, length);
            return extentLocked(offset, length);
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.readLock().unlock();
        }
    }

    @Override
    public Extent content(long offset, long length) {
        structure.readLock().lock();
        try {
            check(offset, length);
            Extent own = extentLocked(offset, length);
            if (own.kind() != Extent.Kind.PARENT) {
                return own.kind() == Extent.Kind.MAPPED ? own : new Extent(offset, own.length(), Extent.Kind.ZERO);
            }
            int block = (int) (offset / blockBytes);
            NearestOwner owners = nearest;
            VirtualDisk source = table.has(block) || owners == null ? parentOf() : owners.of(block);
            // Beyond this block its owner may be another one.
            long run = Math.min(own.length(), blockBytes - offset % blockBytes);
            if (source == null || offset >= source.size()) {
                return new Extent(offset, run, Extent.Kind.ZERO);
            }
            return source.content(offset, Math.min(run, source.size() - offset));
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.readLock().unlock();
        }
    }

    private Extent extentLocked(long offset, long length) throws IOException {
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

    @Override
    public void flush() {
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

    private void flushNow() throws IOException {
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

    @Override
    public void resize(long newSize) {
        checkWritable(0, 0);
        VhdImages.checkSize(file.name(), newSize);
        if (differencing) {
            throw new DiskException(
                    Kind.UNSUPPORTED,
                    file.name(),
                    "a differencing VHD has its parent's size",
                    "merge it first, or convert it to VHDX");
        }
        structure.writeLock().lock();
        try {
            if (newSize > size) {
                zeroTail();
            }
            flush();
            flushing.lock();
            try {
                if (newSize > size) {
                    grow(newSize);
                } else if (newSize < size) {
                    shrink(newSize);
                }
            } finally {
                flushing.unlock();
            }
            flush();
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.writeLock().unlock();
        }
    }

    /** What lies in the last block after the end of the disk may be anything; growth must show zeros. */
    private void zeroTail() throws IOException {
        int inside = (int) (size % blockBytes);
        long position = table.position(table.size() - 1);
        if (inside != 0 && position >= 0) {
            zeroPayload(position + bitmapBytes + inside, blockBytes - inside);
            modified();
        }
    }

    private void grow(long newSize) throws IOException {
        int blocks = (int) ((newSize + blockBytes - 1) / blockBytes);
        BlockTable bigger = table.resized(blocks);
        int firstNew = table.size();
        allocation.lock();
        try {
            long capacity = SpaceScan.tableCapacity(header, table, blocks);
            long tableAt = header.tableOffset();
            boolean moved = blocks * 4L > capacity;
            if (moved) {
                tableAt = space().takeForMetadata(footer, DynamicHeader.roundUp(blocks * 4L, VhdFooter.SECTOR));
            }
            int first = moved ? 0 : firstNew / BlockTable.PER_SECTOR;
            for (int i = first; i * BlockTable.PER_SECTOR < blocks; i++) {
                file.write(tableAt + (long) i * VhdFooter.SECTOR, bigger.sector(i));
            }
            durability.modified();
            durability.force();
            replaceTable(header.withTable(tableAt, blocks));
            replaceFooter(footer.withSize(newSize));
            table = bigger;
            size = newSize;
        } finally {
            allocation.unlock();
        }
    }

    private void shrink(long newSize) throws IOException {
        int blocks = (int) ((newSize + blockBytes - 1) / blockBytes);
        allocation.lock();
        try {
            replaceFooter(footer.withSize(newSize));
            size = newSize;
            for (int block = blocks; block < table.size(); block++) {
                long position = table.position(block);
                if (position >= 0) {
                    table.set(block, -1);
                    space().free(position);
                }
            }
        } finally {
            allocation.unlock();
        }
        modified();
        flushNow();
        table = table.resized(blocks);
        replaceTable(header.withTable(header.tableOffset(), blocks));
    }

    /** Changes the place or length of the table: only the first sector of the header differs. */
    private void replaceTable(DynamicHeader changed) throws IOException {
        byte[] bytes = new byte[DynamicHeader.SIZE];
        file.read(footer.dataOffset(), bytes);
        file.write(footer.dataOffset(), Arrays.copyOf(changed.patchTable(bytes), VhdFooter.SECTOR));
        durability.modified();
        durability.force();
        header = changed;
    }

    private void replaceFooter(VhdFooter changed) throws IOException {
        FileEnd.put(file, durability, changed, space().footerAt());
        FileEnd.put(file, durability, changed, 0);
        footer = changed;
    }

    /**
     * Moves blocks from the end of the file into gaps. For a disk that was just opened; the file is cut when it is next
     * opened for writing. A block is copied and forced before the table points to the copy.
     *
     * @param moved told the bytes moved so far
     */
    void compact(LongConsumer moved) {
        structure.writeLock().lock();
        try {
            NavigableMap<Long, Integer> blocks = new TreeMap<>();
            for (int block = 0; block < table.size(); block++) {
                if (table.has(block)) {
                    blocks.put(table.position(block), block);
                }
            }
            long total = 0;
            for (int count = MOVED_AT_ONCE; count == MOVED_AT_ONCE; ) {
                count = moveSome(blocks);
                flush();
                total += (long) count * blockBytes;
                moved.accept(total);
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.writeLock().unlock();
        }
    }

    private int moveSome(NavigableMap<Long, Integer> blocks) throws IOException {
        record Move(int block, long from, long to) {}
        List<Move> moves = new ArrayList<>();
        byte[] whole = new byte[bitmapBytes + blockBytes];
        allocation.lock();
        try {
            while (moves.size() < MOVED_AT_ONCE && !blocks.isEmpty()) {
                long gap = space().pollGap();
                if (gap < 0 || gap > blocks.lastKey()) {
                    break;
                }
                Map.Entry<Long, Integer> last = blocks.pollLastEntry();
                file.read(last.getKey(), whole);
                file.write(gap, whole);
                moves.add(new Move(last.getValue(), last.getKey(), gap));
            }
            durability.modified();
            durability.force();
            for (Move move : moves) {
                table.set(move.block(), move.to());
                space().free(move.from());
                if (bitmaps != null) {
                    bitmaps.remove(move.block());
                }
            }
        } finally {
            allocation.unlock();
        }
        modified();
        return moves.size();
    }

    @Override
    public void close() {
        structure.writeLock().lock();
        try (VirtualDisk above = parent;
                file) {
            if (requests.close() && !readOnly() && !faults.poisoned()) {
                settle();
            }
        } catch (IOException e) {
            throw faults.of(e);
        } finally {
            structure.writeLock().unlock();
        }
    }

    private void check(long offset, long length) {
        requests.check(offset, length, size, VhdFooter.SECTOR);
    }

    private void checkWritable(long offset, long length) {
        requests.checkWritable(offset, length, size, VhdFooter.SECTOR);
    }
}
