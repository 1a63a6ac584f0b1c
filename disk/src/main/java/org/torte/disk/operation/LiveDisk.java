package org.torte.disk.operation;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.concurrent.locks.StampedLock;
import org.jspecify.annotations.Nullable;
import org.torte.disk.CreateOptions;
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
import org.torte.disk.vhdx.VhdxCreate;
import org.torte.disk.vhdx.VhdxDisk;

/**
 * A disk in use by a machine, with what can be done to it meanwhile: growing ({@link #resize}), keeping it as it is
 * ({@link #checkpoint}), merging a checkpoint ({@link #merge}), and reading it as it is at one moment ({@link
 * #pointInTime}).
 *
 * <p>Requests hold one of a few locks, shared, so that a point in time lies between them. Growth and merges exclude each
 * other: one that finds the other under way fails with IN_USE. Without point-in-time views a request costs this lock in
 * addition and nothing else. Merging the disk's own image is {@link OwnMerge}.
 */
public final class LiveDisk implements VirtualDisk {
    /** Threads are spread over the locks; a view being made takes all of them. */
    private static final int LOCKS = 16;

    /** What the name of a checkpoint's new file ends with until the file is complete. */
    public static final String PART = ".part";

    /** Replaced by its parent when it was merged into that, and by its child at a checkpoint, while all locks are held. */
    private volatile VirtualDisk disk;

    /** The merge of the disk's own image that is under way; changed while all locks are held. */
    private volatile @Nullable OwnMerge merging;

    /** Held, shared, by flushes, which are too long to keep requests away for. Before the other locks. */
    private final StampedLock flushing = new StampedLock();

    /** Guarded by {@link #changing}. */
    private @Nullable Prepared prepared;

    private volatile boolean closing;
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

    /** A child that has been made ahead, under its name and {@link #PART}, of a disk that was like this. */
    private record Prepared(Path child, Path file, UUID content, long size) {
        static Prepared of(Path child, Path file, DiskInfo info) {
            return new Prepared(child, file, info.contentIdentifier(), info.size());
        }
    }

    /**
     * Makes ahead what {@link #checkpoint} needs, as far as that can be done while the disk is in use, so that requests
     * wait less then. What has become of no use by then is made again. Whoever does not come to the checkpoint says so
     * with {@link #abandon}; a process that is killed meanwhile leaves a file with the child's name and {@link #PART}.
     *
     * @param child the new file, in the same format
     * @throws DiskException IN_USE while it is merged or resized, and whatever making images throws
     */
    public void prepare(Path child) {
        exclusively(() -> {
            if (disk instanceof VhdxDisk vhdx && !options.storage().exists(child)) {
                Path file = layers().getFirst();
                // If the first write changes the content identifier meanwhile, this is what it was before.
                Prepared made = Prepared.of(child, file, vhdx.info());
                options.storage().delete(part(child));
                VhdxCreate.child(part(child), file, vhdx, options);
                prepared = made;
            }
            return child;
        });
    }

    /** Deletes what {@link #prepare} has made, unless it is the disk's by now. */
    public void abandon(Path child) {
        exclusively(() -> {
            Prepared made = prepared;
            if (made != null && made.child.equals(child)) {
                prepared = null;
                options.storage().delete(part(child));
            }
            return child;
        });
    }

    private static Path part(Path child) {
        return child.resolveSibling(child.getFileName() + PART);
    }

    /**
     * Keeps the disk as it is now: its file stays as it is from now on, and what is written goes to a new differencing disk
     * of it. Requests wait meanwhile. The new file has its name only when it is complete, and is durable on return; a
     * process that is killed meanwhile leaves at most a file with the same name and {@link #PART} behind it.
     *
     * @param child the new file, in the same format
     * @throws DiskException UNSUPPORTED for a raw disk, IN_USE while it is merged or resized or a view of it is open, EXISTS
     *     and whatever making and opening images throw; the disk goes on in its file then, and there is no new one. If the
     *     new one cannot be deleted, or the file not be opened again, requests fail from then on
     */
    public void checkpoint(Path child) {
        exclusively(() -> {
            DiskFormat format = info().format();
            Path file = layers().getFirst();
            if (format == DiskFormat.RAW) {
                throw new DiskException(
                        Kind.UNSUPPORTED,
                        file.toString(),
                        "a raw disk can have no differencing disks",
                        "convert it to VHDX");
            }
            if (options.storage().exists(child)) {
                throw new DiskException(Kind.EXISTS, child.toString(), "there is a file already", "name another");
            }
            withoutFlushes(() -> {
                if (views.length > 0) {
                    throw new DiskException(
                            Kind.IN_USE, file.toString(), "a point-in-time view of it is open", "close the view first");
                }
                disk.flush();
                disk = child(file, format, child);
            });
            return file;
        });
    }

