package org.torte.machine.acpi;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** Terms of the ACPI machine language (ACPI 6.5, section 20.2), each as its bytes. */
public final class Aml {
    private static final int ZERO_OP = 0x00, ONE_OP = 0x01, NAME_OP = 0x08, BYTE_PREFIX = 0x0a, WORD_PREFIX = 0x0b;
    private static final int DWORD_PREFIX = 0x0c, STRING_PREFIX = 0x0d, QWORD_PREFIX = 0x0e, SCOPE_OP = 0x10;
    private static final int BUFFER_OP = 0x11, PACKAGE_OP = 0x12;
    private static final int EXTENSION = 0x5b, DEVICE_OP = 0x82;
    private static final int ROOT = 0x5c, DUAL_NAME = 0x2e;

    private Aml() {}

    /** Terms one after the other. */
    public static byte[] join(byte[]... terms) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] term : terms) {
            out.writeBytes(term);
        }
        return out.toByteArray();
    }

    /** {@code Scope (path) {...}}. */
    public static byte[] scope(String path, byte[]... terms) {
        return join(bytes(SCOPE_OP), sized(join(path(path), join(terms))));
    }

    /** {@code Device (name) {...}}. */
    public static byte[] device(String name, byte[]... terms) {
        return join(bytes(EXTENSION, DEVICE_OP), sized(join(path(name), join(terms))));
    }

    /** {@code Name (name, object)}. */
    public static byte[] name(String name, byte[] object) {
        return join(bytes(NAME_OP), path(name), object);
    }

    /** An integer constant, unsigned, in its shortest form. */
    public static byte[] integer(long value) {
        if (value == 0) {
            return bytes(ZERO_OP);
        }
        if (value == 1) {
            return bytes(ONE_OP);
        }
        if (value >>> 8 == 0) {
            return join(bytes(BYTE_PREFIX), little(value, 1));
        }
        if (value >>> 16 == 0) {
            return join(bytes(WORD_PREFIX), little(value, 2));
        }
        return value >>> 32 == 0
                ? join(bytes(DWORD_PREFIX), little(value, 4))
                : join(bytes(QWORD_PREFIX), little(value, 8));
    }

    /** A string constant of ASCII characters. */
    public static byte[] string(String value) {
        return join(bytes(STRING_PREFIX), value.getBytes(StandardCharsets.US_ASCII), bytes(0));
    }

    /** {@code EisaId (id)}: three letters and four hexadecimal digits. */
    public static byte[] eisaId(String id) {
        int letters = (id.charAt(0) - 0x40) << 10 | (id.charAt(1) - 0x40) << 5 | id.charAt(2) - 0x40;
        int digits = Integer.parseInt(id.substring(3), 16);
        return join(bytes(DWORD_PREFIX), little(Integer.reverseBytes(letters << 16 | digits) & 0xffff_ffffL, 4));
    }

    /** {@code Package () {...}} of up to 255 elements. */
    public static byte[] packageOf(byte[]... elements) {
        return join(bytes(PACKAGE_OP), sized(join(bytes(elements.length), join(elements))));
    }

    /** {@code ResourceTemplate () {...}}: descriptors, made by the methods below, and their end tag. */
    public static byte[] resources(byte[]... descriptors) {
        // An end tag with checksum 0 counts as good without being checked (ACPI 6.5, section 6.4.2.9).
        byte[] all = join(join(descriptors), bytes(0x79, 0));
        return join(bytes(BUFFER_OP), sized(join(integer(all.length), all)));
    }

    /** {@code IO (Decode16, ...)}: {@code count} ports (section 6.4.2.5). */
    public static byte[] ports(int first, int count) {
        return join(bytes(0x47, 1), little(first, 2), little(first, 2), bytes(1, count));
    }

    /** {@code IRQNoFlags () {line}}: an edge-triggered interrupt, active high (section 6.4.2.1). */
    public static byte[] interrupt(int line) {
        return join(bytes(0x22), little(1L << line, 2));
    }

    /** {@code Memory32Fixed (ReadWrite, ...)} (section 6.4.3.4). */
    public static byte[] memory(long first, long length) {
        return join(bytes(0x86), little(9, 2), bytes(1), little(first, 4), little(length, 4));
    }

    /** {@code DWordMemory (ResourceProducer, ..., ReadWrite, ...)}: addresses for devices below (section 6.4.3.5.2). */
    public static byte[] window32(long first, long length) {
        return window(0x87, 4, first, length);
    }

    /** {@code QWordMemory (ResourceProducer, ..., ReadWrite, ...)} (section 6.4.3.5.1). */
    public static byte[] window64(long first, long length) {
        return window(0x8a, 8, first, length);
    }

    private static byte[] window(int tag, int size, long first, long length) {
        int memory = 0;
        int bothEndsFixed = 0xc;
        int readWrite = 1;
        return join(
                bytes(tag),
                little(3 + 5 * size, 2),
                bytes(memory, bothEndsFixed, readWrite),
                little(0, size),
                little(first, size),
                little(first + length - 1, size),
                little(0, size),
                little(length, size));
    }

    /** A name path: {@code \} for the root, one segment, or two with a dot; segments are filled up with underscores. */
    private static byte[] path(String path) {
        boolean root = path.startsWith("\\");
        String[] segments = (root ? path.substring(1) : path).split("\\.", -1);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        if (root) {
            out.write(ROOT);
        }
        if (segments.length == 2) {
            out.write(DUAL_NAME);
        } else if (segments.length > 2) {
            throw new IllegalArgumentException("longer than two segments: " + path);
        }
        for (String segment : segments) {
            if (!segment.matches("[A-Z_][A-Z0-9_]{0,3}")) {
                throw new IllegalArgumentException("no name segment: " + segment);
            }
            out.writeBytes((segment + "___").substring(0, 4).getBytes(StandardCharsets.US_ASCII));
        }
        return out.toByteArray();
    }

    /** A package length, which counts itself, and what it measures (section 20.2.4). */
    private static byte[] sized(byte[] content) {
        int size = content.length;
        if (size + 1 < 0x40) {
            return join(bytes(size + 1), content);
        }
        int more = size + 2 < 1 << 12 ? 1 : size + 3 < 1 << 20 ? 2 : 3;
        int total = size + 1 + more;
        return join(bytes(more << 6 | total & 0xf), little(total >>> 4, more), content);
    }

    private static byte[] bytes(int... values) {
        byte[] out = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            out[i] = (byte) values[i];
        }
        return out;
    }

    private static byte[] little(long value, int size) {
        byte[] out = new byte[size];
        for (int i = 0; i < size; i++) {
            out[i] = (byte) (value >>> 8 * i);
        }
        return out;
    }
}
