package org.torte.machine.storage;

import java.nio.ByteBuffer;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import org.torte.disk.DiskException;
import org.torte.disk.VirtualDisk;

/**
 * A disk as a SCSI logical unit: direct-access block device, commands of SPC-4 and SBC-3. Several threads carry out
 * commands at once.
 */
final class ScsiDisk {
    private static final int TEST_UNIT_READY = 0x00, REQUEST_SENSE = 0x03, READ_6 = 0x08, WRITE_6 = 0x0a;
    private static final int INQUIRY = 0x12, MODE_SENSE_6 = 0x1a, START_STOP = 0x1b, PREVENT_REMOVAL = 0x1e;
    private static final int READ_CAPACITY_10 = 0x25, READ_10 = 0x28, WRITE_10 = 0x2a, VERIFY_10 = 0x2f;
    private static final int SYNCHRONIZE_10 = 0x35, WRITE_SAME_10 = 0x41, UNMAP = 0x42, MODE_SENSE_10 = 0x5a;
    private static final int READ_16 = 0x88, WRITE_16 = 0x8a, VERIFY_16 = 0x8f, SYNCHRONIZE_16 = 0x91;
    private static final int WRITE_SAME_16 = 0x93, SERVICE_IN_16 = 0x9e, REPORT_LUNS = 0xa0, MAINTENANCE_IN = 0xa3;
    private static final int READ_12 = 0xa8, WRITE_12 = 0xaa, VERIFY_12 = 0xaf;
    private static final int READ_CAPACITY_16 = 0x10, REPORT_OPERATIONS = 0x0c;
    private static final int FORCE_UNIT_ACCESS = 8, UNMAP_BIT = 8, NO_DATA = 1;

    /** The most bytes of one WRITE SAME and of one UNMAP, and the most ranges of the latter. */
    private static final long MAX_SAME_BYTES = 32L << 20, MAX_UNMAP_BYTES = 4L << 30;

    private static final int MAX_UNMAP_RANGES = 256;
    private static final int UNMAP_HEADER = 8, UNMAP_RANGE = 16;

    private final VirtualDisk disk;
    private final ScsiInquiry inquiry;

    /** What the guest is to be told with its next command. */
    private final AtomicReference<Sense> attention = new AtomicReference<>(Sense.NONE);

    ScsiDisk(VirtualDisk disk, UUID identifier) {
        this.disk = disk;
        inquiry = new ScsiInquiry(disk, identifier, MAX_SAME_BYTES, MAX_UNMAP_BYTES, MAX_UNMAP_RANGES);
    }

    VirtualDisk disk() {
        return disk;
    }

    /** The size of the disk is another one now. */
    void capacityChanged() {
        attention.set(Sense.CAPACITY_CHANGED);
    }

    int attentionCode() {
        return attention.get().code();
    }

    void restoreAttention(int code) {
        attention.set(code == Sense.CAPACITY_CHANGED.code() ? Sense.CAPACITY_CHANGED : Sense.NONE);
    }

    /** Whether a command may wait for the host's storage. */
    static boolean blocks(int operation) {
        return switch (operation) {
            case TEST_UNIT_READY,
                    REQUEST_SENSE,
                    INQUIRY,
                    MODE_SENSE_6,
                    MODE_SENSE_10,
                    READ_CAPACITY_10,
                    SERVICE_IN_16,
                    REPORT_LUNS,
                    MAINTENANCE_IN -> false;
            default -> true;
        };
    }

    /**
     * Carries out one command.
     *
     * @param command 16 bytes, those that the command does not have being 0
     */
    Sense execute(ByteBuffer command, ScsiData data) {
        int operation = command.get(0) & 0xff;
        if (operation != INQUIRY && operation != REPORT_LUNS && operation != REQUEST_SENSE) {
            Sense news = attention.getAndSet(Sense.NONE);
            if (news.key() != 0) {
                return news;
            }
        }
        try {
            return answer(operation, command, data);
        } catch (DiskException e) {
            return switch (e.kind()) {
                case NO_SPACE -> Sense.NO_SPACE;
                case READ_ONLY -> Sense.WRITE_PROTECTED;
                default -> reads(operation) ? Sense.READ_ERROR : Sense.WRITE_ERROR;
            };
        }
    }

