package org.torte.machine.storage;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.UUID;
import org.torte.disk.DiskType;
import org.torte.disk.VirtualDisk;

/** What a disk says about itself: inquiry, vital product data, modes, capacity, commands. Immutable. */
final class ScsiInquiry {
    private static final String VENDOR = "Torte   ", PRODUCT = "Virtual Disk    ", REVISION = "1.0 ";

    /** Bytes of standard inquiry data. */
    static final int STANDARD = 36;

    private static final int SPC_4 = 6, RESPONSE_FORMAT = 2, COMMAND_QUEUE = 2;
    private static final int VITAL = 1;
    private static final int PAGES = 0, SERIAL = 0x80, IDENTIFICATION = 0x83, LIMITS = 0xb0, CHARACTERISTICS = 0xb1;
    private static final int PROVISIONING = 0xb2;
    private static final int CACHING = 8, CONTROL = 10, INFORMATIONAL = 0x1c, ALL_PAGES = 0x3f;

    /**
     * Commands with the bits of each byte that count, for REPORT SUPPORTED OPERATION CODES: operation, service action or
     * -1, length.
     */
    private static final int[][] COMMANDS = {
        {0x00, -1, 6}, {0x03, -1, 6}, {0x08, -1, 6}, {0x0a, -1, 6}, {0x12, -1, 6}, {0x1a, -1, 6}, {0x1b, -1, 6},
        {0x1e, -1, 6}, {0x25, -1, 10}, {0x28, -1, 10}, {0x2a, -1, 10}, {0x2f, -1, 10}, {0x35, -1, 10}, {0x41, -1, 10},
        {0x42, -1, 10}, {0x5a, -1, 10}, {0x88, -1, 16}, {0x8a, -1, 16}, {0x8f, -1, 16}, {0x91, -1, 16}, {0x93, -1, 16},
        {0x9e, 0x10, 16}, {0xa0, -1, 12}, {0xa3, 0x0c, 12}, {0xa8, -1, 12}, {0xaa, -1, 12}, {0xaf, -1, 12}
    };

    private final VirtualDisk disk;
    private final UUID identifier;
    private final long maxSame;
    private final long maxUnmap;
    private final int maxUnmapRanges;
    private final boolean thin;

    ScsiInquiry(VirtualDisk disk, UUID identifier, long maxSame, long maxUnmap, int maxUnmapRanges) {
        this.disk = disk;
        this.identifier = identifier;
        this.maxSame = maxSame;
        this.maxUnmap = maxUnmap;
        this.maxUnmapRanges = maxUnmapRanges;
        thin = disk.info().type() != DiskType.FIXED;
    }

    /** Standard inquiry data of a place where there is no unit (SPC-4, section 6.6.2). */
    static byte[] nobody() {
        byte[] data = standard();
        data[0] = 0x7f;
        return data;
    }

    private static byte[] standard() {
        byte[] data = new byte[STANDARD];
        data[2] = SPC_4;
        data[3] = RESPONSE_FORMAT;
        data[4] = STANDARD - 5;
        data[7] = COMMAND_QUEUE;
        byte[] names = (VENDOR + PRODUCT + REVISION).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(names, 0, data, 8, names.length);
        return data;
    }

    private String serial() {
        return HexFormat.of().toHexDigits(identifier.getMostSignificantBits())
                + HexFormat.of().toHexDigits(identifier.getLeastSignificantBits());
    }

    Sense inquiry(ByteBuffer command, ScsiData data) {
        int limit = command.getShort(3) & 0xffff;
        int page = command.get(2) & 0xff;
        if ((command.get(1) & VITAL) == 0) {
            if (page != 0) {
                return Sense.INVALID_FIELD;
            }
            data.answer(standard(), limit);
            return Sense.NONE;
        }
        ByteBuffer out = ByteBuffer.allocate(256);
        out.put(1, (byte) page).position(4);
        switch (page) {
            case PAGES ->
                out.put((byte) PAGES)
                        .put((byte) SERIAL)
                        .put((byte) IDENTIFICATION)
                        .put((byte) LIMITS)
                        .put((byte) CHARACTERISTICS)
                        .put((byte) PROVISIONING);
            case SERIAL -> out.put(serial().getBytes(StandardCharsets.US_ASCII));
            case IDENTIFICATION -> identification(out);
            case LIMITS -> limits(out);
            case CHARACTERISTICS -> out.putShort((short) 1).position(64); // it does not rotate
            case PROVISIONING ->
                // UNMAP and both WRITE SAME; what was unmapped may read as anything it was, or zeroes.
                out.put((byte) 0).put((byte) 0xe0).put((byte) (thin ? 2 : 0)).put((byte) 0);
            default -> {
                return Sense.INVALID_FIELD;
            }
        }
        out.putShort(2, (short) (out.position() - 4));
        data.answer(filled(out), limit);
        return Sense.NONE;
    }

    private static byte[] filled(ByteBuffer out) {
        byte[] bytes = new byte[out.position()];
        out.get(0, bytes);
        return bytes;
    }

    /** Vendor and serial number; and a locally assigned name (SPC-4, sections 7.8.6.4 and 7.8.6.6.5). */
    private void identification(ByteBuffer out) {
        byte[] name = (VENDOR + serial()).getBytes(StandardCharsets.US_ASCII);
        out.put((byte) 2).put((byte) 1).put((byte) 0).put((byte) name.length).put(name);
        long local = identifier.getMostSignificantBits() * 31 + identifier.getLeastSignificantBits();
        out.put((byte) 1).put((byte) 3).put((byte) 0).put((byte) 8).putLong(local >>> 4 | 3L << 60);
    }

