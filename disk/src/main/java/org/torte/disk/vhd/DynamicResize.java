package org.torte.disk.vhd;

import java.io.IOException;

/** Changes the size of an open dynamic image. The caller keeps requests away. */
final class DynamicResize {
    private final DynamicImage image;

    private DynamicResize(DynamicImage image) {
        this.image = image;
    }

    /** Grows or shrinks; the new size is durable on return. */
    static void run(DynamicImage image, long newSize) throws IOException {
        DynamicResize resize = new DynamicResize(image);
        if (newSize > image.size) {
            resize.zeroTail();
        }
        image.flush();
        image.flushing.lock();
        try {
            if (newSize > image.size) {
                resize.grow(newSize);
            } else if (newSize < image.size) {
                resize.shrink(newSize);
            }
        } finally {
            image.flushing.unlock();
        }
        image.flush();
    }

    /** What lies in the last block after the end of the disk may be anything; growth must show zeros. */
    private void zeroTail() throws IOException {
        int inside = (int) (image.size % image.blockBytes);
        long position = image.table.position(image.table.size() - 1);
        if (inside != 0 && position >= 0) {
            image.zeroPayload(position + image.bitmapBytes + inside, image.blockBytes - inside);
            image.modified();
        }
    }

    private void grow(long newSize) throws IOException {
        int blocks = (int) ((newSize + image.blockBytes - 1) / image.blockBytes);
        BlockTable bigger = image.table.resized(blocks);
        int firstNew = image.table.size();
        image.allocation.lock();
        try {
            long capacity = SpaceScan.tableCapacity(image.header, image.table, blocks);
            long tableAt = image.header.tableOffset();
            boolean moved = blocks * 4L > capacity;
            if (moved) {
                tableAt = image.space()
                        .takeForMetadata(image.footer, DynamicHeader.roundUp(blocks * 4L, VhdFooter.SECTOR));
            }
            int first = moved ? 0 : firstNew / BlockTable.PER_SECTOR;
            for (int i = first; i * BlockTable.PER_SECTOR < blocks; i++) {
                image.file.write(tableAt + (long) i * VhdFooter.SECTOR, bigger.sector(i));
            }
            image.durability.modified();
            image.durability.force();
            image.replaceTable(image.header.withTable(tableAt, blocks));
            image.replaceFooter(image.footer.withSize(newSize));
            image.table = bigger;
            image.size = newSize;
        } finally {
            image.allocation.unlock();
        }
    }

    private void shrink(long newSize) throws IOException {
        int blocks = (int) ((newSize + image.blockBytes - 1) / image.blockBytes);
        image.allocation.lock();
        try {
            image.replaceFooter(image.footer.withSize(newSize));
            image.size = newSize;
            for (int block = blocks; block < image.table.size(); block++) {
                long position = image.table.position(block);
                if (position >= 0) {
                    image.table.set(block, -1);
                    image.space().free(position);
                }
            }
        } finally {
            image.allocation.unlock();
        }
        image.modified();
        image.flushNow();
        image.table = image.table.resized(blocks);
        image.replaceTable(image.header.withTable(image.header.tableOffset(), blocks));
    }
}