    private static boolean reads(int operation) {
        return operation == READ_6 || operation == READ_10 || operation == READ_12 || operation == READ_16;
    }

    private Sense answer(int operation, ByteBuffer command, ScsiData data) {
        return switch (operation) {
            case TEST_UNIT_READY, START_STOP, PREVENT_REMOVAL -> Sense.NONE;
            case REQUEST_SENSE -> {
                data.answer(attention.getAndSet(Sense.NONE).bytes(), command.get(4) & 0xff);
                yield Sense.NONE;
            }
            case INQUIRY -> inquiry.inquiry(command, data);
            case MODE_SENSE_6, MODE_SENSE_10 -> inquiry.modeSense(command, data);
            case READ_CAPACITY_10 -> inquiry.readCapacity10(data);
            case SERVICE_IN_16 ->
                (command.get(1) & 0x1f) == READ_CAPACITY_16
                        ? inquiry.readCapacity16(command, data)
                        : Sense.INVALID_FIELD;
            case MAINTENANCE_IN ->
                (command.get(1) & 0x1f) == REPORT_OPERATIONS
                        ? inquiry.reportOperations(command, data)
                        : Sense.INVALID_FIELD;
            case READ_6, READ_10, READ_12, READ_16 -> read(command, data);
            case WRITE_6, WRITE_10, WRITE_12, WRITE_16 -> write(command, data);
            case VERIFY_10, VERIFY_12, VERIFY_16 ->
                // Comparing with data from the guest is not offered.
                (command.get(1) & 6) != 0 ? Sense.INVALID_FIELD : checkRange(command);
            case SYNCHRONIZE_10, SYNCHRONIZE_16 -> {
                disk.flush();
                yield Sense.NONE;
            }
            case UNMAP -> unmap(command, data);
            case WRITE_SAME_10, WRITE_SAME_16 -> writeSame(command, data);
            default -> Sense.INVALID_COMMAND;
        };
    }

    // ---- blocks

    private static long firstBlock(ByteBuffer command) {
        return switch (command.get(0) >>> 5 & 7) {
            case 0 -> command.getInt(0) & 0x1f_ffff;
            case 4 -> command.getLong(2);
            default -> command.getInt(2) & 0xffff_ffffL;
        };
    }

    private static long blockCount(ByteBuffer command) {
        return switch (command.get(0) >>> 5 & 7) {
            case 0 -> (command.get(4) & 0xff) == 0 ? 256 : command.get(4) & 0xff;
            case 4 -> command.getInt(10) & 0xffff_ffffL;
            case 5 -> command.getInt(6) & 0xffff_ffffL;
            default -> command.getShort(7) & 0xffff;
        };
    }

    private boolean inside(long block, long count) {
        long blocks = disk.size() / disk.logicalSectorSize();
        return block >= 0 && count >= 0 && block <= blocks && count <= blocks - block;
    }

    private Sense checkRange(ByteBuffer command) {
        return inside(firstBlock(command), blockCount(command)) ? Sense.NONE : Sense.OUT_OF_RANGE;
    }

    private Sense checkTransfer(ByteBuffer command, ScsiData data) {
        Sense range = checkRange(command);
        if (range.key() != 0) {
            return range;
        }
        long bytes = blockCount(command) * disk.logicalSectorSize();
        return bytes > ScsiController.MAX_TRANSFER || bytes > data.length() ? Sense.INVALID_FIELD : Sense.NONE;
    }

    private Sense read(ByteBuffer command, ScsiData data) {
        Sense sense = checkTransfer(command, data);
        if (sense.key() == 0) {
            int sector = disk.logicalSectorSize();
            data.read(disk, firstBlock(command) * sector, (int) blockCount(command) * sector);
        }
        return sense;
    }

