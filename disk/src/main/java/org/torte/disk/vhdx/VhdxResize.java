package org.torte.disk.vhdx;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;

/**
 * Changes the size of an open image. The size item and, when the block table has to move, both region tables go into
 * one log entry, so that a crash leaves the old disk or the new one. The caller keeps all requests away.
 */
final class VhdxResize {
    private static final int COPY = 1 << 20;

    private VhdxResize() {}

    static void resize(VhdxImage image, long newSize) {
        Geometry old = image.geometry;
        VhdxCreate.checkSize(image.file.name(), newSize, old.sectorSize());
        if (newSize == old.size()) {
            return;
        }
        if (newSize < old.size() && old.differencing()) {
            throw new DiskException(
                    Kind.UNSUPPORTED,
                    image.file.name(),
                    "a differencing disk cannot be made smaller",
                    "merge it into its parent first");
        }
        try {
            image.writer.start();
            image.writer.changeContentIdentifier();
            Geometry wanted = new Geometry(newSize, old.blockSize(), old.sectorSize(), old.differencing());
            if (newSize < old.size()) {
                change(image, wanted);
                dropBlocks(image, old, wanted);
            } else {
                clearTail(image, old);
                change(image, wanted);
                if (image.metadata().leaveAllocated()) {
                    fillFixed(image, old, wanted);
                }
            }
            image.writer.flush();
        } catch (IOException e) {
            throw image.faults.of(e);
        }
    }

    /** What lies behind the old end in the last block must read as zeros once it belongs to the disk. */
    private static void clearTail(VhdxImage image, Geometry old) throws IOException {
        long inBlock = old.size() & old.blockSize() - 1;
        if (inBlock == 0) {
            return;
        }
        long entry = image.entry(old.blocks() - 1);
        if (Layout.state(entry) >= Layout.FULLY_PRESENT) {
            image.file.writeZeros(Layout.offset(entry) + inBlock, old.blockSize() - inBlock);
            image.durability.modified();
            image.writer.contentFirst();
        }
    }

    /** Logs the new size and the new place of the block table if it needs one. */
    private static void change(VhdxImage image, Geometry wanted) throws IOException {
        image.writer.settle();
        RegionTable regions = image.regions();
        RegionTable.Region table = image.table();
        RegionTable.Region newTable = table;
        List<Long> positions = new ArrayList<>();
        List<byte[]> pages = new ArrayList<>();
        boolean moved = wanted.tableLength() > table.length();
        if (moved) {
            long length = Layout.roundUp(wanted.tableLength(), Layout.MIB);
            newTable =
                    new RegionTable.Region(Layout.BAT_REGION, image.space.allocate(length), length, table.required());
            regions = regions.moved(Layout.BAT_REGION, newTable.offset(), length);
            copyTable(image, table, newTable);
            byte[] encoded = regions.encode();
            addPages(positions, pages, Layout.REGIONS_1, encoded);
            addPages(positions, pages, Layout.REGIONS_2, encoded);
        } else {
            clearEntries(image, table.offset(), image.geometry.tableLength(), wanted.tableLength());
        }
        Metadata metadata = image.metadata();
        Metadata.Item item = metadata.find(Layout.VIRTUAL_DISK_SIZE).orElseThrow();
        long position =
                image.regions().find(Layout.METADATA_REGION).orElseThrow().offset() + item.offset();
        byte[] page = new byte[2 * Layout.PAGE];
        image.file.read(position & -Layout.PAGE, page);
        Layout.buffer(page).putLong((int) (position & Layout.PAGE - 1), wanted.size());
        // An item may cross a page when other software placed it.
        boolean crosses = (position & Layout.PAGE - 1) + 8 > Layout.PAGE;
        addPages(
                positions, pages, position & -Layout.PAGE, crosses ? page : java.util.Arrays.copyOf(page, Layout.PAGE));
        byte[] all = new byte[positions.size() * Layout.PAGE];
        for (int i = 0; i < pages.size(); i++) {
            System.arraycopy(pages.get(i), 0, all, i * Layout.PAGE, Layout.PAGE);
        }
        image.writer.writeThrough(positions, all);
        image.changed(regions, metadata.withSize(wanted.size()), wanted);
        image.cache.relocate(wanted, newTable.offset());
        if (moved) {
            image.writer.abandon(table.offset(), table.length());
        }
    }

    private static void addPages(List<Long> positions, List<byte[]> pages, long position, byte[] content) {
        for (int at = 0; at < content.length; at += Layout.PAGE) {
            positions.add(position + at);
            pages.add(java.util.Arrays.copyOfRange(content, at, at + Layout.PAGE));
        }
    }

    private static void copyTable(VhdxImage image, RegionTable.Region from, RegionTable.Region to) throws IOException {
        image.space.soil(to.offset(), to.length());
        byte[] part = new byte[COPY];
        long used = image.geometry.tableLength();
        for (long at = 0; at < to.length(); at += COPY) {
            java.util.Arrays.fill(part, (byte) 0);
            if (at < used) {
                long length = Math.min(COPY, used - at);
                image.file.read(from.offset() + at, MemorySegment.ofArray(part), 0, length);
            }
            image.file.write(to.offset() + at, part);
        }
        image.durability.modified();
    }

    /** Entries behind the old end of the table that other software left. */
    private static void clearEntries(VhdxImage image, long table, long from, long to) throws IOException {
        if (from < to) {
            image.file.writeZeros(table + from, to - from);
            image.durability.modified();
        }
    }

    /** Frees the blocks behind the new end and zeroes the rest of the last block. */
    private static void dropBlocks(VhdxImage image, Geometry old, Geometry wanted) throws IOException {
        long table = image.table().offset();
        long first = wanted.payloadEntry(wanted.blocks() - 1) + 1;
        List<MetadataWriter.Range> free = new ArrayList<>();
        VhdxImage.scanTable(image.file, table, old, (index, entry) -> {
            if (index >= first && Layout.state(entry) >= Layout.FULLY_PRESENT) {
                free.add(new MetadataWriter.Range(
                        Layout.offset(entry), old.isBitmap(index) ? Layout.MIB : old.blockSize()));
            }
        });
        clearEntries(image, table, first * 8, old.tableLength());
        for (MetadataWriter.Range range : free) {
            image.writer.abandon(range.offset(), range.length());
        }
        clearTail(image, wanted);
    }

    private static void fillFixed(VhdxImage image, Geometry old, Geometry wanted) throws IOException {
        for (long block = old.blocks(); block < wanted.blocks(); block++) {
            long space = image.space.allocate(wanted.blockSize());
            if (!image.space.isClean(space, wanted.blockSize())) {
                image.file.writeZeros(space, wanted.blockSize());
                image.durability.modified();
                image.writer.contentFirst();
            }
            image.space.soil(space, wanted.blockSize());
            image.file.allocate(space, wanted.blockSize());
            MetadataPage page = image.pinEntry(block);
            try {
                image.writer.beginChange(1);
                page.set(image.slot(block), Layout.entry(Layout.FULLY_PRESENT, space));
                image.writer.changed(page);
                image.writer.endChange();
            } finally {
                page.unpin();
            }
            image.writer.relieve();
        }
    }
}
