package org.torte.disk.vhdx;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongConsumer;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskOptions;
import org.torte.disk.Faults;

/**
 * Moves blocks from the end of a file into free space before them and cuts the file. A block is copied and the copy
 * forced before the log says where it is; its old space is free only after that is durable. What the disk holds stays
 * the same, and with it DataWriteGuid: children keep their connection.
 */
public final class VhdxCompact {
    private static final int PIECE = 1 << 20;
    /** Bytes that one entry of the log covers: what a cancelled or interrupted run may copy in vain. */
    private static final long AT_ONCE = 64 * Layout.MIB;

    private static final int MOST_MOVES = MetadataWriter.MOST_DIRTY / 2;

    /** A block of the file on its way: its entry in the block table, its places and its length in bytes. */
    private record Move(long index, long from, long to, long length) {}

    private final VhdxImage image;
    /** Where blocks are, in MiB, and the entries that say so: {@code place << 32 | entry}, sorted. */
    private final long[] blocks;

    private VhdxCompact(VhdxImage image) throws IOException {
        this.image = image;
        this.blocks = blocks(image);
    }

    /**
     * Compacts an image that is not open. Fixed disks have no gaps and are left alone.
     *
     * @param moved told the bytes moved so far; what it throws ends the operation
     */
    public static void run(Path path, DiskOptions options, LongConsumer moved) {
        Path real = options.storage().resolve(path, options.folders());
        DiskOptions alone = options.withAccess(DiskAccess.READ_WRITE).withOpenParents(false);
        try (VhdxImage image = VhdxImage.open(alone.storage().open(real, alone.access(), alone.folders()), alone)) {
            if (!image.metadata().leaveAllocated() && image.space.usedEnd() > image.space.usedBytes()) {
                image.writer.announceContentIdentifier(image.headers.current().dataWrite());
                image.writer.start();
                new VhdxCompact(image).moveAll(moved);
            }
        } catch (IOException e) {
            throw new Faults(real.toString()).of(e);
        }
    }

    private static long[] blocks(VhdxImage image) throws IOException {
        long[][] found = {new long[1024]};
        int[] count = {0};
        VhdxImage.scanTable(image.file, image.table().offset(), image.geometry, (index, entry) -> {
            if (Layout.state(entry) >= Layout.FULLY_PRESENT) {
                if (count[0] == found[0].length) {
                    found[0] = Arrays.copyOf(found[0], 2 * count[0]);
                }
                found[0][count[0]++] = Layout.offset(entry) / Layout.MIB << 32 | index;
            }
        });
        long[] sorted = Arrays.copyOf(found[0], count[0]);
        Arrays.sort(sorted);
        return sorted;
    }

    private void moveAll(LongConsumer moved) throws IOException {
        long total = 0;
        int left = blocks.length;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PIECE, Layout.PAGE);
            while (true) {
                List<Move> moves = new ArrayList<>();
                boolean done = false;
                try {
                    long bytes = 0;
                    while (bytes < AT_ONCE && moves.size() < MOST_MOVES && left > 0) {
                        Move move = plan(blocks[left - 1]);
                        if (move.to < 0) {
                            break;
                        }
                        moves.add(move);
                        copy(move, buffer);
                        bytes += move.length;
                        left--;
                    }
                    commit(moves);
                    total += bytes;
                    done = true;
                } finally {
                    if (!done && !image.faults.poisoned()) {
                        giveUp(moves);
                    }
                }
                if (moves.isEmpty()) {
                    return;
                }
                moved.accept(total);
            }
        }
    }

    private Move plan(long block) throws IOException {
        long index = block & 0xffffffffL;
        long from = (block >>> 32) * Layout.MIB;
        long length = image.geometry.isBitmap(index) ? Layout.MIB : image.geometry.blockSize();
        return new Move(index, from, image.space.allocateBelow(length, from), length);
    }

    /** Copies a block; its holes stay holes. */
    private void copy(Move move, MemorySegment buffer) throws IOException {
        boolean clean = image.space.isClean(move.to, move.length);
        image.space.soil(move.to, move.length);
        try {
            if (!clean) {
                image.file.clear(move.to, move.length);
            }
            long end = move.from + move.length;
            for (long at = image.file.nextData(move.from); at < end; at = image.file.nextData(at)) {
                long stop = Math.min(end, Math.max(at + 1, image.file.nextHole(at)));
                long count = Math.min(PIECE, stop - at);
                image.file.read(at, buffer, 0, count);
                image.file.write(at - move.from + move.to, buffer, 0, count);
                at += count;
            }
        } finally {
            image.durability.modified();
        }
    }

    /** Lets the block table point to the copies, durably. */
    private void commit(List<Move> moves) throws IOException {
        if (moves.isEmpty()) {
            return;
        }
        image.writer.contentFirst();
        boolean bitmaps = false;
        for (Move move : moves) {
            MetadataPage page = image.cache.pinTable(move.index);
            try {
                image.writer.beginChange(1);
                try {
                    int slot = (int) move.index & (MetadataPage.WORDS - 1);
                    page.set(slot, Layout.entry(Layout.state(page.get(slot)), move.to));
                    image.writer.changed(page);
                    image.writer.freed(move.from, move.length);
                } finally {
                    image.writer.endChange();
                }
            } finally {
                page.unpin();
            }
            bitmaps |= image.geometry.isBitmap(move.index);
        }
        image.writer.settle();
        if (bitmaps) {
            // Pages of bitmaps remember where they were.
            image.cache.relocate(image.geometry, image.table().offset());
        }
    }

    /** Gives back the space of copies that no entry refers to. */
    private void giveUp(List<Move> moves) {
        for (Move move : moves) {
            if (Layout.offset(image.rawEntry(move.index)) != move.to) {
                image.writer.abandon(move.to, move.length);
            }
        }
    }
}
