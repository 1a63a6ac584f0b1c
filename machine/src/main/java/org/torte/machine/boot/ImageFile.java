package org.torte.machine.boot;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The bytes of an untrusted image, little-endian, where reading past the end is an error for the user and not a bug.
 * They live outside the Java heap, so that unpacking a kernel leaves no garbage behind.
 */
final class ImageFile {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final String name;
    private final MemorySegment bytes;

    ImageFile(String name, MemorySegment bytes) {
        this.name = name;
        this.bytes = bytes;
    }

    /**
     * Reads a whole file.
     *
     * @param role what the file is to the user, such as {@code kernel}
     * @param limit the most bytes that make sense, usually the guest's RAM
     */
    static ImageFile read(BootFile file, String role, long limit, Arena arena) {
        try (BootFile.Content content = file.open(role, limit)) {
            MemorySegment bytes = arena.allocate(content.size());
            content.readTo(bytes);
            return new ImageFile(file.name(), bytes);
        }
    }

    String name() {
        return name;
    }

    long size() {
        return bytes.byteSize();
    }

    boolean has(long offset, long length) {
        return offset >= 0 && length >= 0 && offset <= size() && length <= size() - offset;
    }

    /** A part of the image; {@code what} tells the user what is missing when it is not there. */
    MemorySegment slice(long offset, long length, String what) {
        if (!has(offset, length)) {
            throw malformed(what + " lies outside the file");
        }
        return bytes.asSlice(offset, length);
    }

    int getByte(long offset) {
        require(offset, 1);
        return bytes.get(ValueLayout.JAVA_BYTE, offset) & 0xff;
    }

    int getShort(long offset) {
        require(offset, 2);
        return bytes.get(SHORT, offset) & 0xffff;
    }

    int getInt(long offset) {
        require(offset, 4);
        return bytes.get(INT, offset);
    }

    /** A 32-bit value, zero-extended. */
    long getUnsignedInt(long offset) {
        return getInt(offset) & 0xffff_ffffL;
    }

    long getLong(long offset) {
        require(offset, 8);
        return bytes.get(LONG, offset);
    }

    /** An error about the contents of this file. */
    BootException malformed(String cause) {
        return new BootException(
                "the kernel " + name + " is damaged or cut short: " + cause + "; copy it again from where it came");
    }

    private void require(long offset, int length) {
        if (!has(offset, length)) {
            throw malformed("it ends before offset " + offset);
        }
    }
}
