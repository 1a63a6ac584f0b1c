package org.torte.management.process;

import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/** What a program asks its terminal: device status reports and device attributes (ECMA-48, DSR and DA). */
public final class TerminalQueries {
    private static final Pattern QUERY = Pattern.compile("\u001b\\[(?:\\?)?[56]n|\u001b\\[[>=]?0?c");

    private TerminalQueries() {}

    /** Old output without them: they have been answered long ago; asked again, the answer would be typed. */
    public static byte[] removed(byte[] output) {
        String text = new String(output, StandardCharsets.ISO_8859_1);
        return QUERY.matcher(text).replaceAll("").getBytes(StandardCharsets.ISO_8859_1);
    }
}
