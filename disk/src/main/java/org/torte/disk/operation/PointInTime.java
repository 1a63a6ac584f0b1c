package org.torte.disk.operation;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/**
 * A disk as it was at one moment, for backups and exports; see {@link LiveDisk#pointInTime}. It reads what was copied
 * before it was overwritten from its own file, and everything else from the disk. A reader holds the lock of a grain
 * while it reads it from the disk, and a writer needs that lock to copy the grain, so that content never changes under
 * the reader. Closing it gives back everything. Safe for use by several threads.
 *
 * <p>A read after the view was lost throws FAILED.
 */
public final class PointInTime implements VirtualDisk {
    /** Bytes that are copied at once. */
    public static final int GRAIN = 64 << 10;

    /** What a grain of zeros counts against the limit, for being remembered. */
    private static final int REMEMBERED = 4096;

    private static final int LOCKS = 256;
    private static final Integer ZEROS = -1;
    private static final String SUFFIX = ".point-in-time";

    private final LiveDisk live;
    /** For messages. */
    private final String image;

    private final long size;
    private final long limit;
    private final DiskFile file;
    private final Faults faults;
    private final StampedLock[] locks = new StampedLock[LOCKS];
    /** Where a grain was copied to, in grains of the file. */
    private final ConcurrentSkipListMap<Long, Integer> copies = new ConcurrentSkipListMap<>();

    private final AtomicBoolean open = new AtomicBoolean(true);
    private volatile @Nullable DiskException lost;
    private int slots;
    private long charged;

    PointInTime(LiveDisk live, Path folder, long limit, DiskOptions options) {
        this.live = live;
        this.size = live.size();
        this.limit = limit;
        Path disk = live.layers().getFirst();
        this.image = disk.toString();
        long number = options.random().nextLong() >>> 1;
        this.file =
                options.storage().create(folder.resolve(disk.getFileName() + "." + number + SUFFIX), options.folders());
        // Without a name it goes with the process, whatever happens.
        options.storage().delete(Path.of(file.name()));
        this.faults = new Faults(file.name());
        Arrays.setAll(locks, i -> new StampedLock());
    }

    // ------------------------------------------------------------------ the writer's side

    private StampedLock lock(long grain) {
        return locks[(int) grain & (LOCKS - 1)];
    }

    /** Copies what a range holds, unless that was done before; called before the range is written. */
    void preserve(long offset, long length) {
        long end = Math.min(offset + length, size);
        for (long grain = offset / GRAIN; grain * GRAIN < end && lost == null; grain++) {
            if (!copies.containsKey(grain)) {
                preserve(grain);
            }
        }
    }

    /** The same before a range is made zero: what is zero already does not change. */
    void preserveContent(long offset, long length) {
        long end = Math.min(offset + length, size);
        for (long at = offset; at < end && lost == null; ) {
            Extent extent = live.current().content(at, end - at);
            if (extent.kind() == Extent.Kind.MAPPED) {
                preserve(at, extent.length());
            }
            at = extent.end();
        }
    }

    /**
     * The same before a range is trimmed, which need not be: only as long as it takes half of the space left at most.
     *
     * @return whether the range may change now
     */
    boolean preserveCheaply(long offset, long length) {
        long needed = 0;
        long end = Math.min(offset + length, size);
        for (long at = offset; at < end; ) {
            Extent extent = live.current().content(at, end - at);
            if (extent.kind() == Extent.Kind.MAPPED) {
                for (long grain = at / GRAIN; grain * GRAIN < extent.end(); grain++) {
                    needed += copies.containsKey(grain) ? 0 : GRAIN;
                }
            }
            at = extent.end();
        }
        if (lost == null && needed > left() / 2) {
            return false;
        }
        preserveContent(offset, length);
        return true;
    }

    private synchronized long left() {
        return limit - charged;
    }

    private void preserve(long grain) {
        StampedLock lock = lock(grain);
        long stamp = lock.writeLock();
        try (Arena arena = Arena.ofConfined()) {
            if (!copies.containsKey(grain)) {
                long length = Math.min(GRAIN, size - grain * GRAIN);
                MemorySegment content = arena.allocate(GRAIN, 4096);
                live.current().read(grain * GRAIN, content, 0, length);
                copies.put(grain, Content.zero(content, 0, length) ? remember() : copy(content));
            }
        } catch (DiskException e) {
            lose(e);
        } catch (IOException e) {
            lose(faults.of(e));
        } finally {
            lock.unlockWrite(stamp);
        }
    }

    private synchronized void charge(int bytes) {
        if (charged + bytes > limit) {
            throw new DiskException(
                    Kind.NO_SPACE,
                    image,
                    "more was overwritten than the " + limit + " bytes that may be kept",
                    "allow more");
        }
        charged += bytes;
    }

