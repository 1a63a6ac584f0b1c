package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.util.UUID;

/**
 * An entry of the log (section 2.3.1): a 64-byte header and 32-byte descriptors, filled up to whole 4 KiB sectors, then
 * one data sector for each data descriptor. An entry may wrap around the end of the log.
 *
 * <pre>
 * header  0 "loge"  4 checksum of the whole entry  8 length  12 tail  16 sequence number  24 descriptor count
 *        32 log GUID  48 flushed file offset  56 last file offset
 * data desc  0 "desc"  4 last 4 bytes   8 first 8 bytes  16 file offset  24 sequence number
 * zero desc  0 "zero"  4 reserved       8 length         16 file offset  24 sequence number
 * data sector  0 "data"  4 high half of the sequence number  8 bytes 8 to 4091 of the page  4092 low half
 * </pre>
 *
 * @param sector where it starts in the log, in sectors
 * @param sectors its length
 * @param tail where the oldest entry that it needs starts, in sectors
 * @param sequence its number, unsigned, more than 0
 * @param descriptors how many descriptors it has
 * @param flushed bytes of the file that were durable when it was written
 * @param last bytes that the file must have after replay
 */
record LogEntry(int sector, int sectors, int tail, long sequence, int descriptors, long flushed, long last) {
    static final int SIGNATURE = 0x65676f6c;
    static final int DESCRIPTOR = 0x63736564;
    static final int ZEROES = 0x6f72657a;
    static final int DATA = 0x61746164;
    static final int HEADER_LENGTH = 64;
    static final int DESCRIPTOR_LENGTH = 32;

    /** Sectors for the header and this many descriptors: 126 fit into the first, 128 into each other. */
    static int descriptorSectors(long descriptors) {
        return (int) ((HEADER_LENGTH + descriptors * DESCRIPTOR_LENGTH + Layout.PAGE - 1) / Layout.PAGE);
    }

    /** Writes the header of an entry, all but its checksum. */
    void putHeader(ByteBuffer out, UUID log) {
        out.putInt(0, SIGNATURE);
        out.putInt(4, 0);
        out.putInt(8, sectors * Layout.PAGE);
        out.putInt(12, tail * Layout.PAGE);
        out.putLong(16, sequence);
        out.putInt(24, descriptors);
        out.putInt(28, 0);
        Layout.putGuid(out, 32, log);
        out.putLong(48, flushed);
        out.putLong(56, last);
    }
}
