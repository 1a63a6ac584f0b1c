package org.torte.worker.guest;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.zip.CRC32;
import org.torte.disk.VirtualDisk;

/**
 * Writes a partition table with one partition (UEFI specification 2.10, section 5.3): a protective MBR, the table, and
 * its copy at the end of the disk.
 */
final class GptTable {
    /** The type of a root file system for x86-64 (Discoverable Partitions Specification). */
    static final UUID ROOT = UUID.fromString("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");

    /** Where the partition begins, and the multiple of bytes that it has: good for every disk. */
    static final long ALIGNMENT = 1 << 20;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int ENTRIES = 128, ENTRY_SIZE = 128;
    private static final int HEADER_SIZE = 92;

    private GptTable() {}

    /** The bytes that a partition may have on a disk of {@code size} bytes; it begins at {@link #ALIGNMENT}. */
    static long room(long size) {
        return (size - 2 * ALIGNMENT) & -ALIGNMENT;
    }

    /** Writes the table of a disk that has one partition, of {@link #room} bytes. */
    static void write(VirtualDisk disk, UUID diskId, UUID partitionId, UUID type, String name) {
        int sector = disk.logicalSectorSize();
        long last = disk.size() / sector - 1;
        int tableSectors = (ENTRIES * ENTRY_SIZE + sector - 1) / sector;

        byte[] table = new byte[tableSectors * sector];
        MemorySegment entry = MemorySegment.ofArray(table);
        putGuid(entry, 0, type);
        putGuid(entry, 16, partitionId);
        entry.set(LONG, 32, ALIGNMENT / sector);
        entry.set(LONG, 40, (ALIGNMENT + room(disk.size())) / sector - 1);
        byte[] text = name.getBytes(StandardCharsets.UTF_16LE);
        System.arraycopy(text, 0, table, 56, Math.min(text.length, 72));

        disk.write(0, protectiveMbr(sector, last));
        disk.write(2L * sector, table);
        disk.write((last - tableSectors) * sector, table);
        disk.write(sector, header(sector, 1, last, 2, last, tableSectors, diskId, table));
        disk.write(last * sector, header(sector, last, 1, last - tableSectors, last, tableSectors, diskId, table));
    }

    private static byte[] protectiveMbr(int sector, long last) {
        byte[] bytes = new byte[sector];
        MemorySegment mbr = MemorySegment.ofArray(bytes);
        // One partition of type EE from sector 1 to the end; cylinders and heads are at their limits.
        mbr.set(INT, 446, 0x00020000);
        mbr.set(INT, 450, 0xffffffee);
        mbr.set(INT, 454, 1);
        mbr.set(INT, 458, (int) Math.min(last, 0xffffffffL));
        bytes[510] = 0x55;
        bytes[511] = (byte) 0xaa;
        return bytes;
    }

    private static byte[] header(
            int sector, long own, long other, long tableAt, long last, int tableSectors, UUID diskId, byte[] table) {
        byte[] bytes = new byte[sector];
        MemorySegment header = MemorySegment.ofArray(bytes);
        header.set(LONG, 0, 0x5452415020494645L);
        header.set(INT, 8, 0x00010000);
        header.set(INT, 12, HEADER_SIZE);
        header.set(LONG, 24, own);
        header.set(LONG, 32, other);
        header.set(LONG, 40, 2L + tableSectors);
        header.set(LONG, 48, last - tableSectors - 1);
        putGuid(header, 56, diskId);
        header.set(LONG, 72, tableAt);
        header.set(INT, 80, ENTRIES);
        header.set(INT, 84, ENTRY_SIZE);
        header.set(INT, 88, crc(table, ENTRIES * ENTRY_SIZE));
        header.set(INT, 16, crc(bytes, HEADER_SIZE));
        return bytes;
    }

    private static int crc(byte[] bytes, int length) {
        CRC32 crc = new CRC32();
        crc.update(bytes, 0, length);
        return (int) crc.getValue();
    }

    /** The first three fields of a GUID are little-endian. */
    private static void putGuid(MemorySegment target, long at, UUID id) {
        long high = id.getMostSignificantBits();
        target.set(INT, at, (int) (high >>> 32));
        target.set(LONG, at + 4, (high >>> 16 & 0xffff) | (high & 0xffff) << 16 | reversedTail(id) << 32);
        target.set(INT, at + 12, Integer.reverseBytes((int) id.getLeastSignificantBits()));
    }

    private static long reversedTail(UUID id) {
        return Integer.reverseBytes((int) (id.getLeastSignificantBits() >>> 32)) & 0xffffffffL;
    }
}