    private Integer remember() {
        charge(REMEMBERED);
        return ZEROS;
    }

    private Integer copy(MemorySegment content) throws IOException {
        charge(GRAIN);
        int slot = nextSlot();
        file.write((long) slot * GRAIN, content, 0, GRAIN);
        return slot;
    }

    private synchronized int nextSlot() {
        return slots++;
    }

    /** Gives up the view, and its space at once: the writer may need it. */
    private void lose(DiskException reason) {
        lost = new DiskException(
                Kind.FAILED,
                image,
                "its state at that moment could not be kept (" + reason.getMessage() + ")",
                "begin again",
                reason);
        try {
            file.truncate(0);
        } catch (IOException e) {
            reason.addSuppressed(e);
        }
    }

    // ------------------------------------------------------------------ the reader's side

    /** Bytes of the host's storage that the copies take. */
    public synchronized long kept() {
        return charged;
    }

    private void check(long offset, long length) {
        if (!open.get()) {
            throw new DiskException(Kind.CLOSED, image, "the view is closed", "make another one");
        }
        Objects.checkFromIndexSize(offset, length, size);
        if (((offset | length) & (logicalSectorSize() - 1)) != 0) {
            throw new IllegalArgumentException(
                    "not a multiple of " + logicalSectorSize() + ": " + length + " bytes at " + offset);
        }
        checkLost();
    }

    private void checkLost() {
        DiskException reason = lost;
        if (reason != null) {
            throw new DiskException(
                    reason.kind(), reason.image(), "the view was lost", "begin again with more space for it", reason);
        }
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        check(offset, length);
        for (long done = 0; done < length; ) {
            long position = offset + done;
            long part = Math.min(length - done, GRAIN - position % GRAIN);
            readGrain(position, memory, at + done, part);
            done += part;
        }
        // What was read while it was being lost is not to be believed.
        checkLost();
    }

    private void readGrain(long position, MemorySegment memory, long at, long length) {
        // In the order of a writer, which holds the disk's lock when it takes that of the grain.
        StampedLock request = live.lock();
        long shared = request.readLock();
        try {
            readLocked(position, memory, at, length);
        } finally {
            request.unlockRead(shared);
        }
    }

    private void readLocked(long position, MemorySegment memory, long at, long length) {
        long grain = position / GRAIN;
        StampedLock lock = lock(grain);
        long stamp = lock.readLock();
        try {
            Integer slot = copies.get(grain);
            if (slot == null) {
                live.current().read(position, memory, at, length);
            } else if (slot.equals(ZEROS)) {
                memory.asSlice(at, length).fill((byte) 0);
            } else {
                file.read((long) slot * GRAIN + position % GRAIN, memory, at, length);
            }
        } catch (IOException e) {
            checkLost();
            throw faults.of(e);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        check(offset, length);
        Integer slot = copies.get(offset / GRAIN);
        if (slot == null) {
            Extent extent = live.content(offset, length);
            // What was not copied by now had not changed when the disk was asked.
            Long next = copies.ceilingKey(offset / GRAIN);
            long end = next == null ? extent.end() : Math.min(extent.end(), next * GRAIN);
            if (end > offset) {
                return new Extent(offset, end - offset, extent.kind());
            }
            slot = copies.get(offset / GRAIN);
        }
        long inGrain = Math.min(length, GRAIN - offset % GRAIN);
        boolean zero = slot == null || slot.equals(ZEROS);
        return new Extent(offset, inGrain, zero ? Extent.Kind.ZERO : Extent.Kind.MAPPED);
    }

    @Override
    public long size() {
        return size;
    }

    @Override
    public int logicalSectorSize() {
        return live.logicalSectorSize();
    }

    @Override
    public int physicalSectorSize() {
        return live.physicalSectorSize();
    }

    @Override
    public int blockSize() {
        return live.blockSize();
    }

    @Override
    public boolean readOnly() {
        return true;
    }

    @Override
    public DiskInfo info() {
        return live.info();
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return Optional.empty();
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        throw readOnlyView();
    }

    @Override
    public void writeZeroes(long offset, long length) {
        throw readOnlyView();
    }

    @Override
    public void trim(long offset, long length) {
        throw readOnlyView();
    }

    @Override
    public void resize(long newSize) {
        throw readOnlyView();
    }

    private DiskException readOnlyView() {
        return new DiskException(Kind.READ_ONLY, image, "a view is for reading", "write to the disk");
    }

    /** Does nothing: there is nothing to make durable. */
    @Override
    public void flush() {
        check(0, 0);
    }

    /** Ends the copying and gives back the space. No request to the view may be under way. */
    @Override
    public void close() {
        if (!open.compareAndSet(true, false)) {
            return;
        }
        live.forget(this);
        try {
            file.close();
        } catch (IOException e) {
            throw faults.of(e);
        }
    }
}