    /** SBC-3, section 6.5.3. */
    private void limits(ByteBuffer out) {
        int sector = disk.logicalSectorSize();
        int blocks = disk.blockSize() / sector;
        out.put((byte) 1); // WRITE SAME with 0 blocks is refused
        out.put((byte) 0);
        out.putShort((short) (disk.physicalSectorSize() / sector));
        out.putInt(ScsiController.MAX_TRANSFER / sector);
        out.putInt(0);
        out.putInt(0);
        out.putInt((int) (maxUnmap / sector));
        out.putInt(maxUnmapRanges);
        out.putInt(blocks);
        out.putInt(1 << 31); // aligned to block 0
        out.putLong(maxSame / sector);
        out.position(64);
    }

    Sense readCapacity10(ScsiData data) {
        long last = disk.size() / disk.logicalSectorSize() - 1;
        byte[] answer = new byte[8];
        ByteBuffer.wrap(answer).putInt((int) Math.min(last, 0xffff_ffffL)).putInt(disk.logicalSectorSize());
        data.answer(answer, answer.length);
        return Sense.NONE;
    }

    Sense readCapacity16(ByteBuffer command, ScsiData data) {
        int sector = disk.logicalSectorSize();
        byte[] answer = new byte[32];
        int unmappable = 0x80;
        ByteBuffer.wrap(answer)
                .putLong(disk.size() / sector - 1)
                .putInt(sector)
                .put((byte) 0)
                .put((byte) Integer.numberOfTrailingZeros(Math.max(1, disk.physicalSectorSize() / sector)))
                .put((byte) unmappable);
        data.answer(answer, command.getInt(10) & Integer.MAX_VALUE);
        return Sense.NONE;
    }

    /** The current values, or those that can be changed, which are none (SPC-4, section 6.11). */
    Sense modeSense(ByteBuffer command, ScsiData data) {
        boolean longer = command.get(0) == 0x5a;
        int limit = longer ? command.getShort(7) & 0xffff : command.get(4) & 0xff;
        int control = command.get(2) >>> 6 & 3;
        int page = command.get(2) & 0x3f;
        int subpage = command.get(3) & 0xff;
        boolean changeable = control == 1;
        if (control == 3 || subpage != 0 && subpage != 0xff) {
            return Sense.INVALID_FIELD;
        }
        ByteBuffer out = ByteBuffer.allocate(128);
        out.position(longer ? 8 : 4);
        boolean all = page == ALL_PAGES;
        if (all || page == CACHING) {
            int writeCache = 4;
            out.put((byte) CACHING).put((byte) 18).put((byte) (changeable ? 0 : writeCache));
            out.position(out.position() + 17);
        }
        if (all || page == CONTROL) {
            int unrestrictedOrder = 0x10;
            out.put((byte) CONTROL).put((byte) 10).put((byte) 0).put((byte) (changeable ? 0 : unrestrictedOrder));
            out.position(out.position() + 8);
        }
        if (all || page == INFORMATIONAL) {
            out.put((byte) INFORMATIONAL).put((byte) 10);
            out.position(out.position() + 10);
        }
        if (out.position() == (longer ? 8 : 4)) {
            return Sense.INVALID_FIELD;
        }
        int writeProtected = disk.readOnly() ? 0x80 : 0;
        if (longer) {
            out.putShort(0, (short) (out.position() - 2)).put(3, (byte) writeProtected);
        } else {
            out.put(0, (byte) (out.position() - 1)).put(2, (byte) writeProtected);
        }
        data.answer(filled(out), limit);
        return Sense.NONE;
    }

    /** SPC-4, section 6.35. */
    Sense reportOperations(ByteBuffer command, ScsiData data) {
        int options = command.get(2) & 7;
        int wanted = command.get(3) & 0xff;
        int action = command.getShort(4) & 0xffff;
        int limit = command.getInt(6) & Integer.MAX_VALUE;
        if (options == 0) {
            ByteBuffer out = ByteBuffer.allocate(4 + 8 * COMMANDS.length);
            out.putInt(8 * COMMANDS.length);
            for (int[] known : COMMANDS) {
                out.put((byte) known[0]).put((byte) 0);
                out.putShort((short) Math.max(known[1], 0));
                out.put((byte) 0).put((byte) (known[1] >= 0 ? 1 : 0)).putShort((short) known[2]);
            }
            data.answer(filled(out), limit);
            return Sense.NONE;
        }
        if (options > 3) {
            return Sense.INVALID_FIELD;
        }
        int supported = 3;
        int unsupported = 1;
        ByteBuffer out = ByteBuffer.allocate(20).put(1, (byte) unsupported);
        out.position(4);
        for (int[] known : COMMANDS) {
            boolean withAction = known[1] >= 0;
            if (known[0] == wanted && (!withAction || known[1] == action)) {
                if (options == 1 && withAction || options == 2 && !withAction) {
                    return Sense.INVALID_FIELD;
                }
                out.put(1, (byte) supported).putShort(2, (short) known[2]);
                out.put((byte) wanted).put((byte) (withAction ? action : 0xff));
                for (int i = 2; i < known[2] - 1; i++) {
                    out.put((byte) 0xff);
                }
                out.put((byte) 0);
            }
        }
        data.answer(filled(out), limit);
        return Sense.NONE;
    }
}
