package org.torte.disk.vhd;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.LayeredDisk;
import org.torte.disk.Requests;
import org.torte.disk.VirtualDisk;

/** A disk in a dynamic or differencing VHD: requests to one image and, where it has nothing, to its parent. */
final class DynamicVhd implements LayeredDisk {
    private final DynamicImage image;
    private final Requests requests;
    private volatile @Nullable VirtualDisk parent;
    /** None while the parent may gain what this image does not have. */
    private volatile @Nullable NearestOwner nearest;

    /**
     * @param parent what a differencing image reads through to; null when only its metadata is wanted
     */
    DynamicVhd(VhdLayout layout, @Nullable VirtualDisk parent, long cacheBytes) throws IOException {
        this.image = new DynamicImage(layout, cacheBytes);
        this.requests = new Requests(image.file, image.faults);
        this.parent = parent;
        this.nearest = nearest(parent);
    }

    private @Nullable NearestOwner nearest(@Nullable VirtualDisk above) {
        return above instanceof DynamicVhd ? new NearestOwner(above, image.table.size(), image.blockBytes) : null;
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

    DynamicImage image() {
        return image;
    }

    /** Runs something while no request to this disk is under way, and with that none to its parents. */
    void withoutRequests(Runnable action) {
        image.structure.writeLock().lock();
        try {
            action.run();
        } finally {
            image.structure.writeLock().unlock();
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

    /** Says whether the parent may gain content that this image does not cover. */
    void parentGrows(boolean grows) {
        withoutRequests(() -> nearest = grows ? null : nearest(parent));
    }

    @Override
    public void drop(long offset, long length) {
        checkWritable(offset, length);
        release(offset, length);
        image.modified();
    }

    @Override
    public VirtualDisk becomeParent() {
        VirtualDisk below = parentOf();
        try {
            closeAlone();
        } catch (DiskException e) {
            System.getLogger(DynamicVhd.class.getName()).log(System.Logger.Level.WARNING, "after a merge", e);
        }
        return below;
    }

    /** Closes the file and leaves the parents to the others that use them. */
    void closeAlone() {
        parent = null;
        close();
    }

    /** Writes into the image who its parent is; see {@link VhdEdit#connect}. */
    void connect(VirtualDisk to) {
        checkWritable(0, 0);
        Path own = Path.of(image.file.name());
        Path other = Path.of(VhdLayers.file(to).name());
        VhdEdit.connect(image, to.info().identifier(), other, ParentLink.written(own, other));
    }

    // ------------------------------------------------------------------ the disk

    @Override
    public long size() {
        return image.size;
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
        return image.blockBytes;
    }

    @Override
    public boolean readOnly() {
        return image.file.readOnly();
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return Optional.ofNullable(parent);
    }

    @Override
    public DiskInfo info() {
        return image.info();
    }

    /** Whether this image has space for a block. */
    boolean has(int block) {
        return image.has(block);
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        image.structure.readLock().lock();
        try {
            check(offset, length);
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / image.blockBytes);
                int inside = (int) (here % image.blockBytes);
                int count = (int) Math.min(length - done, image.blockBytes - inside);
                readBlock(block, inside, memory, at + done, count);
                done += count;
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.readLock().unlock();
        }
    }

    private void readBlock(int block, int inside, MemorySegment memory, long at, int count) throws IOException {
        long position = image.table.position(block);
        if (position < 0) {
            below(block, (long) block * image.blockBytes + inside, memory, at, count);
        } else if (image.bitmaps == null) {
            image.file.read(position + image.bitmapBytes + inside, memory, at, count);
        } else {
            for (int done = 0; done < count; ) {
                int run = image.bitmaps.run(
                        block, position, (inside + done) / VhdFooter.SECTOR, (count - done) / VhdFooter.SECTOR);
                int bytes = Math.abs(run) * VhdFooter.SECTOR;
                if (run > 0) {
                    image.file.read(position + image.bitmapBytes + inside + done, memory, at + done, bytes);
                } else {
                    readParent(parentOf(), (long) block * image.blockBytes + inside + done, memory, at + done, bytes);
                }
                done += bytes;
            }
        }
    }

    /** Reads what this image has no block for. */
    private void below(int block, long offset, MemorySegment memory, long at, int count) {
        if (!image.differencing) {
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
                    Kind.PARENT_MISSING,
                    image.file.name(),
                    "it was opened without its parent",
                    "open it with its parent");
        }
        return above;
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        image.structure.readLock().lock();
        try {
            checkWritable(offset, length);
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / image.blockBytes);
                int inside = (int) (here % image.blockBytes);
                int count = (int) Math.min(length - done, image.blockBytes - inside);
                long position = image.table.position(block);
                if (position < 0) {
                    position = image.allocate(block);
                }
                image.file.write(position + image.bitmapBytes + inside, memory, at + done, count);
                if (image.bitmaps != null) {
                    image.bitmaps.add(block, position, inside / VhdFooter.SECTOR, count / VhdFooter.SECTOR);
                }
                done += count;
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.modified();
            image.structure.readLock().unlock();
        }
    }

