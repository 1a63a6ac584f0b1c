package org.torte.disk.operation;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Extent;
import org.torte.disk.LayeredDisk;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;

/**
 * A disk in use by a machine, with what can be done to it meanwhile: growing ({@link #resize}), merging a checkpoint
 * ({@link #merge}), and reading it as it is at one moment ({@link #pointInTime}).
 *
 * <p>Requests hold one of a few locks, shared, so that a point in time lies between them. Growth and merges exclude each
 * other: one that finds the other under way fails with IN_USE. Without point-in-time views a request costs this lock in
 * addition and nothing else.
 */
public final class LiveDisk implements VirtualDisk {
    /** Threads are spread over the locks; a view being made takes all of them. */
    private static final int LOCKS = 16;

    private final VirtualDisk disk;
    private final DiskOptions options;
    private final StampedLock[] locks = new StampedLock[LOCKS];
    private final ReentrantLock changing = new ReentrantLock();
    /** Replaced as a whole while all locks are held. */
    private volatile PointInTime[] views = new PointInTime[0];

    private LiveDisk(VirtualDisk disk, DiskOptions options) {
        this.disk = disk;
        this.options = options;
        Arrays.setAll(locks, i -> new StampedLock());
    }

    /** Opens a disk for writing; see {@link VirtualDisks#open}. */
    public static LiveDisk open(Path path, DiskFormat format, DiskOptions options) {
        return new LiveDisk(VirtualDisks.open(path, format, options.withAccess(DiskAccess.READ_WRITE)), options);
    }

    // ------------------------------------------------------------------ while it is in use

    /** The files of the chain, links followed, this disk's own first. */
    public List<Path> layers() {
        return disk instanceof LayeredDisk layered
                ? layered.layers()
                : List.of(Path.of(disk.info().image()));
    }

    /** Says what {@link #merge} would do, and throws what it would throw before it begins. */
    public Merge.Plan planMerge(Path layer) {
        return Merge.plan(disk, layer, options);
    }

    /**
     * Merges a layer below this disk into the next one and deletes its file; see {@link Merge}. Returns when that is
     * done; requests go on meanwhile.
     *
     * @param progress told about it on the calling thread, may end it
     * @throws DiskException CANCELLED, NO_SPACE, IN_USE and whatever reading and writing throw; the disk goes on as
     *     before, and the merge continues where it was when it is called again
     */
    public Merge.Plan merge(Path layer, Progress progress) {
        return merge(layer, progress, MergeCopy.STEP);
    }

    /** The same with another distance between two entries of the journal, in bytes. */
    Merge.Plan merge(Path layer, Progress progress, long step) {
        return exclusively(() -> Merge.run(disk, layer, options, progress, step));
    }

    /**
     * The disk as it is now, for reading, while it goes on being written to. What is about to be overwritten is copied
     * into a file without a name first, pieces of {@link PointInTime#GRAIN} bytes, each once.
     *
     * <p>If that file cannot grow - it has reached its limit, or the host has no space - the view is lost and says so to
     * its reader; the writer never notices. While a view is open, {@link #trim} does nothing and the disk cannot shrink.
     *
     * @param folder where the copies go
     * @param limit bytes that they may take
     */
    public PointInTime pointInTime(Path folder, long limit) {
        PointInTime view = new PointInTime(disk, this::forget, folder, limit, options);
        withoutRequests(() -> {
            PointInTime[] more = Arrays.copyOf(views, views.length + 1);
            more[views.length] = view;
            views = more;
        });
        return view;
    }

    private void forget(PointInTime view) {
        withoutRequests(() -> {
            List<PointInTime> fewer = new ArrayList<>(List.of(views));
            fewer.remove(view);
            views = fewer.toArray(PointInTime[]::new);
        });
    }

    private void withoutRequests(Runnable action) {
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

    private interface Change<T> {
        T run();
    }

    private <T> T exclusively(Change<T> change) {
        if (!changing.tryLock()) {
            throw new DiskException(
                    Kind.IN_USE,
                    layers().getFirst().toString(),
                    "it is being merged or resized already",
                    "wait for that or cancel it");
        }
        try {
            return change.run();
        } finally {
            changing.unlock();
        }
    }

    @Override
    public void resize(long newSize) {
        exclusively(() -> {
            if (newSize < size() && views.length > 0) {
                throw new DiskException(
                        Kind.IN_USE,
                        layers().getFirst().toString(),
                        "it cannot shrink while a point-in-time view of it is open",
                        "close the view first");
            }
            disk.resize(newSize);
            return newSize;
        });
    }

    // ------------------------------------------------------------------ requests

    private StampedLock lock() {
        return locks[(int) Thread.currentThread().threadId() & (LOCKS - 1)];
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        disk.read(offset, memory, at, length);
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            for (PointInTime view : views) {
                view.preserve(offset, length);
            }
            disk.write(offset, memory, at, length);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public void writeZeroes(long offset, long length) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            for (PointInTime view : views) {
                view.preserveContent(offset, length);
            }
            disk.writeZeroes(offset, length);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public void trim(long offset, long length) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            if (views.length == 0) {
                disk.trim(offset, length);
            }
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public void flush() {
        disk.flush();
    }

    @Override
    public Extent extent(long offset, long length) {
        return disk.extent(offset, length);
    }

    @Override
    public Extent content(long offset, long length) {
        return disk.content(offset, length);
    }

    @Override
    public long size() {
        return disk.size();
    }

    @Override
    public int logicalSectorSize() {
        return disk.logicalSectorSize();
    }

    @Override
    public int physicalSectorSize() {
        return disk.physicalSectorSize();
    }

    @Override
    public int blockSize() {
        return disk.blockSize();
    }

    @Override
    public boolean readOnly() {
        return disk.readOnly();
    }

    @Override
    public DiskInfo info() {
        return disk.info();
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return disk.parent();
    }

    /** Closes the views too, and then the disk. No merge may be under way. */
    @Override
    public void close() {
        for (PointInTime view : views) {
            view.close();
        }
        disk.close();
    }
}
