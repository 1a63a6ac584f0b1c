package org.torte.disk.operation;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.OptionalLong;
import org.torte.disk.VirtualDisk;

/** Where the last partition of a disk ends: MBR, or GPT after the UEFI specification 2.10, section 5.3. */
final class Partitions {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long GPT = 0x5452415020494645L;
    private static final int PROTECTIVE = 0xee;
    private static final int MOST_ENTRIES = 4096;
    /** Sectors of 512 bytes that the second copy of a GPT needs after the last partition. */
    private static final long GPT_COPY = 33 * 512L;

    private Partitions() {}

    /** Bytes of the disk that its partition table needs, or nothing without a table. */
    static OptionalLong end(VirtualDisk disk) {
        int sector = disk.logicalSectorSize();
        if (disk.size() < 2L * sector) {
            return OptionalLong.empty();
        }
        byte[] bytes = new byte[sector];
        disk.read(0, bytes);
        MemorySegment mbr = MemorySegment.ofArray(bytes);
        if ((bytes[510] & 0xff) != 0x55 || (bytes[511] & 0xff) != 0xaa) {
            return OptionalLong.empty();
        }
        long end = 0;
        for (int i = 0; i < 4; i++) {
            int at = 446 + 16 * i;
            int type = bytes[at + 4] & 0xff;
            if (type == PROTECTIVE) {
                return gpt(disk, sector);
            }
            if (type != 0) {
                long first = mbr.get(INT, at + 8) & 0xffffffffL;
                long count = mbr.get(INT, at + 12) & 0xffffffffL;
                end = Math.max(end, (first + count) * sector);
            }
        }
        // A boot sector of a file system looks like an empty or senseless table.
        return end == 0 || end > disk.size() ? OptionalLong.empty() : OptionalLong.of(end);
    }

    private static OptionalLong gpt(VirtualDisk disk, int sector) {
        byte[] bytes = new byte[sector];
        disk.read(sector, bytes);
        MemorySegment header = MemorySegment.ofArray(bytes);
        long entries = header.get(INT, 80) & 0xffffffffL;
        int size = header.get(INT, 84);
        long at = header.get(LONG, 72);
        boolean sane = header.get(LONG, 0) == GPT
                && entries <= MOST_ENTRIES
                && size >= 128
                && size <= 4096
                && at > 1
                && at < disk.size() / sector - (entries * size + sector - 1) / sector;
        if (!sane) {
            return OptionalLong.empty();
        }
        byte[] all = new byte[(int) ((entries * size + sector - 1) / sector * sector)];
        disk.read(at * sector, all);
        MemorySegment table = MemorySegment.ofArray(all);
        long end = 0;
        for (int i = 0; i < entries; i++) {
            long entry = (long) i * size;
            boolean used = table.get(LONG, entry) != 0 || table.get(LONG, entry + 8) != 0;
            long last = table.get(LONG, entry + 40);
            if (used && last > 0 && last < disk.size() / sector) {
                end = Math.max(end, (last + 1) * sector);
            }
        }
        return OptionalLong.of(Math.max(end, (at * sector) + all.length) + Math.max(GPT_COPY, all.length + sector));
    }
}
