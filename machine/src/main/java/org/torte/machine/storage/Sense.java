package org.torte.machine.storage;

/**
 * Why a command failed (SPC-4, section 4.5).
 *
 * @param key the sense key
 * @param code additional sense code in the high byte, its qualifier in the low byte
 */
record Sense(int key, int code) {
    static final Sense NONE = new Sense(0, 0);
    static final Sense READ_ERROR = new Sense(3, 0x1100);
    static final Sense WRITE_ERROR = new Sense(3, 0x0c00);
    static final Sense HARDWARE_FAILURE = new Sense(4, 0x4400);
    static final Sense PARAMETER_LIST_LENGTH = new Sense(5, 0x1a00);
    static final Sense INVALID_COMMAND = new Sense(5, 0x2000);
    static final Sense OUT_OF_RANGE = new Sense(5, 0x2100);
    static final Sense INVALID_FIELD = new Sense(5, 0x2400);
    static final Sense NO_SUCH_UNIT = new Sense(5, 0x2500);
    static final Sense INVALID_PARAMETER = new Sense(5, 0x2600);
    static final Sense CAPACITY_CHANGED = new Sense(6, 0x2a09);
    static final Sense WRITE_PROTECTED = new Sense(7, 0x2700);
    static final Sense NO_SPACE = new Sense(7, 0x2707);

    /** Bytes of the fixed format. */
    static final int LENGTH = 18;

    /** Current error, fixed format (section 4.5.3). */
    byte[] bytes() {
        byte[] sense = new byte[LENGTH];
        sense[0] = 0x70;
        sense[2] = (byte) key;
        sense[7] = LENGTH - 8;
        sense[12] = (byte) (code >>> 8);
        sense[13] = (byte) code;
        return sense;
    }
}
