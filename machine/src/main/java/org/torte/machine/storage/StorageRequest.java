package org.torte.machine.storage;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * A packet of the storage protocol, in both directions.
 *
 * <pre>
 *  0 operation 4   4 flags 4   8 status 4
 * 12 SCSI request:
 *    12 length 2   14 status of request 1   15 status of SCSI 1
 *    16 port, path, target, unit 1 each     20 length of command 1   21 length of sense data 1
 *    22 direction 1: 0 from the guest, 1 to the guest, 2 none       24 length of data 4
 *    28 command 16, or sense data 20        48 queueing, flags, timeout 16, since version 5.1
 * </pre>
 */
final class StorageRequest {
    static final int COMPLETE = 1, EXECUTE = 3, RESET_UNIT = 4, RESET_ADAPTER = 5, RESET_BUS = 6;
    static final int BEGIN = 7, END = 8, QUERY_VERSION = 9, QUERY_PROPERTIES = 10, ENUMERATE_BUS = 11;
    static final int CREATE_SUBCHANNELS = 13;

    /** Bytes of a packet since version 5.1, and before. */
    static final int LENGTH = 64, OLD_LENGTH = 48;

    static final int SUCCESS = 0, FAILURE = 0xc000_0001;
    private static final int STATUS = 8, BODY = 12;
    private static final int REQUEST_STATUS = 14, SCSI_STATUS = 15, TARGET = 17, UNIT = 19, COMMAND_LENGTH = 20;
    private static final int SENSE_LENGTH = 21, DATA_LENGTH = 24, COMMAND = 28;
    private static final int COMMAND_BYTES = 16;
    private static final int DONE = 1, FAILED = 4, NO_UNIT = 0x20, SENSE_VALID = 0x80;
    private static final int GOOD = 0, CHECK_CONDITION = 2;

    private final byte[] bytes = new byte[LENGTH];
    private final ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    private final int length;

    private StorageRequest(int length) {
        this.length = length;
    }

    /** Copies a packet's data; null when there are not enough of them for an operation. */
    static @Nullable StorageRequest parse(ByteBuffer data) {
        if (data.remaining() < BODY) {
            return null;
        }
        StorageRequest request = new StorageRequest(data.remaining() < LENGTH ? OLD_LENGTH : LENGTH);
        data.get(request.bytes, 0, Math.min(data.remaining(), LENGTH));
        return request;
    }

    /** A packet that the host sends by itself. */
    static byte[] notice(int operation) {
        StorageRequest notice = new StorageRequest(LENGTH);
        notice.view.putInt(0, operation);
        return notice.bytes;
    }

    int operation() {
        return view.getInt(0);
    }

    /** The first 2 bytes of what belongs to the operation: a version, or how many channels. */
    int argument() {
        return view.getShort(BODY) & 0xffff;
    }

    /** Path and target together are 0 where there may be units. */
    boolean atTarget() {
        return view.getShort(TARGET) == 0;
    }

    int unit() {
        return bytes[UNIT] & 0xff;
    }

    /** The command, big-endian, filled up with zeroes. */
    ByteBuffer command() {
        byte[] command = new byte[COMMAND_BYTES];
        System.arraycopy(bytes, COMMAND, command, 0, Math.min(bytes[COMMAND_LENGTH] & 0xff, COMMAND_BYTES));
        return ByteBuffer.wrap(command);
    }

    // ---- the answer, in place

    /** Makes it the answer. */
    private StorageRequest answer(int status) {
        view.putInt(0, COMPLETE);
        view.putInt(STATUS, status);
        return this;
    }

    StorageRequest succeeded() {
        return answer(SUCCESS);
    }

    StorageRequest failed() {
        return answer(FAILURE);
    }

    StorageRequest properties(int channels, int maxTransfer) {
        java.util.Arrays.fill(bytes, BODY, LENGTH, (byte) 0);
        view.putShort(16, (short) channels);
        view.putInt(20, channels > 0 ? 1 : 0);
        view.putInt(24, maxTransfer);
        return answer(SUCCESS);
    }

    StorageRequest noUnit() {
        bytes[REQUEST_STATUS] = NO_UNIT;
        bytes[SCSI_STATUS] = GOOD;
        bytes[SENSE_LENGTH] = 0;
        view.putInt(DATA_LENGTH, 0);
        return answer(SUCCESS);
    }

    StorageRequest finished(Sense sense, int moved) {
        boolean good = sense.key() == 0;
        bytes[REQUEST_STATUS] = (byte) (good ? DONE : FAILED | SENSE_VALID);
        bytes[SCSI_STATUS] = (byte) (good ? GOOD : CHECK_CONDITION);
        bytes[SENSE_LENGTH] = (byte) (good ? 0 : Sense.LENGTH);
        view.putInt(DATA_LENGTH, good ? moved : 0);
        if (!good) {
            System.arraycopy(sense.bytes(), 0, bytes, COMMAND, Sense.LENGTH);
        }
        return answer(SUCCESS);
    }

    byte[] bytes() {
        return bytes;
    }

    int length() {
        return length;
    }
}
