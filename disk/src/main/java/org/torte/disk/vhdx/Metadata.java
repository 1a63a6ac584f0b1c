package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * The metadata region (section 2.6): a 64 KiB table ("metadata", reserved, count) of 32-byte entries (item GUID, offset,
 * length, flags) and the items behind it.
 *
 * @param blockSize bytes, a power of two from 1 to 256 MiB
 * @param leaveAllocated whether blocks keep their space: a fixed disk
 * @param hasParent whether this is a differencing disk
 * @param size bytes that the guest sees
 * @param identifier what identifies the disk to the guest
 * @param logicalSectorSize 512 or 4096
 * @param physicalSectorSize 512 or 4096
 * @param locator where the parent is
 * @param items all entries of the table, the unknown ones included
 */
record Metadata(
        int blockSize,
        boolean leaveAllocated,
        boolean hasParent,
        long size,
        UUID identifier,
        int logicalSectorSize,
        int physicalSectorSize,
        Optional<ParentLocator> locator,
        List<Item> items) {
    static final int USER = 1;
    static final int VIRTUAL_DISK = 2;
    static final int REQUIRED = 4;

    Metadata {
        items = List.copyOf(items);
    }

    /**
     * One entry of the table.
     *
     * @param id what it is
     * @param offset bytes from the start of the region
     * @param length bytes
     * @param flags {@link #USER}, {@link #VIRTUAL_DISK}, {@link #REQUIRED}
     */
    record Item(UUID id, int offset, int length, int flags) {}

    /** Reads items of the region; the range is inside it. */
    @FunctionalInterface
    interface Source {
        byte[] read(int offset, int length) throws java.io.IOException;
    }

    private static final byte[] SIGNATURE = "metadata".getBytes(StandardCharsets.US_ASCII);
    private static final int LARGEST_LOCATOR = 1 << 20;
    private static final Set<UUID> KNOWN = Set.of(
            Layout.FILE_PARAMETERS,
            Layout.VIRTUAL_DISK_SIZE,
            Layout.VIRTUAL_DISK_ID,
            Layout.LOGICAL_SECTOR_SIZE,
            Layout.PHYSICAL_SECTOR_SIZE,
            Layout.PARENT_LOCATOR);

    /**
     * Decodes the region.
     *
     * @param length bytes of the region
     * @throws BadImageException with what is wrong, or naming a required item that is unknown here
     */
    static Metadata decode(long length, Source source) throws java.io.IOException {
        if (length < Layout.METADATA_TABLE_SIZE) {
            throw new BadImageException("the metadata region has only " + length + " bytes");
        }
        List<Item> items = table(source.read(0, Layout.METADATA_TABLE_SIZE), length);
        for (Item item : items) {
            if ((item.flags & REQUIRED) != 0 && !KNOWN.contains(item.id)) {
                throw BadImageException.unsupported("it needs the unknown metadata item " + item.id);
            }
        }
        ByteBuffer parameters = item(items, Layout.FILE_PARAMETERS, 8, source);
        int blockSize = parameters.getInt(0);
        int flags = parameters.getInt(4);
        if (blockSize < Layout.MINIMUM_BLOCK || blockSize > Layout.MAXIMUM_BLOCK || Integer.bitCount(blockSize) != 1) {
            throw new BadImageException("the block size is " + Integer.toUnsignedString(blockSize) + " bytes");
        }
        int logical =
                sectorSize(item(items, Layout.LOGICAL_SECTOR_SIZE, 4, source).getInt(0), "logical");
        int physical =
                sectorSize(item(items, Layout.PHYSICAL_SECTOR_SIZE, 4, source).getInt(0), "physical");
        long size = item(items, Layout.VIRTUAL_DISK_SIZE, 8, source).getLong(0);
        if (size <= 0 || size > Layout.MAXIMUM_SIZE || size % logical != 0) {
            throw new BadImageException("the size of the disk is " + Long.toUnsignedString(size) + " bytes");
        }
        UUID identifier = Layout.guid(item(items, Layout.VIRTUAL_DISK_ID, 16, source), 0);
        boolean hasParent = (flags & 2) != 0;
        Optional<ParentLocator> locator = Optional.empty();
        if (hasParent) {
            Item entry = find(items, Layout.PARENT_LOCATOR)
                    .orElseThrow(() -> new BadImageException("a differencing disk without a parent locator"));
            if (entry.length > LARGEST_LOCATOR) {
                throw new BadImageException("the parent locator has " + entry.length + " bytes");
            }
            locator = Optional.of(ParentLocator.decode(source.read(entry.offset, entry.length)));
        }
        return new Metadata(
                blockSize, (flags & 1) != 0, hasParent, size, identifier, logical, physical, locator, items);
    }

    private static List<Item> table(byte[] bytes, long regionLength) {
        ByteBuffer in = Layout.buffer(bytes);
        for (int i = 0; i < SIGNATURE.length; i++) {
            if (bytes[i] != SIGNATURE[i]) {
                throw new BadImageException("the metadata table has no signature");
            }
        }
        int count = in.getShort(10) & 0xffff;
        if (count > Layout.MAXIMUM_ENTRIES) {
            throw new BadImageException("the metadata table announces " + count + " entries");
        }
        List<Item> items = new ArrayList<>();
        Set<UUID> seen = new HashSet<>();
        for (int i = 0; i < count; i++) {
            int at = 32 + 32 * i;
            UUID id = Layout.guid(in, at);
            long offset = in.getInt(at + 16) & 0xffffffffL;
            long length = in.getInt(at + 20) & 0xffffffffL;
            int flags = in.getInt(at + 24);
            // An item of length 0 has offset 0 and exists only as an entry (section 2.6.1.2).
            boolean empty = length == 0 && offset == 0;
            if (!empty && (offset < Layout.METADATA_TABLE_SIZE || length == 0 || offset + length > regionLength)) {
                throw new BadImageException("the metadata item " + id + " has " + length + " bytes at " + offset
                        + " of a region of " + regionLength);
            }
            if (length > Integer.MAX_VALUE || offset > Integer.MAX_VALUE) {
                throw new BadImageException("the metadata item " + id + " is too large");
            }
            // The same GUID may stand once for the user and once for the system.
            if ((flags & USER) == 0 && !seen.add(id)) {
                throw new BadImageException("the metadata item " + id + " is there twice");
            }
            items.add(new Item(id, (int) offset, (int) length, flags));
        }
        return items;
    }

    private static Optional<Item> find(List<Item> items, UUID id) {
        return items.stream()
                .filter(i -> i.id.equals(id) && (i.flags & USER) == 0)
                .findFirst();
    }

    private static ByteBuffer item(List<Item> items, UUID id, int length, Source source) throws java.io.IOException {
        Item item = find(items, id).orElseThrow(() -> new BadImageException("the metadata item " + id + " is missing"));
        if (item.length < length) {
            throw new BadImageException("the metadata item " + id + " has only " + item.length + " bytes");
        }
        return Layout.buffer(source.read(item.offset, length));
    }

    private static int sectorSize(int bytes, String which) {
        if (bytes != 512 && bytes != 4096) {
            throw new BadImageException(
                    "the " + which + " sector size is " + Integer.toUnsignedString(bytes) + " bytes");
        }
        return bytes;
    }

    /** Where an item of the system is. */
    Optional<Item> find(UUID id) {
        return find(items, id);
    }

    /** The same with another size of the disk. */
    Metadata withSize(long other) {
        return new Metadata(
                blockSize,
                leaveAllocated,
                hasParent,
                other,
                identifier,
                logicalSectorSize,
                physicalSectorSize,
                locator,
                items);
    }

    /** A new region of 1 MiB: table and items. Unknown items are not carried over. */
    byte[] encode() {
        byte[] bytes = new byte[(int) Layout.MIB];
        ByteBuffer out = Layout.buffer(bytes);
        out.put(0, SIGNATURE);
        int end = Layout.METADATA_TABLE_SIZE;
        int count = 0;
        end = entry(out, count++, Layout.FILE_PARAMETERS, end, 8, REQUIRED);
        out.putInt(end - 8, blockSize).putInt(end - 4, (leaveAllocated ? 1 : 0) | (hasParent ? 2 : 0));
        end = entry(out, count++, Layout.VIRTUAL_DISK_SIZE, end, 8, REQUIRED | VIRTUAL_DISK);
        out.putLong(end - 8, size);
        end = entry(out, count++, Layout.VIRTUAL_DISK_ID, end, 16, REQUIRED | VIRTUAL_DISK);
        Layout.putGuid(out, end - 16, identifier);
        end = entry(out, count++, Layout.LOGICAL_SECTOR_SIZE, end, 4, REQUIRED | VIRTUAL_DISK);
        out.putInt(end - 4, logicalSectorSize);
        end = entry(out, count++, Layout.PHYSICAL_SECTOR_SIZE, end, 4, REQUIRED | VIRTUAL_DISK);
        out.putInt(end - 4, physicalSectorSize);
        if (locator.isPresent()) {
            // On a page of its own with room behind it, so that a longer path can replace it.
            byte[] encoded = locator.get().encode();
            int at = Layout.METADATA_TABLE_SIZE + Layout.PAGE;
            entry(out, count++, Layout.PARENT_LOCATOR, at, encoded.length, REQUIRED);
            out.put(at, encoded);
        }
        out.putShort(10, (short) count);
        return bytes;
    }

    /** Writes a table entry and returns the end of the item. */
    private static int entry(ByteBuffer out, int index, UUID id, int offset, int length, int flags) {
        int at = 32 + 32 * index;
        Layout.putGuid(out, at, id);
        out.putInt(at + 16, offset);
        out.putInt(at + 20, length);
        out.putInt(at + 24, flags);
        return offset + length;
    }
}
