package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * Where things are in a VHDX file, and their constants (section 2.1 to 2.6). All values are little-endian; GUIDs have
 * their first three fields little-endian and the last eight bytes in order.
 *
 * <pre>
 * 0        64K      128K     192K      256K      320K     1M
 * | file id | header 1 | header 2 | regions 1 | regions 2 | reserved | log, metadata, BAT, blocks: each 1M-aligned ...
 * </pre>
 */
final class Layout {
    static final long KIB = 1 << 10;
    static final long MIB = 1 << 20;
    static final long TIB = 1L << 40;

    static final long FILE_IDENTIFIER = 0;
    static final long HEADER_1 = 64 * KIB;
    static final long HEADER_2 = 128 * KIB;
    static final long REGIONS_1 = 192 * KIB;
    static final long REGIONS_2 = 256 * KIB;
    static final long FIRST_REGION = MIB;

    static final int HEADER_SIZE = 4096;
    static final int REGION_TABLE_SIZE = 64 << 10;
    static final int METADATA_TABLE_SIZE = 64 << 10;
    static final int MAXIMUM_ENTRIES = 2047;
    /** The unit of the log and of logged changes. */
    static final int PAGE = 4096;

    static final long MAXIMUM_SIZE = 64 * TIB;
    static final int MINIMUM_BLOCK = 1 << 20;
    static final int MAXIMUM_BLOCK = 256 << 20;
    /**
     * No file that is worth opening is larger: the largest disk, its bitmaps and block table come to little more than
     * 64 TiB. It bounds what a hostile offset can make us allocate or extend.
     */
    static final long MAXIMUM_FILE = 256 * TIB;

    static final UUID NIL = new UUID(0, 0);
    static final UUID BAT_REGION = UUID.fromString("2dc27766-f623-4200-9d64-115e9bfd4a08");
    static final UUID METADATA_REGION = UUID.fromString("8b7ca206-4790-4b9a-b8fe-575f050f886e");
    static final UUID FILE_PARAMETERS = UUID.fromString("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
    static final UUID VIRTUAL_DISK_SIZE = UUID.fromString("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
    static final UUID VIRTUAL_DISK_ID = UUID.fromString("beca12ab-b2e6-4523-93ef-c309e000c746");
    static final UUID LOGICAL_SECTOR_SIZE = UUID.fromString("8141bf1d-a96f-4709-ba47-f233a8faab5f");
    static final UUID PHYSICAL_SECTOR_SIZE = UUID.fromString("cda348c7-445d-4471-9cc9-e9885251c556");
    static final UUID PARENT_LOCATOR = UUID.fromString("a8d35f2d-b30b-454d-abf7-d3d84834ab0c");
    static final UUID VHDX_LOCATOR_TYPE = UUID.fromString("b04aefb7-d19e-4a81-b789-25b8e9445913");

    // Block states, section 2.5.1.1 and 2.5.1.2.
    static final int NOT_PRESENT = 0;
    static final int UNDEFINED = 1;
    static final int ZERO = 2;
    static final int UNMAPPED = 3;
    static final int FULLY_PRESENT = 6;
    static final int PARTIALLY_PRESENT = 7;
    static final int BITMAP_PRESENT = 6;

    private static final long OFFSET_MASK = ~((1L << 20) - 1);
    private static final long RESERVED_MASK = (1L << 20) - 1 - 7;

    private Layout() {}

    /** The state of a block table entry. */
    static int state(long entry) {
        return (int) entry & 7;
    }

    /** The file offset of a block table entry in bytes; negative for those beyond 2^63. */
    static long offset(long entry) {
        return entry & OFFSET_MASK;
    }

    /** Whether the reserved bits of a block table entry are zero. */
    static boolean reservedClear(long entry) {
        return (entry & RESERVED_MASK) == 0;
    }

    /** A block table entry. */
    static long entry(int state, long offset) {
        return offset | state;
    }

    static ByteBuffer buffer(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    static UUID guid(ByteBuffer buffer, int at) {
        long high = (buffer.getInt(at) & 0xffffffffL) << 32
                | (buffer.getShort(at + 4) & 0xffffL) << 16
                | (buffer.getShort(at + 6) & 0xffffL);
        return new UUID(high, Long.reverseBytes(buffer.getLong(at + 8)));
    }

    static void putGuid(ByteBuffer buffer, int at, UUID guid) {
        long high = guid.getMostSignificantBits();
        buffer.putInt(at, (int) (high >>> 32));
        buffer.putShort(at + 4, (short) (high >>> 16));
        buffer.putShort(at + 6, (short) high);
        buffer.putLong(at + 8, Long.reverseBytes(guid.getLeastSignificantBits()));
    }

    /** The CRC-32C of a structure whose checksum field, 4 bytes at {@code field}, counts as zero. */
    static int checksum(byte[] bytes, int field) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, field);
        crc.update(new byte[4], 0, 4);
        crc.update(bytes, field + 4, bytes.length - field - 4);
        return (int) crc.getValue();
    }

    static boolean overlap(long a, long aLength, long b, long bLength) {
        return a < b + bLength && b < a + aLength;
    }

    static long roundUp(long value, long unit) {
        return (value + unit - 1) / unit * unit;
    }
}
