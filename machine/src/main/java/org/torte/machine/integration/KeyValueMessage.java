package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * The bodies of the key-value exchange (Linux include/uapi/linux/hyperv.h, {@code hv_kvp_msg}). Each begins with the
 * operation, the pool, and two reserved bytes; then
 *
 * <pre>
 *   enumerate               set                     delete
 *   4 index            4    4 type             4    4 size of the key   4
 *   8 type             4    8 size of the key  4    8 key             512
 *  12 size of the key  4   12 size of value    4
 *  16 size of value    4   16 key            512
 *  20 key            512  528 value         2048
 * 532 value         2048
 * </pre>
 *
 * Texts are UTF-16 with a zero at their end, which the sizes in bytes include; a value of type 1 is text.
 */
final class KeyValueMessage {
    static final int KEY = 512, VALUE = 2048;
    static final int SET = 1, DELETE = 2, ENUMERATE = 3;
    static final int TEXT = 1, NUMBER = 4, LONG_NUMBER = 8;
    static final int ENUMERATE_LENGTH = 532 + VALUE, SET_LENGTH = 528 + VALUE, DELETE_LENGTH = 8 + KEY;

    private static final int ENUMERATED = 8;

    /** A key and its value. */
    record Pair(String key, String value) {}

    private KeyValueMessage() {}

    private static ByteBuffer begin(int length, int operation, KeyValueExchange.Pool pool) {
        return ByteBuffer.allocate(length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) operation)
                .put((byte) pool.number)
                .putShort((short) 0);
    }

    static byte[] enumerate(KeyValueExchange.Pool pool, int index) {
        return begin(ENUMERATE_LENGTH, ENUMERATE, pool).putInt(index).array();
    }

    static byte[] set(KeyValueExchange.Pool pool, String key, String value) {
        byte[] keyText = text(key, KEY);
        byte[] valueText = text(value, VALUE);
        ByteBuffer out = begin(SET_LENGTH, SET, pool);
        out.putInt(TEXT).putInt(keyText.length).putInt(valueText.length);
        out.put(out.position(), keyText);
        out.put(out.position() + KEY, valueText);
        byte[] bytes = new byte[SET_LENGTH];
        out.get(0, bytes);
        return bytes;
    }

    static byte[] delete(KeyValueExchange.Pool pool, String key) {
        byte[] keyText = text(key, KEY);
        return begin(DELETE_LENGTH, DELETE, pool)
                .putInt(keyText.length)
                .put(keyText)
                .array();
    }

    /**
     * Whether a text fits, its end included.
     *
     * @param size {@link #KEY} or {@link #VALUE}
     */
    static boolean fits(String text, int size) {
        // Linux keeps texts as UTF-8 in as many bytes.
        return 2 * text.length() + 2 <= size && text.getBytes(StandardCharsets.UTF_8).length < size;
    }

    private static byte[] text(String text, int size) {
        if (!fits(text, size)) {
            throw new IllegalArgumentException("a text of " + text.length() + " characters");
        }
        return (text + '\0').getBytes(StandardCharsets.UTF_16LE);
    }

    /** Reads the answer to an enumeration; null when it is not one. */
    static @Nullable Pair parseEnumerated(ByteBuffer answer) {
        if (answer.remaining() < ENUMERATE_LENGTH) {
            return null;
        }
        int type = answer.getInt(ENUMERATED);
        int keySize = answer.getInt(ENUMERATED + 4);
        int valueSize = answer.getInt(ENUMERATED + 8);
        if (keySize < 0 || keySize > KEY || valueSize < 0 || valueSize > VALUE) {
            return null;
        }
        int value = ENUMERATED + 12 + KEY;
        String shown = switch (type) {
            case TEXT -> text(answer, value, valueSize);
            case NUMBER -> Integer.toUnsignedString(answer.getInt(value));
            case LONG_NUMBER -> Long.toUnsignedString(answer.getLong(value));
            default -> null;
        };
        return shown == null ? null : new Pair(text(answer, ENUMERATED + 12, keySize), shown);
    }

    private static String text(ByteBuffer from, int at, int size) {
        byte[] bytes = new byte[size & ~1];
        from.get(at, bytes);
        String text = new String(bytes, StandardCharsets.UTF_16LE);
        int end = text.indexOf('\0');
        return end < 0 ? text : text.substring(0, end);
    }
}
