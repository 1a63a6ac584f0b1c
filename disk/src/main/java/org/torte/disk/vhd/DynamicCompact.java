package org.torte.disk.vhd;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/**
 * Moves blocks from the end of the file into gaps. For a disk that was just opened; the file is cut when it is next
 * opened for writing. A block is copied and forced before the table points to the copy.
 */
final class DynamicCompact {
    private static final int MOVED_AT_ONCE = 16;

    private final DynamicImage image;

    private DynamicCompact(DynamicImage image) {
        this.image = image;
    }

    /**
     * Moves what can be moved.
     *
     * @param moved told the bytes moved so far
     */
    static void run(DynamicImage image, LongConsumer moved) {
        new DynamicCompact(image).run(moved);
    }

    private void run(LongConsumer moved) {
        image.structure.writeLock().lock();
        try {
            NavigableMap<Long, Integer> blocks = new TreeMap<>();
            for (int block = 0; block < image.table.size(); block++) {
                if (image.table.has(block)) {
                    blocks.put(image.table.position(block), block);
                }
            }
            long total = 0;
            for (int count = MOVED_AT_ONCE; count == MOVED_AT_ONCE; ) {
                count = moveSome(blocks);
                image.flush();
                total += (long) count * image.blockBytes;
                moved.accept(total);
            }
        } catch (IOException e) {
            throw image.faults.of(e);
        } finally {
            image.structure.writeLock().unlock();
        }
    }

    private int moveSome(NavigableMap<Long, Integer> blocks) throws IOException {
        record Move(int block, long from, long to) {}
        List<Move> moves = new ArrayList<>();
        byte[] whole = new byte[image.bitmapBytes + image.blockBytes];
        image.allocation.lock();
        try {
            while (moves.size() < MOVED_AT_ONCE && !blocks.isEmpty()) {
                long gap = image.space().pollGap();
                if (gap < 0 || gap > blocks.lastKey()) {
                    break;
                }
                Map.Entry<Long, Integer> last = blocks.pollLastEntry();
                image.file.read(last.getKey(), whole);
                image.file.write(gap, whole);
                moves.add(new Move(last.getValue(), last.getKey(), gap));
            }
            image.durability.modified();
            image.durability.force();
            for (Move move : moves) {
                image.table.set(move.block(), move.to());
                image.space().free(move.from());
                if (image.bitmaps != null) {
                    image.bitmaps.remove(move.block());
                }
            }
        } finally {
            image.allocation.unlock();
        }
        image.modified();
        return moves.size();
    }
}
