package org.torte.machine.network;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.FrameHeaders;

/**
 * Receive-side scaling: which of the guest's channels a frame takes. The Toeplitz hash of its addresses and, for TCP, ports
 * chooses an entry of a table that the guest has set (NDIS, {@code NDIS_RECEIVE_SCALE_PARAMETERS}), so that the frames of a
 * connection stay in order. Not for several threads.
 *
 * <pre>
 * capabilities  header {type 1, revision 1, size 2}, flags 4, interrupts 4, channels 4, entries of the table 2
 * parameters    header {type 1, revision 1, size 2}, flags 2, 2, hash 4, size of the table 2, 2, its offset 4,
 *               size of the key 2, 2, its offset 4, ...
 * </pre>
 */
final class ReceiveScaling {
    /** Entries of the largest table, of 4 bytes each, and bytes of a key. */
    static final int MAX_ENTRIES = 128, KEY = 40;

    static final int PARAMETERS_SIZE = 28;

    private static final int CAPABILITIES_TYPE = 0x88, CAPABILITIES_SIZE = 18, REVISION = 2;
    private static final int PARAMETERS_TYPE = 0x89;

    /** Interrupts by message; TCP over IPv4 and IPv6; Toeplitz. */
    private static final int CAPABILITIES = 0x0100_0000 | 0x100 | 0x200 | 1;

    private static final int HASH_UNCHANGED = 2, TABLE_UNCHANGED = 4, KEY_UNCHANGED = 8, DISABLED = 0x10;
    private static final int TOEPLITZ = 1, IPV4 = 0x100, TCP_IPV4 = 0x200, IPV6 = 0x400, TCP_IPV6 = 0x1000;

    /** Two IPv6 addresses and two ports. */
    private static final int LONGEST_INPUT = 36;

    /** Where the addresses are in their headers, source before destination. */
    private static final int ADDRESSES_4 = 12, LENGTH_4 = 8, ADDRESSES_6 = 8, LENGTH_6 = 32, PORTS = 4;

    private boolean enabled;
    private int hash;
    private int[] table = {};
    private final byte[] key = new byte[KEY];
    /** What each value of each byte of the input adds to the hash. */
    private final int[] parts = new int[LONGEST_INPUT << 8];

    private final FrameHeaders headers = new FrameHeaders();

    /** As before the guest has said anything: all frames take the first channel. */
    void reset() {
        enabled = false;
        hash = 0;
        table = new int[0];
        java.util.Arrays.fill(key, (byte) 0);
        prepare();
    }

