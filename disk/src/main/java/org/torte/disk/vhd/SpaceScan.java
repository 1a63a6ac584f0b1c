package org.torte.disk.vhd;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.torte.disk.Durability;

/** Finds out what of the file of a dynamic or differencing image is in use before it is written to. */
final class SpaceScan {
    private SpaceScan() {}

    /** A stretch of the file in use; {@code block} is -1 for metadata. */
    record Used(long start, long end, int block) {}

    /** Everything in use, in the order of the file. */
    static List<Used> used(VhdLayout layout, int[] entries) {
        DynamicHeader header = layout.dynamic();
        List<Used> used = metadata(layout);
        long length = header.bitmapBytes() + (long) header.blockSize();
        for (int block = 0; block < entries.length; block++) {
            if (entries[block] != BlockTable.NONE) {
                long start = (entries[block] & 0xffffffffL) * VhdFooter.SECTOR;
                used.add(new Used(start, start + length, block));
            }
        }
        used.sort((a, b) -> Long.compare(a.start(), b.start()));
        return used;
    }

    private static List<Used> metadata(VhdLayout layout) {
        DynamicHeader header = layout.dynamic();
        List<Used> used = new ArrayList<>();
        used.add(new Used(0, VhdFooter.SIZE, -1));
        long at = layout.footer().dataOffset();
        used.add(new Used(at, at + DynamicHeader.SIZE, -1));
        used.add(new Used(header.tableOffset(), header.tableOffset() + header.tableBytes(), -1));
        for (DynamicHeader.Locator locator : header.locators()) {
            boolean inside = locator.length() > 0
                    && locator.offset() > 0
                    && locator.offset() <= layout.fileSize() - locator.length();
            if (inside) {
                long end = DynamicHeader.roundUp(locator.offset() + locator.length(), VhdFooter.SECTOR);
                used.add(new Used(locator.offset(), end, -1));
            }
        }
        return used;
    }

    /** Where blocks fit between what is in use, which is in the order of the file. */
    static List<Long> gaps(List<Used> used, DynamicHeader header) {
        List<Long> gaps = new ArrayList<>();
        long length = header.bitmapBytes() + (long) header.blockSize();
        long end = 0;
        for (Used one : used) {
            for (long gap = fitting(end, one.start(), header); gap >= 0; gap = fitting(end, one.start(), header)) {
                gaps.add(gap);
                end = gap + length;
            }
            end = Math.max(end, one.end());
        }
        return gaps;
    }

    /** The first place for a block in a stretch of the file, or -1. Between blocks of other software it may lie less well. */
    private static long fitting(long from, long to, DynamicHeader header) {
        for (int alignment : new int[] {BlockSpace.PAYLOAD_ALIGNMENT, BlockSpace.ALIGNMENT, VhdFooter.SECTOR}) {
            long place = BlockSpace.aligned(from, header.bitmapBytes(), alignment);
            if (place + header.bitmapBytes() + header.blockSize() <= to) {
                return place;
            }
        }
        return -1;
    }

    /**
     * The free space of an image that is opened for writing. Refuses images where writing to one block could harm
     * another; cuts off what an earlier opener left after the last block.
     */
    static BlockSpace of(VhdLayout layout, int[] entries, Durability durability) throws IOException {
        DynamicHeader header = layout.dynamic();
        List<Used> used = used(layout, entries);
        long end = 0;
        for (Used one : used) {
            if (one.start() < end) {
                throw VhdLayout.damaged(
                        layout.file(),
                        "two parts of it lie at the same place, " + one.start(),
                        "do not write to it; save its content with 'torte vhd convert'");
            }
            end = one.end();
        }
        if (end > layout.fileSize()) {
            throw VhdLayout.damaged(
                    layout.file(),
                    "its block table points beyond the end of the file",
                    "copy it again or restore it from a backup; what is left can be saved with 'torte vhd convert'");
        }
        end = DynamicHeader.roundUp(end, VhdFooter.SECTOR);
        boolean exact = layout.endFooter() && layout.footerAt() == end && layout.copy();
        if (!exact) {
            settle(layout, durability, end);
        }
        BlockSpace space = new BlockSpace(layout.file(), durability, header, end, end);
        gaps(used, header).forEach(space::addGap);
        return space;
    }

    /** Puts the footer right after what is in use, and nothing after it; brings the copy up to date. */
    private static void settle(VhdLayout layout, Durability durability, long end) throws IOException {
        FileEnd.cut(layout.file(), durability, layout.footer(), end);
        FileEnd.put(layout.file(), durability, layout.footer(), 0);
    }

    /** Bytes that the table can grow to where it is: up to whatever follows it in the file. */
    static long tableCapacity(DynamicHeader header, BlockTable table, int blocks) {
        if (blocks * 4L <= header.tableBytes()) {
            return header.tableBytes();
        }
        long nearest = Long.MAX_VALUE;
        for (int block = 0; block < table.size(); block++) {
            long position = table.position(block);
            if (position > header.tableOffset()) {
                nearest = Math.min(nearest, position);
            }
        }
        for (DynamicHeader.Locator locator : header.locators()) {
            if (locator.offset() > header.tableOffset()) {
                nearest = Math.min(nearest, locator.offset());
            }
        }
        // Without anything after it the footer follows.
        return nearest == Long.MAX_VALUE ? header.tableBytes() : nearest - header.tableOffset();
    }
}