    private Sense write(ByteBuffer command, ScsiData data) {
        if (disk.readOnly()) {
            return Sense.WRITE_PROTECTED;
        }
        Sense sense = checkTransfer(command, data);
        if (sense.key() == 0) {
            int sector = disk.logicalSectorSize();
            data.write(disk, firstBlock(command) * sector, (int) blockCount(command) * sector);
            if (command.get(0) != WRITE_6 && (command.get(1) & FORCE_UNIT_ACCESS) != 0) {
                disk.flush();
            }
        }
        return sense;
    }

    /** Parameter list: length 2, length of ranges 2, 4; ranges of first block 8, blocks 4, 4 (SBC-3, section 5.28). */
    private Sense unmap(ByteBuffer command, ScsiData data) {
        if (disk.readOnly()) {
            return Sense.WRITE_PROTECTED;
        }
        int length = command.getShort(7) & 0xffff;
        if (length == 0) {
            return Sense.NONE;
        }
        if (length < UNMAP_HEADER || length > data.length()) {
            return Sense.PARAMETER_LIST_LENGTH;
        }
        ByteBuffer list = ByteBuffer.wrap(data.take(length));
        int ranges = Math.min(list.getShort(2) & 0xffff, length - UNMAP_HEADER) / UNMAP_RANGE;
        if (ranges > MAX_UNMAP_RANGES) {
            return Sense.INVALID_PARAMETER;
        }
        int sector = disk.logicalSectorSize();
        long sum = 0;
        for (int i = 0; i < ranges; i++) {
            int at = UNMAP_HEADER + i * UNMAP_RANGE;
            long count = list.getInt(at + 8) & 0xffff_ffffL;
            sum += count * sector;
            if (!inside(list.getLong(at), count)) {
                return Sense.OUT_OF_RANGE;
            }
        }
        if (sum > MAX_UNMAP_BYTES) {
            return Sense.INVALID_PARAMETER;
        }
        for (int i = 0; i < ranges; i++) {
            int at = UNMAP_HEADER + i * UNMAP_RANGE;
            long count = list.getInt(at + 8) & 0xffff_ffffL;
            if (count > 0) {
                disk.trim(list.getLong(at) * sector, count * sector);
            }
        }
        return Sense.NONE;
    }

    /** Writes one block's content to many; content that is zero is not written but made. */
    private Sense writeSame(ByteBuffer command, ScsiData data) {
        if (disk.readOnly()) {
            return Sense.WRITE_PROTECTED;
        }
        int sector = disk.logicalSectorSize();
        boolean noData = (command.get(0) & 0xff) == WRITE_SAME_16 && (command.get(1) & NO_DATA) != 0;
        long count = blockCount(command);
        long first = firstBlock(command);
        if (!inside(first, count)) {
            return Sense.OUT_OF_RANGE;
        }
        if (count == 0 || count * sector > MAX_SAME_BYTES || !noData && data.length() < sector) {
            return Sense.INVALID_FIELD;
        }
        byte[] block = noData ? new byte[sector] : data.take(sector);
        long offset = first * sector;
        if (zero(block)) {
            disk.writeZeroes(offset, count * sector);
            if ((command.get(1) & UNMAP_BIT) != 0) {
                disk.trim(offset, count * sector);
            }
            return Sense.NONE;
        }
        int chunk = (int) Math.min(count, (64 << 10) / sector);
        byte[] many = new byte[chunk * sector];
        for (int i = 0; i < chunk; i++) {
            System.arraycopy(block, 0, many, i * sector, sector);
        }
        for (long done = 0; done < count; done += chunk) {
            int part = (int) Math.min(chunk, count - done);
            disk.write(offset + done * sector, java.lang.foreign.MemorySegment.ofArray(many), 0, (long) part * sector);
        }
        return Sense.NONE;
    }

    private static boolean zero(byte[] block) {
        for (byte b : block) {
            if (b != 0) {
                return false;
            }
        }
        return true;
    }
}
