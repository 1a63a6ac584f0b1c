package org.torte.disk.vhd;

import static org.torte.disk.vhd.VhdFooter.INT;
import static org.torte.disk.vhd.VhdFooter.LONG;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * The header of a dynamic or differencing VHD, all fields big-endian.
 *
 * <pre>
 *    0 cookie "cxsparse"          28 entries of the table      60 reserved
 *    8 -1                         32 block size                64 name of the parent, UTF-16BE, 512 bytes
 *   16 offset of the block table  36 checksum                 576 eight locators of 24 bytes
 *   24 version 1.0                40 parent's identifier      768 reserved
 *                                 56 parent's time stamp
 * </pre>
 *
 * @param tableOffset where the block table is, in bytes
 * @param entries entries of the block table
 * @param blockSize bytes of a block without its bitmap
 * @param parentIdentifier nil without a parent
 * @param parentName name of the parent's file, for people
 * @param locators where the parent may be, at most eight
 */
record DynamicHeader(
        long tableOffset,
        int entries,
        int blockSize,
        UUID parentIdentifier,
        String parentName,
        List<Locator> locators) {
    static final int SIZE = 1024;
    static final int MAXIMUM_LOCATORS = 8;

    private static final long COOKIE = 0x6378737061727365L;
    private static final int CHECKSUM = 36;
    private static final int NAME = 64;
    private static final int NAME_BYTES = 512;
    private static final int LOCATORS = 576;

    /**
     * Where the path of the parent is written.
     *
     * @param platform the four-character code of the kind of path
     * @param space bytes set aside; other software may write sectors here
     * @param length bytes of the path
     * @param offset where the path is in the file
     */
    record Locator(int platform, int space, int length, long offset) {}

    DynamicHeader {
        locators = List.copyOf(locators);
    }

    DynamicHeader withTable(long offset, int newEntries) {
        return new DynamicHeader(offset, newEntries, blockSize, parentIdentifier, parentName, locators);
    }

    DynamicHeader withParent(UUID identifier, String name, List<Locator> where) {
        return new DynamicHeader(tableOffset, entries, blockSize, identifier, name, where);
    }

    /** Bytes of the block table in the file. */
    long tableBytes() {
        return roundUp(entries * 4L, VhdFooter.SECTOR);
    }

    /** Bytes of the bitmap before each block. */
    int bitmapBytes() {
        return (int) roundUp((long) blockSize / VhdFooter.SECTOR / 8, VhdFooter.SECTOR);
    }

    static long roundUp(long value, long unit) {
        return (value + unit - 1) / unit * unit;
    }

    byte[] encode() {
        byte[] bytes = new byte[SIZE];
        MemorySegment m = MemorySegment.ofArray(bytes);
        m.set(LONG, 0, COOKIE);
        m.set(LONG, 8, -1L);
        m.set(LONG, 16, tableOffset);
        m.set(INT, 24, 0x10000);
        m.set(INT, 28, entries);
        m.set(INT, 32, blockSize);
        m.set(LONG, 40, parentIdentifier.getMostSignificantBits());
        m.set(LONG, 48, parentIdentifier.getLeastSignificantBits());
        byte[] name = parentName.getBytes(StandardCharsets.UTF_16BE);
        System.arraycopy(name, 0, bytes, NAME, Math.min(name.length, NAME_BYTES));
        for (int i = 0; i < locators.size(); i++) {
            Locator locator = locators.get(i);
            long at = LOCATORS + i * 24L;
            m.set(INT, at, locator.platform());
            m.set(INT, at + 4, locator.space());
            m.set(INT, at + 8, locator.length());
            m.set(LONG, at + 16, locator.offset());
        }
        m.set(INT, CHECKSUM, VhdFooter.checksum(bytes, CHECKSUM));
        return bytes;
    }

    /** Puts place and length of the table into these 1024 bytes of a header and leaves the rest as other software wrote it. */
    byte[] patchTable(byte[] bytes) {
        MemorySegment m = MemorySegment.ofArray(bytes);
        m.set(LONG, 16, tableOffset);
        m.set(INT, 28, entries);
        m.set(INT, CHECKSUM, VhdFooter.checksum(bytes, CHECKSUM));
        return bytes;
    }

    /** The header in these 1024 bytes, if they are one with a right checksum. */
    static Optional<DynamicHeader> decode(byte[] bytes) {
        MemorySegment m = MemorySegment.ofArray(bytes);
        if (m.get(LONG, 0) != COOKIE || m.get(INT, CHECKSUM) != VhdFooter.checksum(bytes, CHECKSUM)) {
            return Optional.empty();
        }
        List<Locator> locators = new ArrayList<>();
        for (int i = 0; i < MAXIMUM_LOCATORS; i++) {
            long at = LOCATORS + i * 24L;
            if (m.get(INT, at) != 0) {
                locators.add(new Locator(m.get(INT, at), m.get(INT, at + 4), m.get(INT, at + 8), m.get(LONG, at + 16)));
            }
        }
        String name = new String(bytes, NAME, NAME_BYTES, StandardCharsets.UTF_16BE);
        int end = name.indexOf('\0');
        return Optional.of(new DynamicHeader(
                m.get(LONG, 16),
                m.get(INT, 28),
                m.get(INT, 32),
                new UUID(m.get(LONG, 40), m.get(LONG, 48)),
                end < 0 ? name : name.substring(0, end),
                locators));
    }
}
