package org.torte.disk.vhdx;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.LayeredDisk;
import org.torte.disk.Requests;
import org.torte.disk.VirtualDisk;

/**
 * A disk in VHDX files: one image that may be written and the images of its parents. Every request holds a lock on the
 * block it is in, shared for the transfer of what is there, exclusive for a change of the block's state, so that space
 * is never given away under a transfer.
 */
public final class VhdxDisk implements LayeredDisk {
    private static final int LOCKS = 256;
    /** How {@link #locate} packs its answer. */
    private static final int OWNER_BITS = 16;

    private static final int OWNER_MASK = (1 << OWNER_BITS) - 1;
    private static final MemorySegment ZEROS =
            Arena.global().allocate(1 << 20, 4096).asReadOnly();

    /** The first of {@link #images}. */
    private volatile VhdxImage top;
    /** Exchanged as a whole, while no request is under way. */
    private volatile VhdxImage[] images;

    private volatile SkippedImages skipped;

    private final boolean ownsFiles;
    /** Whether layer 0 is written to by more than merges. */
    private final boolean inUse;

    private final StampedLock[] locks = new StampedLock[LOCKS];
    private final Requests requests;
    /** Held by whoever gives a bitmap its space. */
    private final Object bitmapSpace = new Object();

    VhdxDisk(List<VhdxImage> images, boolean ownsFiles) {
        this.images = images.toArray(VhdxImage[]::new);
        this.skipped = new SkippedImages(this.images, false);
        this.top = images.getFirst();
        this.ownsFiles = ownsFiles;
        this.inUse = !top.readOnly();
        this.requests = new Requests(top.file, top.faults);
        for (int i = 0; i < LOCKS; i++) {
            locks[i] = new StampedLock();
        }
    }

    /** Opens an image and its parents. */
    public static VhdxDisk open(Path path, DiskOptions options) {
        return new VhdxDisk(VhdxChain.open(path, options), true);
    }

    @Override
    public long size() {
        return top.size();
    }

    @Override
    public int logicalSectorSize() {
        return top.metadata().logicalSectorSize();
    }

    @Override
    public int physicalSectorSize() {
        return top.metadata().physicalSectorSize();
    }

    @Override
    public int blockSize() {
        return top.metadata().blockSize();
    }

    @Override
    public boolean readOnly() {
        return top.readOnly();
    }

    @Override
    public DiskInfo info() {
        return top.info();
    }

    @Override
    public Optional<VirtualDisk> parent() {
        List<VhdxImage> chain = List.of(images);
        return chain.size() == 1 ? Optional.empty() : Optional.of(new VhdxDisk(chain.subList(1, chain.size()), false));
    }

    /**
     * Says that the first modification by this opener changes nothing that a guest sees, so that DataWriteGuid stays and
     * children keep their connection. Called before any modification.
     */
    public void keepContentIdentifier() {
        top.writer.announceContentIdentifier(top.headers.current().dataWrite());
    }

    VhdxImage image() {
        return top;
    }

    boolean inUse() {
        return inUse;
    }

    // ------------------------------------------------------------------ layers

    @Override
    public List<Path> layers() {
        List<Path> paths = new ArrayList<>();
        for (VhdxImage image : images) {
            paths.add(Path.of(image.file.name()));
        }
        return paths;
    }

    @Override
    public VirtualDisk layer(int index) {
        return new VhdxDisk(List.of(image(index)), false);
    }

    @Override
    public VirtualDisk beginMerge(int index, DiskOptions options) {
        return new VhdxDisk(List.of(new VhdxLayers(this, options).beginMerge(index)), false);
    }

    @Override
    public void settle(int index, DiskOptions options) {
        new VhdxLayers(this, options).settle(index);
    }

    @Override
    public void endMerge(int index, DiskOptions options) {
        new VhdxLayers(this, options).endMerge(index);
    }

