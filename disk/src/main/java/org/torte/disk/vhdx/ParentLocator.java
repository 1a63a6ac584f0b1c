package org.torte.disk.vhdx;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * The parent locator (section 2.6.2.6): a type GUID, a count, and key and value strings in UTF-16LE without
 * terminators, placed by 12-byte entries (key offset, value offset, key length, value length).
 *
 * @param entries keys and values in their order
 */
record ParentLocator(Map<String, String> entries) {
    static final String LINKAGE = "parent_linkage";
    static final String LINKAGE_2 = "parent_linkage2";
    static final String RELATIVE_PATH = "relative_path";
    static final String VOLUME_PATH = "volume_path";
    static final String ABSOLUTE_PATH = "absolute_win32_path";

    ParentLocator {
        entries = new LinkedHashMap<>(entries);
    }

    /**
     * Decodes an item.
     *
     * @throws BadImageException with what is wrong
     */
    static ParentLocator decode(byte[] bytes) {
        if (bytes.length < 20) {
            throw new BadImageException("the parent locator has only " + bytes.length + " bytes");
        }
        ByteBuffer in = Layout.buffer(bytes);
        UUID type = Layout.guid(in, 0);
        if (!type.equals(Layout.VHDX_LOCATOR_TYPE)) {
            throw new BadImageException("the parent locator is of the unknown type " + type);
        }
        int count = in.getShort(18) & 0xffff;
        if (20 + 12L * count > bytes.length) {
            throw new BadImageException("the parent locator announces " + count + " entries and ends before them");
        }
        Map<String, String> entries = new LinkedHashMap<>();
        for (int i = 0; i < count; i++) {
            int at = 20 + 12 * i;
            String key = text(bytes, in.getInt(at), in.getShort(at + 8) & 0xffff);
            String value = text(bytes, in.getInt(at + 4), in.getShort(at + 10) & 0xffff);
            if (entries.put(key, value) != null) {
                throw new BadImageException("the parent locator has the key " + key + " twice");
            }
        }
        return new ParentLocator(entries);
    }

    private static String text(byte[] bytes, int at, int length) {
        if (at < 0 || length == 0 || length % 2 != 0 || (long) at + length > bytes.length) {
            throw new BadImageException("the parent locator has a string of " + length + " bytes at "
                    + Integer.toUnsignedString(at) + " of its " + bytes.length);
        }
        return new String(bytes, at, length, StandardCharsets.UTF_16LE);
    }

    byte[] encode() {
        List<byte[]> strings = new ArrayList<>();
        int size = 20 + 12 * entries.size();
        for (Map.Entry<String, String> entry : entries.entrySet()) {
            byte[] key = entry.getKey().getBytes(StandardCharsets.UTF_16LE);
            byte[] value = entry.getValue().getBytes(StandardCharsets.UTF_16LE);
            if (key.length > 0xffff || value.length > 0xffff) {
                throw new IllegalArgumentException("the path of the parent is longer than 32767 characters");
            }
            strings.add(key);
            strings.add(value);
            size += key.length + value.length;
        }
        byte[] bytes = new byte[size];
        ByteBuffer out = Layout.buffer(bytes);
        Layout.putGuid(out, 0, Layout.VHDX_LOCATOR_TYPE);
        out.putShort(18, (short) entries.size());
        int end = 20 + 12 * entries.size();
        for (int i = 0; i < strings.size(); i++) {
            byte[] string = strings.get(i);
            int at = 20 + 12 * (i / 2);
            out.putInt(at + i % 2 * 4, end);
            out.putShort(at + 8 + i % 2 * 2, (short) string.length);
            out.put(end, string);
            end += string.length;
        }
        return bytes;
    }

    Optional<String> get(String key) {
        return Optional.ofNullable(entries.get(key));
    }

    /** The paths of the parent in the order in which they are to be tried (section 2.6.2.6.3). */
    List<String> paths() {
        return Stream.of(RELATIVE_PATH, VOLUME_PATH, ABSOLUTE_PATH)
                .flatMap(key -> get(key).stream())
                .toList();
    }

    /** Whether a parent whose DataWriteGuid is {@code guid} is the one that this locator means. */
    boolean links(UUID guid) {
        return linkage(LINKAGE).filter(guid::equals).isPresent()
                || linkage(LINKAGE_2)
                        .filter(g -> !g.equals(Layout.NIL))
                        .filter(guid::equals)
                        .isPresent();
    }

    /** The GUID of a linkage entry, if it is there and is one. */
    Optional<UUID> linkage(String key) {
        String text = entries.getOrDefault(key, "").toLowerCase(Locale.ROOT);
        if (text.length() != 38 || text.charAt(0) != '{' || text.charAt(37) != '}') {
            return Optional.empty();
        }
        try {
            return Optional.of(UUID.fromString(text.substring(1, 37)));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /** The same with one entry changed or added. */
    ParentLocator with(String key, String value) {
        Map<String, String> changed = new LinkedHashMap<>(entries);
        changed.put(key, value);
        return new ParentLocator(changed);
    }

    static String format(UUID guid) {
        return "{" + guid + "}";
    }
}
