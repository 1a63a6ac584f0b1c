package org.torte.machine.boot;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

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
    static ImageFile read(Path file, String role, long limit, Arena arena) {
        try (FileChannel channel = open(file, role)) {
            long size = channel.size();
            requireSize(file, role, size, limit);
            // One spare byte keeps an empty file a valid segment and shows files that grow while they are read.
            MemorySegment bytes = arena.allocate(size + 1);
            long got = fill(channel, bytes);
            return new ImageFile(file.toString(), bytes.asSlice(0, Math.min(got, size)));
        } catch (IOException e) {
            throw unreadable(file, role, e);
        }
    }

    /** Opens a regular file, or says in the user's words why it cannot be opened. */
    static FileChannel open(Path file, String role) {
        try {
            if (Files.isDirectory(file)) {
                throw new BootException(
                        "the " + role + " " + file + " is a directory; give the path of a file instead");
            }
            if (Files.exists(file) && !Files.isRegularFile(file)) {
                throw new BootException("the " + role + " " + file
                        + " is not a regular file; copy its contents to a file and give that");
            }
            return FileChannel.open(file, StandardOpenOption.READ);
        } catch (IOException e) {
            throw unreadable(file, role, e);
        }
    }

    static void requireSize(Path file, String role, long size, long limit) {
        if (size == 0) {
            throw new BootException("the " + role + " " + file + " is empty; copy it again from where it came");
        }
        if (size > limit) {
            throw new BootException("the " + role + " " + file + " has " + size + " bytes, more than the " + limit
                    + " bytes of guest memory; give the machine more with --memory");
        }
    }

    static BootException unreadable(Path file, String role, IOException e) {
        if (e instanceof NoSuchFileException) {
            return new BootException("there is no " + role + " " + file + "; check the path");
        }
        if (e instanceof AccessDeniedException) {
            return new BootException("the " + role + " " + file
                    + " may not be read by this user; change its permissions or copy it (sudo cat FILE > COPY)");
        }
        String cause = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
        return new BootException("the " + role + " " + file + " cannot be read (" + cause + "); check the file system");
    }

    /** Reads until the channel or the target ends, and gives the number of bytes. */
    static long fill(FileChannel channel, MemorySegment target) throws IOException {
        long at = 0;
        while (at < target.byteSize()) {
            long chunk = Math.min(target.byteSize() - at, 64 << 20);
            int got = channel.read(target.asSlice(at, chunk).asByteBuffer(), at);
            if (got < 0) {
                break;
            }
            at += got;
        }
        return at;
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