    @Override
    public void removeLayer(int index, DiskOptions options) {
        new VhdxLayers(this, options).remove(index);
    }

    @Override
    public void drop(long offset, long length) {
        checkWritable(offset, length);
        for (long block = offset >>> top.blockShift; block << top.blockShift < offset + length; block++) {
            setState(block, Layout.NOT_PRESENT);
        }
    }

    @Override
    public VirtualDisk becomeParent() {
        List<VhdxImage> all = List.of(images);
        requests.close();
        VhdxDisk parent = new VhdxDisk(all.subList(1, all.size()), true);
        try {
            all.getFirst().close();
        } catch (DiskException e) {
            System.getLogger(VhdxDisk.class.getName()).log(System.Logger.Level.WARNING, "after a merge", e);
        }
        return parent;
    }

    /** Says whether the parent may gain content that this disk's own image does not cover. */
    void parentGrows(boolean grows) {
        withoutRequests(() -> skipped = new SkippedImages(images, grows));
    }

    VhdxImage image(int index) {
        return images[index];
    }

    /** Puts another image in the place of one, or takes it out. The caller keeps requests away. */
    void replace(int index, @Nullable VhdxImage image) {
        List<VhdxImage> changed = new ArrayList<>(List.of(images));
        if (image == null) {
            changed.remove(index);
        } else {
            changed.set(index, image);
        }
        images = changed.toArray(VhdxImage[]::new);
        skipped = new SkippedImages(images, false);
        top = changed.getFirst();
    }

    /** Runs something while no request is under way. */
    void withoutRequests(Runnable action) {
        long[] stamps = new long[LOCKS];
        for (int i = 0; i < LOCKS; i++) {
            stamps[i] = locks[i].writeLock();
        }
        try {
            action.run();
        } finally {
            for (int i = 0; i < LOCKS; i++) {
                locks[i].unlockWrite(stamps[i]);
            }
        }
    }

