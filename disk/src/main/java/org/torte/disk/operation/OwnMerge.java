package org.torte.disk.operation;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import org.torte.disk.Extent;
import org.torte.disk.LayeredDisk;
import org.torte.disk.VirtualDisk;

/**
 * The merge of a disk in use into its own parent, and the requests that go on meanwhile.
 *
 * <p>What the disk's image has is moved, a batch of blocks at a time: written to the parent, forced, and given up by the
 * image, whose space goes back to the host. Forcing and giving up one batch is done by another thread while the next is
 * written. Requests change what the image still has in the image, and everything else in the parent,
 * so that the image never gains anything and the merge comes to its end however much is written. A flush makes first the
 * parent durable and then the image, with what it gave up.
 *
 * <p>At every moment image and parent are an ordinary chain that reads right: the image hides what the parent has not got
 * durably. The image's own block table is therefore the journal. After a crash, or when it was cancelled, the chain is
 * used or merged as any other, and what has moved stays moved.
 *
 * <p>Requests hold a lock, shared, that {@code exclusively} takes for itself ({@link LiveDisk}).
 */
final class OwnMerge {
    /** Blocks that are moved at once at most. */
    private static final int BLOCKS = 1024;

    private final LayeredDisk disk;
    private final VirtualDisk parent;
    private final Consumer<Runnable> exclusively;
    private final long blockSize;
    /** Of the batches that the image has not given up, the oldest first; replaced while there are no requests. */
    private volatile Watch[] watches = {};

    /** Blocks of a batch, and those of them that were written to meanwhile. */
    private record Watch(Set<Long> blocks, Set<Long> touched) {
        Watch(Set<Long> blocks) {
            this(Set.copyOf(blocks), ConcurrentHashMap.newKeySet());
        }
    }

    /**
     * @param parent the disk's parent, writable, alone
     * @param exclusively runs something while no request is under way
     */
    OwnMerge(LayeredDisk disk, VirtualDisk parent, Consumer<Runnable> exclusively) {
        this.disk = disk;
        this.parent = parent;
        this.exclusively = exclusively;
        this.blockSize = disk.blockSize();
    }

    // ------------------------------------------------------------------ moving

    /** Moves everything. Requests come through the methods below from before this is called. */
    void run(Progress progress, Pace pace) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(MergeCopy.PIECE, 4096);
            for (long block : moveBatches(progress, pace, buffer)) {
                moveAlone(block, buffer);
                step(progress, block + 1);
            }
            // Nothing can be left: this only proves it before the image is thrown away.
            for (long block = next(0); block >= 0; block = next(block + 1)) {
                moveAlone(block, buffer);
            }
            step(progress, blocks());
        }
    }

    /** Moves blocks while requests go on; gives those that were written to meanwhile and stay where they are. */
    private List<Long> moveBatches(Progress progress, Pace pace, MemorySegment buffer) {
        List<Long> busy = new ArrayList<>();
        int most = (int) Math.clamp(pace.least() / blockSize, 1, BLOCKS);
        try (Behind durable = new Behind(pace.threads())) {
            for (long block = next(0); block >= 0; ) {
                List<Long> batch = new ArrayList<>();
                for (; block >= 0 && batch.size() < most; block = next(block + 1)) {
                    batch.add(block);
                }
                Watch watched = new Watch(Set.copyOf(batch));
                exclusively.accept(() -> watch(watched));
                batch.forEach(one -> copy(one, buffer));
                durable.begin(() -> busy.addAll(giveUp(batch, watched)));
                step(progress, batch.getLast() + 1);
            }
        }
        return busy;
    }

    private void watch(Watch more) {
        watches = Arrays.copyOf(watches, watches.length + 1);
        watches[watches.length - 1] = more;
    }

    /** Lets the image give up a batch, once the parent has it durably; gives the blocks that it keeps. */
    private Set<Long> giveUp(List<Long> batch, Watch watched) {
        parent.flush();
        exclusively.accept(() -> {
            watches = Arrays.copyOfRange(watches, 1, watches.length);
            for (long block : batch) {
                if (!watched.touched().contains(block)) {
                    disk.drop(block * blockSize, end(block) - block * blockSize);
                }
            }
        });
        disk.flush();
        return watched.touched();
    }

    private void step(Progress progress, long blocks) {
        progress.step(disk.info().image(), Math.min(blocks * blockSize, disk.size()), disk.size());
    }

    private long blocks() {
        return (disk.size() + blockSize - 1) / blockSize;
    }

    private long end(long block) {
        return Math.min((block + 1) * blockSize, disk.size());
    }

    /** The first block from this one on of which the image has anything, or -1. */
    private long next(long block) {
        for (long at = block * blockSize; at < disk.size(); ) {
            Extent extent = disk.extent(at, disk.size() - at);
            if (extent.kind() != Extent.Kind.PARENT) {
                return at / blockSize;
            }
            at = extent.end();
        }
        return -1;
    }

    /** Moves one block while requests wait. */
    private void moveAlone(long block, MemorySegment buffer) {
        exclusively.accept(() -> {
            copy(block, buffer);
            parent.flush();
            disk.drop(block * blockSize, end(block) - block * blockSize);
        });
        disk.flush();
    }

    private void copy(long block, MemorySegment buffer) {
        long end = end(block);
        for (long at = block * blockSize; at < end; ) {
            Extent own = disk.extent(at, end - at);
            at = own.kind() == Extent.Kind.PARENT ? own.end() : at + MergeCopy.copyPart(disk, parent, own, buffer);
        }
    }

    // ------------------------------------------------------------------ requests, with the lock shared

    void write(long offset, MemorySegment memory, long at, long length) {
        touch(offset, length);
        for (long done = 0; done < length; ) {
            Extent run = disk.extent(offset + done, length - done);
            holder(run).write(run.offset(), memory, at + done, run.length());
            done += run.length();
        }
    }

    void flush() {
        parent.flush();
        disk.flush();
    }

    // ------------------------------------------------------------------ requests, with no other under way

    /** Others would read from blocks of the parent that this takes away. */
    void writeZeroes(long offset, long length) {
        touch(offset, length);
        for (long done = 0; done < length; ) {
            Extent run = disk.extent(offset + done, length - done);
            holder(run).writeZeroes(run.offset(), run.length());
            done += run.length();
        }
    }

    void trim(long offset, long length) {
        touch(offset, length);
        for (long done = 0; done < length; ) {
            Extent run = disk.extent(offset + done, length - done);
            holder(run).trim(run.offset(), run.length());
            done += run.length();
        }
    }

    private VirtualDisk holder(Extent run) {
        return run.kind() == Extent.Kind.PARENT ? parent : disk;
    }

    private void touch(long offset, long length) {
        for (Watch watch : watches) {
            for (long block = offset / blockSize; block * blockSize < offset + length; block++) {
                if (watch.blocks().contains(block)) {
                    watch.touched().add(block);
                }
            }
        }
    }
}