    @Override
    public void writeZeroes(long offset, long length) {
        image.structure.readLock().lock();
        try {
            checkWritable(offset, length);
            if (!image.differencing) {
                image.structure.readLock().unlock();
                try {
                    release(offset, length);
                } finally {
                    image.structure.readLock().lock();
                }
            }
            for (long done = 0; done < length; ) {
                long here = offset + done;
                int block = (int) (here / image.blockBytes);
                int inside = (int) (here % image.blockBytes);
                int count = (int) Math.min(length - done, image.blockBytes - inside);
                zeroBlock(block, inside, count);
                done += count;
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.modified();
            image.structure.readLock().unlock();
        }
    }

    private void zeroBlock(int block, int inside, int count) throws IOException {
        long position = image.table.position(block);
        if (position < 0 && (!image.differencing || zeroBelow((long) block * image.blockBytes + inside, count))) {
            return;
        }
        if (position < 0) {
            position = image.allocate(block);
        }
        image.zeroPayload(position + image.bitmapBytes + inside, count);
        if (image.bitmaps != null) {
            image.bitmaps.add(block, position, inside / VhdFooter.SECTOR, count / VhdFooter.SECTOR);
        }
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

    /** Takes the space of all whole blocks in a range; they read as zeros or as the parent. */
    private void release(long offset, long length) {
        long first = (offset + image.blockBytes - 1) / image.blockBytes;
        long last = offset + length == image.size ? image.table.size() : (offset + length) / image.blockBytes;
        if (first >= last) {
            return;
        }
        image.structure.writeLock().lock();
        image.allocation.lock();
        try {
            for (int block = (int) first; block < last && block < image.table.size(); block++) {
                long position = image.table.position(block);
                if (position >= 0) {
                    image.table.set(block, -1);
                    image.space().free(position);
                    if (image.bitmaps != null) {
                        image.bitmaps.remove(block);
                    }
                }
            }
        } finally {
            image.allocation.unlock();
            image.structure.writeLock().unlock();
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
            if (!image.differencing) {
                release(offset, length);
            }
            punchOwn(offset, length);
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.modified();
        }
    }

    private void punchOwn(long offset, long length) throws IOException {
        image.structure.readLock().lock();
        try {
            for (long done = 0; done < length; ) {
                Extent extent = image.extent(offset + done, length - done);
                if (extent.kind() == Extent.Kind.MAPPED && extent.length() >= DynamicImage.WORTH_A_HOLE) {
                    int block = (int) (extent.offset() / image.blockBytes);
                    long position =
                            image.table.position(block) + image.bitmapBytes + extent.offset() % image.blockBytes;
                    image.file.punchHole(position, extent.length());
                }
                done += extent.length();
            }
        } finally {
            image.structure.readLock().unlock();
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        image.structure.readLock().lock();
        try {
            check(offset, length);
            return image.extent(offset, length);
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.readLock().unlock();
        }
    }

    @Override
    public Extent content(long offset, long length) {
        image.structure.readLock().lock();
        try {
            check(offset, length);
            Extent own = image.extent(offset, length);
            if (own.kind() != Extent.Kind.PARENT) {
                return own.kind() == Extent.Kind.MAPPED ? own : new Extent(offset, own.length(), Extent.Kind.ZERO);
            }
            int block = (int) (offset / image.blockBytes);
            NearestOwner owners = nearest;
            VirtualDisk source = image.table.has(block) || owners == null ? parentOf() : owners.of(block);
            // Beyond this block its owner may be another one.
            long run = Math.min(own.length(), image.blockBytes - offset % image.blockBytes);
            if (source == null || offset >= source.size()) {
                return new Extent(offset, run, Extent.Kind.ZERO);
            }
            return source.content(offset, Math.min(run, source.size() - offset));
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.readLock().unlock();
        }
    }

    @Override
    public void flush() {
        image.flush();
    }

    @Override
    public void resize(long newSize) {
        checkWritable(0, 0);
        VhdImages.checkSize(image.file.name(), newSize);
        if (image.differencing) {
            throw new DiskException(
                    Kind.UNSUPPORTED,
                    image.file.name(),
                    "a differencing VHD has its parent's size",
                    "merge it first, or convert it to VHDX");
        }
        image.structure.writeLock().lock();
        try {
            DynamicResize.run(image, newSize);
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.writeLock().unlock();
        }
    }

    @Override
    public void close() {
        image.structure.writeLock().lock();
        try (VirtualDisk above = parent;
                image.file) {
            if (requests.close() && !readOnly() && !image.faults.poisoned()) {
                image.settle();
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.writeLock().unlock();
        }
    }

    private void check(long offset, long length) {
        requests.check(offset, length, image.size, VhdFooter.SECTOR);
    }

    private void checkWritable(long offset, long length) {
        requests.checkWritable(offset, length, image.size, VhdFooter.SECTOR);
    }
}