    // ------------------------------------------------------------------ reading

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        check(offset, length);
        long done = 0;
        while (done < length) {
            long position = offset + done;
            long part = Math.min(length - done, blockSize() - (position & blockSize() - 1));
            if (top.readOnly()) {
                transfer(position, memory, at + done, part);
            } else {
                StampedLock lock = lock(position >>> top.blockShift);
                long stamp = lock.readLock();
                try {
                    transfer(position, memory, at + done, part);
                } finally {
                    lock.unlockRead(stamp);
                }
            }
            done += part;
        }
    }

    /** Reads a range inside one block of the top image, run by run, each from the image that has it. */
    private void transfer(long offset, MemorySegment memory, long at, long length) {
        long done = 0;
        while (done < length) {
            done += transferRun(offset + done, memory, at + done, length - done);
        }
    }

    private long transferRun(long offset, MemorySegment memory, long at, long length) {
        SkippedImages known = skipped;
        VhdxImage[] chain = known.chain();
        long found = locate(known, offset, length);
        long run = found >>> OWNER_BITS;
        int owner = (int) found & OWNER_MASK;
        if (owner == OWNER_MASK) {
            memory.asSlice(at, run).fill((byte) 0);
            return run;
        }
        VhdxImage image = chain[owner];
        try {
            long inBlock = offset & image.geometry.blockSize() - 1;
            image.file.read(Layout.offset(image.entry(offset >>> image.blockShift)) + inBlock, memory, at, run);
            return run;
        } catch (IOException e) {
            throw image.faults.of(e);
        }
    }

    /**
     * Finds the image of a chain that a run is in.
     *
     * @return the length of the run, shifted left by {@link #OWNER_BITS}, and the index of the image, or
     *     {@link #OWNER_MASK} for zeros
     */
    private static long locate(SkippedImages known, long offset, long length) {
        VhdxImage[] chain = known.chain();
        long block = offset >>> chain[0].blockShift;
        long run = length;
        int last = 0;
        for (int i = 0; i < chain.length; i += 1 + known.after(i, block)) {
            VhdxImage image = chain[i];
            long left = image.size() - offset;
            if (left <= 0) {
                known.learn(last, block, i);
                break;
            }
            int blockSize = image.geometry.blockSize();
            run = Math.min(run, Math.min(left, blockSize - (offset & blockSize - 1)));
            int state = Layout.state(image.entry(offset >>> image.blockShift));
            if (state == Layout.NOT_PRESENT && image.geometry.differencing()) {
                continue;
            }
            known.learn(last, block, i);
            last = i;
            if (state == Layout.FULLY_PRESENT) {
                return run << OWNER_BITS | i;
            }
            if (state != Layout.PARTIALLY_PRESENT) {
                break;
            }
            long bits = image.bitmapRun(offset, run);
            run = Math.abs(bits);
            if (bits > 0) {
                return run << OWNER_BITS | i;
            }
        }
        return run << OWNER_BITS | OWNER_MASK;
    }

    @Override
    public Extent content(long offset, long length) {
        check(offset, length);
        StampedLock lock = lock(offset >>> top.blockShift);
        long stamp = lock.readLock();
        try {
            long found = locate(skipped, offset, Math.min(length, blockSize() - (offset & blockSize() - 1)));
            boolean zero = ((int) found & OWNER_MASK) == OWNER_MASK;
            return new Extent(offset, found >>> OWNER_BITS, zero ? Extent.Kind.ZERO : Extent.Kind.MAPPED);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        check(offset, length);
        if (length == 0) {
            throw new IllegalArgumentException("an extent is not empty");
        }
        long run = Math.min(length, blockSize() - (offset & blockSize() - 1));
        StampedLock lock = lock(offset >>> top.blockShift);
        long stamp = lock.readLock();
        try {
            int state = Layout.state(top.entry(offset >>> top.blockShift));
            return switch (state) {
                case Layout.FULLY_PRESENT -> new Extent(offset, run, Extent.Kind.MAPPED);
                case Layout.PARTIALLY_PRESENT -> {
                    long bits = top.bitmapRun(offset, run);
                    yield new Extent(offset, Math.abs(bits), bits > 0 ? Extent.Kind.MAPPED : Extent.Kind.PARENT);
                }
                case Layout.ZERO -> new Extent(offset, run, Extent.Kind.ZERO);
                case Layout.NOT_PRESENT ->
                    new Extent(offset, run, top.geometry.differencing() ? Extent.Kind.PARENT : Extent.Kind.UNMAPPED);
                default -> new Extent(offset, run, Extent.Kind.UNMAPPED);
            };
        } finally {
            lock.unlockRead(stamp);
        }
    }

    // ------------------------------------------------------------------ writing

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        checkWritable(offset, length);
        long done = 0;
        while (done < length) {
            long position = offset + done;
            long part = Math.min(length - done, blockSize() - (position & blockSize() - 1));
            writeInBlock(position, memory, at + done, part);
            done += part;
        }
    }

    private void writeInBlock(long offset, MemorySegment memory, long at, long length) {
        long block = offset >>> top.blockShift;
        StampedLock lock = lock(block);
        long stamp = lock.readLock();
        boolean done = false;
        try {
            done = writePresent(offset, memory, at, length);
        } catch (IOException e) {
            throw top.faults.of(e);
        } finally {
            lock.unlockRead(stamp);
        }
        if (done) {
            top.writer.relieve();
            return;
        }
        stamp = lock.writeLock();
        try {
            if (!writePresent(offset, memory, at, length)) {
                writeNew(block, offset, memory, at, length);
            }
        } catch (IOException e) {
            throw top.faults.of(e);
        } finally {
            lock.unlockWrite(stamp);
        }
        top.writer.relieve();
    }

    /** Writes into a block that has its space; false when it has none. */
    private boolean writePresent(long offset, MemorySegment memory, long at, long length) throws IOException {
        long entry = top.entry(offset >>> top.blockShift);
        int state = Layout.state(entry);
        if (state < Layout.FULLY_PRESENT) {
            return false;
        }
        top.file.write(Layout.offset(entry) + (offset & blockSize() - 1), memory, at, length);
        top.durability.modified();
        if (state == Layout.PARTIALLY_PRESENT) {
            setBits(offset, length);
        }
        return true;
    }

    /** Says in the sector bitmap that sectors of a partially present block are in this image from now on. */
    private void setBits(long offset, long length) throws IOException {
        long sectors = length / logicalSectorSize();
        long sector = offset / logicalSectorSize();
        long chunk = sector >>> 23;
        long bitmap = Layout.offset(top.bitmapEntry(chunk));
        int first = (int) (sector & (1 << 23) - 1);
        boolean said = false;
        for (int at = first; at < first + sectors; ) {
            int pageIndex = at / (Layout.PAGE * 8);
            int end = (int) Math.min(first + sectors, (pageIndex + 1L) * Layout.PAGE * 8);
            MetadataPage page = top.cache.pinBitmap(chunk, pageIndex, bitmap);
            try {
                if (!BitRange.allSet(page, at % (Layout.PAGE * 8), end - at)) {
                    if (!said) {
                        // Until now the sectors show the parent's content: the new must be durable first.
                        top.writer.contentFirst();
                        said = true;
                    }
                    top.writer.beginChange(1);
                    BitRange.set(page, at % (Layout.PAGE * 8), end - at);
                    top.writer.changed(page);
                    top.writer.endChange();
                }
            } finally {
                page.unpin();
            }
            at = end;
        }
    }

    /** Gives a block space and writes into it. The caller holds the block exclusively. */
    private void writeNew(long block, long offset, MemorySegment memory, long at, long length) throws IOException {
        int blockSize = blockSize();
        int oldState = Layout.state(top.entry(block));
        long blockStart = block << top.blockShift;
        boolean whole = offset == blockStart && (length == blockSize || offset + length == size());
        boolean shows = top.geometry.differencing() && oldState == Layout.NOT_PRESENT;
        boolean partial = shows && !whole;
        long space = top.space.allocate(blockSize);
        boolean clean = top.space.isClean(space, blockSize);
        top.space.soil(space, blockSize);
        boolean done = false;
        try {
            if (!clean) {
                zeroFile(space, blockSize);
            }
            top.file.write(space + (offset - blockStart), memory, at, length);
            top.durability.modified();
            if (!clean || shows) {
                top.writer.contentFirst();
            }
            if (partial) {
                commitPartial(block, offset, length, space);
            } else {
                setEntry(block, Layout.entry(Layout.FULLY_PRESENT, space), 0);
            }
            done = true;
        } finally {
            if (!done) {
                top.writer.abandon(space, blockSize);
            }
        }
    }

    /** Sets a block's entry and frees its old space of {@code freed} bytes, if it had some. */
    private void setEntry(long block, long entry, long freed) throws IOException {
        MetadataPage page = top.pinEntry(block);
        try {
            top.writer.beginChange(1);
            try {
                long old = page.get(top.slot(block));
                page.set(top.slot(block), entry);
                top.writer.changed(page);
                if (freed > 0) {
                    top.writer.freed(Layout.offset(old), freed);
                }
            } finally {
                top.writer.endChange();
            }
        } finally {
            page.unpin();
        }
    }

    /** Makes a block partially present: its bitmap gets space if need be, and exactly the bits of the range. */
    private void commitPartial(long block, long offset, long length, long space) throws IOException {
        long chunk = block >>> top.ratioShift;
        long bitmap = bitmapSpace(chunk);
        int sectorSize = logicalSectorSize();
        int blockSectors = blockSize() / sectorSize;
        int first = (int) ((block << top.blockShift) / sectorSize & (1 << 23) - 1);
        int from = (int) (offset / sectorSize & (1 << 23) - 1);
        int to = from + (int) (length / sectorSize);
        List<MetadataPage> pages = new ArrayList<>();
        try {
            for (int at = first; at < first + blockSectors; at += Layout.PAGE * 8) {
                pages.add(top.cache.pinBitmap(chunk, at / (Layout.PAGE * 8), bitmap));
            }
            MetadataPage entries = top.pinEntry(block);
            pages.add(entries);
            top.writer.beginChange(pages.size());
            try {
                int base = first / (Layout.PAGE * 8) * (Layout.PAGE * 8);
                for (MetadataPage page : pages.subList(0, pages.size() - 1)) {
                    int low = Math.max(first, base);
                    int high = Math.min(first + blockSectors, base + Layout.PAGE * 8);
                    boolean changed = BitRange.clear(page, low - base, high - low);
                    low = Math.max(low, from);
                    high = Math.min(high, to);
                    if (low < high) {
                        BitRange.set(page, low - base, high - low);
                        changed = true;
                    }
                    if (changed) {
                        top.writer.changed(page);
                    }
                    base += Layout.PAGE * 8;
                }
                entries.set(top.slot(block), Layout.entry(Layout.PARTIALLY_PRESENT, space));
                top.writer.changed(entries);
            } finally {
                top.writer.endChange();
            }
        } finally {
            pages.forEach(MetadataPage::unpin);
        }
    }

    /** Where the bitmap of a chunk is; gives it space, with no bit set, if it has none. */
    private long bitmapSpace(long chunk) throws IOException {
        synchronized (bitmapSpace) {
            long entry = top.bitmapEntry(chunk);
            if (Layout.state(entry) == Layout.BITMAP_PRESENT) {
                return Layout.offset(entry);
            }
            long space = top.space.allocate(Layout.MIB);
            boolean clean = top.space.isClean(space, Layout.MIB);
            top.space.soil(space, Layout.MIB);
            boolean done = false;
            try {
                if (!clean) {
                    zeroFile(space, Layout.MIB);
                    top.writer.contentFirst();
                }
                long index = top.bitmapIndex(chunk);
                MetadataPage page = top.cache.pinTable(index);
                try {
                    top.writer.beginChange(1);
                    try {
                        page.set((int) index & (MetadataPage.WORDS - 1), Layout.entry(Layout.BITMAP_PRESENT, space));
                        top.writer.changed(page);
                    } finally {
                        top.writer.endChange();
                    }
                } finally {
                    page.unpin();
                }
                done = true;
                return space;
            } finally {
                if (!done) {
                    top.writer.abandon(space, Layout.MIB);
                }
            }
        }
    }

    private void zeroFile(long position, long length) throws IOException {
        try {
            top.file.clear(position, length);
        } finally {
            top.durability.modified();
        }
    }

    @Override
    public void writeZeroes(long offset, long length) {
        checkWritable(offset, length);
        forEachBlock(offset, length, Layout.ZERO);
    }

    @Override
    public void trim(long offset, long length) {
        checkWritable(offset, length);
        if (!top.metadata().leaveAllocated()) {
            forEachBlock(offset, length, Layout.UNMAPPED);
        }
    }

    private void forEachBlock(long offset, long length, int state) {
        long done = 0;
        while (done < length) {
            long position = offset + done;
            long inBlock = position & blockSize() - 1;
            long part = Math.min(length - done, blockSize() - inBlock);
            boolean whole = inBlock == 0 && (part == blockSize() || position + part == size());
            if (whole && !top.metadata().leaveAllocated()) {
                setState(position >>> top.blockShift, state);
            } else if (state == Layout.ZERO) {
                zeroInBlock(position, part);
            } else {
                trimInBlock(position, part);
            }
            done += part;
        }
    }

    /** Takes a block's space away; from now on it reads as zeros or, when it is not present any more, as the parent. */
    private void setState(long block, int state) {
        StampedLock lock = lock(block);
        long stamp = lock.writeLock();
        try {
            int old = Layout.state(top.entry(block));
            boolean present = old >= Layout.FULLY_PRESENT;
            boolean hides = old == Layout.NOT_PRESENT ? top.geometry.differencing() : state == Layout.NOT_PRESENT;
            if (present || hides) {
                setEntry(block, Layout.entry(state, 0), present ? blockSize() : 0);
            }
        } catch (IOException e) {
            throw top.faults.of(e);
        } finally {
            lock.unlockWrite(stamp);
        }
        top.writer.relieve();
    }

    /** Zeros for a part of a block. */
    private void zeroInBlock(long offset, long length) {
        long block = offset >>> top.blockShift;
        StampedLock lock = lock(block);
        long stamp = lock.readLock();
        try {
            int state = Layout.state(top.entry(block));
            boolean zero = state == Layout.NOT_PRESENT ? !top.geometry.differencing() : state < Layout.FULLY_PRESENT;
            if (zero) {
                return;
            }
        } finally {
            lock.unlockRead(stamp);
        }
        for (long done = 0; done < length; done += ZEROS.byteSize()) {
            writeInBlock(offset + done, ZEROS, 0, Math.min(ZEROS.byteSize(), length - done));
        }
    }

    /** Gives the pages of a part of a block back to the host, as far as they are in this image and not the parent's. */
    private void trimInBlock(long offset, long length) {
        long block = offset >>> top.blockShift;
        StampedLock lock = lock(block);
        long stamp = lock.readLock();
        try {
            long entry = top.entry(block);
            int state = Layout.state(entry);
            for (long done = 0; done < length && state >= Layout.FULLY_PRESENT; ) {
                long bits = state == Layout.FULLY_PRESENT ? length - done : top.bitmapRun(offset + done, length - done);
                if (bits > 0) {
                    punchPages(Layout.offset(entry), offset + done, bits);
                }
                done += Math.abs(bits);
            }
        } catch (IOException e) {
            throw top.faults.of(e);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    private void punchPages(long space, long offset, long length) throws IOException {
        long from = Layout.roundUp(offset, Layout.PAGE);
        long to = (offset + length) & -Layout.PAGE;
        if (from < to) {
            top.file.punchHole(space + (from & blockSize() - 1), to - from);
            top.durability.modified();
        }
    }

    @Override
    public void flush() {
        if (!readOnly()) {
            top.faults.check();
            top.writer.flush();
        }
    }

    @Override
    public void resize(long newSize) {
        checkWritable(0, 0);
        VhdxImage[] chain = images;
        if (newSize > size() && chain.length > 1 && chain[1].size() > size()) {
            throw new DiskException(
                    DiskException.Kind.UNSUPPORTED,
                    top.file.name(),
                    "its parent is larger, whose content would show where zeros belong",
                    "merge it into its parent first");
        }
        withoutRequests(() -> VhdxResize.resize(top, newSize));
    }

    @Override
    public void close() {
        if (!ownsFiles || !requests.close()) {
            return;
        }
        DiskException failure = null;
        for (VhdxImage image : images) {
            try {
                image.close();
            } catch (DiskException e) {
                if (failure == null) {
                    failure = e;
                } else {
                    failure.addSuppressed(e);
                }
            }
        }
        if (failure != null) {
            throw failure;
        }
    }

    private StampedLock lock(long block) {
        return locks[(int) block & (LOCKS - 1)];
    }

    private void check(long offset, long length) {
        requests.check(offset, length, size(), logicalSectorSize());
    }

    private void checkWritable(long offset, long length) {
        requests.checkWritable(offset, length, size(), logicalSectorSize());
        if (length > 0 && !top.writer.started()) {
            top.writer.start();
        }
    }
}