    /** Closes the disk, which is flushed, and opens a new child of it. */
    private VirtualDisk child(Path file, DiskFormat format, Path child) {
        DiskOptions writable = options.withAccess(DiskAccess.READ_WRITE);
        Path part = part(child);
        boolean ready = Prepared.of(child, file, disk.info()).equals(prepared);
        prepared = null;
        try {
            disk.close();
            if (!ready) {
                options.storage().delete(part);
                VirtualDisks.create(part, format, CreateOptions.differencing(file), options);
            }
            options.storage().rename(part, child, options.folders());
            return VirtualDisks.open(child, format, writable);
        } catch (RuntimeException | Error e) {
            try {
                // First, since a disk that is written to must leave no child behind that took it as it was.
                options.storage().delete(child);
                options.storage().delete(part);
                disk = VirtualDisks.open(file, format, writable);
            } catch (DiskException other) {
                e.addSuppressed(other);
            }
            throw e;
        }
    }

    /** Says what {@link #merge} would do, and throws what it would throw before it begins. */
    public Merge.Plan planMerge(Path layer) {
        return own(layer) ? planOwn() : Merge.plan(disk, layer, options);
    }

    private Merge.Plan planOwn() {
        LayeredDisk layered = Merge.layered(disk);
        long below = layered.layer(1).size();
        if (below > layered.size()) {
            throw new DiskException(
                    Kind.UNSUPPORTED,
                    layered.info().image(),
                    "its parent has " + below + " bytes and it has " + layered.size() + ", so it would grow in use",
                    "make it as large first");
        }
        return new MergeCopy(layered, 0, options).plan();
    }

    private boolean own(Path layer) {
        return options.storage().resolve(layer, options.folders()).equals(layers().getFirst());
    }

    /**
     * Merges a layer into the next one and deletes its file; see {@link Merge}. Returns when that is done; requests go on
     * meanwhile. The layer may be this disk's own file: then the disk is in its parent's file from then on
     * ({@link #layers}), and whoever wrote down where it is writes down the other file.
     *
     * @param progress told about it on the calling thread, may end it
     * @throws DiskException CANCELLED, NO_SPACE, IN_USE and whatever reading and writing throw; the disk goes on as
     *     before, and the merge continues where it was when it is called again
     */
    public Merge.Plan merge(Path layer, Progress progress) {
        return merge(layer, progress, Pace.USUAL);
    }

    /** The same at another pace. */
    Merge.Plan merge(Path layer, Progress progress, Pace pace) {
        Progress closable = (done, total) -> !closing && progress.advanced(done, total);
        return exclusively(
                () -> own(layer) ? mergeOwn(closable, pace) : Merge.run(disk, layer, options, closable, pace));
    }

    private Merge.Plan mergeOwn(Progress progress, Pace pace) {
        Merge.Plan plan = planOwn();
        MergeCopy.checkSpace(plan);
        LayeredDisk layered = Merge.layered(disk);
        Path file = layers().getFirst();
        OwnMerge merge = new OwnMerge(layered, layered.beginMerge(0, options), this::withoutRequests);
        withoutRequests(() -> merging = merge);
        try {
            merge.run(progress, pace);
            withoutFlushes(() -> {
                merge.flush();
                disk = layered.becomeParent();
                merging = null;
            });
        } catch (RuntimeException | Error e) {
            abandon(layered, merge, e);
            throw e;
        }
        options.storage().delete(file);
        return plan;
    }

    /** Lets the disk go on over its parent. If what is in the parent cannot be made durable, requests keep failing. */
    private void abandon(LayeredDisk layered, OwnMerge merge, Throwable reason) {
        try {
            withoutFlushes(() -> {
                merge.flush();
                merging = null;
            });
            layered.endMerge(0, options);
        } catch (DiskException other) {
            reason.addSuppressed(other);
        }
    }

