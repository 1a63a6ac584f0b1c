package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A key that goes down or up.
 *
 * @param code its scan code, set 1, without the prefix and the bit for release, 1 to 0x7f
 * @param up whether it is released
 * @param extended whether its code has the prefix E0, as arrow keys have
 */
public record KeyStroke(int code, boolean up, boolean extended) {
    /** Bytes of its message: type, code, reserved, flags (Linux drivers/input/serio/hyperv-keyboard.c). */
    static final int LENGTH = 12;

    static final int EVENT = 3;
    private static final int UP = 2, EXTENDED = 4;
    private static final int SHIFT = 0x2a;

    /** The characters of the keys of a US keyboard, row by row; the code of the first key of each row is in ROW_CODES. */
    private static final String[] PLAIN = {"1234567890-=\b\tqwertyuiop[]\n", "asdfghjkl;'`", "\\zxcvbnm,./"};

    private static final String[] SHIFTED = {"!@#$%^&*()_+\0\0QWERTYUIOP{}\0", "ASDFGHJKL:\"~", "|ZXCVBNM<>?"};
    private static final int[] ROW_CODES = {0x02, 0x1e, 0x2b};
    private static final int SPACE = 0x39, ESCAPE = 0x01;

    /** Checks the code. */
    public KeyStroke {
        if (code < 1 || code > 0x7f) {
            throw new IllegalArgumentException("scan codes are 1 to 0x7f, not " + code);
        }
    }

    /**
     * The strokes that type a text on a US keyboard.
     *
     * @throws IllegalArgumentException when it has a character that is not on it
     */
    public static List<KeyStroke> of(String text) {
        List<KeyStroke> strokes = new ArrayList<>();
        for (int i = 0; i < text.length(); i++) {
            add(text.charAt(i), strokes);
        }
        return strokes;
    }

    private static void add(char character, List<KeyStroke> strokes) {
        if (character == ' ' || character == '\u001b') {
            press(character == ' ' ? SPACE : ESCAPE, strokes);
            return;
        }
        for (int row = 0; row < ROW_CODES.length && character != 0; row++) {
            int plain = PLAIN[row].indexOf(character);
            int shifted = SHIFTED[row].indexOf(character);
            if (plain >= 0) {
                press(ROW_CODES[row] + plain, strokes);
                return;
            }
            if (shifted >= 0) {
                strokes.add(new KeyStroke(SHIFT, false, false));
                press(ROW_CODES[row] + shifted, strokes);
                strokes.add(new KeyStroke(SHIFT, true, false));
                return;
            }
        }
        throw new IllegalArgumentException(
                "a US keyboard has no key for the character U+%04X".formatted((int) character));
    }

    private static void press(int code, List<KeyStroke> strokes) {
        strokes.add(new KeyStroke(code, false, false));
        strokes.add(new KeyStroke(code, true, false));
    }

    byte[] message() {
        return ByteBuffer.allocate(LENGTH)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putInt(EVENT)
                .putShort((short) code)
                .putShort((short) 0)
                .putInt((up ? UP : 0) | (extended ? EXTENDED : 0))
                .array();
    }

    /** In one number, for saved state. */
    int packed() {
        return code | (up ? 0x80 : 0) | (extended ? 0x100 : 0);
    }

    static KeyStroke unpack(int packed) {
        return new KeyStroke(packed & 0x7f, (packed & 0x80) != 0, (packed & 0x100) != 0);
    }
}
