package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * The region table (section 2.2.3): a 16-byte header ("regi", checksum, count, reserved) and entries of 32 bytes (GUID,
 * offset, length, required).
 *
 * @param regions the entries in their order
 */
record RegionTable(List<Region> regions) {
    private static final int SIGNATURE = 0x69676572;

    RegionTable {
        regions = List.copyOf(regions);
    }

    /**
     * One region.
     *
     * @param id what it is
     * @param offset bytes from the start of the file
     * @param length bytes, unsigned 32 bits
     * @param required whether software that does not know it must refuse the file
     */
    record Region(UUID id, long offset, long length, boolean required) {}

    /** The table in these 64 KiB, if signature, checksum and count are right. */
    static Optional<RegionTable> decode(byte[] bytes) {
        ByteBuffer in = Layout.buffer(bytes);
        long count = in.getInt(8) & 0xffffffffL;
        if (in.getInt(0) != SIGNATURE || in.getInt(4) != Layout.checksum(bytes, 4) || count > Layout.MAXIMUM_ENTRIES) {
            return Optional.empty();
        }
        List<Region> regions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int at = 16 + 32 * i;
            regions.add(new Region(
                    Layout.guid(in, at),
                    in.getLong(at + 16),
                    in.getInt(at + 24) & 0xffffffffL,
                    (in.getInt(at + 28) & 1) != 0));
        }
        return Optional.of(new RegionTable(regions));
    }

    byte[] encode() {
        byte[] bytes = new byte[Layout.REGION_TABLE_SIZE];
        ByteBuffer out = Layout.buffer(bytes);
        out.putInt(0, SIGNATURE);
        out.putInt(8, regions.size());
        for (int i = 0; i < regions.size(); i++) {
            Region region = regions.get(i);
            int at = 16 + 32 * i;
            Layout.putGuid(out, at, region.id);
            out.putLong(at + 16, region.offset);
            out.putInt(at + 24, (int) region.length);
            out.putInt(at + 28, region.required ? 1 : 0);
        }
        out.putInt(4, Layout.checksum(bytes, 4));
        return bytes;
    }

    Optional<Region> find(UUID id) {
        return regions.stream().filter(r -> r.id.equals(id)).findFirst();
    }

    /** The same with another place for one region. */
    RegionTable moved(UUID id, long offset, long length) {
        return new RegionTable(regions.stream()
                .map(r -> r.id.equals(id) ? new Region(id, offset, length, r.required) : r)
                .toList());
    }
}