    /**
     * The disk as it is now, for reading, while it goes on being written to. What is about to be overwritten is copied
     * into a file without a name first, pieces of {@link PointInTime#GRAIN} bytes, each once.
     *
     * <p>If that file cannot grow - it has reached its limit, or the host has no space - the view is lost and says so to
     * its reader; the writer never notices. While a view is open the disk cannot shrink.
     *
     * @param folder where the copies go
     * @param limit bytes that they may take
     */
    public PointInTime pointInTime(Path folder, long limit) {
        PointInTime view = new PointInTime(this, folder, limit, options);
        withoutRequests(() -> {
            PointInTime[] more = Arrays.copyOf(views, views.length + 1);
            more[views.length] = view;
            views = more;
        });
        return view;
    }

    /** Keeps nothing for a view any more. */
    void forget(PointInTime view) {
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

    /** As {@link #withoutRequests}, and while no flush is under way either. */
    private void withoutFlushes(Runnable action) {
        long stamp = flushing.writeLock();
        try {
            withoutRequests(action);
        } finally {
            flushing.unlockWrite(stamp);
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

    /** The lock that a request of this thread holds, shared. */
    StampedLock lock() {
        return locks[(int) Thread.currentThread().threadId() & (LOCKS - 1)];
    }

    /** The disk as it is until a merge ends; for whoever holds {@link #lock}. */
    VirtualDisk current() {
        return disk;
    }

    @Override
    public void read(long offset, MemorySegment memory, long at, long length) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            disk.read(offset, memory, at, length);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public void write(long offset, MemorySegment memory, long at, long length) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            for (PointInTime view : views) {
                view.preserve(offset, length);
            }
            OwnMerge merge = merging;
            if (merge == null) {
                disk.write(offset, memory, at, length);
            } else {
                merge.write(offset, memory, at, length);
            }
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public void writeZeroes(long offset, long length) {
        taking(() -> {
            for (PointInTime view : views) {
                view.preserveContent(offset, length);
            }
            OwnMerge merge = merging;
            if (merge == null) {
                disk.writeZeroes(offset, length);
            } else {
                merge.writeZeroes(offset, length);
            }
        });
    }

    /**
     * As {@link VirtualDisk#trim}. What an open point-in-time view still needs is copied for it first, as long as that
     * takes no more than half of the space that the view has left; what is more keeps its space, as if it were not
     * trimmed.
     */
    @Override
    public void trim(long offset, long length) {
        taking(() -> {
            long piece = disk.blockSize();
            if (views.length == 0) {
                trimNow(offset, length);
                return;
            }
            for (long at = offset; at < offset + length; ) {
                long part = Math.min(piece - at % piece, offset + length - at);
                boolean kept = true;
                for (PointInTime view : views) {
                    kept &= view.preserveCheaply(at, part);
                }
                if (kept) {
                    trimNow(at, part);
                }
                at += part;
            }
        });
    }

    private void trimNow(long offset, long length) {
        OwnMerge merge = merging;
        if (merge == null) {
            disk.trim(offset, length);
        } else {
            merge.trim(offset, length);
        }
    }

    /** Runs a request that may take blocks away, which during a merge into the parent excludes all others. */
    private void taking(Runnable request) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            if (merging == null) {
                request.run();
                return;
            }
        } finally {
            lock.unlockRead(stamp);
        }
        withoutRequests(request);
    }

    @Override
    public void flush() {
        long stamp = flushing.readLock();
        try {
            OwnMerge merge = merging;
            if (merge == null) {
                disk.flush();
            } else {
                merge.flush();
            }
        } finally {
            flushing.unlockRead(stamp);
        }
    }

    private interface Look<T> {
        T at(VirtualDisk disk);
    }

    private <T> T look(Look<T> look) {
        StampedLock lock = lock();
        long stamp = lock.readLock();
        try {
            return look.at(disk);
        } finally {
            lock.unlockRead(stamp);
        }
    }

    @Override
    public Extent extent(long offset, long length) {
        return look(now -> now.extent(offset, length));
    }

    @Override
    public Extent content(long offset, long length) {
        return look(now -> now.content(offset, length));
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
        return look(VirtualDisk::info);
    }

    @Override
    public Optional<VirtualDisk> parent() {
        return disk.parent();
    }

    /** Cancels a merge that is under way and waits for it, closes the views, and then the disk. */
    @Override
    public void close() {
        closing = true;
        changing.lock();
        try {
            for (PointInTime view : views) {
                view.close();
            }
            disk.close();
        } finally {
            changing.unlock();
        }
    }
}