    /** What a guest is told that asks for the capabilities. */
    static byte[] capabilities(int channels) {
        return ByteBuffer.allocate(CAPABILITIES_SIZE)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) CAPABILITIES_TYPE)
                .put((byte) REVISION)
                .putShort((short) CAPABILITIES_SIZE)
                .putInt(CAPABILITIES)
                .putInt(channels)
                .putInt(channels)
                .putShort((short) MAX_ENTRIES)
                .array();
    }

    /** Takes parameters from the guest; the status of RNDIS. What makes no sense changes nothing. */
    int set(byte[] parameters) {
        if (parameters.length < PARAMETERS_SIZE) {
            return Rndis.INVALID_LENGTH;
        }
        ByteBuffer view = ByteBuffer.wrap(parameters).order(ByteOrder.LITTLE_ENDIAN);
        if (view.get(0) != (byte) PARAMETERS_TYPE) {
            return Rndis.INVALID_DATA;
        }
        int flags = view.getShort(4);
        if ((flags & DISABLED) != 0) {
            enabled = false;
            return Rndis.SUCCESS;
        }
        int function = (flags & HASH_UNCHANGED) != 0 ? hash : view.getInt(8);
        boolean newTable = (flags & TABLE_UNCHANGED) == 0;
        boolean newKey = (flags & KEY_UNCHANGED) == 0;
        int tableSize = newTable ? view.getShort(12) & 0xffff : table.length * Integer.BYTES;
        int tableAt = view.getInt(16);
        int keySize = view.getShort(20) & 0xffff;
        int keyAt = view.getInt(24);
        if ((function & TOEPLITZ) == 0
                || tableSize == 0
                || tableSize % Integer.BYTES != 0
                || tableSize > MAX_ENTRIES * Integer.BYTES
                || newTable && !lies(parameters, tableAt, tableSize)
                || newKey && (keySize != KEY || !lies(parameters, keyAt, keySize))) {
            return Rndis.INVALID_DATA;
        }
        hash = function;
        if (newTable) {
            table = new int[tableSize / Integer.BYTES];
            for (int i = 0; i < table.length; i++) {
                table[i] = view.getInt(tableAt + i * Integer.BYTES);
            }
        }
        if (newKey) {
            view.get(keyAt, key);
            prepare();
        }
        enabled = true;
        return Rndis.SUCCESS;
    }

    /** Whether a part is behind the fixed parameters, and whole. */
    private static boolean lies(byte[] parameters, int offset, int length) {
        return offset >= PARAMETERS_SIZE && offset <= parameters.length - length;
    }

    /** The hash is linear: each bit of the input that is set adds (XOR) the 32 bits of the key that begin at its place. */
    private void prepare() {
        for (int at = 0; at < LONGEST_INPUT; at++) {
            long window = ByteBuffer.wrap(key).getLong(Math.min(at, KEY - Long.BYTES))
                    << 8 * Math.max(0, at - (KEY - Long.BYTES));
            for (int value = 0; value < 256; value++) {
                int sum = 0;
                for (int bit = 0; bit < 8; bit++) {
                    if ((value & 0x80 >> bit) != 0) {
                        sum ^= (int) (window << bit >>> 32);
                    }
                }
                parts[at << 8 | value] = sum;
            }
        }
    }

    /** The number of the channel for a frame, perhaps of one that is not there: 0 for the first one. */
    int channel(FrameBatch batch, int frame) {
        if (!enabled || table.length == 0) {
            return 0;
        }
        headers.parse(batch, frame);
        int value = hash(batch.bytes());
        return table[Integer.remainderUnsigned(value, table.length)];
    }

    /** 0 for what is not to be hashed. */
    private int hash(MemorySegment bytes) {
        if (headers.ip() < 0) {
            return 0;
        }
        boolean four = headers.isIpv4();
        boolean ports = headers.isTcp() && (hash & (four ? TCP_IPV4 : TCP_IPV6)) != 0;
        if (!ports && (hash & (four ? IPV4 : IPV6)) == 0) {
            return 0;
        }
        int length = four ? LENGTH_4 : LENGTH_6;
        int value = add(bytes, headers.ip() + (four ? ADDRESSES_4 : ADDRESSES_6), length, 0);
        return ports ? value ^ add(bytes, headers.transport(), PORTS, length) : value;
    }

    private int add(MemorySegment bytes, int from, int length, int place) {
        int sum = 0;
        for (int i = 0; i < length; i++) {
            sum ^= parts[place + i << 8 | bytes.get(JAVA_BYTE, from + i) & 0xff];
        }
        return sum;
    }

    void save(StateOutput state) {
        state.putBoolean(enabled)
                .putInt(hash)
                .putBytes(key)
                .putInt(table.length)
                .putInts(table);
    }

    void restore(StateInput state) {
        enabled = state.getBoolean();
        hash = state.getInt();
        byte[] saved = state.getBytes();
        state.check(saved.length == KEY, "a key of " + saved.length + " bytes");
        System.arraycopy(saved, 0, key, 0, Math.min(saved.length, KEY));
        int entries = state.getInt();
        state.check(entries >= 0 && entries <= MAX_ENTRIES, "a table of " + entries + " entries");
        table = new int[entries];
        state.getInts(table);
        prepare();
    }
}
