package org.torte.machine.filesystem;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.zip.CRC32;
import org.torte.disk.VirtualDisk;

/** Finds the partitions of a disk: GPT, from its copy at the end if the first one is damaged; else MBR with logical ones. */
public final class PartitionTable {
    private static final long GPT_SIGNATURE = 0x5452415020494645L;
    private static final int GPT_HEADER = 92, MAX_ENTRIES = 1024, MAX_ENTRY_SIZE = 4096;
    private static final int MBR_SIGNATURE = 0xaa55;
    private static final int TYPE_PROTECTIVE = 0xee;
    /** Linux takes no more logical partitions either. */
    private static final int MAX_LOGICAL = 256;

    /**
     * A partition.
     *
     * @param number as Linux numbers it, from 1; 0 stands for a disk without partitions
     * @param identifier what Linux calls its PARTUUID, empty for a disk without partitions
     * @param volume its content
     */
    public record Partition(int number, String identifier, Volume volume) {}

    private PartitionTable() {}

    /** The partitions of a disk, in the order of their numbers; a disk without a table is one that begins at 0. */
    public static List<Partition> read(VirtualDisk disk) {
        try {
            List<Partition> found = find(disk);
            if (!found.isEmpty()) {
                return found;
            }
        } catch (DamagedException e) {
            // A damaged table is none.
            return List.of(new Partition(0, "", Volume.of(disk)));
        }
        return List.of(new Partition(0, "", Volume.of(disk)));
    }

    private static List<Partition> find(VirtualDisk disk) throws DamagedException {
        int sector = disk.logicalSectorSize();
        Volume all = Volume.of(disk);
        if (disk.size() < 4L * sector) {
            return List.of();
        }
        byte[] mbr = all.read(0, 512);
        if (Bytes.u16(mbr, 510) != MBR_SIGNATURE) {
            return List.of();
        }
        for (int i = 0; i < 4; i++) {
            if (Bytes.u8(mbr, 446 + 16 * i + 4) == TYPE_PROTECTIVE) {
                List<Partition> first = gpt(all, sector, 1);
                return first.isEmpty() ? gpt(all, sector, disk.size() / sector - 1) : first;
            }
        }
        return mbr(all, sector, mbr);
    }

    private static List<Partition> gpt(Volume disk, int sector, long at) throws DamagedException {
        byte[] header = disk.read(at * sector, sector);
        int headerSize = (int) Bytes.u32(header, 12);
        if (Bytes.u64(header, 0) != GPT_SIGNATURE || headerSize < GPT_HEADER || headerSize > sector) {
            return List.of();
        }
        long headerSum = Bytes.u32(header, 16);
        long tableAt = Bytes.u64(header, 72);
        long count = Bytes.u32(header, 80);
        long size = Bytes.u32(header, 84);
        long tableSum = Bytes.u32(header, 88);
        header[16] = header[17] = header[18] = header[19] = 0;
        boolean sane = crc(header, headerSize) == headerSum
                && count <= MAX_ENTRIES
                && size >= 128
                && size <= MAX_ENTRY_SIZE
                && tableAt > 0
                && tableAt < disk.length() / sector;
        if (!sane) {
            return List.of();
        }
        byte[] table = disk.read(tableAt * sector, (int) (count * size));
        if (crc(table, table.length) != tableSum) {
            return List.of();
        }
        List<Partition> partitions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int entry = (int) (i * size);
            long first = Bytes.u64(table, entry + 32);
            long last = Bytes.u64(table, entry + 40);
            boolean used = Bytes.u64(table, entry) != 0 || Bytes.u64(table, entry + 8) != 0;
            if (used && last >= first) {
                add(partitions, i + 1, Bytes.guid(table, entry + 16), disk, first, last - first + 1, sector);
            }
        }
        return partitions;
    }

    private static List<Partition> mbr(Volume disk, int sector, byte[] mbr) throws DamagedException {
        String signature = String.format(Locale.ROOT, "%08x", Bytes.u32(mbr, 440));
        List<Partition> partitions = new ArrayList<>();
        long extended = 0;
        for (int i = 0; i < 4; i++) {
            int entry = 446 + 16 * i;
            long first = Bytes.u32(mbr, entry + 8);
            long count = Bytes.u32(mbr, entry + 12);
            int type = Bytes.u8(mbr, entry + 4);
            if (isExtended(type)) {
                extended = extended == 0 ? first : extended;
            } else if (type != 0 && first != 0 && count != 0) {
                add(partitions, i + 1, identifier(signature, i + 1), disk, first, count, sector);
            }
        }
        // A chain of tables of their own, each with one partition and the place of the next table.
        long at = extended;
        for (int number = 5; at != 0 && number < 5 + MAX_LOGICAL && at < disk.length() / sector; number++) {
            byte[] table = disk.read(at * sector, 512);
            if (Bytes.u16(table, 510) != MBR_SIGNATURE) {
                break;
            }
            long first = Bytes.u32(table, 446 + 8);
            long count = Bytes.u32(table, 446 + 12);
            if (first != 0 && count != 0) {
                add(partitions, number, identifier(signature, number), disk, at + first, count, sector);
            }
            long next = Bytes.u32(table, 462 + 8);
            at = next != 0 && isExtended(Bytes.u8(table, 462 + 4)) ? extended + next : 0;
        }
        return partitions;
    }

    private static boolean isExtended(int type) {
        return type == 0x05 || type == 0x0f || type == 0x85;
    }

    private static String identifier(String signature, int number) {
        return String.format(Locale.ROOT, "%s-%02x", signature, number);
    }

    private static void add(
            List<Partition> list, int number, String identifier, Volume disk, long first, long count, int sector) {
        long sectors = disk.length() / sector;
        if (first > 0 && first < sectors && count <= sectors - first) {
            list.add(new Partition(number, identifier, new Volume(disk.disk(), first * sector, count * sector)));
        }
    }

    private static long crc(byte[] bytes, int length) {
        CRC32 crc = new CRC32();
        crc.update(bytes, 0, length);
        return crc.getValue();
    }
}
